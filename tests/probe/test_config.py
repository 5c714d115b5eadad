"""The settings file: its defaults, its values, and one file for every mistake with the line it earns."""

from pathlib import Path

import msgspec
import pytest

from probe.config import (
    LARGEST_FILE,
    BasicAuth,
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
    state_directory,
)
from probe.fields import ConfigError, duration, host_port, listen_address, shown

SERVER_XML = """<Server>
  <Cluster className="org.apache.catalina.ha.tcp.SimpleTcpCluster">
    <Channel className="org.apache.catalina.tribes.group.GroupChannel">
      <Membership className="org.apache.catalina.tribes.membership.McastService"
                  address="{address}" port="45570" frequency="{frequency}" dropTime="6000" domain="shop"/>
      <Receiver className="org.apache.catalina.tribes.transport.nio.NioReceiver" port="{port}" autoBind="10"/>
      {interceptors}
    </Channel>
  </Cluster>
</Server>
"""


def server_xml(
    path: Path, address: str = "228.0.0.9", frequency: int = 750, port: int = 5000, interceptors: str = ""
) -> Path:
    """Write a Tomcat's file."""
    text = SERVER_XML.format(address=address, frequency=frequency, port=port, interceptors=interceptors)
    path.write_text(text)
    return path


def said(path: Path, text: str | bytes) -> list[str]:
    """Return the mistakes in a settings file of this text, with the file called FILE."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as refused:
        load(path)
    return [
        problem.replace(str(path), "FILE").replace(str(path.parent), "DIR")
        for problem in refused.value.problems
    ]


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "tribes-probe.yml"


# -- what is taken


def test_without_a_file_tomcats_default_group_is_watched() -> None:
    """No file at all means 228.0.0.4:45564 on every interface, and the page on port 10564."""
    settings = load()
    (group,) = settings.groups
    assert (group.name, group.address, group.port) == ("228.0.0.4:45564", "228.0.0.4", 45564)
    assert (group.frequency, group.drop_time, group.interfaces) == (0.5, 3.0, ())
    assert group.receiver_check.level == "auto"
    assert settings.web.listen_addresses == (":10564",)
    assert settings == Settings()


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "groups:\n", "groups: []\n", "{}"])
def test_an_empty_file_means_the_defaults(file: Path, text: str) -> None:
    """A file that says nothing changes nothing."""
    file.write_text(text)
    assert load(file) == Settings()


def test_every_setting_is_taken(file: Path) -> None:
    """Each value of a full file arrives, durations in seconds, addresses in their one spelling."""
    file.write_text(
        """
groups:
  - name: shop
    address: ff15:0::0004
    port: 45565
    interfaces: eth1
    frequency: 250ms
    drop_time: 1.5s
    domain: "{1,-2,3}"
    expected: ["10.0.0.1:4000", "[2001:DB8:0::7]:4001"]
    static_members: ["10.0.0.9:4000"]
    receiver_check:
      level: ack
      interval: 1m
      timeout: 2s
      allowed_networks: [on-link, 10.0.0.0/8, "2001:db8::/32"]
      allowed_ports: 5000
      option_flag: 256
  - address: 239.1.2.3
    expected: 3
    expect: learned
    learn_after: 90m
    receiver_check: {level: off}
forget_after: 2d
state_directory: state
role: local
peers:
  - url: https://10.0.0.2:10564/
    name: b
    role: remote
    tls: {ca_file: ca.pem, cert_file: /etc/cert.pem, key_file: key.pem}
    basic_auth: {username: probe, password_file: password}
  - url: http://[2001:db8::7]:10564
