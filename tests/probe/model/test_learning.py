"""Who was up for long is expected from then on: learned in its time, missed, forgotten on request only."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.members import PERIOD, Hearing, Node, Vantage

from probe.model.events import Kind
from probe.model.evidence import Outcome
from probe.model.learning import LEARNED_SHARE, Learned, Learning
from probe.model.presence import HEARD
from probe.model.rules import ExpectedBy, Rules
from probe.model.views import Joined, view_group

AFTER, DROP = 10.0, 3.0
LEARNING = Rules(learn_after=AFTER, drop_time=DROP, forget_after=20.0)


def steps(start: float, end: float) -> list[float]:
    """Return the times of heartbeats, one a period, the end included."""
    return [start + n * PERIOD for n in range(round((end - start) / PERIOD) + 1)]


def learned(hearing: Hearing) -> set[str]:
    """Return who is expected because it was learned."""
    return {track.name for track in hearing.membership if track.expected_by is ExpectedBy.LEARNED}


ONE, TWO, THREE = Node(1), Node(2), Node(3)

# -- when one is learned


def test_who_is_up_for_the_whole_time_is_learned_then_and_not_before() -> None:
    """At the very moment, though no heartbeat comes then; the deadline says so beforehand."""
    hearing = Hearing(LEARNING)
    hearing.beats(ONE, steps(100.25, 109.75))
    hearing.until(110.2)
    assert learned(hearing) == set()
    assert hearing.membership.deadline() == 110.25
    hearing.until(110.25)
    assert learned(hearing) == {ONE.name}
    assert hearing.kinds() == [Kind.JOINED]


BREAKS = {
    "a late heartbeat is none": ([*steps(100.0, 104.0), *steps(106.9, 110.0)], 100.0),
    "dropTime is one": ([*steps(100.0, 104.0), *steps(107.0, 118.0)], 107.0),
    "so is a longer silence": ([*steps(100.0, 104.0), *steps(111.0, 123.0)], 111.0),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_the_time(name: str) -> None:
    """A silence of dropTime begins it anew, a shorter one does not."""
    times, begun = BREAKS[name]
    hearing = Hearing(LEARNING)
    hearing.beats(ONE, [at for at in times if at < begun + AFTER])
    assert learned(hearing) == set()
    hearing.beats(ONE, [at for at in times if at >= begun + AFTER])
    hearing.until(begun + AFTER)
    assert learned(hearing) == {ONE.name}


def test_a_gap_that_nobody_ticked_in_is_a_break_too() -> None:
    """Two heartbeats out of one batch, far apart by the kernel's time: it was not up in between."""
    hearing = Hearing(LEARNING)
    for at, deadline in ((100.0, 110.0), (106.0, 116.0), (106.5, 116.0), (109.5, 119.5)):
        hearing.membership.hear(ONE.beat(at), at)
        assert hearing.membership.learning.deadline() == deadline
    hearing.membership.tick(110.0)
    assert learned(hearing) == set()


def test_a_goodbye_begins_the_time_anew() -> None:
    """However short: who comes and goes is not yet one to miss."""
    hearing = Hearing(LEARNING)
    hearing.beats(ONE, steps(100.0, 105.0))
    hearing.hear(ONE.goodbye(105.2), 105.2)
    hearing.beats(ONE.again(104.5), steps(106.0, 115.5))
    hearing.until(115.9)
    assert learned(hearing) == set()
    hearing.beats(ONE.again(104.5), [116.0])
    hearing.until(116.0)
    assert learned(hearing) == {ONE.name}


def test_a_restart_that_is_quick_enough_does_not() -> None:
    """Another process on the same address within dropTime: the address was up all the time."""
    hearing = Hearing(LEARNING)
    hearing.beats(ONE, steps(100.0, 105.0))
    hearing.beats(ONE.again(106.0), steps(107.0, 110.0))
    assert learned(hearing) == {ONE.name}


def test_a_member_of_another_domain_is_not_learned() -> None:
    """It is a stranger as ever; once it is of the right domain its time begins."""
    hearing = Hearing(Rules(learn_after=AFTER, domain=b"shop"))
    hearing.beats(Node(1, domain=b"bank"), steps(100.0, 115.0))
    assert hearing.kinds() == [Kind.JOINED, Kind.STRANGER]
    assert learned(hearing) == set()
    hearing.beats(Node(1, born=114.0, incarnation=1, domain=b"shop"), steps(115.5, 130.0))
    assert hearing.membership.learning.everybody() == {Learned(ONE.name, b"shop")}


