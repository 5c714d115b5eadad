"""Batches in one system call."""

import os
import select
import socket
from collections.abc import Iterator

import pytest

from probe.sensors.recvmmsg import BATCH, CONTROL, DATA, INLINE, LONGEST, SLOT, Slots


@pytest.fixture(name="pair")
def _pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give a socket that is heard by another one."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear,
    ):
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        ear.bind(("127.0.0.1", 0))
        speaker.bind(("127.0.0.1", 0))
        speaker.connect(ear.getsockname())
        yield speaker, ear


def fill(slots: Slots, ear: socket.socket) -> list[int]:
    """Receive what waits, which is something."""
    assert select.select([ear], [], [], 5)[0]
    return slots.fill(ear.fileno())[0]


def test_a_datagram_lies_in_its_slot_and_goes_on_in_its_tail(pair: tuple[socket.socket, socket.socket]) -> None:
    """Sizes around the slot's room come whole, each beside the address it came from."""
    speaker, ear = pair
    slots = Slots()
    sent = [os.urandom(size) for size in (0, 1, INLINE - 1, INLINE, INLINE + 1, 9_000, 65_507)]
    for data in sent:
        speaker.send(data)
    lengths = fill(slots, ear)
    assert lengths == [len(data) for data in sent]
    for index, data in enumerate(sent):
        slot = slots.slots[index * SLOT : (index + 1) * SLOT]
        inline = slot[DATA : DATA + min(len(data), INLINE)]
        tail = slots.tail(index, len(data)) if len(data) > INLINE else b""
        assert inline + tail == data
        port = int.from_bytes(slot[CONTROL + 2 : CONTROL + 4])
        assert (port, slot[CONTROL + 4 : CONTROL + 8]) == (speaker.getsockname()[1], bytes([127, 0, 0, 1]))


def test_a_batch_is_bounded_and_the_rest_comes_next(pair: tuple[socket.socket, socket.socket]) -> None:
    """One call takes so many; the same memory serves the next."""
    speaker, ear = pair
    slots = Slots()
    for number in range(BATCH + 5):
        speaker.send(number.to_bytes(2))
    assert fill(slots, ear) == [2] * BATCH
    assert fill(slots, ear) == [2] * 5
    first = [slots.slots[n * SLOT + DATA : n * SLOT + DATA + 2] for n in range(5)]
    assert first == [(BATCH + n).to_bytes(2) for n in range(5)]


def test_an_empty_socket_is_no_error(pair: tuple[socket.socket, socket.socket]) -> None:
    """Nothing comes, and nothing of the last batch comes again."""
    speaker, ear = pair
    slots = Slots()
    assert slots.fill(ear.fileno()) == ([], [])
    speaker.send(b"one")
    assert fill(slots, ear) == [3]
    assert slots.fill(ear.fileno()) == ([], [])


def test_other_errors_are_the_kernels() -> None:
    """A descriptor that is none is told as such."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        Slots().fill(-1)


def test_no_datagram_is_too_long() -> None:
    """A slot and its tail hold whatever fits a UDP length field."""
    slots = Slots()
    assert len(slots.tails) == BATCH * LONGEST
    assert len(slots.tail(BATCH - 1, LONGEST)) == LONGEST - INLINE
