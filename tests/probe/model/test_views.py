"""What this vantage sees, frozen: hashes by their definition, times as unix seconds, everything as JSON."""

import hashlib
import re
from collections import Counter

import msgspec
import pytest
from support.members import Node, Vantage

from probe.model.events import Kind
from probe.model.evidence import Check, Outcome
from probe.model.fitness import Unfit
from probe.model.rules import Rules
from probe.model.track import Origin
from probe.model.views import GroupView, Joined, MemberView, clock_text, view_group, view_members

JOINED = Joined("228.0.0.4", 45564, {"eth0": True}, 212_992, 3)
UNIX = 1_700_000_000.0
A, B, C = Node(1), Node(2), Node(3)


def view(vantage: Vantage, now: float) -> GroupView:
    """Freeze the group."""
    return view_group(vantage.watch, JOINED, now, UNIX)


def hash48(*lines: str) -> int:
    """Hash a view as the metric contract says."""
    return int(hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:12], 16)


def heard(*nodes: Node, rules: Rules | None = None) -> Vantage:
    """Return a vantage that heard some members for five seconds."""
    vantage = Vantage(rules)
    vantage.beats(nodes, 0.0, 5.0)
    return vantage


def member(group: GroupView, node: Node) -> MemberView:
    """Return one member's view."""
    return next(each for each in group.members if each.member == node.name)


def test_a_group() -> None:
    """Settings in force, joins, counters, verdict and members stand in the view."""
    group = view(heard(A, B, rules=Rules(expected=frozenset({A.name, B.name, C.name}))), 5.0)
    assert (group.group, group.address, group.port) == ("228.0.0.4:45564", "228.0.0.4", 45564)
    assert (group.frequency_seconds, group.drop_time_seconds) == (0.5, 3.0)
    assert (group.joined, group.receive_buffer, group.receive_drops) == ({"eth0": True}, 212_992, 3)
    assert group.datagrams == {"heartbeat": 20, "goodbye": 0, "broadcast": 0, "malformed": 0, "foreign": 0}
    assert (group.expected, group.overflow, group.fit, group.unfit) == (3, 0, True, [])
    verdict = group.verdict
    assert (verdict.state, verdict.alive, verdict.wanted) == ("degraded", 2, 3)
    assert verdict.counts == {"alive": 2, "unheard": 1}
    assert sum(group.gaps.counts) == 18
    assert group.checks.keys() == {"connect", "ack"}
    assert {each.member: each.state for each in group.members} == {
        A.name: "alive",
        B.name: "alive",
        C.name: "unheard",
    }


def test_a_member() -> None:
    """What a member says of itself and what was found out stand side by side; times are unix seconds."""
    node = Node(1, born=-60.0, domain=b"shop", secure_port=4443, udp_port=4001)
    vantage = Vantage()
    origin = Origin(bytes((10, 0, 0, 9)), "eth1", 1)
    for n in range(10):
        vantage.hear(node.beat(n * 0.5), n * 0.5, origin)
    one = member(view(vantage, 5.25), node)
    assert (one.state, one.up, one.expected) == ("alive", True, False)
    assert (one.unique_id, one.domain) == (node.member.unique_id.hex(), b"shop".hex())
    assert (one.source, one.interface, one.ttl, one.address_mismatch) == ("10.0.0.9", "eth1", 1, True)
    assert (one.secure_port, one.udp_port) == (4443, 4001)
    assert (one.first_heartbeat, one.last_heartbeat, one.age_seconds) == (UNIX, UNIX + 4.5, 0.75)
    assert (one.start, one.alive_ms, one.heartbeats) == (UNIX - 60.0, 64_500, 10)
    assert one.period_seconds == pytest.approx(0.5)
    assert (one.receiver.check, one.receiver.not_asked, one.oddities, one.rivals) == (None, None, (), ())


def test_a_member_never_heard() -> None:
    """An expected member that never came has no times, and no numbers of its own."""
    one = member(view(heard(A, rules=Rules(expected=frozenset({C.name}))), 5.0), C)
    assert (one.state, one.up, one.expected, one.unique_id) == ("unheard", False, True, "")
    assert (one.first_heartbeat, one.last_heartbeat, one.age_seconds, one.start) == (None, None, None, None)
    assert (one.secure_port, one.udp_port, one.ttl, one.source) == (-1, -1, -1, "")


