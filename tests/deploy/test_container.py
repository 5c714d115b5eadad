"""The container's recipe: what it copies is there, what it installs is pinned, what it runs is the command."""

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPE = (ROOT / "deploy" / "container" / "Containerfile").read_text().replace("\\\n", "")
LINES = [line.split(maxsplit=1) for line in RECIPE.splitlines() if line and not line.startswith("#")]


def said(instruction: str) -> list[str]:
    """Return the arguments of every instruction of a kind."""
    return [rest for name, rest in LINES if name == instruction]


@pytest.mark.parametrize("copied", [line for line in said("COPY") if not line.startswith("--from")])
def test_what_is_copied_is_there(copied: str) -> None:
    """Every source of a COPY exists in the project."""
    *sources, _ = copied.split()
    assert all((ROOT / source).exists() for source in sources)


def test_all_that_the_program_needs_is_copied() -> None:
    """The packages of the wheel and the files that its metadata name are among the sources."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = {*project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"], project["project"]["readme"]}
    assert needed <= {source for line in said("COPY") for source in line.split()}


def test_what_is_installed_is_pinned() -> None:
    """The dependencies come from the file with hashes, and every requirement in it has some."""
    (install,) = (json.loads(line) for line in said("RUN") if "--require-hashes" in line)
    assert install[-2:] == ["-r", "deploy/requirements.txt"]
    pinned = (ROOT / "deploy" / "requirements.txt").read_text().replace("\\\n", "")
    requirements = [line for line in pinned.splitlines() if line and not line.lstrip().startswith("#")]
    assert requirements
    assert all(re.match(r"[\w.-]+==[\w.]+ .*--hash=sha256:[0-9a-f]{64}", line) for line in requirements)


def test_every_other_installation_brings_no_dependency() -> None:
    """Nothing is installed beside the pinned file but the program itself."""
    installs = [json.loads(line) for line in said("RUN") if '"install"' in line]
    assert all("--require-hashes" in words or words[-2:] == ["--no-deps", "."] for words in installs)


def test_it_runs_as_nobody_and_without_a_shell() -> None:
    """Two stages of one base that names no registry, a numeric user, everything in exec form."""
    first, second = (line.split()[0] for line in said("FROM"))
    assert first == second
    assert re.fullmatch(r"python:3\.\d+-slim", first)
    assert said("USER") == ["65534:65534"]
    assert all(
        isinstance(json.loads(line), list) for name in ("RUN", "CMD", "ENTRYPOINT") for line in said(name)
    )


def test_it_starts_the_command() -> None:
    """The entry point is the script that the project installs; without arguments it runs the daemon."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (entry,), (default,) = (json.loads(said(name)[0]) for name in ("ENTRYPOINT", "CMD"))
    assert Path(entry).name in project["project"]["scripts"]
    assert default == "run"
