"""Invented and damaged bytes: what the probe makes of them is what Tomcat's own classes make of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tomcat
from support.tomcat import Java
from support.wire import EFFECTS, FRAMES, HEARTBEATS, damaged, ends_early, outcome

from protocols.frame import Acknowledgement, Frame, Reader, encode_frame, parse_data
from protocols.heartbeat import BEGIN, Heartbeat, Layout, encode, parse
from protocols.malformed import Malformed, Reason

pytestmark = [pytest.mark.tomcat, pytest.mark.slow]

CURRENT = HEARTBEATS.filter(lambda heartbeat: heartbeat.member.layout is Layout.CURRENT)
MANY = settings(max_examples=1_500, deadline=None)
_oracles: dict[str, Java] = {}


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tmp_path_factory.mktemp("oracle")
    while _oracles:
        _oracles.popitem()[1].kill()


def ask(branch: str, folder: Path, what: str, data: bytes) -> str:
    """Return what a branch's classes say of bytes; each branch is started once."""
    if branch not in _oracles:
        _oracles[branch] = tomcat.oracle(branch, folder / branch)
    _oracles[branch].order(f"{what} {data.hex()}")
    return _oracles[branch].line()


def spell(heartbeat: Heartbeat) -> dict[str, object]:
    """Spell a heartbeat as the Java side does."""
    member = heartbeat.member
    return {
        "host": member.host.hex(),
        "port": member.port,
        "secure_port": member.secure_port,
        "udp_port": member.udp_port,
        "alive_ms": heartbeat.alive_ms,
        "unique_id": member.unique_id.hex(),
        "command": member.command.hex(),
        "domain": member.domain.hex(),
        "payload": member.payload.hex(),
    }


@pytest.mark.parametrize("branch", [branch for branch in tomcat.TRIBES if branch != "6.0"])
def test_members(branch: str, folder: Path) -> None:
    """The same fields are read; what is refused has the effect of the exception thrown there."""

    @MANY
    @given(damaged(CURRENT.map(encode)) | ends_early())
    def compare(data: bytes) -> None:
        if not data.startswith(BEGIN):
            return  # McastServiceImpl hands nothing else to getMember
        word, _, rest = ask(branch, folder, "member", data).partition(" ")
        read: Any = outcome(parse, data)
        if isinstance(read, Heartbeat):
            assert (word, json.loads(rest)) == ("member", spell(read))
        else:
            assert (word, rest and EFFECTS[rest]) == ("error", read[1])

    compare()


@pytest.mark.parametrize("branch", ["9.0", "11.0"])
def test_streams(branch: str, folder: Path) -> None:
    """The same frames are cut, and the same headers read of them."""

    @MANY
    @given(damaged(st.lists(FRAMES.filter(_current).map(encode_frame), min_size=1, max_size=3).map(b"".join)))
    def compare(data: bytes) -> None:
        word, _, rest = ask(branch, folder, "frames", data).partition(" ")
        found: Any = outcome(Reader().feed, data)
        if isinstance(found, tuple):  # a Tomcat drops such a stream, keeps it for ever or fails on it
            assert found[0] in {Reason.FRAME_HEADER, Reason.FRAME_LENGTH, Reason.FRAME_FOOTER}
            return
        assert word == "frames", rest
        answers = rest.partition("left")[0].split()
        assert len(answers) == len(found)
        for answer, content in zip(answers, found, strict=True):
            assert _agree(answer, content), (answer, content.hex())

    compare()


def _current(frame: Frame) -> bool:
    return frame.sender.member.layout is Layout.CURRENT


def _agree(answer: str, content: bytes) -> bool:
    try:
        message = parse_data(content)
    except Malformed as refused:
        return answer.startswith("(") and EFFECTS.get(answer.strip("()"), refused.effect) is refused.effect
    if isinstance(message, Acknowledgement):
        return answer.startswith("(")
    return answer == f"{int(message.options)}:{len(message.message)}:{message.id.hex()}"
