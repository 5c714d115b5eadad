"""What one vantage says of the cluster, story by story; silence speaks at its exact deadline."""

import pytest
from support.members import Node, Vantage

from probe.model.events import Kind
from probe.model.evidence import Check, Outcome
from probe.model.fitness import Unfit
from probe.model.rules import Rules

A, B, C = NODES = Node(1), Node(2), Node(3)
EXPECTED = Rules(expected=frozenset(node.name for node in NODES))


def whole(rules: Rules | None = None, until: float = 5.0) -> Vantage:
    """Return a vantage that heard three members beat up to a time; nothing is left to be told."""
    vantage = Vantage(rules)
    vantage.beats(NODES, 0.0, until)
    assert vantage.state == "whole"
    vantage.told.clear()
    return vantage


def fall_silent(vantage: Vantage, *silent: Node, at: float = 5.0, until: float = 9.0) -> None:
    """Let some members beat on while the others are silent."""
    vantage.beats([node for node in NODES if node not in silent], at, until)


# -- one member gone


def test_a_late_member_does_not_move_the_verdict() -> None:
    """Late alone, out of whole, keeps whole: it is still a member; silence then degrades."""
    vantage = whole()
    fall_silent(vantage, C, until=7.0)
    assert vantage.of(C) == "late"
    assert (vantage.state, vantage.said()) == ("whole", "3 of 3 members alive")
    fall_silent(vantage, C, at=7.0)
    assert vantage.states == [Kind.DEGRADED]
    assert vantage.of(C) == "silent"


def test_a_crash_told_by_its_receiver_degrades_once() -> None:
    """Receiver closed, late, silent and lost: the cluster is degraded from the first, without a flap."""
    vantage = whole()
    vantage.take(C, Outcome.REFUSED, 5.0)
    said = {}
    for at in (5.5, 7.0, 9.0):
        fall_silent(vantage, C, at=at - 0.5 if at == 5.5 else at - 1.5, until=at)
        said[vantage.of(C)] = vantage.said()
    assert vantage.states == [Kind.DEGRADED]
    assert said == {
        "half": "2 of 3 members alive; 10.0.0.3:4000 is heard but its receiver fails (refused): "
        "nobody can replicate to it",
        "late": "2 of 3 members alive; 10.0.0.3:4000 is late (last 4.5) and its receiver fails (refused)",
        "lost": "2 of 3 members alive; 10.0.0.3:4000 is lost (last 4.5), its receiver is closed (refused)",
    }


def test_a_late_member_whose_receiver_answers_is_alive() -> None:
    """An answer that serves leaves a late member counted."""
    vantage = whole()
    vantage.take(C, Outcome.ANSWERED, 5.0)
    fall_silent(vantage, C, until=7.0)
    assert vantage.of(C) == "late"
    assert vantage.states == []


def test_left() -> None:
    """A clean stop degrades; both renderings of the sentence read right."""
    vantage = whole()
    vantage.hear(C.goodbye(5.0), 5.0)
    fall_silent(vantage, C, until=6.0)
    verdict = vantage.watch.judge.verdict
    assert verdict.sentence(lambda at: f"03:12:{at:02.0f}") == (
        "degraded since 03:12:05: 2 of 3 members alive; 10.0.0.3:4000 left (03:12:05) with a goodbye"
    )
    [change] = [event for event in vantage.told if event.kind is Kind.DEGRADED]
    assert change.say(lambda at: f"{at:.1f}") == (
        "degraded since 5.0: 2 of 3 members alive; 10.0.0.3:4000 left (5.0) with a goodbye"
    )
    assert change.values == {"before": "whole", "alive": 2, "wanted": 3}


