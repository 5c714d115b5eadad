"""FLT2002 … TLF2003 frames and the ChannelData inside: what members say to each other.

Frames follow each other in a TCP stream or in one datagram (``XByteBuffer``). The effects of a
malformed one are those of a broadcast on the membership group; on TCP a Tomcat closes the connection
or never decodes what follows, and its membership is untouched.
"""

from enum import Enum, IntFlag
from typing import Any, Final

import msgspec
from construct import Construct, Int32sb, Int64sb, StreamError, Struct, Tell

from protocols.heartbeat import Heartbeat, Member, encode, parse
from protocols.malformed import Effect, Malformed, Reason, check_length
from protocols.sized import Sized

HEADER: Final = b"FLT2002"
FOOTER: Final = b"TLF2003"
_START: Final = len(HEADER) + 4
OVERHEAD: Final = _START + len(FOOTER)
"""bytes around the data of a frame."""
LONGEST: Final = 64 * 2**20
"""bytes of data in one frame: above this a reader gives the stream up. A Tomcat has no limit."""

LIVENESS_TEST: Final = bytes.fromhex(
    "4fa77348798243c99f6f8980a15b07147dd9525bebf1439ab77ebe8f81671eb6"
    "3715be87457e4ca8bf0a4d135338153255f694b73afa407891047dd77284c0d5"
)
"""``TcpFailureDetector.TCP_FAIL_DETECT``, 64 bytes: any other text would go up the stack."""


class Option(IntFlag):
    """``Channel.SEND_OPTIONS_*``, and the flag that GzipInterceptor sets."""

    BYTE_MESSAGE = 0x01
    USE_ACK = 0x02
    SYNCHRONIZED_ACK = 0x04
    ASYNCHRONOUS = 0x08
    SECURE = 0x10
    UDP = 0x20
    MULTICAST = 0x40
    GZIP = 0x100


def option_names(options: int) -> tuple[str, ...]:
    """Return the names of the bits set, lowest first; a bit of an application or interceptor as "0x200"."""
    bits = (1 << place for place in range(32) if options >> place & 1)
    return tuple(Option(bit).name or hex(bit) for bit in bits)


class Acknowledgement(Enum):
    """What a receiver writes back (``transport.Constants``); only its order says to which message."""

    ACK = b"\x06\x02\x03"
    FAIL_ACK = b"\x0b\x00\x05"


class _MemberBlock(Construct):  # type: ignore[misc]  # construct is untyped
    """A member block after its length, refused in the order in which Java looks; it allocates last."""

    def _parse(self, stream: Any, context: Any, path: str) -> Heartbeat:
        length = Int32sb._parsereport(stream, context, path)  # noqa: SLF001  # construct's own seam
        start, rest = stream.tell(), stream.read()
        try:
            heartbeat = parse(rest, length)
        except Malformed as refused:
            if refused.reason is not Reason.BEGIN_MARKER:
                raise
            # In the multicast receiver such bytes are routed elsewhere; in a frame they reach ``getMember``.
            raise Malformed(refused.reason, Effect.STALLS) from refused
        check_length(length, len(rest), Reason.MEMBER_LENGTH)
        stream.seek(start + length)
        return heartbeat

    def _build(self, obj: Heartbeat, stream: Any, context: Any, path: str) -> Heartbeat:
        block = encode(obj)
        Int32sb._build(len(block), stream, context, path)  # noqa: SLF001
        stream.write(block)
        return obj


CHANNEL_DATA: Final = Struct(
    "options" / Int32sb,
    "timestamp_ms" / Int64sb,
    "id" / Sized(Int32sb, Reason.MESSAGE_ID_LENGTH),
    "sender" / _MemberBlock(),
    "message" / Sized(Int32sb, Reason.MESSAGE_LENGTH, negative=Effect.IGNORED, huge=Effect.IGNORED),
    "end" / Tell,
)
"""The data of a message frame, big-endian (``ChannelData.getDataPackage``).

No length may reach beyond the data. (In Java a pooled buffer may show bytes of an earlier message there.)
"""


class Frame(msgspec.Struct, frozen=True):
    """One message: its header in clear and its body as bytes; ``timestamp_ms`` is the sender's wall clock.

    ``slack`` counts bytes of the frame's data after the message: a Tomcat ignores them.
    """

    sender: Heartbeat
    message: bytes
    options: int = 0
    timestamp_ms: int = 0
    id: bytes = bytes(16)
    slack: int = 0

    @property
    def length(self) -> int:
        """Bytes of the message."""
        return len(self.message)

    def __repr__(self) -> str:
        """Tell the message's length only: session ids and attributes are in it."""
        name, options = self.sender.member.name, "|".join(option_names(self.options))
        return f"Frame({name}, {self.length} bytes, {options or 0}, {self.timestamp_ms} ms, {self.id.hex()})"


def parse_data(data: bytes) -> Frame | Acknowledgement:
    """Read what stands between a frame's length and its footer; raises ``Malformed``."""
    if data in _ACKNOWLEDGEMENTS:
        return Acknowledgement(data)
    try:
        fields = CHANNEL_DATA.parse(data)
    except StreamError as error:
        raise Malformed(Reason.TRUNCATED_FIELDS) from error
    return Frame(
        sender=fields.sender,
        message=fields.message,
        options=fields.options,
        timestamp_ms=fields.timestamp_ms,
        id=fields.id,
        slack=len(data) - fields.end,
    )