def test_a_member_whose_alive_time_is_a_wall_clock_has_no_start() -> None:
    """After a recovery nobody knows when the process started."""
    vantage = heard(A)
    vantage.hear(A.recovered(5.0), 5.0)
    assert member(view(vantage, 5.0), A).start is None


def test_a_receiver() -> None:
    """The last answer and the failures by reason stand in the view; why one is not asked, too."""
    vantage = heard(A, B, C)
    vantage.take(A, Outcome.REFUSED, 5.0, Check.CONNECT)
    vantage.take(A, Outcome.ANSWERED, 5.5)
    track = vantage.watch.membership.named(B.name)
    assert track is not None
    track.not_asked = "10.0.0.2 is outside allowed_networks on-link"
    group = view(vantage, 6.0)
    one = member(group, A).receiver
    assert (one.check, one.outcome, one.connected, one.answered) == ("ack", "answered", True, True)
    assert (one.asked_at, one.connect_seconds, one.answer_seconds) == (UNIX + 5.5, 0.001, 0.002)
    assert (one.checks, one.failures) == ({"connect": 1, "ack": 1}, (("connect", "refused", 1),))
    assert member(group, B).receiver.not_asked == track.not_asked
    assert member(group, C).receiver.not_asked is None
    assert sum(group.checks["ack"].counts) == 1


def test_the_hash_of_a_view_is_that_of_the_names_up() -> None:
    """First 48 bits of SHA-256 over the sorted names, joined by newlines; the late are up, the gone not."""
    vantage = heard(C, A, B)
    assert view(vantage, 5.0).view_hash == hash48(A.name, B.name, C.name)
    vantage.hear(B.goodbye(5.0), 5.0)
    vantage.beats([A], 5.0, 7.0)
    assert view(vantage, 7.0).view_hash == hash48(A.name, C.name)
    vantage.beats([A], 7.0, 9.0)
    group = view(vantage, 9.0)
    assert group.view_hash == hash48(A.name)
    assert group.view_incarnation_hash == hash48(f"{A.name}#{A.member.unique_id.hex()}")


def test_the_hash_of_nobody() -> None:
    """An empty view has the hash of the empty string."""
    assert view(Vantage(), 1.0).view_hash == hash48()


def test_the_incarnation_hash_names_both_of_a_clash() -> None:
    """While two processes announce one address both unique ids are in, whoever was heard last."""
    twin = Node(1, born=-100.0, incarnation=7)
    vantage = heard(A)
    both = hash48(*(f"{A.name}#{each.member.unique_id.hex()}" for each in (A, twin)))
    for n in range(4):
        at = 5.0 + n * 0.25
        one = twin if n % 2 == 0 else A
        vantage.hear(one.beat(at), at)
        group = view(vantage, at)
        assert (group.view_incarnation_hash, group.view_hash) == (both, hash48(A.name))
    vantage.beats([A], 6.0, 10.0)
    assert view(vantage, 10.0).view_incarnation_hash == hash48(f"{A.name}#{A.member.unique_id.hex()}")
    assert member(view(vantage, 10.0), A).rivals == (twin.member.unique_id.hex(),)


def test_a_clash_does_not_raise_the_dead() -> None:
    """Who lived on the address before, and was not heard for dropTime, is not in the incarnation hash."""
    vantage = heard(A)
    new = A.again(5.5)
    vantage.beats([new], 6.5, 15.0)
    twin = Node(1, born=-100.0, incarnation=7)
    vantage.hear(twin.beat(15.0), 15.0)
    both = hash48(*(f"{A.name}#{each.member.unique_id.hex()}" for each in (new, twin)))
    assert view(vantage, 15.0).view_incarnation_hash == both


def test_a_restart_changes_the_incarnation_hash_only() -> None:
    """The same address with a new unique id is the same view, another incarnation."""
    vantage = heard(A)
    before = view(vantage, 5.0)
    vantage.hear(A.again(5.5).beat(6.5), 6.5)
    after = view(vantage, 6.5)
    assert after.view_hash == before.view_hash
    assert after.view_incarnation_hash == hash48(f"{A.name}#{A.again(5.5).member.unique_id.hex()}")
    assert after.view_incarnation_hash != before.view_incarnation_hash
    assert member(after, A).ghost == A.member.unique_id.hex()


