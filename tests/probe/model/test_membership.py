"""Who is heard: each thing that can happen to a member as a story, with all time handed in."""

import pytest
from support.members import PERIOD, Hearing, Node, Vantage

from probe.model.events import Event, Kind
from probe.model.evidence import Check, Outcome
from probe.model.presence import Presence
from probe.model.rules import Rules
from probe.model.track import NOWHERE, Origin
from protocols.heartbeat import Heartbeat

A, B = Node(1), Node(2)
HOME = Origin(bytes((10, 0, 0, 1)), "eth0", 1)


def steps(start: float, count: int, period: float = PERIOD) -> list[float]:
    """Return the times of some heartbeats in a row."""
    return [start + n * period for n in range(count)]


def steady(node: Node = A, rules: Rules | None = None, count: int = 10) -> Hearing:
    """Return a vantage that heard a member beat; its last heartbeat is at (count - 1) periods."""
    hearing = Hearing(rules)
    hearing.beats(node, steps(0.0, count))
    hearing.told.clear()
    return hearing


# -- coming, being silent, going


def test_joined_once() -> None:
    """The first heartbeat tells that a member joined, the others tell nothing."""
    hearing = Hearing()
    hearing.beats(A, steps(7.0, 20))
    [joined] = hearing.told
    assert (joined.kind, joined.at, joined.member) == (Kind.JOINED, 7.0, "10.0.0.1:4000")
    assert (joined.unique_id, joined.group, joined.text) == (
        A.member.unique_id.hex(),
        "228.0.0.4:45564",
        "10.0.0.1:4000 is heard",
    )
    track = hearing.track(A)
    assert (track.heartbeats, track.first_heard, track.last_heard, track.lost) == (20, 7.0, 16.5, 0)


def test_late_silent_and_forgotten_come_at_their_exact_times() -> None:
    """Three periods, dropTime and forget_after from the last heartbeat are the deadlines, to the digit."""
    hearing = steady()
    deadlines = []
    while (at := hearing.membership.deadline()) is not None:
        deadlines.append(at)
        hearing.told += hearing.membership.tick(at)
    assert deadlines == [4.5 + 1.5, 4.5 + 3.0, 4.5 + 3600.0]
    assert [(event.kind, event.at) for event in hearing.told] == [
        (Kind.LATE, 6.0),
        (Kind.SILENT, 7.5),
        (Kind.FORGOTTEN, 3604.5),
    ]
    assert [event.values.get("gap_seconds") for event in hearing.told] == [1.5, 3.0, None]
    assert len(hearing.membership) == 0
    assert hearing.membership.named(A.name) is None


@pytest.mark.parametrize("short", [1e-6, 0.001])
def test_nothing_is_told_before_its_time(short: float) -> None:
    """A tick just before a deadline says nothing; one long after says it with the time it was due."""
    hearing = steady()
    assert hearing.membership.tick(6.0 - short) == []
    assert [event.kind for event in hearing.membership.tick(6.0)] == [Kind.LATE]
    assert hearing.membership.tick(7.5 - short) == []
    assert [(event.kind, event.at) for event in hearing.membership.tick(500.0)] == [(Kind.SILENT, 7.5)]


def test_one_late_tick_tells_all() -> None:
    """Who is found past dropTime was late before: both are told, each at its own time."""
    hearing = steady()
    assert [(e.kind, e.at) for e in hearing.membership.tick(100.0)] == [(Kind.LATE, 6.0), (Kind.SILENT, 7.5)]


def test_late_time_is_drop_time_where_that_is_shorter() -> None:
    """With a slow frequency a member is late and silent at once, at dropTime."""
    hearing = Hearing(Rules(frequency=2.0, drop_time=3.0))
    hearing.beats(A, [0.0])
    assert [(e.kind, e.at) for e in hearing.membership.tick(3.0)] == [
        (Kind.JOINED, 0.0),
        (Kind.LATE, 3.0),
        (Kind.SILENT, 3.0),
    ][1:]


