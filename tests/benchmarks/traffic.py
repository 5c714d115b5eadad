"""Sends heartbeats at a steady rate, as a program of its own: ``python -m benchmarks.traffic …``."""

import argparse
import json

from probe.simulate.crowd import Crowd, Strangers, keep_up
from probe.simulate.outlet import Outlet, Place
from probe.simulate.story import Shape


def main() -> None:
    """Send to a group on loopback; print how many heartbeats and how many strangers were sent."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--group", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--members", type=int, required=True)
    parser.add_argument("--frequency", type=float, default=0.5)
    parser.add_argument("--strangers", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    crowd, strangers = Crowd(Shape(given.members, frequency=given.frequency)), Strangers(given.strangers)
    senders: list[Crowd | Strangers] = [crowd, strangers] if given.strangers else [crowd]
    with Outlet(Place(given.group, given.port)) as outlet:
        sent = keep_up(senders, outlet, given.seconds)
    print(json.dumps({"heartbeats": sent - strangers.invented, "strangers": strangers.invented}))


main()