web: {listen_addresses: ["127.0.0.1:0", "[::1]:9999"], telemetry_path: /m, config_file: web.yml}
log: {level: debug, format: json}
"""
    )
    settings = load(file)
    first, second = (msgspec.structs.replace(group, origins={}) for group in settings.groups)
    assert first == Group(
        name="shop",
        address="ff15::4",
        port=45565,
        interfaces=("eth1",),
        frequency=0.25,
        drop_time=1.5,
        domain=b"\x01\xfe\x03",
        expected=frozenset({"10.0.0.1:4000", "[2001:db8::7]:4001"}),
        static_members=frozenset({"10.0.0.9:4000"}),
        receiver_check=ReceiverCheck(
            level="ack",
            interval=60.0,
            timeout=2.0,
            allowed_networks=("on-link", "10.0.0.0/8", "2001:db8::/32"),
            allowed_ports=(5000, 5000),
            option_flag=256,
        ),
    )
    assert second == Group(
        name="239.1.2.3:45564",
        address="239.1.2.3",
        expected_count=3,
        expect="learned",
        learn_after=5400.0,
        receiver_check=ReceiverCheck(level="off"),
    )
    assert settings.forget_after == 172_800.0
    assert settings.role == "local"
    folder = file.parent
    assert settings.state_directory == str(folder / "state")
    assert settings.peers == (
        Peer(
            "https://10.0.0.2:10564",
            "b",
            "remote",
            PeerTls(f"{folder}/ca.pem", "/etc/cert.pem", f"{folder}/key.pem"),
            BasicAuth("probe", f"{folder}/password"),
        ),
        Peer("http://[2001:db8::7]:10564", "[2001:db8::7]:10564"),
    )
    assert settings.web == Web(("127.0.0.1:0", "[::1]:9999"), "/m", str(file.parent / "web.yml"))
    assert settings.log == Log("debug", "json")


def test_the_model_is_told_what_it_needs() -> None:
    """A group's rules tell static members from expected ones, and know whether anybody asks."""
    group = Group(
        expected=frozenset({"10.0.0.1:4000"}),
        static_members=frozenset({"10.0.0.9:4000"}),
        receiver_check=ReceiverCheck(level="off"),
    )
    rules = group.rules(60.0)
    assert rules.expected == {"10.0.0.1:4000"}
    assert rules.static == {"10.0.0.9:4000"}
    assert rules.forget_after == 60.0
    assert not rules.asks
    assert Group().rules(60.0).asks
    assert Group(learn_after=60.0).rules(60.0).learn_after is None
    assert Group(expect="learned", learn_after=60.0).rules(60.0).learn_after == 60.0


@pytest.mark.parametrize(
    ("written", "environment", "folder"),
    [
        (None, {}, None),
        (None, {"STATE_DIRECTORY": ""}, None),
        (None, {"STATE_DIRECTORY": "/var/lib/tribes-probe"}, "/var/lib/tribes-probe"),
        (None, {"STATE_DIRECTORY": "/var/lib/one:/var/lib/two"}, "/var/lib/one"),
        ("/srv", {"STATE_DIRECTORY": "/var/lib/tribes-probe"}, "/srv"),
    ],
)
def test_where_the_state_is_kept(written: str | None, environment: dict[str, str], folder: str | None) -> None:
    """Where the settings say, else in the first folder of systemd's, else nowhere."""
    found = state_directory(Settings(state_directory=written), environment)
    assert found == (Path(folder) if folder is not None else None)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("500ms", 0.5),
        ("3s", 3.0),
        ("1.5m", 90.0),
        ("1h", 3600.0),
        ("2d", 172_800.0),
        ("0s", 0.0),
        (0, 0.0),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    """A duration is a number with its unit; nothing but zero goes without one."""
    assert duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["3", 3, 0.5, "", "s", "3 s", "-1s", "1e3s", "inf", "3sec", "1m30s", "9" * 400 + "s", None, True, []],
)
def test_what_is_no_duration(written: object) -> None:
    """Anything else is refused with examples of what to write."""
    with pytest.raises(ValueError, match=r"such as 500ms, 3s, 1m or 1h$"):
        duration(written)


@pytest.mark.parametrize(
    "written",
    ["10.0.0.1", "10.0.0.1:", ":4000", "10.0.0.1:0", "10.0.0.1:65536", "host:1", "::1:4000", "1.1.1.1:4_0", 7],
)
def test_what_is_no_member(written: object) -> None:
    """A member is address:port, IPv6 in brackets, and nothing else."""
    with pytest.raises(ValueError, match=r"is no member: write address:port, such as 10.0.0.1:4000$"):
        host_port(written)


@pytest.mark.parametrize("written", ["", "10564", "localhost", ":http", ":65536", "127.0.0.1:-1", 10564, None])
def test_what_is_no_listen_address(written: object) -> None:
    """A listen address has a colon and a port behind it."""
    with pytest.raises(ValueError, match=r"is no listen address: write :10564, 127.0.0.1:10564 or"):
        listen_address(written)


def test_a_mistake_is_shown_short_and_printable() -> None:
    """Whatever stands in a file, its message is one short line of text."""
    assert shown("a\nb\x1b[31m") == "\"'a\\nb\\x1b[31m'\""
    assert len(shown("x" * 10_000)) < 70