def test_a_heartbeat_saves_a_late_member() -> None:
    """A late member that beats again before dropTime is present, and nothing is told of a return."""
    hearing = steady()
    hearing.beats(A, [6.5])
    assert hearing.kinds() == [Kind.LATE, Kind.HEARTBEATS_LOST]
    assert (hearing.track(A).presence, hearing.track(A).flaps) == (Presence.PRESENT, 0)


def test_returned_after_a_loss() -> None:
    """The same process heard again after dropTime returned, a flap; it lived on elsewhere meanwhile."""
    hearing = steady()
    hearing.beats(A, steps(20.0, 3))
    assert hearing.kinds() == [Kind.LATE, Kind.SILENT, Kind.RETURNED, Kind.HEARTBEATS_LOST]
    assert hearing.one(Kind.RETURNED).values == {"gap_seconds": 15.5}
    assert hearing.one(Kind.HEARTBEATS_LOST).values == {"lost": 30, "gap_seconds": 15.5}
    track = hearing.track(A)
    assert (track.flaps, track.lost, track.returned_at) == (1, 30, 20.0)


def test_returned_after_a_pause() -> None:
    """Who only stood still returned too, but did not live on elsewhere."""
    hearing = steady()
    hearing.beats(A, steps(20.2, 3))
    assert hearing.kinds() == [Kind.LATE, Kind.SILENT, Kind.RETURNED, Kind.STALLED]
    track = hearing.track(A)
    assert (track.flaps, track.returned_at, track.stalls) == (1, None, 1)
    assert track.stall_seconds == pytest.approx(15.2, abs=1e-3)


def test_left_with_a_goodbye() -> None:
    """A goodbye is told once; the silence after it, and further goodbyes, are no news."""
    hearing = steady()
    hearing.hear(A.goodbye(4.7), 4.7)
    hearing.hear(A.goodbye(4.8), 4.8)
    hearing.until(3000.0)
    assert hearing.kinds() == [Kind.LEFT]
    assert (hearing.track(A).presence, hearing.track(A).last_heard) == (Presence.LEFT, 4.7)
    hearing.until(4.7 + 3600.0)
    assert hearing.kinds() == [Kind.LEFT, Kind.FORGOTTEN]


@pytest.mark.parametrize("at", [5.9, 6.1, 7.6])
def test_a_goodbye_is_heard_in_any_state(at: float) -> None:
    """Present, late or silent, a member that says goodbye left."""
    hearing = steady()
    hearing.hear(A.goodbye(at), at)
    assert hearing.kinds()[-1] is Kind.LEFT
    assert hearing.track(A).presence is Presence.LEFT


def test_a_goodbye_of_a_stranger_is_taken() -> None:
    """A member first heard as it leaves left, and has a time at which it was first heard."""
    hearing = Hearing()
    hearing.hear(A.goodbye(4.7), 4.7)
    assert hearing.kinds() == [Kind.LEFT]
    assert (hearing.track(A).first_heard, hearing.track(A).heartbeats) == (4.7, 0)


def test_a_doubled_goodbye_keeps_its_place() -> None:
    """Who said goodbye twice is forgotten one forget_after after the first."""
    hearing = steady()
    hearing.beats(B, [4.6])
    hearing.hear(A.goodbye(4.7), 4.7)
    hearing.hear(B.goodbye(4.8), 4.8)
    hearing.hear(A.goodbye(4.9), 4.9)
    assert hearing.membership.deadline() == 3604.7


def test_lost_when_silent_and_its_receiver_is_closed() -> None:
    """A refused connect after the last heartbeat makes the silent lost, told once."""
    hearing = steady()
    hearing.take(A, Outcome.REFUSED, 6.0)
    hearing.until(7.5)
    hearing.take(A, Outcome.REFUSED, 9.0)
    assert [(event.kind, event.at) for event in hearing.told] == [
        (Kind.LATE, 6.0),
        (Kind.RECEIVER_CLOSED, 6.0),
        (Kind.SILENT, 7.5),
        (Kind.LOST, 7.5),
    ]


def test_lost_as_soon_as_the_answer_is_there() -> None:
    """A silent member that is asked only later is lost when its receiver refuses."""
    hearing = steady()
    hearing.take(A, Outcome.REFUSED, 8.25)
    assert [(event.kind, event.at) for event in hearing.told][-1] == (Kind.LOST, 8.25)
    assert "not heard for 3.8 s" in hearing.told[-1].text


