"""Any story at all: what befalls three Tomcats is told in a lawful order, and all stand where they should.

The oracle knows only when something was last heard on an address, and whether that was a goodbye.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.members import PERIOD, Node, answer

from probe.model.events import Event, Kind
from probe.model.evidence import MemberState, Outcome
from probe.model.fitness import Unfit
from probe.model.presence import Presence
from probe.model.rules import Rules
from probe.model.track import RIVALS, SAMPLES, Origin, Track
from probe.model.verdict import ClusterState
from probe.model.watch import Watch
from protocols.heartbeat import Heartbeat, encode

LATE, DROP, FORGET = 1.5, 3.0, 20.0
NUMBERS = (1, 2, 3)
NAMES = {number: Node(number).name for number in NUMBERS}
HOME = Origin(b"", "eth0", 1)

WHO = st.sampled_from(NUMBERS)
SOME = st.sets(WHO, min_size=1)

MAY_FOLLOW = {
    Kind.LATE: {"up"},
    Kind.SILENT: {"late"},
    Kind.RETURNED: {"silent", "lost"},
    Kind.LOST: {"silent"},
    Kind.LEFT: {"unknown", "up", "late", "silent", "lost"},
    Kind.JOINED: {"unknown"},
    Kind.BEATS_AFTER_GOODBYE: {"left"},
    Kind.FORGOTTEN: {"silent", "lost", "left"},
}
"""What must have been told of an address before."""
LEADS_TO = {
    Kind.LATE: "late",
    Kind.SILENT: "silent",
    Kind.LOST: "lost",
    Kind.LEFT: "left",
    Kind.FORGOTTEN: "unknown",
}


class Believed:
    """What the oracle knows of one address."""

    def __init__(self) -> None:
        self.unique_id = b""
        self.last = 0.0
        self.left = False

    def presence(self, now: float) -> Presence:
        """Say where it stands."""
        if not self.unique_id:
            return Presence.UNHEARD
        if self.left:
            return Presence.LEFT
        if self.last + LATE > now:
            return Presence.PRESENT
        return Presence.LATE if self.last + DROP > now else Presence.SILENT


class Stories(RuleBasedStateMachine):
    """Drives a watch as the daemon does: silence speaks at each deadline, then what came is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.wanted = Rules(forget_after=FORGET, capacity=8)
        self.watch = Watch(self.wanted, self.now)
        self.nodes = {number: Node(number, born=0.0) for number in NUMBERS}
        self.former = dict(self.nodes)
        self.believed = {number: Believed() for number in NUMBERS}
        self.stages = dict.fromkeys(NAMES.values(), "unknown")

    # -- what befalls them

    @rule(some=SOME, count=st.integers(1, 12))
    def beat(self, some: set[int], count: int) -> None:
        """Let some beat in time while the others are not heard."""
        for _ in range(count):
            self.pass_time(PERIOD)
            for number in sorted(some):
                self.hear(number, self.nodes[number].beat(self.now))

    @rule(seconds=st.sampled_from([0.001, 0.25, 0.73, 1.0, 1.5, 2.999, 3.0, 5.13, 25.0]))
    def stall(self, seconds: float) -> None:
        """Let nobody be heard for a while."""
        self.pass_time(seconds)

    @rule(who=WHO)
    def twins(self, who: int) -> None:
        """Let two heartbeats come close together, as after a start."""
        for _ in range(2):
            self.pass_time(0.004)
            self.hear(who, self.nodes[who].beat(self.now))

    @rule(who=WHO)
    def repeat(self, who: int) -> None:
        """Let a datagram come twice at one instant."""
        for _ in range(2):
            self.hear(who, self.nodes[who].beat(self.now))

    @rule(who=WHO)
    def goodbye(self, who: int) -> None:
        """Let one say goodbye; whether it then stops is another matter."""
        self.hear(who, self.nodes[who].goodbye(self.now))

    @rule(who=WHO)
    def belated_goodbye(self, who: int) -> None:
        """Let a goodbye of the process before come late, or be forged."""
        self.hear(who, self.former[who].goodbye(self.now))

    @rule(who=WHO, after=st.sampled_from([1.0, 2.0, 4.5, 9.0]))
    def restart(self, who: int, after: float) -> None:
        """Replace one by a new process, heard a second after its birth at the earliest."""
        self.former[who] = self.nodes[who]
        self.nodes[who] = self.nodes[who].again(self.now + after - 1.0)
        self.pass_time(after)
        self.hear(who, self.nodes[who].beat(self.now))

    @rule(who=WHO)
    def clash(self, who: int) -> None:
        """Let the process before beat on beside the new one."""
        self.hear(who, self.former[who].beat(self.now))

    @rule(who=WHO)
    def recover(self, who: int) -> None:
        """Let one re-make its multicast socket."""
        self.hear(who, self.nodes[who].goodbye(self.now))
        self.pass_time(0.003)
        self.hear(who, self.nodes[who].recovered(self.now))

    @rule(who=WHO, seconds=st.sampled_from([-1e6, -60.0, -0.5, 0.3, 3600.0]))
    def step_clock(self, who: int, seconds: float) -> None:
        """Step one's clock."""
        self.nodes[who].clock += seconds

    @rule(who=WHO, outcome=st.sampled_from([Outcome.ANSWERED, Outcome.REFUSED, Outcome.ANSWER_TIMEOUT]))
    def ask(self, who: int, outcome: Outcome) -> None:
        """Have a receiver take a question."""
        self.settle()
        self.tell(self.watch.take(self.nodes[who].address, answer(outcome, self.now), self.now))

    @rule(expected=st.sets(WHO))
    def reload(self, expected: set[int]) -> None:
        """Expect other members from now on."""
        names = frozenset(NAMES[number] for number in expected)
        self.wanted = Rules(forget_after=FORGET, capacity=8, expected=names)
        self.watch.adopt(self.wanted, self.now)
        self.settle()

    @rule()
    def starve(self) -> None:
        """Have the probe itself be behind."""
        self.watch.fitness.trouble(Unfit.LOOP_LAG, self.now)
        self.watch.unsettle(self.now)
        self.settle()

    @rule(count=st.integers(1, 20))
    def flood(self, count: int) -> None:
        """Send invented members, each once."""
        self.settle()
        lies = [(encode(Node(0x1000 + n).beat(self.now)), self.now, HOME) for n in range(count)]
        self.tell(self.watch.receive(lies))
        self.forget_who_left()

    # -- how time and datagrams reach the watch

    def pass_time(self, seconds: float) -> None:
        """Let time pass in silence."""
        self.now = round(self.now + seconds, 3)
        self.settle()

    def settle(self) -> None:
        """Let silence speak, each at its own time."""
        while (at := self.watch.deadline()) is not None and at <= self.now:
            self.tell(self.watch.tick(at))

    def forget_who_left(self) -> None:
        """Know no more of who had to leave a full table: who is gone leaves first."""
        for number in NUMBERS:
            if self.track(number) is None:
                self.believed[number] = Believed()
                self.stages[NAMES[number]] = "unknown"

    def hear(self, number: int, heartbeat: Heartbeat) -> None:
        """Let the watch hear a datagram, and the oracle know."""
        self.settle()
        self.tell(self.watch.receive([(encode(heartbeat), self.now, HOME)]))
        self.forget_who_left()
        known = self.believed[number]
        if self.track(number) is None:
            return  # refused in a flood
        member = heartbeat.member
        if member.is_goodbye:
            if member.unique_id == known.unique_id or not known.unique_id:
                known.last = known.last if known.left else self.now
                known.unique_id, known.left = member.unique_id, True
            return
        known.unique_id, known.last, known.left = member.unique_id, self.now, False
        self.stages[NAMES[number]] = "up"

    def tell(self, events: list[Event]) -> None:
        """Hold each event against what was told before it."""
        for event in events:
            assert event.at <= self.now
            if event.member not in self.stages:
                continue  # the cluster, or an invented member
            stage = self.stages[event.member]
            assert stage in MAY_FOLLOW.get(event.kind, {stage}), f"{event.kind} of one who is {stage}"
            if event.kind is Kind.RESTARTED:
                assert event.values["goodbye"] is (stage == "left")
            if event.kind is Kind.GHOST_SUSPECTED:
                assert stage != "left"
            if event.kind is Kind.ADDRESS_CLASH:
                assert stage in {"up", "late"}
            self.stages[event.member] = LEADS_TO.get(event.kind, stage)
            if event.kind is Kind.FORGOTTEN:
                self.forget(event)

    def forget(self, event: Event) -> None:
        """Let the oracle forget too, if it is time: up to one dropTime late, never early."""
        for number, name in NAMES.items():
            if name == event.member:
                assert name not in self.wanted.expected
                assert event.at >= self.believed[number].last + FORGET
                self.believed[number] = Believed()

    def track(self, number: int) -> Track | None:
        """Return what the membership knows."""
        return self.watch.membership.named(NAMES[number])

    # -- what always holds

    @invariant()
    def everybody_stands_where_they_should(self) -> None:
        """Presence is what the time since the last datagram says; the forgotten are not known."""
        for number, known in self.believed.items():
            track = self.track(number)
            if track is None:
                evicted = known.unique_id and known.presence(self.now) in {Presence.SILENT, Presence.LEFT}
                assert not known.unique_id or evicted
                assert NAMES[number] not in self.wanted.expected
                self.believed[number] = Believed()
                self.stages[NAMES[number]] = "unknown"
                continue
            assert track.presence is known.presence(self.now)
            assert track.unique_id == known.unique_id
            assert track.expected or not known.unique_id or known.last + FORGET + DROP > self.now

    @invariant()
    def everybody_waits_in_one_queue(self) -> None:
        """Each queue holds just those whose next deadline it is, in the order of their deadlines."""
        membership = self.watch.membership
        stands: dict[Presence, set[bytes]] = {presence: set() for presence in Presence}
        for track in membership:
            stands[track.presence].add(track.address)
        assert membership._present.keys() == stands[Presence.PRESENT]
        assert membership._late.keys() == stands[Presence.LATE]
        away = stands[Presence.SILENT] | stands[Presence.LEFT]
        waiting = membership._passing.keys() | membership._gone.keys()
        assert waiting <= away
        assert all(track.expected for track in membership if track.address in away - waiting)
        assert not membership._passing.keys() & membership._gone.keys()
        for queue in (membership._present, membership._late):
            heard = [track.last_heard for track in queue.values()]
            assert heard == sorted(heard)

    @invariant()
    def no_deadline_is_in_the_past(self) -> None:
        """After silence has spoken the next deadline is still to come."""
        self.settle()
        deadline = self.watch.deadline()
        assert deadline is None or deadline > self.now

    @invariant()
    def everything_has_a_size(self) -> None:
        """Members, names, rivals and samples stay within their bounds."""
        membership = self.watch.membership
        assert len(membership) <= 8 + len(NAMES)  # who is or was expected is taken in beyond capacity
        assert membership._names.keys() == {track.name for track in membership}
        for track in membership:
            assert membership.get(track.address) is track
            assert len(track.rivals) <= RIVALS
            assert len(track.samples) <= SAMPLES

    @invariant()
    def the_verdict_follows_from_the_members(self) -> None:
        """Judged now, whole means that all who are wanted are alive; one vantage never says split."""
        self.tell(self.watch.assess(self.now))
        state = self.watch.judge.verdict.state
        assert state not in {ClusterState.SPLIT, ClusterState.ASYMMETRIC}
        if self.watch.fitness.reasons(self.now):
            assert state is ClusterState.UNKNOWN
        if state is ClusterState.WHOLE:
            wanted = [t for t in self.watch.membership if t.expected or not self.wanted.expected]
            assert {track.state() for track in wanted} <= {MemberState.ALIVE, MemberState.LATE}
            assert all(track.answer is None or track.answer.serves for track in wanted)


TestStories = Stories.TestCase
TestStories.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
