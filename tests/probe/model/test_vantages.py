"""Several vantages together: what they say of splits and of everything that only looks like one."""

import random
from itertools import product

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.places import STABLE, Place, World, beside_each, name

from probe.model.events import Kind
from probe.model.evidence import MemberState
from probe.model.picture import SEVERAL_VANTAGES, Findings, joint_state
from probe.model.sight import Role, Vantage
from probe.model.vantages import FRESH, Together
from probe.model.verdict import ClusterState

ALARMS = {Kind.SPLIT, Kind.LATENT_SPLIT, Kind.ASYMMETRIC, Kind.DEAF, Kind.DOWN, Kind.MERGING, Kind.UNKNOWN}
CUT = 30.0
TOLD = 2.0
"""seconds beyond t_stable within which a split is told."""


def side_of(place: str) -> set[int]:
    """Return the nodes on the side of a place when the third host is cut off."""
    return {3} if place == "c" else {1, 2}


def whole(places: dict[str, Place] | None = None, nodes: int = 3) -> World:
    """Return a cluster that has been whole for a while."""
    world = World(places or beside_each())
    world.lives = dict.fromkeys(range(1, nodes + 1), 1)
    world.until(CUT)
    assert world.state == "whole", world.said()
    return world


def cut_off_third(world: World, *, tcp: bool = False) -> None:
    """Cut the third host off, both ways."""
    world.deaf_to = lambda place, node: node not in side_of(place)
    world.answers = lambda place, node: tcp or node in side_of(place)


# -- stories


def test_a_whole_cluster() -> None:
    """It is unknown until all have agreed for t_stable, then whole."""
    world = World(beside_each())
    world.until(STABLE - 1)
    assert world.state == "unknown"
    assert world.said() == "a, b and c have not agreed for 10 s yet"
    world.until(STABLE + TOLD)
    assert world.state == "whole"
    assert world.said() == "3 of 3 members alive, the same from a, b and c"
    assert world.kinds() == [Kind.WHOLE]


@pytest.mark.parametrize("role", [Role.LOCAL, Role.SEGMENT])
def test_a_split(role: Role) -> None:
    """Both sides by name, who sees it, since when, and what not to do; told in time, and nothing before it."""
    world = whole(beside_each(role=role))
    cut_off_third(world)
    world.until(CUT + STABLE + TOLD)
    assert world.kinds(CUT) == [Kind.SPLIT]
    assert world.said() == (
        "{10.0.0.1:4000, 10.0.0.2:4000} and {10.0.0.3:4000} do not hear each other "
        "(seen from a and b against c): both sides live. "
        "Sessions made meanwhile stay on their side, even after it heals: "
        "send users to one side, mend the network, restart no node before"
    )
    assert CUT - 1 <= world.together.joint.verdict.since <= CUT
    world.until(CUT + 300)
    assert world.kinds(CUT) == [Kind.SPLIT]


def test_a_split_heals() -> None:
    """The same processes are back: merging, and whole after t_stable."""
    world = whole()
    cut_off_third(world)
    world.until(60)
    world.deaf_to = lambda _place, _node: False
    world.answers = lambda _place, _node: True
    world.until(60 + TOLD)
    assert world.state == "merging"
    assert "their sessions diverged meanwhile" in world.said()
    world.until(60 + STABLE + 2 * TOLD)
    assert world.kinds(60) == [Kind.MERGING, Kind.MERGED]
    assert world.state == "whole"


def test_a_split_that_heals_by_a_restart_merges_nothing() -> None:
    """New unique ids on one side: nobody has diverging sessions any more."""
    world = whole()
    cut_off_third(world)
    world.until(60)
    del world.lives[3]
    world.until(70)
    world.lives[3] = 2
    world.deaf_to = lambda _place, _node: False
    world.until(90)
    assert Kind.MERGING not in world.kinds(60)
    assert world.state == "whole"


def test_a_split_in_three() -> None:
    """Every node alone."""
    world = whole()
    world.deaf_to = lambda place, node: place != chr(96 + node)
    world.answers = lambda _place, _node: False
    world.until(CUT + STABLE + TOLD)
    assert world.state == "split"
    assert "all 3 sides live" in world.said()
    assert [side.members for side in world.together.joint.sides] == [(name(n),) for n in (1, 2, 3)]


