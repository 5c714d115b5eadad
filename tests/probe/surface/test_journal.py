"""One line an event, in two formats, and floods summed up."""

import io
import json
import logging

import msgspec
import pytest

from probe.model.events import Event, Kind
from probe.surface.journal import LONGEST, MOST, WINDOW, Journal, Libraries

WALL = 1_700_000_000.25
TIME = "2023-11-14T22:13:20.250Z"
GROUP, MEMBER, UNIQUE_ID = "228.0.0.4:45564", "10.0.0.1:4000", "01" * 16


class Log:
    """A journal under a clock in the hand, and what it wrote."""

    def __init__(self, level: str = "debug", form: str = "logfmt") -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        self.journal = Journal(level, form, self.stream, lambda: self.now, lambda: WALL)

    @property
    def lines(self) -> list[str]:
        """Return the lines written so far."""
        return self.stream.getvalue().splitlines()


def event(kind: Kind = Kind.LATE, text: str = "it is late", **values: float | str) -> Event:
    """Make an event."""
    return Event(0.0, kind, GROUP, text, member=MEMBER, unique_id=UNIQUE_ID, values=values)


def test_logfmt_is_one_line_that_begins_with_time_level_and_event() -> None:
    """Words with spaces are quoted, numbers are not."""
    log = Log()
    log.journal.event(event(gap_seconds=1.5), WALL)
    who = f"group={GROUP} member={MEMBER} unique_id={UNIQUE_ID}"
    assert log.lines == [f'time={TIME} level=warn event=late {who} text="it is late" gap_seconds=1.5']


def test_what_was_told_by_a_probe_unfit_to_judge_says_so() -> None:
    """A silence told while the probe lost datagrams itself is marked; others need no mark."""
    log = Log()
    log.journal.event(msgspec.structs.replace(event(), fit=False), WALL)
    log.journal.event(event(), WALL)
    assert [line.endswith('text="it is late" fit=false') for line in log.lines] == [True, False]


def test_json_is_one_object_a_line_with_the_same_words() -> None:
    """Numbers stay numbers."""
    log = Log(form="json")
    log.journal.event(event(gap_seconds=1.5), WALL)
    assert [json.loads(line) for line in log.lines] == [
        {
            "time": TIME,
            "level": "warn",
            "event": "late",
            "group": GROUP,
            "member": MEMBER,
            "unique_id": UNIQUE_ID,
            "text": "it is late",
            "gap_seconds": 1.5,
        }
    ]


def test_an_event_of_the_group_names_no_member() -> None:
    """A verdict is nobody's."""
    log = Log(form="json")
    log.journal.event(Event(0.0, Kind.WHOLE, GROUP, "whole"), WALL)
    assert json.loads(log.lines[0]).keys() == {"time", "level", "event", "group", "text"}


@pytest.mark.parametrize("form", ["logfmt", "json"])
@pytest.mark.parametrize(
    "hostile", ["two\nlines", "\x1b[31mred", "null\0", "right\u202eleft", 'quo"te', "ünï ☃"]
)
def test_hostile_words_stay_on_one_line_and_off_the_terminal(form: str, hostile: str) -> None:
    """Control characters are escaped, whoever announced them."""
    log = Log(form=form)
    log.journal.event(event(text=hostile, domain=hostile), WALL)
    [line] = log.lines
    assert line.isprintable()
    if form == "json":
        assert hostile.isprintable() is (json.loads(line)["text"] == hostile)


LEVELS = ["debug", "info", "warn", "error"]


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_hides_what_is_below_it(level: str) -> None:
    """Of the daemon's own lines and of events alike."""
    log = Log(level)
    for name in LEVELS:
        getattr(log.journal, name)("own", name)
    for kind in (Kind.JOINED, Kind.LATE, Kind.LOST):
        log.journal.event(event(kind), WALL)
    expected = LEVELS[LEVELS.index(level) :]
    found = [line.split("level=")[1].split()[0] for line in log.lines]
    assert found == expected + [one for one in ("info", "warn", "error") if one in expected]


