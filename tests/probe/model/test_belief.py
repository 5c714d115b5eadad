"""What Tomcats believe, held against what is heard: story by story, then any belief at all."""

from collections.abc import Iterable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.members import Node, Vantage

from probe.model.belief import FRESH, SLACK, Belief, Beliefs, Entry, Finding, Found, Reading
from probe.model.events import Kind
from probe.model.evidence import Outcome
from probe.model.fitness import Unfit
from probe.model.rules import Rules
from probe.model.track import Origin

A, B, C = NODES = Node(1), Node(2), Node(3)
DROP: Final = 3.0
PACE: Final = 3.0
HOLDS: Final = DROP + SLACK


def entries(nodes: Iterable[Node]) -> tuple[Entry, ...]:
    """Return nodes as a Tomcat's list has them."""
    return tuple(Entry(node.name, node.member.unique_id) for node in nodes)


def belief(
    node: Node, hears: Iterable[Node], keeps: Iterable[Node] | None = None, drop_time: float = DROP
) -> Belief:
    """Return what a node believes; it keeps whom it hears unless said otherwise."""
    hears = list(hears)
    [local] = entries([node])
    return Belief(local, entries(hears), entries(hears if keeps is None else keeps), drop_time)


class Story:
    """Three members beat, some are silent; what one or several of them believe is read every three seconds."""

    def __init__(self, nodes: Iterable[Node] = NODES, rules: Rules | None = None) -> None:
        self.nodes = list(nodes)
        self.vantage = Vantage(rules)
        self.vantage.beats(self.nodes, 0.0, 5.0)
        self.now = 5.0
        self.told: list[tuple[Found, ...]] = []

    @property
    def beliefs(self) -> Beliefs:
        """Return what is judged."""
        return self.vantage.watch.beliefs

    def read(self, *said: Belief, member: str = "") -> None:
        """Read some beliefs now."""
        for one in said:
            reading = Reading(f"http://{one.local.member}", member, self.now, one)
            if (news := self.vantage.watch.believe(reading, self.now)) is not None:
                self.told.append(news)
        self.vantage.until(self.now)

    def fail(self, node: Node, why: str = "no answer") -> None:
        """Fail to read one."""
        self.vantage.watch.believe(Reading(f"http://{node.name}", "", self.now, None, why), self.now)
        self.vantage.until(self.now)

    def go(self, *said: Belief, seconds: float = HOLDS + PACE) -> None:
        """Let time go by, reading these every three seconds."""
        end = self.now + seconds
        while self.now < end:
            self.read(*said)
            self.vantage.beats(self.nodes, self.now, self.now + PACE)
            self.now += PACE
        self.read(*said)

    def found(self) -> dict[str, list[tuple[Finding, list[str]]]]:
        """Return what is found of each who was read."""
        return {
            member: [(one.finding, [entry.member for entry in one.about]) for one in found]
            for member, found in self.beliefs.found(self.now).items()
        }


def whole() -> list[Belief]:
    """Return what three sound nodes believe."""
    return [belief(one, [other for other in NODES if other is not one]) for one in NODES]


def test_what_agrees_is_nothing() -> None:
    """Read for a minute: nothing found, nothing told, nothing said."""
    story = Story()
    story.go(*whole(), seconds=60)
    assert story.found() == {node.name: [] for node in NODES}
    assert story.told == []
    assert story.vantage.said() == "3 of 3 members alive"


OLD: Final = Node(2, incarnation=7)
FINDINGS = [
    (belief(A, []), (Finding.DEAF, [B.name, C.name]), "itself hears nobody: its own membership is empty"),
    (
        belief(A, [], [B, C]),
        (Finding.DEAF, [B.name, C.name]),
        "itself hears nobody: its own membership is empty",
    ),
    (belief(A, [C], [C]), (Finding.DEAF, [B.name]), "itself does not hear 10.0.0.2:4000, heard here"),
    (
        belief(A, [C], [B, C]),
        (Finding.LATENT_SPLIT, [B.name]),
        "itself does not hear 10.0.0.2:4000 any more but still keeps it",
    ),
    (
        belief(A, [B, C], [B, C, OLD]),
        (Finding.GHOST, [B.name]),
        "itself still keeps a ghost of 10.0.0.2:4000 (00000000…)",
    ),
    (
        belief(A, [B, C], [C]),
        (Finding.NOT_LET_IN, [B.name]),
        "itself hears 10.0.0.2:4000 but has not let it in",
    ),
]


