"""The runbooks: one for each alert, complete, and every command and query in them can be pasted."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml
from support.command import parsed
from support.prometheus import DEPLOY

FOLDER: Final = DEPLOY / "runbooks"
RULES: Final = yaml.safe_load((DEPLOY / "prometheus" / "tribes.rules.yml").read_text())
ALERTS: Final = [rule for each in RULES["groups"] for rule in each["rules"] if "alert" in rule]
NAMES: Final = list(dict.fromkeys(rule["alert"] for rule in ALERTS))
BOOKS: Final = {path.stem: path.read_text() for path in sorted(FOLDER.glob("Tribes*.md"))}
INDEX: Final = (FOLDER / "README.md").read_text()
HEADINGS: Final = ["Meaning", "Impact", "Diagnosis", "Mitigation", "What not to do"]
LONGEST: Final = 70
"""lines."""


def blocks(kind: str) -> list[tuple[str, str]]:
    """Return every block of a kind, with the runbook it is in."""
    found = re.compile(rf"^```{kind}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return [(name, block) for name, text in BOOKS.items() for block in found.findall(text)]


def commands() -> list[str]:
    """Return every use of the command, in a block or between backticks."""
    prose = "\n".join(
        re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE) for text in BOOKS.values()
    )
    lines = [line for _, block in blocks("bash") for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", prose)
    called = re.compile(r"(?:^|; |\| )(tribes-probe [a-z][^|;>)]*)")
    return sorted({found.strip() for line in lines for found in called.findall(line)})


def queries() -> list[tuple[str, str]]:
    """Return every line of PromQL, with its runbook."""
    return [(name, line) for name, block in blocks("promql") for line in block.splitlines()]


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    """The rules lead to the runbooks, the index to all of them, and each of them back."""
    assert set(BOOKS) == set(NAMES)
    assert {rule["annotations"]["runbook_url"] for rule in ALERTS} == {
        f"deploy/runbooks/{name}.md" for name in BOOKS
    }
    assert sorted(re.findall(r"^\| \[(\w+)\]\(\1\.md\)", INDEX, re.MULTILINE)) == sorted(BOOKS)
    assert all("(README.md)" in text for text in BOOKS.values())


def test_the_index_knows_each_severity() -> None:
    """It says of each alert what the rules say."""
    for name in NAMES:
        said = re.search(rf"^\| \[{name}\]\S+ \| ([a-z, ]+) \|", INDEX, re.MULTILINE)
        severities = {rule["labels"]["severity"] for rule in ALERTS if rule["alert"] == name}
        assert said
        assert set(said[1].split(", ")) == severities, name


@pytest.mark.parametrize("name", BOOKS)
def test_a_runbook_is_complete_and_short(name: str) -> None:
    """Its name, the five headings in their order, something below each, no more than a screen or so."""
    text = BOOKS[name]
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS
    for section in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]:
        assert len(section.strip()) > 50
    diagnosis = text.partition("## Diagnosis")[2].partition("## Mitigation")[0]
    assert "```bash" in diagnosis
    assert re.search(r"^- Do not|^- \*\*Restart no", text.partition("## What not to do")[2], re.MULTILINE)
    assert len(text.splitlines()) <= LONGEST


@pytest.mark.parametrize("name", [*BOOKS, "README"])
def test_every_link_leads_somewhere(name: str) -> None:
    """Links lead to files of the project; a heading that is meant is there."""
    for target in re.findall(r"\]\(([^)]+)\)", BOOKS.get(name, INDEX)):
        file, _, anchor = target.partition("#")
        found = (FOLDER / file).resolve()
        assert found.is_file(), target
        headings = {
            re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
        }
        assert not anchor or anchor in headings, target


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_probe_is_understood(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call of tribes-probe has a command, options and arguments that exist."""
    for name in ("group.pcap", "server.xml", "tribes-probe.yml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    name, *arguments = shlex.split(line)[1:]
    assert parsed(name, arguments) is not None


def test_there_are_commands_and_queries() -> None:
    """What the tests about them look at is really found."""
    assert {shlex.split(line)[1] for line in commands()} >= {"ping", "decode", "check"}
    assert len(queries()) > len(BOOKS)


@pytest.mark.parametrize(("name", "block"), blocks("bash"), ids=lambda text: text if text in BOOKS else "")
def test_a_block_is_shell(name: str, block: str) -> None:
    """Bash can read what is to be pasted."""
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), name


@pytest.mark.promtool
def test_the_queries_are_promql(tmp_path: Path) -> None:
    """Prometheus can read every query: they pass as the expressions of rules."""
    rules = [{"record": f"line:{number}:{name}", "expr": line} for number, (name, line) in enumerate(queries())]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_queries_ask_for_metrics_that_exist() -> None:
    """Every series that a runbook asks for is in the contract's golden, or recorded by the rules."""
    golden = (Path(__file__).parents[1] / "vectors" / "metrics.txt").read_text()
    recorded = {rule["record"] for each in RULES["groups"] for rule in each["rules"] if "record" in rule}
    for name, line in queries():
        for metric in re.findall(r"(?<![\w:])(?:\w+:)?tribes_\w+(?::\w+)?", line):
            assert metric in recorded or re.search(rf"^{metric}\b", golden, re.MULTILINE), (name, metric)


def test_nothing_private_and_no_registry_is_named() -> None:
    """No registry's host, no path of a developer's machine."""
    for text in (*BOOKS.values(), INDEX):
        assert not re.search(
            r"pypi\.org|docker\.io|ghcr\.io|quay\.io|registry\.|(?<![\w.])/(work|root|home)/", text
        )


def test_the_readme_lists_every_alert_with_its_severity() -> None:
    """The table of the README has each alert where the rules have it."""
    readme = (DEPLOY.parent / "README.md").read_text()
    for severity in ("critical", "warning"):
        (row,) = re.findall(rf"^\| {severity} \| (`Tribes.*) \|$", readme, re.MULTILINE)
        listed = re.findall(r"`(Tribes\w+)`", row)
        rules = [rule["alert"] for rule in ALERTS if rule["labels"]["severity"] == severity]
        assert sorted(listed) == sorted(rules)
