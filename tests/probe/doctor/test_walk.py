"""The walk on hosts that really have the fault: what the kernel says there is read and judged as it is."""

import contextlib
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from support import tomcat
from support.netns import Host, Lab
from support.patient import NOBODY, Findings, examined, started
from support.speaker import Speaker
from support.watcher import Watcher

from protocols.heartbeat import Heartbeat, Member, encode

pytestmark = pytest.mark.netns

GROUP: Final = "228.0.0.4"
PORT: Final = 45564
SERVER: Final = """<Server><Cluster className="org.apache.catalina.ha.tcp.SimpleTcpCluster"><Channel>
<Membership address="228.0.0.4"{membership}/><Receiver address="{receiver}"/></Channel></Cluster></Server>"""


@pytest.fixture(name="lab")
def _lab() -> Iterator[Lab]:
    with Lab(2) as lab:
        yield lab


@pytest.fixture(name="host")
def _host(lab: Lab) -> Host:
    return lab.hosts[0]


def server_xml(folder: Path, receiver: str = "auto", membership: str = "") -> str:
    """Write a node's file."""
    path = folder / "server.xml"
    path.write_text(SERVER.format(receiver=receiver, membership=membership), encoding="ascii")
    return str(path)


@contextlib.contextmanager
def hosts_file(host: Host, text: str) -> Iterator[None]:
    """Give a host an /etc/hosts of its own."""
    folder = Path("/etc/netns") / host.namespace
    folder.mkdir(parents=True)
    try:
        (folder / "hosts").write_text(text, encoding="ascii")
        yield
    finally:
        (folder / "hosts").unlink()
        folder.rmdir()


def run_python(host: Host, code: str) -> None:
    """Start a program on a host and wait until it says that it is ready."""
    process = host.start(sys.executable, "-c", code, stdout=-1, text=True)
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == "ready\n"


HOLD: Final = f"""
import socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if {{reuse}}: s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.bind(("", {PORT}))
if {{join}}: s.setsockopt(0, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("{GROUP}") + bytes(4))
print("ready", flush=True)
while True: s.recv(2048) if {{read}} else time.sleep(9)
"""
"""A program that has the group's port, as good a neighbour and reader as it is told to be."""


def heartbeat(host: str, alive_ms: int = 5000) -> bytes:
    """Return a member's heartbeat."""
    return encode(Heartbeat(Member(socket.inet_aton(host), 4000, bytes(range(16))), alive_ms))


# -- names


def test_the_classic_of_debian(host: Host, tmp_path: Path) -> None:
    """A host name that /etc/hosts gives 127.0.1.1 is an error with its line; another address cures it."""
    name = socket.gethostname()
    with hosts_file(host, f"127.0.0.1 localhost\n127.0.1.1 {name}.example {name}\n"):
        found = examined(host, "--server-xml", server_xml(tmp_path))
        assert found["host name"] == ("error", f"{name} is 127.0.1.1 (/etc/hosts:2)")
        assert host.address in found.one("host name")["remedy"]
        assert found.status == 1
        literal = examined(host, "--server-xml", server_xml(tmp_path, host.address))
        assert literal["host name"][0] == "ok"
    with hosts_file(host, f"{host.address} {name}\n"):
        assert examined(host)["host name"][0] == "ok"
    with hosts_file(host, f"10.77.0.99 {name}\n"):
        status, said = examined(host)["host name"]
        assert (status, "no interface of this host has" in said) == ("error", True)


# -- interfaces and routes


def test_no_route_to_the_group(host: Host, tmp_path: Path) -> None:
    """Without a route Tomcat does not start; with bind= it needs none."""
    host.ip("route del 224.0.0.0/4")
    found = examined(host)
    assert found["route"] == ("error", f"no route to {GROUP}: Network is unreachable")
    assert "Unable to join multicast group" in found.one("route")["means"]
    bound = examined(host, "--server-xml", server_xml(tmp_path, membership=f' bind="{host.address}"'))
    assert bound["route"] == ("ok", f'Membership bind="{host.address}" decides: by eth0')


def test_a_route_by_loopback(host: Host) -> None:
    """A route that leads nowhere is found out."""
    host.ip("route replace 224.0.0.0/4 dev lo")
    status, said = examined(host)["route"]
    assert status == "error"
    assert said.endswith("which is loopback")


