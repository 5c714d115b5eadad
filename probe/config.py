"""The settings: a YAML file and a Tomcat's own server.xml become frozen values, once."""

import ipaddress
import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec
import yaml

from probe.fields import (
    ConfigError,
    Fields,
    choice,
    domain,
    duration,
    host_port,
    listen_address,
    mapping,
    positive,
    shown,
    switch,
    text,
    texts,
    whole,
)
from probe.model.rules import Rules
from probe.model.sight import HERE, Role
from probe.tomcat.server_xml import ClusterElement, read_server_xml

LARGEST_FILE: Final = 2**20
"""bytes of a settings file."""


class ReceiverCheck(msgspec.Struct, frozen=True):
    """How members' receivers are asked; durations in seconds.

    ``level``: off, connect, ack, or auto (ack where a server.xml shows a stack that swallows the question
    silently, else connect). Only addresses in ``allowed_networks`` ("on-link": the networks of the interfaces
    joined) and ports in ``allowed_ports`` are ever asked. ``option_flag`` is TcpFailureDetector's own.
    """

    level: str = "auto"
    interval: float = 10.0
    timeout: float = 1.0
    allowed_networks: tuple[str, ...] = ("on-link",)
    allowed_ports: tuple[int, int] = (4000, 4099)
    option_flag: int = 0


class PeerTls(msgspec.Struct, frozen=True):
    """How the certificate of who is read is checked, and ours that it is shown."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class BeliefSource(msgspec.Struct, frozen=True):
    """A Manager's jmxproxy, by which a Tomcat says what it believes, and who may ask.

    Without a ``member`` it is whom its answer says. Files are opened when the reading begins, not here.
    """

    url: str
    member: str = ""
    username: str = ""
    password_file: str = ""
    tls: PeerTls = PeerTls()


class BasicAuth(msgspec.Struct, frozen=True):
    """The name and the password that a peer asks for."""

    username: str
    password_file: str


class SessionNode(msgspec.Struct, frozen=True):
    """One Tomcat as its users reach it: the page that makes a session there.

    With a ``route``, its jvmRoute, it is reached through a balancer that is told so.
    """

    url: str
    name: str
    route: str | None = None


class Login(msgspec.Struct, frozen=True):
    """A form that is sent to a path; ``fields`` is each field's name and the file that holds its value."""

    path: str
    fields: dict[str, str]


class Sessions(msgspec.Struct, frozen=True):
    """How sessions are made on each node and shown to each other one; durations in seconds.

    ``header_files`` is each header's name and the file that holds its value. Files are opened when the asking
    begins, not here.
    """

    nodes: tuple[SessionNode, ...] = ()
    interval: float = 30.0
    timeout: float = 5.0
    give_up: float = 10.0
    cookie: str = "JSESSIONID"
    route_cookie: str | None = None
    expect_same: str | None = None
    login: Login | None = None
    logout: str | None = None
    host: str | None = None
    headers: dict[str, str] = {}
    header_files: dict[str, str] = {}
    tls: PeerTls = PeerTls()
    basic_auth: BasicAuth | None = None


class Group(msgspec.Struct, frozen=True):
    """One membership group; no ``interfaces`` means every multicast interface; durations in seconds.

    ``expect``: who is expected is listed only, or also learned, after ``learn_after``.
    """

    name: str = "228.0.0.4:45564"
    address: str = "228.0.0.4"
    port: int = 45564
    interfaces: tuple[str, ...] = ()
    frequency: float = 0.5
    drop_time: float = 3.0
    domain: bytes | None = None
    expected: frozenset[str] = frozenset()
    expected_count: int = 0
    expect: str = "listed"
    learn_after: float = 3600.0
    static_members: frozenset[str] = frozenset()
    receiver_check: ReceiverCheck = ReceiverCheck()
    belief: tuple[BeliefSource, ...] = ()
    sessions: Sessions | None = None
    links: bool = False
    origins: dict[str, str] = {}
    """Which setting came from which file and line, for ``check``."""
    clusters: tuple[ClusterElement, ...] = ()
    """The ``<Cluster>`` elements it was taken from, one for each node whose file was given."""

    @property
    def learns(self) -> bool:
        """Whether who stays up is expected from then on."""
        return self.expect == "learned"

    def rules(self, forget_after: float) -> Rules:
        """Return what the model holds this group's members against."""
        return Rules(
            name=self.name,
            frequency=self.frequency,
            drop_time=self.drop_time,
            forget_after=forget_after,
            expected=self.expected,
            static=self.static_members,
            learn_after=self.learn_after if self.learns else None,
            expected_count=self.expected_count,
            domain=self.domain,
            asks=self.receiver_check.level != "off",
        )


