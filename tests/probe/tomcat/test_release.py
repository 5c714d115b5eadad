"""A Tomcat's release: how it is written, ordered, and found in an installation."""

import zipfile
from pathlib import Path

import pytest

from probe.tomcat.release import BRANCHES, Release, _jars, find_release, first_of, parse_release


@pytest.mark.parametrize(
    ("text", "branch", "shown"),
    [
        ("9", "9.0", "9.0"),
        ("9.0", "9.0", "9.0"),
        ("9.0.113", "9.0", "9.0.113"),
        ("9.0.70.0", "9.0", "9.0.70"),
        ("10.1.0-M15", "10.1", "10.1.0-M15"),
        ("9.0.0.M1", "9.0", "9.0.0-M1"),
        ("8.0.0-RC5", "8.0", "8.0.0-M5"),
        ("main", "12.0", "12.0"),
    ],
)
def test_a_release_is_read(text: str, branch: str, shown: str) -> None:
    """Releases, branches and milestones are read as people and Tomcats write them."""
    release = parse_release(text)
    assert (release.branch, str(release)) == (branch, shown)


@pytest.mark.parametrize(
    "text", ["", "8", "10", "9.1", "5.5.20", "nine", "9.0.", "9.0.113 ", "9.0.99999", "٩.٠"]
)
def test_what_is_no_release_is_refused(text: str) -> None:
    """An unknown branch, or one that two numbers could mean, is refused with what to write."""
    with pytest.raises(ValueError, match=r"is no Tomcat release: write one of 6\.0, 7\.0"):
        parse_release(text)


def test_releases_are_ordered() -> None:
    """Milestones come before their release, a branch's end after all of it."""
    texts = ["8.5.100", "9.0.0-M1", "9.0.0-M27", "9.0.0", "9.0.13", "9.0.113", "9.0", "10.0.0-M1", "10.1.0-M1"]
    assert sorted(map(parse_release, texts)) == [parse_release(text) for text in texts]
    assert first_of("9.0") < parse_release("9.0.0-M1") < parse_release("9.0")
    assert [first_of(branch) for branch in BRANCHES] == sorted(first_of(branch) for branch in BRANCHES)
    assert str(first_of("8.5")) == "8.5"


@pytest.mark.parametrize(
    ("release", "has"),
    [
        ("7.0.99", False),
        ("7.0.100", True),
        ("7.0", True),
        ("8.0.53", False),
        ("8.5.37", False),
        ("8.5.38", True),
        ("9.0.12", False),
        ("9.0.13", True),
        ("10.0.0-M1", True),
        ("11.0", True),
    ],
)
def test_what_came_with_a_release(release: str, *, has: bool) -> None:
    """What several branches got at some release is in these from there on, and in every later branch."""
    since = (first_of("7.0.100"), first_of("8.5.38"), first_of("9.0.13"))
    assert parse_release(release).has(since) == has


def installation(
    folder: Path, info: str = "server.info=Apache Tomcat/9.0.70\nserver.number=9.0.70.0\n"
) -> Path:
    """Make as much of an installation as says its release; return its server.xml."""
    (folder / "lib").mkdir(parents=True)
    (folder / "conf").mkdir()
    with zipfile.ZipFile(folder / "lib/catalina.jar", "w") as jar:
        jar.writestr("org/apache/catalina/util/ServerInfo.properties", info)
    return folder / "conf/server.xml"


def test_an_installation_says_its_release(tmp_path: Path) -> None:
    """The catalina.jar beside conf says it."""
    file = installation(tmp_path)
    assert find_release(file) == (Release(9, 0, 70), tmp_path / "lib/catalina.jar")


@pytest.mark.parametrize(
    ("file", "home", "jars"),
    [
        ("/srv/one/conf/server.xml", "", ["/srv/one/lib/catalina.jar"]),
        ("/srv/one/conf/server.xml", "/opt/t", ["/opt/t/lib/catalina.jar", "/srv/one/lib/catalina.jar"]),
        (
            "/etc/tomcat9/server.xml",
            "",
            ["/etc/lib/catalina.jar", "/usr/share/tomcat9/lib/catalina.jar"],
        ),
    ],
)
def test_where_an_installation_is_looked_for(file: str, home: str, jars: list[str]) -> None:
    """At the home that is known, beside conf, and where Debian has it."""
    assert [str(jar) for jar in _jars(Path(file), home)] == jars


@pytest.mark.parametrize("info", ["", "server.number=unknown\n", "server.number=99.0.1.0\n"])
def test_an_installation_that_hides_it(tmp_path: Path, info: str) -> None:
    """A jar without a known number is as good as none."""
    assert find_release(installation(tmp_path, info)) is None


@pytest.mark.parametrize("data", [None, b"", b"PK\x03\x04 no jar", b"\0" * 65_536])
def test_what_is_no_installation(tmp_path: Path, data: bytes | None) -> None:
    """No jar, or a file that is none, is no error: the release is just not known."""
    if data is not None:
        (tmp_path / "lib").mkdir()
        (tmp_path / "lib/catalina.jar").write_bytes(data)
    assert find_release(tmp_path / "conf/server.xml") is None
