"""What is taken from the nodes' own files, and what a step does that cannot be taken."""

import pytest
from support.examination import OWN, subject

from probe.config import Group
from probe.doctor.finding import Judgement, Status
from probe.doctor.subject import Subject
from probe.doctor.walk import _step
from probe.fields import ConfigError
from probe.tomcat.server_xml import ClusterElement


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ((), "auto"),
        (("auto",), "auto"),
        (("10.0.0.9",), "10.0.0.9"),
        (("10.0.0.9", OWN), OWN),
        (("10.0.0.8", "10.0.0.9"), "auto"),
    ],
)
def test_the_receivers_address(written: tuple[str, ...], address: str) -> None:
    """Of several nodes' files the one with an address of this host counts."""
    clusters = tuple(ClusterElement("server.xml", 1, receiver_address=one) for one in written)
    assert Subject(Group(clusters=clusters), subject().interfaces).receiver_address == address


@pytest.mark.parametrize(("ttl", "sent"), [(None, 1), (-1, 1), (0, 0), (4, 4), (999, 255)])
def test_the_ttl(ttl: int | None, sent: int) -> None:
    """As the file says it, else what Linux takes."""
    assert subject(cluster=None if ttl is None else {"ttl": ttl}).ttl == sent


@pytest.mark.parametrize(
    ("failed", "found"),
    [
        (
            PermissionError(1, "Operation not permitted", "/proc/x"),
            "/proc/x: Operation not permitted: only root",
        ),
        (FileNotFoundError(2, "No such file or directory", "/proc/y"), "/proc/y: No such file or directory"),
        (ConfigError(["peers: b: TLS cannot be set up"]), 'ConfigError "peers: b: TLS'),
        (KeyError("nobody thought of that\x1b[31m"), "KeyError"),
    ],
)
async def test_a_step_that_cannot_be_taken(failed: Exception, found: str) -> None:
    """Whatever goes wrong is the step's finding: unknown, with the reason, printable."""

    async def look() -> Judgement:
        raise failed

    (finding,) = await _step("route", "shop", "it", look)
    assert finding.status is Status.UNKNOWN
    assert found in finding.found
    assert finding.found.isprintable()
    assert finding.remedy
