"""One view for everything that shows: a group of four, in four states, seen at a fixed time."""

import ipaddress
from typing import Final

from probe.model.belief import FRESH, Belief, Entry, Reading
from probe.model.canary import Pair, Reason, Result, State
from probe.model.evidence import Answer, Check, Outcome
from probe.model.hearing import Loss, Side
from probe.model.joint import Joint
from probe.model.link import Connection, Links, TcpState
from probe.model.rules import Rules
from probe.model.track import Origin
from probe.model.verdict import ClusterState, Verdict
from probe.model.views import Build, Joined, PeerView, ProbeView, Reload, view_group
from probe.model.watch import Watch
from protocols.heartbeat import GOODBYE, Heartbeat, Member, encode

AT: Final = 1_700_000_000.0
"""Unix time of the view."""
NOW: Final = 100.0
"""The model's clock then."""
HOSTILE: Final = '<script>alert("1")</script>'
MEMBERS: Final = ("10.0.0.1:4000", "10.0.0.2:4000", "[fd77::3]:4000", "10.0.0.4:4000")


def member(number: int, host: str, **fields: object) -> Member:
    """Make a member block."""
    return Member(ipaddress.ip_address(host).packed, 4000, bytes([number]) * 16, **fields)  # type: ignore[arg-type]


def view(*, gone: int = 0, name: str = "228.0.0.4:45564", reload: bool = True) -> ProbeView:
    """Return the view; the last ``gone`` of its members were never heard."""
    watch = Watch(Rules(name=name, expected_count=4), 0.0)
    blocks = [
        member(1, "10.0.0.1", domain=b"shop", secure_port=4443),
        member(2, "10.0.0.2", domain=HOSTILE.encode()),
        member(3, "fd77::3", udp_port=4001),
        member(4, "10.0.0.4"),
    ][: 4 - gone]
    ends = (100.0, 100.0, 94.0, 90.0)
    for beat in range(201):
        at = beat / 2
        batch = [
            (encode(Heartbeat(block, 10_000 + 500 * beat)), at, _origin(block))
            for block, end in zip(blocks, ends, strict=False)
            if at <= end
        ]
        watch.receive(batch)
        watch.tick(at)
    if gone == 0:
        goodbye = Heartbeat(member(4, "10.0.0.4", command=GOODBYE), 100_000)
        watch.receive([(encode(goodbye), 90.2, _origin(blocks[3]))])
    for block, answer in zip(
        blocks,
        (
            Answer(99.0, Check.ACK, Outcome.ANSWERED, 0.001, 0.002),
            Answer(99.0, Check.CONNECT, Outcome.REFUSED),
            Answer(98.0, Check.ACK, Outcome.ANSWER_TIMEOUT, 0.001),
        ),
        strict=False,
    ):
        watch.take(block.address, answer, 99.5)
    if gone == 0:
        _believe(watch)
    cut = encode(Heartbeat(member(1, "10.0.0.1"), 1))[:20]
    watch.receive([(cut, 99.9, Origin()), (b"noise", 99.9, Origin())])
    watch.tick(NOW)
    watch.assess(NOW)
    addresses = ("10.0.0.1/24", "fd77::1/64")
    joined = Joined("228.0.0.4", 45564, {"eth0": True, "eth1": False}, 425_984, 7, addresses)
    return ProbeView(
        build=Build("0.1.0", "3.11.2", "uvloop"),
        reload=Reload(successful=reload, succeeded_at=AT - 60),
        time=AT,
        started=AT - NOW,
        ready=True,
        fit=False,
        unfit=["loop-lag"],
        loop_lag_seconds=0.125,
        groups=[
            view_group(
                watch, joined, NOW, AT - NOW, joint=_joint(), pairs=_pairs(), saved=True, links=_links(watch)
            )
        ],
        role="local",
        peers=[
            PeerView("b", "http://10.0.0.2:10564", "local", True, "", "0.1.0", AT - 1, ("228.0.0.4:45564",)),  # noqa: FBT003
            PeerView(HOSTILE, "https://c:10564", "segment", False, HOSTILE, "", None, ()),  # noqa: FBT003
        ],
    )


def _believe(watch: Watch) -> None:
    """Have the first member hear nobody and keep a ghost; another cannot be read."""
    watch.fitness._until.clear()
    one, ghost = Entry(MEMBERS[0], bytes([1]) * 16), Entry(MEMBERS[1], bytes([9]) * 16)
    for at in (NOW - FRESH, NOW - FRESH / 2, NOW - 0.5):
        watch.believe(Reading(f"http://{MEMBERS[0]}/jmxproxy", "", at, Belief(one, (), (ghost,), 3.0)), NOW)
    watch.believe(Reading("http://x/jmxproxy", MEMBERS[1], NOW - 1, None, HOSTILE), NOW)


def _joint() -> Joint:
    """Say what this probe and a peer say together: a split."""
    reasons = ((f"{HOSTILE} and the others do not hear each other",),)
    return Joint(
        Verdict(ClusterState.SPLIT, 80.0, reasons, {}, 3, 4),
        judged=("b", "here"),
        silent={HOSTILE: "it was not read yet"},
        sides=(Side("", MEMBERS[:2], ("here",)), Side("", MEMBERS[2:3], ("b",))),
        losses=(Loss(MEMBERS[2], "here", 80.0, 80.0, answers=False, back=False),),
        deaf={},
    )


def _pairs() -> list[Pair]:
    """Show sessions of two nodes to each other, and to one that nobody has checked yet."""
    known, lost, unchecked = Pair("a", "b"), Pair("b", "a"), Pair("a", "c")
    for at, (delay, resolution) in enumerate([(0.004, 0.004), (0.3, 0.16)]):
        text = f"a session made on a is known on b after {delay * 1000:.1f} ms"
        known.take("", Result(State.REPLICATED, text, None, delay, resolution, made=1, ended=1), 90.0 + at)
    lost.take("", Result(State.UNKNOWN, "a: cannot be reached: Connection refused", Reason.CONNECT), 90.0)
    lost.take("", Result(State.LOST, f"a does not know {HOSTILE}", Reason.NOT_REPLICATED, made=3), 91.0)
    return [known, lost, unchecked]


def _links(watch: Watch) -> Links:
    """Connect this host to three of the members, and to nobody."""
    here = "10.0.0.1"
    links = Links()
    tracks = {track.name: track for track in watch.membership}
    for acked in (0, 9_000):
        connections = [
            Connection(f"{here}:4000", "0.0.0.0:0", TcpState.LISTEN),
            Connection(f"{here}:4000", "10.0.0.2:41000", TcpState.ESTABLISHED),
            Connection(f"{here}:41001", MEMBERS[1], TcpState.ESTABLISHED, round_trip=0.0004, acked=acked),
            Connection(f"{here}:41002", MEMBERS[2], TcpState.ESTABLISHED, round_trip=0.002),
            Connection(f"{here}:41003", MEMBERS[3], TcpState.SYN_SENT, send_queue=1, retransmits=1),
            Connection(f"{here}:41004", "10.0.0.9:4000", TcpState.ESTABLISHED),
        ]
        links.take("", connections, tracks, 95.0)
    return links


def _origin(block: Member) -> Origin:
    return Origin(block.host, "eth0", 1)
