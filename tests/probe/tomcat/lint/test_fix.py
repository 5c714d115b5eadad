"""A corrected file: what is safe is repaired where it stands, the rest is left as its author wrote it."""

import difflib
import os
import re
import stat
from pathlib import Path

import pytest
from support.clusters import (
    DETECTOR,
    HA,
    KEY,
    MISTAKES,
    TRIBES,
    alone,
    channel,
    how_to,
    interceptor,
    server,
    service,
)

from probe.fields import ConfigError
from probe.tomcat.document import parse_document, read_document
from probe.tomcat.lint.applications import check_web_xml
from probe.tomcat.lint.finding import Finding
from probe.tomcat.lint.fix import Fixed, fix, write
from probe.tomcat.lint.linter import judge
from probe.tomcat.lint.node import Node
from probe.tomcat.release import parse_release


def repaired(text: str, release: str = "8.5.90") -> Fixed:
    """Return a file after its safe findings were repaired."""
    document = parse_document("server.xml", text.encode())
    return fix(document, tuple(judge([Node(document, parse_release(release))])))


def changed(before: str, fixed: Fixed) -> list[str]:
    """Return the lines that differ, without their indentation."""
    after = fixed.document.text.decode()
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return [re.sub(r"^([+-])\s+", r"\1", line) for line in lines if line[:3] not in ("---", "+++", "@@ ")]


def test_the_how_to_of_7_0_on_8_5() -> None:
    """What an upgrade removed is exchanged or taken out; every other line stays as it was."""
    text = f"<!-- Größe -->\n{how_to('7.0')}\n<!-- end -->\n"
    fixed = repaired(text)
    dispatch = (
        '<Interceptor className="org.apache.catalina.tribes.group.interceptors.MessageDispatch{}Interceptor"/>'
    )
    assert changed(text, fixed) == [
        "-" + dispatch.format("15"),
        "+" + dispatch.format(""),
        '-<ClusterListener className="org.apache.catalina.ha.session.JvmRouteSessionIDBinderListener"/>',
    ]
    assert [one.rule for one in fixed.repaired] == ["class-removed", "class-removed"]
    assert {one.severity for one in fixed.left} == {"note"}


def test_several_repairs_of_one_element() -> None:
    """Attributes of one element are repaired side by side, and moved with it."""
    text = alone(
        channel(
            'frequency="500" dropTime="300" recoveryConter="3"',
            interceptors=DETECTOR + interceptor("EncryptInterceptor", f'encryptionKey="{KEY}"'),
        )
    )
    fixed = repaired(text)
    membership = f'<Membership className="{TRIBES}membership.McastService" frequency="500" '
    encrypt = f'<Interceptor className="{TRIBES}group.interceptors.EncryptInterceptor" encryptionKey="{KEY}"/>'
    assert changed(text, fixed) == [
        f'-{membership}dropTime="300" recoveryConter="3" address="239.255.0.4"/>',
        f'+{membership}dropTime="3000" recoveryCounter="3" address="239.255.0.4"/>',
        f"+{encrypt}",
        f"-{encrypt}",
    ]


def test_two_move_and_keep_their_order() -> None:
    """Two interceptors that must go up come out in the order in which they stood."""
    stack = DETECTOR + interceptor("OrderInterceptor") + interceptor("FragmentationInterceptor")
    kinds = re.findall(
        r"interceptors\.(\w+)", repaired(alone(channel(interceptors=stack))).document.text.decode()
    )
    assert kinds == ["OrderInterceptor", "FragmentationInterceptor", "TcpFailureDetector"]


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ('prot="4100"', 'prot="4100"'),  # it may be port that was meant, and it may not
        ('maxThread="9"', 'maxThreads="9"'),
        ('tcpListenPort="4100"', 'port="4100"'),
        ('tcpListenPort="4100" port="4200"', 'port="4200"'),
        ('whatever="1" autoBind="2"', 'autoBind="2"'),
    ],
)
def test_only_what_is_sure_is_repaired(written: str, becomes: str) -> None:
    """A name is exchanged if it can only mean one; what Tomcat ignores and nothing is like goes."""
    text = repaired(alone(channel(receiver=written))).document.text.decode()
    assert f'NioReceiver" address="10.77.0.11" {becomes}/>' in text


