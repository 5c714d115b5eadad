"""Captures through the model: each capture of real Tomcats tells the story that is known of it."""

import re
from typing import Any

import msgspec
import pytest
from support.wire import VECTORS

from probe.model.rules import Rules
from probe.replay import Replay, describe_event, describe_verdict, event_text, read_group, verdict_text
from probe.simulate.outlet import Place
from probe.simulate.player import record, until
from probe.simulate.story import Act, Cluster, Fault, Shape
from protocols.heartbeat import Heartbeat, Member, encode
from protocols.packet import build_udp
from protocols.pcap import RAW_IP, Packet, read

NODE1, NODE2, NODE3 = (f"10.77.0.{n}:4000" for n in (11, 12, 13))
GROUP = bytes((228, 0, 0, 4))


def play(name: str, rules: Rules | None = None) -> tuple[Replay, list[dict[str, Any]]]:
    """Replay one of the captures."""
    replay = Replay(rules or Rules())
    with (VECTORS / "captures" / f"{name}.pcap").open("rb") as file:
        events = [*replay.play(read(file)), *replay.finish()]
    return replay, [describe_event(event) for event in events]


class Story(msgspec.Struct, frozen=True):
    """What is known of a capture: who joins in which order, what then happens, and what is said in the end.

    ``words`` are the sentence's evidence, its times left out; who is not in ``states`` is alive.
    """

    joined: tuple[str, ...]
    then: list[tuple[str, str]]
    verdict: str
    words: str
    states: dict[str, str] = {}
    group: str = "228.0.0.4:45564"


ALL = "3 of 3 members alive"
WHOLE = ("whole", "")
UNASKED = "its receiver was not asked: mute, frozen and lost cannot be told apart"
DIVERGED = f"{ALL}; members are back that ran on meanwhile: their sessions diverged and do not cross"
LOOPBACK1, LOOPBACK2, LOOPBACK3 = (f"127.0.0.{n}:4000" for n in (1, 2, 3))
SIX1, SIX2 = "[fd00:77::1]:4000", "[fd00:77::2]:4000"
OF_NO_HOST = "127.0.1.1:4000"

