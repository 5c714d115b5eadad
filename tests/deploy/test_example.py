"""The example of the settings: it loads, it leaves everything at its default, and it leaves nothing out."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from probe.config import (
    BasicAuth,
    BeliefSource,
    Group,
    Log,
    Login,
    Peer,
    PeerTls,
    ReceiverCheck,
    SessionNode,
    Sessions,
    Settings,
    Web,
    load,
)

EXAMPLE = Path(__file__).parents[2] / "deploy" / "tribes-probe.yml"
SWITCHED_OFF = re.compile(r"^( *)#(?=(- )?[a-z_]+:)", re.MULTILINE)
"""A hash with a setting right behind it; prose has a space between."""

SERVER_XML = '<Server><Cluster className="org.apache.catalina.ha.tcp.SimpleTcpCluster"/></Server>'


@pytest.fixture(name="everything")
def _everything(tmp_path: Path) -> Path:
    """Return a copy with every setting switched on."""
    (tmp_path / "server.xml").write_text(SERVER_XML)
    copy = tmp_path / "tribes-probe.yml"
    copy.write_text(SWITCHED_OFF.sub(r"\1", EXAMPLE.read_text()))
    return copy


def settings_of(struct: type[msgspec.Struct]) -> set[str]:
    """Return what a struct's fields are called in the file."""
    written = set(struct.__struct_fields__)
    if struct is Group:
        written -= {"origins", "clusters", "expected_count"}  # made while reading; the other form of expected
        written |= {"server_xml"}
    return written


def test_the_example_changes_nothing() -> None:
    """The file as it stands says what the probe does without one."""
    settings = load(EXAMPLE)
    group = msgspec.structs.replace(settings.groups[0], origins={})
    assert msgspec.structs.replace(settings, groups=(group,)) == Settings()


@pytest.mark.parametrize(
    ("struct", "place"),
    [
        (Settings, ()),
        (Group, ("groups", 0)),
        (ReceiverCheck, ("groups", 0, "receiver_check")),
        (BeliefSource, ("groups", 0, "belief", 0)),
        (PeerTls, ("groups", 0, "belief", 0, "tls")),
        (Sessions, ("groups", 0, "sessions")),
        (Login, ("groups", 0, "sessions", "login")),
        (PeerTls, ("groups", 0, "sessions", "tls")),
        (BasicAuth, ("groups", 0, "sessions", "basic_auth")),
        (Peer, ("peers", 0)),
        (PeerTls, ("peers", 0, "tls")),
        (BasicAuth, ("peers", 0, "basic_auth")),
        (Web, ("web",)),
        (Log, ("log",)),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_every_setting_occurs(everything: Path, struct: type[msgspec.Struct], place: tuple[Any, ...]) -> None:
    """Each struct's settings stand in the file, and no others."""
    found = yaml.safe_load(everything.read_text())
    for step in place:
        found = found[step]
    assert set(found) == settings_of(struct)


def test_every_setting_of_a_node_occurs(everything: Path) -> None:
    """One has a name, the other a route."""
    nodes = yaml.safe_load(everything.read_text())["groups"][0]["sessions"]["nodes"]
    assert {key for node in nodes for key in node} == settings_of(SessionNode)


def test_what_is_switched_off_is_right_too(everything: Path) -> None:
    """The file with every setting switched on loads, and each of them takes effect."""
    settings = load(everything)
    (group,) = settings.groups
    assert group.interfaces == ("eth0",)
    assert group.domain == b"shop"
    assert group.expected == {"10.0.0.1:4000", "10.0.0.2:4000"}
    assert group.static_members == {"10.0.0.9:4000"}
    (source,) = group.belief
    assert (source.url, source.member) == ("https://127.0.0.1:8443/manager/jmxproxy", "10.0.0.1:4000")
    assert group.sessions is not None
    assert [node.name for node in group.sessions.nodes] == ["a", "b"]
    assert group.sessions.login is not None
    default = Sessions()
    for name in ("cookie", "interval", "timeout", "give_up"):  # what is said to be a default is one
        assert getattr(group.sessions, name) == getattr(default, name)
    (peer,) = settings.peers
    assert (peer.name, peer.role) == ("b", "local")
    assert settings.web.config_file == "/etc/tribes-probe/web.yml"


def test_auto_asks_as_the_server_xml_allows(everything: Path) -> None:
    """A level of auto leaves the choice to the server.xml of the group."""
    assert load(everything).groups[0].receiver_check.level == "ack"
