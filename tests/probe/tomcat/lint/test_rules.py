"""Every rule: what it finds, how bad it is, where; and what it does not find in files that are well."""

import re
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clusters import (
    ADDRESS,
    BRANCHES,
    DETECTOR,
    GCM,
    HA,
    KEY,
    MISTAKES,
    PLAIN,
    TRIBES,
    UNIQUE_ID,
    alone,
    channel,
    cluster,
    how_to,
    interceptor,
    member,
    second_how_to,
    server,
    service,
)

from probe.fields import ConfigError
from probe.tomcat.document import parse_document
from probe.tomcat.lint.finding import Finding, Severity
from probe.tomcat.lint.fix import fix
from probe.tomcat.lint.host import HostFacts
from probe.tomcat.lint.linter import judge
from probe.tomcat.lint.node import Node
from probe.tomcat.lint.rule import RULES
from probe.tomcat.release import BRANCHES as KNOWN
from probe.tomcat.release import parse_release

IPV4: Final = {"java.net.preferIPv4Stack": "true", "jvmRoute": "one"}
DISPATCH: Final = interceptor("MessageDispatchInterceptor")
STATIC: Final = "membership.StaticMembershipService"
CLOUD: Final = "membership.cloud.CloudMembershipService"
BINDER: Final = f'\n          <Valve className="{HA}session.JvmRouteBinderValve"/>'
DELTA: Final = f"{HA}session.DeltaManager"
SESSION: Final = "org.apache.catalina.session"
FARM: Final = f'<Deployer className="{HA}deploy.FarmWarDeployer" tempDir="t" deployDir="d" watchDir="w" {{}}/>'


def node(
    text: str,
    release: str | None = "9.0.113",
    file: str = "server.xml",
    jvm: dict[str, str] | None = None,
    host: HostFacts | None = None,
) -> Node:
    """Return a file as a node."""
    parsed = parse_release(release) if release else None
    return Node(parse_document(file, text.encode()), parsed, {"known": "1"}, jvm, host)


def static(attributes: str, above: str = DETECTOR) -> str:
    """Return a file with one static member."""
    holder = interceptor("StaticMembershipInterceptor", "", member(attributes=attributes))
    return alone(channel(interceptors=above + holder))


def manager(attributes: str, kind: str = DELTA) -> str:
    """Return a file with a manager."""
    return alone(rest=f'\n          <Manager className="{kind}" {attributes}/>')


def options(value: str, stack: str = PLAIN + DISPATCH) -> str:
    """Return a file with send options."""
    return alone(channel(interceptors=stack), f'channelSendOptions="{value}"')


def twin(text: str, other: str = "10.77.0.12", name: str = "Other") -> str:
    """Return the same node on another host."""
    return text.replace(ADDRESS, other).replace('jvmRoute="Catalina"', f'jvmRoute="{name}"')


@dataclass(frozen=True)
class Case:
    """Files, and the one finding of a rule that they earn."""

    rule: str
    severity: Severity
    files: tuple[str, ...]
    says: str
    place: str
    release: str | None = "9.0.113"
    jvm: dict[str, str] | None = field(default_factory=lambda: IPV4)
    host: HostFacts | None = None

    def findings(self) -> list[Finding]:
        """Return what is found of this rule."""
        nodes = [
            node(text, self.release, f"node{number}.xml", self.jvm, self.host)
            for number, text in enumerate(self.files, 1)
        ]
        return [one for one in judge(nodes) if one.rule == self.rule]


GOOD: Final = alone()
HOST: Final = HostFacts("tc1", (ADDRESS,), {ADDRESS: True}, {"239.255.0.4": True})


def resolving(*addresses: str) -> HostFacts:
    """Return a host whose name resolves to these."""
    return HostFacts("tc1", addresses, {}, {})


