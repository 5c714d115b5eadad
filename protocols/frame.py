"""FLT2002 … TLF2003 frames and the ChannelData inside: what members say to each other.

Frames follow each other in a TCP stream or in one datagram (``XByteBuffer``). The effects of a
malformed one are those of a broadcast on the membership group; on TCP a Tomcat closes the connection
or never decodes what follows.
"""

from enum import Enum, IntFlag
from typing import Final

import msgspec
from construct import Int32sb, Int64sb, StreamError, Struct

from protocols.heartbeat import Heartbeat, Member, Sized, encode, parse
from protocols.malformed import Effect, Malformed, Reason, check_length

HEADER: Final = b"FLT2002"
FOOTER: Final = b"TLF2003"
_START: Final = len(HEADER) + 4
OVERHEAD: Final = _START + len(FOOTER)
"""bytes around the data of a frame."""
LONGEST: Final = 64 * 2**20
"""bytes of data in one frame: above this a reader gives the stream up rather than buffer it."""

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


class Acknowledgement(Enum):
    """What a receiver writes back (``transport.Constants``); only its order says to which message."""

    ACK = b"\x06\x02\x03"
    FAIL_ACK = b"\x0b\x00\x05"


CHANNEL_DATA: Final = Struct(
    "options" / Int32sb,
    "timestamp_ms" / Int64sb,
    "id" / Sized(Int32sb, Reason.MESSAGE_ID_LENGTH),
    "sender" / Sized(Int32sb, Reason.MEMBER_LENGTH, negative=Effect.IGNORED),
    "message" / Sized(Int32sb, Reason.MESSAGE_LENGTH, negative=Effect.IGNORED, huge=Effect.IGNORED),
)
"""The data of a message frame, big-endian (``ChannelData.getDataPackage``)."""


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


def parse_data(data: bytes) -> Frame | Acknowledgement:
    """Read what stands between a frame's length and its footer; raises ``Malformed``."""
    if data in _ACKNOWLEDGEMENTS:
        return Acknowledgement(data)
    try:
        fields = CHANNEL_DATA.parse(data)
    except StreamError as error:
        raise Malformed(Reason.TRUNCATED_FIELDS) from error
    ends = _HEAD + len(fields.id) + len(fields.sender) + len(fields.message)
    return Frame(
        sender=_sender(fields.sender),
        message=fields.message,
        options=fields.options,
        timestamp_ms=fields.timestamp_ms,
        id=fields.id,
        slack=len(data) - ends,
    )


def _sender(block: bytes) -> Heartbeat:
    try:
        return parse(block)
    except Malformed as refused:
        if refused.reason is not Reason.BEGIN_MARKER:
            raise
        # In the multicast receiver such bytes are routed elsewhere; in a frame they reach ``getMember``.
        raise Malformed(refused.reason, Effect.STALLS) from refused


_HEAD: Final = 4 + 8 + 4 + 4 + 4  # options, timestamp and three lengths
_ACKNOWLEDGEMENTS: Final = frozenset(ack.value for ack in Acknowledgement)


def encode_data(content: Frame | Acknowledgement) -> bytes:
    """Write what stands between a frame's length and its footer, as a Tomcat does."""
    if isinstance(content, Acknowledgement):
        return content.value
    values = {name: getattr(content, name) for name in ("options", "timestamp_ms", "id", "message")}
    data: bytes = CHANNEL_DATA.build({**values, "sender": encode(content.sender)})
    return data + bytes(content.slack)


def wrap(data: bytes) -> bytes:
    """Put header, length and footer around data (``XByteBuffer.createDataPackage``)."""
    return b"".join((HEADER, len(data).to_bytes(4), data, FOOTER))


def encode_frame(content: Frame | Acknowledgement) -> bytes:
    """Write a whole frame."""
    return wrap(encode_data(content))


class Reader:
    """Cuts a stream into the data of its frames, however the reads fall; holds at most ``longest`` bytes.

    Like ``XByteBuffer`` it throws more than seven bytes without any header away (``discarded`` counts them).
    Where a Tomcat would wait for ever (header not at the start, wrong footer) or fail (length) it raises
    ``Malformed``; the stream is then of no further use.
    """

    def __init__(self, longest: int = LONGEST) -> None:
        self.longest = longest
        self.discarded = 0
        self._buffer = bytearray()

    @property
    def waiting(self) -> int:
        """Bytes that are no whole frame yet."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take what was read; return the data of every frame that is now whole."""
        self._buffer += chunk
        found = []
        while (data := self._next()) is not None:
            found.append(data)
        return found

    def _next(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < _START:
            self._check_header()
            return None
        if not buffer.startswith(HEADER):
            self._check_header()
            return None
        length = int.from_bytes(buffer[len(HEADER) : _START], signed=True)
        check_length(length, self.longest, Reason.FRAME_LENGTH, negative=Effect.IGNORED, huge=Effect.IGNORED)
        end = _START + length + len(FOOTER)
        if len(buffer) < end:
            return None
        if not buffer.endswith(FOOTER, 0, end):
            raise Malformed(Reason.FRAME_FOOTER)
        data = bytes(buffer[_START : end - len(FOOTER)])
        del buffer[:end]
        return data

    def _check_header(self) -> None:
        buffer = self._buffer
        if len(buffer) <= len(HEADER) or buffer.startswith(HEADER):
            return
        if HEADER in buffer:
            raise Malformed(Reason.FRAME_HEADER)
        self.discarded += len(buffer)
        buffer.clear()


def split(datagram: bytes) -> list[bytes]:
    """Return the data of every whole frame at the start of a datagram; ``Malformed`` if there is none."""
    if not datagram.startswith(HEADER):
        raise Malformed(Reason.FRAME_HEADER)
    reader = Reader()
    try:
        found = reader.feed(datagram)
    except Malformed:
        found = _whole(datagram)
        if not found:
            raise
    if not found:
        raise Malformed(Reason.FRAME_LENGTH)
    return found


def _whole(datagram: bytes) -> list[bytes]:
    """Return the frames before the first that is broken, as ``countPackages`` counts them."""
    found, start = [], 0
    while datagram.startswith(HEADER, start):
        length = int.from_bytes(datagram[start + len(HEADER) : start + _START], signed=True)
        end = start + _START + length
        if length < 0 or not datagram.startswith(FOOTER, end):
            break
        found.append(datagram[start + _START : end])
        start = end + len(FOOTER)
    return found


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
