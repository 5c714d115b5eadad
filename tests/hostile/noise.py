"""Datagrams that a network might send by mistake or by malice; the same seed makes the same ones."""

import random
import struct
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Final

import msgspec
from support.wire import vectors

from protocols.heartbeat import BEGIN, END, GOODBYE, LEGACY_END, UDP_LIMIT, Heartbeat, Member, encode

_MARKS: Final = (BEGIN, END, LEGACY_END, b"FLT2002", b"TLF2003", b"BABY-ALEX", bytes(16))
_LENGTHS: Final = (0, 1, 3, 4, 13, 16, 53, 77, -1, -14, -18, 2**31 - 1, -(2**31), 2**27, 65_493)
_FIELDS: Final = (7, 10, 14, 22, 26, 30, 34, 35, 39, 43, 47, 63, 67)
"""Where lengths, ports and markers stand in a heartbeat of an IPv4 host."""
_ALIVE: Final = (10**12, 1_700_000_000_000, -1, -(2**63), 2**63 - 1, 0, 10**12 - 1, 2**31)
_PAYLOAD_LENGTH: Final = 14 + 8 + 12 + 1 + 4 + 4 + 4 + 16
_PACKET: Final = 1_400


class Noise:
    """Makes datagrams of many kinds. Only ``victims`` are spoken for; ``spared`` lend their unique ids.

    ``receivers`` are (packed host, port) of those who take questions; ``near`` are addresses of the same
    network at which nobody answers.
    """

    def __init__(
        self,
        seed: int,
        victims: Sequence[Member],
        spared: Sequence[Member],
        receivers: Sequence[tuple[bytes, int]],
        near: Sequence[bytes],
    ) -> None:
        self.chance = random.Random(seed)
        self._victims = victims
        self._spared = spared
        self._near = near
        self._announced = [Member(host, port, self._id()) for host, port in receivers]
        self._vectors = cycle(each.data for name in ("members", "tomcat6") for each in vectors(name))
        self._frames = cycle(each.data for each in vectors("frames"))
        self._sound = [each.data for each in vectors("members") if "error" not in each.expect]
        self._sound += [encode(Heartbeat(victim, 1_000)) for victim in victims]
        self._kinds: dict[str, tuple[int, Callable[[], list[bytes]]]] = {
            "vector": (10, lambda: [next(self._vectors) for _ in range(10)]),
            "broadcast": (3, lambda: [next(self._frames) for _ in range(5)]),
            "random": (6, lambda: [self.chance.randbytes(self._size()) for _ in range(4)]),
            "mutated": (20, lambda: [self._mutated() for _ in range(10)]),
            "invented": (20, lambda: [self._invented() for _ in range(25)]),
            "invented near": (1, lambda: [self._invented_near() for _ in range(5)]),
            "invented large": (3, lambda: [self._large()]),
            "announced": (10, lambda: [self._beat(self.chance.choice(self._announced)) for _ in range(10)]),
            "forged goodbye": (3, lambda: [self._forged_goodbye() for _ in range(3)]),
            "odd alive time": (3, lambda: [self._odd_alive() for _ in range(3)]),
            "stolen id": (4, lambda: [self._stolen() for _ in range(3)]),
            "over its end": (1, lambda: [self._over_its_end()]),
        }
        self.kinds = tuple(self._kinds)
        self._weights = [weight for weight, _ in self._kinds.values()]

    def some(self) -> tuple[str, list[bytes]]:
        """Return a kind and a handful of its datagrams."""
        [kind] = self.chance.choices(self.kinds, self._weights)
        return kind, self._kinds[kind][1]()

    def announce(self) -> list[bytes]:
        """Return one beat of each announced receiver."""
        return [self._beat(member) for member in self._announced]

    def _id(self) -> bytes:
        return self.chance.randbytes(16)

    def _size(self) -> int:
        return self.chance.choice((self.chance.randrange(300), self.chance.randrange(UDP_LIMIT + 1)))

    def _beat(self, member: Member) -> bytes:
        return encode(Heartbeat(member, self.chance.randrange(10**7)))

    def _invented(self) -> bytes:
        """Return somebody new: of any address family, now and then as long as a packet allows."""
        host = self.chance.randbytes(self.chance.choice((4, 4, 4, 16, 16, 5, 127)))
        extra = self.chance.randrange(_PACKET - len(host)) if self.chance.random() < 0.3 else 0
        domain, payload = (b"", self.chance.randbytes(extra))
        if self.chance.random() < 0.2:
            domain, payload = payload[: self.chance.randrange(200)], b""
        port = self.chance.choice(
            (4000, self.chance.randrange(1, 65536), self.chance.randrange(-(2**31), 2**31))
        )
        return self._beat(Member(host, port, self._id(), domain=domain, payload=payload))

    def _invented_near(self) -> bytes:
        host, port = self.chance.choice(self._near), self.chance.randrange(4000, 4004)
        return self._beat(Member(host, port, self._id()))

    def _large(self) -> bytes:
        long = self.chance.randbytes(self.chance.randrange(1_500, 65_000))
        field = self.chance.choice(("payload", "domain", "command"))
        if self.chance.random() < 0.5:
            member = msgspec.structs.replace(self.chance.choice(self._announced), **{field: long})
        else:
            member = Member(self.chance.randbytes(4), 4000, self._id(), **{field: long})  # type: ignore[arg-type]
        return self._beat(member)

    def _forged_goodbye(self) -> bytes:
        member = self.chance.choice((*self._victims, *self._announced))
        return self._beat(msgspec.structs.replace(member, command=GOODBYE))

    def _odd_alive(self) -> bytes:
        member = self.chance.choice((*self._victims, *self._announced))
        return encode(Heartbeat(member, self.chance.choice(_ALIVE)))

    def _stolen(self) -> bytes:
        """Return a victim under another id, or somebody under the id of one who is spared."""
        owner = self.chance.choice((*self._spared, *self._victims))
        if self.chance.random() < 0.5:
            return self._beat(Member(self.chance.randbytes(4), 4000, owner.unique_id))
        victim = self.chance.choice((*self._victims, *self._announced))
        return self._beat(msgspec.structs.replace(victim, unique_id=owner.unique_id))

    def _over_its_end(self) -> bytes:
        """Return one of the largest size whose end marker comes early while its payload goes on to the end."""
        member = msgspec.structs.replace(self.chance.choice(self._announced), payload=END)
        data = bytearray(self._beat(member))
        data += bytes(self.chance.choice((UDP_LIMIT, UDP_LIMIT, 2_000)) - len(data))
        struct.pack_into(">i", data, _PAYLOAD_LENGTH, len(data) - _PAYLOAD_LENGTH - 4)
        struct.pack_into(">i", data, 10, _PAYLOAD_LENGTH + 4 - 14)
        return bytes(data)

    def _mutated(self) -> bytes:
        data = bytearray(self.chance.choice(self._sound))
        for _ in range(self.chance.randrange(1, 5)):
            place = self.chance.choice((*_FIELDS, self.chance.randrange(len(data) + 1)))
            match self.chance.randrange(7):
                case 0:
                    if place < len(data):
                        data[place] ^= 1 << self.chance.randrange(8)
                case 1:
                    del data[place:]
                case 2:
                    data[place:place] = self.chance.choice(_MARKS)
                case 3:
                    data[place : place + 4] = self.chance.choice(_LENGTHS).to_bytes(4, signed=True)
                case 4:
                    data += self.chance.choice(self._sound)
                case 5:
                    data += self.chance.randbytes(self._size())
                case 6:
                    data[place : place + 1] = self.chance.randbytes(1)
        return bytes(data[:UDP_LIMIT])