_ACKNOWLEDGEMENTS: Final = frozenset(ack.value for ack in Acknowledgement)


def encode_data(content: Frame | Acknowledgement) -> bytes:
    """Write what stands between a frame's length and its footer as a Tomcat does, without slack."""
    if isinstance(content, Acknowledgement):
        return content.value
    data: bytes = CHANNEL_DATA.build({name: getattr(content, name) for name in content.__struct_fields__})
    return data


def wrap(data: bytes) -> bytes:
    """Put header, length and footer around data (``XByteBuffer.createDataPackage``)."""
    return b"".join((HEADER, len(data).to_bytes(4), data, FOOTER))


def encode_frame(content: Frame | Acknowledgement) -> bytes:
    """Write a whole frame."""
    return wrap(encode_data(content))


class Reader:
    """Cuts a stream into the data of its frames, however the reads fall.

    Holds at most one frame of ``longest`` bytes and one chunk; nothing is allocated for a claimed length.
    Where a Tomcat discards the bytes (no header), waits for ever (wrong footer) or fails (length), the
    reader gives the stream up.
    """

    def __init__(self, longest: int = LONGEST) -> None:
        self.longest = longest
        self._buffer = bytearray()
        self._refused: Malformed | None = None

    @property
    def waiting(self) -> int:
        """Bytes that are no whole frame yet."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take what was read; return the data of every frame that is now whole.

        A stream given up raises ``Malformed`` from the first call on that has no frame left to return.
        """
        if self._refused is None:
            self._buffer += chunk
        found = self._cut()
        if self._refused is not None and not found:
            raise self._refused.with_traceback(None)
        return found

    def _cut(self) -> list[bytes]:
        found = []
        try:
            while (end := end_of_frame(self._buffer, 0, self.longest)) is not None:
                found.append(bytes(self._buffer[_START : end - len(FOOTER)]))
                del self._buffer[:end]
        except Malformed as refused:
            self._refused = refused
            self._buffer.clear()
        return found


def end_of_frame(buffer: bytes | bytearray, start: int = 0, longest: int = LONGEST) -> int | None:
    """Return where the frame at ``start`` ends, None while it is not whole; raises ``Malformed``."""
    held = len(buffer) - start
    if held > len(HEADER) and not buffer.startswith(HEADER, start):
        raise Malformed(Reason.FRAME_HEADER)
    if held < _START:
        return None
    length = int.from_bytes(buffer[start + len(HEADER) : start + _START], signed=True)
    footer = start + _START + length
    if footer < 0 or length > longest:
        raise Malformed(Reason.FRAME_LENGTH)
    if len(buffer) < footer + len(FOOTER):
        return None
    if not buffer.startswith(FOOTER, footer):
        raise Malformed(Reason.FRAME_FOOTER)
    if length < 0:  # an earlier frame's footer: ``countPackages`` goes back to it, and never comes to an end
        raise Malformed(Reason.FRAME_LENGTH, Effect.KILLS)
    return footer + len(FOOTER)


def split(datagram: bytes) -> list[bytes]:
    """Return the data of the frames that a datagram begins with; what follows them a Tomcat ignores too.

    Raises ``Malformed`` if there is none, or if a length makes ``countPackages`` throw or never end.
    """
    found, start = [], 0
    try:
        while (end := end_of_frame(datagram, start, _MAX_INT - start - OVERHEAD)) is not None:
            found.append(datagram[start + _START : end - len(FOOTER)])
            start = end
    except Malformed as refused:
        if not found or refused.reason is Reason.FRAME_LENGTH:
            raise
    if not found:
        raise Malformed(Reason.FRAME_LENGTH)
    return found


_MAX_INT: Final = 2**31 - 1
"""A position beyond it is negative in Java."""


def question(
    member: Member,
    *,
    message_id: bytes,
    timestamp_ms: int,
    alive_ms: int = 0,
    option_flag: int = 0,
    stack: bool = False,
) -> bytes:
    """Write the liveness question of TcpFailureDetector with ``performReadTest`` (``memberAlive``).

    It carries the target's own member block, so that nobody is added anywhere, and always BYTE_MESSAGE, so that
    nothing is deserialised. ``stack`` asks for the answer after the interceptors ran (options 7 instead of 3);
    ``option_flag`` is the detector's own, where configured. ``message_id`` is 16 fresh random bytes.
    """
    options = Option.BYTE_MESSAGE | Option.USE_ACK | option_flag
    if stack:
        options |= Option.SYNCHRONIZED_ACK
    block = msgspec.structs.replace(member, command=b"", oddities=())
    frame = Frame(Heartbeat(block, alive_ms), LIVENESS_TEST, int(options), timestamp_ms, message_id)
    return encode_frame(frame)


def read_answer(reader: Reader, chunk: bytes) -> Acknowledgement | None:
    """Return the answer in what was read so far, None while there is none.

    Any other frame is not an answer, and one keeps waiting (``NioSender.read``). Raises ``Malformed``.
    """
    for data in reader.feed(chunk):
        if data in _ACKNOWLEDGEMENTS:
            return Acknowledgement(data)
    return None
