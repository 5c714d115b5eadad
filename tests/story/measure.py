"""How many logins are lost when nothing sticks, and how long it takes until the other node knows one."""

import json
import statistics
from typing import Any, Final

from story.browser import logins
from story.shop import Shop

LOGINS: Final = 120
AT_ONCE: Final = 4
CANARIES: Final = 40
"""each way."""


class Measure:
    """Sums up rounds of logins through the balancer that spreads by turns, and of the canary both ways."""

    def __init__(self) -> None:
        self.logins = 0
        self.lost = 0
        self.canaries: list[dict[str, Any]] = []

    def take(self, shop: Shop) -> None:
        """Take one round."""
        self.logins += LOGINS
        self.lost += sum(not known for _, known in logins(shop.outside, shop.balanced, LOGINS, AT_ONCE))
        often = ("--count", str(CANARIES), "--interval", "10ms", "--give-up", "500ms", "--json")
        self.canaries += map(json.loads, shop.canary(options=often).stdout.splitlines())

    @property
    def reasons(self) -> list[str]:
        """Return why canaries were lost."""
        return [one["reason"] for one in self.canaries if one["state"] == "lost"]

    @property
    def seen(self) -> str:
        """Return what users see of it."""
        return f"{self.lost} of {self.logins} logins lost"

    @property
    def said(self) -> str:
        """Return what the canary says of it."""
        known = [one for one in self.canaries if one["state"] == "replicated"]
        median = statistics.median(one["delay_seconds"] for one in known) * 1000
        late = sum(one["resolution_seconds"] < one["delay_seconds"] for one in known)
        lost = f"{len(self.reasons)} of {len(self.canaries)} lost"
        return f"{lost}; the others known after {median:.1f} ms in the median, {late} not at the first look"
