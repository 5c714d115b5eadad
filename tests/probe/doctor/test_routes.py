"""Routes to the group, and the reverse path filter."""

from pathlib import Path
from typing import Any

import pytest
from support.examination import OWN, eth0, subject

from probe.doctor.finding import Status
from probe.doctor.routes import Filter, Filters, Way, judge_filters, judge_way, read_filters


@pytest.mark.parametrize(
    ("way", "announced", "settings", "status", "words"),
    [
        (Way("eth0", OWN), OWN, {}, Status.OK, "by eth0 as 10.0.0.1"),
        (Way("eth0", OWN), "", {}, Status.OK, "by eth0"),
        (Way("eth0", OWN), "127.0.1.1", {}, Status.OK, "by eth0"),
        (Way("eth0", OWN), "192.0.2.1", {}, Status.WARNING, "announced at 192.0.2.1"),
        (Way("lo", "127.0.0.1"), "", {}, Status.ERROR, "which is loopback"),
        (Way("lo", "127.0.0.1"), "", {"interfaces": ("lo",)}, Status.OK, "by lo"),
        (Way("eth0", OWN), "", {"interfaces": ("lo",)}, Status.ERROR, "the settings name lo"),
        (Way("eth0", OWN), "", {"interfaces": (OWN,)}, Status.OK, "by eth0"),
        (Way(why="Network is unreachable"), "", {}, Status.ERROR, "no route to 228.0.0.4"),
        (Way(why="Network is unreachable"), "", {"cluster": {"bind": OWN}}, Status.OK, "decides: by eth0"),
    ],
)
def test_the_way_to_the_group(
    way: Way, announced: str, settings: dict[str, Any], status: Status, words: str
) -> None:
    """It must leave by an interface that carries it, the one meant, under the address announced."""
    judged = judge_way(way, subject(**settings), announced)
    assert (judged.status, words in judged.found) == (status, True), judged


def test_an_interface_without_the_flag() -> None:
    """A route by an interface without MULTICAST leads nowhere."""
    judged = judge_way(Way("eth0", OWN), subject(eth0(multicast=False)), "")
    assert (judged.status, "has no MULTICAST flag" in judged.found) == (Status.ERROR, True)


@pytest.mark.parametrize(
    ("filters", "status"),
    [
        (Filters((Filter("eth0", 0),), 9), Status.OK),
        (Filters((Filter("eth0", 2),), 9), Status.OK),
        (Filters((Filter("eth0", 1),), 0), Status.OK),
        (Filters((Filter("eth0", 1),), None), Status.OK),
        (Filters((Filter("eth0", 1),), 9), Status.WARNING),
        (Filters((Filter("eth0", 1, {"10.0.0.0/24": "eth1"}),), 0), Status.ERROR),
        (Filters(), Status.OK),
    ],
)
def test_the_filter(filters: Filters, status: Status) -> None:
    """Strict drops where the way back is another's; its counter is a warning; off and loose never matter."""
    assert judge_filters(filters, subject()).status is status
    assert judge_filters(filters, subject(address="ff02::4")).status is Status.OK


def test_reading_the_filter(tmp_path: Path) -> None:
    """The stricter of all and the interface's own is in force; the counter is found among its neighbours."""
    conf = tmp_path / "proc/sys/net/ipv4/conf"
    for name, mode in (("all", 0), ("eth0", 2)):
        (conf / name).mkdir(parents=True)
        (conf / name / "rp_filter").write_text(f"{mode}\n")
    (tmp_path / "proc/net").mkdir()
    (tmp_path / "proc/net/netstat").write_text(
        "TcpExt: A IPReversePathFilter B\nTcpExt: 1 42 3\nIpExt: X\nIpExt: 1\n"
    )
    assert read_filters(subject(), tmp_path) == Filters((Filter("eth0", 2),), 42)
    (tmp_path / "proc/net/netstat").unlink()
    assert read_filters(subject(), tmp_path).dropped is None
