"""The self-test's words between two doctors, and what the counts say. Pure.

A and B agree by unicast that both are there. Then each sends so many numbered datagrams to the group's
address on a port that no membership uses. Who gets one answers it at once by unicast, with the time it lay
here. At the end each tells the other, by unicast, which numbers came. So loss is counted per direction where it
happens, and no clock is compared with another host's: a round trip is out by multicast, back by unicast, less
the time at the other end.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from probe.doctor.finding import Judgement, error, ok, unknown, warning

COUNT: Final = 20
"""Datagrams each side sends to the group."""
MAGIC: Final = b"tribes-probe self-test 1 "
"""Begins each datagram: TRIBES-B, which begins a heartbeat, occurs nowhere in it."""
LONGEST: Final = 1024
"""bytes."""

Token = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
AnyToken = Annotated[str, Meta(pattern="^([0-9a-f]{16})?$")]
Number = Annotated[int, Meta(ge=0, lt=COUNT)]
Seconds = Annotated[float, Meta(ge=0, le=60)]


class Word(msgspec.Struct, frozen=True):
    """One datagram. ``sender`` and ``to`` are the two runs' tokens; "" while the other is not known.

    hello: I am here; ``done`` if it answers one. beat: ``number``, the only one that goes to the group.
    echo: ``number`` came, and lay here for ``held`` seconds. report: ``sent`` went
    out, these ``numbers`` came; ``done`` once your report did.
    """

    kind: Literal["hello", "beat", "echo", "report"]
    group: Annotated[str, Meta(max_length=45)]
    sender: Token
    to: AnyToken = ""
    number: Number = 0
    held: Seconds = 0.0
    numbers: Annotated[tuple[Number, ...], Meta(max_length=COUNT)] = ()
    sent: Annotated[int, Meta(ge=0, le=COUNT)] = 0
    ttl: Annotated[int, Meta(ge=-1, le=255)] = -1
    done: bool = False


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Word)


def write(word: Word) -> bytes:
    """Return a datagram."""
    return MAGIC + _encoder.encode(word)


def read(data: bytes) -> Word | None:
    """Return what a datagram says; None where it is none of ours."""
    if not data.startswith(MAGIC) or len(data) > LONGEST:
        return None
    try:
        return _decoder.decode(data[len(MAGIC) :])
    except (ValueError, RecursionError):
        return None


class Direction(msgspec.Struct, frozen=True):
    """What came of the datagrams of one direction; ``received`` None where nobody said it."""

    sent: int = 0
    received: int | None = None
    ttl: int = -1


class Outcome(msgspec.Struct, frozen=True):
    """What one self-test measured; round trips in seconds, of the datagrams that were answered."""

    peer: str
    place: str
    met: bool = False
    out: Direction = Direction()
    back: Direction = Direction()
    round_trips: tuple[float, ...] = ()
    why: str = ""
    """Why something could not even be sent from here."""


def judge(outcome: Outcome) -> Judgement:
    """Say what was lost in each direction, and how long the way is."""
    if not outcome.met:
        return unknown(
            f"no doctor answered at {outcome.peer} ({outcome.place}, unicast)",
            "run tribes-probe doctor --self-test --peer with this host there, at the same time; let UDP in",
        )
    out, back = outcome.out, outcome.back
    if outcome.why:
        return error(
            f"{COUNT - out.sent} of {COUNT} could not be sent to the group: {outcome.why}",
            "no heartbeat of a Tomcat here goes out either",
            "see the interfaces, the route and the firewall above",
        )
    found = "; ".join(
        (
            _lost(f"to {outcome.peer}", out),
            _lost(f"from {outcome.peer}", back),
            _trips(outcome.round_trips),
        )
    )
    if out.received is None:
        return unknown(f"{found}; its report did not come", "run both again")
    ways = {f"from here to {outcome.peer}": out, f"from {outcome.peer} to here": back}
    cut = [way for way, one in ways.items() if not one.received]
    lossy = [way for way, one in ways.items() if one.received and one.received < one.sent]
    if cut:
        return error(
            found,
            f"no multicast passes {' nor '.join(cut)}, while unicast does",
            "firewalls and IGMP at both ends (the steps above, on each), then the switch between them",
        )
    if lossy:
        return warning(
            found, f"multicast is lost {' and '.join(lossy)}", "the network between, or an overloaded host"
        )
    return ok(found)


def _lost(way: str, one: Direction) -> str:
    if one.received is None:
        return f"{way} {one.sent} sent"
    share = 100 * (one.sent - one.received) / one.sent if one.sent else 0
    ttl = f", TTL {one.ttl}" if one.ttl >= 0 else ""
    return f"{way} {one.received} of {one.sent} came ({share:.0f} % lost{ttl})"


def _trips(trips: tuple[float, ...]) -> str:
    if not trips:
        return "no round trip"
    ordered = sorted(trips)
    least, middle, most = (1000 * ordered[at] for at in (0, len(ordered) // 2, -1))
    return (
        f"round trip, out by multicast and back by unicast, {least:.2f}/{middle:.2f}/{most:.2f} ms "
        "(least/median/most)"
    )
