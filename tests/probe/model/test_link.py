"""What this host's connections to receivers say of each member, alone and against what is heard."""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.events import Event, Kind
from probe.model.link import HOLD, MOST_STRANGERS, Connection, Finding, Links, LinkState, TcpState
from probe.model.presence import Presence
from probe.model.track import Track

HERE, PEER, OTHER = "10.0.0.1:4000", "10.0.0.2:4000", "10.0.0.3:4000"
TOMCAT = 53
"""The user that Tomcat runs as."""


def track(name: str, presence: Presence = Presence.PRESENT) -> Track:
    """Make a member."""
    host, _, port = name.rpartition(":")
    made = Track(name, ipaddress.ip_address(host.strip("[]")).packed + int(port).to_bytes(4, "big"), 0.5)
    made.presence = presence
    return made


MEMBERS = {name: track(name) for name in (HERE, PEER, OTHER)}
RECEIVER = Connection(HERE, "0.0.0.0:0", TcpState.LISTEN, user=TOMCAT)


def out(to: str = PEER, state: TcpState = TcpState.ESTABLISHED, port: int = 40_001, **more: Any) -> Connection:
    """Make a connection of this host's Tomcat to a receiver."""
    return Connection(f"10.0.0.1:{port}", to, state, **{"user": TOMCAT, "inode": port, **more})


def seen(*connections: Connection, links: Links | None = None, now: float = 10.0) -> tuple[Links, list[Event]]:
    """Look once."""
    links = links or Links()
    return links, links.take("shop", [RECEIVER, *connections], MEMBERS, now)


@pytest.mark.parametrize(
    ("connections", "state"),
    [
        ([], None),
        ([out()], LinkState.UP),
        ([out(), out(port=40_002, send_queue=900)], LinkState.UP),
        ([out(retransmits=1)], LinkState.UP),
        ([out(retransmits=2, send_queue=900)], LinkState.BROKEN),
        ([out(state=TcpState.SYN_SENT)], LinkState.NONE),
        ([out(state=TcpState.SYN_SENT, retransmits=1)], LinkState.BROKEN),
        ([out(), out(port=40_002, state=TcpState.SYN_SENT, retransmits=2)], LinkState.BROKEN),
        ([out(state=TcpState.FIN_WAIT1, retransmits=4)], LinkState.BROKEN),
        ([Connection(HERE, "10.0.0.2:41000", TcpState.ESTABLISHED, user=TOMCAT)], LinkState.NONE),
    ],
)
def test_connections_make_a_link(connections: list[Connection], state: LinkState | None) -> None:
    """It is up while one works and none is stuck; one that was just opened says nothing yet."""
    links, _ = seen(*connections)
    assert ({name: link.state for name, link in links.links.items()}) == ({PEER: state} if state else {})
    assert links.why == ""


def test_what_a_link_shows() -> None:
    """Connections each way, what waits, how far it is, and what was counted since the first look."""
    incoming = Connection(HERE, "10.0.0.2:41000", TcpState.ESTABLISHED, user=TOMCAT)
    links, _ = seen(out(acked=1_000_000, all_retransmits=70), incoming)
    again = out(acked=1_000_500, all_retransmits=71, send_queue=30, round_trip=0.001)
    more = out(port=40_002, acked=40, send_queue=12, round_trip=0.004)
    waiting = out(port=40_003, state=TcpState.SYN_SENT, send_queue=1)
    seen(again, more, waiting, incoming, links=links)
    link = links.links[PEER]
    assert (link.outgoing, link.opening, link.incoming) == (2, 1, 1)
    assert (link.send_queue, link.round_trip) == (42, 0.004)
    assert (link.acked, link.retransmits) == (540, 1)
    seen(links=links)
    assert (link.outgoing, link.opening, link.incoming, link.send_queue, link.round_trip) == (0, 0, 0, 0, None)
    assert (link.acked, link.retransmits) == (540, 1)


def test_only_the_receiver_s_user_counts() -> None:
    """Another probe on this host asks receivers, too."""
    links, _ = seen(out(user=1000))
    assert links.links == {}
    assert links.strangers == ()


def test_without_a_receiver_nothing_is_said() -> None:
    """The probe of a segment has no Tomcat beside it."""
    links, _ = seen(out())
    assert links.take("shop", [out()], MEMBERS, 11.0) == []
    assert (links.links, links.why) == ({}, "no receiver listens on this host")
    links.fail("the kernel does not tell of its sockets: Protocol not supported")
    assert links.why.endswith("Protocol not supported")


def test_connections_to_nobody_are_named() -> None:
    """A Tomcat that keeps who no longer announces himself; so many at most."""
    links, _ = seen(*(out(f"10.0.9.{n}:4000", port=40_000 + n) for n in range(40)))
    assert links.links == {}
    assert len(links.strangers) == MOST_STRANGERS
    assert links.strangers[0] == "10.0.9.0:4000"


