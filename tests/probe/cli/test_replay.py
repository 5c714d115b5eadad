"""``replay``: a capture's story and verdict, from files and pipes, as words and as JSON."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.command import invoke, refused, run
from support.wire import CAPTURES, VECTORS

KILL = VECTORS / "captures" / "c-kill9.pcap"
NODE_1, NODE_2, NODE_3 = "10.77.0.11:4000", "10.77.0.12:4000", "10.77.0.13:4000"


def replay(*arguments: str | Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the events and the last line."""
    result = invoke("replay", "--json", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    *events, verdict = map(json.loads, result.stdout.splitlines())
    return events, verdict


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_captures_keep_the_contract(capture: Path) -> None:
    """Each line is one event in order of time, and the last one the verdict with every member's state."""
    events, verdict = replay(capture)
    times = [event["time"] for event in events]
    assert times == sorted(times)
    for event in events:
        assert event.keys() >= {"time", "event", "group", "member", "unique_id"}
    assert verdict.keys() >= {"verdict", "members"}
    assert {event["member"] for event in events if event["event"] == "joined"} <= verdict["members"].keys()


def test_a_killed_member() -> None:
    """A member that is killed is late, then silent at dropTime, and the cluster degraded."""
    events, verdict = replay(KILL)
    story = [event["event"] for event in events if event["member"] == NODE_2]
    assert story == ["joined", "late", "silent"]
    assert verdict["verdict"] == "degraded"
    assert verdict["members"] == {NODE_1: "alive", NODE_2: "silent", NODE_3: "alive"}


def test_the_rules_can_be_given() -> None:
    """A dropTime longer than the capture is believed: nobody is silent yet, and nothing can be judged."""
    events, verdict = replay("--drop-time", "1h", KILL)
    assert "silent" not in {event["event"] for event in events}
    assert verdict["verdict"] == "unknown"


def test_a_member_can_be_expected() -> None:
    """Whoever is expected and never heard is told as such."""
    _, verdict = replay("--expect", "10.77.0.99:4000", KILL)
    assert verdict["members"]["10.77.0.99:4000"] == "unheard"


def test_a_number_can_be_expected() -> None:
    """With a count, a cluster that is too small is degraded."""
    _, verdict = replay("--expect", "4", VECTORS / "captures" / "a-steady.pcap")
    assert verdict["verdict"] == "degraded"


def test_a_group_can_be_chosen() -> None:
    """Only the group named is watched."""
    other, verdict = replay("--group", "228.0.0.4:45569", KILL)
    assert [event["event"] for event in other] == ["empty"]
    assert (verdict["group"], verdict["members"]) == ("228.0.0.4:45569", {})
    assert len(replay("--group", "228.0.0.4", KILL)[0]) == len(replay(KILL)[0])


def test_words_for_people() -> None:
    """Without --json the story is one line an event, then the verdict and the members."""
    result = invoke("replay", KILL)
    assert result.exit_code == 0
    *story, verdict, first, second, third = result.stdout.splitlines()
    assert story[0].endswith(f"joined: {NODE_2} is heard")
    assert verdict.startswith("228.0.0.4:45564: degraded since ")
    assert {first, second, third} == {f"  {NODE_1} alive", f"  {NODE_2} silent", f"  {NODE_3} alive"}


def test_a_pipe_is_as_good_as_a_file() -> None:
    """A capture on standard input gives the same story."""
    from_file, from_pipe = run("replay", "--json", KILL), run("replay", "--json", "-", stdin=KILL.read_bytes())
    assert from_file.returncode == from_pipe.returncode == 0
    assert from_file.stdout == from_pipe.stdout


def test_a_cut_capture_is_judged_as_far_as_it_goes(tmp_path: Path) -> None:
    """A capture cut in the middle: the story up to there and the verdict, then the cut, exit status 1."""
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(KILL.read_bytes()[:2_000])
    result = invoke("replay", "--json", cut)
    assert result.exit_code == 1
    assert "verdict" in json.loads(result.stdout.splitlines()[-1])
    line = rf"tribes-probe: {cut}: cut in the middle: its last packet, at byte \d+, is not whole\n"
    assert re.fullmatch(line, result.stderr)


def test_what_is_no_capture_is_told(tmp_path: Path) -> None:
    """Another file is told as what it is not, exit status 1."""
    other = tmp_path / "notes.txt"
    other.write_text("dear diary, today nothing happened\n")
    result = invoke("replay", "--json", other)
    assert result.exit_code == 1
    assert result.stderr == f"tribes-probe: {other}: not a capture: neither pcap nor pcapng\n"


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (
            ("--drop-time", "3"),
            '"3" is no duration: write a number with its unit, such as 500ms, 3s, 1m or 1h.',
        ),
        (("--frequency", "0s"), '"0s" is not above zero.'),
        (("--expect", "tomcat1"), "'tomcat1' is neither HOST:PORT nor a number."),
        (("--group", "10.0.0.1:45564"), "10.0.0.1 is not a multicast address; write 228.0.0.4:45564 or"),
    ],
)
def test_wrong_values_are_one_line(flags: tuple[str, str], line: str) -> None:
    """A wrong value is named with its flag and what to write, exit status 2."""
    told = refused("replay", *flags, KILL)
    assert flags[0] in told
    assert line in told