class Web(msgspec.Struct, frozen=True):
    """Where the page and the metrics are served; ``config_file`` is in the exporter toolkit's format."""

    listen_addresses: tuple[str, ...] = (":10564",)
    telemetry_path: str = "/metrics"
    config_file: str | None = None


class Log(msgspec.Struct, frozen=True):
    """How the log is written."""

    level: str = "info"
    format: str = "logfmt"


class Peer(msgspec.Struct, frozen=True):
    """Another probe, whose view is read; without a ``role`` it is what it says of itself.

    Files are opened when the reading begins, not here.
    """

    url: str
    name: str
    role: str | None = None
    tls: PeerTls = PeerTls()
    basic_auth: BasicAuth | None = None


class Settings(msgspec.Struct, frozen=True):
    """All settings of one probe; ``forget_after`` in seconds; ``role`` is its own among its peers.

    ``state_directory`` is where what was learned outlives the probe, if not where systemd says.
    """

    groups: tuple[Group, ...] = (Group(),)
    forget_after: float = 3600.0
    state_directory: str | None = None
    role: str = "segment"
    peers: tuple[Peer, ...] = ()
    web: Web = Web()
    log: Log = Log()


EXPECTATIONS: Final = ("listed", "learned")
LEVELS: Final = ("auto", "off", "connect", "ack")
ROLES: Final = tuple(role.value for role in Role)
MOST_PEERS: Final = 64
MOST_SOURCES: Final = 64
"""Tomcats of one group whose belief is read."""
LONGEST_NAME: Final = 64
"""characters of a peer's name."""
_JMXPROXY: Final = "http://127.0.0.1:8080/manager/jmxproxy"
_JMXPROXY_PATH: Final = re.compile(r"(/[\w.~-]+)*/jmxproxy", re.ASCII)
OWN_HEADERS: Final = frozenset(
    {"accept-encoding", "connection", "content-length", "content-type", "cookie", "host", "transfer-encoding"}
)
"""Headers of a session's requests that only the probe sets."""
MOST_NODES: Final = 8
"""Nodes that sessions are made on: 56 pairs."""
LOG_LEVELS: Final = ("debug", "info", "warn", "error")
LOG_FORMATS: Final = ("logfmt", "json")


def load(path: Path | None = None, server_xml: tuple[Path, ...] = ()) -> Settings:
    """Read the settings; raises ``ConfigError`` with every mistake, or what could not be read."""
    problems: list[str] = []
    document = read_yaml(path) if path is not None else {}
    file = str(path) if path is not None else "the command line"
    top = Fields(document, file, "", problems)
    elements = [element for one in server_xml for element in _read_tomcat(one, problems)]
    folder = path.parent if path is not None else Path()
    groups = _groups(top, elements, folder, problems)
    nowhere: str | None = None
    settings = Settings(
        groups=tuple(groups),
        forget_after=top.take("forget_after", positive(duration), 3600.0),
        state_directory=top.take("state_directory", lambda value: str(folder / text(value)), nowhere),
        role=top.take("role", choice(*ROLES), "segment"),
        peers=_peers(top, folder),
        web=_web(top.inner("web"), folder),
        log=_log(top.inner("log")),
    )
    top.close()
    _check_clashes(settings.groups, file, problems)
    if problems:
        raise ConfigError(problems)
    return settings