def test_half_and_back() -> None:
    """A member that is heard but cannot be reached degrades until it answers again."""
    vantage = whole()
    vantage.take(C, Outcome.ANSWER_TIMEOUT, 5.0)
    vantage.beats(NODES, 5.0, 6.0)
    assert vantage.of(C) == "half"
    vantage.take(C, Outcome.ANSWERED, 6.0)
    vantage.beats(NODES, 6.0, 7.0)
    assert vantage.states == [Kind.DEGRADED, Kind.WHOLE]


@pytest.mark.parametrize(
    ("outcome", "check", "state", "words"),
    [
        (None, Check.ACK, "silent", "its receiver was not asked: mute, frozen and lost cannot be told apart"),
        (Outcome.CONNECTED, Check.CONNECT, "silent", "mute and frozen cannot be told apart by a connect"),
        (
            Outcome.ANSWER_TIMEOUT,
            Check.ACK,
            "frozen",
            "is frozen: not heard (last 4.5), it accepts but",
        ),
        (Outcome.REFUSED, Check.ACK, "lost", "is lost (last 4.5), its receiver is closed (refused)"),
        (Outcome.ANSWERED, Check.ACK, "mute", "is not heard (last 4.5) but answers on TCP (2 ms)"),
        (Outcome.FAIL_ACK, Check.ACK, "mute", "is not heard (last 4.5) but answers on TCP"),
    ],
)
def test_silence_is_named_by_what_the_receiver_says(
    outcome: Outcome | None, check: Check, state: str, words: str
) -> None:
    """The same silence is silent, frozen, lost or mute by the answer; the sentence says which, and degraded."""
    vantage = whole()
    fall_silent(vantage, C, until=8.0)
    if outcome:
        vantage.take(C, outcome, 8.0, check)
    fall_silent(vantage, C, at=8.0, until=9.0)
    assert vantage.of(C) == state
    assert words in vantage.said()
    assert vantage.states == [Kind.DEGRADED]


def test_an_expected_member_that_never_came() -> None:
    """Expected and never heard is missing, and said so."""
    vantage = Vantage(EXPECTED)
    vantage.beats([A, B], 0.0, 5.0)
    assert (vantage.state, vantage.said()) == (
        "degraded",
        "2 of 3 members alive; 10.0.0.3:4000 is expected and was never heard",
    )


def test_a_stranger_is_nobodys_loss() -> None:
    """Where members are expected by name, another that comes and goes changes nothing."""
    vantage = whole(EXPECTED)
    stranger = Node(9)
    vantage.beats([*NODES, stranger], 5.0, 7.0)
    vantage.beats(NODES, 7.0, 15.0)
    assert vantage.of(stranger) == "silent"
    assert vantage.states == []


def test_a_count_is_expected() -> None:
    """With a number expected, whoever is alive counts; the gone are named only while the number is not met."""
    vantage = Vantage(Rules(expected_count=3))
    vantage.beats(NODES, 0.0, 5.0)
    assert vantage.state == "whole"
    vantage.hear(C.goodbye(5.0), 5.0)
    vantage.beats([A, B], 5.0, 6.0)
    assert (vantage.state, vantage.said()) == (
        "degraded",
        "2 of 3 members alive; 10.0.0.3:4000 left (5.0) with a goodbye",
    )
    vantage.beats([A, B, Node(4)], 6.0, 8.0)
    assert (vantage.state, vantage.said()) == ("whole", "3 of 3 members alive")


def test_many_missing_are_counted() -> None:
    """One sentence names five members and counts the others."""
    vantage = Vantage()
    many = [Node(n) for n in range(1, 9)]
    vantage.beats(many, 0.0, 5.0)
    vantage.beats(many[:1], 5.0, 9.0)
    assert vantage.said().count("is silent") == 5
    assert vantage.said().endswith("; and 2 more")


# -- the latent split