AUTO: Final = alone(channel(receiver='address="auto"'))
CASES: Final = {
    # -- classes, attributes, elements
    "a class that leaves, no release": Case(
        "class-removed",
        "warning",
        (alone(channel(interceptors=DETECTOR + interceptor("MessageDispatch15Interceptor"))),),
        "is gone from Tomcat 8.5 on",
        "Interceptor className",
        release=None,
    ),
    "a class of Tomcat 5": Case(
        "class-removed",
        "error",
        (alone().replace("org.apache.catalina.ha.tcp.Simple", "org.apache.catalina.cluster.tcp.Simple"),),
        "SimpleTcpCluster is gone from Tomcat 6.0 on",
        "Cluster className",
    ),
    "the right class of the wrong package": Case(
        "class-unknown",
        "error",
        (alone(channel(interceptors=PLAIN.replace("group.interceptors.Tcp", "interceptors.Tcp"))),),
        "did you mean TcpFailureDetector?",
        "Interceptor className",
    ),
    "a provider that is none": Case(
        "class-unknown",
        "error",
        (alone(channel(f'membershipProviderClassName="{TRIBES}membership.X"', membership_class=CLOUD)),),
        "is in no Tomcat",
        "Membership membershipProviderClassName",
    ),
    "neither true nor false": Case(
        "value-invalid",
        "warning",
        (alone(channel('recoveryEnabled="yes"')),),
        '"yes" is neither true nor false',
        "Membership recoveryEnabled",
    ),
    "an attribute that is gone and missed by nobody": Case(
        "attribute-unknown",
        "note",
        (manager('expireSessionsOnShutdown="false"', f"{HA}session.BackupManager"),),
        "BackupManager of Tomcat 9.0.113 has no expireSessionsOnShutdown",
        "Manager expireSessionsOnShutdown",
    ),
    "a replay window too early": Case(
        "attribute-unknown",
        "error",
        (
            alone(
                channel(
                    interceptors=interceptor(
                        "EncryptInterceptor", f'encryptionKey="{KEY}" {GCM} replayWindowTime="1"'
                    )
                    + DETECTOR
                )
            ),
        ),
        "has no replayWindowTime",
        "Interceptor replayWindowTime",
        release="9.0.118",
    ),
    "a placeholder": Case(
        "placeholder-undefined",
        "note",
        (alone(channel(receiver='address="${known}" port="${unknown}"')),),
        "${unknown} is not in catalina.properties",
        "Receiver port",
    ),
    "no release": Case("release-unknown", "note", (GOOD,), "release is not known", "Server", release=None),
    "no cluster": Case("cluster-missing", "warning", (server(service("")),), "no Cluster in Engine", "Server"),
    "a Cluster in a Context": Case(
        "element-unknown",
        "error",
        (server(service("", context=f'<Context path="">{cluster()}</Context>')),),
        "a Cluster in Context is not read",
        "Cluster",
    ),
    # -- membership
    "two heartbeats": Case(
        "drop-time-tight",
        "warning",
        (alone(channel('frequency="500" dropTime="1000"')),),
        "dropTime 1000 ms is less than 3 heartbeats of 500 ms",
        "Membership dropTime",
    ),
    "the routers' block": Case(
        "group-reserved",
        "warning",
        (alone(channel('address="224.0.0.5"')),),
        "224.0.0.5 is of",
        "Membership address",
    ),
    "a group by name": Case(
        "group-not-multicast",
        "warning",
        (alone(channel('address="cluster.example"')),),
        '"cluster.example" is no multicast address',
        "Membership address",
    ),
    "the default group": Case(
        "group-default",
        "note",
        (alone(channel('address="228.0.0.4"')),),
        "228.0.0.4:45564 is every Tomcat's default group",
        "Membership address",
    ),
    "two clusters of one file in one group": Case(
        "group-shared",
        "warning",
        (server(service(cluster(), "One"), service(cluster(channel(receiver='port="5000"')), "Two")),),
        "239.255.0.4:45564 is the group of the Cluster at node1.xml:7 too",
        "Membership",
    ),
    "two names in one group": Case(
        "group-shared",
        "warning",
        (alone(attributes='clusterName="a"'), twin(alone(attributes='clusterName="b"'))),
        'cluster "b" here and "a" in node1.xml both have 239.255.0.4:45564',
        "Membership",
    ),
    "bind, options not given": Case(
        "bind-ipv4",
        "note",
        (alone(channel(f'bind="{ADDRESS}"')),),
        "its options were not given",
        "Membership bind",
        jvm=None,
    ),
    "bind without the option": Case(
        "bind-ipv4",
        "warning",
        (alone(channel(f'bind="{ADDRESS}"')),),
        "have no -Djava.net.preferIPv4Stack=true",
        "Membership bind",
        jvm={"java.net.preferIPv4Stack": "false"},
    ),
    "bind elsewhere": Case(
        "bind-not-local",
        "error",
        (alone(channel('bind="10.77.9.9"')),),
        "10.77.9.9 is no address of this host",
        "Membership bind",
        host=HostFacts("tc1", (ADDRESS,), {"10.77.9.9": False}, {}),
    ),
    "no way to the group": Case(
        "multicast-route",
        "error",
        (GOOD,),
        "no route to 239.255.0.4",
        "Membership address",
        host=HostFacts("tc1", (ADDRESS,), {}, {"239.255.0.4": False}),
    ),
    "two networks": Case(
        "ttl-subnets",
        "warning",
        (GOOD, twin(GOOD, "10.78.0.12")),
        "members in 2 networks (10.77.0.0/24, 10.78.0.0/24) and a ttl of 1",
        "Membership ttl",
    ),
    "not heard on one's own host": Case(
        "loopback-disabled",
        "warning",
        (alone(channel('localLoopbackDisabled="true"')),),
        "members on one host do not hear each other",
        "Membership localLoopbackDisabled",
    ),
    "a member without an id": Case(
        "static-member",
        "warning",
        (static('host="10.77.0.12" port="4000"'),),
        "no uniqueId: it counts as 16 zero bytes",
        "Member",
    ),
    "a member twice": Case(
        "static-member-twice",
        "warning",
        (
            static('host="10.77.0.12" port="4000"').replace(
                "</Interceptor>", member(attributes='host="10.77.0.12" port="4000"') + "</Interceptor>"
            ),
        ),
        "10.77.0.12:4000 is listed in line",
        "Member",
    ),
    "a list that may match": Case(
        "static-local-missing",
        "note",
        (
            alone(
                channel(
                    receiver='address="auto"',
                    membership_class=STATIC,
                    inside=member(attributes=f'host="{ADDRESS}" port="4000" uniqueId="{UNIQUE_ID}"'),
                )
            ),
        ),
        "one of the list must match it",
        "Membership",
    ),
    "no multicast, nobody listed": Case(
        "start-options",
        "warning",
        (alone(attributes='channelSendOptions="6" channelStartOptions="3"'),),
        "channelStartOptions 3 does not start multicast, and no static member is listed",
        "Cluster channelStartOptions",
    ),
    "a static service that does not start": Case(
        "start-options",
        "warning",
        (
            alone(
                channel(membership_class=STATIC, inside=member("LocalMember", f'uniqueId="{UNIQUE_ID}"')),
                'channelSendOptions="6" channelStartOptions="3"',
            ),
        ),
        "does not start StaticMembershipService",
        "Cluster channelStartOptions",
    ),
    "the container's heartbeat": Case(
        "heartbeat-background",
        "warning",
        (alone(attributes='channelSendOptions="6" heartbeatBackgroundEnabled="true"'),),
        "the channel's heartbeat comes with the container's background thread",
        "Cluster heartbeatBackgroundEnabled",
    ),
    "a slow heartbeat": Case(
        "heartbeat-slow",
        "warning",
        (
            alone(
                channel(
                    'membershipProviderClassName="dns"',
                    membership_class=CLOUD,
                    attributes='heartbeatSleeptime="9000"',
                )
            ),
        ),
        "heartbeatSleeptime 9000 ms is above expirationTime 5000 ms",
        "Channel heartbeatSleeptime",
    ),
    # -- receiver
    "auto, host not looked at": Case("receiver-auto", "note", (AUTO,), "address auto", "Receiver address"),
    "auto, loopback": Case(
        "receiver-loopback",
        "error",
        (AUTO,),
        'this host\'s name "tc1" resolves to 127.0.1.1',
        "Receiver address",
        host=resolving("127.0.1.1"),
    ),
    "auto, IPv6 loopback": Case(
        "receiver-loopback", "error", (AUTO,), "resolves to ::1", "Receiver address", host=resolving("::1")
    ),
    "auto, several": Case(
        "receiver-auto",
        "warning",
        (AUTO,),
        "resolves to 10.0.0.1, 10.1.0.1",
        "Receiver address",
        host=resolving("10.0.0.1", "10.1.0.1"),
    ),
    "auto, IPv6": Case(
        "receiver-auto",
        "warning",
        (AUTO,),
        "resolves to fd00::1",
        "Receiver address",
        host=resolving("fd00::1"),
    ),
    "auto, no name": Case(
        "receiver-auto", "warning", (AUTO,), "resolves to nothing", "Receiver address", host=resolving()
    ),
    "loopback written": Case(
        "receiver-loopback",
        "warning",
        (alone(channel(receiver='address="127.0.0.1"')),),
        "127.0.0.1 is a loopback address",
        "Receiver address",
    ),
    "loopback, and a member elsewhere": Case(
        "receiver-loopback",
        "error",
        (alone(channel(receiver='address="127.0.0.1"')).replace("Catalina", "C"), GOOD),
        f"127.0.0.1 is announced, and node2.xml is at {ADDRESS}",
        "Receiver address",
    ),
    "an address of another host": Case(
        "receiver-not-local",
        "error",
        (GOOD,),
        f"{ADDRESS} is no address of this host",
        "Receiver address",
        host=HostFacts("tc1", (), {ADDRESS: False}, {}),
    ),
    "ports that overlap": Case(
        "receiver-port-shared",
        "warning",
        (GOOD, twin(alone(channel(receiver='port="4050"')), ADDRESS)),
        "ports 4050-4149 here and 4000-4099 at node1.xml:10 are one host's",
        "Receiver port",
    ),
    "one fixed port for two files": Case(
        "receiver-port-shared",
        "error",
        (alone(channel(receiver='autoBind="1"')), twin(alone(channel(receiver='autoBind="0"')), ADDRESS)),
        "ports 4000-4000 here and 4000-4000",
        "Receiver port",
    ),
    "one number for two ports": Case(
        "port-shared",
        "note",
        (alone(channel(receiver='port="45564"')),),
        "one is UDP, the other TCP; it works",
        "Receiver port",
    ),
    "one UDP port for two": Case(
        "port-shared",
        "warning",
        (alone(channel(receiver='udpPort="45564"')),),
        "udpPort 45564 is the membership's port",
        "Receiver udpPort",
    ),
    "few threads": Case(
        "receiver-threads",
        "note",
        (alone(channel(receiver='maxThreads="1"')), twin(GOOD), twin(GOOD, "10.77.0.13", "Third")),
        "1 receiver threads for 2 other members",
        "Receiver maxThreads",
    ),
    "open to the Internet": Case(
        "untrusted-network",
        "warning",
        (alone(channel(receiver='address="8.8.8.8"')),),
        "is open to the Internet",
        "Receiver address",
    ),
    "open everywhere": Case(
        "untrusted-network",
        "warning",
        (alone(channel(receiver='address="0.0.0.0"')),),
        "is open to the Internet",
        "Receiver address",
    ),
    "open within": Case("untrusted-network", "note", (GOOD,), "must be trusted", "Receiver address"),
    # -- interceptors
    "an algorithm by default": Case(
        "encrypt-algorithm",
        "warning",
        (alone(channel(interceptors=interceptor("EncryptInterceptor", f'encryptionKey="{KEY}"') + DETECTOR)),),
        "the algorithm is not written",
        "Interceptor",
    ),
    "no detector": Case(
        "detector-missing",
        "warning",
        (alone(channel(interceptors=DISPATCH)),),
        "interceptors without TcpFailureDetector",
        "Interceptor",
    ),
    "static members that nobody watches": Case(
        "static-unwatched",
        "warning",
        (static('host="10.77.0.12" port="4000"', above=DISPATCH),),
        "no TcpPingInterceptor and no TcpFailureDetector above StaticMembershipInterceptor",
        "Interceptor",
    ),
    "a dispatcher with a flag": Case(
        "dispatch-flag",
        "warning",
        (alone(channel(interceptors=PLAIN + interceptor("MessageDispatchInterceptor", 'optionFlag="4"'))),),
        "MessageDispatchInterceptor with optionFlag 4",
        "Interceptor optionFlag",
    ),
    "nobody to dispatch": Case(
        "dispatch-missing",
        "warning",
        (options("8", PLAIN),),
        "channelSendOptions 8 is asynchronous, and no MessageDispatchInterceptor is there",
        "Interceptor",
    ),
    "a dispatcher that hangs": Case(
        "dispatch-hangs",
        "warning",
        (alone(channel(interceptors=PLAIN + DISPATCH)),),
        "MessageDispatchInterceptor of 7.0 may wait",
        "Interceptor className",
        release="7.0.109",
    ),
    "a detector with a flag": Case(
        "detector-flag",
        "note",
        (alone(channel(interceptors=interceptor("TcpFailureDetector", 'optionFlag="256"'))),),
        "TcpFailureDetector with optionFlag 256",
        "Interceptor optionFlag",
    ),
    # -- replication
    **{
        f"send options {value}": Case(
            "send-options",
            "warning",
            (options(value),),
            f"channelSendOptions {value}: {why}",
            "Cluster channelSendOptions",
        )
        for value, why in {
            "-1": "below zero",
            "0": "no option at all",
            "4": "4 without 2",
            "10": "8 with 2 or 4",
            "14": "8 with 2 or 4",
            "16": "16, secure, does nothing",
            "34": "32 sends in datagrams",
            "66": "64 sends sessions to the multicast group",
        }.items()
    },
    "asynchronous": Case(
        "send-async",
        "note",
        (options("8"),),
        "channelSendOptions 8 is asynchronous",
        "Cluster channelSendOptions",
    ),
    "asynchronous, by name": Case(
        "send-async", "note", (options("async"),), "is asynchronous", "Cluster channelSendOptions"
    ),
    "a valve that is no cluster valve": Case(
        "valve-ignored",
        "warning",
        (alone(rest='\n<Valve className="org.apache.catalina.valves.AccessLogValve"/>'),),
        "AccessLogValve is no cluster valve",
        "Valve",
    ),
    "valves that do not replicate": Case(
        "valves-missing", "warning", (alone(rest=BINDER),), "valves without ReplicationValve", "Valve"
    ),
    "listeners that do not listen": Case(
        "listener-missing",
        "warning",
        (alone(rest='\n<ClusterListener className="com.example.Mine"/>'),),
        "ClusterListeners without ClusterSessionListener",
        "ClusterListener",
    ),
    "no route, options not given": Case(
        "jvm-route-missing",
        "note",
        (GOOD.replace(' jvmRoute="Catalina"', ""),),
        "no jvmRoute",
        "Engine",
        jvm=None,
    ),
    "no route": Case(
        "jvm-route-missing",
        "warning",
        (GOOD.replace(' jvmRoute="Catalina"', ""),),
        "no jvmRoute",
        "Engine",
        jvm={},
    ),
    "one route for two": Case(
        "jvm-route-shared",
        "warning",
        (GOOD, GOOD.replace(ADDRESS, "10.77.0.12")),
        "jvmRoute Catalina is node1.xml's too",
        "Engine jvmRoute",
    ),
    "a Context that is not distributable": Case(
        "not-distributable",
        "warning",
        (server(service(cluster(), context='<Context path="" distributable="false"/>')),),
        'distributable="false"',
        "Context distributable",
    ),
    "a Context with its own manager": Case(
        "context-manager",
        "warning",
        (
            server(
                service(
                    cluster(),
                    context=f'<Context><Manager className="{SESSION}.PersistentManager"/></Context>',
                )
            ),
        ),
        "a Manager of its own, PersistentManager",
        "Manager",
    ),
    "a filter for nothing": Case(
        "filter-never",
        "warning",
        (alone(rest=f'<Valve className="{HA}tcp.ReplicationValve" filter="\\.gif|.*\\.js"/>'),),
        r'"\.gif" matches no URI',
        "Valve filter",
    ),
    "a filter with semicolons": Case(
        "filter-never",
        "warning",
        (alone(rest=f'<Valve className="{HA}tcp.ReplicationValve" filter=".*\\.gif;.*\\.js;"/>'),),
        "; is no separator",
        "Valve filter",
    ),
    "logged out by a stop": Case(
        "expire-on-shutdown",
        "warning",
        (manager('expireSessionsOnShutdown="true"'),),
        "a clean stop of this node ends its sessions on every node",
        "Manager expireSessionsOnShutdown",
    ),
    "all to all": Case(
        "all-to-all",
        "warning",
        tuple(twin(GOOD, f"10.77.0.{n}", f"n{n}") for n in range(1, 6)),
        "DeltaManager sends every change of a session to 4 nodes",
        "Cluster",
    ),
    "waiting for ever": Case(
        "state-transfer",
        "warning",
        (manager('stateTransferTimeout="-1"'),),
        "a start waits for ever",
        "Manager stateTransferTimeout",
    ),
    "not waiting long": Case(
        "state-transfer",
        "note",
        (manager('stateTransferTimeout="2"'),),
        "stateTransferTimeout 2 s is short",
        "Manager stateTransferTimeout",
    ),
    "starting at once": Case(
        "start-together", "note", (GOOD, twin(GOOD)), "nodes that start at the same moment", "Cluster"
    ),
    "a farm in the Engine that does not watch": Case(
        "farm-engine",
        "note",
        (server(service("", engine=cluster(rest=FARM.format('watchEnabled="false"')))),),
        "watchEnabled is off, so nothing is missed",
        "Deployer",
    ),
    "one folder for two": Case(
        "farm-watch",
        "warning",
        (alone(rest=FARM.format('watchEnabled="true"').replace('"d"', '"w/"')),),
        "two of them are one folder",
        "Deployer",
    ),
    "two that watch": Case(
        "farm-several",
        "warning",
        (
            alone(rest=FARM.format('watchEnabled="true"')),
            twin(alone(rest=FARM.format('watchEnabled="true"'))),
        ),
        "watchEnabled, and node1.xml watches too",
        "Deployer watchEnabled",
    ),
    "two in one Engine": Case(
        "cluster-twice",
        "warning",
        (server(service(cluster(channel('port="45570"', 'port="5000"')), engine=cluster())),),
        "a Cluster in this Host and another in its Engine",
        "Cluster",
    ),
    # -- nodes and releases
    "other times": Case(
        "times-differ",
        "warning",
        (GOOD, twin(alone(channel('dropTime="2000"')))),
        "dropTime is 2000 ms here and 1000 ms in node1.xml:9",
        "Membership dropTime",
    ),
    "other domains": Case(
        "nodes-differ",
        "warning",
        (alone(channel('domain="a"')), twin(alone(channel('domain="b"')))),
        "domain is b here and a in node1.xml",
        "Membership",
    ),
    "other keys": Case(
        "nodes-differ",
        "warning",
        (
            alone(
                channel(
                    interceptors=interceptor("EncryptInterceptor", f'encryptionKey="{KEY}" {GCM}') + DETECTOR
                )
            ),
            twin(
                alone(
                    channel(
                        interceptors=interceptor("EncryptInterceptor", f'encryptionKey="{KEY[:-1]}c" {GCM}')
                        + DETECTOR
                    )
                )
            ),
        ),
        "the encryption is not that of node1.xml",
        "Channel",
    ),
    "a known vulnerability": Case(
        "advisory",
        "warning",
        (alone(channel('membershipProviderClassName="dns"', membership_class=CLOUD)),),
        "CVE-2026-34487 concerns Tomcat 9.0.113",
        "Membership",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule_finds_its_case(name: str) -> None:
    """Each case earns a finding of its rule: severity, place, words, and a remedy."""
    case = CASES[name]
    found = next(one for one in case.findings() if one.severity == case.severity)
    assert case.says in found.what
    assert (found.place, bool(found.remedy)) == (case.place, True)


@pytest.mark.parametrize("name", MISTAKES)
def test_an_error_is_found_in_the_branches_that_have_it(name: str) -> None:
    """Each mistake that Tomcats were started with is an error in these branches, and this error in no other."""
    mistake = MISTAKES[name]
    for branch in BRANCHES:
        errors = {one.rule for one in judge([node(mistake.text, branch)]) if one.severity == "error"}
        if branch in mistake.branches:
            assert errors == {mistake.rule}, branch
            (one, *_) = [one for one in judge([node(mistake.text, branch)]) if one.severity == "error"]
            assert re.search(mistake.logged(branch), one.effect), one.effect


def test_every_rule_has_a_case() -> None:
    """No rule is without one, no case without its rule."""
    cases = {case.rule for case in CASES.values()} | {mistake.rule for mistake in MISTAKES.values()}
    elsewhere = {"mixed-releases"}  # below
    assert cases | elsewhere == set(RULES)


TABLE: Final = {
    1: ("class-unknown", "class-removed", "class-too-new"),
    2: ("drop-time", "drop-time-tight"),
    3: ("times-differ",),
    4: ("receiver-loopback",),
    5: ("receiver-auto",),
    6: ("receiver-not-local",),
    7: ("receiver-port-shared",),
    8: ("port-shared",),
    9: ("group-not-multicast", "group-reserved"),
    10: ("group-default", "group-shared"),
    11: ("bind-ipv4", "bind-not-local"),
    12: ("ttl-subnets",),
    13: ("loopback-disabled",),
    14: ("encrypt-order",),
    15: ("encrypt-key",),
    16: ("encrypt-algorithm", "mixed-releases", "nodes-differ"),
    17: ("below-detector",),
    18: ("detector-missing",),
    19: ("static-unwatched",),
    20: ("static-member", "static-member-twice", "static-local-missing"),
    21: ("start-options",),
    22: ("valves-missing",),
    23: ("jvm-route-missing",),
    24: ("jvm-route-shared",),
    25: ("not-distributable",),
    26: ("context-manager",),
    27: ("filter-invalid", "filter-never"),
    28: ("expire-on-shutdown",),
    29: ("all-to-all",),
    30: ("send-options",),
    31: ("state-transfer",),
    32: ("farm-engine",),
    33: ("farm-watch", "farm-several"),
    34: ("cluster-twice",),
    35: ("heartbeat-background",),
    36: ("heartbeat-slow",),
    37: ("receiver-threads",),
    38: ("untrusted-network",),
    39: ("mixed-releases",),
    40: ("detector-flag",),
    41: ("attribute-unknown",),
    42: ("send-options-name",),
}
"""The protocol reference's table of rules, by number."""


def test_the_whole_table_is_covered() -> None:
    """Each of the 42 checks has its rules."""
    assert list(TABLE) == list(range(1, 43))
    assert {name for names in TABLE.values() for name in names} <= set(RULES)


# -- what is well


@pytest.mark.parametrize("release", [*KNOWN, "7.0.109", "8.5.100", "9.0.121", "10.1.58", "11.0.25", None])
def test_a_good_file_has_no_finding_above_a_note(release: str | None) -> None:
    """A small sound cluster is one in every release."""
    assert [one for one in judge([node(GOOD, release, jvm=IPV4, host=HOST)]) if one.severity != "note"] == []


@pytest.mark.parametrize("branch", ["7.0", "8.5", "9.0", "10.0", "10.1", "11.0"])
@pytest.mark.parametrize("example", [how_to, second_how_to])
@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "<Server><Service><Engine>{}<Host/></Engine></Service></Server>",
        "<Server><Service><Engine><Host>{}</Host></Engine></Service></Server>",
    ],
)
def test_the_how_to_has_no_finding_above_a_note(branch: str, example: object, around: str) -> None:
    """Tomcat's own examples, alone, in the Engine and in the Host of a file without a jvmRoute, are well."""
    assert callable(example)
    found = judge([node(around.format(example(branch)), branch)])
    assert [one for one in found if one.severity != "note"] == []
    assert found  # and there is something to know


