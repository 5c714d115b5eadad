"""What was heard and who answered, judged from the view of this vantage, alone and beside a peer's."""

import ipaddress
from typing import Any

import pytest
from support.examination import OWN, subject

from probe.config import Peer, PeerTls, Settings
from probe.doctor.finding import Status
from probe.doctor.hearing import (
    Heard,
    how_long,
    judge_addresses,
    judge_asked,
    judge_datagrams,
    judge_heard,
)
from probe.doctor.others import host, judge, peer
from probe.model.evidence import Answer, Check, Outcome
from probe.model.fitness import Fitness, Unfit
from probe.model.rules import Rules
from probe.model.sight import BuildSight, GroupSight, ProbeSight
from probe.model.track import Origin
from probe.model.views import GroupView, Joined, sight_of, view_group
from probe.model.watch import Watch
from probe.sensors.peers import Reader
from protocols.heartbeat import Heartbeat, Member, encode

OTHER = "10.0.0.2"


def view(
    *members: tuple[str, str],
    junk: bytes = b"",
    answers: dict[str, Outcome] | None = None,
    unfit: bool = False,
    joined: bool = True,
    **rules: Any,
) -> GroupView:
    """Return what is seen after four seconds of heartbeats of these members: host announced, source."""
    watch = Watch(Rules(name="shop", **rules), 0.0, Fitness(3.0, 0.0))
    if unfit:
        watch.fitness.trouble(Unfit.LOOP_LAG, 4.0)
    for beat in range(9):
        for number, (announced, source) in enumerate(members):
            block = Member(ipaddress.ip_address(announced).packed, 4000, bytes([number + 1]) * 16)
            origin = Origin(ipaddress.ip_address(source).packed, "eth0", 1)
            watch.receive([(encode(Heartbeat(block, 9000 + 500 * beat)), beat / 2, origin)])
            outcome = (answers or {}).get(announced)
            if outcome is not None:
                watch.take(block.address, Answer(beat / 2, Check.ACK, outcome, 0.001, 0.001), beat / 2)
    if junk:
        watch.receive([(junk, 4.0, Origin())])
    watch.tick(4.0)
    return view_group(watch, Joined("228.0.0.4", 45564, {"eth0": joined}), 4.0, 1_700_000_000.0)


BOTH = ((OWN, OWN), (OTHER, OTHER))
DEADLY = encode(Heartbeat(Member(bytes([10, 0, 0, 2]), 4000, bytes(16)), 1)).replace(
    b"\x04\x0a\0\0\x02\0\0\0\0", b"\x04\x0a\0\0\x02\x7f\xff\xff\xff"
)


@pytest.mark.parametrize(
    ("seen", "settings", "status", "words"),
    [
        (
            view(*BOTH),
            {},
            Status.OK,
            f"in 6 s on eth0 {OWN}:4000 (here) on eth0, TTL 1; {OTHER}:4000 on eth0, TTL 1",
        ),
        (view(), {}, Status.ERROR, "nobody was heard in 6 s on eth0"),
        (view(BOTH[0]), {}, Status.WARNING, "only this host's own"),
        (view(BOTH[1]), {}, Status.OK, OTHER),
        (view(*BOTH), {"expected_count": 3}, Status.ERROR, "not heard: 1 of 3"),
        (view(*BOTH, expected=frozenset({"10.0.0.9:4000"})), {}, Status.ERROR, "not heard: 10.0.0.9:4000"),
        (view(joined=False), {}, Status.ERROR, "could not be joined: eth0: it is down"),
    ],
)
def test_who_is_heard(seen: GroupView, settings: dict[str, Any], status: Status, words: str) -> None:
    """All who are expected, and somebody beside this host's own."""
    judged = judge_heard(Heard(seen, 6.0, {"eth0": "it is down"}), subject(**settings))
    assert (judged.status, words in judged.found) == (status, True), judged


@pytest.mark.parametrize(
    ("members", "status", "words"),
    [
        (BOTH, Status.OK, "2 member(s) announce"),
        ((), Status.OK, "nobody was heard"),
        (((OTHER, "192.0.2.2"),), Status.WARNING, "192.0.2.2 announces 10.0.0.2:4000"),
        ((("127.0.1.1", OTHER),), Status.ERROR, "10.0.0.2 announces 127.0.1.1:4000"),
        (((OTHER, OTHER), (OTHER, OTHER)), Status.ERROR, "several processes announce 10.0.0.2:4000"),
        ((("127.0.1.1", OWN), ("127.0.1.1", OTHER)), Status.ERROR, "announces 127.0.1.1:4000"),
    ],
)
def test_addresses(members: tuple[tuple[str, str], ...], status: Status, words: str) -> None:
    """Each member announces the address that it sends from, and nobody else does."""
    judged = judge_addresses(Heard(view(*members), 6.0))
    assert (judged.status, words in judged.found) == (status, True), judged


