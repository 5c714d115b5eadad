"""Names what a frame carries, by bounded reading; never deserialises, and no session id ever leaves.

Fields are read only where the class descriptor is, byte for byte, the one that a Tomcat's own classes
write; otherwise the class alone is told.
"""

import re
from enum import Enum, IntEnum
from typing import Final, NamedTuple

import msgspec

from protocols.descriptor import EXTERNALIZABLE, NULL, STREAM, Fields, class_name, spell
from protocols.frame import LIVENESS_TEST, Frame, Option

SHORTEST_CIPHERTEXT: Final = 12 + 16
"""bytes: IV and tag of AES/GCM, EncryptInterceptor's least."""
MOST_FRAGMENTS: Final = 1 << 16


class Carried(Enum):
    """What a frame carries."""

    SESSION = "session"
    MAP = "map"
    RPC = "rpc"
    RPC_NO_CHANNEL = "rpc-no-channel"
    FILE = "file"
    UNDEPLOY = "undeploy"
    STATIC_MEMBERSHIP = "static-membership"
    LIVENESS_TEST = "liveness-test"
    PING = "ping"
    STATIC_MEMBER_START = "static-member-start"
    STATIC_MEMBER_STOP = "static-member-stop"
    COORDINATOR_ALIVE = "coordinator-alive"
    COORDINATOR = "coordinator"
    TWO_PHASE_CONFIRM = "two-phase-confirm"
    ENCRYPTED = "encrypted"
    FRAGMENT = "fragment"
    GZIPPED = "gzipped"
    JAVA_OBJECT = "java-object"
    EMPTY = "empty"
    UNKNOWN = "unknown"


class SessionEvent(IntEnum):
    """``SessionMessage.EVT_*``."""

    SESSION_CREATED = 1
    SESSION_EXPIRED = 2
    SESSION_ACCESSED = 3
    GET_ALL_SESSIONS = 4
    ALL_SESSION_DATA = 12
    SESSION_DELTA = 13
    ALL_SESSION_TRANSFERCOMPLETE = 14
    CHANGE_SESSION_ID = 15
    ALL_SESSION_NOCONTEXTMANAGER = 16


class MapEvent(IntEnum):
    """``AbstractReplicatedMap.MapMessage.MSG_*``."""

    BACKUP = 1
    RETRIEVE_BACKUP = 2
    PROXY = 3
    REMOVE = 4
    STATE = 5
    START = 6
    STOP = 7
    INIT = 8
    COPY = 9
    STATE_COPY = 10
    ACCESS = 11
    NOTIFY_MAPMEMBER = 12
    PING = 13


class StaticMembershipEvent(IntEnum):
    """``StaticMembershipProvider.MemberMessage.MSG_*``."""

    START = 1
    STOP = 2
    PING = 3


class Message(msgspec.Struct, frozen=True):
    """What a frame carries: its kind, the event inside where it can be told, the Java class if it has one.

    ``context`` is the application concerned as DeltaManager names it ("localhost#/shop"), or for an RPC the
    name of its channel ("localhost#/shop-map"); empty where it cannot be read safely.
    """

    carried: Carried
    event: str = ""
    java_class: str = ""
    context: str = ""

    @property
    def name(self) -> str:
        """The kind, with its event after a colon: "session:SESSION_CREATED"."""
        return f"{self.carried.value}:{self.event}" if self.event else self.carried.value


_TEXTS: Final = {
    LIVENESS_TEST: Carried.LIVENESS_TEST,
    bytes.fromhex("4fa7734879df43c99f6f8980a15b0714"): Carried.PING,
    b"Local StaticMember Notification Data": Carried.STATIC_MEMBER_START,
    b"Local StaticMember Shutdown Data": Carried.STATIC_MEMBER_STOP,
    bytes.fromhex("4f87e7f1c505405eb37189a83472c8d2"): Carried.COORDINATOR_ALIVE,
    bytes.fromhex("aa26dee39e5a413faf86fa9263ca0d3f"): Carried.COORDINATOR,
    bytes.fromhex("7101c602dec44bb29bf420e3206fd804"): Carried.TWO_PHASE_CONFIRM,
    b"\x1f\x8b\x08\x00": Carried.GZIPPED,
}
"""How a message that is no Java object begins; OrderInterceptor and others may append to it."""

