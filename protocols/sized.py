"""Bytes that follow their own length: the one construct of both grammars that reads what others claim."""

from typing import Any

from construct import Construct, stream_read

from protocols.malformed import Effect, Reason, check_length


class Sized(Construct):  # type: ignore[misc]  # construct is untyped
    """Bytes after their length; the length is refused for ``reason`` before anything is read.

    ``negative`` and ``huge`` are what such a length does to a Tomcat (see ``check_length``).
    """

    def __init__(
        self,
        length: Construct,
        reason: Reason,
        *,
        negative: Effect = Effect.STALLS,
        huge: Effect = Effect.KILLS,
    ) -> None:
        super().__init__()
        self.length = length
        self.reason = reason
        self.effects = {"negative": negative, "huge": huge}

    def check(self, length: int, stream: Any) -> None:
        """Raise ``Malformed`` unless that many bytes are left in the stream."""
        check_length(length, _left(stream), self.reason, **self.effects)

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        length = self.length._parsereport(stream, context, path)  # noqa: SLF001  # construct's own seam
        self.check(length, stream)
        return stream_read(stream, length, path)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        self.length._build(len(obj), stream, context, path)  # noqa: SLF001
        stream.write(obj)
        return obj


def _left(stream: Any) -> int:
    here: int = stream.tell()
    stream.seek(0, 2)
    end: int = stream.tell()
    stream.seek(here)
    return end - here
