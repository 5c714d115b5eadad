"""How Java spells the class of an object."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wire import vector

from protocols.descriptor import LONGEST_NAME, OBJECT, STREAM, class_name, spell

STRING = "Ljava/lang/String;"


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        (
            "static-provider-ping",
            spell(
                (
                    "org.apache.catalina.tribes.membership.StaticMembershipProvider$MemberMessage",
                    1,
                    ("I msgtype", "Lorg/apache/catalina/tribes/Member; member", "[B membershipId"),
                )
            ),
        ),
        (
            "session-evt-4",
            spell(
                (
                    "org.apache.catalina.ha.session.SessionMessageImpl",
                    2,
                    (
                        "I mEvtType",
                        "J serializationTimestamp",
                        "Z timestampSet",
                        f"{STRING} mContextName",
                        "[B mSession",
                        f"{STRING} mSessionID",
                        f"{STRING} uniqueId",
                    ),
                ),
                ("org.apache.catalina.ha.ClusterMessageBase", 1, ("J timestamp",)),
            ),
        ),
    ],
)
def test_spells_as_java_does(name: str, spelled: bytes) -> None:
    """Names, types, references to types named before, and the base class are those of a real stream."""
    assert STREAM + spelled in vector("frames", name)


def test_references_count_what_came_before() -> None:
    """A type named again is a handle: the class is the first, its types follow, after what the stream had."""
    fields = ("[B one", "[B two")
    assert spell(("C", 1, fields)).endswith(b"[\0\x03twoq\0\x7e\0\x01xp")
    assert spell(("C", 1, fields), handle=2).endswith(b"[\0\x03twoq\0\x7e\0\x03xp")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (spell(("com.example.Thing", 1, ())), "com.example.Thing"),
        (OBJECT + LONGEST_NAME.to_bytes(2) + b"x" * LONGEST_NAME, "x" * LONGEST_NAME),
        (OBJECT + (LONGEST_NAME + 1).to_bytes(2) + b"x" * 300, ""),
        (OBJECT + b"\xff\xff" + b"x" * 300, ""),
        (OBJECT + b"\0\x05four", ""),
        (OBJECT + b"\0\x05a\x1b[2J", ""),
        (OBJECT + b"\0\0", ""),
        (OBJECT, ""),
        (b"t\0\x05hello", ""),
        (b"", ""),
    ],
)
def test_class_names(data: bytes, name: str) -> None:
    """A class name is believed when it is whole, printable and not too long."""
    assert class_name(data) == name


@given(st.binary(max_size=40) | st.binary(max_size=40).map(OBJECT.__add__))
def test_any_bytes_name_a_class_or_none(data: bytes) -> None:
    """Any bytes give printable text."""
    assert class_name(data).isprintable()
