"""What the Manager's jmxproxy of a Tomcat answers, written as ``MBeanDumper`` and ``MemberImpl`` write it."""

from collections.abc import Sequence

from protocols.heartbeat import Member


def dump(
    local: Member, hears: Sequence[Member], keeps: Sequence[Member], group: tuple[str, int], drop_ms: int = 3000
) -> str:
    """Return the MBeans of a channel, as far as they are read."""
    base = "ClusterChannel:type=Channel,channel=localhost-Channel,component="
    return "\r\n".join(
        [
            f"OK - Number of results: 2\n\nName: {base}Channel",
            "modelerType: org.apache.catalina.tribes.group.GroupChannel",
            f"Members: {_array('org.apache.catalina.tribes.Member', keeps)}",
            "",
            f"Name: {base}Membership",
            "modelerType: org.apache.catalina.tribes.membership.McastService",
            f"Address: {group[0]}",
            f"Port: {group[1]}",
            f"MembersByName: {_array('java.lang.String', hears)}",
            f"LocalMemberName: {_text(local)}",
            f"DropTime: {drop_ms}",
            "",
            "",
        ]
    )


def _array(kind: str, members: Sequence[Member]) -> str:
    return "\r\n".join([f"Array[{kind}] of length {len(members)}", *(f"\t{_text(one)}" for one in members)])


def _text(member: Member) -> str:
    host = f"{{{', '.join(map(str, member.host))}}}"
    unique_id = "".join(f"{octet - 256 if octet > 127 else octet} " for octet in member.unique_id)
    return (
        f"org.apache.catalina.tribes.membership.MemberImpl[tcp://{host}:{member.port},{host},{member.port}, "
        f"alive=1000, securePort=-1, UDP Port=-1, id={{{unique_id}}}, payload={{}}, command={{}}, domain={{}}]"
    )
