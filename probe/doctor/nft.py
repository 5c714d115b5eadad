"""nftables, as ``nft -j list ruleset`` prints it, read into a ruleset."""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from probe.doctor.files import printable
from probe.doctor.ruleset import CANNOT_TELL, Chain, Condition, Rule, Ruleset

_FAMILIES: Final = {4: ("ip", "inet", "netdev"), 6: ("ip6", "inet", "netdev")}
_VERDICTS: Final = {"accept": "accept", "drop": "drop", "reject": "drop", "return": "return", "queue": "accept"}
_SILENT: Final = frozenset(
    {"counter", "log", "comment", "mangle", "notrack", "masquerade", "snat", "dnat", "redirect", "meter"}
    | {"flow", "fwd", "dup", "ct helper", "ct timeout", "set", "continue"}
)
"""Statements that neither ask nor decide."""
_FIELDS: Final = {
    ("ip", "saddr"): "saddr",
    ("ip", "daddr"): "daddr",
    ("ip6", "saddr"): "saddr",
    ("ip6", "daddr"): "daddr",
    ("ip", "protocol"): "l4proto",
    ("ip6", "nexthdr"): "l4proto",
    ("udp", "sport"): "sport",
    ("udp", "dport"): "dport",
    ("tcp", "sport"): "sport",
    ("tcp", "dport"): "dport",
    ("tcp", "flags"): "flags",
    ("th", "sport"): "sport",
    ("th", "dport"): "dport",
}
_METAS: Final = {
    "l4proto": "l4proto",
    "protocol": "protocol",
    "nfproto": "nfproto",
    "pkttype": "pkttype",
    "iif": "iif",
    "iifname": "iif",
    "oif": "oif",
    "oifname": "oif",
}
_NAMES: Final = {"icmpv6": "ipv6-icmp", "2": "igmp", "6": "tcp", "17": "udp", "58": "ipv6-icmp"}
"""Protocols by their other names."""
_MOST_WORDS: Final = 10


def read_nft(text: str, version: int, *, but_iptables: bool = False) -> Ruleset:
    """Read what concerns an IP version; raises ValueError where it is no list of rules.

    ``but_iptables`` leaves out the tables that iptables made, since it lists them better itself.
    """
    items = json.loads(text)["nftables"]
    families = _FAMILIES[version]
    chains: dict[tuple[str, str], dict[str, Any]] = {}
    rules: dict[tuple[str, str], list[Rule]] = {}
    sets: dict[tuple[str, str], Any] = {}
    foreign: set[str] = set()
    for item in items:
        for kind, body in item.items():
            if not isinstance(body, dict) or body.get("family") not in families:
                continue
            table = f"{body['family']} {body.get('table', '')}"
            if kind == "chain":
                chains[table, body["name"]] = body
            elif kind in {"set", "map"}:
                sets[table, body["name"]] = body.get("elem", [])
            elif kind == "rule":
                if any("xt" in part for part in body["expr"]):
                    foreign.add(table)
                named = {name: elements for (where, name), elements in sets.items() if where == table}
                rules.setdefault((table, body["chain"]), []).extend(_rules(body, table, named))
    return Ruleset(
        tuple(
            _chain(table, name, body, tuple(rules.get((table, name), ())))
            for (table, name), body in chains.items()
            if body.get("type", "filter") == "filter" and not (but_iptables and table in foreign)
        )
    )


def _chain(table: str, name: str, body: dict[str, Any], rules: tuple[Rule, ...]) -> Chain:
    priority = body.get("prio", 0)
    return Chain(
        table=printable(table),
        name=name,
        rules=rules,
        hook=body.get("hook", ""),
        priority=priority if isinstance(priority, int) else 0,
        policy=body.get("policy", "accept"),
    )


def _rules(body: dict[str, Any], table: str, sets: dict[str, Any]) -> Iterator[Rule]:
    """Yield a rule; of a verdict map one for each of its entries."""
    where = f"{table} {body['chain']}"
    conditions: list[Condition] = []
    text = f'"{_words(body["expr"])}" (nft {where}, handle {body.get("handle")})'
    for part in body["expr"]:
        ((kind, value),) = part.items()
        if kind == "match":
            conditions += _match(value, sets)
        elif kind in _VERDICTS:
            yield Rule(tuple(conditions), _VERDICTS[kind], text=printable(text))
            return
        elif kind in {"jump", "goto"}:
            yield Rule(tuple(conditions), kind, value["target"], printable(text))
            return
        elif kind == "vmap":
            yield from _map(conditions, value, sets, printable(text))
            return
        elif kind not in _SILENT:
            conditions.append(CANNOT_TELL)


