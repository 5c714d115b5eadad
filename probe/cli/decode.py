"""``tribes-probe decode``."""

import io
from collections.abc import Iterator
from typing import IO, Final

import click

from probe.cli import source as sources
from probe.cli.output import Lines, is_live, json_line, note
from probe.decode import Capture, Describer, Record, read_hex, text
from protocols import pcap

LONGEST_LINE: Final = 4 * 65_536
"""bytes: the longest datagram in hex, generously spaced."""


@click.command("decode")
@sources.FILE
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(source: IO[bytes], *, as_json: bool) -> None:
    """Say what each datagram or frame in FILE is; - reads standard input.

    FILE is a capture (pcap or pcapng, also from a pipe) or text with one datagram in hex a line; spaces,
    colons, a leading 0x and everything after # do not count. Frames on TCP are put together per connection.

    \b
    tribes-probe decode capture.pcap
    tcpdump -i any -U -w - udp port 45564 | tribes-probe decode -
    echo 464c543230303200000003060203544c4632303033 | tribes-probe decode --json -
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    lines = Lines(live=is_live(source))
    write = json_line if as_json else text
    start = sources.peekable(source)
    decode = _decode_capture if pcap.is_capture(start.peek(4)) else _decode_hex
    try:
        for record in decode(start):
            lines.write(write(record))
    except ValueError as error:
        raise click.ClickException(f"{sources.name(source)}: {error}") from error
    finally:
        lines.flush()


def _decode_capture(source: io.BufferedReader) -> Iterator[Record]:
    capture = Capture()
    yield from capture.describe(pcap.read(source))
    for left_out in capture.notes():
        note(left_out)


def _decode_hex(source: io.BufferedReader) -> Iterator[Record]:
    """Yield what each line is; raises ValueError after the last line if one of them was not hex."""
    describe = Describer().datagram
    first_wrong, wrong = 0, 0
    for number, line in enumerate(iter(lambda: source.readline(LONGEST_LINE), b""), 1):
        try:
            data = read_hex(line.decode("ascii"))
        except ValueError:
            first_wrong, wrong = first_wrong or number, wrong + 1
            continue
        yield from describe(data) if data else ()
    if wrong:
        more = f", the first of {wrong} that are not" if wrong > 1 else ""
        raise ValueError(f"line {first_wrong} is not hex{more}")
