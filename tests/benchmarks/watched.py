"""The daemon with a stop-watch beside it: ``python -m benchmarks.watched SETTINGS``.

SIGUSR1 starts the watch anew; at its end it prints the longest time (s) for which the loop stood still since.
"""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

from probe.config import load
from probe.daemon import Daemon, loop_factory

STEP = 0.002
"""seconds between two looks at the clock."""


class Watch:
    """The longest pause of the loop that it runs in."""

    def __init__(self) -> None:
        self.longest = 0.0

    def reset(self) -> None:
        """Begin anew."""
        self.longest = 0.0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            due = time.perf_counter() + STEP
            await asyncio.sleep(STEP)
            self.longest = max(self.longest, time.perf_counter() - due)


async def main() -> None:
    """Run both until the daemon is told to stop."""
    watch = Watch()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, watch.reset)
    looking = asyncio.create_task(watch.run())
    await Daemon(load(Path(sys.argv[1]))).run()
    looking.cancel()
    print(json.dumps({"longest_pause": watch.longest}))


with asyncio.Runner(loop_factory=loop_factory()) as runner:
    runner.run(main())