def test_lost_again_after_a_return() -> None:
    """Each silence is told anew."""
    hearing = steady()
    hearing.take(A, Outcome.REFUSED, 8.0)
    hearing.beats(A, steps(10.0, 2))
    hearing.take(A, Outcome.REFUSED, 20.0)
    assert hearing.kinds().count(Kind.LOST) == 2


# -- the same address, another process


def test_restarted_with_a_goodbye() -> None:
    """A new unique id after a goodbye is a clean restart; no ghost stays."""
    hearing = steady()
    hearing.hear(A.goodbye(4.6), 4.6)
    new = A.again(6.0)
    hearing.beats(new, [7.0, 7.004, *steps(7.5, 3)])
    assert hearing.kinds() == [Kind.LEFT, Kind.RESTARTED]
    restarted = hearing.one(Kind.RESTARTED)
    assert restarted.values == {
        "goodbye": True,
        "old_unique_id": A.member.unique_id.hex(),
        "gap_seconds": pytest.approx(2.4),
    }
    assert restarted.unique_id == new.member.unique_id.hex()
    track = hearing.track(A)
    assert (track.restarts_clean, track.restarts_unclean, track.ghost, track.rivals) == (1, 0, "", {})


@pytest.mark.parametrize(
    ("gap", "ghost"),
    [(1.0, True), (3.0, True), (4.0, True), (4.001, False), (60.0, False)],
)
def test_a_ghost_is_suspected_within_drop_time_and_slack(gap: float, ghost: bool) -> None:  # noqa: FBT001
    """A crash and a start within dropTime and one connect timeout leave the old entry with the others."""
    hearing = steady()
    back = 4.5 + gap
    hearing.beats(A.again(back - 1.0), [back, back + 0.004, back + 0.5])
    kinds = hearing.kinds(without=frozenset({Kind.LATE, Kind.SILENT}))
    assert kinds == [Kind.RESTARTED, Kind.GHOST_SUSPECTED][: 1 + ghost]
    assert hearing.one(Kind.RESTARTED).values["goodbye"] is False
    track = hearing.track(A)
    assert (track.restarts_unclean, track.ghost) == (1, A.member.unique_id.hex() if ghost else "")


def test_a_ghost_is_gone_after_a_clean_restart() -> None:
    """The next restart with a goodbye clears the suspicion."""
    hearing = steady()
    second = A.again(5.0)
    hearing.beats(second, steps(6.0, 4))
    hearing.hear(second.goodbye(8.0), 8.0)
    hearing.beats(second.again(9.0), [10.0])
    assert hearing.track(A).ghost == ""


def test_a_restart_ends_the_return() -> None:
    """Who returned and was then restarted is not the process that lived on."""
    hearing = steady()
    hearing.beats(A, [20.0])
    hearing.beats(A.again(21.0), [22.0])
    assert hearing.track(A).returned_at is None


def test_recovered() -> None:
    """A goodbye, then the same unique id with a wall clock for an alive time, is McastService's recovery."""
    hearing = steady()
    hearing.hear(A.goodbye(4.6), 4.6)
    for at in (4.603, 5.1, 5.6, 6.1):
        hearing.hear(A.recovered(at), at)
    assert hearing.kinds() == [Kind.LEFT, Kind.RECOVERED]
    assert hearing.track(A).presence is Presence.PRESENT


def test_recovered_twice() -> None:
    """A second recovery, whose goodbye too has a wall clock for an alive time, is told as the first."""
    hearing = steady()
    hearing.hear(A.recovered(5.0), 5.0)
    goodbye = Heartbeat(A.goodbye(0.0).member, A.recovered(6.0).alive_ms)
    hearing.hear(goodbye, 6.0)
    hearing.hear(A.recovered(6.003), 6.003)
    assert hearing.kinds() == [Kind.RECOVERED, Kind.LEFT, Kind.RECOVERED]


