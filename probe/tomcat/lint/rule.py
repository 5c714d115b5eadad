"""Every rule by its id: how bad a finding is unless it says otherwise, and what it looks for."""

from typing import Final

import msgspec

from probe.tomcat.lint.finding import Severity


class Rule(msgspec.Struct, frozen=True):
    """One rule. ``severity`` is the worst that its findings have."""

    name: str
    severity: Severity
    says: str


def _rules(severity: Severity, **says: str) -> dict[str, Rule]:
    return {(name := key.replace("_", "-")): Rule(name, severity, text) for key, text in says.items()}


RULES: Final[dict[str, Rule]] = {
    # -- classes, attributes, elements
    **_rules(
        "error",
        class_unknown="className names a class that no Tomcat's cluster has, or none is named",
        class_removed="the class is no longer in this release",
        class_too_new="the class is not yet in this release",
        class_role="the class belongs into another element",
        attribute_unknown="this release's class has no such attribute: it is ignored, the default stays",
        value_invalid="the value is not of the attribute's type or range",
        element_unknown="Tomcat has no rule for an element at this place: it is ignored",
    ),
    **_rules(
        "note",
        placeholder_undefined="a ${…} that no file given here defines",
        group_default="Tomcat's default group, 228.0.0.4:45564, in which unrelated clusters merge",
        send_async="asynchronous replication: a request to another node may come before the session does",
        start_together="nodes that start at once wait for each other's sessions",
        receiver_threads="fewer receiver threads than members",
        detector_flag="TcpFailureDetector with an option flag",
        release_unknown="the Tomcat's release is not known, so what depends on it is not said",
    ),
    # -- membership
    **_rules(
        "error",
        drop_time="dropTime is not above frequency: members come and go with every heartbeat",
        group_not_multicast="the membership address is no multicast address",
        bind_not_local="the membership's bind is no address of this host",
        multicast_route="this host has no route to the group",
        static_member="a static member that Tomcat cannot use",
        static_local_missing="StaticMembershipService whose list lacks the member itself",
        static_local_multicast="a LocalMember in StaticMembershipInterceptor while multicast is started too",
        member_misplaced="Member below a membership that takes none",
    ),
    **_rules(
        "warning",
        drop_time_tight="dropTime is less than three times the frequency",
        group_reserved="the membership address is of the block that routers use, 224.0.0.0/24",
        group_shared="two clusters use one group and port",
        bind_ipv4="bind without -Djava.net.preferIPv4Stack=true",
        ttl_subnets="members in several networks and no ttl above 1",
        loopback_disabled="localLoopbackDisabled: members of one host do not hear each other",
        static_member_twice="a static member is listed twice",
        start_options="channelStartOptions that leave out what this membership needs",
        heartbeat_background="heartbeatBackgroundEnabled: suspects and static members are looked after every 10 s",
        heartbeat_slow="the channel's heartbeat is slower than static or cloud members expire",
    ),
    # -- receiver
    **_rules(
        "error",
        receiver_loopback="the receiver announces a loopback address",
        receiver_not_local="the receiver's address is no address of this host",
        receiver_port_shared="two receivers of one host may want one port",
    ),
    **_rules(
        "warning",
        receiver_auto="address=auto: what the host's own name resolves to is announced",
        port_shared="membership and receiver use one port number",
        untrusted_network="whoever reaches the receiver is believed: Java deserialisation from any peer",
    ),
    # -- interceptors
    **_rules(
        "error",
        encrypt_order="EncryptInterceptor below TcpFailureDetector",
        encrypt_key="an encryptionKey that is missing or no AES key",
        encrypt_mode="an encryptionAlgorithm that EncryptInterceptor does not take",
        below_detector="an interceptor below TcpFailureDetector that breaks its test message",
        option_conflict="optionCheck and two interceptors with overlapping option flags",
    ),
    **_rules(
        "warning",
        encrypt_algorithm="EncryptInterceptor without an explicit algorithm: the default changed within branches",
        detector_missing="interceptors without TcpFailureDetector: heartbeats alone decide",
        static_unwatched="StaticMembershipInterceptor without TcpFailureDetector and TcpPingInterceptor above it",
        dispatch_flag="MessageDispatchInterceptor with an option flag of its own",
        dispatch_missing="asynchronous sends and no MessageDispatchInterceptor: they are synchronous",
        dispatch_hangs="MessageDispatchInterceptor on 7.0 may hang when it stops",
    ),
    # -- replication
    **_rules(
        "error",
        filter_invalid="ReplicationValve's filter is no regular expression",
        send_options_name="channelSendOptions by name before 9.0",
        farm_engine="FarmWarDeployer in an Engine's Cluster",
        farm_watch="FarmWarDeployer that watches without a folder, or watches what it deploys",
    ),
    **_rules(
        "warning",
        valve_ignored="a Valve that is no cluster valve is dropped",
        valves_missing="a Valve list without ReplicationValve: nothing is replicated",
        listener_missing="ClusterListeners without ClusterSessionListener: DeltaManager hears nothing",
        jvm_route_missing="JvmRouteBinderValve and an Engine without jvmRoute",
        jvm_route_shared="two nodes with one jvmRoute",
        not_distributable="a web application without <distributable/>: its sessions stay local",
        context_manager="a Context with a Manager of its own",
        filter_never="a filter that matches no whole URI",
        expire_on_shutdown="expireSessionsOnShutdown: a clean stop ends the node's sessions everywhere",
        all_to_all="DeltaManager with more than four nodes",
        send_options="channelSendOptions that do not do what they seem to",
        state_transfer="stateTransferTimeout that waits for ever, or not long enough",
        farm_several="watchEnabled on more than one node",
        cluster_twice="a Cluster in the Engine and in a Host: two channels",
        cluster_missing="no Cluster in the file",
    ),
    # -- releases, nodes
    **_rules(
        "warning",
        times_differ="nodes of one group with different dropTime or frequency",
        nodes_differ="nodes of one group with different domain, options or interceptors",
        mixed_releases="releases that cannot read each other's messages",
        advisory="a known vulnerability of this release's cluster",
    ),
}