def test_nobody_is_a_stranger_only_for_not_being_learned() -> None:
    """Neither beside the learned nor beside a list: who stays will be expected, so coming is nothing odd."""
    hearing = Hearing(Rules(learn_after=AFTER, expected=frozenset({ONE.name})))
    hearing.beats(ONE, steps(100.0, 111.0))
    hearing.beats(TWO, [111.0])
    assert hearing.kinds() == [Kind.JOINED, Kind.JOINED]
    assert [track.stranger for track in hearing.membership] == [False, False]


def test_without_learning_nobody_is_learned() -> None:
    """The default."""
    hearing = Hearing(Rules())
    hearing.beats(ONE, steps(100.0, 110.0))
    assert hearing.membership.learning.deadline() is None
    hearing.until(1e6)
    assert len(hearing.membership) == 0


# -- what follows


def test_the_learned_are_missed_for_ever() -> None:
    """Lost, or left with a goodbye: after days it is still known and expected; a stranger is forgotten."""
    hearing = Hearing(LEARNING)
    for node in (ONE, TWO):
        hearing.beats(node, steps(100.0, 110.0))
    hearing.hear(TWO.goodbye(110.1), 110.1)
    hearing.beats(THREE, [110.5])
    hearing.until(1e6)
    assert [(track.name, track.presence.value) for track in hearing.membership] == [
        (ONE.name, "silent"),
        (TWO.name, "left"),
    ]
    assert learned(hearing) == {ONE.name, TWO.name}


def test_who_restarts_stays_the_same_expected_member() -> None:
    """A new unique id on the same address, even in another domain, is whom we waited for."""
    hearing = Hearing(LEARNING)
    hearing.beats(ONE, steps(100.0, 110.0))
    hearing.until(500.0)
    hearing.beats(Node(1, born=499.0, incarnation=7, domain=b"bank"), steps(500.5, 501.0))
    assert learned(hearing) == {ONE.name}
    assert len(hearing.membership) == 1


def test_who_was_learned_before_is_missed_by_the_next_probe() -> None:
    """It comes back as unheard and expected, and the verdict says what is missing and how that is known."""
    vantage = Vantage(LEARNING)
    vantage.watch.recall({Learned(ONE.name), Learned(TWO.name)}, 0.0)
    vantage.beats([ONE], 1.0, 5.0)
    assert vantage.state == "degraded"
    assert vantage.said() == (
        "1 of 2 members alive; 10.0.0.2:4000 was learned before this probe started and is not heard since"
    )
    track = vantage.watch.membership.get(TWO.address)
    assert track is not None
    assert (track.presence, track.expected_by) == ("unheard", ExpectedBy.LEARNED)
    vantage.take(TWO, Outcome.REFUSED, 5.0)
    vantage.beats([ONE, TWO], 5.0, 6.0)
    vantage.take(TWO, Outcome.ANSWERED, 6.0)
    vantage.until(6.5)
    assert vantage.state == "whole"


def test_a_moment_when_only_some_are_learned_hides_nobody() -> None:
    """Who was heard and never learned is missed as without learning: until it is forgotten in its time."""
    vantage = Vantage(LEARNING)
    vantage.beats([ONE], 1.0, 5.0)
    vantage.beats([ONE, TWO], 5.0, 8.0)
    vantage.beats([ONE], 8.0, 12.0)
    assert vantage.watch.membership.learning.everybody() == {Learned(ONE.name)}
    assert vantage.state == "degraded"
    vantage.beats([ONE], 12.0, 30.0)
    assert vantage.state == "whole"


def test_learned_ones_count_beside_a_list_and_a_number() -> None:
    """A list stays the list, and whoever is learned is wanted beside it; a number is the least."""
    for rules, wanted in (
        (Rules(learn_after=AFTER, expected=frozenset({ONE.name})), 2),
        (Rules(learn_after=AFTER, expected_count=2), 3),
        (Rules(learn_after=AFTER, expected_count=5), 5),
        (Rules(learn_after=AFTER, static=frozenset({"10.0.9.9:4000"}), expected=frozenset({ONE.name})), 3),
    ):
        vantage = Vantage(rules)
        vantage.beats([ONE, TWO], 1.0, 12.0)
        vantage.beats([ONE, THREE], 12.0, 16.0)
        verdict = vantage.watch.judge.verdict
        assert verdict.wanted == wanted, rules
        assert verdict.alive < wanted
        assert TWO.name in vantage.said()
        view = view_group(vantage.watch, Joined("228.0.0.4", 45564), 16.0, 0.0)
        assert view.expected == max(rules.expected_count, 2 + len(rules.static))


