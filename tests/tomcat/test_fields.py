"""Every field of a heartbeat is what the Java side says of itself, and what tshark reads."""

import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import tomcat
from support.netns import Host, Lab
from support.wire import VECTORS

from protocols.heartbeat import Heartbeat, Layout, parse

COMMAND = Path(sys.executable).with_name("tribes-probe")
DOMAIN = b"shop \xe4\x00\xff"
PAYLOAD = bytes(range(256))
GROUP4, GROUP6, PORT = "228.0.0.4", "ff15::4", 45564
CAPTURES = sorted((VECTORS / "captures").glob("*.pcap"))


@contextmanager
def hearing(host: Host, *, ipv6: bool = False) -> Iterator[socket.socket]:
    """Join the group on a host; the socket gives up after ten seconds."""
    with host.inside():
        sock = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        index = struct.pack("@i", socket.if_nametoindex("eth0"))
    with sock:
        sock.settimeout(10)
        sock.bind((GROUP6 if ipv6 else GROUP4, PORT))
        if ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(10, GROUP6) + index)
        else:
            group = socket.inet_aton(GROUP4) + bytes(4) + index
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        yield sock


def spell(heartbeat: Heartbeat) -> dict[str, object]:
    """Spell a heartbeat as the Java side does, but for its alive time, which runs on."""
    member = heartbeat.member
    return {
        "host": member.host.hex(),
        "port": member.port,
        "secure_port": member.secure_port,
        "udp_port": member.udp_port,
        "unique_id": member.unique_id.hex(),
        "command": member.command.hex(),
        "domain": member.domain.hex(),
        "payload": member.payload.hex(),
    }


CASES = [(branch, False) for branch in tomcat.TRIBES] + [("9.0", True), ("11.0", True)]


@pytest.mark.tomcat
@pytest.mark.netns
@pytest.mark.parametrize(("branch", "ipv6"), CASES, ids=str)
def test_fields(branch: str, ipv6: bool, tmp_path: Path) -> None:  # noqa: FBT001  # a parameter
    """Domain, payload, ports, id and address; a clean stop adds the command and nothing else."""
    tomcat.class_path(branch)
    with Lab(2) as lab, hearing(lab.hosts[1], ipv6=ipv6) as sock:
        host = lab.hosts[0]
        settings = {"domain": DOMAIN.hex(), "payload": PAYLOAD.hex(), "port": 4001}
        place = {"address": host.address6, "group": GROUP6} if ipv6 else {"address": host.address}
        if ipv6:
            host.ip("-6 route add ff00::/8 dev eth0 table local")
        with tomcat.peer(branch, tmp_path / "log", host.start, ipv6=ipv6, **settings, **place) as node:
            said = node.go()
            first = parse(sock.recv(65_535))
            later = parse(sock.recv(65_535))
            node.stop()
        goodbye = later
        while not goodbye.member.is_goodbye:
            goodbye = parse(sock.recv(65_535))
    del said["alive_ms"]
    assert spell(first) == spell(later) == said
    assert (first.member.domain, first.member.payload) == (DOMAIN, PAYLOAD)
    assert first.member.layout is (Layout.TOMCAT_6 if branch == "6.0" else Layout.CURRENT)
    assert spell(goodbye) == {**said, "command": b"BABY-ALEX".hex()}
    assert 0 <= first.alive_ms <= later.alive_ms <= goodbye.alive_ms


@pytest.mark.tshark
@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_tshark_reads_the_same(capture: Path) -> None:
    """Wireshark's own dissector, an independent reading, agrees on every heartbeat of every capture."""
    ours = [
        tuple(
            str(value) for value in (*map(line.get, FIELDS), bytes.fromhex(line["domain"]).decode(), host(line))
        )
        for line in map(json.loads, run(str(COMMAND), "decode", "--json", str(capture)).splitlines())
        if line["kind"] in {"heartbeat", "goodbye"}
    ]
    assert ours
    assert theirs(capture) == ours


FIELDS = {
    "alive_ms": "alive",
    "port": "port",
    "secure_port": "sport",
    "udp_port": "uport",
    "unique_id": "unique",
    "payload_length": "plen",
}
"""Our name of each field, and tshark's."""


def host(line: dict[str, str]) -> str:
    """Return the host where tshark tells it: it takes 16 bytes for a malformed address."""
    return "" if ":" in line["host"] else line["host"]


def theirs(capture: Path) -> list[tuple[str, ...]]:
    """Return what tshark reads of each heartbeat."""
    names = [word for name in (*FIELDS.values(), "domain", "ipv4") for word in ("-e", f"ath.{name}")]
    decode_as = ("-d", "udp.port==45569,ath")
    text = run("tshark", "-r", str(capture), "-n", *decode_as, "-Y", "ath", "-T", "fields", *names)
    return [tuple(line.split("\t")) for line in text.splitlines()]


def run(*command: str) -> str:
    """Run a program to its end; return what it printed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
