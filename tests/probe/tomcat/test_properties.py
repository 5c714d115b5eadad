"""catalina.properties and placeholders: read as java.util.Properties and Tomcat's Digester do."""

from pathlib import Path

import pytest

from probe.fields import ConfigError
from probe.tomcat.properties import LARGEST_FILE, parse_properties, read_properties, resolve, unresolved


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", {"a": "1"}),
        ("a = 1", {"a": "1"}),
        ("a: 1", {"a": "1"}),
        ("a 1", {"a": "1"}),
        ("  a=1  ", {"a": "1  "}),
        ("a=", {"a": ""}),
        ("a", {"a": ""}),
        ("a.b=x=y", {"a.b": "x=y"}),
        ("a=1\na=2", {"a": "2"}),
        ("a=1\r\nb=2\rc=3", {"a": "1", "b": "2", "c": "3"}),
        ("# a=1\n! b=2\n  # c=3\nd=4", {"d": "4"}),
        ("", {}),
        ("a=1,\\\n   2,\\\r\n   3", {"a": "1,2,3"}),
        ("# a=1,\\\nb=2", {"b": "2"}),
        ("a=1\\\n# b", {"a": "1# b"}),
        ("a=C:\\\\tomcat\\\\", {"a": "C:\\tomcat\\"}),
        ("a\\ b\\=c=1", {"a b=c": "1"}),
        ("a=\\u00fcber\\tx\\n\\q", {"a": "über\tx\nq"}),
        ("a=1\x85b=2", {"a": "1\x85b=2"}),
    ],
)
def test_properties_are_those_of_java(text: str, expected: dict[str, str]) -> None:
    """Separators, comments, continued lines and escapes are what java.util.Properties makes of them."""
    assert parse_properties(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("${port}", "45570"),
        ("x${port}y${port}z", "x45570y45570z"),
        ("${indirect}", "45570"),
        ("${missing:-7}", "7"),
        ("${missing:-${port}}", "45570"),
        ("${port:-7}", "45570"),
        ("${missing:-}", ""),
        ("${with:-dash}", "whole name"),
        ("${missing}", "${missing}"),
        ("${port", "${port"),
        ("$port {port}", "$port {port}"),
        ("${self}", "${self}"),
    ],
)
def test_placeholders_are_replaced_as_far_as_known(value: str, expected: str) -> None:
    """A placeholder takes its property, through others too, else its default, else it stays."""
    known = {"port": "45570", "indirect": "${port}", "self": "${self}", "with:-dash": "whole name"}
    assert resolve(value, known) == expected


def test_what_grows_when_replaced_ends() -> None:
    """Properties that name themselves or multiply end soon, and stay small."""
    doubling = {"a": "${a}${a}"}
    assert len(resolve("${a}", doubling)) <= 2 * LARGEST_FILE
    huge = {"a": "${b}" * 100_000, "b": "x" * 500_000}
    assert len(resolve("${a}", huge)) <= 2 * LARGEST_FILE


@pytest.mark.parametrize(("value", "name"), [("a", None), ("${a.b}c", "a.b"), ("${a", None), ("$a", None)])
def test_what_is_left_is_named(value: str, name: str | None) -> None:
    """The first placeholder that is still there is told by its name."""
    assert unresolved(value) == name


def test_a_file_that_is_not_there_has_no_properties(tmp_path: Path) -> None:
    """Without a catalina.properties there are simply none."""
    assert read_properties(tmp_path / "catalina.properties") == {}


def test_a_file_is_read_as_java_does(tmp_path: Path) -> None:
    """The file is ISO-8859-1, as Java's are."""
    path = tmp_path / "catalina.properties"
    path.write_bytes(b"domain=\xfcber")
    assert read_properties(path) == {"domain": "über"}


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """A folder and a file too large are told in one line each."""
    large = tmp_path / "catalina.properties"
    large.write_bytes(bytes(LARGEST_FILE + 1))
    for path, reason in (
        (tmp_path, "cannot be read: Is a directory"),
        (large, "is larger than 1048576 bytes: no properties file"),
    ):
        with pytest.raises(ConfigError) as refused:
            read_properties(path)
        assert refused.value.problems == (f"{path}: {reason}",)