STORIES = {
    "00-form": Story((NODE1, NODE2, NODE3), [WHOLE], "whole", ALL),
    "a-steady": Story((NODE2, NODE3, NODE1), [WHOLE], "whole", ALL),
    "c-kill9": Story(
        (NODE2, NODE1, NODE3),
        [WHOLE, ("late", NODE2), ("silent", NODE2), ("degraded", "")],
        "degraded",
        f"2 of 3 members alive; {NODE2} is silent (last), {UNASKED}",
        {NODE2: "silent"},
    ),
    "d-restart": Story((NODE1, NODE3), [WHOLE, ("joined", NODE2)], "whole", ALL),
    "e-sigstop": Story(
        (NODE2, NODE3, NODE1),
        [
            WHOLE,
            ("late", NODE1),
            ("silent", NODE1),
            ("degraded", ""),
            ("returned", NODE1),
            ("stalled", NODE1),
            WHOLE,
        ],
        "whole",
        ALL,
    ),
    "f-part-mcast": Story((NODE1, NODE2, NODE3), [WHOLE], "whole", ALL),
    "f4-split-seen-from-node1": Story(
        (NODE3, NODE1, NODE2),
        [
            WHOLE,
            ("late", NODE3),
            ("silent", NODE3),
            ("degraded", ""),
            ("returned", NODE3),
            ("heartbeats-lost", NODE3),
            ("merging", ""),
        ],
        "merging",
        DIVERGED,
    ),
    "f4-split-seen-from-node3": Story(
        (NODE3, NODE1, NODE2),
        [
            WHOLE,
            ("late", NODE1),
            ("late", NODE2),
            ("silent", NODE1),
            ("degraded", ""),
            ("silent", NODE2),
            ("returned", NODE1),
            ("heartbeats-lost", NODE1),
            ("merging", ""),
            ("returned", NODE2),
            ("heartbeats-lost", NODE2),
        ],
        "merging",
        DIVERGED,
    ),
    "h-127-1": Story((NODE1, NODE2, OF_NO_HOST), [("address-mismatch", OF_NO_HOST), WHOLE], "whole", ALL),
    "l-fast-restart": Story(
        (NODE2, NODE3, NODE1),
        [("late", NODE2), WHOLE, ("restarted", NODE2), ("ghost-suspected", NODE2)],
        "whole",
        ALL,
    ),
    "n-encrypt-domain-payload": Story(
        (LOOPBACK2,),
        [
            ("address-mismatch", LOOPBACK2),
            ("joined", LOOPBACK3),
            ("address-mismatch", LOOPBACK3),
            ("joined", LOOPBACK1),
            WHOLE,
        ],
        "whole",
        ALL,
        group="228.0.0.9:45569",
    ),
    "o-ipv6": Story(
        (SIX1,),
        [
            ("address-mismatch", SIX1),
            ("joined", SIX2),
            WHOLE,
            ("left", SIX1),
            ("degraded", ""),
            ("left", SIX2),
            ("down", ""),
        ],
        "down",
        f"0 of 2 members alive; {SIX1} left () with a goodbye; {SIX2} left () with a goodbye; "
        "nobody is heard and nobody answers",
        {SIX1: "left", SIX2: "left"},
        "[ff15::4:5564]:45569",
    ),
    "p-sync-ack": Story((NODE3, NODE1, NODE2), [WHOLE], "whole", ALL),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_capture_tells_its_story(name: str) -> None:
    """Events, the verdict and its words, and members' states are those known of the capture."""
    story = STORIES[name]
    replay, events = play(name)
    told = [(event["event"], event["member"]) for event in events]
    assert told == [*(("joined", member) for member in story.joined), *story.then]
    [watch] = replay.watches.values()
    found = describe_verdict(watch, replay.now)
    assert (found["group"], found["verdict"]) == (story.group, story.verdict)
    assert re.sub(r" ?\d\d:\d\d:\d\d", "", found["sentence"]) == f"{story.verdict} since: {story.words}"
    members = {member for event, member in told if event == "joined"}
    assert found["members"] == dict.fromkeys(members, "alive") | story.states


def test_every_capture_has_a_story() -> None:
    """None lies there untold."""
    assert set(STORIES) == {path.stem for path in (VECTORS / "captures").glob("*.pcap")}


def test_a_split_shows_from_both_sides() -> None:
    """Each side loses exactly the other, for the same 15.5 s, and says that the return is a merging."""
    _, here = play("f4-split-seen-from-node1")
    _, there = play("f4-split-seen-from-node3")
    assert [event["member"] for event in here if event["event"] == "silent"] == [NODE3]
    assert [event["member"] for event in there if event["event"] == "silent"] == [NODE1, NODE2]
    for events in (here, there):
        assert [round(e["gap_seconds"], 1) for e in events if e["event"] == "returned"] in ([15.5], [15.5] * 2)
        assert "merging" in [event["event"] for event in events]


def test_a_loopback_announcement_is_told() -> None:
    """A node whose name resolves to 127.0.1.1 is named with its true source."""
    _, events = play("h-127-1")
    [mismatch] = [event for event in events if event["event"] == "address-mismatch"]
    assert (mismatch["member"], mismatch["source"]) == ("127.0.1.1:4000", "10.77.0.13")


def test_ipv6_and_another_group_are_found_by_themselves() -> None:
    """The group is whichever carries heartbeats; goodbyes leave the members left and the cluster down."""
    replay, events = play("o-ipv6")
    assert [watch.rules.name for watch in replay.watches.values()] == ["[ff15::4:5564]:45569"]
    assert [event["event"] for event in events if event["member"]].count("left") == 2
    assert events[-1]["event"] == "down"


def test_a_silence_is_told_at_its_deadline() -> None:
    """Late and silent come to the microsecond at three periods and at dropTime, though no packet came then."""
    _, events = play("c-kill9")
    at = {event["event"]: event["time"] for event in events}
    assert at["silent"] - at["late"] == pytest.approx(1.5, abs=2e-6)
    assert next(e["gap_seconds"] for e in events if e["event"] == "silent") == pytest.approx(3.0, abs=1e-6)


def test_the_rules_are_the_callers() -> None:
    """A longer dropTime moves the deadline; a cluster lacks an expected member that was never heard."""
    _, events = play("e-sigstop", Rules(drop_time=30.0))
    assert "silent" not in [event["event"] for event in events]
    replay, _ = play("a-steady", Rules(expected=frozenset({NODE1, "10.77.0.14:4000"})))
    [watch] = replay.watches.values()
    assert describe_verdict(watch, replay.now)["verdict"] == "degraded"
    assert watch.membership.named("10.77.0.14:4000") is not None


# -- captures of our own


def heartbeat(at: float, group: bytes = GROUP, port: int = 45564, payload: bytes | None = None) -> Packet:
    """Return a captured heartbeat of 10.0.0.1:4000."""
    host = bytes((10, 0, 0, 1))
    beat = encode(Heartbeat(Member(host, 4000, bytes(16)), int(at * 1000))) if payload is None else payload
    data = build_udp(host, port, group, port, beat)
    return Packet(at, RAW_IP, data, len(data))


def test_groups_can_be_named() -> None:
    """Only the named group is watched, and it is watched though nothing is heard there."""
    other = bytes((239, 0, 0, 1))
    replay = Replay(Rules(), [(GROUP, 45564), (other, 1)])
    events = [*replay.play([heartbeat(1.0), heartbeat(2.0, port=9)]), *replay.finish()]
    assert [event.group for event in events if event.member] == ["228.0.0.4:45564"]
    assert sorted(watch.rules.name for watch in replay.watches.values()) == ["228.0.0.4:45564", "239.0.0.1:1"]


def test_several_groups_are_told_in_order_of_time() -> None:
    """Deadlines of different groups interleave as they would live."""
    replay = Replay(Rules())
    packets = [heartbeat(1.0, port=1), heartbeat(1.2, port=2), heartbeat(30.0, port=3)]
    events = [*replay.play(packets), *replay.finish()]
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert [event.group[-1] for event in events if event.kind == "silent"] == ["1", "2"]


def test_a_unicast_heartbeat_or_other_traffic_opens_no_group() -> None:
    """A group is a multicast address with a heartbeat on it; without any the usual group is judged empty."""
    replay = Replay(Rules())
    packets = [
        heartbeat(1.0, group=bytes((10, 0, 0, 2))),
        heartbeat(1.5, payload=b"M-SEARCH"),
        heartbeat(30.0, payload=b""),
    ]
    events = [*replay.play(packets), *replay.finish()]
    [watch] = replay.watches.values()
    assert watch.rules.name == "228.0.0.4:45564"
    assert [event.kind for event in events] == ["empty"]


def test_time_that_steps_back_in_a_capture_is_held() -> None:
    """A packet older than the one before it is taken as of now: the model's clock never goes back."""
    replay = Replay(Rules())
    events = list(replay.play([heartbeat(5.0), heartbeat(4.0), heartbeat(5.5)]))
    assert [event.at for event in events] == [5.0]
    assert replay.now == 5.5


def test_an_empty_capture_is_judged_unknown() -> None:
    """Without a packet there is nothing to say, and it is said."""
    replay = Replay(Rules())
    assert [*replay.play([]), *replay.finish()] == []
    assert [describe_verdict(watch, replay.now)["verdict"] for watch in replay.watches.values()] == ["unknown"]


def test_a_written_story_is_told_back() -> None:
    """What the simulator writes as a capture, the replay tells: a fast restart and its ghost."""
    shape = Shape(members=3)
    cluster = Cluster(shape, [Fault(Act.RESTART, 1, 10.0, 0.5)])
    pieces = list(record(until(cluster.play(), 20.0), shape, Place(), 1000.0))
    replay = Replay(Rules())
    events = [*replay.play(read(Pieces(pieces))), *replay.finish()]
    assert [event.kind for event in events if event.kind != "joined"] == [
        "whole",
        "late",
        "restarted",
        "ghost-suspected",
    ]
    [watch] = replay.watches.values()
    assert watch.rules.name == "239.255.77.66:45664"


class Pieces:
    """A capture in pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def read1(self, _size: int, /) -> bytes:
        """Return the next piece."""
        return self.pieces.pop(0) if self.pieces else b""


def test_the_words() -> None:
    """An event is one line; a verdict is the sentence with each member's state below."""
    replay = Replay(Rules())
    events = list(replay.play([heartbeat(1.0)]))
    assert event_text(events[0]).endswith("joined: 10.0.0.1:4000 is heard")
    [watch] = replay.watches.values()
    assert verdict_text(watch, 1.0).splitlines()[1:] == ["  10.0.0.1:4000 unknown"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("228.0.0.4:45564", (GROUP, 45564)),
        ("228.0.0.4", (GROUP, 45564)),
        ("[ff02::4]:9", (bytes.fromhex("ff020000000000000000000000000004"), 9)),
        ("[ff02::4]", (bytes.fromhex("ff020000000000000000000000000004"), 45564)),
        ("ff02::4", (bytes.fromhex("ff020000000000000000000000000004"), 45564)),
    ],
)
def test_a_group_is_read(given: str, expected: tuple[bytes, int]) -> None:
    """Address and port, IPv6 in brackets; the port may be left out."""
    assert read_group(given) == expected


@pytest.mark.parametrize(
    "given", ["10.0.0.1:45564", "nowhere", "228.0.0.4:0", "228.0.0.4:x", "228.0.0.4:70000"]
)
def test_what_is_no_group_is_refused(given: str) -> None:
    """A unicast address, a name or a wrong port is a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        read_group(given)