# -- mistakes

G = "groups:\n  - "
P = "peers:\n- "
NO_MULTICAST = "is no multicast address: 224.0.0.0 to 239.255.255.255, or ff00::/8"
NO_LISTEN_ADDRESS = "is no listen address: write :10564, 127.0.0.1:10564 or [::1]:10564"
NO_DURATION = "is no duration: write a number with its unit, such as 500ms, 3s, 1m or 1h"
OF_A_GROUP = (
    "address, belief, domain, drop_time, expect, expected, frequency, interfaces, learn_after, links, name, "
    "port, receiver_check, server_xml, sessions, static_members"
)
B = G + "belief:\n    - "
J = "http://127.0.0.1:8080/manager/jmxproxy"
NO_JMXPROXY = f"is no address of a Manager's jmxproxy: write {J}"
MORE_THAN_JMXPROXY = "says more than the address: end it after jmxproxy"
KEYS = "username and password_file"
S = "groups: [{sessions: "
NODES = "nodes: [{url: 'http://a/'}, {url: 'http://b/'}]"
NO_PAGE = "is no address of a page: write http://10.0.0.1:8080/shop/"
NO_PATH = "is no path on a node: write /shop/logout"
OF_SESSIONS = (
    "basic_auth, cookie, expect_same, give_up, header_files, headers, host, interval, login, logout, nodes, "
    "route_cookie, timeout, tls"
)
SESSION_MISTAKES = [
    ("nodes: []", ".nodes: 0 are given: name from 2 to 8"),
    ("nodes: [{url: 'http://a/'}]", ".nodes: 1 are given: name from 2 to 8"),
    ("nodes: [{url: 'a:8080'}, {url: 'http://b/'}, {url: 'http://c/'}]", f'.nodes[0].url: "a:8080" {NO_PAGE}'),
    (
        "nodes: [{url: 'http://u:p@a/'}, {url: 'http://b/'}, {url: 'http://c/'}]",
        ".nodes[0].url: holds a name or a password: write them under basic_auth",
    ),
    (
        "nodes: [{url: 'http://a/;x=1'}, {url: 'http://b/'}, {url: 'http://c/'}]",
        '.nodes[0].url: "http://a/;x=1" has a ; or a #: name the page alone',
    ),
    (
        "nodes: [{url: 'http://a/', name: x}, {url: 'http://b/', name: x}]",
        '.nodes[1].name: "x" is another node\'s too: give each its own',
    ),
    (
        "nodes: [{url: 'http://a/', name: x}, {url: 'http://a/', name: y}]",
        ".nodes[1].url: is another node's too: behind a balancer give each its route",
    ),
    (NODES + ", give_up: 30s", ".give_up: 30s is not below interval 30s"),
    (NODES + ", timeout: 1m", ".timeout: 60s is not below interval 30s"),
    (NODES + ", cookie: 'a b'", '.cookie: "a b" is no such name: letters, digits, - and _'),
    (
        NODES + ", expect_same: '('",
        '.expect_same: "(" is no regular expression: missing ), unterminated subpattern at position 0',
    ),
    (NODES + ", logout: bye", f'.logout: "bye" {NO_PATH}'),
    (NODES + ", logout: '/a;b'", f'.logout: "/a;b" {NO_PATH}'),
    (NODES + ", host: 'a/b'", '.host: "a/b" is no host: write shop.example.org'),
    (NODES + ", headers: [a]", ".headers: \"['a']\" is no mapping: write name: value lines"),
    (NODES + ", headers: {Cookie: x}", '.headers: "Cookie": Cookie is the probe\'s own: it cannot be set here'),
    (
        NODES + ', headers: {X-A: "a\\nb"}',
        '.headers: "X-A": has signs that a header cannot hold: write plain ASCII',
    ),
    (NODES + ", header_files: {X-A: 1}", '.header_files: "X-A": "1" is no text: quote it'),
    (NODES + ", login: {path: /in}", ".login.fields: is missing: login needs the form's path and its fields"),
    (NODES + ", login: {path: in, fields: {a: b}}", f'.login.path: "in" {NO_PATH}'),
    (NODES + ", tls: {ca_file: ca.pem}", ".tls: is given, but no url is https"),
    (
        NODES + ", basic_auth: {username: a}",
        ".basic_auth.password_file: is missing: basic_auth needs username and password_file",
    ),
    (NODES + ", every: 1s", f".every: unknown setting: known are {OF_SESSIONS}"),
]
NOT_ALLOWED = 'special characters are not allowed in "<byte string>", position 0'
HOST_BITS = "is no network: 9.0.0.1/8 has host bits set"
NO_TAG = "could not determine a constructor for the tag 'tag:yaml.org,2002:python/object:os.system'"
NO_PROBE = "is no address of a probe: write http://10.0.0.2:10564"
MISTAKES = [
    (G + "belief: x", 'FILE: groups[0].belief: "x" is no list: begin each item with a dash'),
    (B + "{username: x, password_file: y}", f"FILE: groups[0].belief[0].url: is missing: write {J}"),
    (B + "url: 127.0.0.1:8080", f'FILE: groups[0].belief[0].url: "127.0.0.1:8080" {NO_JMXPROXY}'),
    (
        B + "url: 'http://b:8080/manager'",
        f'FILE: groups[0].belief[0].url: "http://b:8080/manager" {NO_JMXPROXY}',
    ),
    (B + "url: 'ftp://b/jmxproxy'", f'FILE: groups[0].belief[0].url: "ftp://b/jmxproxy" {NO_JMXPROXY}'),
    (
        B + "url: 'http://b/a b/jmxproxy'",
        f'FILE: groups[0].belief[0].url: "http://b/a b/jmxproxy" {NO_JMXPROXY}',
    ),
    (
        B + "url: 'http://b/jmxproxy?qry=*:*'",
        f'FILE: groups[0].belief[0].url: "http://b/jmxproxy?qry=*:*" {MORE_THAN_JMXPROXY}',
    ),
    (
        B + "url: 'http://me:secret@b/manager/jmxproxy'",
        f"FILE: groups[0].belief[0].url: holds a name or a password: write them under {KEYS}",
    ),
    (
        B + f"{{url: '{J}', member: node1}}",
        'FILE: groups[0].belief[0].member: "node1" is no member: write address:port, such as 10.0.0.1:4000',
    ),
    (
        B + f"{{url: '{J}', username: x}}",
        "FILE: groups[0].belief[0].password_file: is missing: username needs it",
    ),
    (
        B + f"{{url: '{J}', password_file: x}}",
        "FILE: groups[0].belief[0].username: is missing: password_file needs it",
    ),
    (
        B + f"{{url: '{J}', tls: {{ca_file: x}}}}",
        f"FILE: groups[0].belief[0].tls: is given, but {J} is not https",
    ),
    (
        B + f"{{url: '{J}', password: x}}",
        'FILE: groups[0].belief[0].password: unknown setting: did you mean "password_file"?',
    ),
    (
        G + f"belief: [{{url: '{J}'}}, {{url: '{J}/'}}]",
        f'FILE: groups[0].belief[1].url: "{J}" is read already: take one out',
    ),
    (
        G
        + f"belief: [{{url: '{J}', member: '10.0.0.1:1'}}, {{url: 'http://b/jmxproxy', member: '10.0.0.1:1'}}]",
        'FILE: groups[0].belief[1].member: "10.0.0.1:1" is read already: take one out',
    ),
    (
        G + "belief: [" + ", ".join(f"{{url: 'http://b{i}/jmxproxy'}}" for i in range(65)) + "]",
        "FILE: groups[0].belief: 65 are more than the 64 that are read",
    ),
    ("gruops: []", 'FILE: gruops: unknown setting: did you mean "groups"?'),
    (
        "zzz: 1",
        "FILE: zzz: unknown setting: known are forget_after, groups, log, peers, role, state_directory, web",
    ),
    (G + "expect: everybody", 'FILE: groups[0].expect: "everybody" is none of listed, learned'),
    (G + "learn_after: 0s", 'FILE: groups[0].learn_after: "0s" is not above zero'),
    ("state_directory: 3", 'FILE: state_directory: "3" is no text: quote it'),
    (
        G + "adress: 228.0.0.4",
        'FILE: groups[0].adress: unknown setting: did you mean "address"?',
    ),
    (
        G + "receiver_check: {intervall: 1s}",
        'FILE: groups[0].receiver_check.intervall: unknown setting: did you mean "interval"?',
    ),
    (
        "web: {listen_address: ':1'}",
        'FILE: web.listen_address: unknown setting: did you mean "listen_addresses"?',
    ),
    ("role: observer", 'FILE: role: "observer" is none of local, segment, remote'),
    (
        "peers: http://10.0.0.2:10564",
        'FILE: peers: "http://10.0.0.2:10564" is no list: begin each item with a dash',
    ),
    (P + "name: b", "FILE: peers[0].url: is missing: write http://10.0.0.2:10564"),
    (P + "url: 10.0.0.2:10564", f'FILE: peers[0].url: "10.0.0.2:10564" {NO_PROBE}'),
    (P + "url: 'http://10.0.0.2:x'", f'FILE: peers[0].url: "http://10.0.0.2:x" {NO_PROBE}'),
    (P + "url: 'http://:10564'", f'FILE: peers[0].url: "http://:10564" {NO_PROBE}'),
    (
        P + "url: 'http://me:secret@b:10564'",
        "FILE: peers[0].url: holds a name or a password: write them under basic_auth",
    ),
    (
        P + "url: 'http://b:10564/api/v1/view'",
        'FILE: peers[0].url: "http://b:10564/api/v1/view" says more than the address: write http://b:10564',
    ),
    (P + "{url: 'http://b', role: far}", 'FILE: peers[0].role: "far" is none of local, segment, remote'),
    (
        P + "{url: 'http://b', name: here}",
        'FILE: peers[0].name: "here" is no name for a peer: one short line, and not here',
    ),
    (
        P + "{url: 'http://b', tls: {ca_file: ca.pem}}",
        "FILE: peers[0].tls: is given, but http://b is not https",
    ),
    (
        P + "{url: 'https://b', tls: {cert_file: cert.pem}}",
        "FILE: peers[0].tls.key_file: is missing: cert_file needs it",
    ),
    (
        P + "{url: 'https://b', basic_auth: {username: x}}",
        "FILE: peers[0].basic_auth.password_file: is missing: basic_auth needs username and password_file",
    ),
    (
        P + "{url: 'https://b', basic_auth: {username: 'x:y', password_file: z}}",
        'FILE: peers[0].basic_auth.username: "x:y" has a colon, which no name for basic auth may have',
    ),
    (
        "peers: [{url: 'http://b'}, {url: 'http://b', name: c}]",
        'FILE: peers[1].url: "http://b" is another peer\'s too: give each its own',
    ),
    (
        "peers: [{url: 'http://b'}, {url: 'http://c', name: b}]",
        'FILE: peers[1].name: "b" is another peer\'s too: give each its own',
    ),
    ("log: {colour: red}", "FILE: log.colour: unknown setting: known are format, level"),
    ("[1, 2]", 'FILE: "[1, 2]" is no mapping: write key: value lines'),
    ("just words", 'FILE: "just words" is no mapping: write key: value lines'),
    (
        "groups: {address: 228.0.0.4}",
        "FILE: groups: \"{'address': '228.0.0.4'}\" is no list: begin each item with a dash",
    ),
    ("groups: [228.0.0.4]", 'FILE: groups[0]: "228.0.0.4" is no mapping: write key: value lines'),
    ("log: json", 'FILE: log: "json" is no mapping: write key: value lines'),
    (
        G + "receiver_check: off",
        'FILE: groups[0].receiver_check: "False" is no mapping: write key: value lines',
    ),
    (
        G + "address: 10.0.0.1",
        f'FILE: groups[0].address: "10.0.0.1" {NO_MULTICAST}',
    ),
    (
        G + "address: cluster.example",
        f'FILE: groups[0].address: "cluster.example" {NO_MULTICAST}',
    ),
    (
        G + "address: 3825205252",
        f'FILE: groups[0].address: "3825205252" {NO_MULTICAST}',
    ),
    (
        G + "address: ff02::4%eth0",
        f'FILE: groups[0].address: "ff02::4%eth0" {NO_MULTICAST}',
    ),
    (G + "links: maybe", 'FILE: groups[0].links: "maybe" is neither true nor false'),
    (G + "port: 65536", 'FILE: groups[0].port: "65536" is no whole number from 1 to 65535'),
    (G + "port: 0", 'FILE: groups[0].port: "0" is no whole number from 1 to 65535'),
    (G + "port: '45564'", 'FILE: groups[0].port: "45564" is no whole number from 1 to 65535'),
    (G + "port: yes", 'FILE: groups[0].port: "True" is no whole number from 1 to 65535'),
    (G + "name: 7", 'FILE: groups[0].name: "7" is no text: quote it'),
    (G + "interfaces: [eth0, 1]", 'FILE: groups[0].interfaces: "1" is no text: quote it'),
    (
        G + "frequency: 500",
        f'FILE: groups[0].frequency: "500" {NO_DURATION}',
    ),
    (G + "frequency: 0s", 'FILE: groups[0].frequency: "0s" is not above zero'),
    (
        G + "{frequency: 3s, drop_time: 3s}",
        "FILE: groups[0].drop_time: 3s is not above frequency 3s: members would flap",
    ),
    (G + "domain: '{1,x}'", 'FILE: groups[0].domain: "{1,x}" is no list of bytes: write {1,-2,3} or a word'),
    (G + "expected: many", 'FILE: groups[0].expected: "many" is neither a count nor a list of address:port'),
    (G + "expected: -1", 'FILE: groups[0].expected: "-1" is neither a count nor a list of address:port'),
    (
        G + "expected: [tomcat1:4000]",
        'FILE: groups[0].expected: "tomcat1:4000" is no member: write address:port, such as 10.0.0.1:4000',
    ),
    (
        G + "static_members: 10.0.0.1:4000",
        'FILE: groups[0].static_members: "10.0.0.1:4000" is no list of address:port',
    ),
    (
        G + "receiver_check: {level: loud}",
        'FILE: groups[0].receiver_check.level: "loud" is none of auto, off, connect, ack',
    ),
    (
        G + "receiver_check: {timeout: 10s}",
        "FILE: groups[0].receiver_check.timeout: 10s is not below interval 10s",
    ),
    (
        G + "receiver_check: {allowed_networks: [9.0.0.1/8, on-link]}",
        f'FILE: groups[0].receiver_check.allowed_networks: "9.0.0.1/8" {HOST_BITS}',
    ),
    (
        G + "receiver_check: {allowed_ports: 4099-4000}",
        'FILE: groups[0].receiver_check.allowed_ports: "4099-4000" is no range of ports: write 4000-4099',
    ),
    (
        G + "receiver_check: {option_flag: -1}",
        'FILE: groups[0].receiver_check.option_flag: "-1" is no whole number from 0 to 2147483647',
    ),
    (
        "groups: [{name: a}, {name: a, port: 1}]",
        "FILE: groups[1]: name a is another group's too: give each its own",
    ),
    (
        "groups: [{name: a}, {name: b}]",
        "FILE: groups[1]: address and port 228.0.0.4:45564 is another group's too: give each its own",
    ),
    (
        "groups: [{}, {}]",
        "FILE: groups[1]: address and port 228.0.0.4:45564 is another group's too: give each its own",
    ),
    (
        G + "server_xml: gone.xml",
        "DIR/gone.xml: cannot be read: No such file or directory",
    ),
    (
        "forget_after: never",
        f'FILE: forget_after: "never" {NO_DURATION}',
    ),
    *[(S + "{" + text + "}}]", f"FILE: groups[0].sessions{line}") for text, line in SESSION_MISTAKES],
    ("web: {telemetry_path: metrics}", 'FILE: web.telemetry_path: "metrics" is no path: write /metrics'),
    ("web: {telemetry_path: /}", 'FILE: web.telemetry_path: "/" is no path: write /metrics'),
    (
        "web: {listen_addresses: 10564}",
        'FILE: web.listen_addresses: "10564" is no text: quote it',
    ),
    (
        "web: {listen_addresses: [localhost]}",
        f'FILE: web.listen_addresses: "localhost" {NO_LISTEN_ADDRESS}',
    ),
    ("log: {level: loud}", 'FILE: log.level: "loud" is none of debug, info, warn, error'),
    ("log: {format: xml}", 'FILE: log.format: "xml" is none of logfmt, json'),
    ("log: {level: info, level: warn}", "FILE: line 1, column 20: level is written twice"),
    ("a: &x 1\nb: *x", "FILE: aliases (*name) are not supported: write the value out"),
    ("groups: [", "FILE: line 1, column 10: is no YAML: expected the node content, but found '<stream end>'"),
    ("\tgroups: []", "FILE: line 1, column 1: is no YAML: found character '\\t' that cannot start any token"),
    (
        "log: !!python/object:os.system {}",
        f"FILE: line 1, column 6: {NO_TAG}",
    ),
    (
        b"name: \xff",
        'FILE: is no YAML: unacceptable character #x00ff: invalid start byte in "<byte string>", position 6',
    ),
    (
        b"\x7fELF\x02\x01\x01\x00",
        f"FILE: is no YAML: unacceptable character #x007f: {NOT_ALLOWED}",
    ),
    ("log: 2026-13-45", "FILE: is no YAML: month must be in 1..12: quote it"),
    ("[" * 600 + "]" * 600, "FILE: is nested too deeply: not a settings file"),
    ("#" * (LARGEST_FILE + 1), "FILE: is larger than 1048576 bytes: not a settings file"),
]


