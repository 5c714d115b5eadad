"""Socket buffers: how long a pause the kernel bridges before it drops heartbeats."""

from pathlib import Path
from typing import Final

import msgspec

from probe.doctor import files
from probe.doctor.finding import Judgement, ok, unknown, warning
from probe.sensors.multicast import RECEIVE_BUFFER

LOOKED_AT: Final = "net.core.rmem_default, net.core.rmem_max"
USUAL: Final = 212_992
"""bytes: the kernel's own default of both."""
HEARTBEAT: Final = 768
"""bytes the kernel counts for one heartbeat that waits."""


class Buffers(msgspec.Struct, frozen=True):
    """bytes; None where it cannot be read."""

    usual: int | None = None
    most: int | None = None


def read_buffers(root: Path = Path("/")) -> Buffers:
    """Read the limits."""
    core = root / "proc/sys/net/core"
    return Buffers(files.number(core / "rmem_default"), files.number(core / "rmem_max"))


def judge(buffers: Buffers) -> Judgement:
    """Say whether a Tomcat's membership socket, which takes the default, has room."""
    usual, most = buffers.usual, buffers.most
    if usual is None or most is None:
        return unknown("net.core.rmem_* cannot be read in here", "look on the host")
    beats = usual // HEARTBEAT
    found = f"rmem_default {usual} bytes (some {beats} heartbeats), rmem_max {most}"
    if usual < USUAL // 2:
        return warning(
            found,
            "a Tomcat's membership socket takes the default: a pause or a burst loses heartbeats",
            f"sysctl net.core.rmem_default={USUAL}",
        )
    if most < USUAL:
        return warning(
            found,
            f"the probe asks for {RECEIVE_BUFFER // 2**20} MiB and gets less than the default",
            f"sysctl net.core.rmem_max={RECEIVE_BUFFER}",
        )
    return ok(found)