def test_a_split_that_a_place_on_the_segment_sees_whole() -> None:
    """What somebody else hears does not make the nodes hear each other: the probes beside them know."""
    world = whole(beside_each() | {"s": Place()})
    world.deaf_to = lambda place, node: place != "s" and node not in side_of(place)
    world.answers = lambda _place, _node: False
    world.until(CUT + STABLE + TOLD)
    assert world.state == "split"


def test_multicast_cut_both_ways_with_tcp_whole_is_a_latent_split() -> None:
    """Receivers answer across: the nodes still replicate, and must not be restarted."""
    world = whole()
    cut_off_third(world, tcp=True)
    world.until(CUT + STABLE + FRESH + TOLD)
    assert world.kinds(CUT) == [Kind.LATENT_SPLIT]
    assert "10.0.0.3:4000 is not heard at a (last 30.0) but answers there; c hears it" in world.said()
    assert world.said().endswith("Do not restart any node: it would not be let back in")


@pytest.mark.parametrize("role", [Role.LOCAL, Role.SEGMENT])
def test_one_way(role: Role) -> None:
    """The third is not heard beside the first, everything else is: asymmetric, with the direction."""
    world = whole(beside_each(role=role))
    world.deaf_to = lambda place, node: (place, node) == ("a", 3)
    world.answers = lambda _place, _node: None
    world.until(CUT + STABLE + FRESH + TOLD)
    assert world.kinds(CUT) == [Kind.ASYMMETRIC]
    [loss] = world.together.joint.losses
    assert (loss.member, loss.place, loss.back) == (name(3), "a", True)
    assert world.said() == (
        "10.0.0.3:4000 is not heard at a (last 30.0), b and c hear it: multicast is lost in this direction only"
    )


def test_one_way_between_two() -> None:
    """With one other host, who is at fault cannot be told, but the direction can."""
    world = whole(beside_each(2), nodes=2)
    world.deaf_to = lambda place, node: (place, node) == ("b", 1)
    world.answers = lambda _place, _node: False
    world.until(60)
    assert world.kinds(CUT) == [Kind.ASYMMETRIC]
    assert world.together.joint.losses[0].back is True


def test_one_way_with_tcp_is_a_latent_split() -> None:
    """Who answers where it is not heard is one restart away from being shut out."""
    world = whole()
    world.deaf_to = lambda place, node: (place, node) == ("a", 3)
    world.until(60)
    assert world.kinds(CUT) == [Kind.LATENT_SPLIT]


def test_nobody_hears_one_that_answers_everywhere() -> None:
    """Its own sender or port is at fault: a latent split, too."""
    world = whole({"s": Place(), "t": Place(skew=0.5)})
    world.deaf_to = lambda _place, node: node == 3
    world.until(60)
    assert world.kinds(CUT)[-1] is Kind.LATENT_SPLIT
    assert "10.0.0.3:4000 is heard nowhere but answers everywhere" in world.said()


def test_a_place_that_never_heard_the_others_is_deaf() -> None:
    """It has heard but its own host since it started, and nobody is expected: then it fell deaf."""
    world = World(beside_each())
    world.deaf_to = lambda place, node: place == "a" and node != 1
    world.until(CUT)
    assert (world.state, list(world.together.joint.deaf)) == ("deaf", ["a"])
    assert world.together.joint.deaf["a"] < STABLE


def test_the_probes_own_place_is_called_here() -> None:
    """A sentence of its own host reads as such."""
    world = whole({"here": Place(1, Role.LOCAL), "b": Place(2, Role.LOCAL)}, nodes=2)
    world.deaf_to = lambda place, node: (place, node) == ("here", 2)
    world.until(60)
    assert world.said().startswith("10.0.0.2:4000 is not heard here (last 30.0) but answers there; b hears it")


def test_a_receiver_that_fails_for_some_is_named_with_where() -> None:
    """TCP is cut to the third host, multicast is not: degraded, and it is said who cannot replicate to whom."""
    world = whole(beside_each() | {"s": Place()})
    world.half = lambda place, node: place != "s" and (place == "c") != (node == 3)
    world.until(CUT + TOLD)
    assert world.state == "degraded"
    assert world.said() == (
        "3 of 3 members alive, seen from a, b, c and s; 10.0.0.1:4000 is heard but its receiver fails at c; "
        "10.0.0.2:4000 is heard but its receiver fails at c; "
        "10.0.0.3:4000 is heard but its receiver fails at a and b"
    )


