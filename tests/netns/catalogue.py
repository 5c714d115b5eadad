"""All that is let befall the proving ground, in its order."""

from typing import Final

from netns import network, nodes, strangers, vantages

SCENARIOS: Final = (*nodes.SCENARIOS, *network.SCENARIOS, *strangers.SCENARIOS, *vantages.SCENARIOS)