def test_the_how_to_of_one_branch_in_another() -> None:
    """The how-to of 7.0 does not start on 8.5, and the findings say all of it."""
    found = [one for one in judge([node(how_to("7.0"), "8.5.90")]) if one.severity == "error"]
    assert [(one.rule, one.what) for one in found] == [
        ("class-removed", "MessageDispatch15Interceptor is gone from Tomcat 8.5 on"),
        ("class-removed", "JvmRouteSessionIDBinderListener is gone from Tomcat 8.5 on"),
    ]


def test_own_classes_are_nobodys_business() -> None:
    """A class of the operator's own, and its attributes, are no mistake."""
    text = alone(channel(interceptors=PLAIN + '<Interceptor className="com.example.Mine" any="thing"/>'))
    assert [one for one in judge([node(text)]) if one.severity != "note"] == []


@pytest.mark.parametrize("key", [KEY, "c0ffee", "c0ffee0"])
@pytest.mark.parametrize("written", ["encryptionKey", "encryptionKeyString"])
def test_a_secret_is_never_told(key: str, written: str) -> None:
    """No finding shows an encryption key, right or wrong, wherever it stands."""
    encrypt = interceptor("EncryptInterceptor", f'{written}="{key}" x="y"')
    for stack in (encrypt + DETECTOR, DETECTOR + encrypt):
        found = judge([node(alone(channel(interceptors=stack)), "8.5.90")])
        assert [one for one in found if one.place.startswith("Interceptor")]
        assert key not in repr([(one.what, one.effect, one.remedy, one.correction) for one in found])


