"""Prometheus, Alertmanager and who is paged, as real processes; on loopback of this host or of a lab's."""

import contextlib
import json
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import yaml
from support.netns import Host

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
PATIENCE: Final = 30.0
_WAITS: Final = {"30s": "2s", "1m": "4s", "2m": "6s", "5m": "8s"}


def hasty_rules(folder: Path) -> Path:
    """Copy the rules so that they are asked every second and wait for seconds only."""
    text = (DEPLOY / "prometheus" / "tribes.rules.yml").read_text()
    text = re.sub(r"\binterval: 10s", "interval: 1s", text)
    text = re.sub(r"keep_firing_for: \w+", "keep_firing_for: 4s", text)
    text = re.sub(r"\bfor: (\w+)$", lambda found: f"for: {_WAITS[found[1]]}", text, flags=re.MULTILINE)
    copy = folder / "rules.yml"
    copy.write_text(text)
    return copy


def hasty_routes(folder: Path, pager: str) -> Path:
    """Copy Alertmanager's configuration so that it waits for a second only, and pages here."""
    config = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    for receiver in config["receivers"]:
        for hook in receiver["webhook_configs"]:
            hook["url"] = hook["url"].replace("http://127.0.0.1:9095", pager)
    copy = folder / "alertmanager.yml"
    copy.write_text(yaml.safe_dump(config))
    return copy


def free_port(host: Host | None = None) -> int:
    """Return a TCP port of 127.0.0.1 that nobody has."""
    with host.inside() if host else contextlib.nullcontext(), socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


class Server:
    """A process that serves HTTP at a port of 127.0.0.1 until the block is left."""

    def __init__(self, command: list[str], port: int, log: Path, host: Host | None = None) -> None:
        self._command = command
        self._log = log
        self._host = host
        self.port = port
        self.process: subprocess.Popen[Any] | None = None

    def _inside(self) -> contextlib.AbstractContextManager[None]:
        return self._host.inside() if self._host else contextlib.nullcontext()

    def __enter__(self) -> Self:
        with self._log.open("wb") as log, self._inside():
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            self.until(lambda: self._answers("/-/ready"))
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(PATIENCE)

    def _answers(self, path: str) -> bool:
        try:
            self.get(path)
        except urllib.error.URLError:
            return False
        return True

    def get(self, path: str, body: object = None) -> bytes:
        """Return what it answers; with a body the request is a POST of JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"}
        )
        with self._inside(), urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  # loopback
            read: bytes = answer.read()
            return read

    def until(self, holds: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """Wait until something holds; return it."""
        end = time.monotonic() + patience
        while not (found := holds()):
            assert time.monotonic() < end, self._log.read_text()[-3000:]
            time.sleep(0.05)
        return found


class Prometheus(Server):
    """Scrapes probes every second; ``targets`` is instance to address."""

    def __init__(
        self,
        folder: Path,
        targets: dict[str, str],
        *,
        rules: Path | None = None,
        alertmanager: int | None = None,
        host: Host | None = None,
    ) -> None:
        port = free_port(host)
        jobs = [
            {"targets": [address], "labels": {"instance": instance}} for instance, address in targets.items()
        ]
        config: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "scrape_configs": [{"job_name": "tribes-probe", "static_configs": jobs}],
        }
        if rules:
            config["rule_files"] = [str(rules)]
        if alertmanager:
            config["alerting"] = {
                "alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]
            }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", "--log.level=warn"]
        command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
        super().__init__(command, port, folder / "prometheus.log", host)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an expression yields now; raises AssertionError when it is refused."""
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            answer = json.loads(self.get(path))
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{expression}: {error.read().decode()}") from None
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result


class Alertmanager(Server):
    """Takes alerts; speaks to no other of its kind."""

    def __init__(self, folder: Path, config: Path, *, host: Host | None = None) -> None:
        port = free_port(host)
        command = ["prometheus-alertmanager", f"--config.file={config}", "--cluster.listen-address="]
        command += [f"--storage.path={folder / 'alerts'}", f"--web.listen-address=127.0.0.1:{port}"]
        super().__init__(command, port, folder / "alertmanager.log", host)

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts it knows, with what silences them."""
        found: list[dict[str, Any]] = json.loads(self.get("/api/v2/alerts"))
        return found


class Page(NamedTuple):
    """One alert of one message: when it came (monotonic clock), where to, and what it says."""

    at: float
    path: str
    alert: dict[str, Any]

    @property
    def name(self) -> str:
        """The alert's name."""
        return str(self.alert["labels"]["alertname"])

    @property
    def status(self) -> str:
        """Whether it fires or is resolved."""
        return str(self.alert["status"])


class Pager:
    """A webhook that keeps what it was told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: list[Page] = []

    def find(self, name: str, status: str = "firing") -> Page | None:
        """Return the first page of an alert."""
        return next((page for page in self.pages if (page.name, page.status) == (name, status)), None)


@contextlib.contextmanager
def pager(host: Host | None = None) -> Iterator[Pager]:
    """Listen on loopback for what Alertmanager sends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.pages += [Page(time.monotonic(), self.path, alert) for alert in message["alerts"]]
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with host.inside() if host else contextlib.nullcontext():
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Pager(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
