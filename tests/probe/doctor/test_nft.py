"""nftables' own JSON, as nft 1.0.6 prints it, and what becomes of a heartbeat under it."""

import json
from typing import Any

import pytest

from probe.doctor.nft import read_nft
from probe.doctor.ruleset import Packet, Passage

HEARTBEAT = Packet(
    "heartbeats",
    ("input",),
    {
        "nfproto": "ipv4",
        "protocol": "ip",
        "state": "new",
        "l4proto": "udp",
        "saddr": "10.0.0.0/24",
        "daddr": "228.0.0.4",
        "dport": "45564",
        "iif": "eth0",
        "oif": "",
        "pkttype": "multicast",
    },
)


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    """Return a match as nft writes it."""
    return {"match": {"op": op, "left": left, "right": right}}


def payload(protocol: str, field: str) -> dict[str, Any]:
    """Return a field of the packet."""
    return {"payload": {"protocol": protocol, "field": field}}


def meta(key: str) -> dict[str, Any]:
    """Return what the kernel knows beside the packet."""
    return {"meta": {"key": key}}


DPORT, DADDR, SADDR = payload("udp", "dport"), payload("ip", "daddr"), payload("ip", "saddr")
STATE = {"ct": {"key": "state"}}
DROP: dict[str, Any] = {"drop": None}


def ruleset(*expressions: list[Any], family: str = "inet", policy: str = "accept", elements: Any = ()) -> str:
    """Write a chain at input, with rules, a set "s" and a chain "other" that drops."""
    where = {"family": family, "table": "f"}
    rules = [{"rule": {**where, "chain": "in", "handle": 3, "expr": expr}} for expr in expressions]
    return json.dumps(
        {
            "nftables": [
                {"metainfo": {"version": "1.0.6"}},
                {"table": {"family": family, "name": "f"}},
                {"set": {**where, "name": "s", "elem": list(elements)}},
                {
                    "chain": {
                        **where,
                        "name": "in",
                        "type": "filter",
                        "hook": "input",
                        "prio": 0,
                        "policy": policy,
                    }
                },
                {"chain": {**where, "name": "other"}},
                {"rule": {**where, "chain": "other", "handle": 9, "expr": [DROP]}},
                *rules,
            ]
        }
    )


@pytest.mark.parametrize(
    ("expression", "fate"),
    [
        ([match(DPORT, 45564), DROP], "dropped"),
        ([match(DPORT, 45565), DROP], "passes"),
        ([match(DPORT, 45564, "!="), DROP], "passes"),
        ([match(DPORT, {"range": [1, 65535]}), DROP], "dropped"),
        ([match(DPORT, {"set": [22, {"range": [45000, 46000]}]}), DROP], "dropped"),
        ([match(DPORT, "@s"), DROP], "dropped"),
        ([match(DPORT, "@nowhere"), DROP], "perhaps"),
        ([match(payload("th", "dport"), 45564), DROP], "dropped"),
        ([match(payload("tcp", "dport"), 45564), DROP], "passes"),
        ([match(DADDR, "228.0.0.4"), DROP], "dropped"),
        ([match(DADDR, {"prefix": {"addr": "224.0.0.0", "len": 4}}), DROP], "dropped"),
        ([match(payload("ip6", "daddr"), "ff02::1"), DROP], "passes"),
        ([match(SADDR, "10.0.0.7"), DROP], "perhaps"),
        ([match(SADDR, {"prefix": {"addr": "10.0.0.0", "len": 8}}, "!="), DROP], "passes"),
        ([match(payload("ip", "protocol"), "igmp"), DROP], "passes"),
        ([match(meta("l4proto"), {"set": ["tcp", "udp"]}), DROP], "dropped"),
        ([match(meta("l4proto"), 17), DROP], "dropped"),
        ([match(meta("iifname"), "eth*"), DROP], "dropped"),
        ([match(meta("oifname"), "eth0"), DROP], "passes"),
        ([match(meta("pkttype"), "multicast"), DROP], "dropped"),
        ([match({"fib": {"result": "type", "flags": ["daddr"]}}, "multicast"), DROP], "dropped"),
        ([match(STATE, ["established", "related"], "in"), DROP], "passes"),
        ([match(STATE, "new", "in"), DROP], "dropped"),
        ([match(meta("mark"), 1), DROP], "perhaps"),
        ([match({"&": [DADDR, "255.0.0.0"]}, "228.0.0.0"), DROP], "perhaps"),
        ([{"limit": {"rate": 5, "per": "second"}}, DROP], "perhaps"),
        ([{"xt": None}, DROP], "perhaps"),
        ([{"counter": {"packets": 0, "bytes": 0}}, {"log": None}, DROP], "dropped"),
        ([{"reject": {"type": "icmp", "expr": "admin-prohibited"}}], "dropped"),
        ([{"jump": {"target": "other"}}], "dropped"),
        (
            [{"vmap": {"key": STATE, "data": {"set": [["invalid", DROP], ["new", {"continue": None}]]}}}],
            "passes",
        ),
        ([{"vmap": {"key": STATE, "data": {"set": [["new", {"jump": {"target": "other"}}]]}}}], "dropped"),
        ([{"vmap": {"key": DPORT, "data": "@nowhere"}}], "passes"),
        ([match(DPORT, 45564), {"counter": None}], "passes"),
    ],
)
def test_a_rule(expression: list[Any], fate: str) -> None:
    """Each kind of match is understood, or counted among what cannot be told."""
    passage = read_nft(ruleset(expression, elements=[22, 45564]), 4).passage(HEARTBEAT)
    assert ("dropped" if passage.dropped else "perhaps" if passage.may_drop else "passes") == fate


def test_it_says_which_rule() -> None:
    """The rule is quoted, with its place and handle."""
    expression = [match(DADDR, "228.0.0.4"), match(DPORT, {"set": [1, 45564]}), {"counter": None}, DROP]
    passage = read_nft(ruleset(expression), 4).passage(HEARTBEAT)
    assert passage.dropped == '"ip daddr 228.0.0.4 udp dport {1, 45564} drop" (nft inet f in, handle 3)'


def test_only_what_concerns_the_version() -> None:
    """A table of the other family is not looked at; a policy counts like a rule."""
    assert read_nft(ruleset([DROP], family="ip6"), 4).passage(HEARTBEAT) == Passage()
    assert read_nft(ruleset([DROP], family="ip6"), 6).chains
    assert read_nft(ruleset(policy="drop"), 4).passage(HEARTBEAT).dropped == "the policy of inet f in"


def test_tables_of_iptables_are_left_to_it() -> None:
    """Where iptables-save lists them better, they are not read twice."""
    text = ruleset([{"xt": None}, DROP])
    assert read_nft(text, 4, but_iptables=True).chains == ()
    assert len(read_nft(text, 4).chains) == 2
    assert read_nft(ruleset([DROP]), 4, but_iptables=True).passage(HEARTBEAT).dropped


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"nftables": 1}'])
def test_what_is_no_list_of_rules(text: str) -> None:
    """Anything else is an error, never an empty filter."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_nft(text, 4)