SOUND: Final = [
    GOOD,
    how_to("7.0"),
    second_how_to("11.0"),
    static(f'host="10.77.0.12" port="4000" uniqueId="{UNIQUE_ID}"'),
    alone(channel(membership_class=STATIC, inside=member("LocalMember", f'uniqueId="{UNIQUE_ID}"'))),
    alone(channel(interceptors=interceptor("EncryptInterceptor", f'encryptionKey="{KEY}" {GCM}') + DETECTOR)),
]
ODD: Final = st.one_of(
    st.text(max_size=12),
    st.integers(-(2**65), 2**65).map(str),
    st.sampled_from(
        ["", "auto", "${x}", "{1,2}", "{", "*.gif", "true", "127.0.0.1", "::", "ff02::1", "async,sync"]
    ),
)


@given(st.data())
def test_any_value_ends_in_findings(data: st.DataObject) -> None:
    """Whatever stands in an attribute, it is judged, and what is repaired is a file with no more errors."""
    document = parse_document("server.xml", data.draw(st.sampled_from(SOUND)).encode())
    written = [one for element in document.root.walk() for one in element.attributes.values()]
    chosen = data.draw(st.sampled_from(written))
    value = escape(data.draw(ODD), {'"': "&quot;"}).encode("utf-8", "replace")
    text = document.text[: chosen.value_start] + value + document.text[chosen.value_end :]
    try:
        changed = parse_document("server.xml", text)
    except ConfigError:
        return
    release = parse_release(data.draw(st.sampled_from(KNOWN)))
    found = tuple(judge([Node(changed, release, jvm={}, host=HOST)]))
    fixed = fix(changed, found).document
    left = judge([Node(fixed, release, jvm={}, host=HOST)])
    assert sum(one.severity == "error" for one in left) <= sum(one.severity == "error" for one in found)


