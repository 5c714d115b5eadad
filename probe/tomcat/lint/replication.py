"""Whether sessions get across: send options, valves, listeners, managers, deployers."""

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Final

from probe.tomcat.document import Element
from probe.tomcat.lint import edits
from probe.tomcat.lint.finding import Finding
from probe.tomcat.lint.interceptors import send_options
from probe.tomcat.lint.node import HA, Cluster, quoted

FEW_NODES: Final = 4
"""The how-to recommends DeltaManager for small clusters only."""
SHORT_TRANSFER: Final = 10
"""seconds: less, and a node with many sessions starts without them."""
LONGEST_PATTERN: Final = 4096
"""characters of a filter that are looked at."""
BINDER: Final = "JvmRouteBinderValve"
_VALVE: Final = f'<Valve className="{HA}tcp.ReplicationValve" filter=""/>'
_LISTENER: Final = f'<ClusterListener className="{HA}session.ClusterSessionListener"/>'
_IGNORED: Final = ("org.apache.catalina.valves.", "org.apache.catalina.authenticator.")


def check(cluster: Cluster) -> Iterator[Finding]:
    """Yield what keeps sessions of a cluster from their other nodes."""
    yield from _options(cluster)
    yield from _valves(cluster)
    yield from _route(cluster)
    yield from _listeners(cluster)
    yield from _manager(cluster)
    yield from _deployer(cluster)


# -- send options


def _options(cluster: Cluster) -> Iterator[Finding]:
    element, options = cluster.element, send_options(cluster)
    at = "channelSendOptions"
    is_named = at in element.attributes and cluster.number(element, "", at) is None
    if is_named and (options is None or cluster.node.is_before("9.0")):
        yield from _unread(cluster, options)
        return
    odd = _odd(options) if options is not None else ""
    change = [edits.set_value(element, at, "6")]
    if odd:
        yield cluster.node.finding(
            "send-options",
            element,
            f"channelSendOptions {options}: {odd}",
            at=at,
            remedy="6 waits until every member has the session; 8 does not wait",
            edits=change,
        )
    elif options is not None and options & 8:
        yield cluster.node.finding(
            "send-async",
            element,
            f"channelSendOptions {options} is asynchronous: the answer may be out before the session is across",
            at=at,
            effect="behind a balancer that does not stick, 27 % of logins lacked their attributes on another node 150 ms later; with 6 none",
            remedy="sticky sessions, or 6 at the price of waiting for every member",
            edits=change,
        )


def _unread(cluster: Cluster, options: int | None) -> Iterator[Finding]:
    """Say what is wrong with options that are written and do not count."""
    node, element, at = cluster.node, cluster.element, "channelSendOptions"
    text = node.text(element, at)
    if text is None:
        return
    yield node.finding(
        "value-invalid" if options is None else "send-options-name",
        element,
        f"{quoted(text)} is neither a number nor names of options"
        if options is None
        else f"{quoted(text)}: names are read from 9.0 on",
        at=at,
        effect=f"{node.not_set(element, at)}; it stays 8, asynchronous",
        remedy="write 6 (sync, use_ack) or 8 (async)" if options is None else f"write {options}",
        edits=[edits.set_value(element, at, str(options))] if options is not None else [],
        is_safe=options is not None,
    )


_ODD: Final[tuple[tuple[Callable[[int], bool], str], ...]] = (
    (lambda bits: bits < 0, "below zero: Tomcat stays at 8"),
    (lambda bits: bits == 0, "no option at all; Tomcat may stay at 8"),
    (
        lambda bits: bool(bits & 64),
        "64 sends sessions to the multicast group, in datagrams that nobody acknowledges",
    ),
    (
        lambda bits: bool(bits & 32),
        "32 sends in datagrams that may be lost, and needs udpPort on every receiver",
    ),
    (lambda bits: bool(bits & 16), "16, secure, does nothing"),
    (lambda bits: bits & 6 == 4, "4 without 2 asks for no acknowledgement at all"),  # noqa: PLR2004  # bits
    (
        lambda bits: bool(bits & 8 and bits & 6),
        "8 with 2 or 4 makes the dispatcher's thread wait, not the request",
    ),
)


def _odd(options: int) -> str:
    """Say what is not as it seems."""
    return next((why for applies, why in _ODD if applies(options)), "")


# -- valves and listeners