def state_directory(settings: Settings, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return where to keep what outlives the probe: as set, or the first of systemd's ``StateDirectory=``."""
    folder = settings.state_directory or environment.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(folder) if folder else None


class _Loader(yaml.SafeLoader):
    """Safe, and refuses a key that is written twice."""


def _unique_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        name = getattr(key, "value", None)
        if isinstance(name, str) and name in seen:
            raise yaml.constructor.ConstructorError(None, None, f"{name} is written twice", key.start_mark)
        seen.add(name if isinstance(name, str) else id(key))
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def read_file(path: Path, largest: int = LARGEST_FILE) -> bytes:
    """Return a file's bytes; raises ``ConfigError`` when it cannot be read or is too large to be settings."""
    try:
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(data) > largest:
        raise ConfigError([f"{path}: is larger than {largest} bytes: not a settings file"])
    return data


def read_yaml(path: Path) -> object:
    """Return a YAML file as plain values; raises ``ConfigError``."""
    data = read_file(path)
    try:
        if any(isinstance(event, yaml.events.AliasEvent) for event in yaml.parse(data, _Loader)):
            raise ConfigError([f"{path}: aliases (*name) are not supported: write the value out"])
        return yaml.load(data, _Loader)  # noqa: S506  # derives from SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}, column {mark.column + 1}:" if mark is not None else ""
        problem = " ".join((getattr(error, "problem", None) or str(error)).split())
        what = problem if isinstance(error, yaml.constructor.ConstructorError) else f"is no YAML: {problem}"
        raise ConfigError([f"{path}:{place} {what}"]) from None
    except RecursionError:
        raise ConfigError([f"{path}: is nested too deeply: not a settings file"]) from None
    except ValueError as error:  # of what looks like a date
        raise ConfigError([f"{path}: is no YAML: {error}: quote it"]) from None


def _read_tomcat(path: Path, problems: list[str]) -> list[ClusterElement]:
    try:
        return read_server_xml(path)
    except ConfigError as error:
        problems += error.problems
        return []


def _groups(top: Fields, elements: list[ClusterElement], folder: Path, problems: list[str]) -> list[Group]:
    groups = [_group(fields, folder, problems) for fields in top.items("groups")]
    groups += _groups_of(elements, problems)
    return groups or [Group()]


def _groups_of(elements: list[ClusterElement], problems: list[str]) -> list[Group]:
    """Return one group for each address and port; nodes of one cluster must agree."""
    found: dict[tuple[str, int], tuple[ClusterElement, Group]] = {}
    for element in elements:
        key = (element.address, element.port)
        if key not in found:
            found[key] = (element, _of_tomcat(element, Group(name=f"{element.address}:{element.port}")))
            continue
        first, group = found[key]
        problems += first.disagreements(element)
        found[key] = (first, _widen(group, element))
    return [group for _, group in found.values()]


def _of_tomcat(element: ClusterElement, group: Group) -> Group:
    """Return a group with what a Tomcat's file says of it."""
    asked, why = element.silent_answer()
    low, high = element.receiver_ports()
    check = ReceiverCheck(
        level="ack" if asked else "connect", allowed_ports=(low, high), option_flag=element.option_flag
    )
    group = msgspec.structs.replace(
        group,
        address=element.address,
        port=element.port,
        frequency=element.frequency,
        drop_time=element.drop_time,
        domain=element.domain,
        static_members=frozenset(element.static_members),
        receiver_check=check,
        clusters=(element,),
    )
    origins = {**element.origins(), "receiver_check.level": f"{element.file}:{element.line} ({why})"}
    return msgspec.structs.replace(group, origins=origins)


def _widen(group: Group, element: ClusterElement) -> Group:
    low, high = element.receiver_ports()
    check, (lowest, highest) = group.receiver_check, group.receiver_check.allowed_ports
    asked, _ = element.silent_answer()
    check = msgspec.structs.replace(
        check,
        allowed_ports=(min(low, lowest), max(high, highest)),
        level=check.level if asked else "connect",
    )
    members = group.static_members | frozenset(element.static_members)
    clusters = (*group.clusters, element)
    return msgspec.structs.replace(group, receiver_check=check, static_members=members, clusters=clusters)


def _group(fields: Fields, folder: Path, problems: list[str]) -> Group:
    base = Group()
    elements = [element for name in _files(fields) for element in _read_tomcat(folder / name, problems)]
    taken = _groups_of(elements, problems)
    if len(taken) > 1:
        fields.report("server_xml", "these files name several groups: give each a group of its own")
    if taken:
        base = taken[0]
    address = fields.take("address", _multicast, base.address)
    port = fields.take("port", whole(1, 65535), base.port)
    check = fields.inner("receiver_check")
    sessions = fields.inner("sessions")
    expected, count = fields.take("expected", _expected, (base.expected, base.expected_count))
    group = Group(
        name=fields.take("name", text, f"{address}:{port}"),
        address=address,
        port=port,
        interfaces=fields.take("interfaces", texts, base.interfaces),
        frequency=fields.take("frequency", positive(duration), base.frequency),
        drop_time=fields.take("drop_time", positive(duration), base.drop_time),
        domain=fields.take("domain", lambda value: domain(text(value)), base.domain),
        expected=expected,
        expected_count=count,
        expect=fields.take("expect", choice(*EXPECTATIONS), base.expect),
        learn_after=fields.take("learn_after", positive(duration), base.learn_after),
        static_members=fields.take("static_members", _members, base.static_members),
        receiver_check=_receiver_check(check, base.receiver_check),
        clusters=base.clusters,
        belief=_belief(fields, folder),
        sessions=read_sessions(sessions, folder) if "sessions" in fields else None,
        links=fields.take("links", switch, base.links),
    )
    fields.close()
    if group.drop_time <= group.frequency:
        fields.report(
            "drop_time", f"{group.drop_time:g}s is not above frequency {group.frequency:g}s: members would flap"
        )
    return msgspec.structs.replace(group, origins=_origins(fields, check, base.origins))


def _files(fields: Fields) -> tuple[str, ...]:
    none: tuple[str, ...] = ()
    return fields.take("server_xml", texts, none)


def _origins(fields: Fields, check: Fields, taken: dict[str, str]) -> dict[str, str]:
    own = {name: f"{fields.file}: {fields.place}" for name in Group.__struct_fields__ if name in fields}
    own |= {
        f"receiver_check.{name}": f"{check.file}: {check.place}"
        for name in ReceiverCheck.__struct_fields__
        if name in check
    }
    return {**taken, **own}


def _receiver_check(fields: Fields, base: ReceiverCheck) -> ReceiverCheck:
    level = fields.take("level", choice(*LEVELS), "auto")
    check = ReceiverCheck(
        level=base.level if level == "auto" else level,
        interval=fields.take("interval", positive(duration), base.interval),
        timeout=fields.take("timeout", positive(duration), base.timeout),
        allowed_networks=fields.take("allowed_networks", _networks, base.allowed_networks),
        allowed_ports=fields.take("allowed_ports", _ports, base.allowed_ports),
        option_flag=fields.take("option_flag", whole(0, 2**31 - 1), base.option_flag),
    )
    fields.close()
    if check.timeout >= check.interval:
        fields.report("timeout", f"{check.timeout:g}s is not below interval {check.interval:g}s")
    return check


def _belief(group: Fields, folder: Path) -> tuple[BeliefSource, ...]:
    sources = tuple(one for fields in group.items("belief") if (one := _source(fields, folder)) is not None)
    if len(sources) > MOST_SOURCES:
        group.report("belief", f"{len(sources)} are more than the {MOST_SOURCES} that are read")
    for i, source in enumerate(sources):
        for what in ("url", "member"):
            value = getattr(source, what)
            if value and any(value == getattr(other, what) for other in sources[:i]):
                group.report(f"belief[{i}].{what}", f"{shown(value)} is read already: take one out")
    return sources


def _source(fields: Fields, folder: Path) -> BeliefSource | None:
    url = fields.take("url", _jmxproxy, "")
    if "url" not in fields:
        fields.report("url", f"is missing: write {_JMXPROXY}")
    tls = fields.inner("tls")
    if tls.names() and url.startswith("http:"):
        fields.report("tls", f"is given, but {url} is not https")
    source = BeliefSource(
        url=url,
        member=fields.take("member", host_port, ""),
        username=fields.take("username", _username, ""),
        password_file=fields.take("password_file", lambda value: str(folder / text(value)), ""),
        tls=_peer_tls(tls, folder),
    )
    fields.close()
    for one, other in (("username", "password_file"), ("password_file", "username")):
        if one in fields and other not in fields:
            fields.report(other, f"is missing: {one} needs it")
    return source if url else None


def _web(fields: Fields, folder: Path) -> Web:
    nothing: str | None = None
    web = Web(
        listen_addresses=fields.take("listen_addresses", listen_addresses, (":10564",)),
        telemetry_path=fields.take("telemetry_path", telemetry_path, "/metrics"),
        config_file=fields.take("config_file", lambda value: str(folder / text(value)), nothing),
    )
    fields.close()
    return web


def _peers(top: Fields, folder: Path) -> tuple[Peer, ...]:
    peers = tuple(peer for fields in top.items("peers") if (peer := _peer(fields, folder)) is not None)
    if len(peers) > MOST_PEERS:
        top.report(
            "peers", f"{len(peers)} are more than the {MOST_PEERS} that are read: leave it to Prometheus"
        )
    for i, peer in enumerate(peers):
        for what in ("url", "name"):
            if any(getattr(peer, what) == getattr(other, what) for other in peers[:i]):
                value = shown(getattr(peer, what))
                top.report(f"peers[{i}].{what}", f"{value} is another peer's too: give each its own")
    return peers


def _peer(fields: Fields, folder: Path) -> Peer | None:
    nobody: str | None = None
    url = fields.take("url", probe_url, "")
    if "url" not in fields:
        fields.report("url", "is missing: write http://10.0.0.2:10564")
    tls, auth = fields.inner("tls"), fields.inner("basic_auth")
    if tls.names() and url.startswith("http:"):
        fields.report("tls", f"is given, but {url} is not https")
    peer = Peer(
        url=url,
        name=fields.take("name", _peer_name, urlsplit(url).netloc),
        role=fields.take("role", choice(*ROLES), nobody),
        tls=_peer_tls(tls, folder),
        basic_auth=_basic_auth(auth, folder) if "basic_auth" in fields else None,
    )
    fields.close()
    return peer if url else None


def read_sessions(fields: Fields, folder: Path) -> Sessions:
    """Read how sessions are made and shown."""
    login, tls, auth = fields.inner("login"), fields.inner("tls"), fields.inner("basic_auth")
    nodes = tuple(node for each in fields.items("nodes") if (node := _session_node(each)) is not None)
    absent: str | None = None
    file = partial(_file, folder)
    base = Sessions()
    sessions = Sessions(
        nodes=nodes,
        interval=fields.take("interval", positive(duration), base.interval),
        timeout=fields.take("timeout", positive(duration), base.timeout),
        give_up=fields.take("give_up", positive(duration), base.give_up),
        cookie=fields.take("cookie", token, base.cookie),
        route_cookie=fields.take("route_cookie", token, absent),
        expect_same=fields.take("expect_same", _regex, absent),
        login=_login(login, folder) if "login" in fields else None,
        logout=fields.take("logout", _path, absent),
        host=fields.take("host", _host, absent),
        headers=fields.take("headers", mapping(header, header_value), base.headers),
        header_files=fields.take("header_files", mapping(header, file), base.header_files),
        tls=_peer_tls(tls, folder),
        basic_auth=_basic_auth(auth, folder) if "basic_auth" in fields else None,
    )
    fields.close()
    _check_sessions(sessions, fields)
    return sessions


def _check_sessions(sessions: Sessions, fields: Fields) -> None:
    nodes = sessions.nodes
    if not 1 < len(nodes) <= MOST_NODES:
        fields.report("nodes", f"{len(nodes)} are given: name from 2 to {MOST_NODES}")
    for i, node in enumerate(nodes):
        if any(node.name == other.name for other in nodes[:i]):
            fields.report(f"nodes[{i}].name", f"{shown(node.name)} is another node's too: give each its own")
        if any((node.url, node.route) == (other.url, other.route) for other in nodes[:i]):
            fields.report(f"nodes[{i}].url", "is another node's too: behind a balancer give each its route")
    for name in ("timeout", "give_up"):
        if getattr(sessions, name) >= sessions.interval:
            fields.report(name, f"{getattr(sessions, name):g}s is not below interval {sessions.interval:g}s")
    if fields.inner("tls").names() and all(node.url.startswith("http:") for node in nodes):
        fields.report("tls", "is given, but no url is https")


def _session_node(fields: Fields) -> SessionNode | None:
    nothing: str | None = None
    url = fields.take("url", page_url, "")
    if "url" not in fields:
        fields.report("url", "is missing: write http://10.0.0.1:8080/shop/")
    route = fields.take("route", token, nothing)
    node = SessionNode(url, fields.take("name", _peer_name, route or urlsplit(url).netloc), route)
    fields.close()
    return node if url else None


def _login(fields: Fields, folder: Path) -> Login:
    nothing: dict[str, str] = {}
    login = Login(
        path=fields.take("path", _path, ""),
        fields=fields.take("fields", mapping(text, partial(_file, folder)), nothing),
    )
    fields.close()
    for name in Login.__struct_fields__:
        if name not in fields:
            fields.report(name, "is missing: login needs the form's path and its fields")
    return login


def _peer_tls(fields: Fields, folder: Path) -> PeerTls:
    nothing: str | None = None
    names = PeerTls.__struct_fields__
    tls = PeerTls(*(fields.take(name, lambda value: str(folder / text(value)), nothing) for name in names))
    fields.close()
    for one, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if one in fields and other not in fields:
            fields.report(other, f"is missing: {one} needs it")
    return tls


def _basic_auth(fields: Fields, folder: Path) -> BasicAuth:
    auth = BasicAuth(
        username=fields.take("username", _username, ""),
        password_file=fields.take("password_file", lambda value: str(folder / text(value)), ""),
    )
    fields.close()
    for name in BasicAuth.__struct_fields__:
        if name not in fields:
            fields.report(name, "is missing: basic_auth needs username and password_file")
    return auth


def _log(fields: Fields) -> Log:
    log = Log(
        level=fields.take("level", choice(*LOG_LEVELS), "info"),
        format=fields.take("format", choice(*LOG_FORMATS), "logfmt"),
    )
    fields.close()
    return log


def probe_url(value: object) -> str:
    """Accept the address of a probe, "http://10.0.0.2:10564"; raises ValueError with the remedy."""
    url = text(value)
    parts = _split(url, "basic_auth")
    if parts is None:
        raise ValueError(f"{shown(url)} is no address of a probe: write http://10.0.0.2:10564")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"{shown(url)} says more than the address: write {parts.scheme}://{parts.netloc}")
    return f"{parts.scheme}://{parts.netloc}"