def test_a_latent_split_is_said_after_t_stable() -> None:
    """A mute member is degraded at first; ten seconds after its last beat it is a latent split."""
    vantage = whole()
    fall_silent(vantage, C, until=8.0)
    vantage.take(C, Outcome.ANSWERED, 8.0)
    fall_silent(vantage, C, at=8.0, until=30.0)
    changes = [(e.kind, round(e.at, 3)) for e in vantage.told if not e.member]
    assert changes == [(Kind.DEGRADED, 7.503), (Kind.LATENT_SPLIT, 14.503)]
    verdict = vantage.watch.judge.verdict
    assert verdict.since == pytest.approx(7.503)
    assert vantage.said() == (
        "10.0.0.3:4000 is not heard (last 4.5) but answers on TCP (2 ms); multicast is broken, TCP is not. "
        "Do not restart any node: it would not be let back in"
    )


@pytest.mark.parametrize("failure", [Outcome.ANSWER_TIMEOUT, Outcome.REFUSED])
def test_a_member_that_answers_a_moment_before_it_beats_is_no_latent_split(failure: Outcome) -> None:
    """A JVM that stood still, or one started again, is mute for seconds: nothing is said of it."""
    vantage = whole()
    fall_silent(vantage, C, until=8.0)
    vantage.take(C, failure, 8.0)
    fall_silent(vantage, C, at=8.0, until=60.0)
    vantage.take(C, Outcome.ANSWERED, 60.0)
    fall_silent(vantage, C, at=60.0, until=68.0)
    assert vantage.of(C) == "mute"
    vantage.beats(NODES, 68.0, 80.0)
    assert Kind.LATENT_SPLIT not in vantage.states


def test_one_answer_out_of_a_long_silence_is_no_latent_split_yet() -> None:
    """It was not asked while it stood still: its first answer must be a dropTime old."""
    vantage = whole()
    fall_silent(vantage, C, until=20.0)
    vantage.take(C, Outcome.ANSWERED, 20.0)
    fall_silent(vantage, C, at=20.0, until=22.9)
    assert vantage.states == [Kind.DEGRADED]
    fall_silent(vantage, C, at=23.0, until=24.0)
    assert vantage.states == [Kind.DEGRADED, Kind.LATENT_SPLIT]


def test_who_hears_nobody_is_deaf_and_no_latent_split() -> None:
    """Where three dropTimes are longer than t_stable it waits for them."""
    vantage = whole(Rules(drop_time=6.0))
    vantage.until(11.5)
    for node in NODES:
        vantage.take(node, Outcome.ANSWERED, 11.5)
    vantage.until(40.0)
    assert vantage.state == "deaf"
    assert Kind.LATENT_SPLIT not in vantage.states


def test_a_latent_split_of_a_stranger_is_one_too() -> None:
    """A mute member that nobody expects is named with it."""
    vantage = whole(Rules(expected=frozenset({A.name, B.name})))
    fall_silent(vantage, C, until=8.0)
    vantage.take(C, Outcome.ANSWERED, 8.0)
    fall_silent(vantage, C, at=8.0, until=30.0)
    assert vantage.states == [Kind.LATENT_SPLIT]
    assert vantage.said().startswith("10.0.0.3:4000 is not heard")


def test_a_split_heals_by_merging() -> None:
    """Members back with the unique ids they had merge for t_stable, and are merged then."""
    vantage = whole()
    fall_silent(vantage, C, until=8.0)
    vantage.take(C, Outcome.ANSWERED, 8.0)
    fall_silent(vantage, C, at=8.0, until=30.0)
    vantage.beats(NODES, 30.0, 45.0)
    assert vantage.states == [Kind.DEGRADED, Kind.LATENT_SPLIT, Kind.MERGING, Kind.MERGED]
    merging, merged = (event for event in vantage.told[-5:] if event.kind in {Kind.MERGING, Kind.MERGED})
    assert "their sessions diverged" in merging.say(str)
    assert merged.at - merging.at == pytest.approx(10.0, abs=0.2)
    assert vantage.state == "whole"


