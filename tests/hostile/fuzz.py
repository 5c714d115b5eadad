"""The real daemon among everything a network can send: it lives, hears who behaves, and does not grow.

``python tests/hostile/fuzz.py --seconds 600 --seed 1`` as root: it makes network namespaces.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hostile.answers import Answers
from hostile.member import members
from hostile.noise import Noise
from support.netns import NETWORK, Host, Lab
from support.speaker import Speaker
from support.watcher import PORT as WEB
from support.watcher import Watcher

from probe.model.events import Kind
from probe.sensors.receivers import IN_FLIGHT
from probe.simulate.crowd import Strangers
from probe.simulate.outlet import Outlet, Place
from probe.surface.journal import MOST, WINDOW

GROUP: Final = "239.255.77.71"
PORT: Final = 45771
DOMAIN: Final = "ours"
SPARED: Final = 4
"""members that behave."""
FIRST_SPARED: Final = 4090
PORTS: Final = range(4000, 4025)
ADDRESSES: Final = [f"{NETWORK}.{last}" for last in (101, 102, 103, 104)]
"""Where the bad receivers are, four addresses on one host."""

STEP: Final = 0.01
RATE: Final = 4
"""Handfuls of datagrams a step: some five thousand datagrams a second, and floods beside them."""
FLOOD_EVERY: Final = 5.0
FLOOD: Final = 20_000
"""Strangers in a flood, sent as fast as it goes: they overrun the socket's buffer, but for less than t_late."""
REPORT_EVERY: Final = 10.0
ASK_EVERY: Final = 3
"""Reports between two looks at every page: a scrape of a full table is some 40 MiB of text."""

LARGEST: Final = 384
"""MiB: what the systemd unit allows before it slows the daemon down (MemoryHigh). What the network fills is
bounded: 16,384 members of whom little is kept, the decoder's memory of twice as many datagrams of at most
1,500 bytes, one batch of 128 datagrams of 64 KiB; and a scrape of 16,384 members makes one large text."""
GROWTH: Final = 16
"""MiB by which the second half may exceed what the first reached after the warm-up: the allocator's leeway."""
WARM_UP: Final = 0.2
"""Share of a run in which the tables fill; a run shorter than two minutes is too short to judge growth."""
LONG_ENOUGH: Final = 120.0
DESCRIPTORS: Final = IN_FLIGHT + 16
"""Open files beyond those of a quiet daemon: questions in flight, and who looks at the page."""
PAGES: Final = ("/-/healthy", "/metrics", "/api/v1/view", "/")
LONGEST_LINE: Final = 8_192
STOPS_WITHIN: Final = 5.0


class Sample(NamedTuple):
    """How the daemon stood at a time of the run: resident MiB, open descriptors, lines logged."""

    at: float
    resident: float
    descriptors: int
    lines: int


class Log:
    """The daemon's log, read as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self.lines = 0
        self.noise: list[str] = []
        self.longest = 0
        self.events: Counter[str] = Counter()
        self.of_spared: list[dict[str, Any]] = []

    def read(self, spared: frozenset[str]) -> None:
        """Take the lines that are new."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._at += len(whole)
        for raw in whole.splitlines():
            self.lines += 1
            self.longest = max(self.longest, len(raw))
            try:
                line = json.loads(raw)
            except ValueError:
                self.noise.append(raw.decode(errors="replace"))
                continue
            self.events[line["event"]] += 1
            if line.get("member") in spared:
                self.of_spared.append(line)


