"""Members that behave: they beat in time, and their receivers acknowledge. Runs until it is killed."""

import argparse
import asyncio
import os
import socket
import time

from probe.simulate.outlet import Outlet, Place
from probe.simulate.receiver import Receiver
from protocols.heartbeat import Heartbeat, Member, encode

PERIOD = 0.5


def members(host: str, first_port: int, count: int, domain: bytes) -> list[Member]:
    """Return the members of one host."""
    packed = socket.inet_aton(host)
    return [
        Member(packed, port, packed * 3 + port.to_bytes(4), domain=domain)
        for port in range(first_port, first_port + count)
    ]


async def live(place: Place, host: str, born: list[Member]) -> None:
    """Beat and answer."""
    receivers = [Receiver(host, member.port) for member in born]
    for receiver in receivers:
        receiver.open()
    started = time.monotonic()
    with Outlet(place) as outlet:
        turn = 0
        while True:
            at = time.monotonic() - started
            outlet.send(encode(Heartbeat(born[turn % len(born)], int(at * 1000))))
            turn += 1
            await asyncio.sleep(max(0.0, turn * PERIOD / len(born) - at))


def main() -> None:
    """Read the arguments and live."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("group", "interface", "host", "domain"):
        parser.add_argument(name)
    for name in ("port", "first_port", "count"):
        parser.add_argument(name, type=int)
    given = parser.parse_args()
    os.nice(-10)  # it stands for other hosts, which the noise here does not slow down
    born = members(given.host, given.first_port, given.count, given.domain.encode())
    place = Place(given.group, given.port, given.interface, any_interface=True)
    asyncio.run(live(place, given.host, born))


if __name__ == "__main__":
    main()
