"""server.xml files: the how-to's own clusters, and one file for each mistake with what a Tomcat logs of it."""

from dataclasses import dataclass
from typing import Final

HA: Final = "org.apache.catalina.ha."
TRIBES: Final = "org.apache.catalina.tribes."
ADDRESS: Final = "10.77.0.11"
"""Of the first host of a lab."""
BRANCHES: Final = ("6.0", "7.0", "8.5", "9.0", "10.1", "11.0")
KEY: Final = "ab" * 16
UNIQUE_ID: Final = "{0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}"
OTHER_ID: Final = "{1,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}"
GCM: Final = 'encryptionAlgorithm="AES/GCM/NoPadding"'


def interceptor(kind: str, attributes: str = "", inside: str = "") -> str:
    """Return an Interceptor, on a line of its own."""
    start = f'<Interceptor className="{TRIBES}group.interceptors.{kind}" {attributes}'.rstrip()
    return f"\n            {start}>{inside}</Interceptor>" if inside else f"\n            {start}/>"


DETECTOR: Final = interceptor("TcpFailureDetector")
PLAIN: Final = DETECTOR + interceptor("ThroughputInterceptor")
"""A stack that every branch has, without a dispatcher: its name is not the same everywhere."""


def member(tag: str = "Member", attributes: str = "") -> str:
    """Return a static member."""
    return f'<{tag} className="{TRIBES}membership.StaticMember" {attributes}/>'


def channel(
    membership: str = "",
    receiver: str = "",
    interceptors: str = PLAIN,
    *,
    attributes: str = "",
    membership_class: str = "membership.McastService",
    inside: str = "",
) -> str:
    """Return a Channel whose start does not take long."""
    if "McastService" in membership_class:
        for name, value in (("address", "239.255.0.4"), ("frequency", "100"), ("dropTime", "1000")):
            membership += "" if name in membership else f' {name}="{value}"'
    receiver = receiver if "address" in receiver.lower() else f'address="{ADDRESS}" {receiver}'.strip()
    start = f'<Membership className="{TRIBES}{membership_class}" {membership.strip()}'
    return f"""
          <Channel className="{TRIBES}group.GroupChannel"{attributes and " " + attributes}>
            {start + (f">{inside}</Membership>" if inside else "/>")}
            <Receiver className="{TRIBES}transport.nio.NioReceiver" {receiver}/>
            <Sender className="{TRIBES}transport.ReplicationTransmitter">
              <Transport className="{TRIBES}transport.nio.PooledParallelSender"/>
            </Sender>{interceptors}
          </Channel>"""


def cluster(inside: str = "", attributes: str = 'channelSendOptions="6"', rest: str = "") -> str:
    """Return a Cluster, on lines of its own."""
    return f"""
        <!-- Größe: ein Knoten -->
        <Cluster className="{HA}tcp.SimpleTcpCluster" {attributes}>{inside or channel()}{rest}
        </Cluster>
"""


def service(host: str, name: str = "Catalina", engine: str = "", context: str = "") -> str:
    """Return a Service with one Host."""
    return f"""
  <Service name="{name}">
    <Engine name="{name}" defaultHost="localhost" jvmRoute="{name}">{engine}
      <Host name="localhost" appBase="webapps" autoDeploy="false" deployOnStartup="false">{host}{context}
      </Host>
    </Engine>
  </Service>"""


def server(*services: str, first: str = "") -> str:
    """Return a whole file."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Server port="-1" shutdown="SHUTDOWN">{first}'
        f"{''.join(services)}\n</Server>\n"
    )


def alone(inside: str = "", attributes: str = 'channelSendOptions="6"', rest: str = "") -> str:
    """Return a file whose one Host has one Cluster."""
    return server(service(cluster(inside, attributes, rest)))


def pair(inside: str, context: str = "", rest: str = "") -> str:
    """Return a file of two services: two members of one cluster in one process."""
    both = [service(cluster(inside, rest=rest), name, context=context) for name in ("One", "Two")]
    return server(*both)


@dataclass(frozen=True)
class Mistake:
    """A file with one mistake: the rule that names it, the branches that have it, what they log.

    ``remedy`` replaces text where the finding's own edits cannot know what is right.
    """

    rule: str
    text: str
    log: str
    branches: tuple[str, ...] = BRANCHES
    log_before: tuple[tuple[str, str], ...] = ()
    """Other words of the branches before one: ("9.0", …) are those of 8.5 and older."""
    remedy: tuple[str, str] | None = None
    ends: str = "started"
    """What becomes of the Tomcat: "started", "failed" or "unread"."""

    def logged(self, branch: str) -> str:
        """Return the regular expression of what a branch logs."""
        for before, log in self.log_before:
            if BRANCHES.index(branch) < BRANCHES.index(before):
                return log
        return self.log


FROM_7: Final = BRANCHES[1:]
FROM_8: Final = BRANCHES[2:]
FROM_9: Final = BRANCHES[3:]
BEFORE_9: Final = BRANCHES[:3]
_DEPLOYER: Final = (
    f'\n          <Deployer className="{HA}deploy.FarmWarDeployer" tempDir="temp/a" deployDir="temp/b"'
)
_APP: Final = '<Context path="" docBase="app"/>'


def _unset(name: str, value: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return what the Digester says of an attribute that it cannot set, and what it said before 9.0."""
    return (
        rf"failed to set property \[{name}\] to \[{value}\]",
        (("9.0", rf"Setting property '{name}' to '{value}' did not find a matching property"),),
    )


