"""Elements, classes and attributes: what Tomcat's Digester can make of a <Cluster>."""

from collections.abc import Iterator
from typing import Final

from probe.tomcat.document import Element
from probe.tomcat.lint import edits
from probe.tomcat.lint.finding import Edit, Finding
from probe.tomcat.lint.node import Cluster, Node, java_int, quoted
from probe.tomcat.tables import OPEN, Attribute, JavaClass, attributes, classes, is_close, is_tomcats, nearest

CHILDREN: Final[dict[str, tuple[str, ...]]] = {
    "Cluster": ("Manager", "Channel", "Valve", "Deployer", "Listener", "ClusterListener"),
    "Channel": ("Membership", "MembershipListener", "Sender", "Receiver", "Interceptor", "ChannelListener"),
    "Manager": ("SessionIdGenerator",),
    "Membership": ("LocalMember", "Member"),
    "Sender": ("Transport",),
    "Interceptor": ("LocalMember", "Member"),
}
"""``ClusterRuleSet``. LocalMember, SessionIdGenerator and the listeners of a channel are there since 7.0."""
SINCE_7: Final = ("SessionIdGenerator", "LocalMember", "MembershipListener", "ChannelListener")
UNNAMED: Final = ("SessionIdGenerator",)
"""Elements that need no className."""
HARMLESS: Final = {("BackupManager", "expireSessionsOnShutdown"): "false"}
"""Attributes that are gone, at the value that asks for what happens without them."""
PROVIDERS: Final = ("kubernetes", "dns")
_BITS: Final = {"int": 31, "long": 63}


def check(cluster: Cluster) -> Iterator[Finding]:
    """Yield what is wrong with each element of a cluster."""
    for element in cluster.element.walk():
        if element is not cluster.element and _is_ignored(cluster.node, element):
            yield _element(cluster.node, element)
        elif not any(_is_ignored(cluster.node, outer) for outer in _outer(element, cluster.element)):
            yield from _class(cluster.node, element)
            yield from _attributes(cluster.node, element)


def check_places(node: Node) -> Iterator[Finding]:
    """Yield each Cluster at a place where Tomcat reads none."""
    for element in node.document.root.walk():
        if element.tag == "Cluster" and element.parent is not None:
            outer = element.parent.tag
            if outer not in ("Engine", "Host"):
                yield node.finding(
                    "element-unknown",
                    element,
                    f"a Cluster in {outer} is not read",
                    effect=_no_rules(element),
                    remedy="put it into <Engine> or <Host>",
                )


def _outer(element: Element, last: Element) -> Iterator[Element]:
    while element is not last and element.parent is not None:
        element = element.parent
        if element is not last:
            yield element


def _is_ignored(node: Node, element: Element) -> bool:
    outer = element.parent.tag if element.parent is not None else ""
    if outer == "Membership" and node.is_before("9.0"):
        return False  # told by the rules of membership
    known = element.tag in CHILDREN.get(outer, ())
    return not known or (node.is_before("7.0") and element.tag in SINCE_7)


def _element(node: Node, element: Element) -> Finding:
    outer = element.parent.tag if element.parent is not None else ""
    near = nearest(element.tag, CHILDREN.get(outer, ()))
    release = f"Tomcat {node.release.branch}" if node.release is not None else "Tomcat"
    return node.finding(
        "element-unknown",
        element,
        f"{release} takes no {element.tag} in {outer}: it is ignored, with all that is in it",
        effect=_no_rules(element),
        remedy=f"write <{near}>" if near else "take it out, or put it where it belongs",
    )


def _no_rules(element: Element) -> str:
    return f"WARNING … No rules found matching [{element.path}]"


# -- classes


def _class(node: Node, element: Element) -> Iterator[Finding]:
    if element.tag in UNNAMED:
        return
    if not element.get("className"):
        yield _unnamed(node, element)
        return
    name = node.class_name(element)
    if not name:
        return
    known = classes().get(name)
    if known is None:
        yield from _unknown(node, element, name)
    elif known.element != element.tag and not (known.element == "Member" and element.tag == "LocalMember"):
        yield _misplaced(node, element, known)
    else:
        yield from _branch(node, element, known)
    yield from _provider(node, element)


