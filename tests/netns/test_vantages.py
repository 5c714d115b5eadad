"""Three real probes that read each other, beside simulated members on four hosts, while multicast is cut."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from support.netns import Host, Lab
from support.watcher import COMMAND, PORT, Watcher

pytestmark = [pytest.mark.netns, pytest.mark.slow]

GROUP: Final = "239.255.77.66"
SETTINGS: Final[list[dict[str, Any]]] = [
    {
        "name": "shop",
        "address": GROUP,
        "port": 45664,
        "interfaces": ["eth0"],
        "receiver_check": {"level": "off"},
    }
]
NAMES: Final = "abcd"
STABLE: Final = 10.0
TOLD: Final = 2.0
"""seconds beyond t_stable within which a split is told by every probe."""
OUTLAST: Final = 4.0
"""seconds that anything milder must outlast, since views are of different moments."""
ALARMS: Final = {"split", "latent-split", "asymmetric", "deaf", "down", "merging", "unknown"}


class Stage:
    """The hosts, a member on each, and a probe beside the first three; the fourth has none."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.hosts = dict(zip(NAMES, stack.enter_context(Lab(4)).hosts, strict=True))
        self.members = {name: f"{host.address}:4000" for name, host in self.hosts.items()}
        self._beating = {name: self._beat(host) for name, host in self.hosts.items()}
        self.probes: dict[str, Watcher] = {}
        for name in NAMES[:3]:
            peers = [
                {"name": other, "url": f"http://{self.hosts[other].address}:{PORT}"}
                for other in NAMES[:3]
                if other != name
            ]
            probe = Watcher(self.hosts[name], folder / name, SETTINGS, role="local", peers=peers)
            self.probes[name] = stack.enter_context(probe)

    def _beat(self, host: Host) -> subprocess.Popen[Any]:
        return host.start(
            *(
                str(COMMAND),
                "simulate",
                "--members",
                "1",
                "--host",
                host.address,
                "--seed",
                str(time.time_ns()),
            ),
            *("--group", GROUP, "--port", "45664", "--interface", "eth0", "--allow-any-interface"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def restart(self, name: str, away: float, *, clean: bool) -> None:
        """Stop a member, with a goodbye or without, and start it a while later."""
        old = self._beating[name]
        (old.terminate if clean else old.kill)()
        old.wait(10)
        time.sleep(away)
        self._beating[name] = self._beat(self.hosts[name])

    def cut(self, *ways: str) -> float:
        """Lose multicast on some ways ("ca": from c to a) and on no others; return when."""
        for name, host in self.hosts.items():
            rules = [
                f"add rule inet fault in ip saddr {self.hosts[way[0]].address} ip daddr {GROUP} drop"
                for way in ways
                if way[1] == name
            ]
            table = ["add table inet fault", "delete table inet fault", "add table inet fault"]
            table += ["add chain inet fault in { type filter hook input priority 0; }", *rules]
            host.run("nft", "-f", "-", input="\n".join(table))
        return time.time()

    def together(self, name: str) -> dict[str, Any]:
        """Return what a probe says together with the others."""
        together: dict[str, Any] = self.probes[name].group("shop")["together"]
        return together

    def all_say(self, state: str, patience: float = 30.0) -> None:
        """Wait until every probe says this."""
        until = time.monotonic() + patience
        while any(self.together(name)["state"] != state for name in self.probes):
            said = [self.together(name)["sentence"] for name in self.probes]
            assert time.monotonic() < until, said
            time.sleep(0.1)

    def comes_to_say(self, name: str, words: str) -> None:
        """Wait until a probe's sentence has these words: evidence may still come in after the state."""
        until = time.monotonic() + TOLD
        while words not in (said := self.together(name)["sentence"]):
            assert time.monotonic() < until, said
            time.sleep(0.1)

    def told(self, name: str, since: float) -> list[dict[str, Any]]:
        """Return what a probe told of all together since a time."""
        return [event for event in self.probes[name].events() if "vantages" in event and event["at"] >= since]

    def each_tells(self, kind: str, since: float, within: float) -> dict[str, dict[str, Any]]:
        """Wait until every probe has told a joint state; return the lines, which came in time."""
        lines = {}
        for name, probe in self.probes.items():
            others = ", ".join(sorted({*self.probes, "here"} - {name}))
            lines[name] = probe.tells(kind, since, within + 5, vantages=others)
            assert lines[name]["at"] - since <= within, (name, kind, lines[name]["at"] - since)
        return lines


@pytest.fixture(name="lab", scope="module")
def _lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give the one stage that all stories are played on."""
    with ExitStack() as stack:
        yield Stage(tmp_path_factory.mktemp("vantages"), stack)


@pytest.fixture(name="stage")
def _stage(lab: Stage) -> Stage:
    """Give it mended, and whole from everywhere."""
    lab.cut()
    lab.all_say("whole")
    return lab


def test_a_split_is_told_on_both_sides_and_merges(stage: Stage) -> None:
    """In time, with the same sides everywhere and nothing said before; healed: merging, then whole."""
    began = stage.cut("ca", "cb", "cd", "ac", "bc", "dc")
    stage.each_tells("split", began, STABLE + TOLD)
    here = {name: stage.members[name] for name in NAMES}
    for name in stage.probes:
        assert [line["event"] for line in stage.told(name, began)] == ["split"]
        together = stage.together(name)
        sides = [part["members"] for part in together["parts"]]
        assert sides == [[here["a"], here["b"], here["d"]], [here["c"]]]
        sentence = together["sentence"]
        assert (
            f"{{{here['a']}, {here['b']}, {here['d']}}} and {{{here['c']}}} do not hear each other" in sentence
        )
        against = {"a": "b and here against c", "b": "a and here against c", "c": "a and b against here"}
        stage.comes_to_say(name, f"(seen from {against[name]}): both sides live")
        assert abs(together["since"] - began) < 1
        assert (
            'tribes_vantages_state{group="shop",state="split"} 1.0'
            in stage.probes[name].get("/metrics").decode()
        )
        assert 'tribes_peer_up{group="shop",peer=' in stage.probes[name].get("/metrics").decode()
        alone = stage.probes[name].group("shop")["verdict"]["state"]
        assert alone != "split"
    healed = stage.cut()
    stage.each_tells("merging", healed, TOLD + 0.5)
    stage.each_tells("merged", healed, STABLE + 2 * TOLD)
    for name in stage.probes:
        assert [line["event"] for line in stage.told(name, healed)] == ["merging", "merged"]


def test_one_way_is_asymmetric_with_its_direction(stage: Stage) -> None:
    """Whoever stands beside the first does not hear the second; the other way works."""
    began = stage.cut("ba")
    stage.each_tells("asymmetric", began, STABLE + OUTLAST + TOLD)
    for name in stage.probes:
        together = stage.together(name)
        [loss] = together["losses"]
        place = "here" if name == "a" else "a"
        assert (loss["member"], loss["vantage"], loss["back"]) == (stage.members["b"], place, True)
        assert "multicast is lost in this direction only" in together["sentence"]
        assert [line["event"] for line in stage.told(name, began)] == ["asymmetric"]


def test_one_deaf_vantage_is_named(stage: Stage) -> None:
    """It hears nobody but its own host; nobody is said to be split."""
    began = stage.cut("ab", "cb", "db")
    stage.each_tells("deaf", began, 9 + OUTLAST + TOLD)
    for name in stage.probes:
        together = stage.together(name)
        assert list(together["deaf"]) == ["here" if name == "b" else "b"]
        assert "suspect its host, not the cluster" in together["sentence"]
        assert [line["event"] for line in stage.told(name, began)] == ["deaf"]


@pytest.mark.parametrize("clean", [True, False])
def test_a_rolling_restart_is_no_alarm(stage: Stage, *, clean: bool) -> None:
    """One member after the other goes and comes back; in the end all is whole."""
    began = time.time()
    for name, away in zip(NAMES, (0.5, 4.0, 1.0, 6.0), strict=True):
        stage.restart(name, away, clean=clean)
        time.sleep(2)
    stage.all_say("whole")
    for name in stage.probes:
        assert not ALARMS & {line["event"] for line in stage.told(name, began)}


def test_a_peer_that_is_stopped_says_nothing(stage: Stage) -> None:
    """Its view grows old: the other two go on without it, and say so."""
    process = stage.probes["c"].process
    assert process is not None
    subprocess.run(["kill", "-STOP", str(process.pid)], check=True)
    try:
        stage.probes["a"].tells("peer-not-read", time.time() - 0.1, peer="c")
        view = json.loads(stage.probes["a"].get("/api/v1/view"))
        assert {peer["name"]: peer["up"] for peer in view["peers"]} == {"b": True, "c": False}
        together = stage.together("a")
        assert (together["state"], together["vantages"]) == ("whole", ["b", "here"])
        assert "no answer within 2 s" in together["silent"]["c"]
    finally:
        subprocess.run(["kill", "-CONT", str(process.pid)], check=True)
    stage.probes["a"].tells("peer-read", time.time() - 0.1, peer="c")