def test_level_and_format_may_change_while_running() -> None:
    """A reload takes them."""
    log = Log("error")
    log.journal.info("own", "hidden")
    log.journal.configure("info", "json")
    log.journal.info("own", "seen", groups=2)
    assert json.loads(log.lines[0]) == {
        "time": TIME, "level": "info", "event": "own", "text": "seen", "groups": 2
    }  # fmt: skip


def test_a_flood_of_equal_events_is_summed_up_at_its_end() -> None:
    """So many lines, then one with how many more there were; the next window begins anew."""
    log = Log()
    for number in range(1000):
        log.now = number * WINDOW / 1001
        log.journal.event(event(Kind.STRANGER), WALL)
    assert len(log.lines) == MOST
    log.journal.close_windows(WINDOW - 0.001)
    assert len(log.lines) == MOST
    log.now = WINDOW
    log.journal.close_windows(log.now)
    [summary] = log.lines[MOST:]
    assert f'text="{1000 - MOST} more of these in 10 s are not written"' in summary
    assert "level=warn event=stranger" in summary
    log.journal.event(event(Kind.STRANGER), WALL)
    assert len(log.lines) == MOST + 2


def test_other_events_and_other_groups_are_not_drowned() -> None:
    """A flood of one kind in one group hides nothing else."""
    log = Log()
    for _ in range(5 * MOST):
        log.journal.event(event(Kind.STRANGER), WALL)
    log.journal.event(event(Kind.LOST), WALL)
    log.journal.event(Event(0.0, Kind.STRANGER, "another", "x"), WALL)
    assert len(log.lines) == MOST + 2


def test_passing_strangers_do_not_drown_who_is_known() -> None:
    """Of a flood's members thousands fall silent; that a known one does is written all the same."""
    log = Log()
    for _ in range(5 * MOST):
        log.journal.event(Event(0.0, Kind.SILENT, "shop", "x", passing=True), WALL)
    log.journal.event(Event(0.0, Kind.SILENT, "shop", "y"), WALL)
    assert len(log.lines) == MOST + 1
    assert "text=y" in log.lines[-1]


def test_few_equal_events_are_not_summed_up() -> None:
    """Nothing was held back, so nothing is said."""
    log = Log()
    for _ in range(MOST):
        log.journal.event(event(), WALL)
    log.journal.close_windows(10 * WINDOW)
    assert len(log.lines) == MOST


def test_every_kind_of_event_has_a_level() -> None:
    """Whatever the model may tell can be written."""
    log = Log()
    for kind in Kind:
        log.journal.event(event(kind), WALL)
    assert len(log.lines) == len(Kind)


def test_a_full_disk_does_not_stop_the_watch() -> None:
    """The line is lost; nothing is raised."""
    with io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True) as full:
        with pytest.raises(OSError, match="No space left"):
            full.write("x")
        Journal(stream=full).info("own", "lost")


def test_what_a_library_warns_of_is_a_line_like_any_other() -> None:
    """In the chosen format, on one line, with the end of its traceback; afterwards it is no line any more."""
    log = Log(form="json")
    speaker = logging.getLogger("asyncio")
    with Libraries(log.journal, lambda: log.now):
        try:
            raise ValueError("no\x1b[31m such thing")  # noqa: TRY301  # for its traceback
        except ValueError:
            speaker.exception("Task exception was never retrieved")
        speaker.info("Using selector: EpollSelector")
    speaker.debug("over")
    [line] = log.lines
    said = json.loads(line)
    assert (said["level"], said["event"], said["logger"]) == ("error", "library", "asyncio")
    assert said["text"].startswith("Task exception was never retrieved")
    assert "ValueError: no" in said["text"]
    assert "\x1b" not in said["text"]


def test_a_flood_of_a_librarys_words_is_cut_off() -> None:
    """So many in a window, each no longer than it may be."""
    log = Log(form="json")
    with Libraries(log.journal, lambda: log.now):
        for _ in range(MOST + 5):
            logging.getLogger("aiohttp").warning("x" * (2 * LONGEST))
        assert len(log.lines) == MOST
        log.now = WINDOW
        logging.getLogger("aiohttp").warning("again")
    assert len(log.lines) == MOST + 1
    assert max(len(json.loads(line)["text"]) for line in log.lines) == LONGEST