def _valves(cluster: Cluster) -> Iterator[Finding]:
    node = cluster.node
    kinds = [cluster.kind(one) for one in cluster.valves]
    for one in cluster.valves:
        if node.class_name(one).startswith(_IGNORED):
            yield node.finding(
                "valve-ignored",
                one,
                f"{cluster.kind(one)} is no cluster valve",
                effect="it is dropped without a log line",
                remedy="put it into the <Host> or <Engine> itself",
            )
        if cluster.kind(one) == "ReplicationValve":
            yield from _filter(cluster, one)
    if kinds and "ReplicationValve" not in kinds:
        yield node.finding(
            "valves-missing",
            cluster.valves[0],
            "valves without ReplicationValve: Tomcat's own two are not added to a list",
            effect="no change of a session is replicated, and nothing is logged",
            remedy="ReplicationValve before the others",
            correction=_VALVE,
            edits=[edits.before(cluster.valves[0], _VALVE)],
            is_safe=True,
        )


def _filter(cluster: Cluster, valve: Element) -> Iterator[Finding]:
    node = cluster.node
    text = node.text(valve, "filter")
    if not text:
        return
    problem = java_regex_problem(text)
    if problem:
        repaired = ".*\\." + text.removeprefix("*.") if re.fullmatch(r"\*\.\w+", text) else ""
        yield node.finding(
            "filter-invalid",
            valve,
            f"{quoted(text)} is no regular expression: {problem}",
            at="filter",
            effect="SEVERE … Unable to compile filter: PatternSyntaxException; nothing is filtered",
            remedy=r"a Java pattern for the whole URI, such as .*\.gif|.*\.js",
            edits=[edits.set_value(valve, "filter", repaired)] if repaired else [],
            is_safe=bool(repaired),
        )
    elif never := [part for part in re.split(r"[|;]", text) if part.startswith("\\.")] or (
        [text] if ";" in text else []
    ):
        yield node.finding(
            "filter-never",
            valve,
            f"{quoted(never[0])} matches no URI: the whole URI has to match"
            + (", and ; is no separator" if ";" in text else ""),
            at="filter",
            effect="requests for it are replicated like all others",
            remedy=r".*\.gif|.*\.js",
        )


def java_regex_problem(text: str) -> str:
    """Say why Java would not compile a pattern, as far as both languages agree; "" if nothing is wrong."""
    if len(text) > LONGEST_PATTERN:
        return ""
    shared = re.sub(r"\\[pP]\{\w+\}|\\[QEhHRvVXGzZ]|[*+?}]\+", "", text)
    shared = re.sub(r"\(\?[a-zA-Z-]*[dux][a-zA-Z-]*[:)]|\(\?<(?![=!])\w+>", "(?:", shared)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sets that Java reads otherwise
        try:
            re.compile(shared)
        except re.error as error:
            return error.msg
        except (OverflowError, RecursionError):
            return "it is too deep or too long"
    return ""


def _route(cluster: Cluster) -> Iterator[Finding]:
    node, engine = cluster.node, cluster.engine
    binds = not cluster.valves or BINDER in [cluster.kind(one) for one in cluster.valves]
    if engine is None or not binds or "jvmRoute" in engine.attributes or "jvmRoute" in (node.jvm or {}):
        return
    yield node.finding(
        "jvm-route-missing",
        engine,
        "no jvmRoute: a session does not say to which node it belongs",
        severity="warning" if node.jvm is not None else "note",
        effect=f"a balancer cannot stick by it, and {BINDER} does nothing; told at DEBUG only"
        + ("" if node.jvm is not None else "; -DjvmRoute would set it, the JVM's options were not given"),
        remedy="jvmRoute with another name on each node, the balancer's name for it",
        edits=[edits.set_value(engine, "jvmRoute", "node1")],
    )


def _listeners(cluster: Cluster) -> Iterator[Finding]:
    listeners = cluster.element.all("ClusterListener")
    kinds = [cluster.kind(one) for one in listeners]
    needs = cluster.manager_kind in ("DeltaManager", "SimpleTcpReplicationManager")
    if listeners and needs and "ClusterSessionListener" not in kinds:
        yield cluster.node.finding(
            "listener-missing",
            listeners[0],
            "ClusterListeners without ClusterSessionListener: Tomcat's own is not added to a list",
            effect="DeltaManager hears no session of another node, and nothing is logged",
            remedy="ClusterSessionListener among them",
            correction=_LISTENER,
            edits=[edits.before(listeners[0], _LISTENER)],
            is_safe=True,
        )


