"""Why bytes were refused, and what the same bytes would do to a Tomcat that receives them."""

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """The closed set of reasons for which a datagram or a frame is refused."""

    BEGIN_MARKER = "begin-marker"
    TOO_SMALL = "too-small"
    BODY_LENGTH = "body-length"
    END_MARKER = "end-marker"
    TRUNCATED_FIELDS = "truncated-fields"
    HOST_LENGTH = "host-length"
    COMMAND_LENGTH = "command-length"
    DOMAIN_LENGTH = "domain-length"
    PAYLOAD_LENGTH = "payload-length"
    FRAME_HEADER = "frame-header"
    FRAME_LENGTH = "frame-length"
    FRAME_FOOTER = "frame-footer"
    MESSAGE_ID_LENGTH = "message-id-length"
    MEMBER_LENGTH = "member-length"
    MESSAGE_LENGTH = "message-length"


class Effect(StrEnum):
    """What ``McastServiceImpl.ReceiverThread`` does with the exception that the bytes raise in it."""

    IGNORED = "ignored"
    """ArrayIndexOutOfBoundsException: a debug line, nothing else."""
    STALLS = "stalls"
    """Any other Exception: a WARN with its stack trace and 500 ms without hearing anybody."""
    KILLS = "kills"
    """An Error: the receiver thread ends; the member is deaf until it is restarted."""


LETHAL_LENGTH: Final = 64 * 2**20
"""bytes: ``new byte[n]`` from here on can exceed the heap of a small Tomcat (``-Xmx128m``)."""


class Malformed(ValueError):  # noqa: N818  # the bytes are, nobody here erred
    """The bytes were refused for ``reason``; on a Tomcat they have ``effect``."""

    def __init__(self, reason: Reason, effect: Effect = Effect.IGNORED) -> None:
        super().__init__(f"{reason.value} ({effect.value})")
        self.reason = reason
        self.effect = effect


def check_length(
    length: int,
    available: int,
    reason: Reason,
    *,
    negative: Effect = Effect.STALLS,
    huge: Effect = Effect.KILLS,
) -> None:
    """Refuse a length field before anything is allocated for it.

    The effects are those of ``new byte[length]`` and ``System.arraycopy``, as ``MemberImpl.getMember`` uses
    them: a negative length stalls, one that fits the heap but not the array is ignored, a huge one kills.
    """
    if 0 <= length <= available:
        return
    if length < 0:
        raise Malformed(reason, negative)
    raise Malformed(reason, huge if length >= LETHAL_LENGTH else Effect.IGNORED)
