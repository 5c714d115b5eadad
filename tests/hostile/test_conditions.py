"""A host on which something is wrong: the daemon says what, in one line, and ends or goes on as it should."""

import json
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from support.command import COMMAND, PATIENCE, invoke, run
from support.netns import Host, Lab
from support.speaker import Speaker
from support.wire import EFFECTS, VECTORS, vectors

from protocols import pcap
from protocols.heartbeat import BEGIN, Heartbeat, Member, encode
from protocols.malformed import Effect, Reason

GROUP, PORT = "239.255.77.73", 45773
WEB = 10564
SETTINGS = """
groups: [{{name: cluster, address: {group}, port: {port}, interfaces: [{interfaces}]}}]
web: {{listen_addresses: ["127.0.0.1:{web}"]}}
log: {{format: json}}
"""
NOBODY = "65534"


def settings(folder: Path, interfaces: str = "", web: int = WEB) -> Path:
    """Write a settings file."""
    path = folder / "settings.yml"
    path.write_text(SETTINGS.format(group=GROUP, port=PORT, interfaces=interfaces, web=web))
    return path


def one_line(done: subprocess.CompletedProcess[str], status: int) -> str:
    """Return the one line of a daemon that did not start."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line.removeprefix("tribes-probe: ")


# -- places that somebody else has


def test_a_group_that_another_program_does_not_share(tmp_path: Path) -> None:
    """The port of the group is named with the reason, exit status 1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as greedy:
        greedy.bind((GROUP, PORT))
        line = one_line(run("run", "--config.file", settings(tmp_path, "lo", 0)), 1)
    place = f"UDP {GROUP}:{PORT}"
    assert line == f"cannot listen on {place}: Address already in use: another program does not share it"


