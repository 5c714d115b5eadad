"""A channel's MBeans become what its Tomcat believes: whom it hears, and whom it keeps as members.

``ClusterChannel:type=Channel,channel=…``: component=Membership is ``McastService``, whose MembersByName is the
raw list of who is heard; component=Channel is ``GroupChannel``, whose Members went through the interceptors
and are those that sessions are sent to. Both write ``MemberImpl.toString``.
"""

import ipaddress
import re
from typing import Final

from probe.fields import shown
from probe.model.belief import Belief, Entry
from probe.tomcat.mbeans import Bean, UnreadableError, read_beans
from protocols.heartbeat import address_name

QUERY: Final = "ClusterChannel:type=Channel,*"
LONGEST_DROP_TIME: Final = 86_400_000
"""ms; a longer one is no dropTime."""

_BYTES: Final = r"\{[^{}]{0,200}\}"
_MEMBER: Final = re.compile(
    r"[\w.$]{1,200}\[tcp://(?P<host>\{[\d, -]{1,80}\}|[\w.:%-]{1,255}):(?P<port>\d{1,5}),(?P=host),(?P=port),"
    r" alive=-?\d{1,19}, securePort=-?\d{1,10}, UDP Port=-?\d{1,10}, id=\{(?P<id>(?:-?\d{1,3} ){16})\},"
    rf" payload={_BYTES}, command={_BYTES}, domain={_BYTES}\]",
    re.ASCII,
)


def read_belief(text: str, address: str, port: int) -> Belief:
    """Return what a Tomcat believes of the group at an address; raises ``UnreadableError``."""
    channels: dict[str, dict[str, Bean]] = {}
    for bean in read_beans(text):
        channel, _, component = bean.name.partition(",component=")
        channels.setdefault(channel, {})[component] = bean
    found = [parts for parts in channels.values() if _place(parts) == (address, str(port))]
    if not found:
        raise UnreadableError(_nothing(channels, address, port))
    if len(found) > 1:
        raise UnreadableError(f"{len(found)} of its channels are members of {address}:{port}")
    return _believe(found[0])


def _place(parts: dict[str, Bean]) -> tuple[object, object]:
    """Return the group that a channel's multicast membership is in."""
    said = parts["Membership"].attributes if "Membership" in parts else {}
    return _one_spelling(said.get("Address")), said.get("Port")


def _one_spelling(address: object) -> object:
    try:
        return str(ipaddress.ip_address(address)) if isinstance(address, str) else None
    except ValueError:
        return address


def _nothing(channels: dict[str, dict[str, Bean]], address: str, port: int) -> str:
    if not channels:
        return "it has no MBean of a cluster's channel: no <Cluster>, jmxEnabled off, or older than 8.5"
    others = sorted({f"{where}:{number}" for where, number in map(_place, channels.values()) if where})
    if not others:
        return "its channel has no multicast membership"
    return f"it is no member of {address}:{port} but of {', '.join(map(shown, others[:3]))}"


def _believe(parts: dict[str, Bean]) -> Belief:
    membership, channel = parts["Membership"], parts.get("Channel")
    if channel is None:
        raise UnreadableError("it shows a Membership and no Channel")
    return Belief(
        local=_entry(_text(membership, "LocalMemberName")),
        hears=_entries(membership, "MembersByName"),
        keeps=_entries(channel, "Members"),
        drop_time=_milliseconds(membership, "DropTime") / 1000,
    )


def _text(bean: Bean, name: str) -> str:
    value = bean.attributes.get(name)
    if not isinstance(value, str):
        raise UnreadableError(f"its answer lacks {name}")
    return value


def _milliseconds(bean: Bean, name: str) -> int:
    value = _text(bean, name)
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII) or not 0 < int(value) <= LONGEST_DROP_TIME:
        raise UnreadableError(f"its {name} {shown(value)} is no time in ms")
    return int(value)


def _entries(bean: Bean, name: str) -> tuple[Entry, ...]:
    value = bean.attributes.get(name)
    if not isinstance(value, tuple):
        raise UnreadableError(f"its answer lacks {name}")
    entries = tuple(map(_entry, value))
    if len({(entry.member, entry.unique_id) for entry in entries}) < len(entries):
        raise UnreadableError(f"its {name} have a member twice")
    return entries


def _entry(text: str) -> Entry:
    found = _MEMBER.fullmatch(text)
    if found is None or int(found["port"]) > 65535:  # noqa: PLR2004
        raise UnreadableError(f"its answer has {shown(text)} where a member should stand")
    return Entry(_name(found["host"], int(found["port"])), _packed(found["id"].split()))


def _packed(numbers: list[str]) -> bytes:
    """Return Java's signed bytes, or unsigned ones, as bytes."""
    try:
        return bytes(int(number) + 256 if number.startswith("-") else int(number) for number in numbers)
    except ValueError:
        raise UnreadableError(f"its answer has {shown(' '.join(numbers))} where bytes should stand") from None


def _name(host: str, port: int) -> str:
    """Return "10.0.0.1:4000"; a Tomcat that looks names up writes those."""
    if host.startswith("{"):
        return address_name(_packed(host.strip("{}").split(", ")), port)
    try:
        return address_name(ipaddress.ip_address(host.partition("%")[0]).packed, port)
    except ValueError:
        return f"{host}:{port}"