@pytest.mark.parametrize("goodbye", [True, False])
def test_channel_restarted(goodbye: bool) -> None:  # noqa: FBT001
    """The same unique id with an alive time that began anew restarted its channel, not its JVM."""
    hearing = steady(count=40)
    if goodbye:
        hearing.hear(A.goodbye(19.6), 19.6)
    A_again = Node(1, born=20.0)  # noqa: N806  # the same process
    hearing.beats(A_again, [21.0, 21.004, *steps(21.5, 8)])
    kinds = hearing.kinds(without=frozenset({Kind.LATE}))
    assert kinds == [Kind.LEFT, Kind.CHANNEL_RESTARTED][not goodbye :]


def test_a_young_members_clock_step_is_no_channel_restart() -> None:
    """An alive time that went back but is older than the gap is a clock step: nothing restarted."""
    hearing = steady(count=11)
    stepped = Node(1)
    stepped.clock = -4.0
    hearing.beats(stepped, [5.5, 6.0])
    assert hearing.kinds() == [Kind.CLOCK_STEPPED]


def test_beats_after_goodbye() -> None:
    """Heartbeats that go on after a goodbye are told once: it was forged, or the stop failed."""
    hearing = steady()
    hearing.hear(A.goodbye(4.6), 4.6)
    hearing.beats(A, steps(5.0, 5))
    assert hearing.kinds() == [Kind.LEFT, Kind.BEATS_AFTER_GOODBYE]


def test_a_goodbye_of_a_former_process_is_not_the_new_ones() -> None:
    """A goodbye of the old unique id, heard after the restart, removes nobody who lives here now."""
    hearing = steady()
    new = A.again(5.0)
    hearing.beats(new, [6.0])
    assert A.member.unique_id in hearing.track(A).rivals
    assert hearing.hear(A.goodbye(6.1), 6.1) == []
    assert hearing.track(A).presence is Presence.PRESENT
    assert hearing.track(A).rivals == {}


def test_two_processes_on_one_address_clash() -> None:
    """Two unique ids that interleave are told once while it lasts, and again when it comes back."""
    hearing = steady(count=20)
    twin = Node(1, born=-100.0, incarnation=9)
    for at in steps(9.75, 20):
        hearing.beats(twin, [at])
        hearing.beats(A, [at + 0.25])
    [clash] = hearing.told
    assert clash.kind is Kind.ADDRESS_CLASH
    assert clash.values == {"other_unique_id": A.member.unique_id.hex()}
    hearing.beats(A, steps(20.0, 20))
    hearing.beats(twin, [29.75])
    assert hearing.kinds() == [Kind.ADDRESS_CLASH] * 2
    assert hearing.track(A).restarts_unclean == 0


def test_twins_started_together_clash_from_the_third_beat() -> None:
    """Two young processes look like a restart at first; the first one beating on gives them away."""
    hearing = Hearing()
    twin = A.again(0.0)
    for at in steps(1.0, 10):
        hearing.beats(A, [at])
        hearing.beats(twin, [at + 0.1])
    assert hearing.kinds()[-1] is Kind.ADDRESS_CLASH
    assert hearing.kinds().count(Kind.ADDRESS_CLASH) == 1
    assert hearing.kinds().count(Kind.RESTARTED) <= 1


def test_an_older_process_on_a_silent_address_is_no_clash() -> None:
    """Who takes over an address that has fallen silent restarted it, however long it had run unheard."""
    hearing = steady()
    hearing.beats(Node(1, born=-100.0, incarnation=9), steps(10.0, 5))
    assert hearing.kinds() == [Kind.LATE, Kind.SILENT, Kind.RESTARTED]


def test_a_rolling_restart_is_no_clash() -> None:
    """Every member restarted in turn, cleanly, tells of leaving and restarting, nothing else."""
    hearing = Hearing()
    nodes = [Node(n) for n in range(1, 5)]
    for at in steps(0.0, 10):
        for node in nodes:
            hearing.beats(node, [at + node.number * 0.01])
    hearing.told.clear()
    now = 5.0
    for turn, node in enumerate(nodes):
        hearing.hear(node.goodbye(now), now)
        new = node.again(now + 3.0)
        for at in steps(now + 0.5, 12):
            for other in nodes[:turn] + nodes[turn + 1 :]:
                hearing.beats(other, [at + other.number * 0.01])
            if at >= new.born + 1.0:
                hearing.beats(new, [at + 0.3])
        nodes[turn] = new
        now += 6.5
    assert hearing.kinds(without=frozenset({Kind.STALLED, Kind.HEARTBEATS_LOST})) == [
        Kind.LEFT,
        Kind.RESTARTED,
    ] * len(nodes)
    assert all(not track.rivals and not track.clash_until for track in hearing.membership)


