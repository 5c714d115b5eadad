"""Class descriptors of the Java serialisation stream, spelled as Java itself writes them.

A message whose bytes begin with such a spelling has its fields at known places, so that it can be read without
deserialising anything. One byte that differs, and nothing but the class name is believed.
"""

from typing import Final

STREAM: Final = b"\xac\xed\x00\x05"
"""STREAM_MAGIC and version 5."""
OBJECT: Final = b"sr"
"""TC_OBJECT, TC_CLASSDESC: what an object of a class not yet described begins with."""
NULL: Final = b"p"
"""TC_NULL."""
SERIALIZABLE: Final = 0x02
EXTERNALIZABLE: Final = 0x0C
"""SC_EXTERNALIZABLE with SC_BLOCK_DATA."""
LONGEST_NAME: Final = 200
"""bytes of a class name that is believed."""
_BASE_HANDLE: Final = 0x7E0000

Fields = tuple[str, ...]
"""In the order of the stream, each "type name": "I msgtype", "[B keydata", "Ljava/lang/String; mSessionID"."""


def spell(*classes: tuple[str, int, Fields], handle: int = 0, flags: int = SERIALIZABLE) -> bytes:
    """Return an object's bytes up to its first field's value.

    ``classes`` are (name, serialVersionUID, fields), the derived first; ``handle`` counts the objects and
    strings that the stream had before, to which a type named again refers.
    """
    out, known = b"s", dict[str, int]()
    for name, uid, fields in classes:
        handle += 1
        out += b"r" + _text(name) + uid.to_bytes(8, signed=True) + bytes([flags]) + len(fields).to_bytes(2)
        for kind, field in (field.split() for field in fields):
            out += kind[:1].encode() + _text(field)
            if kind in known:
                out += b"q" + (_BASE_HANDLE + known[kind]).to_bytes(4)
            elif kind[0] in "L[":
                known[kind] = handle
                handle += 1
                out += b"t" + _text(kind)
        out += b"x"
    return out + NULL


def _text(text: str) -> bytes:
    return len(text).to_bytes(2) + text.encode("ascii")


def class_name(data: bytes) -> str:
    """Return the class of the object that the bytes begin with; empty if they do not, or it is unbelievable."""
    length = int.from_bytes(data[2:4])
    name = data[4 : 4 + length]
    printable = all(0x21 <= byte <= 0x7E for byte in name[:LONGEST_NAME])  # noqa: PLR2004  # ASCII
    if not data.startswith(OBJECT) or not 0 < len(name) == length <= LONGEST_NAME or not printable:
        return ""
    return name.decode("ascii")