def _attribute(rule: str, text: str, name: str, value: str, **more: object) -> Mistake:
    log, before = _unset(name, value)
    return Mistake(rule, text, log, log_before=before, **more)  # type: ignore[arg-type]


MISTAKES: Final[dict[str, Mistake]] = {
    # -- classes, attributes, elements
    "a class with a typo": Mistake(
        "class-unknown",
        alone(channel(interceptors=PLAIN.replace("TcpFailureDetector", "TcpFailureDetecter"))),
        r"ClassNotFoundException: .*\.TcpFailureDetecter",
        ends="unread",
    ),
    "a Cluster without a class": Mistake(
        "class-unknown",
        alone().replace(f' className="{HA}tcp.SimpleTcpCluster"', ""),
        r"No class name specified for .*Cluster",
        log_before=(("7.0", "NullPointerException"),),
        ends="unread",
    ),
    "the dispatcher of 7.0": Mistake(
        "class-removed",
        alone(channel(interceptors=DETECTOR + interceptor("MessageDispatch15Interceptor"))),
        r"ClassNotFoundException: .*\.MessageDispatch15Interceptor",
        branches=FROM_8,
        ends="unread",
    ),
    "the route listener of 7.0": Mistake(
        "class-removed",
        alone(
            rest=f'\n          <ClusterListener className="{HA}session.JvmRouteSessionIDBinderListener"/>'
            f'\n          <ClusterListener className="{HA}session.ClusterSessionListener"/>'
        ),
        r"ClassNotFoundException: .*\.JvmRouteSessionIDBinderListener",
        branches=FROM_8,
        ends="unread",
    ),
    "the receiver of 9.0": Mistake(
        "class-removed",
        alone().replace("transport.nio.NioReceiver", "transport.bio.BioReceiver"),
        r"ClassNotFoundException: .*\.BioReceiver",
        branches=("10.1", "11.0"),
        ends="unread",
    ),
    "the membership of 9.0": Mistake(
        "class-too-new",
        alone(channel(membership_class="membership.StaticMembershipService", inside=member("LocalMember"))),
        r"ClassNotFoundException: .*\.StaticMembershipService",
        branches=BEFORE_9,
        remedy=(
            f'StaticMembershipService" >{member("LocalMember")}</Membership>',
            'McastService" address="239.255.0.4"/>',
        ),
        ends="unread",
    ),
    "an interceptor among the valves": Mistake(
        "class-role",
        alone(rest=f'<Valve className="{TRIBES}group.interceptors.TcpFailureDetector"/>'),
        "argument type mismatch|ClassCastException",
        remedy=(f'<Valve className="{TRIBES}group.interceptors.TcpFailureDetector"/>', ""),
        ends="unread",
    ),
    "an attribute with a typo": _attribute(
        "attribute-unknown", alone(channel(receiver='prot="4100"')), "prot", "4100"
    ),
    "the receiver's port of 7.0": _attribute(
        "attribute-unknown",
        alone(channel(receiver='tcpListenPort="4100"')),
        "tcpListenPort",
        "4100",
        branches=FROM_8,
    ),
    "a word for a number": _attribute(
        "value-invalid",
        alone(channel(receiver='port="many"')),
        "port",
        "many",
        remedy=('port="many"', 'port="4100"'),
    ),
    "a ttl of 300": Mistake(
        "value-invalid",
        alone(channel('ttl="300"')),
        "Invalid TTL/hop value",
        remedy=('ttl="300"', 'ttl="30"'),
        ends="failed",
    ),
    "a frequency below zero": Mistake(
        "value-invalid", alone(channel('frequency="-5"')), "timeout < 0", ends="failed"
    ),
    "a membership port of 70000": Mistake(
        "value-invalid",
        alone(channel('port="70000"')),
        "port out of range:70000",
        remedy=('port="70000"', 'port="45570"'),
        ends="failed",
    ),
    "a receiver port of 70000": Mistake(
        "value-invalid",
        alone(channel(receiver='port="70000" autoBind="2"')),
        "port out of range:70000",
        remedy=('port="70000"', 'port="4100"'),
        ends="failed",
    ),
    "a send option that is none": _attribute(
        "value-invalid",
        alone(attributes='channelSendOptions="synk"'),
        "channelSendOptions",
        "synk",
        remedy=("synk", "6"),
    ),
    "an element that is none": Mistake(
        "element-unknown",
        alone(rest='<Interceptors className="x"/>'),
        r"No rules found matching .*Cluster/Interceptors",
        remedy=('<Interceptors className="x"/>', ""),
    ),
    "a Cluster in the Server": Mistake(
        "element-unknown",
        server(service(""), first=cluster()),
        r"No rules found matching .Server/Cluster",
        remedy=(cluster(), "\n"),
    ),
    # -- membership
    "dropTime below frequency": Mistake(
        "drop-time", pair(channel('frequency="400" dropTime="100"')), r"memberDisappeared.*[Ww]ill verify"
    ),
    "a group of one": Mistake(
        "group-not-multicast", alone(channel('address="10.0.0.1"')), "Not a multicast address", ends="failed"
    ),
    "a unique id of three bytes": Mistake(
        "static-member",
        alone(
            channel(
                interceptors=PLAIN
                + interceptor(
                    "StaticMembershipInterceptor",
                    "",
                    member(attributes='host="10.77.0.12" port="4000" uniqueId="{1,2,3}"'),
                )
            )
        ),
        r"UUID must be exactly 16 bytes",
        log_before=(("7.0", r"Setting property 'uniqueId' to '\{1,2,3\}' did not find a matching property"),),
        branches=FROM_7,
    ),
    "a static member at port 70000": Mistake(
        "static-member",
        alone(
            channel(
                interceptors=PLAIN
                + interceptor(
                    "StaticMembershipInterceptor",
                    "",
                    member(attributes=f'host="10.77.0.12" port="70000" uniqueId="{UNIQUE_ID}"'),
                )
            )
        ),
        "port out of range:70000",
        remedy=('port="70000"', 'port="4000"'),
    ),
    "a static membership without oneself": Mistake(
        "static-local-missing",
        alone(
            channel(
                membership_class="membership.StaticMembershipService",
                inside=member(attributes=f'host="10.77.0.12" port="4000" uniqueId="{OTHER_ID}"'),
            )
        ),
        "There is no localMember in static member list",
        branches=FROM_9,
        ends="failed",
    ),
    "a local member beside multicast": Mistake(
        "static-local-multicast",
        alone(
            channel(
                interceptors=PLAIN
                + interceptor(
                    "StaticMembershipInterceptor",
                    "",
                    member("LocalMember", f'domain="a" uniqueId="{UNIQUE_ID}"'),
                )
            )
        ),
        "Required property .tcpListenPort. is missing",
        branches=FROM_7,
        ends="failed",
    ),
    "a static member below multicast": Mistake(
        "member-misplaced",
        alone(channel(inside=member(attributes='host="10.77.0.12" port="4000"'))),
        r"Cannot find method \[addStaticMember\]",
        branches=FROM_9,
        remedy=(member(attributes='host="10.77.0.12" port="4000"'), ""),
        ends="unread",
    ),
    "a static member below multicast, before 9.0": Mistake(
        "member-misplaced",
        alone(channel(inside=member(attributes='host="10.77.0.12" port="4000"'))),
        r"No rules found matching .*Membership/Member",
        branches=BEFORE_9,
        remedy=(member(attributes='host="10.77.0.12" port="4000"'), ""),
    ),
    # -- receiver
    "one fixed port for two": Mistake(
        "receiver-port-shared",
        pair(channel(receiver='port="4200" autoBind="1"')),
        "BindException: Address already in use",
        branches=FROM_7,
        ends="failed",
    ),
    # -- interceptors
    "encryption below the detector": Mistake(
        "encrypt-order",
        alone(
            channel(interceptors=DETECTOR + interceptor("EncryptInterceptor", f'encryptionKey="{KEY}" {GCM}'))
        ),
        "EncryptInterceptor must be upstream of TcpFailureDetector",
        branches=FROM_7,
        ends="failed",
    ),
    "encryption without a key": Mistake(
        "encrypt-key",
        alone(channel(interceptors=interceptor("EncryptInterceptor", GCM) + DETECTOR)),
        "Encryption key is required",
        branches=FROM_7,
        remedy=(GCM, f'{GCM} encryptionKey="{KEY}"'),
        ends="failed",
    ),
    "a key of three digits": Mistake(
        "encrypt-key",
        alone(channel(interceptors=interceptor("EncryptInterceptor", f'encryptionKey="abc" {GCM}') + DETECTOR)),
        "Encryption key is required",
        branches=FROM_7,
        remedy=('"abc"', f'"{KEY}"'),
        ends="failed",
    ),
    "a key of two bytes": Mistake(
        "encrypt-key",
        pair(
            channel(interceptors=interceptor("EncryptInterceptor", f'encryptionKey="abcd" {GCM}') + DETECTOR),
            context=_APP,
            rest=f'\n          <Manager className="{HA}session.DeltaManager" stateTransferTimeout="1"/>',
        ),
        "Invalid AES key length: 2 bytes",
        branches=FROM_7,
        remedy=('"abcd"', f'"{KEY}"'),
    ),
    "encryption in ECB mode": Mistake(
        "encrypt-mode",
        alone(
            channel(
                interceptors=interceptor(
                    "EncryptInterceptor", f'encryptionKey="{KEY}" encryptionAlgorithm="AES/ECB/PKCS5Padding"'
                )
                + DETECTOR
            )
        ),
        "EncryptInterceptor does not support",
        branches=FROM_7,
        ends="failed",
    ),
    "an algorithm without a mode": Mistake(
        "encrypt-mode",
        alone(
            channel(
                interceptors=interceptor(
                    "EncryptInterceptor", f'encryptionKey="{KEY}" encryptionAlgorithm="AES"'
                )
                + DETECTOR
            )
        ),
        "Encryption algorithm is required, fully-specified",
        branches=FROM_7,
    ),
    "fragmentation below the detector": Mistake(
        "below-detector",
        pair(channel(interceptors=DETECTOR + interceptor("FragmentationInterceptor"))),
        "NegativeArraySizeException",
        branches=FROM_7,
    ),
    "order below the detector": Mistake(
        "below-detector",
        pair(
            channel(
                interceptors=interceptor("TcpPingInterceptor", 'useThread="true" interval="100"')
                + DETECTOR
                + interceptor("OrderInterceptor")
            )
        ),
        "ArithmeticException",
    ),
    "compression below the detector": Mistake(
        "below-detector",
        pair(channel(interceptors=DETECTOR + interceptor("GzipInterceptor"))),
        "Unable to decompress byte contents",
        branches=BEFORE_9,
    ),
    "two phases below the detector": Mistake(
        "below-detector",
        pair(
            channel(
                interceptors=DETECTOR + interceptor("TwoPhaseCommitInterceptor", 'expire="100"'),
                attributes='heartbeatSleeptime="200"',
            )
        ),
        r"has expired|Removing expired message",
    ),
    "one flag for two": Mistake(
        "option-conflict",
        alone(
            channel(
                interceptors=interceptor("GzipInterceptor", 'optionFlag="512"')
                + interceptor("TcpFailureDetector", 'optionFlag="512"'),
                attributes='optionCheck="true"',
            )
        ),
        "Interceptor option flag conflict",
        remedy=('TcpFailureDetector" optionFlag="512"', 'TcpFailureDetector" optionFlag="1024"'),
        ends="failed",
    ),
    # -- replication
    "a filter that is no pattern": Mistake(
        "filter-invalid",
        alone(rest=f'\n          <Valve className="{HA}tcp.ReplicationValve" filter="*.gif"/>'),
        r"Unable to compile filter",
    ),
    "send options by name": _attribute(
        "send-options-name",
        alone(attributes='channelSendOptions="sync,use_ack"'),
        "channelSendOptions",
        "sync,use_ack",
        branches=BEFORE_9,
    ),
    "a farm in the Engine": Mistake(
        "farm-engine",
        server(service("", engine=cluster(rest=f'{_DEPLOYER} watchDir="temp/c" watchEnabled="true"/>'))),
        "FarmWarDeployer can only work as host cluster subelement",
    ),
    "a farm that watches nothing": Mistake(
        "farm-watch", alone(rest=f'{_DEPLOYER} watchEnabled="true"/>'), "NullPointerException", ends="failed"
    ),
}
"""Each mistake by what it is: every rule whose findings can be errors by the file alone."""