# -- gaps


def test_heartbeats_lost() -> None:
    """Two datagrams lost are told and counted when the next one comes in phase."""
    hearing = steady()
    hearing.beats(A, steps(6.0 - 1e-6, 3))
    [lost] = hearing.told
    assert (lost.kind, lost.values["lost"], hearing.track(A).lost) == (Kind.HEARTBEATS_LOST, 2, 2)
    assert lost.text == "2 heartbeats of 10.0.0.1:4000 were lost on the way (1.50 s, phase kept)"


def test_stalled() -> None:
    """A sender that paused resumes out of phase: the pause beyond one period is told and summed up."""
    hearing = steady()
    hearing.beats(A, [5.75, 6.25, 7.5])
    assert hearing.kinds() == [Kind.STALLED, Kind.STALLED]
    track = hearing.track(A)
    assert track.stalls == 2
    assert track.stall_seconds == pytest.approx(0.75 + 0.75, abs=1e-3)


def test_a_sender_that_slept_with_its_clock_stalled() -> None:
    """A machine that was suspended comes back with an alive time that stood still: a pause all the same."""
    hearing = steady()
    slept = Node(1)
    slept.clock = -15.2
    hearing.beats(slept, [4.5 + 15.7, 20.7])
    assert Kind.STALLED in hearing.kinds()
    assert hearing.one(Kind.STALLED).text.endswith(", and its clock with it")


def test_a_short_delay_is_nobodys_news() -> None:
    """Datagrams held up for less than t_late, then a burst, tell nothing."""
    hearing = steady()
    for sent, at in ((5.0, 5.9), (5.5, 5.91), (6.0, 6.0), (6.5, 6.5)):
        hearing.hear(A.beat(sent), at)
    assert hearing.told == []


@pytest.mark.parametrize("seconds", [60.0, -60.0, 0.25, -0.25])
def test_clock_stepped(seconds: float) -> None:
    """A step of the member's clock is measured; nobody is called late, stalled or restarted for it."""
    hearing = steady(Node(1, born=-1000.0))
    stepped = Node(1, born=-1000.0)
    stepped.clock = seconds
    hearing.beats(stepped, steps(5.0, 10))
    [step] = hearing.told
    assert step.kind is Kind.CLOCK_STEPPED
    assert step.values == {"step_seconds": pytest.approx(seconds, abs=2e-3)}


def test_a_members_own_period_is_learnt() -> None:
    """A member slower than the group's frequency is known by its own period after five gaps."""
    hearing = Hearing(Rules(frequency=0.5))
    hearing.beats(A, steps(0.0, 10, 1.0))
    assert hearing.track(A).period == pytest.approx(1.0)
    assert hearing.kinds() == [Kind.JOINED]
    hearing.beats(A, [11.0])
    assert hearing.told[-1].values["lost"] == 1


def test_early_gaps_are_not_judged_unless_they_are_late() -> None:
    """Before its period is known a member's short gaps tell nothing, its long ones do."""
    hearing = Hearing()
    hearing.beats(A, [0.0, 0.7, 1.3])
    assert hearing.kinds() == [Kind.JOINED]
    hearing.beats(A, [3.3])
    assert hearing.kinds() == [Kind.JOINED, Kind.LATE, Kind.HEARTBEATS_LOST]


