"""Completion: scripts for three shells, and what they are told."""

import subprocess

import pytest
from support.command import invoke, refused


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str) -> None:
    """The script asks the command itself what may come next."""
    result = invoke("completion", shell)
    assert result.exit_code == 0
    assert f"_TRIBES_PROBE_COMPLETE={shell}_complete" in result.stdout


def test_bash_accepts_its_script() -> None:
    """The script for bash is one that bash can read."""
    script = invoke("completion", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_a_shell_nobody_knows() -> None:
    """Another shell is refused with those there are."""
    assert refused("completion", "tcsh") == (
        "Invalid value for '{bash|zsh|fish}': 'tcsh' is not one of 'bash', 'zsh', 'fish'. "
        "See tribes-probe completion --help."
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tribes-probe r", {"run", "replay"}),
        ("tribes-probe --v", {"--version"}),
        ("tribes-probe ping --l", {"--level"}),
        ("tribes-probe ping --level ", {"connect", "ack", "stack"}),
        ("tribes-probe run --log.format ", {"logfmt", "json"}),
    ],
)
def test_what_may_come_next(words: str, expected: set[str]) -> None:
    """Commands, flags and their values are completed."""
    place = len(words.split(" ")) - 1
    asked = {"_TRIBES_PROBE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(place)}
    result = invoke(env=asked)
    assert {line.partition(",")[2] for line in result.stdout.splitlines()} == expected