@pytest.mark.parametrize(
    ("text", "line"), MISTAKES, ids=lambda value: str(value)[:40] if isinstance(value, str) else ""
)
def test_a_mistake_earns_one_line(file: Path, text: str | bytes, line: str) -> None:
    """Each mistake is told once, with its file, its place and what to write instead."""
    assert said(file, text) == [line]


def test_sessions_are_read(file: Path) -> None:
    """Nodes, balancer, form, headers; files are relative to the settings, and not opened yet."""
    file.write_text(
        """
groups:
  - sessions:
      nodes: [{url: "https://b", route: one}, {url: "https://b/?lang=en", route: two, name: second}]
      interval: 1m
      timeout: 2s
      give_up: 20s
      cookie: SID
      route_cookie: ROUTEID
      expect_same: Hello
      login: {path: /in, fields: {user: name, password: /etc/password}}
      logout: /out
      host: shop.example.org
      headers: {X-A: b}
      header_files: {X-B: token}
      tls: {ca_file: ca.pem}
      basic_auth: {username: probe, password_file: password}
"""
    )
    folder = file.parent
    assert load(file).groups[0].sessions == Sessions(
        nodes=(SessionNode("https://b/", "one", "one"), SessionNode("https://b/?lang=en", "second", "two")),
        interval=60.0,
        timeout=2.0,
        give_up=20.0,
        cookie="SID",
        route_cookie="ROUTEID",
        expect_same="Hello",
        login=Login("/in", {"user": f"{folder}/name", "password": "/etc/password"}),
        logout="/out",
        host="shop.example.org",
        headers={"X-A": "b"},
        header_files={"X-B": f"{folder}/token"},
        tls=PeerTls(f"{folder}/ca.pem"),
        basic_auth=BasicAuth("probe", f"{folder}/password"),
    )