@pytest.mark.parametrize("payload", [b"", bytes(2000)], ids=["small", "large"])
@pytest.mark.parametrize("jitter", [0.0, 0.02, 0.07])
def test_the_short_path_and_the_long_one_count_alike(payload: bytes, jitter: float) -> None:
    """A watch, which remembers what repeats, counts as a membership that looks at every heartbeat."""
    node = Node(1, payload=payload)
    watched, closely = Vantage(), Hearing()
    for n in range(60):
        at = n * 0.501 + (jitter if n % 3 == 0 else 0.0) + (5.13 if n > 40 else 0.0)
        watched.hear(node.beat(at), at)
        closely.hear(Node(1, payload=payload).beat(at), at)
    other = watched.watch.membership
    assert [(e.kind, e.at) for e in watched.told if e.member] == [(e.kind, e.at) for e in closely.told]
    assert other.gaps.counts == closely.membership.gaps.counts
    assert other.gaps.sum == pytest.approx(closely.membership.gaps.sum)
    [track] = other
    for name in ("heartbeats", "last_heard", "alive_ms", "presence", "lost", "stalls"):
        assert getattr(track, name) == getattr(closely.track(node), name)
    assert track.period == pytest.approx(closely.track(node).period, abs=jitter / 4 + 1e-6)


def test_a_delayed_beat_is_not_counted_in_time() -> None:
    """A known member's datagram that was held up counts in the bucket of its true gap."""
    watched, closely = Vantage(), Hearing()
    for n in range(40):
        at = n * PERIOD + (0.3 if n % 10 == 9 else 0.0)
        watched.hear(A.beat(n * PERIOD), at)
        closely.hear(A.beat(n * PERIOD), at)
    assert watched.watch.membership.gaps.counts == closely.membership.gaps.counts
    assert [watched.watch.membership.gaps.counts[bucket] for bucket in (1, 3, 5)] == [3, 32, 4]


def test_what_repeats_from_another_place_is_looked_at() -> None:
    """The same bytes from another source are a mismatch though the member is known well."""
    vantage = Vantage()
    for n in range(20):
        vantage.hear(A.beat(n * PERIOD), n * PERIOD, HOME)
    vantage.hear(A.beat(10.0), 10.0, Origin(bytes((10, 0, 0, 9)), "eth0", 1))
    assert [event.kind for event in vantage.told if event.member] == [Kind.JOINED, Kind.ADDRESS_MISMATCH]


def test_time_that_goes_back_is_held() -> None:
    """A datagram stamped before the one before it is taken as arriving with it."""
    hearing = steady()
    hearing.membership.hear(A.beat(5.0), 4.0)
    assert hearing.track(A).last_heard == 4.5


# -- what is odd


@pytest.mark.parametrize(
    ("host", "source", "ending"),
    [
        (bytes((10, 0, 0, 1)), bytes((10, 0, 0, 9)), "10.0.0.9, another address"),
        (bytes((127, 0, 1, 1)), bytes((10, 0, 0, 9)), "(address=auto and the host's own name?)"),
        (bytes(15) + b"\1", bytes(15) + b"\2", "(address=auto and the host's own name?)"),
    ],
)
def test_address_mismatch(host: bytes, source: bytes, ending: str) -> None:
    """A host field that is not the source is told once; a loopback one as what it is."""
    node = Node(1, host=host)
    hearing = Hearing()
    hearing.beats(node, steps(0.0, 10), Origin(source))
    mismatch = hearing.one(Kind.ADDRESS_MISMATCH)
    assert mismatch.text.endswith(ending)
    assert hearing.track(node).mismatch


def test_address_mismatch_ends_and_comes_back() -> None:
    """A member that moves behind another address and back is told of each time it does not match."""
    hearing = Hearing()
    elsewhere = Origin(bytes((10, 0, 0, 9)))
    for n, origin in enumerate((HOME, elsewhere, HOME, NOWHERE, elsewhere)):
        hearing.beats(A, [n * PERIOD], origin)
    assert hearing.kinds().count(Kind.ADDRESS_MISMATCH) == 2


def test_all_on_one_loopback_address_clash_and_mismatch() -> None:
    """Three hosts that all announce 127.0.1.1:4000 are told as a clash, and as unreachable."""
    hearing = Hearing()
    nodes = [Node(1, born=-50.0 * n, incarnation=n, host=bytes((127, 0, 1, 1))) for n in range(3)]
    for at in steps(0.0, 12):
        for n, node in enumerate(nodes):
            hearing.beats(node, [at + n * 0.1], Origin(bytes((10, 0, 0, n + 1))))
    assert {Kind.ADDRESS_CLASH, Kind.ADDRESS_MISMATCH} < set(hearing.kinds())
    assert len(hearing.membership) == 1


