"""Basic auth as the exporter toolkit does it: bcrypt hashes, verdicts remembered, strangers in equal time."""

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from typing import Final

import bcrypt

REMEMBERED: Final = 256
"""verdicts; the one used longest ago leaves first."""
AT_ONCE: Final = 2
"""hashes computed at one time: each takes tens of milliseconds of a core."""


class Users:
    """Who may look; ``hashes`` maps a name to its bcrypt hash."""

    def __init__(self, hashes: dict[str, bytes]) -> None:
        self._hashes = hashes
        self._decoy = max(hashes.values(), key=_cost, default=b"")  # somebody's: strangers never pass by it
        self._salt = secrets.token_bytes(16)
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()
        self._places = asyncio.Semaphore(AT_ONCE)

    def __bool__(self) -> bool:
        return bool(self._hashes)

    async def admit(self, name: str, password: str) -> bool:
        """Tell whether name and password are right; an unknown name takes as long as a wrong password."""
        known = self._hashes.get(name)
        hashed = known or self._decoy
        key = hashlib.sha256(b"\0".join((self._salt, name.encode(), known or b"", password.encode()))).digest()
        if key in self._verdicts:
            self._verdicts.move_to_end(key)
            return self._verdicts[key]
        async with self._places:
            right = await asyncio.to_thread(_matches, password, hashed)
        verdict = right and known is not None
        self._verdicts[key] = verdict
        if len(self._verdicts) > REMEMBERED:
            self._verdicts.popitem(last=False)
        return verdict


def _cost(hashed: bytes) -> bytes:
    return hashed[4:6]  # "$2b$10$…": each step doubles the work


def _matches(password: str, hashed: bytes) -> bool:
    # bcrypt looks at 72 bytes and refuses longer ones
    return bcrypt.checkpw(password.encode()[:72], hashed)
