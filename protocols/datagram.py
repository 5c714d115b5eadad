"""What is this datagram? The one entry for bytes of which nothing is known."""

from collections.abc import Callable

from protocols.frame import HEADER, Acknowledgement, Frame, parse_data, split
from protocols.heartbeat import Heartbeat, is_heartbeat, parse
from protocols.malformed import Malformed

Content = Heartbeat | Frame | Acknowledgement | Malformed


def classify(data: bytes, decode: Callable[[bytes], Heartbeat] = parse) -> tuple[Content, ...]:
    """Return a heartbeat, or a broadcast's frames in order, or why it was refused; nothing if it is foreign.

    Routed by its first bytes, as ``McastServiceImpl.receive`` does. ``decode`` reads heartbeats
    (``Decoder().decode`` remembers them).
    """
    try:
        if is_heartbeat(data):
            return (decode(data),)
        if data.startswith(HEADER):
            return tuple(map(_content, split(data)))
    except Malformed as refused:
        return (refused,)
    return ()


def _content(data: bytes) -> Content:
    try:
        return parse_data(data)
    except Malformed as refused:
        return refused