# -- managers and deployers


def _manager(cluster: Cluster) -> Iterator[Finding]:
    node, manager = cluster.node, cluster.manager
    if manager is None or cluster.manager_kind != "DeltaManager":
        return
    if cluster.is_true(manager, "Manager", "expireSessionsOnShutdown"):
        yield node.finding(
            "expire-on-shutdown",
            manager,
            "expireSessionsOnShutdown: a clean stop of this node ends its sessions on every node",
            at="expireSessionsOnShutdown",
            effect="whoever is served here is logged out by a restart",
            remedy="false, Tomcat's default",
            edits=[edits.set_value(manager, "expireSessionsOnShutdown", "false")],
            is_safe=True,
        )
    seconds = cluster.number(manager, "Manager", "stateTransferTimeout")
    if "stateTransferTimeout" in manager.attributes and seconds is not None and seconds < SHORT_TRANSFER:
        waits = seconds < 0
        yield node.finding(
            "state-transfer",
            manager,
            f"stateTransferTimeout {seconds}: a start waits for ever for the others' sessions"
            if waits
            else f"stateTransferTimeout {seconds} s is short for many sessions",
            at="stateTransferTimeout",
            severity="warning" if waits else "note",
            effect="Tomcat does not get up while the member it asked does not answer"
            if waits
            else "SEVERE … No session state … received: it starts without them",
            remedy="60, Tomcat's default",
            edits=[edits.drop_attribute(manager, "stateTransferTimeout")],
        )


def many_nodes(cluster: Cluster, nodes: int) -> Iterator[Finding]:
    """Yield what a cluster of so many nodes should know."""
    if cluster.manager_kind != "DeltaManager":
        return
    place = cluster.manager if cluster.manager is not None else cluster.element
    if nodes > FEW_NODES:
        yield cluster.node.finding(
            "all-to-all",
            place,
            f"DeltaManager sends every change of a session to {nodes - 1} nodes",
            effect="traffic and memory grow with the square of the nodes",
            remedy="BackupManager, or smaller groups",
        )
    seconds = cluster.number(place if place is cluster.manager else None, "Manager", "stateTransferTimeout")
    if nodes > 1 and seconds is not None and (seconds < 0 or seconds >= SHORT_TRANSFER):
        yield cluster.node.finding(
            "start-together",
            place,
            "nodes that start at the same moment ask each other for their sessions, and wait",
            effect=f"three at once took 64 s instead of 12 one after the other: each waits up to {seconds} s",
            remedy="start them one after the other",
        )


def _deployer(cluster: Cluster) -> Iterator[Finding]:
    node = cluster.node
    for one in cluster.element.all("Deployer"):
        if cluster.kind(one) != "FarmWarDeployer":
            continue
        watches = cluster.is_true(one, "", "watchEnabled")
        if cluster.container == "Engine":
            yield node.finding(
                "farm-engine",
                one,
                "FarmWarDeployer in an Engine's Cluster"
                + ("" if watches else ": it deploys nothing here; watchEnabled is off, so nothing is missed"),
                severity=None if watches else "note",
                effect="SEVERE … FarmWarDeployer can only work as host cluster subelement!",
                remedy="put the Cluster into the <Host>, or take the Deployer out",
                correction="<!-- nothing -->",
                edits=[edits.drop(one)],
            )
        if watches:
            yield from _folders(cluster, one)


def _folders(cluster: Cluster, one: Element) -> Iterator[Finding]:
    folders = {name: node_text for name in ("tempDir", "deployDir", "watchDir") if (node_text := one.get(name))}
    if "watchDir" not in folders:
        yield cluster.node.finding(
            "farm-watch",
            one,
            "watchEnabled, and no watchDir",
            at="watchEnabled",
            severity=None if cluster.container != "Engine" else "warning",
            effect="Unable to start cluster: NullPointerException; Tomcat does not start",
            remedy="watchDir with a folder of its own, or watchEnabled false",
            edits=[edits.set_value(one, "watchEnabled", "false")],
            is_safe=True,
        )
    paths = [path.rstrip("/") for path in folders.values()]
    if len(set(paths)) != len(paths):
        yield cluster.node.finding(
            "farm-watch",
            one,
            f"{', '.join(folders)}: two of them are one folder",
            severity="warning",
            effect="what arrives is taken for something new, and sent on again",
            remedy="a folder for each",
        )