class Fuzz:
    """One run. ``problems`` is empty when the daemon kept its promises."""

    def __init__(self, seconds: float, seed: int, *, tell: bool = True) -> None:
        self.seconds = seconds
        self.seed = seed
        self.sent: Counter[str] = Counter()
        self.given: Counter[str] = Counter()
        self.samples: list[Sample] = []
        self.problems: list[str] = []
        self.slowest = dict.fromkeys(PAGES, 0.0)
        self.stopped_in = 0.0
        self._tell = tell
        self._quiet_descriptors = 0
        self._group: dict[str, Any] = {}

    def say(self, text: str) -> None:
        """Print a line of the summary."""
        if self._tell:
            print(text, flush=True)  # noqa: T201  # it is a program too

    def run(self) -> None:
        """Make a network, let everything loose, and judge."""
        with tempfile.TemporaryDirectory() as folder, Lab(3) as lab:
            here, bad, good = lab.hosts
            for address in ADDRESSES:
                bad.ip(f"address add {address}/24 dev eth0")
            born = members(good.address, FIRST_SPARED, SPARED, DOMAIN.encode())
            script = str(Path(__file__).with_name("member.py"))
            who = (GROUP, "eth0", good.address, DOMAIN, str(PORT), str(FIRST_SPARED), str(SPARED))
            good.start(sys.executable, script, *who)
            self.log = Log(Path(folder) / "probe.log")
            self.spared = frozenset(member.name for member in born)
            receivers = [(bytes(map(int, address.split("."))), port) for address in ADDRESSES for port in PORTS]
            victims = [members(address, PORTS.stop, 1, b"")[0] for address in ADDRESSES]
            near = [bytes((10, 77, 0, last)) for last in range(150, 200)]
            noise = Noise(self.seed, victims, born, receivers, near)
            with bad.inside():
                answers = Answers(self.seed, list(PORTS))
            with Watcher(here, Path(folder), [self._settings()]) as watcher, answers:
                self._until_alive(here)
                self._rage(here, bad, watcher, answers, noise)
                stopping = time.monotonic()
            self.stopped_in = time.monotonic() - stopping
            self.given = answers.given
            self.log.read(self.spared)
            self._judge()
        self._table()

    def _settings(self) -> dict[str, Any]:
        check = {"level": "ack", "interval": "2s", "timeout": "1s", "allowed_ports": "4000-4099"}
        expected = sorted(self.spared)
        return {
            "name": "fuzz", "address": GROUP, "port": PORT, "domain": DOMAIN, "expected": expected,
            "receiver_check": check,
        }  # fmt: skip

    def _rage(self, here: Host, bad: Host, watcher: Watcher, answers: Answers, noise: Noise) -> None:
        assert watcher.process is not None
        pid = watcher.process.pid
        self._quiet_descriptors = _descriptors(pid)
        ended = threading.Event()
        looking = threading.Thread(target=self._look, args=[here, pid, answers, ended])
        with bad.inside():
            speaker = Speaker("eth0")
            outlet = Outlet(Place(GROUP, PORT, "eth0", any_interface=True))
            looking_began = time.monotonic()
            looking.start()
        with speaker, outlet:
            self._send(noise, speaker, outlet, looking_began)
        ended.set()
        looking.join()
        if watcher.process.poll() is None:
            self._calm(here)

    def _send(self, noise: Noise, speaker: Speaker, outlet: Outlet, began: float) -> None:
        strangers = Strangers(1.0, self.seed)
        announced = flooded = -1e9
        step = 0
        while (at := time.monotonic() - began) < self.seconds and not self.problems:
            if at - announced > 0.5:
                announced = at
                self._say(speaker, "announced", noise.announce())
            if at - flooded > FLOOD_EVERY:
                flooded = at
                strangers.send(outlet, FLOOD)
                self.sent["flood"] += FLOOD
            for _ in range(RATE):
                self._say(speaker, *noise.some())
            step += 1
            time.sleep(max(0.001, step * STEP - at) if step * STEP - at < STEP else STEP)

    def _say(self, speaker: Speaker, kind: str, datagrams: list[bytes]) -> None:
        for data in datagrams:
            speaker.say(data, GROUP, PORT)
        self.sent[kind] += len(datagrams)

    # -- looking at it meanwhile

    def _look(self, here: Host, pid: int, answers: Answers, ended: threading.Event) -> None:
        began = reported = time.monotonic()
        reports = 0
        while not ended.wait(1.0):
            try:
                resident, descriptors = _resident(pid), _descriptors(pid)
            except OSError:
                self.problems.append("the daemon is dead")
                return
            self.log.read(self.spared)
            now = time.monotonic()
            self.samples.append(Sample(now - began, resident, descriptors, self.log.lines))
            if now - reported >= REPORT_EVERY:
                reported = now
                self._ask(here, PAGES if reports % ASK_EVERY == 0 else PAGES[:1])
                reports += 1
                self._report(time.monotonic() - began, answers)

    def _ask(self, here: Host, pages: tuple[str, ...]) -> None:
        """Ask for what it shows, under fire."""
        for path in pages:
            started = time.monotonic()
            try:
                body = _get(here, path)
            except OSError as error:
                self.problems.append(f"{path} did not answer: {error}")
                continue
            self.slowest[path] = max(self.slowest[path], time.monotonic() - started)
            if path == "/api/v1/view":
                self._group = json.loads(body)["groups"][0]
        for name, state in self._states().items():
            if state not in {"alive", "unknown"}:
                self.problems.append(f"{name} behaves and is said to be {state}")

    def _of_spared(self) -> list[dict[str, Any]]:
        return [member for member in self._group.get("members", []) if member["member"] in self.spared]

    def _states(self) -> dict[str, str]:
        shown = {member["member"]: member["state"] for member in self._of_spared()}
        return {name: shown.get(name, "not shown") for name in sorted(self.spared)}

    def _until_alive(self, here: Host) -> None:
        until = time.monotonic() + 30
        while True:
            self._group = json.loads(_get(here, "/api/v1/view"))["groups"][0]
            if set(self._states().values()) == {"alive"}:
                return
            if time.monotonic() > until:
                self.problems.append(f"who behaves is not alive: {self._states()}")
                return
            time.sleep(0.2)

    def _calm(self, here: Host) -> None:
        """Let what still waits be heard, then look for the last time."""
        self._until_alive(here)
        for form in ("text/plain", "application/openmetrics-text"):
            text = _get(here, "/metrics", form)
            if form == "text/plain":
                done = subprocess.run(
                    ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
                )
                if done.returncode:
                    self.problems.append(f"promtool refuses /metrics: {done.stderr.decode()[-500:]}")
            elif not text.endswith(b"# EOF\n"):
                self.problems.append("the OpenMetrics text is not whole")

    # -- judging

    def _judge(self) -> None:
        told = [line for line in self.log.of_spared if line["event"] in {"late", "silent", "lost", "left"}]
        if told:
            marked = sum(line.get("fit") is False for line in told)
            self.problems.append(
                f"{len(told)} reports of who behaves, {marked} of them marked as told by an unfit probe, "
                f"the first: {told[0]}"
            )
        flaps = {member["member"]: member["flaps"] for member in self._of_spared() if member["flaps"]}
        if flaps:  # a line about them may be among those that were only counted
            self.problems.append(f"who behaves was silent in between: {flaps}")
        self._judge_log()
        if self.stopped_in > STOPS_WITHIN:
            self.problems.append(f"the stop took {self.stopped_in:.1f} s")
        if self.samples:
            self._judge_size()
        else:
            self.problems.append("no look was taken")

    def _judge_log(self) -> None:
        if self.log.noise:
            self.problems.append(f"{len(self.log.noise)} lines are no log lines: {self.log.noise[:30]}")
        most = self.most_lines()
        if self.log.lines > most:
            self.problems.append(f"{self.log.lines} log lines, at most {most:.0f} were meant")
        if self.log.longest > LONGEST_LINE:
            self.problems.append(f"a log line of {self.log.longest} bytes")

    def _judge_size(self) -> None:
        descriptors = max(sample.descriptors for sample in self.samples) - self._quiet_descriptors
        if descriptors > DESCRIPTORS:
            self.problems.append(f"{descriptors} descriptors more than at rest")
        if max(sample.resident for sample in self.samples) > LARGEST:
            self.problems.append(f"more than {LARGEST} MiB resident")
        first, second = self.halves()
        if self.seconds >= LONG_ENOUGH and second > first + GROWTH:
            self.problems.append(f"grew from {first:.0f} to {second:.0f} MiB after the warm-up")

    def halves(self) -> tuple[float, float]:
        """Return the largest resident size of either half of the time after the warm-up."""
        warm = [sample for sample in self.samples if sample.at >= WARM_UP * self.seconds] or self.samples[-1:]
        middle = warm[len(warm) // 2].at
        first = [sample.resident for sample in warm if sample.at <= middle]
        return max(first), max(sample.resident for sample in warm if sample.at >= middle)

    def most_lines(self) -> float:
        """Return how many lines the journal may write: so many of each kind, and one more that sums up.

        Members heard once are counted apart from the others.
        """
        kinds = 2 * sum(1 for kind in Kind if self.log.events[kind.value]) or 1
        return kinds * (MOST + 1) * (self.seconds / WINDOW + 5) + 20

    # -- telling

    def _report(self, at: float, answers: Answers) -> None:
        sample, group = self.samples[-1], self._group
        self.say(
            f"{at:5.0f} s  sent {sum(self.sent.values()):>9,}  questions {sum(answers.given.values()):>6,}  "
            f"resident {sample.resident:5.1f} MiB  descriptors {sample.descriptors:3}  lines {sample.lines:5}  "
            f"members {len(group.get('members', [])):6,}  drops {group.get('receive_drops', 0):,}  "
            f"slowest page {max(self.slowest.values()):.1f} s"
        )

    def _table(self) -> None:
        self.say(f"\nseed {self.seed}, {self.seconds:.0f} s")
        for title, counts in (("datagrams sent", self.sent), ("answers given", self.given)):
            self.say(f"{title}: {sum(counts.values()):,}")
            for kind, count in sorted(counts.items(), key=lambda pair: -pair[1]):
                self.say(f"  {kind:16} {count:>12,}")
        heard = self._group.get("datagrams", {})
        self.say(f"heard: {heard}, drops {self._group.get('receive_drops')}")
        if self.samples:
            residents = [sample.resident for sample in self.samples]
            first, second = self.halves()
            descriptors = [sample.descriptors for sample in self.samples]
            self.say(
                f"resident: {min(residents):.1f} to {max(residents):.1f} MiB (at most {LARGEST}); after the "
                f"warm-up at most {first:.1f} in the first half, {second:.1f} in the second\n"
                f"descriptors: {min(descriptors)} to {max(descriptors)}, {self._quiet_descriptors} at rest\n"
                f"log: {self.log.lines} lines (at most {self.most_lines():.0f}), the longest "
                f"{self.log.longest} bytes; {dict(self.log.events.most_common())}\n"
                f"slowest answers: {', '.join(f'{path} {took:.2f} s' for path, took in self.slowest.items())}; "
                f"stopped in {self.stopped_in:.2f} s"
            )
        of_spared = Counter(line["event"] for line in self.log.of_spared)
        asked = [member["receiver"]["checks"] for member in self._of_spared()]
        self.say(f"who behaves: {self._states()}, told of them: {dict(of_spared)}, asked: {asked}")
        self.say("\n".join(self.problems) or "nothing wrong")


def _get(host: Host, path: str, form: str = "*/*") -> bytes:
    """Ask by a process of its own, so that the noise does not slow it down; raises OSError."""
    command = ("curl", "-sSf", "--max-time", "60", "-H", f"Accept: {form}", f"http://127.0.0.1:{WEB}{path}")
    with host.inside():
        done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.decode().strip())
    return done.stdout


def _resident(pid: int) -> float:
    """Return MiB in use; raises OSError when the process is gone."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"process {pid} has ended")


def _descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def main() -> int:
    """Run as told; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    fuzz = Fuzz(given.seconds, given.seed)
    fuzz.run()
    return 1 if fuzz.problems else 0


if __name__ == "__main__":
    sys.exit(main())
