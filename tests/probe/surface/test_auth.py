"""Who may look: names and passwords, compared in equal work."""

import asyncio
from collections.abc import Callable

import bcrypt
import pytest

from probe.surface import auth
from probe.surface.auth import REMEMBERED, Users


def hashed(password: str, cost: int = 4) -> bytes:
    """Hash a password, cheaply."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost))


@pytest.fixture(name="work")
def _work(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Give the costs of the real comparisons that are made."""
    costs: list[bytes] = []
    check: Callable[[bytes, bytes], bool] = bcrypt.checkpw

    def counted(password: bytes, hash_: bytes) -> bool:
        costs.append(hash_[4:6])
        return check(password, hash_)

    monkeypatch.setattr("probe.surface.auth.bcrypt.checkpw", counted)
    return costs


WHO = [
    ("admin", "right", True),
    ("admin", "wrong", False),
    ("admin", "", False),
    ("admin", "right\0", False),
    ("nobody", "right", False),
    ("", "", False),
    ("admin\0", "right", False),
    ("ädmin", "pässword ☃", True),
    ("long", "x" * 72 + "what bcrypt does not look at", True),
    ("long", "x" * 71, False),
    ("admin", "y" * 5_000, False),
]


@pytest.mark.parametrize(("name", "password", "admitted"), WHO)
async def test_name_and_password_are_both_right_or_nothing(name: str, password: str, *, admitted: bool) -> None:
    """The same twice: the second verdict is remembered."""
    hashes = {"admin": hashed("right"), "ädmin": hashed("pässword ☃"), "long": hashed("x" * 72)}
    users = Users(hashes)
    assert [await users.admit(name, password) for _ in range(2)] == [admitted, admitted]


async def test_an_unknown_name_is_compared_with_as_much_work_as_a_known_one(work: list[bytes]) -> None:
    """One comparison of the same cost each: time does not tell which names exist."""
    users = Users({"admin": hashed("right", 6)})
    for name in ("admin", "nobody", "admin", "nobody"):
        before = len(work)
        assert not await users.admit(name, f"wrong {before}")
        assert len(work) == before + 1
    assert set(work) == {b"06"}


async def test_a_decoy_admits_nobody(work: list[bytes]) -> None:
    """A stranger with somebody's password is a stranger."""
    users = Users({"admin": hashed("right")})
    assert not await users.admit("stranger", "right")
    assert len(work) == 1


async def test_verdicts_are_remembered(work: list[bytes]) -> None:
    """A scrape every few seconds does not cost a hash each time; right and wrong are both remembered."""
    users = Users({"admin": hashed("right")})
    for _ in range(10):
        assert await users.admit("admin", "right")
        assert not await users.admit("admin", "wrong")
        assert not await users.admit("nobody", "right")
    assert len(work) == 3


async def test_what_is_remembered_is_bounded_and_the_scraper_stays(
    work: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guesses push each other out, not who comes again and again."""
    monkeypatch.setattr(auth, "REMEMBERED", 4)
    users = Users({"admin": hashed("right")})
    for number in range(20):
        assert await users.admit("admin", "right")
        assert not await users.admit("admin", f"guess {number}")
        assert len(users._verdicts) <= 4
    assert len(work) == 21
    assert REMEMBERED > 4


async def test_no_password_is_kept() -> None:
    """What is remembered is a salted digest."""
    users, same = Users({"admin": hashed("right")}), Users({"admin": hashed("right")})
    for each in (users, same):
        await each.admit("admin", "right")
    assert users._verdicts.keys() != same._verdicts.keys()
    assert all(len(key) == 32 for key in users._verdicts)


async def test_guesses_do_not_stop_the_loop() -> None:
    """Hashes are computed elsewhere: the loop turns meanwhile."""
    users = Users({"admin": hashed("right", 8)})
    guesses = asyncio.gather(*(users.admit("admin", f"guess {number}") for number in range(6)))
    turns = 0
    while not guesses.done():
        await asyncio.sleep(0)
        turns += 1
    assert await guesses == [False] * 6
    assert turns > 10


def test_without_users_there_is_nobody_to_ask_for() -> None:
    """Then everybody may look."""
    assert not Users({})
    assert Users({"admin": hashed("right")})
