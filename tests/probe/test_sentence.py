"""One probe alone says one sentence, to the letter: on the page, in API, log and STATUS, and by ``replay``."""

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from html import unescape
from pathlib import Path

import pytest
from support.command import invoke
from support.daemon import Daemon, running
from support.stage import DROP_TIME, FREQUENCY, GROUP, Stage

from probe.config import Group
from probe.model.track import NOWHERE, Datagram
from probe.sensors.interfaces import list_interfaces
from probe.sensors.multicast import Multicast
from protocols import pcap
from protocols.packet import build_udp

UNASKED = "expected: 3\n    receiver_check: {level: off}"
"""As a capture is: nobody can be asked. Three are to come, else the first alone would be the whole cluster."""
EARLY, LATE = 0.6, 0.7
"""Parts of a second between which a heartbeat is the last one, so that silence is told amid the next."""


class Systemd:
    """Listens where the unit's manager would, and knows the STATUS told last."""

    def __init__(self, folder: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.setblocking(False)  # noqa: FBT003  # the socket module's own signature
        self.status = ""

    async def listen(self) -> None:
        """Listen until cancelled."""
        while True:
            told = (await asyncio.get_running_loop().sock_recv(self.socket, 4096)).decode()
            if told.startswith("STATUS="):
                self.status = told.removeprefix("STATUS=")


class Recorder:
    """Hears what the probe hears, with the kernel's times, and writes it as a capture.

    The capture begins when this does, as if something else had been heard then.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.heard: list[Datagram] = [(b"something else", time.monotonic(), NOWHERE)]
        self._ears = Multicast(Group(address=GROUP, port=port, interfaces=("lo",)), self.heard.extend, _ignore)
        self._ears.follow(list_interfaces())

    def write(self, path: Path) -> None:
        """Write all that was heard, times as of the wall clock."""
        offset = time.time() - time.monotonic()
        group, here = socket.inet_aton(GROUP), socket.inet_aton("127.0.0.1")
        with path.open("wb") as file:
            file.write(pcap.write_header(pcap.RAW_IP))
            for payload, at, _ in self.heard:
                data = build_udp(here, self.port, group, self.port, payload)
                file.write(pcap.write_packet(pcap.Packet(at + offset, pcap.RAW_IP, data, len(data))))

    async def until_heard(self, at: float) -> None:
        """Wait for a datagram from after a moment: a capture tells no more than up to its last."""
        async with asyncio.timeout(5):
            while self.heard[-1][1] < at:  # noqa: ASYNC110  # it is heard in batches
                await asyncio.sleep(0.01)

    def close(self) -> None:
        """Hear no more."""
        self._ears.close()


def _ignore(*_: object) -> None:
    """Take no notice of joins."""


@pytest.fixture(name="stage")
async def _stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a stage on which nobody is asked."""
    stage = Stage(tmp_path)
    stage.write(group=UNASKED)
    async with stage.opened:
        yield stage


@pytest.fixture(name="systemd")
def _systemd(tmp_path: Path) -> Iterator[Systemd]:
    """Give the other end of the notification socket."""
    systemd = Systemd(tmp_path)
    yield systemd
    systemd.socket.close()


@pytest.fixture(name="recorder")
async def _recorder(stage: Stage) -> AsyncIterator[Recorder]:
    """Give what records the stage."""
    recorder = Recorder(stage.port)
    yield recorder
    recorder.close()


async def page(daemon: Daemon) -> str:
    """Return the verdict as it stands on the page."""
    html = (await daemon.get("/")).body
    [verdict] = re.findall(r'<p class="verdict">(.*?)</p>', html, re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", "", verdict))


async def api(daemon: Daemon) -> str:
    """Return it as the API has it."""
    sentence: str = (await daemon.group())["verdict"]["sentence"]
    return sentence


def log(daemon: Daemon) -> str:
    """Return it as the log told the last change of the cluster's state."""
    return next(str(line.said["text"]) for line in reversed(daemon.lines) if "wanted" in line.said)


def replay(path: Path, *options: str) -> tuple[str, str]:
    """Return it as ``replay`` says it, for machines and for people."""
    command = ("replay", "--drop-time", f"{DROP_TIME * 1000:.0f}ms", "--frequency", f"{FREQUENCY * 1000:.0f}ms")
    told = json.loads(invoke(*command, *options, "--json", path).stdout.splitlines()[-1])
    lines = invoke(*command, *options, path).stdout.splitlines()
    [line] = [line for line in lines if line.startswith(f"{told['group']}: ")]
    return told["sentence"], line.removeprefix(f"{told['group']}: ")


async def until_amid_a_second() -> None:
    """Wait for a moment after which nothing is told near the turn of a second."""
    while not EARLY < time.time() % 1 < LATE:  # noqa: ASYNC110  # it is the clock that is waited for
        await asyncio.sleep(0.01)


async def test_one_sentence_everywhere(
    stage: Stage, recorder: Recorder, systemd: Systemd, tmp_path: Path
) -> None:
    """Whole, one gone, and a second one gone in the same state: five places, one sentence each time."""
    listening = asyncio.create_task(systemd.listen())
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    async with running(stage.config, **environment) as daemon:

        async def said(words: str) -> str:
            """Return the sentence that all places say, once it has these words."""
            group = await daemon.eventually(lambda group: words in group["verdict"]["sentence"])
            sentence: str = group["verdict"]["sentence"]
            async with asyncio.timeout(5):
                while systemd.status != sentence:  # noqa: ASYNC110  # another process tells it
                    await asyncio.sleep(0.01)
            assert await page(daemon) == sentence
            assert await api(daemon) == sentence
            await recorder.until_heard(time.monotonic())
            recorder.write(tmp_path / "story.pcap")
            here = ("--group", f"{GROUP}:{stage.port}", "--expect", "3")
            assert replay(tmp_path / "story.pcap", *here) == (sentence, sentence)
            return sentence

        await daemon.eventually(lambda group: bool(group["fit"]))
        await until_amid_a_second()
        members = await stage.members(3)
        sentence = await said("whole since")
        assert re.fullmatch(r"whole since \d\d:\d\d:\d\d: 3 of 3 members alive", sentence)
        assert log(daemon) == sentence

        first, second, _ = (member.name for member in members)
        await until_amid_a_second()
        await members[0].crash()
        sentence = await said(first)
        assert re.fullmatch(
            rf"degraded since (\d\d:){{3}} 2 of 3 members alive; {first} is silent \(last (\d\d:){{2}}\d\d\), "
            "its receiver was not asked: mute, frozen and lost cannot be told apart",
            sentence,
        )
        assert log(daemon) == sentence

        await until_amid_a_second()
        await members[1].crash()
        sentence = await said(second)
        assert re.match(
            rf"degraded since (\d\d:){{3}} 1 of 3 members alive; {first} .*; {second} is silent", sentence
        )
        await daemon.says("silent", member=second)
    listening.cancel()
