"""The self-test's words and verdicts, and the ports it never uses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.examination import subject

from probe.config import Group
from probe.doctor.exchange import COUNT, LONGEST, MAGIC, Direction, Outcome, Word, judge, read, write
from probe.doctor.finding import Status
from probe.doctor.selftest import measure, refusal
from protocols.heartbeat import is_heartbeat

tokens = st.text("0123456789abcdef", min_size=16, max_size=16)
words = st.builds(
    Word,
    st.sampled_from(["hello", "beat", "echo", "report"]),
    st.sampled_from(["228.0.0.4", "ff02::4"]),
    tokens,
    tokens | st.just(""),
    st.integers(0, COUNT - 1),
    st.floats(0, 60),
    st.lists(st.integers(0, COUNT - 1), max_size=COUNT).map(tuple),
    st.integers(0, COUNT),
    st.integers(-1, 255),
    st.booleans(),
)


@given(words)
def test_what_is_written_is_read(word: Word) -> None:
    """Every word fits one small datagram, comes back as it was, and is nothing a Tomcat would read."""
    data = write(word)
    assert read(data) == word
    assert len(data) <= LONGEST
    assert not is_heartbeat(data)
    assert b"TRIBES-B" not in data
    assert b"FLT2002" not in data


@given(st.binary(max_size=200))
def test_anything_else_is_nobodys(data: bytes) -> None:
    """No bytes make it fail."""
    assert read(data) is None or data.startswith(MAGIC)
    assert read(MAGIC + data) is None or data.startswith(b"{")


@pytest.mark.parametrize(
    "said",
    [
        b'{"kind":"hello"}',
        b'{"kind":"goodbye","group":"g","sender":"0123456789abcdef"}',
        b'{"kind":"beat","group":"g","sender":"0123456789abcdef","number":20}',
        b'{"kind":"beat","group":"g","sender":"0123456789ABCDEF"}',
        b'{"kind":"echo","group":"g","sender":"0123456789abcdef","held":-1}',
        b'{"kind":"report","group":"g","sender":"0123456789abcdef","numbers":[' + b"1," * 20 + b"1]}",
        b'{"kind":"hello","group":"' + b"g" * 46 + b'","sender":"0123456789abcdef"}',
    ],
)
def test_what_is_out_of_bounds(said: bytes) -> None:
    """A word with a value beyond its bounds is none."""
    assert read(MAGIC + said) is None


ALL, SOME, NONE, UNSAID = (
    Direction(20, 20, 1),
    Direction(20, 15, 1),
    Direction(20, 0),
    Direction(20, None),
)


@pytest.mark.parametrize(
    ("out", "back", "status", "words"),
    [
        (ALL, ALL, Status.OK, "to b 20 of 20 came (0 % lost, TTL 1); from b 20 of 20 came (0 % lost, TTL 1)"),
        (SOME, ALL, Status.WARNING, "to b 15 of 20 came (25 % lost, TTL 1)"),
        (ALL, SOME, Status.WARNING, "from b 15 of 20"),
        (NONE, ALL, Status.ERROR, "to b 0 of 20 came (100 % lost)"),
        (ALL, NONE, Status.ERROR, "from b 0 of 20"),
        (NONE, NONE, Status.ERROR, "to b 0 of 20"),
        (UNSAID, ALL, Status.UNKNOWN, "to b 20 sent; from b 20 of 20"),
    ],
)
def test_a_verdict(out: Direction, back: Direction, status: Status, words: str) -> None:
    """Each direction by itself: all, some, none, or not said."""
    judged = judge(Outcome("b", "UDP 10565", True, out, back, (0.003, 0.001, 0.002)))  # noqa: FBT003
    assert (judged.status, words in judged.found) == (status, True), judged
    assert "1.00/2.00/3.00 ms (least/median/most)" in judged.found


def test_which_way_is_cut() -> None:
    """The way that is broken is named, both if both are."""
    one = judge(Outcome("b", "", True, NONE, ALL))  # noqa: FBT003
    assert one.means.startswith("no multicast passes from here to b, while")
    both = judge(Outcome("b", "", True, NONE, NONE))  # noqa: FBT003
    assert "from here to b nor from b to here" in both.means


def test_what_could_not_be_sent() -> None:
    """What did not even leave is no loss of the network."""
    judged = judge(Outcome("b", "", True, Direction(0, 0), ALL, why="Network is unreachable"))  # noqa: FBT003
    assert judged.found == "20 of 20 could not be sent to the group: Network is unreachable"


def test_nobody_met() -> None:
    """Without the other doctor nothing is known."""
    assert judge(Outcome("b", "UDP 10565")).status is Status.UNKNOWN


async def test_a_membership_port_is_refused() -> None:
    """The port of any group in the settings, and Tomcat's own, are never sent to."""
    groups = [Group(), Group(name="shop", address="239.1.1.1", port=10565)]
    assert "membership port of shop" in refusal(10565, groups)
    assert "Tomcat" in refusal(45564, groups[1:])
    assert refusal(10566, groups) == ""
    with pytest.raises(ValueError, match="nothing is ever sent there"):
        await measure(subject(), "127.0.0.1", 45564)
