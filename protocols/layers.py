"""The same formats as scapy layers, to dissect captures and to craft packets.

In a scapy shell: ``from protocols.layers import *``. Bytes that
``heartbeat`` and ``frame`` refuse stay Raw; bytes of a frame that is not whole are Padding, so that scapy's
TCPSession waits for the rest. Importing scapy costs half a second: nothing else here imports this.
"""

import ipaddress
from typing import Any, Final

from scapy.fields import (
    FieldLenField,
    FlagsField,
    PacketLenField,
    SignedIntField,
    SignedLongField,
    StrFixedLenField,
    StrLenField,
    XStrFixedLenField,
    XStrLenField,
)
from scapy.layers.inet import TCP, UDP
from scapy.packet import Packet, Padding, Raw, bind_bottom_up, bind_top_down

from protocols.frame import FOOTER, HEADER, Acknowledgement, Option, end_of_frame, parse_data
from protocols.heartbeat import GOODBYE, MARKERS, Layout, host_text, is_heartbeat, parse
from protocols.malformed import Malformed

__all__ = [
    "TribesAcknowledgement",
    "TribesChannelData",
    "TribesFrame",
    "TribesHeartbeat",
    "TribesHeartbeat6",
]

GROUP_PORT: Final = 45564
RECEIVER_PORT: Final = 4000


class _HostField(StrLenField):  # type: ignore[misc]  # scapy is untyped, here and below
    """Packed bytes inside, text to people: "10.0.0.1", "2001:db8::7", else hex after "0x"."""

    def any2i(self, pkt: Any, x: Any) -> Any:  # noqa: ARG002  # scapy's signature
        if not isinstance(x, str):
            return x
        return bytes.fromhex(x[2:]) if x.startswith("0x") else ipaddress.ip_address(x).packed

    def i2h(self, pkt: Any, x: bytes) -> str:  # noqa: ARG002
        return host_text(x)

    def i2repr(self, pkt: Any, x: bytes) -> str:  # noqa: ARG002
        return host_text(x)


class _SecretField(StrLenField):  # type: ignore[misc]
    """Bytes that are not shown: session ids and attributes may be in them."""

    def i2repr(self, pkt: Any, x: bytes) -> str:  # noqa: ARG002
        return f"<{len(x)} bytes>"


def _sized(name: str, default: Any, width: str = "i", field: type = StrLenField) -> list[Any]:
    """Return a field behind its length; the length is computed unless it is given."""
    length = f"{name}_length"
    return [
        FieldLenField(length, None, length_of=name, fmt=width),
        field(name, default, length_from=lambda pkt: getattr(pkt, length)),
    ]


def _member_fields(layout: Layout, *udp_port: Any) -> list[Any]:
    begin, end = MARKERS[layout]
    return [
        StrLenField("begin", begin, length_from=lambda _: len(begin)),
        SignedIntField("body_length", None),
        SignedLongField("alive_ms", 0),
        SignedIntField("port", RECEIVER_PORT),
        SignedIntField("secure_port", -1),
        *udp_port,
        *_sized("host", "127.0.0.1", "b", _HostField),
        *_sized("member_command", b""),
        *_sized("domain", b""),
        XStrFixedLenField("unique_id", bytes(16), 16),
        *_sized("member_payload", b""),
        StrLenField("end", end, length_from=lambda _: len(end)),
    ]


class TribesHeartbeat(Packet):  # type: ignore[misc]
    """The member block of Tomcat 7.0 and later."""

    name = "Tribes heartbeat"
    fields_desc = _member_fields(Layout.CURRENT, SignedIntField("udp_port", -1))

    @classmethod
    def dispatch_hook(cls, _pkt: bytes = b"", *_args: Any, **_kwargs: Any) -> Any:
        """Choose the layer of a datagram on the group by its first bytes."""
        if not _pkt:
            return cls
        if not is_heartbeat(_pkt):
            return TribesFrame.dispatch_hook(_pkt)
        try:
            layout = parse(_pkt).member.layout
        except Malformed:
            return Raw
        return cls if layout is Layout.CURRENT else TribesHeartbeat6

    def mysummary(self) -> str:
        """Say who, for scapy's one-line summaries."""
        what = "goodbye" if self.member_command == GOODBYE else "heartbeat"
        return f"Tribes {what} of {self.host} port {self.port}"

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Fill in the body length: everything between it and the end marker."""
        if self.body_length is None:
            start = len(self.begin) + 4
            length = len(pkt) - start - len(self.end)
            pkt = pkt[: start - 4] + length.to_bytes(4) + pkt[start:]
        return pkt + pay


class TribesHeartbeat6(TribesHeartbeat):
    """The member block of Tomcat 6."""

    name = "Tribes heartbeat of Tomcat 6"
    fields_desc = _member_fields(Layout.TOMCAT_6)


class TribesAcknowledgement(Packet):  # type: ignore[misc]
    """What a receiver writes back."""

    name = "Tribes acknowledgement"
    fields_desc = [StrFixedLenField("code", Acknowledgement.ACK.value, 3)]  # noqa: RUF012


class TribesChannelData(Packet):  # type: ignore[misc]
    """A message with its header."""

    name = "Tribes ChannelData"
    fields_desc = [  # noqa: RUF012
        FlagsField("options", 0, 32, {option.value: option.name for option in Option}),
        SignedLongField("timestamp_ms", 0),
        *_sized("id", bytes(16), field=XStrLenField),
        FieldLenField("sender_length", None, length_of="sender", fmt="i"),
        PacketLenField("sender", TribesHeartbeat(), TribesHeartbeat, length_from=lambda pkt: pkt.sender_length),
        *_sized("message", b"", field=_SecretField),
    ]


def _data_layer(data: bytes) -> Packet:
    try:
        content = parse_data(data)
    except Malformed:
        return Raw(data)
    return TribesAcknowledgement(data) if isinstance(content, Acknowledgement) else TribesChannelData(data)


class TribesFrame(Packet):  # type: ignore[misc]
    """FLT2002 … TLF2003; the next frame is its payload."""

    name = "Tribes frame"
    fields_desc = [  # noqa: RUF012
        StrFixedLenField("header", HEADER, len(HEADER)),
        FieldLenField("length", None, length_of="data", fmt="i"),
        PacketLenField("data", TribesChannelData(), _data_layer, length_from=lambda pkt: pkt.length),
        StrFixedLenField("footer", FOOTER, len(FOOTER)),
    ]

    @classmethod
    def dispatch_hook(cls, _pkt: bytes = b"", *_args: Any, **_kwargs: Any) -> Any:
        """Choose the layer by whether a whole frame stands at the start."""
        if not _pkt:
            return cls
        try:
            return cls if end_of_frame(_pkt) else Padding
        except Malformed:
            return Raw

    def guess_payload_class(self, payload: bytes) -> Any:  # noqa: ARG002
        """Expect another frame."""
        return TribesFrame

    @classmethod
    def tcp_reassemble(cls, data: bytes, *_: Any) -> Packet | None:
        """Give TCPSession what is whole, if anything is; it keeps the Padding for the next segment."""
        layer = cls(data)
        return None if type(layer) is Padding else layer


for _side in ("sport", "dport"):
    bind_bottom_up(UDP, TribesHeartbeat, **{_side: GROUP_PORT})
    bind_bottom_up(TCP, TribesFrame, **{_side: RECEIVER_PORT})
for _layer in (TribesHeartbeat, TribesHeartbeat6, TribesFrame):
    bind_top_down(UDP, _layer, sport=GROUP_PORT, dport=GROUP_PORT)
bind_top_down(TCP, TribesFrame, dport=RECEIVER_PORT)