def test_a_node_without_an_address_is_told(file: Path) -> None:
    """With what to write; its name alone is not enough."""
    assert said(file, S + "{nodes: [{name: a}, {url: 'http://b/'}, {url: 'http://c/'}]}}]") == [
        "FILE: groups[0].sessions.nodes[0].url: is missing: write http://10.0.0.1:8080/shop/"
    ]


def test_every_mistake_is_told_at_once(file: Path) -> None:
    """Several mistakes are several lines, in the order of the file."""
    assert said(file, "groups: [{port: 0, zap: 1, zip: 2}]\nlog: {level: loud}\nzop: 3") == [
        'FILE: groups[0].port: "0" is no whole number from 1 to 65535',
        f"FILE: groups[0].zap: unknown setting: known are {OF_A_GROUP}",
        f"FILE: groups[0].zip: unknown setting: known are {OF_A_GROUP}",
        'FILE: log.level: "loud" is none of debug, info, warn, error',
        "FILE: zop: unknown setting: known are forget_after, groups, log, peers, role, state_directory, web",
    ]


def test_a_file_that_is_not_there(file: Path) -> None:
    """A missing file, a folder and a loop are told as what they are."""
    loop = file.with_name("loop")
    loop.symlink_to(loop)
    reasons = {file: "No such file or directory", file.parent: "Is a directory"}
    for path, reason in (reasons | {loop: "Too many levels of symbolic links"}).items():
        with pytest.raises(ConfigError) as refused:
            load(path)
        assert refused.value.problems == (f"{path}: cannot be read: {reason}",)


