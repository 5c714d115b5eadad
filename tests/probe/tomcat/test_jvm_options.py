"""A JVM's options: what they set, from a list or from a shell's file."""

from pathlib import Path

import pytest

from probe.fields import ConfigError
from probe.tomcat.jvm_options import LARGEST_FILE, parse_jvm_options, read_jvm_options

SETENV = """#!/bin/sh
# CATALINA_OPTS="-Dcommented=out"
CATALINA_OPTS="$CATALINA_OPTS -Djava.net.preferIPv4Stack=true -Dnode.name='one two'"
export JAVA_OPTS="-server -Xmx1g -DjvmRoute=node1"
"""


@pytest.mark.parametrize(
    ("text", "properties"),
    [
        ("", {}),
        ("-Xmx1g\n-Dport=4000\n-Dport=4001\n", {"port": "4001"}),
        ("-Da -Db= -Dc=1", {"a": "", "b": "", "c": "1"}),
        ('-Dname="a b" -Dother=c', {"name": "a b", "other": "c"}),
        (
            SETENV,
            {"java.net.preferIPv4Stack": "true", "node.name": "one two", "jvmRoute": "node1"},
        ),
        ("--Dnone=1 x-Dnone=1", {}),
    ],
)
def test_properties_are_taken(text: str, properties: dict[str, str]) -> None:
    """Every -D counts, the last of a name; comments and other options do not."""
    assert parse_jvm_options(text) == properties


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """A file that is absent or too large is refused in one line."""
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_jvm_options(tmp_path / "absent")
    large = tmp_path / "large"
    large.write_bytes(bytes(LARGEST_FILE + 1))
    with pytest.raises(ConfigError, match="no file of JVM options"):
        read_jvm_options(large)
