"""The kernel's list of sockets: what it says of real ones, and that no bytes disturb the reader."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.link import Connection, TcpState
from probe.sensors import sockdiag
from probe.sensors.sockdiag import ask, list_connections, read


def listener(family: int = socket.AF_INET, address: str = "127.0.0.1") -> socket.socket:
    """Listen at any port."""
    listening = socket.socket(family)
    listening.bind((address, 0))
    listening.listen()
    return listening


@contextlib.contextmanager
def connected(family: int, listen: str, to: str) -> Iterator[tuple[socket.socket, socket.socket, int]]:
    """Give both ends of a connection and the port that is listened at."""
    with (
        listener(family, listen) as listening,
        socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET) as far,
    ):
        port = listening.getsockname()[1]
        far.connect((to, port))
        near, _ = listening.accept()
        with near:
            yield far, near, port


@pytest.mark.parametrize(
    ("family", "listen", "to", "named"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1", "[::1]"),
        (socket.AF_INET6, "::", "127.0.0.1", "127.0.0.1"),
    ],
    ids=["IPv4", "IPv6", "both"],
)
def test_a_connection_is_found_by_its_port(family: int, listen: str, to: str, named: str) -> None:
    """Both ends and the listener, by one spelling, whatever stack the JVM uses; with what was acknowledged."""
    with connected(family, listen, to) as (far, near, port):
        far.sendall(b"x" * 1000)
        near.recv(1000)
        ours = f"{named}:{far.getsockname()[1]}"
        found = {one.local: one for one in list_connections((port, port))}
        assert found[ours].remote == f"{named}:{port}"
        assert found[ours].state is TcpState.ESTABLISHED
        assert found[ours].inode == os.fstat(far.fileno()).st_ino
        assert found[ours].user == os.getuid()
        assert found[ours].send_queue == found[ours].retransmits == 0
        assert 1000 <= found[ours].acked <= 1001  # the kernel counts the beginning
        assert 0 < found[ours].round_trip < 1
        assert found[f"{named}:{port}"].remote == ours


def test_the_kernel_sorts_out_other_ports() -> None:
    """Just the range that was asked for, at either end."""
    with connected(socket.AF_INET, "127.0.0.1", "127.0.0.1") as (far, _, port):
        ours = far.getsockname()[1]
        for ports in ((port, port), (ours, ours), (min(port, ours), max(port, ours))):
            low, high = ports
            found = list_connections(ports)
            assert {port, ours} <= {_port(one.local) for one in found} | {_port(one.remote) for one in found}
            assert all(low <= _port(one.local) <= high or low <= _port(one.remote) <= high for one in found)
        assert list_connections((1, 1)) == []


def test_a_listener_is_found() -> None:
    """By its port, with its user: it says who the receiver is."""
    with listener() as listening:
        port = listening.getsockname()[1]
        [found] = list_connections((port, port))
        assert (found.local, found.state, found.user) == (f"127.0.0.1:{port}", TcpState.LISTEN, os.getuid())


def _port(name: str) -> int:
    return int(name.rpartition(":")[2])


def test_what_is_not_taken_waits_in_the_queue() -> None:
    """Bytes that the other end does not read."""
    with connected(socket.AF_INET, "127.0.0.1", "127.0.0.1") as (far, _, port):
        far.setblocking(False)  # noqa: FBT003  # the standard library's
        with contextlib.suppress(BlockingIOError):
            while True:
                far.send(b"x" * 65536)
        ours = far.getsockname()[1]
        found = next(one for one in list_connections((port, port)) if _port(one.local) == ours)
        assert found.send_queue > 10_000


def test_many_other_sockets_cost_nothing_to_speak_of() -> None:
    """They stay in the kernel."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(listener())
        listening.listen(400)
        for _ in range(300):
            stack.enter_context(socket.create_connection(listening.getsockname()))
        began = time.process_time()
        assert list_connections((1, 1)) == []
        assert time.process_time() - began < 0.05


def test_what_the_kernel_refuses_is_an_oserror() -> None:
    """With its reason."""
    refusal = (36).to_bytes(4, "little") + (2).to_bytes(2, "little") + bytes(10) + (-2).to_bytes(
        4, "little", signed=True
    ) + bytes(16)  # fmt: skip
    with pytest.raises(OSError, match="No such file or directory"):
        list(read(refusal))


@given(st.binary(max_size=400))
def test_no_bytes_disturb_the_reader(data: bytes) -> None:
    """Whatever they are: connections, an OSError, or nothing."""
    with contextlib.suppress(OSError):
        assert all(isinstance(one, Connection) for one in read(data))


@given(st.binary(max_size=200))
def test_a_socket_with_any_attributes_is_read(rest: bytes) -> None:
    """An older kernel tells less, a newer one more."""
    body = bytes([socket.AF_INET, TcpState.ESTABLISHED, 0, 3]) + bytes(68) + rest
    header = (16 + len(body)).to_bytes(4, "little") + (20).to_bytes(2, "little") + bytes(10)
    [found] = read(header + body)
    assert found.local == found.remote == "0.0.0.0:0"
    assert found.retransmits >= 3


def test_a_question_is_as_long_as_it_says() -> None:
    """Netlink counts."""
    question = ask(socket.AF_INET, (4000, 4099))
    assert int.from_bytes(question[:4], "little") == len(question)
    assert (4000).to_bytes(2, "little") in question
    assert (4099).to_bytes(2, "little") in question


def test_more_than_can_be_a_tomcat_s_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound, as everything has that others can fill."""
    monkeypatch.setattr(sockdiag, "MOST", 1)
    with connected(socket.AF_INET, "127.0.0.1", "127.0.0.1") as (_, _, port):
        assert len(list_connections((port, port))) == 1
