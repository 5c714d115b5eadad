"""The demo: three members on loopback whose receivers really answer, and a story of a minute without end."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from itertools import count
from typing import Final

import msgspec

from probe.config import Group, ReceiverCheck
from probe.simulate.outlet import GROUP, Outlet, Place
from probe.simulate.receiver import Receiver
from probe.simulate.story import Act, Cluster, Fault, Moment, Sent, Shape
from protocols.heartbeat import address_name

HOST: Final = "127.0.0.1"
FIRST_PORT: Final = 4000
MEMBERS: Final = 3
MINUTE: Final = 60.0

SCRIPT: Final = (
    Fault(Act.STALL, 1, 14.0, 8.0),
    Fault(Act.CRASH, 2, 30.0),
    Fault(Act.START, 2, 40.0),
    Fault(Act.GOODBYE, 0, 48.0),
    Fault(Act.START, 0, 55.0),
)
"""What happens in each minute; the members join in the first seconds of the first."""

WORDS: Final = {
    Act.START: "starts; its first heartbeat comes in a second",
    Act.STALL: "is paused for {seconds:.0f} s, as by a garbage collection: its port still takes connections",
    Act.RESUME: "runs again",
    Act.CRASH: "is killed: no goodbye, its port is closed",
    Act.GOODBYE: "is stopped cleanly: it says goodbye",
}


class Demo:
    """A cluster on a group of this host's own; ``tell`` takes one line for each thing that happens.

    Makes sure at once that its ports are free; raises OSError where this host cannot play it.
    """

    def __init__(self, tell: Callable[[float, str], None]) -> None:
        self._tell = tell
        self.shape = Shape(MEMBERS, stagger=0.5, ports=tuple(_free_ports(MEMBERS)))
        self.place = Place(GROUP, _free_udp_port())
        self.members = tuple(address_name(self.shape.host, port) for port in self.shape.ports)

    @property
    def group(self) -> Group:
        """Return the settings with which a probe watches this cluster."""
        check = ReceiverCheck(
            level="ack",
            interval=2.0,
            timeout=1.0,
            allowed_networks=(f"{HOST}/32",),
            allowed_ports=(min(self.shape.ports), max(self.shape.ports)),
        )
        return Group(
            name="demo",
            address=self.place.group,
            port=self.place.port,
            interfaces=(self.place.interface,),
            frequency=self.shape.frequency,
            receiver_check=check,
        )

    async def play(self) -> None:
        """Play until cancelled."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        receivers = [Receiver(HOST, port) for port in self.shape.ports]
        try:
            with Outlet(self.place) as outlet:
                for moment in Cluster(self.shape, script()).play():
                    await asyncio.sleep(started + moment.at - loop.time())
                    await self._do(moment, outlet, receivers[moment.member])
        finally:
            for receiver in receivers:
                await receiver.close()

    async def _do(self, moment: Moment, outlet: Outlet, receiver: Receiver) -> None:
        if isinstance(moment, Sent):
            outlet.send(moment.data)
            return
        words = WORDS[moment.act].format(seconds=moment.seconds)
        self._tell(moment.at, f"{self.members[moment.member]} {words}")
        if moment.act is Act.START:
            receiver.open()
        elif moment.act is Act.STALL:
            receiver.freeze()
        elif moment.act is Act.RESUME:
            receiver.thaw()
        else:
            await receiver.close()


def script() -> Iterator[Fault]:
    """Yield the minute's script again and again."""
    for minute in count():
        for fault in SCRIPT:
            yield msgspec.structs.replace(fault, at=fault.at + minute * MINUTE)


def _free_ports(wanted: int) -> Iterator[int]:
    """Yield ports from Tomcat's usual one up on which nobody listens."""
    for port in range(FIRST_PORT, 1 << 16):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((HOST, port))
            except OSError:
                continue
        yield port
        wanted -= 1
        if not wanted:
            return
    raise OSError(f"no {wanted} free ports on {HOST}")


def _free_udp_port() -> int:
    """Return a port of the kernel's choice, so that two demos do not hear each other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
        tried.bind((HOST, 0))
        port: int = tried.getsockname()[1]
        return port