def test_a_receiver_that_fails_for_all_is_not_alive() -> None:
    """Wherever it is heard its receiver fails."""
    world = whole()
    world.half = lambda _place, node: node == 3
    world.until(CUT + TOLD)
    assert world.state == "degraded"
    assert world.said() == "2 of 3 members alive, the same from a, b and c; 10.0.0.3:4000 is half"


def test_two_that_miss_each_other_while_a_third_hears_both() -> None:
    """The graph of hearing hangs together: no split."""
    world = whole()
    world.deaf_to = lambda place, node: (place, node) in {("a", 3), ("c", 1)}
    world.answers = lambda _place, _node: False
    world.until(60)
    assert world.kinds(CUT) == [Kind.ASYMMETRIC]
    assert {loss.back for loss in world.together.joint.losses} == {False}


@pytest.mark.parametrize(
    ("expected_by", "number", "state", "words"),
    [
        ("settings", 0, "whole", "2 of 2 members alive"),
        ("static", 0, "whole", "2 of 2 members alive"),
        ("learned", 0, "degraded", "2 of 3 members alive"),
        ("learned", 3, "degraded", "2 of 3 members alive"),
        ("learned", 4, "degraded", "2 of 4 members alive"),
    ],
)
def test_who_is_wanted_beside_the_expected(expected_by: str, number: int, state: str, words: str) -> None:
    """Beside a list nobody, beside the learned everybody who was heard; a number is the least."""
    world = whole()
    world.expected, world.expected_by, world.wanted = {1, 2}, expected_by, number
    world.goodbye(3)
    world.until(60)
    assert (world.state, world.said().partition(",")[0]) == (state, words)


@pytest.mark.parametrize("hears_itself", [True, False])
def test_one_deaf_place(*, hears_itself: bool) -> None:
    """It is named, its host is suspected, and its silence is held against nobody."""
    world = whole()
    world.deaf_to = lambda place, node: place == "c" and not (hears_itself and node == 3)
    world.until(CUT + 9 + FRESH + TOLD)
    assert world.kinds(CUT) == [Kind.DEAF]
    assert set(world.together.joint.deaf) == {"c"}
    nobody = "nobody but its own host" if hears_itself else "nobody"
    assert world.said() == (
        f"c hears {nobody} since 30.0; a and b hear 3 members: suspect its host, not the cluster: "
        "a Tomcat there is deaf, too"
    )
    world.until(300)
    world.deaf_to = lambda _place, _node: False
    world.until(330)
    assert world.kinds(CUT) == [Kind.DEAF, Kind.WHOLE]


def test_all_deaf() -> None:
    """Receivers answer, nothing is heard anywhere: the switch."""
    world = whole({"s": Place(), "t": Place(skew=0.5)})
    world.deaf_to = lambda _place, _node: True
    world.until(CUT + 9 + FRESH + TOLD)
    assert world.state == "deaf"
    assert "suspect the switch or its IGMP querier" in world.said()


def test_all_down() -> None:
    """Nobody is heard, nobody answers, from anywhere."""
    world = whole()
    world.lives.clear()
    world.until(60)
    assert world.state == "down"


def test_one_lost() -> None:
    """Everybody agrees who is gone: degraded, and whole again t_stable after it is back."""
    world = whole()
    del world.lives[2]
    world.until(60)
    assert world.kinds(CUT) == [Kind.DEGRADED]
    assert world.said() == "2 of 3 members alive, the same from a, b and c; 10.0.0.2:4000 is lost"
    world.lives[2] = 2
    world.until(60 + STABLE + TOLD)
    assert world.kinds(60) == [Kind.WHOLE]


def test_nothing_at_all() -> None:
    """Nothing heard and nothing expected is empty; somebody expected is not."""
    world = World({"s": Place(), "t": Place()}, nodes=0)
    world.until(20)
    assert world.state == "empty"
    world.expected = {1}
    world.until(40)
    assert world.state == "down"


# -- what one may not say


