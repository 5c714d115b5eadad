"""Takes a cluster's settings from a Tomcat's own server.xml, with Tomcat's defaults where it is silent."""

import ipaddress
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from lxml import etree

from probe.fields import ConfigError, domain, shown
from probe.tomcat.properties import read_properties, resolve, unresolved
from probe.tomcat.stack import DEFAULT_STACK, DETECTOR, Interceptor, silent_answer

T = TypeVar("T")

LARGEST_FILE: Final = 4 * 2**20
"""bytes of a server.xml."""
MOST_CLUSTERS: Final = 64

ADDRESS: Final = ("address", "mcastAddr")
PORT: Final = ("port", "mcastPort")
FREQUENCY: Final = ("frequency", "mcastFrequency")
DROP_TIME: Final = ("dropTime", "mcastDropTime")
BIND: Final = ("bind", "mcastBindAddress")
TTL: Final = ("ttl", "mcastTTL")
RECEIVER_ADDRESS: Final = ("address", "host", "tcpListenAddress")
RECEIVER_PORT: Final = ("port", "tcpListenPort")
"""Attribute names, the second ones of 7.0 and older."""


class ClusterElement(msgspec.Struct, frozen=True):
    """What one ``<Cluster>`` says; times in seconds. ``places`` tells the line of what was written there.

    A ``ttl`` of -1 leaves it to the operating system, which takes 1.
    """

    file: str
    line: int
    address: str = "228.0.0.4"
    port: int = 45564
    frequency: float = 0.5
    drop_time: float = 3.0
    domain: bytes | None = None
    bind: str | None = None
    ttl: int = -1
    receiver_address: str = "auto"
    receiver_port: int = 4000
    auto_bind: int = 100
    stack: tuple[Interceptor, ...] = ()
    static_members: tuple[str, ...] = ()
    send_options: str = "8"
    places: dict[str, int] = {}

    @property
    def option_flag(self) -> int:
        """TcpFailureDetector's optionFlag: the question must carry it."""
        return next((one.option_flag for one in self.stack if one.name == DETECTOR), 0)

    def receiver_ports(self) -> tuple[int, int]:
        """Return the ports the receiver may be bound to (``ReceiverBase.bind``)."""
        return self.receiver_port, min(65535, self.receiver_port + max(1, self.auto_bind) - 1)

    def silent_answer(self) -> tuple[bool, str]:
        """Tell whether the liveness question may be put, and why."""
        return silent_answer(self.stack)

    def origins(self) -> dict[str, str]:
        """Return where each setting comes from: file and line, or Tomcat's default."""
        default = f"{self.file}:{self.line} (Tomcat's default)"
        named = (
            "address",
            "port",
            "frequency",
            "drop_time",
            "domain",
            "static_members",
            "receiver_check.allowed_ports",
        )
        return {name: f"{self.file}:{self.places[name]}" if name in self.places else default for name in named}

    def disagreements(self, other: "ClusterElement") -> list[str]:
        """Return what two nodes of one group say differently although they must not."""
        return [
            f"{other.file}:{other.places.get(name, other.line)}: {attribute} is {theirs:g}s here "
            f"and {ours:g}s in {self.file}:{self.places.get(name, self.line)}: make them equal on every node"
            for name, attribute in (("frequency", "frequency"), ("drop_time", "dropTime"))
            if (ours := getattr(self, name)) != (theirs := getattr(other, name))
        ]


def read_server_xml(path: Path, properties: dict[str, str] | None = None) -> list[ClusterElement]:
    """Read every ``<Cluster>`` of a file; raises ``ConfigError`` with every mistake.

    Placeholders come from ``properties``, else from the catalina.properties beside the file.
    """
    root = _parse(path)
    known = properties if properties is not None else read_properties(path.parent / "catalina.properties")
    clusters = list(root.iter("Cluster"))[:MOST_CLUSTERS]
    if not clusters:
        raise ConfigError([f"{path}: has no <Cluster> element: nothing to watch"])
    problems: list[str] = []
    elements = [_Reader(path, known, problems).cluster(cluster) for cluster in clusters]
    if problems:
        raise ConfigError(problems)
    return elements