@pytest.mark.parametrize(("said", "finding", "text"), FINDINGS, ids=[one[1][0].value for one in FINDINGS])
def test_a_finding(said: Belief, finding: tuple[Finding, list[str]], text: str) -> None:
    """It is found, told once and said as evidence behind the verdict, which stays what it was."""
    story = Story()
    story.go(said, *whole()[1:], seconds=30)
    assert story.found() == {A.name: [finding], B.name: [], C.name: []}
    assert [[one.text for one in told] for told in story.told] == [[f"{A.name} {text}"]]
    assert (story.vantage.state, story.vantage.said()) == ("whole", f"3 of 3 members alive; {A.name} {text}")
    story.go(*whole(), seconds=PACE)
    assert story.told[1:] == [()]
    assert story.vantage.said() == "3 of 3 members alive"
    assert story.vantage.states == [Kind.EMPTY, Kind.WHOLE]


def test_a_difference_must_outlast_drop_time_and_the_slack() -> None:
    """Found at the first reading that long after the first that differed; its since is that first one."""
    story = Story()
    said = belief(A, [C], [B, C])
    began = story.now
    story.go(said, seconds=HOLDS - 1)
    story.now, at = began + HOLDS - 0.1, began + HOLDS + 0.1
    story.read(said)
    assert story.found() == {A.name: []}
    story.now = at
    story.read(said)
    [found] = story.beliefs.found(at)[A.name]
    assert (found.finding, found.since) == (Finding.LATENT_SPLIT, began)


def test_the_longer_drop_time_counts() -> None:
    """A Tomcat that waits ten seconds is not accused after six."""
    story = Story()
    story.go(belief(A, [C], [B, C], drop_time=10.0), seconds=12)
    assert story.found() == {A.name: []}
    story.go(belief(A, [C], [B, C], drop_time=10.0), seconds=3)
    assert story.found() != {A.name: []}


def test_a_difference_that_comes_and_goes_is_none() -> None:
    """One reading that agrees begins it anew."""
    story = Story()
    for _ in range(10):
        story.go(belief(A, [C], [B, C]), seconds=PACE)
        story.go(belief(A, [B, C]), seconds=PACE)
    assert story.told == []


def test_a_gap_between_readings_begins_anew() -> None:
    """What was not looked at for longer than a reading is fresh may have been otherwise meanwhile."""
    story = Story()
    said = belief(A, [C], [B, C])
    for _ in range(4):
        story.read(said)
        story.vantage.beats(NODES, story.now, story.now + FRESH + 1)
        story.now += FRESH + 1
    story.read(said)
    assert story.found() == {A.name: []}


def test_what_is_stale_is_said_no_more() -> None:
    """At its moment, without any further reading: found, sentence and view are as if it was never read."""
    story = Story()
    story.go(belief(A, [], [B, C]))
    assert "itself" in story.vantage.said()
    story.fail(A)
    assert "itself" in story.vantage.said()
    story.vantage.beats(NODES, story.now, story.now + FRESH + 0.5)
    assert story.vantage.said() == "3 of 3 members alive"
    assert story.beliefs.found(story.now + FRESH + 0.5) == {}
    story.now += FRESH + 0.5
    story.fail(A, "cannot be reached")
    [held] = story.beliefs.held.values()
    assert (held.why, held.differing) == ("cannot be reached", {})


def test_an_unfit_probe_finds_nothing_and_begins_anew() -> None:
    """While it cannot tell who is heard, nobody is accused; afterwards the whole time must pass again."""
    story = Story()
    said = belief(A, [], [B, C])
    story.go(said)
    story.vantage.watch.fitness.calm = 1.0
    story.vantage.watch.fitness.trouble(Unfit.LOOP_LAG, story.now)
    story.vantage.watch.unsettle(story.now)
    story.read(said)
    assert "itself" not in story.vantage.said()
    [held] = story.beliefs.held.values()
    assert held.why == "it is not compared: the probe is not fit to judge"
    story.now += 1.5
    story.vantage.beats(NODES, story.now - 1.5, story.now)
    story.go(said, seconds=PACE)
    assert story.vantage.said() == "3 of 3 members alive"
    story.go(said, seconds=PACE * 2)
    assert "itself hears nobody" in story.vantage.said()


# -- ghosts


def test_a_ghost_after_a_fast_restart() -> None:
    """The old unique id stays in the channel of the others; the new one is heard and kept."""
    story = Story()
    new = B.again(5.2)
    story.nodes = [A, new, C]
    story.go(belief(A, [new, C], [B, new, C]), belief(C, [A, new], [A, B, new]))
    assert story.found() == {A.name: [(Finding.GHOST, [B.name])], C.name: [(Finding.GHOST, [B.name])]}
    assert story.vantage.said().endswith(
        f"{A.name} itself still keeps a ghost of {B.name} (00000000…), and 1 more such"
    )


