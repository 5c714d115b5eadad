"""Which interfaces carry a group, and what the others lack."""

from typing import Any

import pytest
from support.examination import LO, eth0, subject

from probe.doctor.finding import Status
from probe.doctor.links import judge


@pytest.mark.parametrize(
    ("changes", "found", "remedy"),
    [
        ({"up": False}, "eth0 is down", "ip link set eth0 up"),
        ({"running": False}, "eth0 without a carrier", "plug eth0 in"),
        ({"multicast": False}, "eth0 has no MULTICAST flag", "ip link set eth0 multicast on"),
        ({"addresses": ()}, "eth0 lacks an IPv4 address", "give eth0 an address"),
    ],
)
@pytest.mark.parametrize("named", [(), ("eth0",)])
def test_the_only_interface_lacks_something(
    changes: dict[str, Any], found: str, remedy: str, named: tuple[str, ...]
) -> None:
    """Named in the settings or not, what it lacks is said, and the command against it."""
    judged = judge(subject(LO, eth0(**changes), interfaces=named))
    assert judged.status is Status.ERROR
    assert (
        found in judged.found or judged.found == f"eth0, which the settings name, {found.removeprefix('eth0 ')}"
    )
    assert judged.remedy.startswith(remedy)


def test_one_of_two() -> None:
    """A second one that is down is mentioned; without MULTICAST it may be the cluster's."""
    down = judge(subject(LO, eth0(), eth0(name="eth1", up=False)))
    assert (down.status, "eth1 is down" in down.found) == (Status.OK, True)
    deaf = judge(subject(LO, eth0(), eth0(name="eth1", multicast=False)))
    assert (deaf.status, deaf.remedy) == (Status.WARNING, "ip link set eth1 multicast on")


def test_names_that_are_not_there() -> None:
    """An interface of the settings and an address of Membership's bind must exist here."""
    absent = judge(subject(interfaces=("eth7",)))
    assert (absent.status, absent.found) == (Status.ERROR, "there is no interface eth7; there are lo, eth0")
    bind = judge(subject(cluster={"bind": "192.0.2.1"}))
    assert "IllegalArgumentException" in bind.means
    assert judge(subject(cluster={"bind": "10.0.0.1"})).status is Status.OK


def test_loopback_alone() -> None:
    """A host with loopback only carries no cluster; a group put on lo on purpose is fine."""
    assert judge(subject(LO)).status is Status.ERROR
    assert judge(subject(LO, interfaces=("lo",))).status is Status.OK
