"""What the host's name says, and what a Tomcat with address="auto" makes of it."""

import ipaddress
import socket
from pathlib import Path

import pytest
from support.examination import OWN, eth0, subject

from probe.doctor.finding import Status
from probe.doctor.names import Lookup, judge, look_up


@pytest.mark.parametrize(
    ("addresses", "status", "words"),
    [
        ((OWN,), Status.OK, "an address of this host"),
        (("127.0.1.1",), Status.ERROR, "node1 is 127.0.1.1 (/etc/hosts:2)"),
        (("127.0.0.1",), Status.ERROR, "127.0.0.1"),
        (("::1",), Status.ERROR, "::1"),
        (("fd00::1", OWN), Status.OK, f"node1 is {OWN}"),
        (("fd00::1",), Status.WARNING, "the group is IPv4"),
        (("192.0.2.9",), Status.ERROR, "no interface of this host has"),
        ((), Status.ERROR, "has no address: not known"),
    ],
)
def test_a_name(addresses: tuple[str, ...], status: Status, words: str) -> None:
    """Only an address that is this host's, of the group's family and not loopback, will do."""
    judged = judge(Lookup("node1", addresses, "not known" if not addresses else "", "/etc/hosts:2"), subject())
    assert judged.status is status
    assert words in judged.found
    if status is Status.ERROR:
        assert f'<Receiver address="{OWN}"' in judged.remedy


def test_an_address_in_server_xml() -> None:
    """What the file says counts, not the name; loopback there is an error without talk of names."""
    assert judge(Lookup(OWN, (OWN,)), subject(cluster={"receiver_address": OWN})).status is Status.OK
    judged = judge(Lookup("127.0.0.1", ("127.0.0.1",)), subject(cluster={"receiver_address": "127.0.0.1"}))
    assert judged.status is Status.ERROR
    assert "/etc/hosts" not in judged.remedy


def test_a_receiver_that_serves_elsewhere() -> None:
    """Where a running receiver has a good address and no file says auto, loopback is a warning only."""
    lookup = Lookup("node1", ("127.0.1.1",))
    assert judge(lookup, subject(), frozenset({OWN})).status is Status.WARNING
    assert judge(lookup, subject(), frozenset({"127.0.1.1"})).status is Status.ERROR
    assert judge(lookup, subject(cluster={}), frozenset({OWN})).status is Status.ERROR


def test_the_remedy_prefers_the_interface_of_the_settings() -> None:
    """With several networks the address proposed is on the one that the settings name."""
    far = eth0(index=3, name="eth1", addresses=(ipaddress.ip_interface("192.0.2.1/24"),))
    judged = judge(Lookup("node1", ("127.0.1.1",)), subject(eth0(), far, interfaces=("eth1",)))
    assert 'address="192.0.2.1"' in judged.remedy


async def test_looking_up(tmp_path: Path) -> None:
    """An auto is the host's own name with its line; an address is itself; a name nobody knows says why."""
    (tmp_path / "etc").mkdir()
    name = socket.gethostname()
    (tmp_path / "etc/hosts").write_text(
        f"# {name}\n127.0.0.1 localhost\n\n10.0.0.9 x {name.upper()} # {name}\n"
    )
    assert (await look_up("auto", tmp_path)).line == "/etc/hosts:4"
    assert await look_up("10.0.0.7", tmp_path) == Lookup("10.0.0.7", ("10.0.0.7",))
    nobody = await look_up("n" * 64, tmp_path)  # no label is that long: no name server is asked
    assert (nobody.addresses, bool(nobody.why), nobody.line) == ((), True, "")