def test_an_unfit_vantage_knows_no_states() -> None:
    """While the probe is not fit every member's state is unknown, with the reason; the hearing stays."""
    vantage = heard(A)
    vantage.watch.fitness.trouble(Unfit.INTERFACE_DOWN, 5.0)
    vantage.watch.assess(5.0)
    group = view(vantage, 5.0)
    assert (group.fit, group.unfit) == (False, ["interface-down"])
    assert (member(group, A).state, member(group, A).up) == ("unknown", True)
    assert (group.verdict.state, group.verdict.counts) == ("unknown", {"unknown": 1})


def test_members_may_be_frozen_before() -> None:
    """A slice at a time gives the same view as all at once."""
    vantage = heard(A, B, C)
    tracks = list(vantage.watch.membership)
    slices = [one for n in range(3) for one in view_members(tracks[n : n + 1], 5.0, UNIX, fit=True)]
    assert view_group(vantage.watch, JOINED, 5.0, UNIX, slices) == view(vantage, 5.0)


def test_malformed_datagrams_are_listed_by_reason_and_effect() -> None:
    """Each pair of reason and effect has its count."""
    vantage = Vantage()
    vantage.watch.malformed["end-marker", "stalls"] = 2
    assert view(vantage, 1.0).malformed == [("end-marker", "stalls", 2)]


def test_a_view_is_json_and_back() -> None:
    """The view that peers read is the view that was written."""
    vantage = heard(A, B, rules=Rules(expected=frozenset({C.name})))
    vantage.take(A, Outcome.ANSWERED, 5.0)
    group = view(vantage, 6.0)
    assert msgspec.json.decode(msgspec.json.encode(group), type=GroupView) == group


def test_the_sentence_has_wall_times() -> None:
    """The verdict's times are local wall clock times of the moments they name."""
    vantage = heard(A, B)
    vantage.hear(B.goodbye(5.0), 5.0)
    vantage.beats([A], 5.0, 6.0)
    sentence = view(vantage, 6.0).verdict.sentence
    write = clock_text(UNIX)
    assert re.fullmatch(r"\d\d:\d\d:\d\d", write(5.0))
    assert sentence == (
        f"degraded since {write(5.0)}: 1 of 2 members alive; 10.0.0.2:4000 left ({write(5.0)}) with a goodbye"
    )


def test_what_happened_is_counted_by_kind() -> None:
    """Every kind of event has its count, from nought on; changes of the verdict count as the log tells them."""
    vantage = heard(A, B)
    events = view(vantage, 5.0).events
    assert list(events) == [kind.value for kind in Kind]
    assert {kind: count for kind, count in events.items() if count} == {"empty": 1, "joined": 2, "whole": 1}
    assert {kind: count for kind, count in events.items() if count} == Counter(
        event.kind.value for event in vantage.told
    )


def test_a_clash_is_shown_while_it_lasts() -> None:
    """Two unique ids that take turns on an address are a clash until one dropTime after the last turn."""
    vantage = heard(A)
    vantage.hear(Node(1, born=-100.0, incarnation=7).beat(5.2), 5.2)
    assert [member(view(vantage, at), A).address_clash for at in (5.2, 8.1, 8.3)] == [True, True, False]


def test_a_stranger_is_one_while_the_settings_say_so() -> None:
    """Who is not on the list, or of another domain, is a stranger; new settings decide anew."""
    rules = Rules(expected=frozenset({A.name}))
    vantage = heard(A, B, rules=rules)
    assert [member(view(vantage, 5.0), node).stranger for node in (A, B)] == [False, True]
    vantage.watch.adopt(Rules(domain=b"shop"), 5.0)
    assert [member(view(vantage, 5.0), node).stranger for node in (A, B)] == [True, True]
    vantage.watch.adopt(Rules(), 5.0)
    assert [member(view(vantage, 5.0), node).stranger for node in (A, B)] == [False, False]