def _jmxproxy(value: object) -> str:
    url = text(value)
    parts = _split(url, "username and password_file")
    if parts is None or not _JMXPROXY_PATH.fullmatch(parts.path.rstrip("/")):
        raise ValueError(f"{shown(url)} is no address of a Manager's jmxproxy: write {_JMXPROXY}")
    if parts.query or parts.fragment:
        raise ValueError(f"{shown(url)} says more than the address: end it after jmxproxy")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _split(url: str, keys: str) -> SplitResult | None:
    """Return the parts of an address, None if it is none; raises ValueError for one that holds a secret."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or not url.isprintable():
        return None
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"holds a name or a password: write them under {keys}")
    return parts


def page_url(value: object) -> str:
    """Accept the address of a page; raises ValueError with the remedy."""
    url = text(value)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or port == 0
        or not re.fullmatch("[!-~]+", url)
    ):
        raise ValueError(f"{shown(url)} is no address of a page: write http://10.0.0.1:8080/shop/")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a name or a password: write them under basic_auth")
    if ";" in url or parts.fragment:
        raise ValueError(f"{shown(url)} has a ; or a #: name the page alone")
    return url if parts.path else parts._replace(path="/").geturl()


def token(value: object) -> str:
    """Accept a word of HTTP's, such as a cookie's name."""
    word = text(value)
    if not re.fullmatch(r"[\w!#$%&'*+.^`|~-]{1,64}", word, re.ASCII):
        raise ValueError(f"{shown(word)} is no such name: letters, digits, - and _")
    return word


def header(value: object) -> str:
    """Accept the name of a header that may be added."""
    name = token(value)
    if name.lower() in OWN_HEADERS:
        raise ValueError(f"{name} is the probe's own: it cannot be set here")
    return name


def header_value(value: object) -> str:
    """Accept what a header may hold."""
    held = text(value)
    if not re.fullmatch("[ -~]+", held):
        raise ValueError("has signs that a header cannot hold: write plain ASCII")
    return held


def _path(value: object) -> str:
    path = text(value)
    if not re.fullmatch(r"/[!-~]*", path) or ";" in path or "#" in path:
        raise ValueError(f"{shown(path)} is no path on a node: write /shop/logout")
    return path


def _host(value: object) -> str:
    host = text(value)
    if not re.fullmatch(r"[\w.:\[\]-]{1,255}", host, re.ASCII):
        raise ValueError(f"{shown(host)} is no host: write shop.example.org")
    return host


def _regex(value: object) -> str:
    pattern = text(value)
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{shown(pattern)} is no regular expression: {error}") from None
    return pattern


def _file(folder: Path, value: object) -> str:
    return str(folder / text(value))


def _peer_name(value: object) -> str:
    name = text(value)
    if not name.isprintable() or len(name) > LONGEST_NAME or name == HERE:
        raise ValueError(f"{shown(name)} is no name for a peer: one short line, and not {HERE}")
    return name


def _username(value: object) -> str:
    name = text(value)
    if ":" in name:
        raise ValueError(f"{shown(name)} has a colon, which no name for basic auth may have")
    return name


def _check_clashes(groups: tuple[Group, ...], file: str, problems: list[str]) -> None:
    places: set[tuple[str, int]] = set()
    names: set[str] = set()
    for i, group in enumerate(groups):
        place = group.address, group.port
        if place in places:
            what = f"address and port {group.address}:{group.port}"
        elif group.name in names:
            what = f"name {group.name}"
        else:
            what = ""
        if what:
            problems.append(f"{file}: groups[{i}]: {what} is another group's too: give each its own")
        places.add(place)
        names.add(group.name)


def _multicast(value: object) -> str:
    try:
        address = ipaddress.ip_address(value)  # type: ignore[arg-type]
    except ValueError:
        address = None
    if address is None or not isinstance(value, str) or "%" in value or not address.is_multicast:
        raise ValueError(f"{shown(value)} is no multicast address: 224.0.0.0 to 239.255.255.255, or ff00::/8")
    return str(address)


def _expected(value: object) -> tuple[frozenset[str], int]:
    if isinstance(value, list):
        return frozenset(host_port(item) for item in value), 0
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return frozenset(), value
    raise ValueError(f"{shown(value)} is neither a count nor a list of address:port")


def _members(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise ValueError(f"{shown(value)} is no list of address:port")  # noqa: TRY004  # one kind of mistake
    return frozenset(host_port(item) for item in value)


def _networks(value: object) -> tuple[str, ...]:
    networks = texts(value)
    for network in networks:
        if network == "on-link":
            continue
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ValueError(f"{shown(network)} is no network: {error}") from None
    return networks


def _ports(value: object) -> tuple[int, int]:
    low, _, high = (str(value) if isinstance(value, int) else text(value)).partition("-")
    try:
        ports = int(low), int(high or low)
    except ValueError:
        ports = 0, 0
    if not 0 < ports[0] <= ports[1] < 65536:  # noqa: PLR2004
        raise ValueError(f"{shown(value)} is no range of ports: write 4000-4099")
    return ports


def listen_addresses(value: object) -> tuple[str, ...]:
    """Accept one or several listen addresses; raises ValueError with the remedy."""
    addresses = texts(value)
    for address in addresses:
        listen_address(address)
    return addresses


def telemetry_path(value: object) -> str:
    """Accept the path of the metrics; raises ValueError with the remedy."""
    path = text(value)
    if not path.startswith("/") or path == "/":
        raise ValueError(f"{shown(value)} is no path: write /metrics")
    return path
