"""How much attention strangers get."""


class Budget:
    """A token bucket: ``rate`` per second, at most one second's worth saved up."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.left = rate
        self.at = float("-inf")
        self._dry_until = float("-inf")

    def take(self, now: float) -> bool:
        """Whether one more is allowed at ``now`` (seconds)."""
        if now < self._dry_until:
            return False
        self.left = min(self.rate, self.left + self.rate * max(0.0, now - self.at))
        self.at = max(self.at, now)
        if self.left < 1:
            if self.rate >= 1:
                self._dry_until = self.at + (1 - self.left) / self.rate
            return False
        self.left -= 1
        return True