# -- a Tomcat's own file


def test_a_server_xml_makes_a_group(tmp_path: Path) -> None:
    """Every setting that a Tomcat's file knows is taken from it, and said to be."""
    path = server_xml(tmp_path / "server.xml")
    (group,) = load(server_xml=(path,)).groups
    assert (group.name, group.address, group.port) == ("228.0.0.9:45570", "228.0.0.9", 45570)
    assert (group.frequency, group.drop_time, group.domain) == (0.75, 6.0, b"shop")
    assert group.receiver_check == ReceiverCheck(level="ack", allowed_ports=(5000, 5009))
    assert group.origins["drop_time"] == f"{path}:5"
    assert group.origins["receiver_check.allowed_ports"] == f"{path}:6"
    assert "TcpFailureDetector swallows the question" in group.origins["receiver_check.level"]


def test_what_is_written_overrules_the_server_xml(tmp_path: Path, file: Path) -> None:
    """A group of the settings file takes a Tomcat's file, beside it, as its defaults."""
    server_xml(tmp_path / "server.xml")
    file.write_text(
        "groups:\n  - {server_xml: server.xml, name: shop, drop_time: 9s, receiver_check: {level: off}}"
    )
    (group,) = load(file).groups
    assert (group.name, group.address, group.drop_time, group.frequency) == ("shop", "228.0.0.9", 9.0, 0.75)
    assert group.receiver_check == ReceiverCheck(level="off", allowed_ports=(5000, 5009))
    assert group.origins["drop_time"] == f"{file}: groups[0]"
    assert group.origins["frequency"] == f"{tmp_path}/server.xml:5"