def test_an_interface_without_multicast(host: Host) -> None:
    """An interface without the flag carries nothing, and the remedy names it."""
    host.ip("link set eth0 multicast off")
    found = examined(host)
    assert found["interfaces"] == ("error", "eth0 has no MULTICAST flag")
    assert found.one("interfaces")["remedy"] == "ip link set eth0 multicast on"
    assert found["heard"][0] == "error"


def test_bind_to_an_address_that_is_not_here(host: Host, tmp_path: Path) -> None:
    """Membership bound to another host's address is told with the exception it leads to."""
    found = examined(host, "--server-xml", server_xml(tmp_path, membership=' bind="10.99.0.1"'))
    assert found["interfaces"] == ("error", 'Membership bind="10.99.0.1" is no address of this host')


def test_a_strict_filter_on_an_asymmetric_way(host: Host) -> None:
    """Strict alone is fine; strict with the way back by another interface drops every heartbeat."""
    host.run("sysctl", "-w", "net.ipv4.conf.eth0.rp_filter=1")
    assert examined(host)["rp_filter"] == ("ok", "eth0 strict; the way back to each network is the way in")
    host.ip("link add other type bridge")
    host.ip("link set other up")
    host.ip(f"route del {host.address.rpartition('.')[0]}.0/24 dev eth0")
    host.ip(f"route add {host.address.rpartition('.')[0]}.0/24 dev other")
    status, said = examined(host)["rp_filter"]
    assert status == "error"
    assert said == "rp_filter is strict on eth0, and the way back to 10.77.0.0/24 is other"


# -- firewall


@pytest.mark.parametrize(
    ("chain", "rule", "what"),
    [
        ("input", f"ip daddr {GROUP} drop", "heartbeats in"),
        ("output", f"udp dport {PORT} drop", "heartbeats out"),
        ("input", "ip protocol igmp drop", "the querier's questions in"),
        ("output", "ip daddr 224.0.0.22 drop", "membership reports out"),
        ("input", "tcp dport 4000-4010 reject", "connections to the receiver here"),
        ("output", "tcp dport { 22, 4000 } drop", "connections to other receivers"),
    ],
)
def test_a_rule_that_drops_what_the_cluster_lives_by(host: Host, chain: str, rule: str, what: str) -> None:
    """Each kind of packet that a rule drops is named, alone and with the rule."""
    host.run("nft", "add table inet wall")
    host.run("nft", f"add chain inet wall c {{ type filter hook {chain} priority 0; }}")
    host.run("nft", f"add rule inet wall c {rule}")
    finding = examined(host).one("firewall")
    assert finding["status"] == "error"
    assert finding["found"].startswith(what)
    assert "nft inet wall c" in finding["found"]


def test_a_policy_of_drop_with_what_a_cluster_needs(host: Host) -> None:
    """A closed firewall that lets the cluster through is no finding; the policy is one where it does not."""
    host.run("nft", "add table inet wall")
    host.run("nft", "add chain inet wall in { type filter hook input priority 0; policy drop; }")
    for rule in ("ct state established,related accept", "iif lo accept"):
        host.run("nft", f"add rule inet wall in {rule}")
    found = examined(host).all("firewall")
    assert len(found) == 3
    assert all("the policy of inet wall in" in finding["found"] for finding in found)
    for rule in ("ip protocol igmp accept", f"ip daddr {GROUP} accept", "ip saddr 10.77.0.0/24 accept"):
        host.run("nft", f"add rule inet wall in {rule}")
    assert examined(host)["firewall"][0] == "ok"


# -- ports, memberships, drops


def test_a_port_that_is_not_shared(host: Host) -> None:
    """A program that has the group's port for itself is named: a Tomcat could not start."""
    run_python(host, HOLD.format(reuse=False, join=False, read=True))
    found = examined(host)
    status, said = found["group port"]
    assert status == "error"
    assert said.startswith(f"UDP {PORT} is taken and not shared: 0.0.0.0:{PORT} by python")


def test_somebody_waits_who_did_not_join(host: Host) -> None:
    """A socket on the port without any membership hears nobody; with one all is well."""
    run_python(host, HOLD.format(reuse=True, join=False, read=True))
    assert examined(host)["igmp"][0] == "error"
    run_python(host, HOLD.format(reuse=True, join=True, read=True))
    found = examined(host)
    assert found["igmp"] == ("ok", f"{GROUP} is joined on eth0 by 1; IGMP V3 on eth0")
    assert found["group port"][0] == "ok"


