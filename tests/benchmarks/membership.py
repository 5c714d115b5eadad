"""Decode and membership update of one heartbeat, against Tomcat's own classes doing the same."""

import time

from benchmarks.row import Row
from probe.model.membership import Membership
from probe.model.rules import Rules
from protocols.heartbeat import Decoder, Heartbeat, Member, encode
from support.java import tomcat_membership_nanoseconds

WANTED = {100: 1.0, 1_000: 5.0, 10_000: 40.0}
ROUNDS = 24
LEARNING = 8


def heartbeats(members: int, rounds: int) -> list[list[bytes]]:
    """Return what so many members send in so many periods."""
    blocks = [encode(Heartbeat(Member((0x0A000000 + i).to_bytes(4), 4000, i.to_bytes(16)), 0)) for i in range(members)]
    return [
        [block[:14] + (1_000 + 500 * period).to_bytes(8) + block[22:] for block in blocks] for period in range(rounds)
    ]


def nanoseconds(members: int) -> float:
    """Return the CPU nanoseconds that one heartbeat of one of so many members costs."""
    membership, decoder = Membership(Rules()), Decoder()
    decode, hear = decoder.decode, membership.hear
    started = 0.0
    for period, beats in enumerate(heartbeats(members, ROUNDS)):
        if period == LEARNING:
            started = time.process_time()
        now = 1_000 + period / 2
        for data in beats:
            hear(decode(data), now)
    return (time.process_time() - started) * 1e9 / (members * (ROUNDS - LEARNING))
