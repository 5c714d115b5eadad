"""The looks at this host's connections: real ones, without the probe's own; and a kernel that refuses."""

import asyncio
import socket
import subprocess
import sys

import pytest

from probe.model.link import Connection, TcpState
from probe.sensors import links
from probe.sensors.links import Look


class Looked:
    """What a look took."""

    def __init__(self, port: int) -> None:
        self.taken: list[list[Connection]] = []
        self.failed: list[str] = []
        self.look = Look((port, port), self.taken.append, self.failed.append)


def test_the_probe_s_own_sockets_are_left_out() -> None:
    """It asks receivers, too; another process' connection is seen."""
    code = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); print(); input()"
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        looked = Looked(port)
        with (
            socket.create_connection(("127.0.0.1", port)) as own,
            subprocess.Popen(
                [sys.executable, "-c", code, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as other,
        ):
            assert other.stdout is not None
            other.stdout.readline()
            looked.look.look()
            other.communicate(b"\n")
            [found] = looked.taken
            remotes = {one.local for one in found if one.remote == f"127.0.0.1:{port}"}
            assert len(remotes) == 1
            assert f"127.0.0.1:{own.getsockname()[1]}" not in remotes
            assert all(one.state is not TcpState.LISTEN for one in found)  # it was this process that listened


def test_what_the_kernel_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line; the next look may succeed."""

    def refuse(_: tuple[int, int]) -> list[Connection]:
        raise OSError(93, "Protocol not supported")

    monkeypatch.setattr(links, "list_connections", refuse)
    looked = Looked(4000)
    looked.look.look()
    assert looked.failed == ["the kernel does not tell of its sockets: Protocol not supported"]
    assert looked.taken == []


async def test_it_looks_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is cancelled."""
    monkeypatch.setattr(links, "PACE", 0.01)
    looked = Looked(1)
    task = asyncio.create_task(looked.look.run())
    async with asyncio.timeout(5):
        while len(looked.taken) < 3:  # noqa: ASYNC110  # it has no event of its own
            await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert looked.failed == []