@pytest.mark.parametrize("trouble", ["gone", "unfit", "alone"])
def test_fewer_than_two_say_nothing(trouble: str) -> None:
    """One vantage, or one that is fresh and fit: unknown, with the reason, and never split."""
    world = whole({"a": Place(1, Role.LOCAL), "c": Place(3, Role.LOCAL)})
    cut_off_third(world)
    if trouble == "alone":
        del world.places["c"]
    elif trouble == "gone":
        world.places["c"].reached = False
    else:
        world.places["c"].fit = False
    world.until(90)
    assert world.kinds(CUT) == [Kind.UNKNOWN]
    assert {
        "alone": "1 of 1 vantages can judge, two are needed",
        "gone": "1 of 2 vantages can judge, two are needed; c: its last view is",
        "unfit": "1 of 2 vantages can judge, two are needed; c: it is not fit to judge (loop-lag)",
    }[trouble] in world.said()


def test_what_could_not_be_read_says_why() -> None:
    """The reason that the reader gives is in the sentence."""
    together = Together("shop", 0.0)
    together.judge([Vantage("b", Role.SEGMENT, 0.0, 0.0, None, "refused")], 1.0)
    assert together.joint.verdict.evidence(str).endswith("b: refused")
    assert together.joint.silent == {"b": "refused"}


# -- look-alikes


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("away", [0.5, 2.0, 5.0, 20.0])
@pytest.mark.parametrize("role", [Role.LOCAL, Role.SEGMENT])
def test_a_rolling_restart_is_no_alarm(role: Role, away: float, *, clean: bool) -> None:
    """One after the other leaves or dies, and is back a while later."""
    world = whole(beside_each(role=role))
    for node in (1, 2, 3):
        if clean:
            world.goodbye(node)
        else:
            del world.lives[node]
        world.until(world.now + away)
        world.lives[node] = 2
        world.until(world.now + 15)
    assert not ALARMS & set(world.kinds(CUT)), world.told
    assert world.state == "whole"


def test_local_loopback_disabled_is_no_alarm() -> None:
    """No probe beside a Tomcat ever hears that Tomcat."""
    world = World(beside_each())
    world.deaf_to = lambda place, node: place == chr(96 + node)
    world.until(60)
    assert world.kinds() == [Kind.WHOLE]


def test_a_place_elsewhere_is_no_alarm() -> None:
    """A probe outside the segment, by its role or by its network, hears nobody and means nothing by it."""
    world = whole()
    world.places["far"] = Place(77, Role.REMOTE)
    world.places["there"] = Place(78)
    world.places["there"].network = "192.168.9"
    world.deaf_to = lambda place, _node: place in {"far", "there"}
    world.until(90)
    assert world.kinds(CUT) == []


def test_the_same_group_on_another_network_is_another_cluster() -> None:
    """Two VLANs: each hears its own, nobody ever heard the other."""
    world = World({"s": Place(), "there": Place(78)})
    world.places["there"].network = "192.168.9"
    world.network = lambda node: "192.168.9" if node == 3 else "10.0.0"
    world.deaf_to = lambda place, node: (place == "s") is (node == 3)
    world.until(60)
    assert world.kinds() == [Kind.WHOLE]


def test_domains_are_no_sides() -> None:
    """Two domains in one group that are heard at different places are two clusters."""
    world = whole(beside_each() | {"d": Place(4, Role.LOCAL)}, nodes=4)
    world.domain = lambda node: "aa" if node < 3 else "bb"
    world.deaf_to = lambda place, node: (place in "ab") is not (node < 3)
    world.answers = lambda _place, _node: False
    world.until(60)
    assert not world.together.joint.sides
    assert Kind.SPLIT not in world.kinds()


def test_flapping_is_no_alarm() -> None:
    """Heard every few seconds at one place: never missed for t_stable."""
    world = whole()
    world.answers = lambda _place, _node: False
    world.deaf_to = lambda place, node: (place, node) == ("a", 3) and world.now % 8 > 0.5
    world.until(120)
    assert not ALARMS & set(world.kinds(CUT))


def test_a_view_that_hangs_back_is_no_alarm() -> None:
    """While a probe cannot be read, its last view is not held against the others' newer ones."""
    world = whole()
    world.places["c"].reached = False
    del world.lives[2]
    world.until(33)
    world.lives[2] = 2
    world.until(90)
    assert not ALARMS & set(world.kinds(CUT))


# -- the table