def test_a_pause_does_not_merge() -> None:
    """A member that stood still for longer than dropTime returns to a whole cluster at once."""
    vantage = whole()
    fall_silent(vantage, C, until=9.0)
    vantage.beats(NODES, 9.2, 12.2)
    assert vantage.states == [Kind.DEGRADED, Kind.WHOLE]


def test_who_returns_and_goes_again_is_not_merging() -> None:
    """The merging ends when the member that returned leaves or falls silent."""
    vantage = whole()
    fall_silent(vantage, C, until=9.0)
    vantage.beats(NODES, 9.0, 11.0)
    assert vantage.state == "merging"
    vantage.hear(C.goodbye(11.0), 11.0)
    fall_silent(vantage, C, at=11.0, until=12.0)
    assert vantage.state == "degraded"


# -- nobody heard


@pytest.mark.parametrize(
    ("outcome", "states"),
    [
        (Outcome.REFUSED, [Kind.DEGRADED, Kind.DOWN]),
        (Outcome.ANSWERED, [Kind.DEGRADED, Kind.DEAF]),
        (None, [Kind.DEGRADED, Kind.UNKNOWN]),
    ],
)
def test_when_nobody_is_heard_the_receivers_decide(outcome: Outcome | None, states: list[Kind]) -> None:
    """Refused everywhere is down, answered is deaf after three dropTimes, not asked is unknown."""
    vantage = whole()
    vantage.until(7.6)
    if outcome:
        for node in NODES:
            vantage.take(node, outcome, 7.6)
    vantage.until(60.0)
    seen = [state for state in vantage.states if state is not Kind.UNKNOWN or outcome is None]
    assert seen[-1] is states[-1]
    assert vantage.state == states[-1].value


def test_deaf_is_said_at_three_drop_times() -> None:
    """The exact moment is nine seconds after the last thing heard, a goodbye included."""
    vantage = whole()
    vantage.hear(B.goodbye(6.0), 6.0)
    vantage.until(8.5)
    vantage.take(A, Outcome.ANSWERED, 8.5)
    vantage.take(C, Outcome.ANSWERED, 8.5)
    vantage.until(60.0)
    [deaf] = [event for event in vantage.told if event.kind is Kind.DEAF]
    assert deaf.at == pytest.approx(6.0 + 9.0)
    assert "suspect this host, not the cluster" in deaf.say(str)


def test_one_not_asked_is_enough_to_be_unsure() -> None:
    """With one receiver refused and one not asked, deaf and down look alike."""
    vantage = whole()
    vantage.until(7.6)
    vantage.take(A, Outcome.REFUSED, 7.6)
    vantage.until(60.0)
    assert vantage.state == "unknown"
    assert "a deaf vantage and a dead cluster look alike" in vantage.said()


def test_all_left_is_down() -> None:
    """After the last goodbye the cluster is down; nobody needs to be asked."""
    vantage = whole()
    for node in NODES:
        vantage.hear(node.goodbye(5.0), 5.0)
    vantage.until(6.0)
    assert vantage.state == "down"
    assert vantage.said().startswith("0 of 3 members alive; 10.0.0.1:4000 left (5.0) with a goodbye")


def test_deaf_from_the_start() -> None:
    """Expected members that answer, though nothing was ever heard, make it deaf after three dropTimes."""
    vantage = Vantage(EXPECTED)
    for node in NODES:
        vantage.take(node, Outcome.ANSWERED, 1.0)
    vantage.until(8.9)
    assert vantage.state == "degraded"
    vantage.until(9.0)
    assert vantage.state == "deaf"


def test_empty() -> None:
    """Nothing ever heard and nothing expected is empty."""
    vantage = Vantage()
    vantage.until(60.0)
    assert (vantage.state, vantage.said()) == ("empty", "nothing was ever heard and nothing is expected")


def test_a_number_of_which_nobody_is_known_is_not_down() -> None:
    """Three expected and nobody ever heard: there is nobody to ask, so nothing can be said."""
    vantage = Vantage(Rules(expected_count=3))
    vantage.until(60.0)
    assert vantage.state == "unknown"


