"""The README held against the program: what it lists is what there is, and what it shows is what happens."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from prometheus_client import parser
from support.command import parsed
from support.view import view

from probe.cli import COMMANDS
from probe.model.events import Kind
from probe.model.evidence import MemberState
from probe.model.presence import TRANSITIONS, Presence
from probe.model.verdict import ClusterState
from probe.model.views import ProbeView
from probe.surface.journal import _SEVERITY
from probe.surface.metrics import Exposition
from probe.surface.web import Source, Web

ROOT: Final = Path(__file__).parents[1]
README: Final = (ROOT / "README.md").read_text()
DOCUMENTS: Final = {name: (ROOT / name).read_text() for name in ("README.md", "CHANGELOG.md")}
LONGEST: Final = 810
"""lines."""
LARGEST_PICTURE: Final = 300_000
"""bytes."""
ELSEWHERE: Final = {"/etc/hosts", "/etc/systemd", "/etc/tribes-probe", "/opt/tribes-probe"}
"""Where an installed probe lives, and what its host has: not in the project."""


# -- generated parts


def between(name: str) -> str:
    """Return the part of the README between the markers of a name."""
    found = re.findall(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.DOTALL)
    assert len(found) == 1, f"README.md has {len(found)} parts marked <!-- {name} --> … <!-- /{name} -->"
    return str(found[0])


def draw_presence() -> str:
    """Draw the state machine; what tells no event is drawn without a word behind the trigger."""
    rows = ["```mermaid", "stateDiagram-v2", f"    [*] --> {Presence.UNHEARD}"]
    rows += [
        f"    {before} --> {after}: {trigger}" + (f" / {kind}" if kind else "")
        for (before, trigger), (after, kind) in TRANSITIONS.items()
    ]
    return "\n".join([*rows, "```", ""])


def list_metrics() -> str:
    """Write the table of metrics from an exposition, help and all."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for name, kind, labels, text in metrics():
        named = ", ".join(f"`{label}`" for label in labels)
        rows.append(f"| `{name}` | {kind} | {named} | {text} |")
    return "\n".join([*rows, ""])


def metrics() -> Iterator[tuple[str, str, list[str], str]]:
    """Yield name, type, labels and help of each metric of this project's own, as a scrape shows them."""
    chunks, _ = Exposition().render(view(), "")
    for family in parser.text_string_to_metric_families(b"".join(chunks).decode()):
        if not family.name.startswith("tribes_"):
            continue
        total = "_total" if family.type == "counter" else ""
        labels = list(dict.fromkeys(label for sample in family.samples for label in sample.labels))
        shown = sorted(set(labels) - {"le"}, key=lambda label: (label not in {"group", "member"}, label))
        yield family.name + total, family.type, shown, family.documentation


@pytest.mark.parametrize(
    ("name", "made"), [("presence", draw_presence), ("metrics", list_metrics)], ids=["presence", "metrics"]
)
def test_a_generated_part_is_what_is_generated(name: str, made: Any) -> None:
    """The diagram and the table of metrics in the README are those that the code spells today."""
    wanted = made()
    assert between(name) == wanted, (
        f"README.md is behind. Replace what stands between <!-- {name} --> and <!-- /{name} --> by:\n{wanted}"
    )


# -- lists