def test_a_socket_that_nobody_reads(lab: Lab, host: Host) -> None:
    """What waits and is dropped while nobody reads shows a deaf process, by its name; a reader is fine."""
    run_python(host, HOLD.format(reuse=True, join=True, read=False))
    with lab.hosts[1].inside(), Speaker("eth0") as speaker:
        process = started(host, "--listen", "300ms")
        while process.poll() is None:
            speaker.say(bytes(500), GROUP, PORT)
            time.sleep(0.02)
    found = Findings(process)
    status, said = found["drops"]
    assert status == "error"
    assert "does not read" in said
    assert "drops what comes" in said
    assert "python" in said
    assert found["datagrams"][0] == "warning"


def test_a_receiver_port_that_another_has(host: Host) -> None:
    """Somebody else on port 4000 moves the receiver to the next: firewalls must know."""
    run_python(
        host,
        "import socket, time; s = socket.create_server(('', 4000)); print('ready', flush=True); time.sleep(99)",
    )
    status, said = examined(host)["receiver port"]
    assert status == "warning"
    assert said.startswith("0.0.0.0:4000 by python")


# -- bridges


def test_a_bridge_that_snoops(lab: Lab) -> None:
    """Snooping without a querier is a warning; with one, the ports that want the group are named."""
    assert examined(lab.lan)["bridge"][0] == "ok"
    lab_ip(lab, "link set br0 type bridge mcast_snooping 1")
    assert examined(lab.lan)["bridge"] == ("warning", "br0 (2 ports) snoops and knows of no querier")
    lab_ip(lab, "address add 10.77.0.1/24 dev br0")
    lab_ip(lab, "link set br0 type bridge mcast_querier 1")
    run_python(lab.hosts[1], HOLD.format(reuse=True, join=True, read=True))
    until = time.monotonic() + 10
    while GROUP not in Host(lab.lan, 1).run("bridge", "mdb", "show"):  # the report is repeated within a second
        assert time.monotonic() < until
        time.sleep(0.05)
    said = f"br0 snoops and asks itself: {GROUP} goes to {lab.hosts[1].port} of v11, v12"
    assert examined(lab.lan)["bridge"] == ("ok", said)


def lab_ip(lab: Lab, command: str) -> None:
    """Run ``ip`` where the bridge is."""
    Host(lab.lan, 1).ip(command)


# -- listening, asking, peers


def test_a_member_that_announces_loopback(lab: Lab, host: Host) -> None:
    """Who sends from its address and announces another is named with both."""
    with lab.hosts[1].inside(), Speaker("eth0") as speaker:
        process = started(host, "--listen", "2500ms")
        alive = 0
        while process.poll() is None:
            alive += 100
            speaker.say(heartbeat("127.0.1.1", alive), GROUP, PORT)
            time.sleep(0.1)
    found = Findings(process)
    assert found["heard"][0] == "ok"
    assert "127.0.1.1:4000 from 10.77.0.12 on eth0, TTL 1" in found["heard"][1]
    assert found["addresses"] == ("error", "10.77.0.12 announces 127.0.1.1:4000")
    assert found.one("receivers")["status"] == "unknown"
    assert "outside allowed_networks" in found["receivers"][1]


def test_a_member_whose_receiver_is_closed(lab: Lab, host: Host) -> None:
    """A heartbeat without a receiver behind it: the step says who refused."""
    with lab.hosts[1].inside(), Speaker("eth0") as speaker:
        process = started(host, "--listen", "3s")
        alive = 0
        while process.poll() is None:
            alive += 100
            speaker.say(heartbeat("10.77.0.12", alive), GROUP, PORT)
            time.sleep(0.1)
    found = Findings(process)
    assert found["receivers"] == ("error", "10.77.0.12:4000 refused")
    assert found["addresses"][0] == "ok"


