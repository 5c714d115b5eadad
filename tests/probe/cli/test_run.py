"""``run`` and ``demo``: they start, serve, reload and end; what keeps them from it is one line."""

import contextlib
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support.command import refused, run, started, stop, wait_for

SETTINGS = """
groups: [{address: 239.255.77.94, port: 45794, interfaces: [lo], expected: %d}]
web: {listen_addresses: ["127.0.0.1:0"]}
"""
NO_LISTEN_ADDRESS = "is no listen address: write :10564, 127.0.0.1:10564 or [::1]:10564"
NO_LEVEL = "is not one of 'debug', 'info', 'warn', 'error'"
PAGE = r"http://127\.0\.0\.1:\d+/"


@pytest.fixture(name="settings")
def _settings(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yml"
    path.write_text(SETTINGS % 3)
    return path


def ask(url: str, method: str = "GET") -> tuple[int, str]:
    """Return status and text of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_it_is_told_to_end(settings: Path, with_signal: signal.Signals) -> None:
    """The daemon says where its page is, serves it, and ends cleanly on either signal."""
    with started("run", "--config.file", settings) as process:
        page = wait_for(process, PAGE)[0]
        assert ask(page + "-/healthy") == (200, "tribes-probe is healthy.\n")
        assert 'tribes_cluster_members_expected{group="239.255.77.94:45794"} 3.0' in ask(page + "metrics")[1]
        assert stop(process, with_signal) == 0


def test_flags_overrule_the_file(settings: Path) -> None:
    """Listen address, path of the metrics and format of the log are the flags', where given."""
    flags = ("--web.telemetry-path", "/m", "--log.format", "json", "--web.listen-address", "127.0.0.1:0")
    with started("run", "--config.file", settings, *flags, "--web.listen-address", "[::1]:0") as process:
        found = wait_for(process, rf"^{{.*({PAGE}).*(http://\[::1\]:\d+/)")
        assert ask(found[1] + "m")[0] == ask(found[2] + "m")[0] == 200
        assert ask(found[1] + "metrics")[0] == 404
        assert stop(process) == 0


def test_a_reload_takes_the_file_anew(settings: Path) -> None:
    """POST and SIGHUP read the file again; one with a mistake changes nothing and is answered with its line."""
    with started("run", "--config.file", settings) as process:
        page = wait_for(process, PAGE)[0]
        expected = 'tribes_cluster_members_expected{group="239.255.77.94:45794"} %d.0'
        settings.write_text(SETTINGS % 5)
        assert ask(page + "-/reload", "POST") == (200, "reloaded\n")
        assert expected % 5 in ask(page + "metrics")[1]
        settings.write_text("groups: [{port: 0}]")
        status, text = ask(page + "-/reload", "POST")
        assert status == 400
        assert f'{settings}: groups[0].port: "0" is no whole number from 1 to 65535' in text
        assert expected % 5 in ask(page + "metrics")[1]
        settings.write_text(SETTINGS % 7)
        process.send_signal(signal.SIGHUP)
        wait_for(process, "reloaded")  # that of the POST
        wait_for(process, "reloaded")
        assert expected % 7 in ask(page + "metrics")[1]
        assert stop(process) == 0


# -- what keeps it from running


def told(*arguments: str | Path, status: int) -> str:
    """Return the one line of a daemon that does not start."""
    done = run("run", *arguments)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_a_port_in_use(settings: Path) -> None:
    """A listen address that somebody has is named with the remedy, exit status 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        line = told("--config.file", settings, "--web.listen-address", address, status=1)
    assert line.startswith(f"tribes-probe: cannot listen on {address}: ")
    assert "address already in use" in line.lower()
    assert line.endswith(": give another --web.listen-address")


def test_an_address_of_another_host(settings: Path) -> None:
    """A listen address that this host does not have is named with the remedy, exit status 1."""
    line = told("--config.file", settings, "--web.listen-address", "192.0.2.1:10564", status=1)
    assert line.startswith("tribes-probe: cannot listen on 192.0.2.1:10564: ")
    assert line.endswith(": give another --web.listen-address")


def test_wrong_settings(settings: Path) -> None:
    """A settings file with a mistake is one line, exit status 2, which systemd does not try again."""
    settings.write_text("gruops: []")
    line = told("--config.file", settings, status=2)
    assert line == f'tribes-probe: {settings}: gruops: unknown setting: did you mean "groups"?'


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (
            ("--web.listen-address", "10564"),
            f'command line: --web.listen-address: "10564" {NO_LISTEN_ADDRESS}',
        ),
        (
            ("--web.telemetry-path", "metrics"),
            'command line: --web.telemetry-path: "metrics" is no path: write /metrics',
        ),
        (
            ("--log.level", "loud"),
            f"Invalid value for '--log.level': 'loud' {NO_LEVEL}. See tribes-probe run --help.",
        ),
        (("--config.file", "gone.yml"), "gone.yml: cannot be read: No such file or directory"),
        (("--server-xml", "gone.xml"), "gone.xml: cannot be read: No such file or directory"),
        (("--web.config.file", "gone.yml"), "gone.yml: cannot be read: No such file or directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_flags(settings: Path, flags: tuple[str, str], line: str) -> None:
    """A wrong flag or a file that is not there is one line, exit status 2."""
    assert refused("run", "--config.file", settings, *flags) == line


def test_a_certificate_that_is_none(settings: Path, tmp_path: Path) -> None:
    """TLS files that are no certificate are named, exit status 1."""
    for name in ("web.crt", "web.key"):
        (tmp_path / name).write_text("no certificate")
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: {cert_file: web.crt, key_file: web.key}")
    line = told("--config.file", settings, "--web.config.file", web, status=1)
    assert line.startswith(f"tribes-probe: TLS cannot be set up with {tmp_path}/web.crt: ")


# -- demo


def test_the_demo_says_where_to_look() -> None:
    """The demo starts without any settings, prints its page's address, shows three members, ends on Ctrl-C."""
    with started("demo", "--web.listen-address", "127.0.0.1:0") as process:
        page = wait_for(process, rf"see ({PAGE})")[1]
        wait_for(process, "joined.*joined|member.*3 of 3|3 of 3")
        assert ask(page)[0] == 200
        assert stop(process, signal.SIGINT) == 0


def test_a_demo_beside_a_probe_finds_another_port() -> None:
    """Where the usual port is taken the demo takes another one, as long as none was asked for."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # somebody has it already: as good
            taken.bind(("", 10564))
            taken.listen()
        with started("demo") as process:
            page = wait_for(process, r"see http://localhost:(\d+)/")
            assert page[1] != "10564"
            assert stop(process, signal.SIGINT) == 0