def test_the_verdict_counts_who_is_learned_at_once() -> None:
    """Though nothing else happens then."""
    vantage = Vantage(Rules(learn_after=AFTER, expected=frozenset({ONE.name})))
    vantage.beats([ONE, TWO], 1.0, 11.0)
    assert vantage.said() == "1 of 1 members alive"
    vantage.beats([ONE, TWO], 11.0, 11.5)
    assert vantage.said() == "2 of 2 members alive"


def test_the_view_says_who_expects_a_member() -> None:
    """Settings before static before learned; nobody is null."""
    rules = Rules(learn_after=AFTER, expected=frozenset({ONE.name}), static=frozenset({ONE.name, TWO.name}))
    vantage = Vantage(rules)
    vantage.beats([ONE, TWO, THREE], 1.0, 12.0)
    vantage.beats([ONE, TWO, THREE, Node(4)], 12.0, 13.0)
    view = view_group(vantage.watch, Joined("228.0.0.4", 45564), 13.0, 0.0)
    assert [(one.expected, one.expected_by) for one in view.members] == [
        (True, "settings"),
        (True, "static"),
        (True, "learned"),
        (False, None),
    ]
    assert view.expected == 3
    assert vantage.watch.membership.learning.everybody() == {Learned(THREE.name)}


# -- forgetting


def test_who_is_gone_is_forgotten_at_once() -> None:
    """It leaves the table, whatever else it waited for, and the log is told."""
    for hearing in (Hearing(LEARNING), Hearing(Rules(forget_after=20.0))):
        hearing.beats(ONE, steps(100.0, 111.0))
        hearing.until(120.0)
        [event] = hearing.membership.forget(ONE.name, 120.0)
        assert event.kind is Kind.FORGOTTEN
        assert len(hearing.membership) == 0
        assert hearing.membership.deadline() is None
        assert hearing.membership.learning.everybody() == set()
        with pytest.raises(KeyError):
            hearing.membership.forget(ONE.name, 120.0)


def test_who_is_up_is_learned_again_in_its_time() -> None:
    """Its time begins with the forgetting; until then nobody misses it for longer than others."""
    hearing = Hearing(LEARNING)
    hearing.beats(ONE, steps(100.0, 115.0))
    assert hearing.membership.forget(ONE.name, 115.2) == []
    assert learned(hearing) == set()
    hearing.beats(ONE, steps(115.5, 125.0))
    assert learned(hearing) == set()
    hearing.until(125.2)
    assert learned(hearing) == {ONE.name}


def test_one_that_was_never_heard_again_can_be_forgotten() -> None:
    """Which is what forgetting is for: a node that was taken out of service."""
    vantage = Vantage(LEARNING)
    vantage.watch.recall({Learned(ONE.name), Learned(TWO.name)}, 0.0)
    vantage.beats([ONE], 1.0, 5.0)
    vantage.told += vantage.watch.forget(TWO.name, 5.0)
    vantage.until(5.0)
    assert vantage.state == "whole"


# -- rules that change


def test_a_reload_keeps_the_learned_and_counts_what_was_up_before() -> None:
    """Another dropTime or time to learn changes nothing for them; learning that begins knows since when."""
    hearing = Hearing(Rules())
    hearing.beats(ONE, steps(100.0, 105.0))
    hearing.membership.adopt(LEARNING)
    hearing.beats(ONE, steps(105.5, 110.0))
    assert learned(hearing) == {ONE.name}
    hearing.membership.adopt(Rules(learn_after=99.0, drop_time=4.0))
    assert learned(hearing) == {ONE.name}
    hearing.membership.adopt(Rules())
    assert learned(hearing) == set()
    hearing.membership.adopt(LEARNING)
    assert learned(hearing) == {ONE.name}