def test_a_datagram_that_would_kill(lab: Lab, host: Host) -> None:
    """A malformed heartbeat that ends a Tomcat's membership is an error with its effect."""
    deadly = bytearray(heartbeat("10.77.0.12"))
    at = deadly.index(b"\x04\x0a\x4d\x00\x0c") + 5
    deadly[at : at + 4] = b"\x7f\xff\xff\xff"
    with lab.hosts[1].inside(), Speaker("eth0") as speaker:
        process = started(host, "--listen", "1s")
        while process.poll() is None:
            speaker.say(bytes(deadly), GROUP, PORT)
            time.sleep(0.05)
    found = Findings(process)
    assert found["datagrams"][0] == "error"
    assert "kills" in found["datagrams"][1]


def test_a_peer_that_does_not_hear_us(lab: Lab, tmp_path: Path) -> None:
    """A probe on the other host says whom of this one it hears; where it is deaf to us, that is the finding."""
    here, there = lab.hosts
    name, member = f"{there.address}:10564", f"{here.address}:4000"
    with Watcher(there, tmp_path / "probe", [{"address": GROUP, "interfaces": ["eth0"]}]):
        said = told_while_sending(here, "--peer", there.address)[f"peer {name}"]
        assert said == ("ok", f"{name} hears {member} of this host, and everybody who is heard here")
        there.run("nft", "add table inet fault")
        there.run("nft", "add chain inet fault in { type filter hook input priority 0; }")
        there.run("nft", f"add rule inet fault in ip daddr {GROUP} drop")
        said = told_while_sending(here, "--peer", there.address)[f"peer {name}"]
        assert said == ("error", f"{name} does not hear {member} of this host")


def told_while_sending(host: Host, *options: str) -> Findings:
    """Run the doctor on a host that has a member, which beats all the while."""
    with host.inside(), Speaker("eth0") as speaker:
        process = started(host, "--listen", "5s", *options)
        alive = 0
        while process.poll() is None:
            alive += 100
            speaker.say(heartbeat(host.address, alive), GROUP, PORT)
            time.sleep(0.1)
    return Findings(process)


def test_nobody_at_a_peer(host: Host, lab: Lab) -> None:
    """A peer where no probe runs is unknown, with the reason."""
    status, said = examined(host, "--peer", lab.hosts[1].address)["peer 10.77.0.12:10564"]
    assert status == "unknown"
    assert said.endswith("cannot be reached: Connection refused")


# -- privileges


def test_without_privileges(host: Host) -> None:
    """An unprivileged run takes every step; what it may not see is unknown and says what it lacks."""
    run_python(host, HOLD.format(reuse=True, join=True, read=True))
    found, full = examined(host, before=NOBODY), examined(host)
    assert [one["step"] for one in found.report["findings"]] == [one["step"] for one in full.report["findings"]]
    assert found["firewall"] == ("unknown", "only root (CAP_NET_ADMIN) may list the rules")
    assert "user 0 (root may see the process)" in found["group port"][1]
    assert found["interfaces"][0] == found["route"][0] == found["igmp"][0] == "ok"


# -- real Tomcats


@pytest.mark.tomcat
@pytest.mark.slow
def test_beside_real_tomcats(lab: Lab, tmp_path: Path) -> None:
    """On a host of a cluster of two real Tomcats all that it says of them is true."""
    here, there = lab.hosts
    with contextlib.ExitStack() as running:
        for host, name in ((here, "one"), (there, "two")):
            running.enter_context(tomcat.server("10.1", tmp_path / name, host.address, host.start)).go()
        found = examined(here, "--listen", "4s", "--server-xml", server_xml(tmp_path, here.address))
    ok = {one["step"]: one["found"] for one in found.report["findings"] if one["status"] == "ok"}
    assert set(ok) == {one["step"] for one in found.report["findings"]} - {"container"}
    assert "with preferIPv4Stack=true" in ok["jvm"]
    assert "by java (pid " in ok["group port"]
    assert ok["receiver port"].startswith(f"{here.address}:4000 by java (pid ")
    assert f"{here.address}:4000 (here)" in ok["heard"]
    assert f"{there.address}:4000 on eth0, TTL 1" in ok["heard"]
    assert f"{there.address}:4000 answered" in ok["receivers"]
    assert found.status == 0


# -- self-test


def measured(lab: Lab) -> tuple[Findings, Findings]:
    """Run a self-test between both hosts."""
    one, two = lab.hosts
    both = [
        started(host, "--listen", "200ms", "--self-test", "--peer", other.address)
        for host, other in ((one, two), (two, one))
    ]
    return Findings(both[0]), Findings(both[1])