def test_a_member_that_is_forgotten_takes_its_link_along() -> None:
    """What remains of it are connections to nobody."""
    links, _ = seen(out(OTHER))
    links.take("shop", [RECEIVER, out(OTHER)], {HERE: MEMBERS[HERE]}, 11.0)
    assert links.links == {}
    assert links.strangers == (OTHER,)


def test_of_two_members_on_one_host_who_comes_in_is_not_known() -> None:
    """The port it comes from is nobody's."""
    twin = "10.0.0.2:4001"
    incoming = Connection(HERE, "10.0.0.2:41000", TcpState.ESTABLISHED, user=TOMCAT)
    links = Links()
    links.take("shop", [RECEIVER, incoming], {**MEMBERS, twin: track(twin)}, 10.0)
    assert links.links == {}


def test_breaking_and_mending_are_told_once() -> None:
    """With what is stuck. Between two attempts there may be no connection: that mends nothing."""
    links, told = seen(out())
    assert told == []
    stuck = out(send_queue=900, retransmits=3)
    _, [event] = seen(stuck, links=links, now=12.0)
    assert (event.kind, event.member, event.group) == (Kind.LINK_BROKEN, PEER, "shop")
    assert event.text == (
        f"{PEER} takes nothing from this host's Tomcat: 900 bytes wait, sent 3 times again without an answer"
    )
    assert seen(links=links, now=14.0)[1] == []
    assert seen(out(state=TcpState.SYN_SENT), links=links, now=16.0)[1] == []
    assert links.links[PEER].state is LinkState.BROKEN
    _, [event] = seen(out(), links=links, now=18.0)
    assert event.kind is Kind.LINK_MENDED


def test_a_broken_link_that_is_not_tried_again_is_let_go() -> None:
    """Nobody sends any more: nothing is known."""
    links, [event] = seen(out(state=TcpState.SYN_SENT, retransmits=1))
    assert event.text.endswith("1 connections are not answered (SYN-SENT)")
    assert seen(links=links, now=10 + HOLD)[1] == []
    _, [event] = seen(links=links, now=10.1 + HOLD)
    assert event.kind is Kind.LINK_MENDED
    assert links.links[PEER].state is LinkState.NONE


@pytest.mark.parametrize(
    ("connection", "presence", "ghost", "finding"),
    [
        (out(), Presence.PRESENT, "", None),
        (out(), Presence.SILENT, "", Finding.UNHEARD),
        (out(), Presence.LEFT, "", Finding.UNHEARD),
        (out(), Presence.PRESENT, "1b39", Finding.GHOST),
        (out(retransmits=5), Presence.PRESENT, "", Finding.STUCK),
        (out(retransmits=5), Presence.LATE, "1b39", Finding.STUCK),
        (out(retransmits=5), Presence.SILENT, "", None),
        (out(state=TcpState.SYN_SENT), Presence.SILENT, "", None),
    ],
)
def test_a_link_is_held_against_what_is_heard(
    connection: Connection, presence: Presence, ghost: str, finding: Finding | None
) -> None:
    """A Tomcat that replicates to who is not heard holds him for a member: a latent split, or a ghost."""
    member = track(PEER, presence)
    member.ghost = ghost
    links = Links()
    links.take("shop", [RECEIVER, connection], {PEER: member}, 10.0)
    assert links.links[PEER].finding(member) is finding


connections = st.lists(
    st.builds(
        Connection,
        local=st.sampled_from([HERE, "10.0.0.1:40001", "[fd77::1]:40002"]),
        remote=st.sampled_from([PEER, OTHER, "10.0.0.2:41000", "10.9.9.9:4000", "0.0.0.0:0"]),
        state=st.sampled_from(TcpState),
        user=st.sampled_from([TOMCAT, 0]),
        send_queue=st.integers(0, 99),
        retransmits=st.integers(0, 9),
        all_retransmits=st.integers(0, 99),
        acked=st.integers(0, 99),
    ),
    max_size=12,
)


@given(st.lists(connections, max_size=6))
def test_whatever_is_seen_counts_never_fall_and_changes_alternate(looks: list[list[Connection]]) -> None:
    """Breaking and mending take turns for each member, while this host has a receiver."""
    links, told, before = Links(), [], dict[str, tuple[int, int]]()
    for number, look in enumerate(looks):
        told += links.take("shop", [RECEIVER, *look], MEMBERS, 2.0 * number)
        for name, link in links.links.items():
            counts = link.acked, link.retransmits
            assert all(now >= then for now, then in zip(counts, before.get(name, (0, 0)), strict=True))
            before[name] = counts
    for name in MEMBERS:
        kinds = [event.kind for event in told if event.member == name]
        assert kinds == ([Kind.LINK_BROKEN, Kind.LINK_MENDED] * len(kinds))[: len(kinds)]
