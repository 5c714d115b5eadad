"""Several hosts on one segment, made of network namespaces on this one; needs root."""

import contextlib
import ctypes
import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

NETWORK: Final = "10.77.0"
NETWORK6: Final = "fd77::"
MANAGEMENT: Final = "10.78.0"
"""A second network, on a bridge of its own: what befalls the segment does not cut it."""
FIRST: Final = 11
"""The first host is 10.77.0.11 and fd77::11."""

_FOLDER: Final = Path("/run/netns")
_PREFIX: Final = "tribes"
_CLONE_NEWNET: Final = 0x40000000
_PATIENCE: Final = 5.0
_labs = itertools.count()


class Host:
    """One namespace with ``eth0`` on the segment and ``lo``, both up; ``eth1`` on a management network."""

    def __init__(self, namespace: str, number: int) -> None:
        self.namespace = namespace
        self.address = f"{NETWORK}.{number}"
        self.address6 = f"{NETWORK6}{number}"
        self.management = ""
        self.port = f"v{number}"
        self._running: list[subprocess.Popen[Any]] = []

    def __repr__(self) -> str:
        return f"<Host {self.address} in {self.namespace}>"

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Put this thread into the namespace; sockets, threads and processes made meanwhile stay there."""
        with Path("/proc/thread-self/ns/net").open() as home, (_FOLDER / self.namespace).open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def run(self, *command: str, **options: Any) -> str:
        """Run a command to its end; return what it printed. Raises CalledProcessError."""
        with self.inside():
            return str(subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout)

    def start(self, *command: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a process; it is killed when the lab ends, if it still runs."""
        with self.inside():
            process = subprocess.Popen(command, **options)
        self._running.append(process)
        return process

    def ip(self, command: str) -> None:
        """Run ``ip …``, for instance ``link set eth0 down``."""
        _ip(f"-n {self.namespace} {command}")

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._running:
            process.kill()
            process.wait(_PATIENCE)


class Lab:
    """A bridge in a namespace of its own and so many hosts on it; all of it goes when the block is left.

    ``with Lab(3) as lab: lab.hosts[0].start("java", …)``. Multicast goes out by ``eth0``; a bridge floods it.
    """

    def __init__(self, hosts: int = 2, *, management: bool = False) -> None:
        self.name = f"{_PREFIX}-{os.getpid()}-{next(_labs)}"
        self.lan = f"{self.name}-lan"
        self.hosts = [Host(f"{self.name}-{FIRST + n}", FIRST + n) for n in range(hosts)]
        self._management = management
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        _sweep()
        with contextlib.ExitStack() as begun:
            self._add(begun, self.lan)
            for bridge in ("br0", "br1") if self._management else ("br0",):
                _ip(f"-n {self.lan} link add {bridge} type bridge mcast_snooping 0")
                _ip(f"-n {self.lan} link set {bridge} up")
            for host in self.hosts:
                self._add(begun, host.namespace)
                begun.callback(host.end)
                with host.inside():
                    for scope in ("all", "default"):  # an IPv6 address is to be usable at once
                        Path(f"/proc/sys/net/ipv6/conf/{scope}/accept_dad").write_text("0", encoding="ascii")
                host.ip("link set lo up")
                self.plug(host)
                if self._management:
                    self._manage(host)
            self._cleanup = begun.pop_all()
        return self

    def _add(self, begun: contextlib.ExitStack, namespace: str) -> None:
        _ip(f"netns add {namespace}")
        begun.callback(_ip, f"netns del {namespace}")

    def plug(self, host: Host, index: int | None = None) -> None:
        """Give a host its ``eth0``, at the start or after ``unplug``, if need be with a certain index."""
        wanted = f"index {index}" if index else ""
        host.ip(f"link add eth0 {wanted} type veth peer name {host.port} netns {self.lan}")
        _ip(f"-n {self.lan} link set {host.port} master br0 up")
        host.ip(f"address add {host.address}/24 dev eth0")
        host.ip(f"-6 address add {host.address6}/64 dev eth0 nodad")
        host.ip("link set eth0 up")
        host.ip("route add 224.0.0.0/4 dev eth0")

    def _manage(self, host: Host) -> None:
        host.management = f"{MANAGEMENT}.{host.port[1:]}"
        host.ip(f"link add eth1 type veth peer name m{host.port} netns {self.lan}")
        _ip(f"-n {self.lan} link set m{host.port} master br1 up")
        host.ip(f"address add {host.management}/24 dev eth1")
        host.ip("link set eth1 up")

    def bridge(self, settings: str) -> None:
        """Set what the segment's bridge does, as ``ip link set … type bridge`` takes it."""
        _ip(f"-n {self.lan} link set br0 type bridge {settings}")

    def unplug(self, host: Host) -> None:
        """Delete a host's ``eth0``."""
        _ip(f"-n {self.lan} link delete {host.port}")

    def cut(self, host: Host) -> None:
        """Take the cable out: ``eth0`` stays up, without a carrier."""
        _ip(f"-n {self.lan} link set {host.port} down")

    def mend(self, host: Host) -> None:
        """Put the cable back."""
        _ip(f"-n {self.lan} link set {host.port} up")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True, capture_output=True)


def _sweep() -> None:
    """Delete what a run that was killed left behind."""
    for path in _FOLDER.glob(f"{_PREFIX}-*"):
        owner = path.name.split("-")[1]
        if not Path("/proc", owner).exists():
            with contextlib.suppress(subprocess.CalledProcessError):  # another run may sweep too
                _ip(f"netns del {path.name}")


def _make_enter() -> Callable[[int], None]:
    setns = ctypes.CDLL(None, use_errno=True).setns  # os.setns comes with Python 3.12

    def enter(descriptor: int) -> None:
        if setns(descriptor, _CLONE_NEWNET):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    return enter


_enter: Final = _make_enter()