def test_nodes_of_one_group_are_one_group(tmp_path: Path) -> None:
    """Two nodes' files with the same address and port make one group that allows both nodes' ports."""
    nodes = (server_xml(tmp_path / "a.xml"), server_xml(tmp_path / "b.xml", port=6000))
    (group,) = load(server_xml=nodes).groups
    assert group.receiver_check.allowed_ports == (5000, 6009)
    assert group.receiver_check.level == "ack"


def test_one_node_that_would_log_the_question_is_enough(tmp_path: Path) -> None:
    """Where one node's stack has no detector, nobody of the group is asked more than a connect."""
    loud = '<Interceptor className="org.apache.catalina.tribes.group.interceptors.MessageDispatchInterceptor"/>'
    nodes = (server_xml(tmp_path / "a.xml"), server_xml(tmp_path / "b.xml", interceptors=loud))
    (group,) = load(server_xml=nodes).groups
    assert group.receiver_check.level == "connect"


def test_nodes_that_disagree(tmp_path: Path) -> None:
    """Different frequencies on two nodes of a group are a mistake, told with both places."""
    nodes = (server_xml(tmp_path / "a.xml"), server_xml(tmp_path / "b.xml", frequency=500))
    with pytest.raises(ConfigError) as refused:
        load(server_xml=nodes)
    assert refused.value.problems == (
        f"{nodes[1]}:5: frequency is 0.5s here and 0.75s in {nodes[0]}:5: make them equal on every node",
    )


