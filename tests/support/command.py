"""The command line as people use it: in this process where its output is enough, else as its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from probe.cli import main

COMMAND = Path(sys.executable).parent / "tribes-probe"
PATIENCE = 20.0
"""seconds for what takes far less, on a busy machine too."""


def parsed(name: str, arguments: list[str]) -> dict[str, Any]:
    """Return what a command would be called with; it is not run."""
    # below the real parent: click remembers in the command what it inherited first
    with main.make_context("tribes-probe", [name]) as parent:
        found = main.get_command(parent, name)
        assert found is not None
        with found.make_context(name, list(arguments), parent=parent) as context:
            return context.params


def invoke(*arguments: str | Path, stdin: bytes | str = b"", env: dict[str, str] | None = None) -> Result:
    """Run a command in this process; an exception that is no exit goes on to the test."""
    result = CliRunner().invoke(main, [str(each) for each in arguments], stdin, env, prog_name="tribes-probe")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refused(*arguments: str | Path, status: int = 2, stdin: bytes | str = b"") -> str:
    """Run a command that cannot work; return its one line, without the name in front."""
    result = invoke(*arguments, stdin=stdin)
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("tribes-probe: ")
    return line.removeprefix("tribes-probe: ")


def run(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run a command as a process to its end."""
    done = subprocess.run(
        [COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        env=_environment(),
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def started(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run a command as a process that goes on until it is told to end; both outputs are its stdout."""
    with subprocess.Popen(
        [COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment(),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Read a process' lines until one matches."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"no {pattern!r} in {''.join(seen)!r}")


def stop(process: subprocess.Popen[str], with_signal: signal.Signals = signal.SIGTERM) -> int:
    """Ask a process to end; return its exit status."""
    process.send_signal(with_signal)
    return process.wait(PATIENCE)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}