@pytest.mark.parametrize("name", MISTAKES)
def test_a_second_run_has_nothing_to_do(name: str) -> None:
    """What --fix made is not changed again, and is not worse than what it was made of."""
    mistake = MISTAKES[name]
    release = mistake.branches[-1]
    once = repaired(mistake.text, release)
    twice = repaired(once.document.text.decode(), release)
    assert twice.document.text == once.document.text
    assert len(_bad(twice.left)) <= len(_bad((*once.left, *once.repaired)))


def _bad(findings: tuple[Finding, ...]) -> list[Finding]:
    return [one for one in findings if one.severity == "error"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<web-app>\n  <servlet/>\n</web-app>", "<web-app>\n  <distributable/>\n  <servlet/>\n</web-app>"),
        (
            "<web-app>\r\n\t<display-name>a</display-name>\r\n\t<servlet/>\r\n</web-app>",
            "<web-app>\r\n\t<display-name>a</display-name>\r\n\t<distributable/>\r\n\t<servlet/>\r\n</web-app>",
        ),
        ("<web-app><servlet/></web-app>", "<web-app><distributable/><servlet/></web-app>"),
        ("<web-app></web-app>", "<web-app><distributable/></web-app>"),
    ],
)
def test_an_application_becomes_distributable(before: str, after: str) -> None:
    """The element is put where web.xml takes it, on a line of its own where the others have one."""
    document = parse_document("web.xml", before.encode())
    found = tuple(check_web_xml(document))
    assert [one.rule for one in found] == ["not-distributable"]
    assert fix(document, found).document.text.decode() == after
    assert list(check_web_xml(parse_document("web.xml", after.encode()))) == []


def test_namespaces_of_web_xml() -> None:
    """A web.xml with a prefix is read as one."""
    text = '<j:web-app xmlns:j="https://jakarta.ee/xml/ns/jakartaee"><j:distributable/></j:web-app>'
    assert list(check_web_xml(parse_document("web.xml", text.encode()))) == []


# -- writing


BAD = server(service(f'\n<Cluster className="{HA}tcp.SimpleTcpCluster" channelSendOptons="6"/>'))
GOOD = BAD.replace("Optons", "Options")


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    file = tmp_path / "server.xml"
    file.write_text(BAD)
    return file


def written(file: Path, *, in_place: bool) -> Path:
    """Repair a file and write it."""
    document = read_document(file)
    return write(fix(document, tuple(judge([Node(document, parse_release("9.0"))]))), in_place=in_place)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_copy_beside(file: Path, mode: int) -> None:
    """The copy is beside the original, with its mode; the original is not touched, nothing else is left."""
    file.chmod(mode)
    target = written(file, in_place=False)
    assert (target, target.read_text(), file.read_text()) == (file.with_name("server.xml.fixed"), GOOD, BAD)
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert sorted(path.name for path in file.parent.iterdir()) == ["server.xml", "server.xml.fixed"]


def test_in_place(file: Path) -> None:
    """In place, the file is exchanged at once; a link to it stays one."""
    link = file.with_name("link.xml")
    link.symlink_to(file)
    before = file.stat().st_ino
    assert written(link, in_place=True) == file
    assert (file.read_text(), link.is_symlink()) == (GOOD, True)
    assert file.stat().st_ino != before


def test_a_planted_link_is_not_followed(file: Path) -> None:
    """A link that stands where the copy goes is replaced, not written through."""
    secret = file.with_name("secret")
    secret.write_text("secret")
    file.with_name("server.xml.fixed").symlink_to(secret)
    written(file, in_place=False)
    assert secret.read_text() == "secret"
    assert not file.with_name("server.xml.fixed").is_symlink()


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1"])
def test_the_encoding_stays(file: Path, encoding: str) -> None:
    """A file is written in the encoding that it had."""
    text = BAD.replace("UTF-8", encoding).replace("<Service", "<!-- ü --><Service")
    file.write_bytes(text.encode(encoding))
    assert written(file, in_place=True).read_bytes() == text.replace("Optons", "Options").encode(encoding)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(file: Path) -> None:
    """A copy that cannot be made is told in one line."""
    file.parent.chmod(0o500)
    with pytest.raises(ConfigError, match="cannot be written"):
        written(file, in_place=False)


def test_a_target_that_cannot_be(file: Path) -> None:
    """A folder in the copy's place is told in one line, and nothing is left behind."""
    file.with_name("server.xml.fixed").mkdir()
    with pytest.raises(ConfigError, match="cannot be written: Is a directory"):
        written(file, in_place=False)
    assert sorted(path.name for path in file.parent.iterdir()) == ["server.xml", "server.xml.fixed"]
