"""Values on the command line that are more than text or a number."""

import re
from typing import Any, Final

import click

from probe.fields import duration, positive
from probe.replay import Group, read_group
from probe.simulate.story import Act, Fault


class Duration(click.ParamType[float]):
    """A length of time with its unit, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read "500ms", "3s", "2m", "1h"; zero is refused."""
        if isinstance(value, float):
            return value
        try:
            return positive(duration)(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class FaultParameter(click.ParamType[Fault]):
    """One thing that befalls one simulated member."""

    name = "fault"
    _form: Final = re.compile(r"([a-z-]+):([1-9]\d*)@([\w.]+)(?:([+-])([\w.]+))?")
    _acts: Final = {act.value: act for act in Act if act is not Act.RESUME}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fault:
        """Read "stall:2@10s+8s": act, member counted from 1, when, and for how long or how far."""
        if isinstance(value, Fault):
            return value
        try:
            return self._read(value)
        except (ValueError, KeyError):
            acts = ", ".join(self._acts)
            self.fail(
                f"{value!r} is no fault; write ACT:MEMBER@WHEN[+HOW_LONG], ACT one of {acts}.", param, ctx
            )

    def _read(self, text: str) -> Fault:
        match = self._form.fullmatch(text)
        if match is None:
            raise ValueError(text)
        lasting = duration(match[5]) if match[5] else 0.0
        at, lasting = duration(match[3]), -lasting if match[4] == "-" else lasting
        return Fault(self._acts[match[1]], int(match[2]) - 1, at, lasting)


class GroupParameter(click.ParamType[Group]):
    """A membership group."""

    name = "address[:port]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Group:
        """Read "228.0.0.4:45564"."""
        if isinstance(value, tuple):
            return value
        try:
            return read_group(value)
        except ValueError as error:
            self.fail(f"{error}; write 228.0.0.4:45564 or [ff02::4]:45564.", param, ctx)