NEEDS_HOST: Final[dict[str, Mistake]] = {
    "a receiver elsewhere": Mistake(
        "receiver-not-local",
        alone(channel(receiver='address="10.77.9.9"')),
        "BindException: Cannot assign requested address",
        remedy=("10.77.9.9", ADDRESS),
        ends="failed",
    ),
    "a bind elsewhere": Mistake(
        "bind-not-local",
        alone(channel('bind="10.77.9.9"')),
        r"Invalid value 'null'|No network interface with address 10\.77\.9\.9",
        remedy=("10.77.9.9", ADDRESS),
        ends="failed",
    ),
    "a name that is loopback": Mistake(
        "receiver-loopback",
        alone(channel(receiver='address="auto"')),
        r"Receiver Server Socket bound to:\[?/127\.0\.1\.1",
        remedy=('"auto"', f'"{ADDRESS}"'),
    ),
}
"""Mistakes that only the host shows."""


# -- Tomcat's own how-to


def how_to(branch: str) -> str:
    """Return the how-to's <Cluster> of a branch, as the default that it prints in full."""
    is_old = branch in ("6.0", "7.0")
    dispatch = "MessageDispatch15Interceptor" if is_old else "MessageDispatchInterceptor"
    listener = (
        f'<ClusterListener className="{HA}session.JvmRouteSessionIDBinderListener"/>\n          '
        if is_old
        else ""
    )
    return f"""<Cluster className="{HA}tcp.SimpleTcpCluster"
                 channelSendOptions="8">

          <Manager className="{HA}session.DeltaManager"
                   expireSessionsOnShutdown="false"
                   notifyListenersOnReplication="true"/>

          <Channel className="{TRIBES}group.GroupChannel">
            <Membership className="{TRIBES}membership.McastService"
                        address="228.0.0.4"
                        port="45564"
                        frequency="500"
                        dropTime="3000"/>
            <Receiver className="{TRIBES}transport.nio.NioReceiver"
                      address="auto"
                      port="4000"
                      autoBind="100"
                      selectorTimeout="5000"
                      maxThreads="6"/>

            <Sender className="{TRIBES}transport.ReplicationTransmitter">
              <Transport className="{TRIBES}transport.nio.PooledParallelSender"/>
            </Sender>
            <Interceptor className="{TRIBES}group.interceptors.TcpFailureDetector"/>
            <Interceptor className="{TRIBES}group.interceptors.{dispatch}"/>
          </Channel>

          <Valve className="{HA}tcp.ReplicationValve"
                 filter=""/>
          <Valve className="{HA}session.JvmRouteBinderValve"/>

          <Deployer className="{HA}deploy.FarmWarDeployer"
                    tempDir="/tmp/war-temp/"
                    deployDir="/tmp/war-deploy/"
                    watchDir="/tmp/war-listen/"
                    watchEnabled="false"/>

          {listener}<ClusterListener className="{HA}session.ClusterSessionListener"/>
        </Cluster>"""


