"""One node as its files describe it, and each <Cluster> of it with Tomcat's defaults."""

import functools
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from probe.fields import shown
from probe.tomcat.document import Document, Element
from probe.tomcat.lint.finding import Edit, Finding, Severity, apply
from probe.tomcat.lint.host import HostFacts
from probe.tomcat.lint.rule import RULES
from probe.tomcat.properties import resolve, unresolved
from probe.tomcat.release import Release, first_of
from probe.tomcat.tables import attributes

HA: Final = "org.apache.catalina.ha."
TRIBES: Final = "org.apache.catalina.tribes."
INTERCEPTORS: Final = f"{TRIBES}group.interceptors."
DETECTOR: Final = "TcpFailureDetector"
DISPATCHERS: Final = ("MessageDispatchInterceptor", "MessageDispatch15Interceptor")
SECRETS: Final = ("encryptionKey", "encryptionKeyString", "password", "connectionPassword")
"""Attributes whose values are never shown."""
CLASS_OF: Final = {
    "Membership": f"{TRIBES}membership.McastService",
    "Receiver": f"{TRIBES}transport.nio.NioReceiver",
    "Channel": f"{TRIBES}group.GroupChannel",
    "Manager": f"{HA}session.DeltaManager",
}
"""What is made where an element is left out."""
MOST_CLUSTERS: Final = 64
"""Of one file; what comes after is not looked at."""
_LONGEST_SHOWN: Final = 2_000
"""bytes of a correction."""


class Node(msgspec.Struct, frozen=True, dict=True):
    """A server.xml with what belongs to it. ``jvm`` and ``host`` are None where nobody looked."""

    document: Document
    release: Release | None = None
    properties: dict[str, str] = {}
    jvm: dict[str, str] | None = None
    host: HostFacts | None = None

    @property
    def file(self) -> str:
        """Return its name."""
        return self.document.file

    def text(self, element: Element | None, name: str) -> str | None:
        """Return an attribute with its placeholders replaced; None if it is not written or not all is known."""
        raw = element.get(name) if element is not None else None
        if raw is None:
            return None
        value = resolve(raw, self.properties | (self.jvm or {}))
        return value if unresolved(value) is None else None

    def class_name(self, element: Element | None) -> str:
        """Return the class that an element names, "" if that is not known."""
        return self.text(element, "className") or ""

    def is_before(self, text: str) -> bool:
        """Tell whether the release is known to be older than this one."""
        return self.release is not None and self.release < first_of(text)

    def finding(  # what a finding holds
        self,
        rule: str,
        element: Element,
        what: str,
        *,
        at: str = "",
        severity: Severity | None = None,
        effect: str = "",
        remedy: str = "",
        correction: str = "",
        edits: Iterable[Edit] = (),
        is_safe: bool = False,
    ) -> Finding:
        """Make a finding about an element, or about the attribute ``at`` of it."""
        written = element.attributes.get(at)
        document = element.document
        line, column = document.position(element.start if written is None else written.name_start)
        changes = tuple(edits)
        return Finding(
            rule=rule,
            severity=severity or RULES[rule].severity,
            file=document.file,
            line=line,
            column=column,
            place=f"{element.tag} {at}".strip(),
            what=what,
            effect=effect,
            remedy=remedy,
            correction=correction or (corrected(element, changes) if changes else ""),
            edits=changes,
            is_safe=is_safe and bool(changes),
        )

    def not_set(self, element: Element, name: str) -> str:
        """Return what the Digester logs of an attribute that it cannot set."""
        value = "…" if name in SECRETS else quoted(self.text(element, name) or element.get(name) or "")[1:-1]
        if self.is_before("9.0"):
            return f"WARNING … Setting property '{name}' to '{value}' did not find a matching property"
        return f"WARNING … Match [{element.path}] failed to set property [{name}] to [{value}]"

    @functools.cached_property
    def clusters(self) -> "list[Cluster]":
        """Return each Cluster at a place where Tomcat reads it, or that is the whole file; so many at most."""
        found = (element for element in self.document.root.walk() if element.tag == "Cluster")
        read = (one for one in found if one.parent is None or one.parent.tag in ("Engine", "Host"))
        return [Cluster(self, element) for element in islice(read, MOST_CLUSTERS)]


