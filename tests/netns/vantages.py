"""What befalls the probes themselves."""

import signal
import time
from typing import Final

from netns.ground import NODES, SEGMENT, Ground
from netns.scenario import AGAIN, AGREED, ALARMS, DEAF, FRESH, TOLD, WHOLE, Said, Scenario, everywhere


def _starve(ground: Ground) -> None:
    process = ground.probes[SEGMENT].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    time.sleep(5)
    process.send_signal(signal.SIGCONT)


SCENARIOS: Final = (
    Scenario(
        "the segment's probe alone hears nothing",
        lambda ground: ground.deafen(SEGMENT, *NODES),
        {**everywhere(WHOLE), SEGMENT: Said("deaf", dict.fromkeys(NODES, "mute"), "suspect this host")},
        Said("deaf", words="suspect its host, not the cluster"),
        within=DEAF,
        agreed=DEAF + FRESH + TOLD,
    ),
    Scenario(
        "the segment's probe stopped (SIGSTOP) for 5 s",
        _starve,
        everywhere(WHOLE),
        AGREED,
        soon={SEGMENT: Said("unknown", words="not fit to judge")},
        agreed=AGAIN,
        never=ALARMS,
    ),
)
