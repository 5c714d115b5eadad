"""Names what a frame carries, by bounded reading; never deserialises, and no session id ever leaves.

Class names stand at a fixed place in a Java serialisation stream. Fields are read only where the class
descriptor is, byte for byte, the one that Tomcat's own classes write; otherwise the class alone is told.
"""

from enum import Enum, IntEnum
from typing import Final

import msgspec

from protocols.frame import LIVENESS_TEST, Frame, Option

JAVA_STREAM: Final = b"\xac\xed\x00\x05\x73\x72"
"""STREAM_MAGIC, version 5, TC_OBJECT, TC_CLASSDESC."""
LONGEST_CLASS_NAME: Final = 200
SHORTEST_CIPHERTEXT: Final = 12 + 16
"""bytes: IV and tag of AES/GCM, EncryptInterceptor's least."""


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


class Message(msgspec.Struct, frozen=True):
    """What a frame carries: its kind, the event inside where it can be told, the Java class if it has one."""

    carried: Carried
    event: str = ""
    java_class: str = ""

    @property
    def name(self) -> str:
        """The kind, with its event after a colon: "session:SESSION_CREATED"."""
        return f"{self.carried.value}:{self.event}" if self.event else self.carried.value


_TEXTS: Final = {
    LIVENESS_TEST: Carried.LIVENESS_TEST,
    bytes.fromhex("4fa7734879df43c9"): Carried.PING,
    b"Local StaticMember Notification Data": Carried.STATIC_MEMBER_START,
    b"Local StaticMember Shutdown Data": Carried.STATIC_MEMBER_STOP,
    bytes.fromhex("4f87e7f1c505405e"): Carried.COORDINATOR_ALIVE,
    bytes.fromhex("aa26dee39e5a413faf86fa9263ca0d3f"): Carried.COORDINATOR,
    bytes.fromhex("7101c602dec44bb29bf420e3206fd804"): Carried.TWO_PHASE_CONFIRM,
    b"\x1f\x8b": Carried.GZIPPED,
}
"""How a message that is no Java object begins; OrderInterceptor and others may append to it."""

_COORDINATION: Final = {
    bytes.fromhex("68a1a4d672dc47edb1147a65ffd0cf1e"): "REQUEST",
    bytes.fromhex("43586baa45174cbaa5e9a9e783564b14"): "VIEW_CONFIRMATION",
}

_HA: Final = "org.apache.catalina.ha."
_TRIBES: Final = "org.apache.catalina.tribes."
_CLASSES: Final = {
    _HA + "session.SessionMessageImpl": Carried.SESSION,
    _TRIBES + "tipis.AbstractReplicatedMap$MapMessage": Carried.MAP,
    _TRIBES + "group.RpcMessage": Carried.RPC,
    _TRIBES + "group.RpcMessage$NoRpcChannelReply": Carried.RPC_NO_CHANNEL,
    _HA + "deploy.FileMessage": Carried.FILE,
    _HA + "deploy.UndeployMessage": Carried.UNDEPLOY,
    _TRIBES + "membership.StaticMembershipProvider$MemberMessage": Carried.STATIC_MEMBERSHIP,
}

_STRING: Final = b"t\x00\x12Ljava/lang/String;"
_AGAIN: Final = b"q\x00~\x00\x01"  # a reference to the first string named in the descriptor
_SESSION_DESCRIPTOR: Final = (
    JAVA_STREAM + b"\x001org.apache.catalina.ha.session.SessionMessageImpl" + (2).to_bytes(8) + b"\x02\x00\x07"
    b"I\x00\x08mEvtType" b"J\x00\x16serializationTimestamp" b"Z\x00\x0ctimestampSet"
    b"L\x00\x0cmContextName" + _STRING + b"[\x00\x08mSessiont\x00\x02[B"
    b"L\x00\x0amSessionID" + _AGAIN + b"L\x00\x08uniqueId" + _AGAIN +
    b"xr\x00)org.apache.catalina.ha.ClusterMessageBase" + (1).to_bytes(8) + b"\x02\x00\x01J\x00\x09timestampxp"
)  # fmt: skip
"""``SessionMessageImpl`` of 8.5 and later; then i64 base timestamp, i32 event (7.0 differs: class only)."""
_MAP_DESCRIPTOR: Final = (
    JAVA_STREAM + b"\x00Aorg.apache.catalina.tribes.tipis.AbstractReplicatedMap$MapMessage"
    + (1).to_bytes(8) + b"\x02\x00\x08" b"Z\x00\x04diff" b"I\x00\x07msgtype" b"[\x00\x09diffvaluet\x00\x02[B"
    b"[\x00\x07keydata" + _AGAIN + b"[\x00\x05mapId" + _AGAIN +
    b"[\x00\x05nodest\x00$[Lorg/apache/catalina/tribes/Member;"
    b"L\x00\x07primaryt\x00#Lorg/apache/catalina/tribes/Member;[\x00\x09valuedata" + _AGAIN + b"xp"
)  # fmt: skip
"""``MapMessage`` of 8.5 and later; then boolean diff, i32 type."""
_EVENTS: Final[dict[Carried, tuple[bytes, int, type[IntEnum]]]] = {
    Carried.SESSION: (_SESSION_DESCRIPTOR, 8, SessionEvent),
    Carried.MAP: (_MAP_DESCRIPTOR, 1, MapEvent),
}


def name(frame: Frame) -> Message:
    """Say what a frame carries."""
    message = frame.message
    if not message:
        return Message(Carried.EMPTY)
    if message.startswith(JAVA_STREAM):
        return _name_object(message)
    for text, carried in _TEXTS.items():
        if message.startswith(text):
            event = _COORDINATION.get(message[-16:], "") if carried is Carried.COORDINATOR else ""
            return Message(carried, event)
    # A message that is not flagged as bytes is a Java object; without the stream's magic it was encrypted.
    hidden = not frame.options & (Option.BYTE_MESSAGE | Option.GZIP) and len(message) >= SHORTEST_CIPHERTEXT
    return Message(Carried.ENCRYPTED if hidden else Carried.UNKNOWN)


def _name_object(message: bytes) -> Message:
    length = int.from_bytes(message[6:8])
    if not 0 < length <= LONGEST_CLASS_NAME or len(message) < 8 + length + 8:
        return Message(Carried.JAVA_OBJECT)
    raw = message[8 : 8 + length]
    if not all(0x21 <= byte <= 0x7E for byte in raw):  # noqa: PLR2004  # printable ASCII, as class names are
        return Message(Carried.JAVA_OBJECT)
    java_class = raw.decode("ascii")
    carried = _CLASSES.get(java_class, Carried.JAVA_OBJECT)
    return Message(carried, _event(message, carried), java_class)


def _event(message: bytes, carried: Carried) -> str:
    descriptor, skipped, events = _EVENTS.get(carried, (b"", 0, SessionEvent))
    if not descriptor or not message.startswith(descriptor):
        return ""
    start = len(descriptor) + skipped
    number = int.from_bytes(message[start : start + 4], signed=True)
    return events(number).name if number in set(events) else str(number)