# -- fitness


def test_nothing_is_said_at_the_start() -> None:
    """For one dropTime after its start the probe cannot judge; then it does, at that very moment."""
    vantage = Vantage(fit=False)
    vantage.beats(NODES, 0.0, 2.9)
    assert vantage.state == "unknown"
    assert vantage.said() == "the probe is not fit to judge (starting)"
    assert {event.fit for event in vantage.told} == {False}
    vantage.beats(NODES, 3.0, 4.0)
    assert [(event.kind, event.at, event.fit) for event in vantage.told if not event.member] == [
        (Kind.WHOLE, 3.0, True)
    ]


def test_a_starved_probe_raises_no_alarm() -> None:
    """What a probe that was behind believes silent is unknown; what then returns was never away."""
    vantage = whole()
    watch = vantage.watch
    watch.fitness.calm = 3.0
    watch.fitness.lag(6.0, 11.0)
    watch.unsettle(11.0)
    vantage.told += watch.tick(11.0)
    assert vantage.state == "unknown"
    vantage.beats(NODES, 11.0, 30.0)
    assert vantage.states == [Kind.UNKNOWN, Kind.WHOLE]
    unknown = next(event for event in vantage.told if event.kind is Kind.UNKNOWN)
    assert not unknown.fit
    assert unknown.say(str).endswith(": the probe is not fit to judge (loop-lag)")
    assert all(not event.fit for event in vantage.told if event.kind in {Kind.SILENT, Kind.RETURNED})


def test_counts_are_unknown_while_unfit() -> None:
    """An unfit probe counts every member as unknown; a fit one by state."""
    vantage = whole()
    assert vantage.watch.judge.verdict.counts == {"alive": 3}
    vantage.watch.fitness.trouble(Unfit.NOT_JOINED, 5.0)
    vantage.watch.assess(5.0)
    assert vantage.watch.judge.verdict.counts == {"unknown": 3}
    assert vantage.said() == "the probe is not fit to judge (not-joined)"


# -- look-alikes


def test_a_rolling_restart_is_never_more_than_degraded() -> None:
    """Members restarted in turn degrade the cluster and make it whole again, nothing else."""
    vantage = whole()
    now, nodes = 5.0, list(NODES)
    for turn, node in enumerate(NODES):
        vantage.hear(node.goodbye(now), now)
        vantage.beats([n for n in nodes if n is not node], now, now + 4.0)
        nodes[turn] = node.again(now + 3.0)
        vantage.beats(nodes, now + 4.0, now + 8.0)
        now += 8.0
    assert vantage.states == [Kind.DEGRADED, Kind.WHOLE] * 3


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_clock_step_of_a_member_moves_nothing(seconds: float) -> None:
    """A member whose clock steps is told of; the cluster stays whole."""
    vantage = Vantage()
    nodes = [Node(n, born=-10_000.0) for n in (1, 2, 3)]
    vantage.beats(nodes, 0.0, 5.0)
    nodes[0].clock = seconds
    vantage.beats(nodes, 5.0, 20.0)
    assert [e.kind for e in vantage.told if e.member] == [Kind.JOINED] * 3 + [Kind.CLOCK_STEPPED]
    assert vantage.states == [Kind.EMPTY, Kind.WHOLE]


def test_domains_in_one_group_are_one_cluster() -> None:
    """Members of several domains share the group in peace where no domain is asked for."""
    vantage = Vantage()
    vantage.beats([Node(1, domain=b"a"), Node(2, domain=b"b")], 0.0, 10.0)
    assert [e.kind for e in vantage.told] == [Kind.EMPTY, Kind.JOINED, Kind.JOINED, Kind.WHOLE]


def test_its_own_host_is_never_heard() -> None:
    """A member with localLoopbackDisabled beside the probe is not missed unless it is expected."""
    vantage = Vantage()
    vantage.beats([A, B], 0.0, 30.0)
    assert vantage.states == [Kind.EMPTY, Kind.WHOLE]


