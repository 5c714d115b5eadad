"""A capture decoded, as a command from start to end, against scapy's own read loop and tshark."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.row import Row

MEMBERS: Final = 500
SECONDS: Final = 50
ROUNDS: Final = 3
_COMMAND: Final = Path(sys.executable).with_name("tribes-probe")
_SCAPY: Final = """
import sys
import scapy.layers.inet  # which link types and protocols there are
from scapy.utils import PcapReader
print(sum(packet.haslayer("UDP") for packet in PcapReader(sys.argv[1])))
"""

_FIELDS: Final = [
    word for name in ("alive", "port", "ipv4", "unique", "domain") for word in ("-e", f"ath.{name}")
]


def seconds(*command: str | Path) -> float:
    """Return how long a command takes whose output is thrown away."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def measure() -> list[Row]:
    """Decode the same heartbeats in turn, each run a whole command."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "many.pcap")
        shape = ("--members", str(MEMBERS), "--duration", f"{SECONDS}s", "--port", "45564")
        seconds(_COMMAND, "simulate", *shape, "--write", file)
        packets = file.stat().st_size // 121  # 16 of pcap, 28 of IP and UDP, 77 of heartbeat
        runs = [
            (
                seconds(_COMMAND, "decode", "--json", file),
                seconds(sys.executable, "-c", _SCAPY, file),
                seconds("tshark", "-n", "-r", file, "-T", "fields", *_FIELDS),
            )
            for _ in range(ROUNDS)
        ]
    ours, scapy, tshark = (statistics.median(column) for column in zip(*runs, strict=True))
    what = f"a capture of {packets:,} heartbeats decoded to JSON"
    return [
        Row(what, "scapy's own read loop", scapy / ours, 1, detail=f"{ours:.2f} s against {scapy:.2f} s"),
        Row("", "tshark, five fields", tshark / ours, 1, detail=f"{ours:.2f} s against {tshark:.2f} s"),
    ]