def second_how_to(branch: str) -> str:
    """Return the how-to's example of a whole configuration, with a BackupManager."""
    dispatch = "MessageDispatch15Interceptor" if branch in ("6.0", "7.0") else "MessageDispatchInterceptor"
    return f"""<Cluster className="{HA}tcp.SimpleTcpCluster"
                 channelSendOptions="6">
          <Manager className="{HA}session.BackupManager"
                   expireSessionsOnShutdown="false"
                   notifyListenersOnReplication="true"
                   mapSendOptions="6"/>
          <Channel className="{TRIBES}group.GroupChannel">
            <Membership className="{TRIBES}membership.McastService"
                        address="228.0.0.4" port="45564" frequency="500" dropTime="3000"/>
            <Receiver className="{TRIBES}transport.nio.NioReceiver"
                      address="auto" port="5000" selectorTimeout="100" maxThreads="6"/>
            <Sender className="{TRIBES}transport.ReplicationTransmitter">
              <Transport className="{TRIBES}transport.nio.PooledParallelSender"/>
            </Sender>
            <Interceptor className="{TRIBES}group.interceptors.TcpFailureDetector"/>
            <Interceptor className="{TRIBES}group.interceptors.{dispatch}"/>
            <Interceptor className="{TRIBES}group.interceptors.ThroughputInterceptor"/>
          </Channel>
          <Valve className="{HA}tcp.ReplicationValve"
                 filter=".*\\.gif|.*\\.js|.*\\.jpeg|.*\\.jpg|.*\\.png|.*\\.htm|.*\\.html|.*\\.css|.*\\.txt"/>
          <Deployer className="{HA}deploy.FarmWarDeployer"
                    tempDir="/tmp/war-temp/" deployDir="/tmp/war-deploy/" watchDir="/tmp/war-listen/"
                    watchEnabled="false"/>
          <ClusterListener className="{HA}session.ClusterSessionListener"/>
        </Cluster>"""