_COORDINATION: Final = {
    bytes.fromhex("68a1a4d672dc47edb1147a65ffd0cf1e"): "REQUEST",
    bytes.fromhex("43586baa45174cbaa5e9a9e783564b14"): "VIEW_CONFIRMATION",
}

_HA: Final = "org.apache.catalina.ha."
_TRIBES: Final = "org.apache.catalina.tribes."
_SESSION: Final = _HA + "session.SessionMessageImpl"
_MAP: Final = _TRIBES + "tipis.AbstractReplicatedMap$MapMessage"
_RPC: Final = _TRIBES + "group.RpcMessage"
_NO_CHANNEL: Final = _RPC + "$NoRpcChannelReply"
_STATIC: Final = _TRIBES + "membership.StaticMembershipProvider$MemberMessage"
_CLASSES: Final = {
    _SESSION: Carried.SESSION,
    _MAP: Carried.MAP,
    _RPC: Carried.RPC,
    _NO_CHANNEL: Carried.RPC_NO_CHANNEL,
    _HA + "deploy.FileMessage": Carried.FILE,
    _HA + "deploy.UndeployMessage": Carried.UNDEPLOY,
    _STATIC: Carried.STATIC_MEMBERSHIP,
}


class _Form(NamedTuple):
    """Where an object of exactly these descriptors tells its event: an i32 behind ``skipped`` bytes."""

    descriptor: bytes
    events: type[IntEnum]
    skipped: int = 0
    null: bytes = b""
    """A field in between that must be null, so that what follows stands still."""


_STRING: Final = "Ljava/lang/String;"
_MEMBER: Final = "Lorg/apache/catalina/tribes/Member;"
_SESSION_FIELDS: Final[Fields] = (
    "I mEvtType",
    "J serializationTimestamp",
    "Z timestampSet",
    f"{_STRING} mContextName",
    "[B mSession",
    f"{_STRING} mSessionID",
    f"{_STRING} uniqueId",
)
_MAP_FIELDS: Final[Fields] = (
    "Z diff",
    "I msgtype",
    "[B diffvalue",
    "[B keydata",
    "[B mapId",
    f"[{_MEMBER} nodes",
    f"{_MEMBER} primary",
    "[B valuedata",
)
_STATIC_FIELDS: Final[Fields] = ("I msgtype", f"{_MEMBER} member", "[B membershipId")


def _session(uid: int, base_uid: int, *base_id: str) -> _Form:
    base = (_HA + "ClusterMessageBase", base_uid, ("J timestamp", *base_id))
    spelled = spell((_SESSION, uid, _SESSION_FIELDS), base)
    return _Form(spelled, SessionEvent, skipped=8, null=NULL if base_id else b"")


_FORMS: Final = (
    _session(2, 1),  # 8.5 and later
    _session(1, 1, f"{_STRING} uniqueId"),  # 7.0
    _session(-0x62AE8A83CFDC8AE2, 0x380B7E063C2F025F, f"{_STRING} uniqueId"),  # 6.0: computed, not declared
    # As the whole message, and inside an RpcMessage, whose descriptor and object come before.
    *(_Form(spell((_MAP, 1, _MAP_FIELDS), handle=handle), MapEvent, skipped=1) for handle in (0, 2)),
    *(_Form(spell((_STATIC, 1, _STATIC_FIELDS), handle=handle), StaticMembershipEvent) for handle in (0, 2)),
)
_RPC_CLASS: Final = (_RPC, 0x712A750FF274E509, ())
_RPC_SPELLED: Final = spell(_RPC_CLASS, flags=EXTERNALIZABLE)
_NO_CHANNEL_SPELLED: Final = spell((_NO_CHANNEL, 0x7BAB8FB36A4B5BA6, ()), _RPC_CLASS, flags=EXTERNALIZABLE)
_CONTEXT: Final = re.compile(rb"[!-~]*[#/][!-~]*")


