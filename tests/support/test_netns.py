"""The segment that other tests rely on."""

import socket
import struct
import sys
from pathlib import Path

import pytest
from support.netns import Lab

pytestmark = pytest.mark.netns

GROUP, PORT = "239.255.3.1", 45701


def test_a_multicast_reaches_every_other_host_and_nothing_is_left_behind() -> None:
    """What one host sends to a group arrives at the others; the namespaces go with the lab."""
    with Lab(3) as lab:
        sender, *others = lab.hosts
        ears = []
        for host in others:
            with host.inside():
                ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            ear.bind((GROUP, PORT))
            ear.setsockopt(
                socket.IPPROTO_IP,
                socket.IP_ADD_MEMBERSHIP,
                struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton(host.address)),
            )
            ear.settimeout(2)
            ears.append(ear)
        script = f"import socket; socket.socket(2, 2).sendto(b'here', ('{GROUP}', {PORT}))"
        sender.run(sys.executable, "-c", script)
        for ear in ears:
            with ear:
                data, source = ear.recvfrom(16)
                assert (data, source[0]) == (b"here", "10.77.0.11")
        sleeper = sender.start("sleep", "60")
        assert sleeper.poll() is None
    assert sleeper.poll() is not None
    assert not list(Path("/run/netns").glob(f"{lab.name}-*"))


def test_a_host_is_left_even_when_the_block_fails() -> None:
    """An exception inside a host brings the thread home again."""
    home = Path("/proc/thread-self/ns/net").readlink()
    with Lab(1) as lab:
        with lab.hosts[0].inside():
            assert Path("/proc/thread-self/ns/net").readlink() != home
        with pytest.raises(ZeroDivisionError), lab.hosts[0].inside():
            raise ZeroDivisionError
        assert Path("/proc/thread-self/ns/net").readlink() == home


def test_the_management_network_outlives_the_segment() -> None:
    """Hosts reach each other over it while the segment's cable is out."""
    with Lab(2, management=True) as lab:
        here, there = lab.hosts
        lab.cut(here)
        with there.inside():
            server = socket.create_server((there.management, PORT))
        with server, here.inside():
            socket.create_connection((there.management, PORT), 2).close()
            with pytest.raises(OSError, match=r"timed out|unreachable|No route"):
                socket.create_connection((there.address, PORT), 0.5)
