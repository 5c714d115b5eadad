"""TCP put back in order: whatever the network did to it, the bytes come once and in sequence, holes named."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.packet import SYN, Segment
from protocols.reassembly import MOST_HELD, WINDOW, Reassembly

TOP = 1 << 32


def segment(sequence: int, payload: bytes = b"", flags: int = 0x10, size: int | None = None) -> Segment:
    """Return one segment."""
    return Segment(b"", 1, b"", 2, sequence % TOP, flags, payload, len(payload) if size is None else size)


def give(*segments: Segment) -> tuple[list[bytes | None], Reassembly]:
    """Return what a stream gives for segments, adjacent bytes joined."""
    stream = Reassembly()
    return joined([piece for each in segments for piece in stream.take(each)]), stream


def joined(pieces: list[bytes | None]) -> list[bytes | None]:
    """Join pieces that follow each other."""
    found: list[bytes | None] = []
    for piece in pieces:
        if piece is not None and found and found[-1] is not None:
            found[-1] += piece
        else:
            found.append(piece)
    return found


STORIES = {
    "in order": ([segment(5, b"abc"), segment(8, b"def")], [b"abcdef"], 0),
    "after a SYN": ([segment(4, flags=SYN), segment(5, b"abc")], [b"abc"], 0),
    "a SYN twice": ([segment(4, flags=SYN), segment(4, flags=SYN), segment(5, b"abc")], [b"abc"], 0),
    "a retransmission": ([segment(5, b"abc"), segment(5, b"abc"), segment(8, b"d")], [b"abcd"], 0),
    "a longer retransmission": ([segment(5, b"abc"), segment(5, b"abcdef")], [b"abcdef"], 0),
    "swapped": ([segment(5, b"a"), segment(8, b"d"), segment(6, b"bc")], [b"abcd"], 0),
    "overlapping": ([segment(5, b"ab"), segment(8, b"de"), segment(6, b"bcd")], [b"abcde"], 0),
    "wrapping around": ([segment(TOP - 2, b"ab"), segment(0, b"cd")], [b"abcd"], 0),
    "a keep-alive": ([segment(5, b"abc"), segment(7, b"c"), segment(8, b"d")], [b"abcd"], 0),
    "only acknowledgements": ([segment(5), segment(9)], [], 0),
    "a new connection on the old ports": (
        [segment(4, flags=SYN), segment(5, b"ab"), segment(90, flags=SYN), segment(91, b"x")],
        [b"ab", None, b"x"],
        0,
    ),
    "a payload cut by the capture": (
        [segment(5, b"ab", size=4), segment(9, b"e")],
        [b"ab", None, b"e"],
        2,
    ),
}


@pytest.mark.parametrize(("segments", "expected", "missing"), STORIES.values(), ids=STORIES)
def test_a_stream_is_put_in_order(segments: list[Segment], expected: list[bytes | None], missing: int) -> None:
    """Each story gives its bytes once, None where some are missing."""
    found, stream = give(*segments)
    assert (found, stream.missing) == (expected, missing)


@given(st.binary(min_size=1, max_size=200), st.integers(0, TOP - 1), st.data())
def test_any_order_and_any_repetition_gives_the_same_bytes(
    data: bytes, start: int, draw: st.DataObject
) -> None:
    """Segments cut anywhere, swapped and sent twice come out as what was sent."""
    cuts = sorted(draw.draw(st.sets(st.integers(1, max(1, len(data) - 1)))))
    bounds = [0, *cuts, len(data)]
    pieces = [segment(start + 1 + a, data[a:b]) for a, b in itertools.pairwise(bounds)]
    shuffled = draw.draw(st.permutations(pieces + draw.draw(st.lists(st.sampled_from(pieces)))))
    found, stream = give(segment(start, flags=SYN), *shuffled)
    assert found == [data]
    assert stream.missing == 0


def test_a_hole_is_waited_for_and_then_named() -> None:
    """Bytes after a hole wait for it; given up, the hole counts as missing."""
    found, stream = give(segment(5, b"abc"), segment(20, b"xyz"))
    assert found == [b"abc"]
    assert stream.finish() == [None, b"xyz"]
    assert stream.missing == 12


@pytest.mark.parametrize("size", [1, 60_000])
def test_what_waits_is_bounded(size: int) -> None:
    """Beyond the window a hole is given up, so that nothing piles up behind it."""
    stream = Reassembly()
    stream.take(segment(0, b"a"))
    given_up = False
    for n in range(max(MOST_HELD, WINDOW // size) + 2):
        given_up = given_up or None in stream.take(segment(100 + n * size, bytes(size)))
    assert given_up
    assert stream.missing == 99