def test_who_the_settings_expect_is_not_learned_beside() -> None:
    """So that taking one that is gone out of the list is enough; one that is up is learned for that."""
    listed = Rules(learn_after=AFTER, expected=frozenset({ONE.name, TWO.name}))
    hearing = Hearing(listed)
    hearing.beats(ONE, steps(100.0, 112.0))
    hearing.beats(TWO, steps(112.0, 125.0))
    hearing.until(125.0)
    hearing.membership.adopt(LEARNING)
    hearing.until(125.0)
    assert learned(hearing) == {TWO.name}


def test_only_the_domain_in_force_counts() -> None:
    """Who was learned in another domain is not expected, and is again when the domain is."""
    hearing = Hearing(LEARNING)
    hearing.membership.recall({Learned(ONE.name, b"shop"), Learned(TWO.name, b"bank")})
    assert learned(hearing) == {ONE.name, TWO.name}
    hearing.membership.adopt(Rules(learn_after=AFTER, domain=b"bank"))
    assert learned(hearing) == {TWO.name}
    assert len(hearing.membership) == 1
    hearing.membership.adopt(LEARNING)
    assert learned(hearing) == {ONE.name, TWO.name}


def test_another_group_starts_anew() -> None:
    """Nobody learned is missed there, and nobody's time counts that was heard elsewhere."""
    hearing = Hearing(LEARNING)
    hearing.beats(ONE, steps(100.0, 111.0))
    hearing.beats(TWO, steps(111.0, 112.0))
    hearing.membership.start_anew(112.0)
    assert hearing.membership.learning.everybody() == set()
    hearing.beats(TWO, steps(112.5, 121.5))
    hearing.until(121.9)
    assert learned(hearing) == set()


# -- bounds


def test_the_learned_have_a_bound_and_nobody_leaves_for_a_newcomer() -> None:
    """Who finds no room is counted, and waits anew; a place that is free goes to the next whose time it is."""
    hearing = Hearing(Rules(learn_after=AFTER, drop_time=DROP, capacity=2 * LEARNED_SHARE))
    for at in steps(100.0, 110.0):
        for node in (ONE, TWO, THREE):
            hearing.hear(node.beat(at), at)
    assert learned(hearing) == {ONE.name, TWO.name}
    assert hearing.membership.learning.refused == 1
    assert hearing.membership.forget(ONE.name, 112.0) == []
    for at in steps(110.5, 120.0):
        for node in (ONE, TWO, THREE):
            hearing.hear(node.beat(at), at)
    assert learned(hearing) == {TWO.name, THREE.name}
    assert hearing.membership.learning.refused == 1


def test_a_flood_of_invented_members_teaches_nothing() -> None:
    """Heard once, or a few times: they are gone long before their time; what waits is bounded by the table."""
    hearing = Hearing(Rules(learn_after=AFTER, capacity=64, strangers_per_second=10_000))
    hearing.beats(ONE, steps(99.0, 100.0))
    for n in range(2_000):
        at = 100.0 + n * 0.02
        hearing.hear(Node(100 + n, born=at).beat(at), at)
        if n % 25 == 0:
            hearing.hear(ONE.beat(at), at)
        assert len(hearing.membership.learning._waiting) <= 64
    assert learned(hearing) == {ONE.name}


def test_more_than_fit_are_not_recalled() -> None:
    """The bound holds for what comes out of a file too."""
    learning = Learning()
    learning.most = 2
    learning.recall({Learned(f"10.0.0.{n}:4000") for n in range(9)})
    assert [one.member for one in sorted(learning.everybody())] == ["10.0.0.0:4000", "10.0.0.1:4000"]


# -- any story at all

NUMBERS = (1, 2, 3)
WHO = st.sampled_from(NUMBERS)
MOST = 2