# -- releases


@pytest.mark.parametrize(
    ("release", "found"),
    [
        ("7.0.99", []),
        ("7.0.100", ["CVE-2026-29146"]),
        ("8.5.78", ["CVE-2022-29885", "CVE-2026-29146"]),
        ("8.5.79", ["CVE-2026-29146"]),
        ("9.0.62", ["CVE-2022-29885", "CVE-2026-29146"]),
        ("9.0.115", ["CVE-2026-29146"]),
        ("9.0.116", ["CVE-2026-34486"]),
        ("9.0.117", []),
        ("10.0.27", ["CVE-2026-29146"]),
        ("10.1.0-M14", ["CVE-2022-29885", "CVE-2026-29146"]),
        ("10.1.53", ["CVE-2026-34486"]),
        ("11.0.18", ["CVE-2026-29146"]),
        ("11.0.19", []),
        ("11.0.20", ["CVE-2026-34486"]),
        ("11.0.21", []),
        ("9.0", []),
    ],
)
def test_vulnerabilities_of_encryption(release: str, found: list[str]) -> None:
    """Each advisory concerns the releases that it names, when they are known exactly."""
    text = alone(channel(interceptors=interceptor("EncryptInterceptor", f'encryptionKey="{KEY}"') + DETECTOR))
    advisories = [one for one in judge([node(text, release)]) if one.rule == "advisory"]
    assert [one.what.partition(" ")[0] for one in advisories] == found
    assert all(one.effect.startswith("https://") and one.remedy for one in advisories)


