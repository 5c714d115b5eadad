"""What a packet filter does with a packet, as far as it can be told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.doctor.ruleset import CANNOT_TELL, Chain, Condition, Match, Packet, Passage, Rule, Ruleset, holds

FIELDS = {
    "l4proto": "udp",
    "saddr": "10.0.0.0/24",
    "daddr": "228.0.0.4",
    "dport": "45564",
    "iif": "eth0",
    "oif": "",
    "nfproto": "ipv4",
}
PACKET = Packet("a heartbeat", ("prerouting", "input"), FIELDS)
UDP, TCP = Condition("l4proto", ("udp",)), Condition("l4proto", ("tcp",))


@pytest.mark.parametrize(
    ("field", "values", "match"),
    [
        ("l4proto", ("tcp", "udp"), Match.YES),
        ("l4proto", ("tcp",), Match.NO),
        ("daddr", ("224.0.0.0/4",), Match.YES),
        ("daddr", ("228.0.0.5",), Match.NO),
        ("daddr", ("228.0.0.1-228.0.0.9",), Match.YES),
        ("daddr", ("fd00::/8",), Match.NO),
        ("saddr", ("10.0.0.0/8",), Match.YES),
        ("saddr", ("10.0.0.7",), Match.MAYBE),
        ("saddr", ("10.0.0.250-10.0.1.9",), Match.MAYBE),
        ("saddr", ("10.0.1.0/24", "192.0.2.1"), Match.NO),
        ("saddr", ("10.0.0.7", "10.0.0.0/16"), Match.YES),
        ("saddr", ("@unknown",), Match.MAYBE),
        ("dport", ("1-100", "45564"), Match.YES),
        ("dport", ("45565-65535",), Match.NO),
        ("dport", ("http",), Match.MAYBE),
        ("iif", ("eth*",), Match.YES),
        ("iif", ("ens*",), Match.NO),
        ("oif", ("*",), Match.NO),
        ("mark", ("1",), Match.MAYBE),
        ("", (), Match.MAYBE),
    ],
)
def test_a_condition(field: str, values: tuple[str, ...], match: Match) -> None:
    """A condition holds, does not hold, or cannot be told; its negation turns what can be told."""
    assert holds(Condition(field, values), PACKET) is match
    turned = {Match.YES: Match.NO, Match.NO: Match.YES, Match.MAYBE: Match.MAYBE}[match]
    assert holds(Condition(field, values, negated=True), PACKET) is turned


def drop(*conditions: Condition, text: str = "drop") -> Rule:
    """Return a rule that drops."""
    return Rule(conditions, "drop", text=text)


def accept(*conditions: Condition) -> Rule:
    """Return a rule that accepts."""
    return Rule(conditions, "accept", text="accept")


def jump(target: str, *conditions: Condition, how: str = "jump") -> Rule:
    """Return a rule that goes elsewhere."""
    return Rule(conditions, how, target, how)


def back(*conditions: Condition) -> Rule:
    """Return a rule that goes back."""
    return Rule(conditions, "return", text="return")


PASSES = Passage()
DROPPED = Passage("drop")
PERHAPS = Passage("", ("drop",))


@pytest.mark.parametrize(
    ("rules", "policy", "passage"),
    [
        ([], "accept", PASSES),
        ([], "drop", Passage("the policy of t in")),
        ([drop(UDP)], "accept", DROPPED),
        ([drop(TCP)], "accept", PASSES),
        ([drop(UDP, TCP)], "accept", PASSES),
        ([accept(UDP), drop(UDP)], "drop", PASSES),
        ([accept(TCP)], "drop", Passage("the policy of t in")),
        ([drop(CANNOT_TELL)], "accept", PERHAPS),
        ([accept(CANNOT_TELL), drop(UDP)], "accept", PERHAPS),
        ([accept(CANNOT_TELL)], "drop", Passage("", ("the policy of t in",))),
        ([drop(CANNOT_TELL, text="first"), drop()], "accept", Passage("drop", ("first",))),
        ([Rule((UDP,), "", text="counter"), drop()], "accept", DROPPED),
        ([jump("other"), accept()], "drop", DROPPED),
        ([jump("other", TCP), accept()], "drop", PASSES),
        ([jump("other", CANNOT_TELL), accept()], "drop", PERHAPS),
        ([jump("nowhere"), accept()], "drop", PASSES),
        ([jump("returns"), accept()], "drop", PASSES),
        ([jump("returns", how="goto"), accept()], "drop", Passage("the policy of t in")),
        ([back(), accept()], "drop", Passage("the policy of t in")),
        ([jump("ring"), accept()], "drop", PASSES),
    ],
)
def test_a_chain(rules: list[Rule], policy: str, passage: Passage) -> None:
    """Rules are taken in order; a jump comes back, a goto does not; uncertainty is carried along."""
    chains = (
        Chain("t", "in", tuple(rules), "input", 0, policy),
        Chain("t", "other", (drop(),)),
        Chain("t", "returns", (back(UDP), drop())),
        Chain("t", "ring", (jump("ring"),)),
        Chain("t", "out", (drop(),), "output"),
    )
    assert Ruleset(chains).passage(PACKET) == passage


def test_a_packet_has_to_pass_every_chain_of_every_hook() -> None:
    """Accepted in one base chain it comes to the next, by priority and by hook."""
    first = Chain("a", "x", (accept(),), "input", -10)
    last = Chain("b", "x", (drop(text="last"),), "input", 10)
    early = Chain("c", "x", (drop(text="early"),), "prerouting", 50)
    assert Ruleset((last, first)).passage(PACKET) == Passage("last")
    assert Ruleset((last, first, early)).passage(PACKET) == Passage("early")


rules = st.lists(
    st.builds(
        Rule,
        st.lists(
            st.sampled_from([UDP, TCP, CANNOT_TELL, Condition("dport", ("1-9",), negated=True)]), max_size=2
        ).map(tuple),
        st.sampled_from(["accept", "drop", "return", "jump", "goto", ""]),
        st.sampled_from(["a", "b", "in"]),
        st.just("text"),
    ),
    max_size=5,
).map(tuple)


@given(rules, rules, rules, st.sampled_from(["accept", "drop"]))
def test_it_comes_to_an_end(
    one: tuple[Rule, ...], two: tuple[Rule, ...], three: tuple[Rule, ...], policy: str
) -> None:
    """Whatever calls whatever, the walk ends; without any drop nothing is dropped."""
    chains = (Chain("t", "in", one, "input", 0, policy), Chain("t", "a", two), Chain("t", "b", three))
    passage = Ruleset(chains).passage(PACKET)
    if policy == "accept" and not any(rule.verdict == "drop" for rule in (*one, *two, *three)):
        assert passage == PASSES