def test_the_table_is_reached_in_every_row() -> None:
    """No row is dead, and nothing that the table may not say is in it."""
    reached = set()
    for bits in product(*[(True, False)] * 3, (True, False, None), *[(True, False)] * 10):
        values = msgspec.structs.astuple(Findings(*bits))  # type: ignore[arg-type]
        for number, (pattern, _) in enumerate(SEVERAL_VANTAGES):
            if all(wanted == "any" or wanted is bit for wanted, bit in zip(pattern, values, strict=True)):
                reached.add(number)
                break
    assert reached == set(range(len(SEVERAL_VANTAGES)))
    assert {state for _, state in SEVERAL_VANTAGES} == set(ClusterState)


@pytest.mark.parametrize("bit", ["enough", "apart"])
def test_no_split_without(bit: str) -> None:
    """Whatever else is found, a split takes two vantages and two sides."""
    names = Findings.__struct_fields__
    for bits in product(*[(True, False)] * 3, (True, False, None), *[(True, False)] * 10):
        findings = Findings(**dict(zip(names, bits, strict=True)))  # type: ignore[arg-type]
        if not getattr(findings, bit):
            assert joint_state(findings) is not ClusterState.SPLIT


# -- properties

PLACES = "abcde"


def cut_off(nodes: frozenset[int]) -> frozenset[tuple[str, int]]:
    """Return who is not heard where, when some nodes are cut off from the others."""
    pairs = product(enumerate(PLACES, 1), range(1, 6))
    return frozenset((place, node) for (own, place), node in pairs if (own in nodes) is not (node in nodes))


@st.composite
def cuts(draw: st.DrawFn) -> tuple[World, World]:
    """Draw two worlds alike, with any cuts between places and nodes, one of them with its vantages shuffled."""
    anything = st.frozensets(st.tuples(st.sampled_from(PLACES), st.integers(1, 5)))
    deaf = draw(anything | st.frozensets(st.integers(1, 5), min_size=1, max_size=4).map(cut_off))
    answers = draw(st.sampled_from([True, False, None]))
    roles = draw(st.lists(st.sampled_from(Role), min_size=5, max_size=5))
    worlds = []
    for seed in (None, draw(st.integers(0, 1000))):
        places = {
            place: Place(number, role, skew=0.5 * (number % 2))
            for number, (place, role) in enumerate(zip(PLACES, roles, strict=True), 1)
        }
        world = World(places, nodes=5)
        world.until(20)
        world.deaf_to = lambda place, node: (place, node) in deaf
        world.answers = lambda place, node: answers if (place, node) in deaf else True
        if seed is not None:
            world.order = lambda those, seed=seed: random.Random(seed).sample(those, len(those))  # type: ignore[misc]
        worlds.append(world)
    return worlds[0], worlds[1]


@given(cuts())
@settings(max_examples=150)
def test_any_cuts_at_all(worlds: tuple[World, World]) -> None:
    """The order of the vantages does not matter; a split has disjoint sides, and places that prove each."""
    for world in worlds:
        world.until(45)
    one, other = (world.together.joint for world in worlds)
    assert one == other
    if one.verdict.state is not ClusterState.SPLIT:
        return
    sides = [set(side.members) for side in one.sides]
    assert len(sides) > 1
    assert len(set().union(*sides)) == sum(map(len, sides))
    missing = {(loss.place, loss.member) for loss in one.losses}
    for side in one.sides:
        beyond = set().union(*sides) - set(side.members)
        assert side.places
        for place in side.places:
            assert any((place, member) in missing for member in beyond)
            assert worlds[0].places[place].role is not Role.REMOTE


@given(cuts())
@settings(max_examples=50)
def test_all_heals(worlds: tuple[World, World]) -> None:
    """Whatever was cut, once it is mended the cluster is whole again."""
    world, _ = worlds
    world.until(45)
    world.deaf_to = lambda _place, _node: False
    world.answers = lambda _place, _node: True
    world.until(75)
    assert world.state == "whole", world.said()
    assert not world.together.joint.losses


def test_every_joint_state_has_words_of_its_own() -> None:
    """A member's states and the cluster's are told apart in the sentence of what is degraded."""
    world = whole()
    world.goodbye(1)
    del world.lives[2]
    world.until(60)
    assert world.said() == (
        "1 of 3 members alive, the same from a, b and c; "
        f"10.0.0.1:4000 is {MemberState.LEFT}; 10.0.0.2:4000 is {MemberState.LOST}"
    )
