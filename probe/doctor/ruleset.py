"""A packet filter as a value, and what it does with one packet, as far as that can be told.

Pure. nftables and iptables are read into it. Where a condition cannot be told from here (a rate, a mark, a
sender not known), the rule may match; so a packet passes, is dropped, or may be dropped.
"""

import fnmatch
import ipaddress
from collections.abc import Iterable
from enum import IntEnum
from typing import Final

import msgspec

DEEPEST: Final = 16
"""Chains that call each other: nftables' own limit."""
MOST_RULES: Final = 100_000
"""Rules looked at for one packet."""

_ADDRESSES: Final = frozenset({"saddr", "daddr"})
_NUMBERS: Final = frozenset({"sport", "dport"})


class Match(IntEnum):
    """Whether a condition holds of a packet."""

    NO = 0
    MAYBE = 1
    YES = 2


class Condition(msgspec.Struct, frozen=True):
    """One thing a rule asks: a field of the packet is one of the values. No field: it cannot be told."""

    field: str = ""
    values: tuple[str, ...] = ()
    negated: bool = False


CANNOT_TELL: Final = Condition()


class Rule(msgspec.Struct, frozen=True):
    """Conditions, and what is done when all hold: accept, drop, jump, goto, return, or "" (goes on)."""

    conditions: tuple[Condition, ...]
    verdict: str
    target: str = ""
    text: str = ""


class Chain(msgspec.Struct, frozen=True):
    """Rules in order; one with a hook is where packets come in. ``table`` names are unique over families."""

    table: str
    name: str
    rules: tuple[Rule, ...] = ()
    hook: str = ""
    priority: int = 0
    policy: str = "accept"


class Packet(msgspec.Struct, frozen=True):
    """A packet in words: the hooks it passes, and its fields; a field that is not there cannot be told.

    A field of "" is one the packet does not have; an address may be a network: any sender of it.
    """

    called: str
    hooks: tuple[str, ...]
    fields: dict[str, str]


class Passage(msgspec.Struct, frozen=True):
    """What becomes of a packet: the rule that drops it, and rules that may."""

    dropped: str = ""
    may_drop: tuple[str, ...] = ()


class Ruleset(msgspec.Struct, frozen=True):
    """Every chain of this host, by table and name."""

    chains: tuple[Chain, ...] = ()

    def passage(self, packet: Packet) -> Passage:
        """Send a packet through its hooks in order."""
        walk = _Walk({(chain.table, chain.name): chain for chain in self.chains}, packet)
        for hook in packet.hooks:
            for chain in sorted(self.chains, key=lambda one: one.priority):
                if chain.hook == hook and (dropped := walk.through(chain)):
                    return Passage(dropped, tuple(dict.fromkeys(walk.may_drop)))
        return Passage("", tuple(dict.fromkeys(walk.may_drop)))


class _Walk:
    """One packet's way; ``may_drop`` gathers what may have ended it."""

    def __init__(self, chains: dict[tuple[str, str], Chain], packet: Packet) -> None:
        self.chains = chains
        self.packet = packet
        self.may_drop: list[str] = []
        self.left = MOST_RULES

    def through(self, chain: Chain) -> str:
        """Return the rule of a base chain that drops the packet for certain; nothing when it goes on."""
        fate, text, sure = self._run(chain, 0, sure=True)
        if fate == "":
            fate, text = chain.policy, f"the policy of {chain.table} {chain.name}"
        if fate != "drop":
            return ""
        if sure:
            return text
        self.may_drop.append(text)
        return ""

    def _run(self, chain: Chain, depth: int, *, sure: bool) -> tuple[str, str, bool]:
        """Return how a chain ended ("" at its end), by which rule, and whether that is certain.

        Not certain: the packet may have been accepted before.
        """
        for rule in chain.rules:
            self.left -= 1
            match = min((holds(one, self.packet) for one in rule.conditions), default=Match.YES)
            if match is Match.NO or self.left < 0 or not rule.verdict:
                continue
            if match is Match.MAYBE:
                sure = self._maybe(rule, chain, depth) and sure
                continue
            if rule.verdict == "return":
                return "", "", sure
            if rule.verdict in {"accept", "drop"}:
                return rule.verdict, rule.text, sure
            target = self.chains.get((chain.table, rule.target))
            if target is None or depth >= DEEPEST:
                sure = False
                continue
            fate, text, sure = self._run(target, depth + 1, sure=sure)
            if fate or rule.verdict == "goto":
                return fate, text, sure
        return "", "", sure

    def _maybe(self, rule: Rule, chain: Chain, depth: int) -> bool:
        """Take a rule that may match; return whether the packet comes to the next one for all we know.

        A drop that may happen is noted, and the packet that came by it goes on as certain as before.
        """
        if rule.verdict == "drop":
            self.may_drop.append(rule.text)
            return True
        if rule.verdict in {"jump", "goto"}:
            target = self.chains.get((chain.table, rule.target))
            if target is not None and depth < DEEPEST:
                fate, text, _ = self._run(target, depth + 1, sure=False)
                if fate == "drop":
                    self.may_drop.append(text)
        return False


def holds(condition: Condition, packet: Packet) -> Match:
    """Whether a condition holds of a packet."""
    if condition.field not in packet.fields:
        return Match.MAYBE
    value = packet.fields[condition.field]
    match = _any(condition, value) if value else Match.NO
    if not condition.negated or match is Match.MAYBE:
        return match
    return Match.NO if match is Match.YES else Match.YES


def _any(condition: Condition, value: str) -> Match:
    try:
        if condition.field in _ADDRESSES:
            return max((_in_network(value, one) for one in condition.values), default=Match.NO)
        if condition.field in _NUMBERS:
            return _said(any(_in_range(int(value), one) for one in condition.values))
    except ValueError:  # a set or a name that was not resolved
        return Match.MAYBE
    return _said(any(fnmatch.fnmatchcase(value, one) for one in condition.values))


def _said(truth: bool) -> Match:  # noqa: FBT001  # truth in two values to truth in three
    return Match.YES if truth else Match.NO


def _in_network(value: str, wanted: str) -> Match:
    """Whether an address, or every address of a network, is among those wanted; some of them: maybe."""
    ours = ipaddress.ip_network(value, strict=False)
    first, _, last = wanted.partition("-")
    low, high = ipaddress.ip_network(first, strict=False), ipaddress.ip_network(last or first, strict=False)
    if ours.version != low.version:
        return Match.NO
    least, most = int(low[0]), int(high[-1])
    if int(ours[-1]) < least or most < int(ours[0]):
        return Match.NO
    return Match.YES if least <= int(ours[0]) and int(ours[-1]) <= most else Match.MAYBE


def _in_range(value: int, wanted: str) -> bool:
    low, _, high = wanted.partition("-")
    return int(low) <= value <= int(high or low)


def merged(rulesets: Iterable[Ruleset]) -> Ruleset:
    """Put several filters together: a packet has to pass all of them."""
    return Ruleset(tuple(chain for ruleset in rulesets for chain in ruleset.chains))
