"""``forget``: asks a running probe; what it says is passed on, what is wrong is one line."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command import invoke, refused


class Probe(http.server.BaseHTTPRequestHandler):
    """Answers as it is told to, and remembers how it was asked."""

    asked: list[tuple[str, dict[str, str], Any]]
    answer: tuple[int, bytes, dict[str, str]]

    def do_POST(self) -> None:
        """Answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, dict(self.headers), json.loads(body)))
        status, text, headers = self.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(name="probe")
def _probe() -> Iterator[tuple[str, type[Probe]]]:
    """Give a server on loopback and where it is."""
    made = type("Made", (Probe,), {"asked": [], "answer": (200, b"10.0.0.3:4000 of one is forgotten\n", {})})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", made
        server.shutdown()
        thread.join()


def test_it_asks_and_says_what_was_answered(probe: tuple[str, type[Probe]], tmp_path: Path) -> None:
    """Member, group and who asks are passed on; through no proxy."""
    url, made = probe
    password = tmp_path / "password"
    password.write_text("se:cret\n")
    result = invoke("forget", "--url", url, "[FD77:0::3]:4000", env={"http_proxy": "http://127.0.0.1:1"})
    assert (result.exit_code, result.stdout) == (0, "10.0.0.3:4000 of one is forgotten\n")
    options = ("--group", "one", "--user", "ada", "--password-file", password)
    assert invoke("forget", "--url", f"{url}/", *options, "10.0.0.3:4000").exit_code == 0
    (path, plain, first), (_, guarded, second) = made.asked
    assert path == "/api/v1/forget"
    assert (first, second) == ({"member": "[fd77::3]:4000"}, {"member": "10.0.0.3:4000", "group": "one"})
    assert plain["Content-Type"] == "application/json"
    assert "Authorization" not in plain
    assert guarded["Authorization"] == "Basic YWRhOnNlOmNyZXQ="


ANSWERS = [
    ((404, b"not forgotten: 10.0.0.3:4000 is not known\n", {}), "not forgotten: 10.0.0.3:4000 is not known"),
    ((401, b"401: Unauthorized", {}), "it asks for another name and password: see --user"),
    ((500, b"", {}), "HTTP 500"),
    ((302, b"", {"Location": "http://127.0.0.1:1/"}), "HTTP 302"),
    ((400, b"\x1b[31mred\nand more\xff" + b"x" * 9_000, {}), "red and more"),
]


@pytest.mark.parametrize(("answer", "line"), ANSWERS)
def test_what_was_not_done_is_one_line(
    probe: tuple[str, type[Probe]], answer: tuple[int, bytes, dict[str, str]], line: str
) -> None:
    """Status 1 and the probe's own words, made printable; nothing is followed elsewhere."""
    url, made = probe
    made.answer = answer
    said = refused("forget", "--url", url, "10.0.0.3:4000", status=1)
    assert said.startswith(f"{url}: ")
    assert line in said
    assert said.isprintable()
    assert len(said) < 2_100
    assert len(made.asked) == 1


def test_nobody_there(tmp_path: Path) -> None:
    """A port without a probe, a password that cannot be read, a CA that is none: one line each."""
    assert refused("forget", "--url", "http://127.0.0.1:1", "10.0.0.3:4000", status=1) == (
        "http://127.0.0.1:1: cannot be asked: Connection refused"
    )
    options = ("--user", "ada", "--password-file", tmp_path / "nowhere")
    assert "the password cannot be read: [Errno 2]" in refused("forget", *options, "10.0.0.3:4000", status=1)
    (tmp_path / "ca.pem").write_text("nothing")
    options = ("--url", "https://127.0.0.1:1", "--ca-file", tmp_path / "ca.pem")
    assert refused("forget", *options, "10.0.0.3:4000", status=1).startswith("TLS cannot be set up: ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["tomcat1"], '"tomcat1" is no member: write address:port, such as 10.0.0.1:4000.'),
        (
            ["--url", "localhost:10564", "10.0.0.3:4000"],
            "is no address of a probe: write http://10.0.0.2:10564.",
        ),
        (["--url", "http://a:b@c", "10.0.0.3:4000"], "holds a name or a password"),
        (["--user", "ada", "10.0.0.3:4000"], "--user and --password-file belong together."),
        (["--ca-file", "x", "10.0.0.3:4000"], "--ca-file is given, but http://127.0.0.1:10564 is not https."),
        ([], "Missing argument 'MEMBER'."),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], line: str) -> None:
    """Status 2, what is wrong and what to write."""
    assert line in refused("forget", *arguments)
