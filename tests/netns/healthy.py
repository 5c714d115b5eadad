"""A healthy cluster for as long as one likes: sessions are made, nodes restarted, and nobody is alarmed."""

import itertools
import threading
import time
import urllib.error
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
from netns.ground import NODES, SEGMENT, VANTAGES, Ground, Visitor, place
from support.prometheus import DEPLOY, Prometheus
from support.watcher import PORT

LOGINS: Final = 4.0
"""a second, over all nodes."""
REST: Final = 1.0
"""seconds that replication has before the next node is asked for the session."""

MAY_HAPPEN: Final = {
    "left": "a node that is stopped says goodbye",
    "receiver-closed": "then its port is closed",
    "degraded": "one of three is gone for some seconds",
    "restarted": "it is back, as another process",
    "receiver-answers": "and answers",
    "whole": "all are back",
    "stalled": "a JVM had no processor for some tenths of a second: told, and no alarm",
}
"""What probes may tell of rolling restarts; anything else is a false alarm."""
MAY_FIRE: Final = {
    "TribesRestartLoop": "a node was restarted more than twice within half an hour; a warning",
}
"""Alerts that may fire, none of which pages."""


class Report(msgspec.Struct, frozen=True):
    """What went on, and what was said of it: events by kind, alerts that fired by name and severity."""

    seconds: float
    restarts: int
    logins: int
    found: int
    refused: int
    events: dict[str, int]
    alerts: dict[str, str]
    unfit: list[str]
    scrapes: int

    def lines(self) -> list[str]:
        """Say it."""
        events = ", ".join(f"{kind} ×{count}" for kind, count in sorted(self.events.items())) or "none"
        alerts = ", ".join(f"{name} ({severity})" for name, severity in sorted(self.alerts.items())) or "none"
        sessions = f"sessions made: {self.logins}; known to another node {REST:g} s later: {self.found}"
        return [
            f"* {self.seconds:.0f} s of a healthy cluster under load, {self.restarts} restarts",
            f"* {sessions}; not made or not asked for because a node had just stopped: {self.refused}",
            f"* events of {len(VANTAGES)} probes: {events}",
            f"* alerts that fired in {self.scrapes} scrapes: {alerts}",
            f"* false alarms: {', '.join(self.false_alarms()) or 'none'}",
        ]

    def false_alarms(self) -> list[str]:
        """Return what should not have been said."""
        return [
            *sorted(self.events.keys() - MAY_HAPPEN.keys()),
            *sorted(self.alerts.keys() - MAY_FIRE.keys()),
            *sorted(name for name, severity in self.alerts.items() if severity == "critical"),
            *(f"{name} unfit" for name in self.unfit),
        ]


class Load:
    """Makes sessions on the nodes that serve, one after the other, and looks for each on another node."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.serving = set(NODES)
        self.logins = self.found = self.refused = 0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(len(NODES))]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        pause = len(self._threads) / LOGINS
        due = time.monotonic() + pause * number / len(self._threads)
        for turn in itertools.count():
            due = max(due + pause, time.monotonic() - pause)
            if self._ended.wait(max(0.0, due - time.monotonic())):
                return
            nodes = sorted(self.serving)
            self._visit(f"{number}-{turn}", nodes[turn % len(nodes)], nodes[(turn + 1) % len(nodes)])

    def _visit(self, name: str, node: int, other: int) -> None:
        visitor = Visitor(name)
        try:
            visitor.log_in(self._ground.host(node))
            self.logins += 1
            if self._ended.wait(REST):
                return
            self.found += visitor.is_known(self._ground.host(other))
        except (urllib.error.URLError, OSError):
            self.refused += 1


def watch(ground: Ground, folder: Path, seconds: float, every: float, rules: Path | None = None) -> Report:
    """Restart a node ``every`` so many seconds, in turn, under load, with all scraped by a Prometheus."""
    folder.mkdir(exist_ok=True)
    rules = rules or DEPLOY / "prometheus" / "tribes.rules.yml"
    targets = {place(vantage): f"{ground.host(vantage).management}:{PORT}" for vantage in VANTAGES}
    began, restarts = time.time(), 0
    end = time.monotonic() + seconds
    with (
        Prometheus(folder, targets, rules=rules, host=ground.host(SEGMENT)) as prometheus,
        Load(ground) as load,
    ):
        for node in itertools.cycle(NODES):
            if time.monotonic() + 2 * every > end:
                break
            time.sleep(every)
            load.serving.discard(node)
            ground.stop(node)
            ground.start(node)
            load.serving.add(node)
            restarts += 1
        time.sleep(max(0.0, end - time.monotonic()))
        return _report(ground, prometheus, load, began, restarts)


def _report(ground: Ground, prometheus: Prometheus, load: Load, began: float, restarts: int) -> Report:
    seconds = time.time() - began
    span = f"{seconds + 5:.0f}s"
    fired = prometheus.query(f'max_over_time(ALERTS{{alertstate="firing"}}[{span}])')
    unfit = prometheus.query(f"min_over_time(tribes_group_fit[{span}]) == 0")
    [scrapes] = prometheus.query(f"sum(count_over_time(up[{span}]))")
    events = Counter(
        event["event"]
        for probe in ground.probes.values()
        for event in probe.events()
        if event["at"] >= began and "group" in event
    )
    return Report(
        seconds=seconds,
        restarts=restarts,
        logins=load.logins,
        found=load.found,
        refused=load.refused,
        events=dict(events),
        alerts={one["metric"]["alertname"]: one["metric"]["severity"] for one in fired},
        unfit=sorted({one["metric"]["instance"] for one in unfit}),
        scrapes=int(float(scrapes["value"][1])),
    )