def test_a_vulnerability_of_the_default_only() -> None:
    """Whoever set AES/GCM is not open to the padding oracle."""
    stack = interceptor("EncryptInterceptor", f'encryptionKey="{KEY}" {GCM}') + DETECTOR
    found = judge([node(alone(channel(interceptors=stack)), "9.0.113")])
    assert [one.what for one in found if one.rule == "advisory"] == []


BACKUP: Final = manager("", f"{HA}session.BackupManager")
ENCRYPTED: Final = alone(
    channel(interceptors=interceptor("EncryptInterceptor", f'encryptionKey="{KEY}"') + DETECTOR)
)


@pytest.mark.parametrize(
    ("text", "one", "other", "why"),
    [
        (GOOD, "7.0.109", "8.5.100", "cannot read the session messages"),
        (GOOD, "8.5.100", "11.0.21", None),
        (BACKUP, "9.0.113", "10.0.27", "BackupManager's messages cannot cross"),
        (BACKUP, "10.0.27", "10.1.56", "BackupManager's messages cannot cross"),
        (BACKUP, "10.1.56", "11.0.21", None),
        (ENCRYPTED, "9.0.118", "9.0.119", "carry a time from 9.0.119"),
        (ENCRYPTED, "9.0.120", "9.0.121", "default is AES/GCM from 9.0.121"),
        (ENCRYPTED, "11.0.22", "10.1.50", None),
    ],
)
def test_releases_that_cannot_be_mixed(text: str, one: str, other: str, why: str | None) -> None:
    """Two nodes of releases that cannot read each other are told, whichever comes first."""
    for first, second in ((one, other), (other, one)):
        nodes = [node(text, first, "a.xml"), node(twin(text), second, "b.xml")]
        found = [each.what for each in judge(nodes) if each.rule == "mixed-releases"]
        assert (why is None and not found) or (why is not None and why in found[0]), found