def _map(conditions: list[Condition], value: Any, sets: dict[str, Any], text: str) -> Iterator[Rule]:
    data = value["data"]
    entries = sets.get(data.removeprefix("@"), []) if isinstance(data, str) else data.get("set", [])
    for key, verdict in entries:
        ((kind, target),) = verdict.items()
        asked = (*conditions, *_match({"op": "==", "left": value["key"], "right": key}, sets))
        if kind in _VERDICTS:
            yield Rule(asked, _VERDICTS[kind], text=text)
        elif kind in {"jump", "goto"}:
            yield Rule(asked, kind, target["target"], text)


def _match(match: dict[str, Any], sets: dict[str, Any]) -> list[Condition]:
    """Return what a match asks, what its field implies included."""
    left, op = match["left"], match["op"]
    field, implied = _field(left)
    if not field or op not in {"==", "!=", "in"}:
        return [*implied, CANNOT_TELL]
    values = _values(match["right"], sets)
    if values is None:
        return [*implied, CANNOT_TELL]
    if field == "l4proto":
        values = tuple(_NAMES.get(value, value) for value in values)
    return [*implied, Condition(field, values, negated=op == "!=")]


def _field(left: Any) -> tuple[str, list[Condition]]:
    """Return the field that is asked for, and what else the packet must be to have it."""
    if not isinstance(left, dict) or len(left) != 1:
        return "", []
    ((kind, what),) = left.items()
    if kind == "payload" and "field" in what:
        protocol = what["protocol"]
        implied = []
        if protocol in {"udp", "tcp", "igmp", "icmp"}:
            implied.append(Condition("l4proto", (protocol,)))
        elif protocol in {"ip", "ip6"}:
            implied.append(Condition("nfproto", ("ipv4" if protocol == "ip" else "ipv6",)))
        return _FIELDS.get((protocol, what["field"]), ""), implied
    if kind == "meta":
        return _METAS.get(what["key"], ""), []
    if kind == "ct" and what["key"] == "state":
        return "state", []
    if kind == "fib" and what.get("result") == "type" and what.get("flags") == ["daddr"]:
        return "pkttype", []
    return "", []


def _values(right: Any, sets: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the values as text; None where they cannot be told."""
    if isinstance(right, str | int):
        text = str(right)
        return (text,) if not text.startswith("@") else _all(sets.get(text[1:]), sets)
    if isinstance(right, list):
        return _all(right, sets)
    if not isinstance(right, dict) or len(right) != 1:
        return None
    ((kind, what),) = right.items()
    read = _KINDS.get(kind)
    return read(what, sets) if read is not None else None


def _all(elements: list[Any] | None, sets: dict[str, Any]) -> tuple[str, ...] | None:
    if elements is None:
        return None
    each = [_values(element, sets) for element in elements]
    known = [values for values in each if values is not None]
    return tuple(itertools.chain.from_iterable(known)) if len(known) == len(each) else None


_KINDS: Final[dict[str, Callable[[Any, dict[str, Any]], tuple[str, ...] | None]]] = {
    "set": _all,
    "prefix": lambda what, _: (f"{what['addr']}/{what['len']}",),
    "range": lambda what, _: (f"{what[0]}-{what[1]}",),
    "elem": lambda what, sets: _values(what["val"], sets),
}


def _words(expression: list[Any]) -> str:
    """Write a rule about as nft would, short."""
    words: list[str] = []
    for part in expression:
        ((kind, value),) = part.items()
        if kind == "match":
            left = _left(value["left"])
            words += [left, *(["!="] if value["op"] == "!=" else []), _right(value["right"])]
        elif kind in {"jump", "goto"}:
            words += [kind, str(value["target"])]
        elif kind not in {"counter", "log"}:
            words.append(kind)
    return " ".join(words[: 2 * _MOST_WORDS])


def _left(left: Any) -> str:
    if isinstance(left, dict) and len(left) == 1:
        ((kind, what),) = left.items()
        if kind == "payload":
            return f"{what.get('protocol', '')} {what.get('field', '')}".strip()
        if isinstance(what, dict) and "key" in what:
            return f"{kind} {what['key']}"
        return str(kind)
    return "…"


def _right(right: Any) -> str:
    values = _values(right, {})
    if values is None:
        return str(right) if isinstance(right, str) else "…"
    shown = ", ".join(values[:_MOST_WORDS]) + (", …" if len(values) > _MOST_WORDS else "")
    return f"{{{shown}}}" if len(values) > 1 else shown