@pytest.mark.parametrize(
    ("rules", "node", "words"),
    [
        (Rules(expected=frozenset({B.name})), A, "10.0.0.1:4000 is not an expected member"),
        (Rules(domain=b"shop"), Node(1, domain=b"test"), "10.0.0.1:4000 is of domain 'test', not 'shop'"),
        (
            Rules(domain=b"shop"),
            Node(1, domain=b"\x1b[2J"),
            "10.0.0.1:4000 is of domain '\\x1b[2J', not 'shop'",
        ),
    ],
)
def test_stranger(rules: Rules, node: Node, words: str) -> None:
    """A member or a domain that is not expected is told once it is heard, and again when it restarts."""
    hearing = Hearing(rules)
    hearing.beats(node, steps(0.0, 5))
    assert (hearing.kinds(), hearing.told[1].text) == ([Kind.JOINED, Kind.STRANGER], words)
    hearing.beats(node.again(10.0), [11.0])
    assert hearing.kinds().count(Kind.STRANGER) == 2


@pytest.mark.parametrize(
    ("rules", "node"),
    [
        (Rules(), Node(1, domain=b"any")),
        (Rules(domain=b"shop"), Node(1, domain=b"shop")),
        (Rules(expected=frozenset({A.name})), A),
        (Rules(expected_count=1), A),
    ],
)
def test_no_stranger(rules: Rules, node: Node) -> None:
    """Who is expected, or where nothing is said, is no stranger; domains in one group are nobody's fault."""
    hearing = Hearing(rules)
    hearing.beats(node, steps(0.0, 3))
    assert hearing.kinds() == [Kind.JOINED]


# -- asking


def test_a_receiver_closes_freezes_and_answers() -> None:
    """Each change of how a receiver takes questions is told, and nothing else."""
    hearing = steady()
    at = 4.6
    for outcome in (
        Outcome.ANSWERED,
        Outcome.ANSWERED,
        Outcome.REFUSED,
        Outcome.CONNECT_TIMEOUT,
        Outcome.ANSWER_TIMEOUT,
        Outcome.NO_ACK,
        Outcome.ANSWERED,
        Outcome.FAIL_ACK,
    ):
        hearing.take(A, outcome, at)
        at += 0.01
    assert hearing.kinds() == [Kind.RECEIVER_CLOSED, Kind.RECEIVER_FROZEN, Kind.RECEIVER_ANSWERS]
    track = hearing.track(A)
    assert track.checks == {"ack": 8}
    assert track.failures == {
        ("ack", "refused"): 1,
        ("ack", "connect-timeout"): 1,
        ("ack", "answer-timeout"): 1,
        ("ack", "no-ack"): 1,
    }
    assert sum(hearing.membership.check_seconds[Check.ACK].counts) == 4


def test_a_first_failure_is_told() -> None:
    """A member whose very first answer fails is told of."""
    hearing = steady()
    [closed] = hearing.take(A, Outcome.REFUSED, 4.6, Check.CONNECT)
    assert closed.text == "the receiver of 10.0.0.1:4000 takes no connection (refused)"
    assert closed.values == {"outcome": "refused", "check": "connect"}


def test_another_level_of_asking_is_no_news() -> None:
    """A receiver that took connects and now answers questions does not answer again: it always did."""
    hearing = steady()
    hearing.take(A, Outcome.CONNECTED, 4.6, Check.CONNECT)
    hearing.take(A, Outcome.ANSWERED, 4.7)
    assert hearing.told == []


def test_a_receiver_that_closes_after_the_goodbye_is_no_news() -> None:
    """A clean stop closes its receiver."""
    hearing = steady()
    hearing.hear(A.goodbye(4.6), 4.6)
    hearing.take(A, Outcome.REFUSED, 4.7)
    assert hearing.kinds() == [Kind.LEFT]


def test_an_answer_of_nobody_is_dropped() -> None:
    """An answer that comes after its member was forgotten changes nothing."""
    hearing = Hearing()
    assert hearing.take(A, Outcome.ANSWERED, 1.0) == []
    assert len(hearing.membership) == 0