def test_two_probes_can_hear_one_group_but_not_share_a_page(tmp_path: Path) -> None:
    """A second daemon with the same settings is kept out by the port of the page alone, exit status 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(type=socket.SOCK_DGRAM) as first:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.bind((GROUP, PORT))
        web = taken.getsockname()[1]
        line = one_line(run("run", "--config.file", settings(tmp_path, "lo", web)), 1)
    assert line.startswith(f"cannot listen on 127.0.0.1:{web}: ")
    assert line.endswith(": give another --web.listen-address")


# -- without permission


@pytest.fixture(name="powerless")
def _powerless() -> tuple[str, ...]:
    """Begin a command as nobody, or where nobody may not read this Python as root without its powers."""
    nobody = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    tried = subprocess.run((*nobody, str(COMMAND), "--version"), capture_output=True, check=False)
    return nobody if tried.returncode == 0 else ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


def attempt(host: Host, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command on a host to its end."""
    with host.inside():
        return subprocess.run(
            [str(each) for each in command],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            cwd="/",
        )


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder that everybody can enter."""
    above = [tmp_path, *tmp_path.parents]
    before = {one: one.stat().st_mode for one in above if not one.stat().st_mode & 0o001}
    for one, mode in before.items():
        one.chmod(mode | 0o011)
    yield tmp_path
    for one, mode in before.items():
        one.chmod(mode)


@pytest.fixture(name="lab")
def _lab() -> Iterator[Lab]:
    with Lab(2) as lab:
        yield lab


@pytest.mark.netns
def test_a_port_that_only_root_may_use(lab: Lab, folder: Path, powerless: tuple[str, ...]) -> None:
    """A privileged port without the privilege is named with the reason and the remedy, exit status 1."""
    file = settings(folder, "lo", 80)
    line = one_line(attempt(lab.hosts[0], *powerless, COMMAND, "run", "--config.file", file), 1)
    assert line.startswith("cannot listen on 127.0.0.1:80: ")
    assert "permission denied" in line.lower()
    assert line.endswith(": give another --web.listen-address")


@pytest.mark.netns
@pytest.mark.parametrize("what", ["run", "check"])
def test_settings_that_may_not_be_read(lab: Lab, folder: Path, powerless: tuple[str, ...], what: str) -> None:
    """The flag and the file are named with the reason, exit status 2."""
    file = settings(folder)
    file.chmod(0o000)
    line = one_line(attempt(lab.hosts[0], *powerless, COMMAND, what, "--config.file", file), 2)
    assert line.startswith(f"Invalid value for '--config.file': Path '{file}' is not readable.")


@pytest.mark.netns
def test_without_any_power_it_watches(lab: Lab, folder: Path, powerless: tuple[str, ...]) -> None:
    """No capability is needed to hear a group: the receive buffer is what the host allows, no more."""
    with Running(lab.hosts[0], settings(folder), folder, *powerless) as probe:
        probe.says("group-joined", interface="eth0")
        beat(lab.hosts[1])
        probe.says("joined", member="10.77.0.12:4000")


# -- without an interface


class Running:
    """A daemon on a lab's host; its log is JSON."""

    def __init__(self, host: Host, file: Path, folder: Path, *before: str) -> None:
        self._host = host
        self._log = folder / "log"
        self._command = (*before, str(COMMAND), "run", "--config.file", str(file))

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = self._host.start(*self._command, stdout=log, stderr=log, cwd="/")
        self.says("started")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE)
        if kind is None:
            assert status == 0, self._log.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of the log that are whole."""
        text = self._log.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def says(self, event: str, **facts: object) -> dict[str, Any]:
        """Wait for a line with these facts."""
        wanted = {"event": event, **facts}
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for line in self.lines():
                if wanted.items() <= line.items():
                    return line
            time.sleep(0.02)
        raise AssertionError(f"no {wanted} in {self._log.read_text()}")

    def ready(self) -> tuple[int, str]:
        """Return the status and text of ``/-/ready``."""
        with self._host.inside():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{WEB}/-/ready", timeout=5) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()


def beat(host: Host) -> None:
    """Let a member on a host beat once."""
    member = Member(socket.inet_aton(host.address), 4000, bytes(16))
    with host.inside(), Speaker("eth0") as speaker:
        speaker.say(encode(Heartbeat(member, 1_000)), GROUP, PORT)


@pytest.mark.netns
def test_a_host_without_a_network_is_watched_from_when_it_has_one(lab: Lab, tmp_path: Path) -> None:
    """With loopback alone it says that it hears nothing and is not ready; an interface that comes is joined."""
    here, there = lab.hosts
    lab.unplug(here)
    with Running(here, settings(tmp_path), tmp_path) as probe:
        line = probe.says("group-not-joined")
        assert line["level"] == "warn"
        assert line["text"] == f"does not hear {GROUP}:{PORT}: no interface carries multicast now"
        assert probe.ready() == (503, "not ready: cluster is joined on no interface\n")
        lab.plug(here)
        probe.says("group-joined", interface="eth0")
        beat(there)
        probe.says("joined", member="10.77.0.12:4000")


@pytest.mark.netns
def test_an_interface_that_is_not_there_is_named_and_waited_for(lab: Lab, tmp_path: Path) -> None:
    """The settings name one that does not exist: it is said, no other is taken, and it may come later."""
    here, _ = lab.hosts
    with Running(here, settings(tmp_path, "wan7"), tmp_path) as probe:
        line = probe.says("group-not-joined", interface="wan7")
        assert line["text"] == f"does not hear {GROUP}:{PORT}: there is no such interface"
        assert probe.ready() == (503, "not ready: cluster is joined on no interface\n")
        here.ip("link add wan7 type veth peer name wan8")
        here.ip("link set wan8 up")
        here.ip("address add 10.78.0.1/24 dev wan7")
        here.ip("link set wan7 up")
        probe.says("group-joined", interface="wan7")
        assert not [each for each in probe.lines() if each.get("interface") == "eth0"]


# -- files and bytes that are not what they should be

CAPTURE = VECTORS / "captures" / "c-kill9.pcap"


@pytest.mark.parametrize("command", ["decode", "replay"])
def test_a_cut_capture_says_where(tmp_path: Path, command: str) -> None:
    """The byte at which the last packet begins is told: cut there, the capture is whole."""
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(CAPTURE.read_bytes()[:3_000])
    result = invoke(command, "--json", cut)
    assert result.exit_code == 1
    place = re.search(r"at byte (\d+), is not whole", result.stderr)
    assert place is not None
    cut.write_bytes(CAPTURE.read_bytes()[: int(place[1])])
    whole = invoke(command, "--json", cut)
    assert (whole.exit_code, whole.stderr) == (0, "")
    assert whole.stdout == result.stdout


@pytest.mark.parametrize("command", ["decode", "replay"])
@pytest.mark.parametrize("chunk", [1, 7, 4_096])
def test_the_place_of_a_cut_does_not_depend_on_how_it_is_read(command: str, chunk: int) -> None:
    """A pipe that gives a few bytes at a time is told the same place as a file."""

    class Trickle:
        def __init__(self) -> None:
            self.left = CAPTURE.read_bytes()[:3_000]

        def read1(self, size: int, /) -> bytes:
            part, self.left = self.left[: min(size, chunk)], self.left[min(size, chunk) :]
            return part

    with pytest.raises(pcap.CaptureError) as cut:
        list(pcap.read(Trickle()))
    line = invoke(command, "-", stdin=CAPTURE.read_bytes()[:3_000]).stderr
    assert line == f"tribes-probe: standard input: {cut.value}\n"


def refused_vectors() -> list[Any]:
    """Return every recorded member block that a Tomcat throws at, with what the exception does to it."""
    return [
        pytest.param(each.data, EFFECTS.get(each.expect["error"]), id=each.name)
        for each in vectors("members")
        if "error" in each.expect and each.data.startswith(BEGIN)  # others never get to where it throws
    ]


REASONS = "|".join(reason.value for reason in Reason)
WORDS = {
    Effect.IGNORED: "a Tomcat ignores it",
    Effect.STALLS: "a Tomcat that hears it is deaf for 500 ms",
    Effect.KILLS: "a Tomcat that hears it stays deaf until it is restarted",
}


@pytest.mark.parametrize(("data", "effect"), refused_vectors())
def test_what_a_tomcat_throws_at_is_told_with_reason_and_effect(data: bytes, effect: Effect) -> None:
    """``decode`` names why the bytes were refused, and what they do to a Tomcat, in words and in JSON."""
    in_words = invoke("decode", "-", stdin=data.hex())
    in_json = invoke("decode", "--json", "-", stdin=data.hex())
    assert (in_words.exit_code, in_json.exit_code) == (0, 0)
    record = json.loads(in_json.stdout)
    assert record == {"kind": "malformed", "reason": record["reason"], "effect": effect.value}
    assert re.fullmatch(rf"malformed: ({REASONS}); {WORDS[effect]}\n", in_words.stdout)
