"""``decode``: hex and captures, from files and pipes, as words and as JSON."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.command import COMMAND, PATIENCE, invoke, refused, run
from support.wire import CAPTURES, VECTORS

from protocols.frame import Acknowledgement, encode_frame
from protocols.heartbeat import Heartbeat, Member, encode

STEADY = VECTORS / "captures" / "a-steady.pcap"
HEARTBEAT = encode(Heartbeat(Member(bytes((10, 0, 0, 1)), 4000, bytes(range(16)), domain=b"\x00\xff"), 60_000))
ACK = encode_frame(Acknowledgement.ACK)
KINDS = {"heartbeat", "goodbye", "frame", "ack", "fail-ack", "malformed", "foreign"}
BLOCK = {
    "host": str,
    "port": int,
    "secure_port": int,
    "udp_port": int,
    "alive_ms": int,
    "unique_id": str,
    "command": str,
    "domain": str,
    "payload_length": int,
    "oddities": list,
}
"""What is said of a member, and as what."""


def records(output: str) -> list[dict[str, Any]]:
    """Return the objects, one a line."""
    return [json.loads(line) for line in output.splitlines()]


def test_hex_from_standard_input() -> None:
    """Each line is told in the words of the contract; comments, spaces and empty lines do not count."""
    lines = f"# a member\n{HEARTBEAT.hex(' ')}\n\n0x{ACK.hex(':')}  # an answer\n00\n{HEARTBEAT[:40].hex()}\n"
    result = invoke("decode", "--json", "-", stdin=lines)
    assert (result.exit_code, result.stderr) == (0, "")
    heartbeat, ack, foreign, malformed = records(result.stdout)
    assert heartbeat == {
        "kind": "heartbeat",
        "host": "10.0.0.1",
        "port": 4000,
        "secure_port": -1,
        "udp_port": -1,
        "alive_ms": 60_000,
        "unique_id": "000102030405060708090a0b0c0d0e0f",
        "command": "",
        "domain": "00ff",
        "payload_length": 0,
        "oddities": [],
    }
    assert ack["kind"] == "ack"
    assert foreign == {"kind": "foreign"}
    assert malformed.keys() == {"kind", "reason", "effect"}
    assert malformed["kind"] == "malformed"


def test_words_for_people() -> None:
    """Without --json a line says the same for people."""
    assert invoke("decode", "-", stdin=HEARTBEAT.hex()).stdout == (
        "heartbeat 10.0.0.1:4000 alive 60.000 s id 000102030405060708090a0b0c0d0e0f, domain '\\x00\\xff'\n"
    )


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_captures_keep_the_contract(capture: Path) -> None:
    """Every line of a capture is one object with time, source, destination and what its kind promises."""
    result = invoke("decode", "--json", capture)
    assert result.exit_code == 0
    found = records(result.stdout)
    assert found
    for record in found:
        assert record["kind"] in KINDS
        assert isinstance(record["time"], float)
        assert record["source"].rpartition(":")[2].isdigit()
        assert record["destination"].rpartition(":")[2].isdigit()
        block = record if record["kind"] in {"heartbeat", "goodbye"} else record.get("sender", {})
        assert all(isinstance(block[name], kind) for name, kind in BLOCK.items() if block)
        if record["kind"] == "frame":
            assert record.keys() >= {"options", "timestamp_ms", "id", "sender", "message", "length"}


def test_a_capture_from_a_pipe_is_the_same() -> None:
    """A capture on standard input is told as from a file."""
    from_file, from_pipe = (
        run("decode", "--json", STEADY),
        run("decode", "--json", "-", stdin=STEADY.read_bytes()),
    )
    assert from_file.returncode == from_pipe.returncode == 0
    assert from_file.stdout == from_pipe.stdout
    assert from_file.stdout.count("\n") > 300


def test_a_pipe_is_told_while_it_flows() -> None:
    """What comes through a pipe is told at once, not when the pipe ends."""
    with subprocess.Popen([COMMAND, "decode", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(HEARTBEAT.hex().encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"heartbeat 10.0.0.1:4000")
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_a_reader_that_has_enough_is_no_error() -> None:
    """A pipe that is closed behind the command ends it without a traceback."""
    shell = f"{COMMAND} decode {STEADY} | head -1"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("length", [5_000, 30])
def test_a_cut_capture_is_told(tmp_path: Path, length: int) -> None:
    """A capture cut in the middle: what is whole is told, then the cut in one line, exit status 1."""
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(STEADY.read_bytes()[:length])
    whole = invoke("decode", "--json", STEADY).stdout.splitlines()
    result = invoke("decode", "--json", cut)
    assert result.exit_code == 1
    told = result.stdout.splitlines()
    assert told == whole[: len(told)]
    assert bool(told) is (length > 100)
    line = rf"tribes-probe: {cut}: cut in the middle: its last packet, at byte \d+, is not whole\n"
    assert re.fullmatch(line, result.stderr)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("zz\n", "standard input: line 1 is not hex"),
        ("abc\n", "standard input: line 1 is not hex"),
        ("\nhello\nworld\n", "standard input: line 2 is not hex, the first of 2 that are not"),
        ("é\n", "standard input: line 1 is not hex"),
    ],
)
def test_what_is_not_hex_is_told(text: str, line: str) -> None:
    """Lines that are no hex are counted, the first is named, exit status 1."""
    assert refused("decode", "-", status=1, stdin=text.encode()) == line


def test_lines_around_a_wrong_one_are_told() -> None:
    """One wrong line does not keep the others from being told."""
    result = invoke("decode", "-", stdin=f"{ACK.hex()}\nzz\n{HEARTBEAT.hex()}\n")
    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 2)
    assert result.stderr == "tribes-probe: standard input: line 2 is not hex\n"


def test_nothing_is_nothing() -> None:
    """Empty input is no mistake and tells nothing."""
    result = invoke("decode", "--json", "-", stdin=b"")
    assert (result.exit_code, result.output) == (0, "")
