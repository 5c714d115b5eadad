"""A known member's heartbeat, remembered against the bare construct grammar."""

from functools import partial

from benchmarks.row import Row, ratio, seconds_per_call

from protocols.heartbeat import GRAMMAR, Decoder, Heartbeat, Layout, Member, encode

WANTED = 40.0


def measure() -> Row:
    """Decode the usual 77 bytes both ways."""
    data = encode(Heartbeat(Member(bytes([10, 0, 0, 7]), 4000, bytes(range(16))), 12_345))
    decoder = Decoder()
    bare = partial(GRAMMAR[Layout.CURRENT].parse, data)
    known = partial(decoder.decode, data)
    times, slow, fast = ratio(lambda: seconds_per_call(bare, 2_000), lambda: seconds_per_call(known, 100_000))
    detail = f"{fast * 1e9:.0f} ns against {slow * 1e6:.1f} µs"
    return Row("decode a known member", "the bare construct grammar", times, WANTED, detail=detail)
