"""What a length that lies does to a Tomcat."""

import pytest

from protocols.malformed import LETHAL_LENGTH, Effect, Malformed, Reason, check_length


@pytest.mark.parametrize("length", [0, 1, 10])
def test_length_that_fits(length: int) -> None:
    """A length within what is there is no matter."""
    check_length(length, 10, Reason.DOMAIN_LENGTH)


@pytest.mark.parametrize(
    ("length", "effect"),
    [
        (-1, Effect.STALLS),
        (-(2**31), Effect.STALLS),
        (11, Effect.IGNORED),
        (LETHAL_LENGTH - 1, Effect.IGNORED),
        (LETHAL_LENGTH, Effect.KILLS),
        (2**31 - 1, Effect.KILLS),
    ],
)
def test_length_that_lies(length: int, effect: Effect) -> None:
    """The effect is that of ``new byte[length]``: NegativeArraySize, ArrayIndexOutOfBounds or OutOfMemory."""
    with pytest.raises(Malformed) as refused:
        check_length(length, 10, Reason.DOMAIN_LENGTH)
    assert (refused.value.reason, refused.value.effect) == (Reason.DOMAIN_LENGTH, effect)
    assert str(refused.value) == f"domain-length ({effect.value})"