def test_a_port_that_is_closed_to_all_is_a_ghost() -> None:
    """Nobody hears it, its port refuses: whoever keeps it keeps a ghost."""
    story = Story()
    story.nodes = [A, C]
    story.vantage.take(B, Outcome.REFUSED, 5.5)
    story.go(belief(A, [C], [B, C]), belief(C, [A]), seconds=15)
    assert story.found() == {A.name: [(Finding.GHOST, [B.name])], C.name: []}


@pytest.mark.parametrize(
    "outcome", [None, Outcome.CONNECT_TIMEOUT, Outcome.ANSWER_TIMEOUT, Outcome.UNREACHABLE]
)
def test_what_may_live_is_no_ghost(outcome: Outcome | None) -> None:
    """Not asked, behind a firewall, or frozen: that proves nothing."""
    story = Story()
    story.nodes = [A, C]
    if outcome is not None:
        story.vantage.take(B, outcome, 5.5)
    story.go(belief(A, [C], [B, C]), seconds=15)
    assert story.found() == {A.name: []}


def test_who_is_heard_by_any_tomcat_is_no_ghost() -> None:
    """The probe hears nothing of it and is refused, another Tomcat hears it: it lives."""
    story = Story()
    story.nodes = [A, C]
    story.vantage.take(B, Outcome.REFUSED, 5.5)
    story.go(belief(C, [A, B]), belief(A, [C], [B, C]), seconds=15)
    assert story.found()[A.name] == []


def test_two_on_one_address_are_no_ghosts() -> None:
    """While an address clashes nobody knows who lives there."""
    story = Story()
    other = Node(2, incarnation=3, born=-100.0)
    story.nodes = [A, B, other, C]
    story.go(belief(A, [C, other], [B, C, other]), seconds=15)
    assert story.found() == {A.name: []}


def test_static_members_and_strangers_are_no_ghosts() -> None:
    """A static member sends nothing by design; of who was never known here nothing is known."""
    static = Node(9)
    story = Story(rules=Rules(static=frozenset([static.name])))
    story.vantage.take(static, Outcome.REFUSED, 5.5)
    story.go(belief(A, [B, C], [B, C, static, Node(8)]), seconds=15)
    assert story.found() == {A.name: []}


# -- latent splits, deafness


def test_a_mute_member_that_is_kept_is_a_latent_split_from_inside() -> None:
    """The believer and the probe do not hear it, it answers: the verdict's sentence has both, advice last."""
    story = Story()
    story.nodes = [A, C]
    story.go(seconds=3)
    story.vantage.take(B, Outcome.ANSWERED, story.now)
    story.go(belief(A, [C], [B, C]), seconds=15)
    assert story.found() == {A.name: [(Finding.LATENT_SPLIT, [B.name])]}
    said = story.vantage.said().split("; ")
    assert story.vantage.state == "latent-split"
    assert said[1] == f"{A.name} itself does not hear {B.name} any more but still keeps it"
    assert said[2].startswith("multicast is broken, TCP is not. Do not restart any node")


def test_who_is_not_heard_itself_is_not_called_deaf() -> None:
    """Its own heartbeats must go on: else it is its network that is cut."""
    story = Story()
    story.nodes = [B, C]
    story.go(belief(A, []), seconds=18)
    assert story.found() == {A.name: []}


@pytest.mark.parametrize("stranger", [Node(3, domain=b"other"), Node(3)], ids=["domain", "interface"])
def test_who_is_of_another_domain_or_network_need_not_be_heard(stranger: Node) -> None:
    """One group on two networks is two clusters; DomainFilterInterceptor lets nobody else in."""
    story = Story([A, B])
    elsewhere = Origin(bytes((10, 0, 0, 3)), "eth1", 1)
    for _ in range(8):
        story.go(belief(A, [B]), seconds=PACE - 1)
        for beat in range(6):
            at = story.now + beat / 2
            story.vantage.hear(stranger.beat(at), at, elsewhere)
            story.vantage.beats([A, B], at, at + 0.5)
        story.now += PACE
    assert story.found() == {A.name: []}


# -- who is who


def test_whose_belief_it_is_is_found_by_the_unique_id() -> None:
    """Also where the JVM writes a name that nobody looks up."""
    story = Story()
    said = belief(A, [], [B, C])
    renamed = Belief(Entry("node-1.example:4000", said.local.unique_id), said.hears, said.keeps, DROP)
    story.go(renamed)
    assert story.found() == {A.name: [(Finding.DEAF, [B.name, C.name])]}


def why(story: Story) -> list[str]:
    """Return why each source is not compared."""
    return [held.why for held in story.beliefs.held.values()]