def _parse(path: Path) -> Any:
    """Parse with entities, DTDs and the network off."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(data) > LARGEST_FILE:
        raise ConfigError([f"{path}: is larger than {LARGEST_FILE} bytes: no server.xml"])
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError([f"{path}: is no XML: {reason}"]) from None
    dtd: Any = root.getroottree().docinfo.internalDTD
    if dtd is not None and list(dtd.iterentities()):
        raise ConfigError([f"{path}: declares entities: they are not read; write their text out"])
    return root


class _Reader:
    """Reads elements of one file; mistakes go to ``problems``."""

    def __init__(self, path: Path, properties: dict[str, str], problems: list[str]) -> None:
        self.file = str(path)
        self.properties = properties
        self.problems = problems
        self.places: dict[str, int] = {}

    def cluster(self, cluster: Any) -> ClusterElement:
        membership = _find(cluster, "Channel/Membership")
        receiver = _find(cluster, "Channel/Receiver")
        stack = tuple(self._stack(cluster))
        found = ClusterElement(
            file=self.file,
            line=cluster.sourceline,
            address=self._take(membership, "address", ADDRESS, _multicast, "228.0.0.4"),
            port=self._take(membership, "port", PORT, _port, 45564),
            frequency=self._take(membership, "frequency", FREQUENCY, _milliseconds, 0.5),
            drop_time=self._take(membership, "drop_time", DROP_TIME, _milliseconds, 3.0),
            domain=self._take(membership, "domain", ("domain",), domain, None),
            bind=self._take(membership, "bind", BIND, str, None),
            ttl=self._take(membership, "ttl", TTL, int, -1),
            receiver_address=self._take(receiver, "receiver_address", RECEIVER_ADDRESS, str, "auto"),
            receiver_port=self._take(receiver, "receiver_check.allowed_ports", RECEIVER_PORT, _port, 4000),
            auto_bind=self._take(receiver, "auto_bind", ("autoBind",), int, 100),
            stack=stack or tuple(Interceptor(name) for name in DEFAULT_STACK),
            static_members=tuple(self._static_members(cluster)),
            send_options=self._take(cluster, "send_options", ("channelSendOptions",), str, "8"),
            places=self.places,
        )
        if found.drop_time <= found.frequency:
            self._report(
                cluster if membership is None else membership,
                "dropTime",
                f"{found.drop_time * 1000:.0f} ms is not above frequency {found.frequency * 1000:.0f} ms: "
                "members would flap",
            )
        return found

    def _stack(self, cluster: Any) -> Iterator[Interceptor]:
        for element in cluster.findall("Channel/Interceptor"):
            name = (self._text(element, "className") or "").rpartition(".")[2]
            yield Interceptor(name, self._take(element, "", ("optionFlag",), int, 0), element.sourceline)

    def _static_members(self, cluster: Any) -> Iterator[str]:
        for place in ("Channel/Interceptor/Member", "Channel/Membership/Member"):
            for element in cluster.findall(place):
                host = self._take(element, "static_members", ("host",), _address, "")
                port = self._take(element, "static_members", ("port",), _port, 4000)
                if host:
                    yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _take(
        self, element: Any, place: str, names: tuple[str, ...], convert: Callable[[str], T], default: Any
    ) -> T:
        """Return the converted value of the first of these attributes that is written."""
        for name in names if element is not None else ():
            text = self._text(element, name)
            if text is None:
                continue
            self.places[place] = element.sourceline
            try:
                return convert(text)
            except ValueError as error:
                self._report(
                    element, name, str(error) if "is no" in str(error) else f"{shown(text)} is no number"
                )
        return default  # type: ignore[no-any-return]

    def _text(self, element: Any, name: str) -> str | None:
        raw = element.get(name)
        if raw is None:
            return None
        value = resolve(raw, self.properties)
        missing = unresolved(value)
        if missing is not None:
            self._report(
                element,
                name,
                f"${{{missing}}} is defined nowhere: set it in catalina.properties beside the file",
            )
            return None
        return value

    def _report(self, element: Any, name: str, message: str) -> None:
        self.problems.append(f"{self.file}:{element.sourceline}: {element.tag} {name}: {message}")


def _find(cluster: Any, place: str) -> Any:
    return cluster.find(place)


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:  # noqa: PLR2004
        raise ValueError(f"{shown(text)} is no port from 1 to 65535")
    return port


def _milliseconds(text: str) -> float:
    value = int(text)
    if value <= 0:
        raise ValueError(f"{shown(text)} is no time above 0 ms")
    return value / 1000


def _multicast(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is no address") from None
    if not address.is_multicast:
        raise ValueError(f"{shown(text)} is no multicast address")
    return str(address)


def _address(text: str) -> str:
    """Read an address, also in the form of ``Arrays.fromString``: "{10,0,0,1}"."""
    try:
        return str(ipaddress.ip_address(domain(text) if text.startswith("{") else text))
    except ValueError:
        raise ValueError(f"{shown(text)} is no address: a name cannot be matched with heartbeats") from None