def _unnamed(node: Node, element: Element) -> Finding:
    usual = _usual(element.tag)
    return node.finding(
        "class-unknown",
        element,
        "no className is written",
        effect=f"NullPointerException: No class name specified for {element.tag}; Tomcat does not start",
        remedy="name the class",
        edits=[edits.set_value(element, "className", usual)] if usual else [],
        is_safe=bool(usual),
    )


def _usual(tag: str) -> str:
    """Return the one class that an element can only mean, "" if there are several."""
    names = [one.name for one in classes().values() if one.element == tag and one.removed_in is None]
    if tag == "Receiver":
        return "org.apache.catalina.tribes.transport.nio.NioReceiver"
    return names[0] if len(names) == 1 else ""


def _unknown(node: Node, element: Element, name: str) -> Iterator[Finding]:
    if not is_tomcats(name) and name.rpartition(".")[2] not in {one.short for one in classes().values()}:
        return  # one of the operator's own
    near = _near(node, element, name)
    yield node.finding(
        "class-unknown",
        element,
        f"{quoted(name)} is in no Tomcat" + (f": did you mean {near.short}?" if near else ""),
        at="className",
        effect=_not_found(name),
        remedy=f"write {near.name}" if near else "name a class that is there",
        edits=[edits.set_value(element, "className", near.name)] if near else [],
        is_safe=near is not None and is_close(name.rpartition(".")[2], near.short),
    )


def _near(node: Node, element: Element, name: str) -> JavaClass | None:
    fitting = {
        one.short: one
        for one in classes().values()
        if one.element == element.tag and (node.release is None or one.is_in(node.release))
    }
    short = nearest(name.rpartition(".")[2], fitting)
    return fitting[short] if short else None


def _not_found(name: str) -> str:
    return f"ClassNotFoundException: {name[:200]}; Tomcat does not start"


def _misplaced(node: Node, element: Element, known: JavaClass) -> Finding:
    where = f"belongs into <{known.element}>" if known.element else "is for no element"
    return node.finding(
        "class-role",
        element,
        f"{known.short} {where}, not <{element.tag}>",
        at="className",
        effect="ClassCastException or IllegalArgumentException while server.xml is read; Tomcat does not start",
        remedy=f"put it into <{known.element}>" if known.element else "take it out",
    )


def _branch(node: Node, element: Element, known: JavaClass) -> Iterator[Finding]:
    if node.release is None:
        if known.removed_in is not None:
            yield node.finding(
                "class-removed",
                element,
                f"{known.short} is gone from Tomcat {known.removed_in.branch} on",
                at="className",
                severity="warning",
                effect=f"from {known.removed_in.branch} on: {_not_found(known.name)}",
                remedy="give the release with --tomcat",
            )
    elif known.removed_in is not None and node.release >= known.removed_in:
        yield _removed(node, element, known)
    elif not known.is_in(node.release):
        first = ", ".join(map(str, known.since))
        yield node.finding(
            "class-too-new",
            element,
            f"{known.short} is not in Tomcat {node.release}: it came with {first}",
            at="className",
            effect=_not_found(known.name),
            remedy="upgrade, or take it out",
        )


def _removed(node: Node, element: Element, known: JavaClass) -> Finding:
    gone = f"{known.short} is gone from Tomcat {known.removed_in} on" if known.removed_in else ""
    if known.replacement:
        new = known.replacement.rpartition(".")[2]
        change, remedy = edits.set_value(element, "className", known.replacement), f"use {new}"
    else:
        change, remedy = edits.drop(element), "take the element out: nothing has to replace it"
    return node.finding(
        "class-removed",
        element,
        gone,
        at="className",
        effect=_not_found(known.name),
        remedy=remedy,
        correction="" if known.replacement else "<!-- nothing -->",
        edits=[change],
        is_safe=True,
    )


def _provider(node: Node, element: Element) -> Iterator[Finding]:
    name = node.text(element, "membershipProviderClassName")
    if name is None or name in PROVIDERS or not is_tomcats(name) or name in classes():
        return
    yield node.finding(
        "class-unknown",
        element,
        f"{quoted(name)} is in no Tomcat",
        at="membershipProviderClassName",
        effect=f"ChannelException: {_not_found(name)}",
        remedy="write kubernetes or dns",
    )