# -- who is expected


def test_an_expected_member_is_known_before_it_is_heard() -> None:
    """It stands unheard under its own address, can be asked, and joins without a change of place."""
    hearing = Hearing(Rules(expected=frozenset({A.name, "[2001:db8::7]:4001"})))
    track = hearing.track(A)
    assert (track.presence, track.expected) == (Presence.UNHEARD, True)
    hearing.take(A, Outcome.ANSWERED, 1.0)
    assert track.answer is not None
    hearing.beats(A, [2.0])
    assert hearing.kinds() == [Kind.JOINED]
    assert hearing.track(A) is track
    six = hearing.membership.named("[2001:db8::7]:4001")
    assert six is not None
    assert six.address == bytes.fromhex("20010db8000000000000000000000007" + "00000fa1")


def test_an_expected_member_is_never_forgotten() -> None:
    """Silent or left for longer than forget_after, an expected member stays known, and can return."""
    hearing = steady(rules=Rules(expected=frozenset({A.name}), forget_after=60.0))
    hearing.until(10_000.0)
    assert hearing.kinds() == [Kind.LATE, Kind.SILENT]
    hearing.beats(A, steps(10_000.0, 3))
    assert hearing.kinds() == [Kind.LATE, Kind.SILENT, Kind.RETURNED, Kind.HEARTBEATS_LOST]
    assert hearing.membership.deadline() == 10_001.0 + 1.5


def test_new_rules_keep_the_members() -> None:
    """Who is known stays known; expectations and times are the new ones from then on."""
    hearing = steady()
    counts = list(hearing.membership.gaps.counts)
    hearing.membership.adopt(Rules(drop_time=30.0, expected=frozenset({B.name})))
    assert [(t.name, t.expected) for t in hearing.membership] == [(A.name, False), (B.name, True)]
    assert hearing.membership.gaps.counts == counts
    hearing.until(34.4)
    assert hearing.kinds() == [Kind.LATE]
    hearing.until(34.5)
    assert hearing.kinds() == [Kind.LATE, Kind.SILENT]
    hearing.membership.adopt(Rules(frequency=1.0))
    assert sum(hearing.membership.gaps.counts) == 0
    assert [(t.name, t.expected) for t in hearing.membership] == [(A.name, False)]


def test_a_silent_stranger_may_become_expected() -> None:
    """One heard a single time, then named in new rules, is not forgotten, and is late in its time again."""
    hearing = Hearing(Rules(forget_after=60.0))
    hearing.beats(A, [0.0])
    hearing.until(10.0)
    hearing.membership.adopt(Rules(forget_after=60.0, expected=frozenset({A.name})))
    hearing.until(100.0)
    hearing.beats(A, [100.0])
    hearing.until(200.0)
    assert hearing.kinds(without=frozenset({Kind.HEARTBEATS_LOST})) == [
        Kind.JOINED,
        Kind.LATE,
        Kind.SILENT,
        Kind.RETURNED,
        Kind.LATE,
        Kind.SILENT,
    ]


def test_two_spellings_of_one_address_are_one_member() -> None:
    """A scope in an expected name does not make a second member of an address that is known."""
    host = bytes.fromhex("fe800000000000000000000000000001")
    node = Node(1, host=host)
    hearing = steady(node)
    hearing.membership.adopt(Rules(expected=frozenset({"[fe80::1%eth0]:4000"})))
    assert [track.name for track in hearing.membership] == ["[fe80::1]:4000"]


def test_events_carry_their_numbers() -> None:
    """What a text says in words its values say for machines, and the member's unique id stands beside."""
    hearing = steady()
    hearing.until(7.5)
    silent = hearing.one(Kind.SILENT)
    assert silent == Event(
        at=7.5,
        kind=Kind.SILENT,
        group="228.0.0.4:45564",
        text="10.0.0.1:4000 is silent: no heartbeat for 3.0 s, which is dropTime",
        member="10.0.0.1:4000",
        unique_id=A.member.unique_id.hex(),
        values={"gap_seconds": 3.0},
    )
