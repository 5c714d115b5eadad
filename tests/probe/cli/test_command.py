"""The command as a whole: help a stranger can use, errors of one line, and no import that is not needed."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.command import invoke, parsed, refused, run

from probe.cli import COMMANDS, main
from probe.daemon import VERSION

EXAMPLE = re.compile(r"tribes-probe ([a-z]+)([^|)\n]*)")
FAR = "   "
"""What separates an example from its explanation."""


def command(name: str) -> click.Command:
    """Return a command by its name."""
    found = main.get_command(click.Context(main), name)
    assert isinstance(found, click.Command)
    return found


def test_the_installed_command_tells_its_version() -> None:
    """The script that is installed says the version, as a command and as a flag, here and of the daemon."""
    assert run("version").stdout == f"tribes-probe {VERSION}\n"
    for flags in (("--version",), ("run", "--version"), ("demo", "--version")):
        assert invoke(*flags).stdout == f"tribes-probe {VERSION}\n"


def test_help_lists_every_command() -> None:
    """The first help has each command, its line of help, and the exit statuses."""
    words = " ".join(invoke("--help").stdout.split())
    for name, line in COMMANDS.items():
        assert f"{name} {line}" in words
    assert "Exit status: 0 fine, 1 not found or failed, 2 wrong usage or settings." in words


def test_without_anything_there_is_help() -> None:
    """The bare command is wrong usage, answered with the help as a whole, on standard error."""
    result = invoke()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == invoke("--help").stdout


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_each_command_explains_itself(name: str, flag: str) -> None:
    """Help begins with the usage and says something of every option."""
    result = invoke(name, flag)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: tribes-probe {name} ")
    for parameter in command(name).params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[-1] in result.stdout
            assert parameter.help


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "version"])
def test_examples_are_right(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command's help has examples, and its own flags accept them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "capture.pcap").touch()
    examples = [
        shlex.split(arguments.partition(FAR)[0])
        for called, arguments in EXAMPLE.findall(command(name).help or "")
        if called == name
    ]
    assert examples
    for arguments in examples:
        assert parsed(name, arguments)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["chek"], "No such command 'chek': did you mean check? See tribes-probe --help."),
        (["frobnicate"], "No such command 'frobnicate'. See tribes-probe --help."),
        (["--nope"], "No such option '--nope'. See tribes-probe --help."),
        (["run", "--nope"], "No such option '--nope'. See tribes-probe run --help."),
        (["version", "x"], "Got unexpected extra argument (x). See tribes-probe version --help."),
        (["ping"], "Missing argument 'HOST:PORT'. See tribes-probe ping --help."),
        (
            ["decode", "gone.pcap"],
            "Invalid value for 'FILE': 'gone.pcap': No such file or directory. See tribes-probe decode --help.",
        ),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line(arguments: list[str], line: str) -> None:
    """Wrong usage is told in one line with the place of the help, and exit status 2."""
    assert refused(*arguments) == line


def imported(statement: str) -> set[str]:
    """Return the packages in memory after a statement in a fresh interpreter."""
    report = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    code = f"import atexit\natexit.register(lambda: exec({report!r}))\n{statement}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_version_needs_nothing_else() -> None:
    """Telling the version imports neither scapy nor any other part that only other commands need."""
    found = imported("from probe.cli import main; main(['version'])")
    assert "click" in found
    assert not found & {"scapy", "pyroute2", "aiohttp", "asyncio", "lxml", "construct", "yaml", "structlog"}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_imports_scapy(name: str) -> None:
    """No command, the daemon least of all, pays for scapy or pyroute2 when it starts."""
    found = imported(f"from probe.cli import main; main([{name!r}, '--help'])")
    assert not found & {"scapy", "pyroute2"}


def test_the_daemon_at_work_has_not_imported_scapy() -> None:
    """Everything of which a running probe is made loads without scapy."""
    found = imported("import probe.daemon, probe.cli.run, probe.sensors.multicast, probe.surface.web")
    assert "aiohttp" in found
    assert not found & {"scapy", "pyroute2"}
