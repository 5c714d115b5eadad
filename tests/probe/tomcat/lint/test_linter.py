"""One run over files: releases found, upgrades told, hosts looked at, everything unreadable at once."""

import socket
import zipfile
from pathlib import Path

import pytest
from support.clusters import ADDRESS, alone, channel, how_to

from probe.fields import ConfigError
from probe.tomcat.lint.host import host_facts
from probe.tomcat.lint.linter import Question, lint, list_rules
from probe.tomcat.lint.rule import RULES
from probe.tomcat.release import parse_release


def installed(folder: Path, text: str, number: str) -> Path:
    """Make an installation of a release with a server.xml; return the file."""
    for each in ("conf", "lib"):
        (folder / each).mkdir(parents=True)
    with zipfile.ZipFile(folder / "lib/catalina.jar", "w") as jar:
        jar.writestr("org/apache/catalina/util/ServerInfo.properties", f"server.number={number}\n")
    file = folder / "conf/server.xml"
    file.write_text(text)
    return file


def test_the_installation_is_asked(tmp_path: Path) -> None:
    """Each file is judged for the release of its own installation; --tomcat overrules."""
    old = installed(tmp_path / "old", how_to("7.0"), "7.0.109.0")
    new = installed(tmp_path / "new", how_to("7.0"), "8.5.90.0")
    report = lint(Question((old, new)))
    assert [str(node.release) for node in report.nodes] == ["7.0.109", "8.5.90"]
    assert report.origins == {str(file): str(file.parent.parent / "lib/catalina.jar") for file in (old, new)}
    assert {one.file for one in report.findings if one.rule == "class-removed"} == {str(new)}
    assert [one.rule for one in report.findings if one.rule == "mixed-releases"] == ["mixed-releases"]
    report = lint(Question((new,), release=parse_release("7.0")))
    assert (report.count("error"), report.origins) == (0, {str(new): "--tomcat"})


def test_a_base_without_its_home(tmp_path: Path) -> None:
    """A CATALINA_BASE has no jars: the JVM's options say where they are."""
    jar = installed(tmp_path / "home", "<Server/>", "10.1.56.0").parent.parent / "lib/catalina.jar"
    (tmp_path / "base").mkdir()
    file = tmp_path / "base/server.xml"
    file.write_text(alone())
    (tmp_path / "options").write_text(f"-Dcatalina.home={tmp_path}/home\n")
    report = lint(Question((file,), jvm_options=tmp_path / "options"))
    assert report.origins == {str(file): str(jar)}


def test_what_an_upgrade_breaks(tmp_path: Path) -> None:
    """Only what the newer release finds and the older does not is told, and that both cannot run at once."""
    file = tmp_path / "server.xml"
    file.write_text(how_to("7.0").replace('port="4000"', 'tcpListenPort="4000" prot="1"'))
    question = Question((file,), release=parse_release("9.0"), upgrade_from=parse_release("7.0"))
    assert [
        (one.rule, one.severity, one.place) for one in lint(question).findings if one.severity != "note"
    ] == [
        ("mixed-releases", "warning", "Cluster"),
        ("attribute-unknown", "error", "Receiver tcpListenPort"),
        ("class-removed", "error", "Interceptor className"),
        ("class-removed", "error", "ClusterListener className"),
    ]


def test_placeholders(tmp_path: Path) -> None:
    """catalina.properties beside the file and the JVM's options fill placeholders; the JVM's count more."""
    file = tmp_path / "server.xml"
    file.write_text(alone(channel('dropTime="${drop}"', 'address="${address}"')))
    (tmp_path / "catalina.properties").write_text("drop=150\naddress=10.0.0.1\n")
    (tmp_path / "setenv.sh").write_text('CATALINA_OPTS="-Ddrop=50"\n')
    question = Question((file,), jvm_options=tmp_path / "setenv.sh", release=parse_release("9.0"))
    (found,) = [one for one in lint(question).findings if one.severity == "error"]
    assert (found.rule, found.what.partition(":")[0]) == (
        "drop-time",
        "dropTime 50 ms is not above frequency 100 ms",
    )


def test_everything_unreadable_is_told_at_once(tmp_path: Path) -> None:
    """Each file that cannot be read is a line."""
    bad = tmp_path / "bad.xml"
    bad.write_text("<Server>")
    with pytest.raises(ConfigError) as error:
        lint(Question((tmp_path / "a.xml", bad), (tmp_path / "web.xml",), tmp_path / "options"))
    assert [problem.rpartition("/")[2] for problem in error.value.problems] == [
        "a.xml: cannot be read: No such file or directory",
        "bad.xml: is no XML: no element found: line 1",
        "web.xml: cannot be read: No such file or directory",
        "options: cannot be read: No such file or directory",
    ]


def test_this_host(tmp_path: Path) -> None:
    """What a file names is looked up on the host: loopback is its own, a documentation address is not."""
    facts = host_facts({"127.0.0.1", "::1", "192.0.2.1", "no address"}, {"no group"})
    assert facts.name == socket.gethostname()
    assert facts.local["127.0.0.1"]
    assert not facts.local["192.0.2.1"]
    assert facts.local.keys() == {"127.0.0.1", "::1", "192.0.2.1"}  # names are not looked up
    assert facts.routes == {}
    file = tmp_path / "server.xml"
    file.write_text(alone(channel(receiver='address="192.0.2.1"')))
    rules = {one.rule for one in lint(Question((file,), on_this_host=True)).findings}
    assert "receiver-not-local" in rules
    assert "receiver-not-local" not in {one.rule for one in lint(Question((file,))).findings}
    assert ADDRESS not in facts.local


def test_rules_are_listed() -> None:
    """Each rule is listed with its severity and one sentence."""
    rows = list(list_rules())
    assert [name for name, _, _ in rows] == list(RULES)
    assert {severity for _, severity, _ in rows} == {"error", "warning", "note"}
    assert not [says for _, _, says in rows if not says or says.endswith(".")]
