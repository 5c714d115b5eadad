"""What a channel's MBeans say: recorded from real Tomcats, then bent."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.tomcat.channel import read_belief
from probe.tomcat.mbeans import UnreadableError

RECORDED = Path(__file__).parents[2] / "vectors" / "jmxproxy"
GROUP = ("228.0.0.4", 45564)
HOSTS = {"8.5": 11, "9.0": 12, "10.1": 13, "11.0": 14}
EMPTY = "OK - Number of results: 0\n\n"


def recorded(branch: str = "10.1") -> str:
    """Return what a real Tomcat of a branch answered."""
    return (RECORDED / f"{branch}.txt").read_bytes().decode("latin-1")


def bent(old: str, new: str) -> Callable[[], str]:
    """Return what makes an answer with every occurrence of something replaced."""

    def bend() -> str:
        text = recorded()
        assert old in text
        return text.replace(old, new)

    return bend


@pytest.mark.parametrize("branch", ["8.5", "10.1", "11.0"])
def test_a_node_of_a_whole_cluster(branch: str) -> None:
    """It hears and keeps the three others, by the same unique ids, which is what they say of themselves."""
    belief = read_belief(recorded(branch), *GROUP)
    others = {f"10.77.0.{host}:4000" for host in HOSTS.values() if host != HOSTS[branch]}
    assert {entry.member for entry in belief.hears} == others
    assert set(belief.hears) == set(belief.keeps)
    assert belief.local.member == f"10.77.0.{HOSTS[branch]}:4000"
    assert belief.drop_time == 3.0
    for other in {"8.5", "10.1", "11.0"} - {branch}:
        assert read_belief(recorded(other), *GROUP).local in belief.hears


def test_a_node_that_keeps_a_ghost() -> None:
    """The channel of 9.0 has node 1 twice, its membership once: under the new unique id."""
    belief = read_belief(recorded("9.0"), *GROUP)
    ones = [entry for entry in belief.keeps if entry.member == "10.77.0.11:4000"]
    [heard] = [entry for entry in belief.hears if entry.member == "10.77.0.11:4000"]
    assert len(ones) == 2
    assert heard in ones
    assert ones[0].unique_id != ones[1].unique_id
    assert {len(entry.unique_id) for entry in ones} == {16}
    assert {str(entry) for entry in ones} >= {f"10.77.0.11:4000#{heard.unique_id.hex()}"}


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("{10, 77, 0, 200}", "10.77.0.200:4000"),
        ("{10, 77, 0, -56}", "10.77.0.200:4000"),
        ("10.77.0.13", "10.77.0.13:4000"),
        ("node-3.example", "node-3.example:4000"),
        ("fd77:0:0:0:0:0:0:3", "[fd77::3]:4000"),
        ("fe80:0:0:0:0:0:0:3%eth0", "[fe80::3]:4000"),
        ("{" + "0, " * 15 + "1}", "[::1]:4000"),
    ],
)
def test_a_host_is_written_in_many_ways(host: str, name: str) -> None:
    """As bytes, signed or not, as an address, or as a name where the JVM looks names up."""
    text = bent("10.77.0.13:4000,10.77.0.13,4000", f"{host}:4000,{host},4000")()
    assert read_belief(text, *GROUP).local.member == name


def test_an_ipv6_group_is_found_by_any_spelling() -> None:
    """Java writes the zeros out."""
    text = bent("Address: 228.0.0.4", "Address: ff15:0:0:0:0:0:0:4")()
    assert read_belief(text, "ff15::4", 45564).local.member == "10.77.0.13:4000"


ELSEWHERE = 'it is no member of 228.0.0.4:45564 but of "228.0.0.9:45564"'


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (
            lambda: EMPTY,
            "it has no MBean of a cluster's channel: no <Cluster>, jmxEnabled off, or older than 8.5",
        ),
        (bent("Address: 228.0.0.4", "Address: 228.0.0.9"), ELSEWHERE),
        (bent("Address: 228.0.0.4", "Address: \x1b[2J"), 'it is no member of 228.0.0.4:45564 but of "'),
        (bent("component=Membership", "component=Mumble"), "its channel has no multicast membership"),
        (bent("component=Channel", "component=Mumble"), "it shows a Membership and no Channel"),
        (bent("LocalMemberName: ", "LocalMember: "), "its answer lacks LocalMemberName"),
        (bent("MembersByName: ", "MembersByAge: "), "its answer lacks MembersByName"),
        (bent("Members: Array", "Members: Heap"), "its answer has "),
        (bent("DropTime: 3000", "DropTime: soon"), 'its DropTime "soon" is no time in ms'),
        (bent("DropTime: 3000", "DropTime: 0"), 'its DropTime "0" is no time in ms'),
        (bent("DropTime: 3000", "DropTime: 999999999"), 'its DropTime "999999999" is no time in ms'),
        (bent("{10, 77, 0, 12}", "{10, 77, 0, 11}"), ""),
        (bent("{10, 77, 0, 12}", "{10, 77, 0, 256}"), "where bytes should stand"),
        (bent("{10, 77, 0, 12}", "{10, 77}"), ""),
        (bent("{10, 77, 0, 12}", "<b>"), "where a member should stand"),
        (bent(":4000,{10, 77, 0, 12}", ":4000,{10, 77, 0, 13}"), "where a member should stand"),
        (bent(", 12}:4000,{10, 77, 0, 12},4000", ", 12}:70000,{10, 77, 0, 12},70000"), "where a member should"),
        (bent("id={", "id={1 "), "where a member should stand"),
        (bent("payload={}", "payload={{}}"), "where a member should stand"),
    ],
)
def test_what_cannot_be_used(make: Callable[[], str], why: str) -> None:
    """One printable line each; what is merely odd is taken."""
    if not why:
        assert len(read_belief(make(), *GROUP).hears) == 3
        return
    with pytest.raises(UnreadableError) as refused:
        read_belief(make(), *GROUP)
    assert why in str(refused.value)
    assert str(refused.value).isprintable()


def test_a_member_twice_in_one_list_is_refused() -> None:
    """No Tomcat's list has one identity twice."""
    text = recorded()
    item = text[text.index("\torg") : text.index("\r\n", text.index("\torg")) + 2]
    twice = text.replace("Member] of length 3\r\n", "Member] of length 4\r\n" + item)
    with pytest.raises(UnreadableError, match="its Members have a member twice"):
        read_belief(twice, *GROUP)