def test_one_vantage_that_loses_two_of_four_says_only_what_it_hears() -> None:
    """Half the members out of hearing is degraded here, however the receivers answer: never a split."""
    vantage = Vantage()
    nodes = [Node(n) for n in range(1, 5)]
    vantage.beats(nodes, 0.0, 5.0)
    vantage.beats(nodes[:2], 5.0, 8.0)
    for node in nodes[2:]:
        vantage.take(node, Outcome.CONNECT_TIMEOUT, 8.0)
    vantage.beats(nodes[:2], 8.0, 40.0)
    assert vantage.states == [Kind.EMPTY, Kind.WHOLE, Kind.DEGRADED]
    assert vantage.said().startswith("2 of 4 members alive; ")


# -- members that send nothing


STATIC = Rules(static=frozenset({B.name}))


def test_a_static_member_is_alive_while_its_receiver_answers() -> None:
    """It is expected beside whoever is heard, who is no stranger; its answers stand for its heartbeats."""
    vantage = Vantage(STATIC)
    vantage.beats([A], 0.0, 3.0)
    assert (vantage.of(B), vantage.state) == ("unheard", "degraded")
    vantage.take(B, Outcome.CONNECTED, 3.0, Check.CONNECT)
    vantage.beats([A], 3.0, 4.0)
    assert (vantage.of(B), vantage.state) == ("alive", "whole")
    vantage.take(B, Outcome.REFUSED, 4.0, Check.CONNECT)
    vantage.beats([A], 4.0, 5.0)
    assert (vantage.of(B), vantage.state) == ("lost", "degraded")
    vantage.take(B, Outcome.ANSWER_TIMEOUT, 5.0)
    vantage.beats([A], 5.0, 6.0)
    assert (vantage.of(B), vantage.state) == ("frozen", "degraded")
    assert Kind.STRANGER not in [event.kind for event in vantage.told]


def test_static_members_alone_are_a_cluster() -> None:
    """Where nobody is to be heard, no answer means deaf: all answer, all is well."""
    vantage = Vantage(Rules(static=frozenset({A.name, B.name})))
    for node in (A, B):
        vantage.take(node, Outcome.CONNECTED, 1.0, Check.CONNECT)
    vantage.until(60.0)
    assert vantage.state == "whole"


def test_a_static_member_does_not_hide_a_deaf_vantage() -> None:
    """Members that were heard and are no longer, but answer, are not made up for by one that sends nothing."""
    vantage = Vantage(STATIC)
    vantage.beats([A], 0.0, 3.0)
    vantage.take(B, Outcome.CONNECTED, 3.0, Check.CONNECT)
    vantage.take(A, Outcome.ANSWERED, 6.0)
    vantage.until(30.0)
    assert vantage.state == "deaf"


# -- back without a restart: did it sleep, or live on elsewhere?


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.CONNECT_TIMEOUT, "merging"),  # cut off: a frozen JVM still takes connections
        (Outcome.ANSWERED, "merging"),  # it answered all the while
        (Outcome.ANSWER_TIMEOUT, "whole"),  # frozen: nothing was made meanwhile
    ],
)
@pytest.mark.parametrize("phase", [0.0, 0.2])
def test_the_receiver_tells_sleep_from_exile(outcome: Outcome, state: str, phase: float) -> None:
    """What its receiver said in the silence decides, not the phase of its heartbeats."""
    vantage = whole()
    fall_silent(vantage, C, until=8.5)
    vantage.take(C, outcome, 8.6)
    fall_silent(vantage, C, at=8.6, until=10.0)
    vantage.hear(C.beat(10.0 + phase), 10.0 + phase)
    vantage.take(C, Outcome.ANSWERED, 10.3)
    vantage.beats(NODES, 10.5, 12.0)
    assert vantage.state == state