def name(frame: Frame) -> Message:
    """Say what a frame carries."""
    message = frame.message
    if not message:
        return Message(Carried.EMPTY)
    if message.startswith(STREAM):
        return _name_object(message[len(STREAM) :])
    for text, carried in _TEXTS.items():
        if message.startswith(text):
            event = _COORDINATION.get(message[-16:], "") if carried is Carried.COORDINATOR else ""
            return Message(carried, event)
    if _is_fragment(message):
        return Message(Carried.FRAGMENT)
    # A message that is not flagged as bytes is a Java object; without the stream's magic it was encrypted.
    hidden = not frame.options & Option.BYTE_MESSAGE and len(message) >= SHORTEST_CIPHERTEXT
    return Message(Carried.ENCRYPTED if hidden else Carried.UNKNOWN)


def _is_fragment(message: bytes) -> bool:
    """Tell by what FragmentationInterceptor appends: index, count, true."""
    index, count = int.from_bytes(message[-9:-5]), int.from_bytes(message[-5:-1])
    return message[-1] == 1 and index < count and 2 <= count <= MOST_FRAGMENTS  # noqa: PLR2004  # one is whole


def _name_object(data: bytes) -> Message:
    if data.startswith(_NO_CHANNEL_SPELLED):
        channel, _ = _rpc_channel(data[len(_NO_CHANNEL_SPELLED) :], reply=0)
        return Message(Carried.RPC_NO_CHANNEL, "", _NO_CHANNEL, channel)
    if not data.startswith(_RPC_SPELLED):
        return _name_plain(data)
    channel, wrapped = _rpc_channel(data[len(_RPC_SPELLED) :], reply=1)
    inner = _name_plain(wrapped)  # one level: no Tomcat wraps an RPC in an RPC
    event = inner.name if inner.carried is not Carried.JAVA_OBJECT else ""
    return Message(Carried.RPC, event, _RPC, channel)


def _rpc_channel(data: bytes, reply: int) -> tuple[str, bytes]:
    """Return the channel's name and the wrapped object's bytes; empty where the block is another.

    A block of up to 255 bytes: ``reply`` bytes, i32 16, a uuid, i32 and the name.
    """
    end = 2 + int.from_bytes(data[1:2])
    uuid, raw = data[2 + reply :], data[26 + reply : end]
    lengths = uuid[:4] + uuid[20:24]
    if data[:1] != b"w" or lengths != (16).to_bytes(4) + len(raw).to_bytes(4):
        return "", b""
    return _context(raw), data[end:]


def _name_plain(data: bytes) -> Message:
    java_class = class_name(data)
    carried = _CLASSES.get(java_class, Carried.JAVA_OBJECT)
    form = next((form for form in _FORMS if data.startswith(form.descriptor)), None)
    if form is None:
        return Message(carried, "", java_class)
    event, rest = _read_event(form, data[len(form.descriptor) :])
    context = _session_context(rest) if event and carried is Carried.SESSION else ""
    return Message(carried, event, java_class, context)


def _read_event(form: _Form, data: bytes) -> tuple[str, bytes]:
    """Return the event's name and what follows its number."""
    start = form.skipped + len(form.null)
    if not data.startswith(form.null, form.skipped) or len(data) < start + 4:
        return "", b""
    number = int.from_bytes(data[start : start + 4], signed=True)
    return form.events(number).name if number in set(form.events) else str(number), data[start + 4 :]


def _session_context(data: bytes) -> str:
    """Read mContextName, the first of the strings: behind serializationTimestamp and timestampSet."""
    length = int.from_bytes(data[10:12])
    return _context(data[12 : 12 + length]) if data[9:10] == b"t" else ""


def _context(raw: bytes) -> str:
    return raw.decode("ascii") if len(raw) <= 255 and _CONTEXT.fullmatch(raw) else ""  # noqa: PLR2004