def test_the_channel_of_the_group_is_chosen() -> None:
    """A Tomcat with two clusters says something of each; two in one group cannot be told apart."""
    text = recorded()
    body = text.partition("\n\n")[2]
    other = body.replace("channel=localhost", "channel=other").replace("DropTime: 3000", "DropTime: 7000")
    both = "OK - Number of results: 14\n\n" + body + other
    with pytest.raises(UnreadableError, match="2 of its channels are members of 228"):
        read_belief(both, *GROUP)
    apart = "OK - Number of results: 14\n\n" + body + other.replace("Port: 45564", "Port: 45565")
    assert read_belief(apart, "228.0.0.4", 45565).drop_time == 7.0
    assert read_belief(apart, *GROUP).drop_time == 3.0


def refusal(text: str) -> str:
    """Return why an answer is refused; nothing when it is taken."""
    try:
        read_belief(text, *GROUP)
    except UnreadableError as refused:
        return str(refused)
    return ""


@given(
    st.sampled_from(sorted(HOSTS)), st.integers(0, 5_000), st.text(st.characters(codec="latin-1"), max_size=9)
)
def test_any_damage_is_read_or_refused(branch: str, at: int, noise: str) -> None:
    """Nothing else is raised."""
    text = recorded(branch)
    assert refusal(text[:at] + noise + text[at:]).isprintable()
    assert refusal(text[:at] + noise + text[at + len(noise) :]).isprintable()