# -- attributes


def _attributes(node: Node, element: Element) -> Iterator[Finding]:
    name = node.class_name(element)
    known = attributes(name)
    if not known:
        return
    for written in element.attributes:
        if written == "className":
            continue
        one = known.get(written)
        if one is None or (node.release is not None and one.is_in(node.release) is False):
            if name not in OPEN:
                yield _unknown_attribute(node, element, written, known)
        else:
            yield from _value(node, element, one)


def _unknown_attribute(node: Node, element: Element, written: str, known: dict[str, Attribute]) -> Finding:
    short = node.class_name(element).rpartition(".")[2]
    release = node.release
    there = [one for one in known.values() if release is None or one.is_in(release) is not False]
    name = ALIASES.get((short, written)) or nearest(written, [one.name for one in there])
    near = next((one for one in there if one.name == name), None)
    harmless = HARMLESS.get((short, written)) == node.text(element, written)
    other = f"; {known[written].name} is of another release" if written in known else ""
    return node.finding(
        "attribute-unknown",
        element,
        f"{short} of Tomcat {release or ''} has no {written}".replace("  ", " ")
        + (f": did you mean {near.name}?" if near and not harmless else other),
        at=written,
        severity="note" if harmless else None,
        effect=node.not_set(element, written)
        + (f"; {near.name} stays {near.default}" if near and near.default else ""),
        remedy=f"write {near.name}" if near and not harmless else "take it out",
        edits=[_repair(element, written, near if not harmless else None)],
        is_safe=_is_safe(element, written, None if harmless else near),
    )


ALIASES: Final = {
    ("McastService", "mcastAddr"): "address",
    ("McastService", "mcastPort"): "port",
    ("McastService", "mcastFrequency"): "frequency",
    ("McastService", "mcastTTL"): "ttl",
    ("McastService", "mcastSoTimeout"): "soTimeout",
    ("NioReceiver", "tcpListenAddress"): "address",
    ("NioReceiver", "tcpListenPort"): "port",
    ("NioReceiver", "tcpSelectorTimeout"): "selectorTimeout",
    ("NioReceiver", "tcpThreadCount"): "maxThreads",
    ("BioReceiver", "tcpListenAddress"): "address",
    ("BioReceiver", "tcpListenPort"): "port",
    ("BioReceiver", "tcpThreadCount"): "maxThreads",
}
"""Names of 7.0 and older, and what they are called since."""
OLD_NAMES: Final = frozenset(written for _, written in ALIASES)


def _is_safe(element: Element, written: str, near: Attribute | None) -> bool:
    """Tell whether a repair needs nobody: what is ignored today goes, or the name can only mean this one."""
    if near is None or near.name in element.attributes:
        return True
    return written in OLD_NAMES or is_close(written, near.name)


def _repair(element: Element, written: str, near: Attribute | None) -> Edit:
    if near is None or near.name in element.attributes:
        return edits.drop_attribute(element, written)
    return edits.rename(element, written, near.name)


def _value(node: Node, element: Element, one: Attribute) -> Iterator[Finding]:
    value = node.text(element, one.name)
    if value is None or "String" in one.kinds or "InetAddress" in one.kinds:
        return
    stays = f"; it stays {one.default}" if one.default else ""
    if "boolean" in one.kinds:
        if value.lower() not in ("true", "false"):
            yield node.finding(
                "value-invalid",
                element,
                f"{quoted(value)} is neither true nor false: Tomcat takes it for false",
                at=one.name,
                severity="warning",
                remedy="write true or false",
            )
        return
    bits = max(_BITS.get(kind, 0) for kind in one.kinds)
    number = java_int(value)
    if number is not None and -(2**bits) <= number < 2**bits:
        return
    yield node.finding(
        "value-invalid",
        element,
        f"{quoted(value)} is no number of {bits + 1} bits",
        at=one.name,
        effect=node.not_set(element, one.name) + stays,
        remedy="write a whole number",
    )