class Cluster:
    """One <Cluster>: its parts, and what each setting is, Tomcat's default where nothing is written."""

    def __init__(self, node: Node, element: Element) -> None:
        self.node = node
        self.element = element
        self.channel = element.first("Channel")
        self.membership = self._part("Membership")
        self.receiver = self._part("Receiver")
        self.interceptors = self.channel.all("Interceptor") if self.channel is not None else []
        self.valves = element.all("Valve")
        self.manager = element.first("Manager")

    def _part(self, tag: str) -> Element | None:
        return self.channel.first(tag) if self.channel is not None else None

    @property
    def container(self) -> str:
        """Return the tag that it stands in, "" for a file that is a Cluster alone."""
        return self.element.parent.tag if self.element.parent is not None else ""

    @property
    def engine(self) -> Element | None:
        """Return the Engine around it."""
        outer = self.element.parent
        while outer is not None and outer.tag != "Engine":
            outer = outer.parent
        return outer

    def kind(self, element: Element | None, tag: str = "") -> str:
        """Return the class of an element without its package; of one left out, Tomcat's default's."""
        name = self.node.class_name(element) if element is not None else CLASS_OF.get(tag, "")
        return name.rpartition(".")[2]

    @property
    def membership_kind(self) -> str:
        """Return "McastService" or another membership's class."""
        return self.kind(self.membership, "Membership")

    @property
    def is_multicast(self) -> bool:
        """Whether members are found by McastService."""
        return self.membership_kind == "McastService"

    @property
    def manager_kind(self) -> str:
        """Return the manager's class."""
        return self.kind(self.manager, "Manager")

    @property
    def stack(self) -> list[str]:
        """Return the interceptors' classes, Tomcat's own two where none is given."""
        if self.interceptors:
            return [self.kind(one) for one in self.interceptors]
        dispatch = DISPATCHERS[1] if self.node.is_before("8.5") else DISPATCHERS[0]
        return [dispatch, DETECTOR]

    def interceptor(self, kind: str) -> Element | None:
        """Return the first interceptor of a class."""
        return next((one for one in self.interceptors if self.kind(one) == kind), None)

    def members(self) -> Iterator[Element]:
        """Yield every static member that is listed."""
        for holder in (*self.interceptors, *([self.membership] if self.membership is not None else [])):
            yield from holder.all("Member", "LocalMember")

    def value(self, element: Element | None, tag: str, *names: str) -> str:
        """Return what an attribute is: the last of its names that is written and known, else Tomcat's default."""
        class_name = self.node.class_name(element) if element is not None else CLASS_OF.get(tag, "")
        known = attributes(class_name)
        found = [
            text
            for name in (element.attributes if element is not None else {})
            if name in names
            and self._takes(known, name)
            and (text := self.node.text(element, name)) is not None
        ]
        if found:
            return found[-1]
        return known[names[0]].default.partition(" (")[0] if names[0] in known else ""

    def _takes(self, known: dict[str, Any], name: str) -> bool:
        if name not in known or self.node.release is None:
            return True
        return known[name].is_in(self.node.release) is not False

    def number(self, element: Element | None, tag: str, *names: str) -> int | None:
        """Return an attribute as a number; None if it is none."""
        return java_int(self.value(element, tag, *names))

    def is_true(self, element: Element | None, tag: str, name: str) -> bool:
        """Return an attribute as a truth."""
        return self.value(element, tag, name).lower() == "true"

    @property
    def group(self) -> tuple[str, int]:
        """Return the membership's address and port."""
        port = self.number(self.membership, "Membership", "port", "mcastPort")
        return self.value(self.membership, "Membership", "address", "mcastAddr"), port or 45564

    @property
    def times(self) -> tuple[int | None, int | None]:
        """Return frequency and dropTime, in ms."""
        return (
            self.number(self.membership, "Membership", "frequency", "mcastFrequency"),
            self.number(self.membership, "Membership", "dropTime", "mcastDropTime"),
        )

    @property
    def receiver_address(self) -> str:
        """Return what the receiver is bound to, "auto" for the host's own."""
        return self.value(self.receiver, "Receiver", "address", "host", "tcpListenAddress")

    @property
    def receiver_ports(self) -> tuple[int, int]:
        """Return the first and the last port that the receiver may take (``ReceiverBase.bind``)."""
        port = self.number(self.receiver, "Receiver", "port", "tcpListenPort") or 4000
        many = self.number(self.receiver, "Receiver", "autoBind") or 1
        return port, port + max(1, many) - 1


def java_int(text: str) -> int | None:
    """Return what ``Long.valueOf`` reads, None where it throws."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not digits.isdecimal() or not digits.isascii() or len(digits) > 19:  # noqa: PLR2004  # a long's digits
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def corrected(element: Element, edits: tuple[Edit, ...]) -> str:
    """Return an element with edits made, without secrets, ready to paste; if it has children, its start tag."""
    inside = [edit for edit in edits if element.start <= edit.start and edit.end <= element.end]
    end = element.open_end if all(edit.end <= element.open_end for edit in inside) else element.end
    hidden = [hide for each in element.walk() for hide in _hide(each, edits)]
    shift = tuple(
        Edit(one.start - element.start, one.end - element.start, one.text) for one in (*inside, *hidden)
    )
    text = element.document.text[element.start : end]
    fitting = tuple(one for one in shift if one.end <= len(text))
    return apply(text, fitting)[:_LONGEST_SHOWN].decode("utf-8", "replace").strip()


def _hide(element: Element, edits: tuple[Edit, ...]) -> Iterator[Edit]:
    for name in SECRETS:
        written = element.attributes.get(name)
        if written is not None and not any(
            edit.start < written.value_end and written.value_start < edit.end for edit in edits
        ):
            yield Edit(written.value_start, written.value_end, "…".encode())


def quoted(text: str) -> str:
    """Return a value as a finding shows it."""
    return shown(text)
