"""Flags as the users of exporters know them, and the settings that they and the files make."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from probe import config
from probe.config import LOG_FORMATS, LOG_LEVELS, Settings, load
from probe.fields import ConfigError, Fields
from probe.surface.web import ListenError
from probe.web_config import load_web_config

Command = Callable[..., Any]

_CONFIG: Final = click.option(
    "--config.file", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="Settings (YAML)."
)
_SERVER_XML: Final = click.option(
    "--server-xml",
    "server_xml",
    type=click.Path(path_type=Path),
    metavar="FILE",
    multiple=True,
    help="Take a group's settings from a Tomcat's own server.xml. Repeatable.",
)
_WEB: Final = (
    click.option(
        "--web.listen-address",
        "listen_addresses",
        multiple=True,
        metavar="[HOST]:PORT",
        help="Where page, metrics and API are served. Repeatable. [default: :10564]",
    ),
    click.option(
        "--web.telemetry-path",
        "telemetry_path",
        metavar="PATH",
        help="Path of the metrics. [default: /metrics]",
    ),
)
_WEB_CONFIG: Final = click.option(
    "--web.config.file",
    "web_config_file",
    metavar="FILE",
    help="TLS and basic auth, in the format of the exporter toolkit.",
)
_LOG: Final = (
    click.option("--log.level", "log_level", type=click.Choice(LOG_LEVELS), help="[default: info]"),
    click.option("--log.format", "log_format", type=click.Choice(LOG_FORMATS), help="[default: logfmt]"),
)
_VERSION: Final = click.version_option(
    package_name="tribes-probe", prog_name="tribes-probe", message="%(prog)s %(version)s"
)


def _flags(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


source_flags: Final = _flags(_CONFIG, _SERVER_XML, _WEB_CONFIG)
"""The files that ``check`` reads."""
run_flags: Final = _flags(_CONFIG, _SERVER_XML, *_WEB, _WEB_CONFIG, *_LOG, _VERSION)
demo_flags: Final = _flags(_CONFIG, *_WEB, _WEB_CONFIG, *_LOG, _VERSION)


class SettingsError(click.ClickException):
    """Settings that cannot be used: one line a mistake, exit status 2."""

    exit_code = 2


def read_settings(
    *,
    config_file: Path | None = None,
    server_xml: tuple[Path, ...] = (),
    listen_addresses: tuple[str, ...] = (),
    telemetry_path: str | None = None,
    web_config_file: str | None = None,
    log_level: str | None = None,
    log_format: str | None = None,
) -> Settings:
    """Return the settings of the files, overruled by the flags; raises ``ConfigError``."""
    settings = load(config_file, server_xml)
    problems: list[str] = []
    none: tuple[str, ...] = ()
    written = {"--web.listen-address": list(listen_addresses), "--web.telemetry-path": telemetry_path}
    flags = Fields({name: value for name, value in written.items() if value}, "command line", "", problems)
    web = _overrule(
        settings.web,
        listen_addresses=flags.take("--web.listen-address", config.listen_addresses, none),
        telemetry_path=flags.take("--web.telemetry-path", config.telemetry_path, ""),
        config_file=web_config_file,
    )
    if problems:
        raise ConfigError(problems)
    if web.config_file is not None:
        load_web_config(Path(web.config_file))
    log = _overrule(settings.log, level=log_level, format=log_format)
    return msgspec.structs.replace(settings, web=web, log=log)


def _overrule(base: Any, **flags: Any) -> Any:
    return msgspec.structs.replace(base, **{name: value for name, value in flags.items() if value})


def insist(flags: dict[str, Any]) -> Settings:
    """Return the settings, or end the command with every mistake in them."""
    try:
        return read_settings(**flags)
    except ConfigError as error:
        raise SettingsError("\n".join(error.problems)) from error


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Say in one line why a daemon could not start."""
    try:
        yield
    except ConfigError as error:
        raise SettingsError("\n".join(error.problems)) from error
    except (ListenError, OSError) as error:
        raise click.ClickException(getattr(error, "strerror", None) or str(error)) from error