def test_another_process_is_not_compared() -> None:
    """It restarted a moment ago, or is set wrong: nothing is held against who is heard there."""
    story = Story()
    story.go(belief(B.again(1.0), []), seconds=12)
    assert why(story) == [f"it is another process than the one heard at {B.name}"]
    story.beliefs.keep([])
    story.read(belief(A, []), member=B.name)
    assert why(story) == [f"it is another process than the one heard at {B.name}"]
    assert story.found() == {}


def test_who_was_never_heard_is_not_compared() -> None:
    """And says so."""
    story = Story()
    story.go(belief(Node(9), [A, B, C]))
    assert why(story) == ["it is 10.0.0.9:4000, which was never heard here"]


def test_one_tomcat_under_two_addresses_is_read_once() -> None:
    """The second says so."""
    story = Story()
    for source in ("http://one", "http://two"):
        story.vantage.watch.believe(Reading(source, "", story.now, belief(A, [B, C])), story.now)
    assert why(story) == ["", f"it is {A.name}, which is read elsewhere"]


def test_a_reload_keeps_what_is_known_of_the_sources_that_stay() -> None:
    """And forgets the others."""
    story = Story()
    story.go(*whole())
    story.beliefs.keep([f"http://{A.name}", "http://new"])
    assert list(story.beliefs.held) == [f"http://{A.name}", "http://new"]
    assert story.found() == {A.name: []}
    assert why(story) == ["", "it was not read yet"]


def test_the_gravest_is_said_and_the_others_are_counted() -> None:
    """One clause, whatever is found; names in it are few."""
    many = [Node(n) for n in range(1, 9)]
    story = Story(many)
    said = belief(many[0], [many[1]], [*many[1:6], Node(3, incarnation=9)])
    story.go(said, belief(many[1], []), seconds=12)
    text = story.vantage.said().split("; ")
    assert text[1:] == [f"{many[1].name} itself hears nobody: its own membership is empty, and 3 more such"]
    texts = [one.text for one in story.beliefs.found(story.now)[many[0].name]]
    lost = ", ".join(node.name for node in many[2:5])
    assert texts == [
        "10.0.0.1:4000 itself does not hear 10.0.0.7:4000, 10.0.0.8:4000, heard here",
        f"{A.name} itself does not hear {lost} and 1 more any more but still keeps them",
        "10.0.0.1:4000 itself still keeps a ghost of 10.0.0.3:4000 (00000000…)",
    ]


# -- any belief

SOME = st.lists(st.sampled_from([*NODES, OLD, Node(4), C.again(1.0)]), max_size=6, unique_by=id)


@given(st.sampled_from(NODES), SOME, SOME, st.booleans())
def test_any_belief_is_evidence_only(
    node: Node,
    hears: list[Node],
    keeps: list[Node],
    silent: bool,  # noqa: FBT001  # hypothesis hands it in
) -> None:
    """Whatever a Tomcat says: no state of cluster or member moves, and what is found names only others."""
    beating = [one for one in NODES if one is not C or not silent]
    plain, story = Story(), Story()
    plain.nodes = story.nodes = beating
    plain.go(seconds=18)
    story.go(belief(node, hears, keeps), seconds=18)
    assert story.vantage.states == plain.vantage.states
    assert [story.vantage.of(one) for one in NODES] == [plain.vantage.of(one) for one in NODES]
    assert story.vantage.said().startswith(plain.vantage.said().split("; ")[0])
    for found in story.beliefs.found(story.now).values():
        for one in found:
            assert one.about
            assert node.member.unique_id not in {entry.unique_id for entry in one.about}


@given(SOME, SOME)
def test_what_is_found_follows_from_the_lists(hears: list[Node], keeps: list[Node]) -> None:
    """Of two living others and one believer each finding means exactly what it says."""
    story = Story()
    story.go(belief(A, hears, keeps), seconds=15)
    heard = {node.member.unique_id for node in hears}
    kept = {node.member.unique_id for node in keeps}
    wanted = set()
    for node in (B, C):
        uid = node.member.unique_id
        if uid in heard:
            wanted |= {(Finding.NOT_LET_IN, uid)} if uid not in kept else set()
        else:
            wanted.add((Finding.LATENT_SPLIT if uid in kept and heard else Finding.DEAF, uid))
    for ghost in (OLD, C.again(1.0)):
        uid = ghost.member.unique_id
        wanted |= {(Finding.GHOST, uid)} if uid in kept - heard else set()
    found = {
        (one.finding, entry.unique_id) for one in story.beliefs.found(story.now)[A.name] for entry in one.about
    }
    assert found == wanted