@pytest.mark.parametrize(
    ("junk", "status", "words"),
    [
        (b"", Status.OK, "none among 18 datagrams"),
        (b"hello", Status.WARNING, "1 foreign"),
        (DEADLY, Status.ERROR, "kills"),
    ],
)
def test_other_datagrams(junk: bytes, status: Status, words: str) -> None:
    """What is no heartbeat is a stranger's; what harms is an error."""
    judged = judge_datagrams(Heard(view(*BOTH, junk=junk), 6.0))
    assert (judged.status, words in judged.found) == (status, True), judged


@pytest.mark.parametrize(
    ("answers", "status", "words"),
    [
        ({OWN: Outcome.ANSWERED, OTHER: Outcome.ANSWERED}, Status.OK, f"{OTHER}:4000 answered"),
        ({OWN: Outcome.ANSWERED, OTHER: Outcome.REFUSED}, Status.ERROR, f"{OTHER}:4000 refused"),
        ({OWN: Outcome.ANSWERED, OTHER: Outcome.ANSWER_TIMEOUT}, Status.ERROR, "answer-timeout"),
        ({OWN: Outcome.ANSWERED}, Status.UNKNOWN, f"1 of 2 not asked, {OTHER}:4000"),
    ],
)
def test_receivers(answers: dict[str, Outcome], status: Status, words: str) -> None:
    """One that fails is an error, one that was not asked is unknown."""
    judged = judge_asked(Heard(view(*BOTH, answers=answers), 6.0))
    assert (judged.status, words in judged.found) == (status, True), judged


def test_for_how_long() -> None:
    """Two dropTimes, and long enough for every receiver to be asked."""
    assert how_long(subject(drop_time=10.0).group) == 20.0
    assert how_long(subject(drop_time=0.6).group) == 2.5


# -- peers


def reader(sight: GroupSight | None, why: str = "") -> Reader:
    """Return a peer that was read, and watches a group if one is given."""
    read = Reader(Peer("http://10.0.0.2:10564", "b"))
    read.why = why
    if not why:
        groups = [sight] if sight is not None else []
        read.sight = ProbeSight(BuildSight("1"), 1.0, 1.0, groups)
    return read


@pytest.mark.parametrize(
    ("there", "here", "status", "words"),
    [
        (BOTH, BOTH, Status.OK, f"b hears {OWN}:4000 of this host, and everybody"),
        ((BOTH[1],), (BOTH[1],), Status.OK, "none of them is on this host"),
        ((BOTH[1],), BOTH, Status.ERROR, f"b does not hear {OWN}:4000 of this host"),
        (BOTH, (BOTH[0],), Status.ERROR, f"b hears {OTHER}:4000, and this host does not"),
        ((BOTH[0],), BOTH, Status.ERROR, f"{OTHER}:4000 heard here and not by b"),
        ((("127.0.1.1", OWN),), (("127.0.1.1", OWN),), Status.OK, "127.0.1.1:4000 of this host"),
    ],
)
def test_two_places(
    there: tuple[tuple[str, str], ...], here: tuple[tuple[str, str], ...], status: Status, words: str
) -> None:
    """Who is heard at one place only names the way that is broken."""
    judged = judge(reader(sight_of(view(*there))), subject(), view(*here))
    assert (judged.status, words in judged.found) == (status, True), judged


def test_a_peer_that_cannot_say() -> None:
    """One that cannot be read, watches another group or is not fit says nothing."""
    assert judge(reader(None, "no answer within 2 s"), subject(), None).found == "b: no answer within 2 s"
    assert "does not watch" in judge(reader(None), subject(), None).found
    unfit = judge(reader(sight_of(view(*BOTH, unfit=True))), subject(), view(*BOTH))
    assert (unfit.status, unfit.found) == (Status.UNKNOWN, "b is not fit to judge (loop-lag)")
    assert judge(reader(sight_of(view(*BOTH))), subject(), None).status is Status.ERROR


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("10.0.0.2", "http://10.0.0.2:10564"),
        ("10.0.0.2:80", "http://10.0.0.2:80"),
        ("node2.example", "http://node2.example:10564"),
        ("fd00::2", "http://[fd00::2]:10564"),
        ("[fd00::2]:80", "http://[fd00::2]:80"),
        ("https://node2:443", "https://node2:443"),
        ("third", "https://10.0.0.3:1"),
        ("10.0.0.3", "https://10.0.0.3:1"),
    ],
)
def test_naming_a_peer(text: str, url: str) -> None:
    """An address, a URL, or a peer of the settings with all that is written there."""
    known = Peer("https://10.0.0.3:1", "third", tls=PeerTls(ca_file="ca.pem"))
    found = peer(text, Settings(peers=(known,)))
    assert found.url == url
    assert (found is known) == url.endswith("3:1")


def test_no_peer() -> None:
    """What is no address is refused."""
    for text in ("a b", "http://x/path", "ftp://x", "http://u:p@x"):
        with pytest.raises(ValueError, match=r"is no|holds|says more"):
            peer(text, Settings())
    assert host(Peer("http://[fd00::2]:1", "x")) == "fd00::2"
