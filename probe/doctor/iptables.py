"""iptables, as ``iptables-save`` prints it, read into a ruleset."""

import shlex
from typing import Final

from probe.doctor.files import printable
from probe.doctor.ruleset import CANNOT_TELL, Chain, Condition, Rule, Ruleset

_HOOKS: Final = {"INPUT": "input", "OUTPUT": "output", "PREROUTING": "prerouting", "POSTROUTING": "postrouting"}
_PRIORITIES: Final = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}
"""Tables whose chains decide, and their turn; nat never drops."""
_VERDICTS: Final = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
_SILENT: Final = frozenset({"LOG", "NFLOG", "CONNMARK", "MARK", "CT", "TRACE", "AUDIT", "TCPMSS", "CHECKSUM"})
_FIELDS: Final = {
    "-s": "saddr",
    "-d": "daddr",
    "-i": "iif",
    "-o": "oif",
    "-p": "l4proto",
    "--sport": "sport",
    "--dport": "dport",
    "--sports": "sport",
    "--dports": "dport",
    "--state": "state",
    "--ctstate": "state",
    "--pkt-type": "pkttype",
    "--dst-type": "pkttype",
}
_MODULES: Final = frozenset({"udp", "tcp", "multiport", "conntrack", "state", "pkttype", "addrtype", "comment"})
"""Modules whose options are all understood or ask nothing."""
_PROTOCOLS: Final = {"2": "igmp", "6": "tcp", "17": "udp", "58": "ipv6-icmp", "icmpv6": "ipv6-icmp"}


def read_iptables(text: str, program: str = "iptables") -> Ruleset:
    """Read every table that decides."""
    chains: list[Chain] = []
    rules: dict[str, list[Rule]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table, rules = line[1:].strip(), {}
        elif table not in _PRIORITIES:
            continue
        elif line.startswith(":"):
            name, policy, *_ = [*line[1:].split(), "-"]
            hook = _HOOKS.get(name, "")
            verdict = _VERDICTS.get(policy, "accept")
            chains.append(Chain(f"{program} {table}", name, (), hook, _PRIORITIES[table], verdict))
        elif line.startswith("-A "):
            words = _split(line)
            rules.setdefault(words[1], []).append(_rule(words, line, f"{program} {table}"))
        elif line.startswith("COMMIT"):
            whose = f"{program} {table}"
            chains = [_filled(one, rules) if one.table == whose else one for one in chains]
    return Ruleset(tuple(chains))


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _filled(chain: Chain, rules: dict[str, list[Rule]]) -> Chain:
    found = tuple(rules.get(chain.name, ()))
    return Chain(chain.table, chain.name, found, chain.hook, chain.priority, chain.policy)


def _rule(words: list[str], line: str, table: str) -> Rule:
    conditions: list[Condition] = []
    verdict = target = ""
    negated = False
    rest = iter(words[2:])
    for word in rest:
        if word == "!":
            negated = True
            continue
        if word in {"-j", "-g"}:
            verdict, target = _decision(next(rest, ""), goto=word == "-g")
            break  # what follows are the target's own options
        if word == "-m":
            if next(rest, "") not in _MODULES:
                conditions.append(CANNOT_TELL)
        elif word in _FIELDS:
            conditions.append(Condition(_FIELDS[word], _values(word, next(rest, "")), negated))
        elif word == "--comment":
            next(rest, "")
        elif word.startswith("-"):
            conditions.append(CANNOT_TELL)
        negated = False
    return Rule(tuple(conditions), verdict, target, f'"{printable(line)}" ({table})')


def _decision(word: str, *, goto: bool) -> tuple[str, str]:
    if word in _VERDICTS:
        return _VERDICTS[word], ""
    if word in _SILENT or word.isupper():  # of another extension: it may decide, but not by itself
        return "", ""
    return ("goto" if goto else "jump"), word


def _values(option: str, text: str) -> tuple[str, ...]:
    values = tuple(text.split(","))
    if option == "-p":
        return tuple(_PROTOCOLS.get(value, value) for value in values)
    if option in {"-i", "-o"}:
        return tuple(f"{value[:-1]}*" if value.endswith("+") else value for value in values)
    if _FIELDS[option] in {"sport", "dport"}:
        return tuple(value.replace(":", "-") for value in values)
    return tuple(value.lower() for value in values)