def rows(name: str) -> list[list[str]]:
    """Return the cells of a marked table, without its head."""
    lines = [line for line in between(name).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def words(cell: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def first_words(name: str) -> list[str]:
    """Return what the first column of a marked table names, in order."""
    return [word for row in rows(name) for word in words(row[0])]


@pytest.mark.parametrize(
    ("name", "there_are"),
    [
        ("member states", [state.value for state in MemberState]),
        ("cluster states", [state.value for state in ClusterState]),
        ("commands", list(COMMANDS)),
        ("events", [kind.value for kind in Kind]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_table_names_all_there_are(name: str, there_are: list[str]) -> None:
    """Every state, command and event is explained once, and none that does not exist."""
    assert sorted(first_words(name)) == sorted(there_are)


def test_each_row_has_as_many_cells_as_its_table() -> None:
    """No cell of a marked table is missing."""
    names = re.findall(r"<!-- /([a-z ]+) -->", README)
    for name in set(names) - {"presence", "layers", "speed table"}:
        assert len({len(row) for row in rows(name)}) == 1, name


def test_events_are_listed_with_their_level() -> None:
    """The level of each event is the one the log writes."""
    for kind, level, _ in rows("events"):
        assert level == _SEVERITY.get(Kind(words(kind)[0]), "info"), kind


def fields_of(struct: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield where each struct of the view stands in its JSON, and its fields."""
    yield path, list(struct.__struct_fields__)
    for name, hint in typing.get_type_hints(struct).items():
        is_many = typing.get_origin(hint) in {list, dict}
        inner = [each for each in (hint, *typing.get_args(hint)) if _is_struct(each)]
        for each in inner:
            mark = "" if not is_many else "[]" if typing.get_origin(hint) is list else "{}"
            yield from fields_of(each, f"{path}.{name}{mark}".removeprefix("."))


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def test_every_field_of_the_view_is_explained() -> None:
    """Each object of /api/v1/view has its place and all its fields in the table, and no others."""
    listed: dict[str, list[str]] = {}
    for place, field, _ in rows("view"):
        for path in words(place) or [""]:
            listed.setdefault(path, []).extend(words(field))
    assert {path: sorted(names) for path, names in listed.items()} == {
        path: sorted(names) for path, names in fields_of(ProbeView)
    }


async def test_every_endpoint_is_listed() -> None:
    """The table of endpoints has each route that is served, with its method."""

    class Nothing:
        async def view(self) -> ProbeView:
            return await asyncio.to_thread(view)

        def not_ready(self) -> str | None:
            return None

        async def reload(self) -> str | None:
            return None

        def forget(self, member: str, group: str | None = None) -> str:
            raise NotImplementedError

    nothing: Source = Nothing()
    routes = {
        f"{route.method} {route.resource.canonical}"
        for route in Web(nothing)._app().router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert set(first_words("endpoints")) == routes


def test_the_order_of_the_rooms_is_the_one_that_is_checked() -> None:
    """Who may import whom is said as import-linter is told."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    said = " > ".join(layer.replace("probe.", "") for layer in contract["layers"])
    assert between("layers").strip().strip("`") == said


# -- commands


class Shown(typing.NamedTuple):
    """A command line that the README shows, and the output it shows for it."""

    line: str
    output: str


def sessions() -> Iterator[list[Shown]]:
    """Yield the commands of each console block."""
    for block in re.findall(r"^```console\n(.*?)^```$", README, re.DOTALL | re.MULTILINE):
        parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
        yield [Shown(line, output) for line, output in zip(parts[1::2], parts[2::2], strict=True)]


def command_lines() -> list[str]:
    """Return every use of the command in a block or between backticks."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += [one.line for session in sessions() for one in session]
    lines += re.findall(r"`([^`\n]+)`", prose)
    called = re.compile(r"(?:^|\| |/bin/|\()(tribes-probe [a-z][^|>)]*)")
    return sorted({found[1].strip() for line in lines if (found := called.search(line))})


REPEATABLE: Final = [
    session
    for session in sessions()
    if all(
        re.match(r"(echo|tribes-probe (decode|lint|replay|version|check|simulate .*--write))\b", one.line)
        for one in session
    )
]
"""Sessions whose output is the same every time."""


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder that looks like the project, in which files may be left."""
    for name in ("deploy", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("server.xml", "web.xml", "user", "capture.pcap", "tribes-probe.yml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", command_lines())
@pytest.mark.usefixtures("checkout")
def test_a_command_line_is_understood(line: str) -> None:
    """Every call of tribes-probe in the README has a command, options and arguments that exist."""
    name, *arguments = shlex.split(line, comments=True)[1:]
    assert parsed(name, arguments) is not None


def test_there_are_command_lines_and_repeatable_sessions() -> None:
    """What the tests about them look at is really found."""
    assert {shlex.split(line)[1] for line in command_lines()} == set(COMMANDS)
    repeated = {
        one.line.partition("tribes-probe ")[2].split(" ")[0] for session in REPEATABLE for one in session
    }
    assert {"check", "decode", "lint", "replay", "version"} <= repeated


@pytest.mark.parametrize("session", REPEATABLE, ids=lambda session: session[-1].line.split()[1])
def test_a_session_goes_as_it_is_shown(session: list[Shown], checkout: Path) -> None:
    """Commands whose output does not depend on the hour print what is shown; … stands for more lines."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for line, output in session:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=checkout,
            env={**os.environ, "PATH": path, "TZ": "UTC"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=20,
            check=False,
        )
        wanted = "(?s:.*)".join(re.escape(part) for part in output.split("…\n"))
        assert re.fullmatch(wanted, done.stdout), f"$ {line}\n{done.stdout}"


# -- links and paths


def anchors() -> set[str]:
    """Return what the headings can be linked by."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", README, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    """Links lead to files of the project or to headings of the README."""
    for target in re.findall(r"\]\(([^)]+)\)", DOCUMENTS[name]):
        file, _, anchor = target.partition("#")
        assert not file or (ROOT / file).exists(), target
        assert not anchor or anchor in anchors(), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_that_is_named_exists(name: str) -> None:
    """Paths below the project's folders, between backticks, are really there."""
    for word in words(re.sub(r"^```.*?^```$", "", DOCUMENTS[name], flags=re.DOTALL | re.MULTILINE)):
        if re.fullmatch(r"(deploy|probe|protocols|tests|\.ci)/[\w./-]*", word):
            assert (ROOT / word).exists(), word


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_private_and_no_registry_is_named(name: str) -> None:
    """No registry's host, no path of a developer's machine."""
    text = DOCUMENTS[name]
    assert not re.search(r"pypi\.org|pythonhosted|docker\.io|ghcr\.io|quay\.io|gcr\.io|registry\.", text)
    paths = set(re.findall(r"(?<![\w.])/(?:etc|opt|root|work|home|tmp)/[\w-]+", text))
    assert paths <= ELSEWHERE


def test_it_stays_readable() -> None:
    """The README stays within its length, its picture within its size."""
    assert len(README.splitlines()) <= LONGEST
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert pictures
    assert all((ROOT / picture).stat().st_size < LARGEST_PICTURE for picture in pictures)
