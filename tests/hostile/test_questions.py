"""Thousands of invented receivers on the way: those of who is known are asked in their turn."""

import asyncio
import contextlib
import ipaddress
import socket

import pytest

from probe.config import ReceiverCheck
from probe.model.evidence import Answer, Outcome
from probe.model.rules import ExpectedBy
from probe.model.track import SAMPLES, Track
from probe.sensors import receivers as module
from probe.sensors.receivers import Receivers
from probe.simulate.receiver import Receiver
from protocols.heartbeat import Member

INVENTED = 60
PLACES = 4


def track(host: str, port: int, *, expected: bool = False, steady: bool = False) -> Track:
    """Give what is known of a member."""
    member = Member(socket.inet_aton(host), port, bytes(16))
    one = Track(member.name, member.address, 0.5, ExpectedBy.SETTINGS if expected else None)
    one.member = member
    one.samples = [0.5] * SAMPLES if steady else []
    return one


@pytest.mark.parametrize("known", [{"expected": True}, {"steady": True}])
async def test_a_flood_of_invented_receivers_delays_no_known_one(
    known: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All who were invented accept and are silent; who is expected, or beats, is answered long before."""
    monkeypatch.setattr(module, "IN_FLIGHT", PLACES)
    monkeypatch.setattr("probe.sensors.schedule.FIRST", 0.0)
    check = ReceiverCheck(level="ack", timeout=0.2, interval=3600.0, allowed_ports=(1, 65535))
    members: dict[str, Track] = {}
    answers: asyncio.Queue[tuple[bytes, Answer]] = asyncio.Queue()
    receivers = Receivers(
        check,
        lambda *answer: answers.put_nowait(answer),
        lambda: [ipaddress.ip_network("127.0.0.0/8")],
        members.get,
    )
    with socket.create_server(("0.0.0.0", 0), backlog=INVENTED) as mute:
        port = mute.getsockname()[1]
        real = Receiver("127.0.0.1", _free_port())
        real.open()
        for n in range(INVENTED):
            one = track(f"127.0.1.{n}", port)
            members[one.name] = one
            receivers.follow(one)
        asking = asyncio.create_task(receivers.run())
        await answers.get()  # they are being asked
        host, own_port = real.address
        wanted = track(host, own_port, **known)
        members[wanted.name] = wanted
        receivers.follow(wanted)
        before = 0
        async with asyncio.timeout(20):
            while (answer := await answers.get())[0] != wanted.address:
                before += 1
        assert answer[1].outcome is Outcome.ANSWERED
        assert before <= PLACES
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        await real.close()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