def test_one_group_cannot_take_several(tmp_path: Path, file: Path) -> None:
    """A group of the settings file whose Tomcats are of two groups is refused."""
    server_xml(tmp_path / "a.xml")
    server_xml(tmp_path / "b.xml", address="228.0.0.10")
    assert said(file, "groups: [{server_xml: [a.xml, b.xml]}]") == [
        "FILE: groups[0].server_xml: these files name several groups: give each a group of its own"
    ]


def test_a_group_of_both_files_clashes(tmp_path: Path, file: Path) -> None:
    """The same group in the settings file and by --server-xml is one too many."""
    file.write_text("groups: [{address: 228.0.0.9, port: 45570}]")
    with pytest.raises(ConfigError) as refused:
        load(file, (server_xml(tmp_path / "server.xml"),))
    assert refused.value.problems == (
        f"{file}: groups[1]: address and port 228.0.0.9:45570 is another group's too: give each its own",
    )


def test_the_elements_stay_with_their_group(tmp_path: Path) -> None:
    """What the files of several nodes say beyond the settings can be asked of their group."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.xml").write_text(
            '<Server><Cluster><Channel><Membership ttl="3"/><Receiver address="'
            f'{name}.example"/></Channel></Cluster></Server>'
        )
    (tmp_path / "p.yml").write_text("groups: [{server_xml: [a.xml, b.xml]}]\n")
    for settings in (load(tmp_path / "p.yml"), load(None, (tmp_path / "a.xml", tmp_path / "b.xml"))):
        (group,) = settings.groups
        assert [one.receiver_address for one in group.clusters] == ["a.example", "b.example"]
        assert {one.ttl for one in group.clusters} == {3}
    assert load().groups[0].clusters == ()