def test_a_self_test_where_all_is_well(lab: Lab) -> None:
    """Both sides count what the other one counted, and time the way there and back."""
    for found, other in zip(measured(lab), reversed(lab.hosts), strict=True):
        status, said = found[f"self-test {other.address}"]
        assert status == "ok"
        all_came = f"{other.address} 20 of 20 came (0 % lost, TTL 1); "
        assert said.startswith(f"to {all_came}from {all_came}")
        assert "round trip, out by multicast and back by unicast, " in said


def test_a_self_test_with_one_direction_lost(lab: Lab) -> None:
    """What one host drops is told by both as the loss of that direction, and of no other."""
    one, two = lab.hosts
    two.run("nft", "add table inet fault")
    two.run("nft", "add chain inet fault in { type filter hook input priority 0; }")
    two.run("nft", f"add rule inet fault in ip saddr {one.address} ip daddr {GROUP} drop")
    first, second = measured(lab)
    status, said = first[f"self-test {two.address}"]
    assert status == "error"
    assert said.startswith(f"to {two.address} 0 of 20 came (100 % lost); from {two.address} 20 of 20 came")
    status, said = second[f"self-test {one.address}"]
    assert status == "error"
    assert said.startswith(f"to {one.address} 20 of 20 came (0 % lost, TTL 1); from {one.address} 0 of 20 came")


def test_a_self_test_with_some_loss(lab: Lab) -> None:
    """Part of a direction lost is a warning with the share."""
    one, two = lab.hosts
    two.run("nft", "add table inet fault")
    two.run("nft", "add chain inet fault in { type filter hook input priority 0; }")
    two.run("nft", f"add rule inet fault in ip daddr {GROUP} udp dport 10565 numgen inc mod 4 0 drop")
    first, second = measured(lab)
    assert first[f"self-test {two.address}"][0] == second[f"self-test {one.address}"][0] == "warning"
    assert "15 of 20 came (25 % lost" in first[f"self-test {two.address}"][1]
    assert f"from {one.address} 15 of 20 came (25 % lost" in second[f"self-test {one.address}"][1]


def test_a_self_test_without_a_route(lab: Lab) -> None:
    """What cannot be sent is told as that; the other side knows how many to expect."""
    one, two = lab.hosts
    one.ip("route del 224.0.0.0/4")
    first, second = measured(lab)
    said = "20 of 20 could not be sent to the group: Network is unreachable"
    assert first[f"self-test {two.address}"] == ("error", said)
    assert f"from {one.address} 0 of 0 came" in second[f"self-test {one.address}"][1]


@pytest.mark.parametrize("group", ["ff02::4", "ff15::4"])
def test_a_self_test_over_ipv6(lab: Lab, tmp_path: Path, group: str) -> None:
    """An IPv6 group is measured and heard as any other."""
    path = tmp_path / "p.yml"
    path.write_text(f"groups: [{{address: '{group}'}}]\n")
    one, two = lab.hosts
    options = ("--listen", "200ms", "--config.file", str(path), "--self-test", "--peer")
    both = [started(one, *options, two.address6), started(two, *options, one.address6)]
    for process, other in zip(both, reversed(lab.hosts), strict=True):
        found = Findings(process)
        assert found[f"self-test {other.address6}"][0] == "ok"
        assert found["route"][0] == found["interfaces"][0] == found["firewall"][0] == "ok"


def test_a_self_test_sends_nothing_to_a_membership(lab: Lab) -> None:
    """While two doctors measure, the membership's port stays silent and hears no Tribes magic anywhere."""
    witness = lab.hosts[1]
    with witness.inside():
        heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        heard.bind(("eth0", 0))
        heard.setblocking(False)  # noqa: FBT003
    with heard:
        measured(lab)
        packets = []
        with contextlib.suppress(BlockingIOError):
            while True:
                packets.append(heard.recv(2048))
    udp = [packet for packet in packets if packet[12:14] == b"\x08\x00" and packet[23] == 17]
    ports = {int.from_bytes(packet[36:38], "big") for packet in udp}
    assert ports == {10565}
    to_group = [packet for packet in udp if packet[30:34] == socket.inet_aton(GROUP)]
    assert len(to_group) == 2 * 20
    assert not any(b"TRIBES-B" in packet for packet in packets)
    assert {packet[22] for packet in to_group} == {1}