class Stories(RuleBasedStateMachine):
    """Holds the learned against an oracle that knows only who was heard when, and whom it was to forget."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.nodes = {number: Node(number) for number in NUMBERS}
        self.wanted = Rules(learn_after=AFTER, drop_time=DROP, forget_after=20.0, capacity=MOST * LEARNED_SHARE)
        self.hearing = Hearing(self.wanted)
        self.last: dict[str, float] = {}
        self.waiting: dict[str, float] = {}
        self.up_since: dict[str, float] = {}
        self.learned: set[str] = set()
        self.learns = True

    def settle(self) -> None:
        """Let silence speak, and the oracle find out whose time is over: one after the other."""
        while True:
            due = sorted(
                (since + AFTER, list(self.waiting).index(name), name) for name, since in self.waiting.items()
            )
            ends = sorted((self.last[name] + DROP, name) for name in self.up_since)
            if ends and ends[0][0] <= self.now and not (due and due[0][0] < ends[0][0]):
                del self.up_since[ends[0][1]]
                self.waiting.pop(ends[0][1], None)
            elif due and due[0][0] <= self.now:
                at, _, name = due[0]
                self.hearing.until(at)
                del self.waiting[name]
                if len(self.learned) < MOST:
                    self.learned.add(name)
                else:
                    self.waiting[name] = at
            else:
                break
        self.hearing.until(self.now)

    def wait(self, name: str) -> None:
        """Have the oracle count the time of one that is up."""
        self.waiting.pop(name, None)
        if self.learns and name not in self.learned:
            self.waiting[name] = self.up_since[name]

    @rule(some=st.sets(WHO, min_size=1), count=st.integers(1, 15))
    def beat(self, some: set[int], count: int) -> None:
        """Let some beat in time while the others are not heard."""
        for _ in range(count):
            self.pass_time(PERIOD)
            for number in sorted(some):
                self.pass_time(0.001)
                self.hear(self.nodes[number])

    @rule(who=WHO)
    def restart(self, who: int) -> None:
        """Put another process on the address."""
        self.nodes[who] = self.nodes[who].again(self.now)
        self.pass_time(1.0)
        self.hear(self.nodes[who])

    def hear(self, node: Node) -> None:
        """Hear one heartbeat."""
        self.hearing.hear(node.beat(self.now), self.now)
        if node.name not in self.up_since:
            self.up_since[node.name] = self.now
            self.wait(node.name)
        self.last[node.name] = self.now

    @rule(who=WHO)
    def goodbye(self, who: int) -> None:
        """Let one say goodbye."""
        node = self.nodes[who]
        track = self.hearing.membership.named(node.name)
        self.hearing.hear(node.goodbye(self.now), self.now)
        if track is None or track.unique_id == node.member.unique_id:
            self.up_since.pop(node.name, None)
            self.waiting.pop(node.name, None)

    @rule(seconds=st.sampled_from([0.3, 1.6, 2.9, 3.0, 3.1, 9.0, 30.0]))
    def pass_time(self, seconds: float) -> None:
        """Let time pass in silence."""
        self.now = round(self.now + seconds, 3)
        self.settle()

    @rule(who=WHO)
    def forget(self, who: int) -> None:
        """Forget one, if it is known."""
        name = self.nodes[who].name
        if self.hearing.membership.named(name) is None:
            assert name not in self.learned or not self.learns
            return
        self.hearing.membership.forget(name, self.now)
        self.learned.discard(name)
        if name in self.up_since:
            self.up_since[name] = self.now
            self.wait(name)

    @rule()
    def reload(self) -> None:
        """Turn learning off, or on again."""
        self.learns = not self.learns
        self.hearing.membership.adopt(
            Rules(
                learn_after=AFTER if self.learns else None,
                drop_time=DROP,
                forget_after=20.0,
                capacity=MOST * LEARNED_SHARE,
            )
        )
        self.waiting = {}
        for _, name in sorted((since, name) for name, since in self.up_since.items()):
            self.wait(name)
        self.settle()

    @rule()
    def start_another_probe(self) -> None:
        """Restart the probe: it knows who was learned, and else nothing."""
        kept = self.hearing.membership.learning.everybody()
        self.hearing = Hearing(self.hearing.membership.rules)
        self.hearing.membership.recall(kept)
        self.up_since, self.waiting = {}, {}

    @invariant()
    def the_learned_are_those_whose_time_came(self) -> None:
        """No others are expected, none is missing, and each is known whether heard or not."""
        self.settle()
        assert {one.member for one in self.hearing.membership.learning.everybody()} == self.learned
        assert learned(self.hearing) == (self.learned if self.learns else set())

    @invariant()
    def who_waits_is_up_and_not_expected(self) -> None:
        """And nobody else, in the order of their deadlines."""
        membership = self.hearing.membership
        waiting = membership.learning._waiting
        assert waiting == self.waiting
        up = {track.name for track in membership if track.presence in HEARD and not track.expected}
        assert waiting.keys() == (up if self.learns else set())
        assert list(waiting.values()) == sorted(waiting.values())
        deadline = membership.deadline()
        assert deadline is None or deadline > self.now


TestStories = Stories.TestCase
TestStories.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
