"""``tribes-probe check``."""

import ipaddress
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import click

from probe.cli.settings import insist, source_flags
from probe.config import Group, Settings, state_directory
from probe.memory import NOT_KEPT

_DEFAULT: Final = "default"


@click.command("check")
@source_flags
def command(**flags: Any) -> None:
    """Check the settings and say what each one of a group is and where it was taken from.

    Exit status 2, with one line for each mistake, if they cannot be used.

    \b
    tribes-probe check --config.file tribes-probe.yml
    tribes-probe check --server-xml /etc/tomcat10/server.xml
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    for line in explain(insist(flags)):
        click.echo(line)


def explain(settings: Settings) -> Iterator[str]:
    """Yield the settings, one line each."""
    for group in settings.groups:
        yield f"group {group.name}"
        rows = list(_rows(group))
        wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for name, value, origin in rows:
            yield f"  {name:{wide[0]}}  {value:{wide[1]}}  {origin}"
    yield f"forget_after {_text(settings.forget_after)}"
    folder = state_directory(settings)
    origin = " ($STATE_DIRECTORY)" if folder is not None and settings.state_directory is None else ""
    yield f"state_directory {_text(folder)}{origin}"
    if folder is None and any(group.learns for group in settings.groups):
        yield NOT_KEPT
    yield f"role {settings.role}"
    for peer in settings.peers:
        yield f"peer {peer.name!a} {peer.url!a} {peer.role or 'as it says'}"
    yield f"web.listen_addresses {_text(settings.web.listen_addresses)}"
    yield f"web.telemetry_path {settings.web.telemetry_path}"
    yield f"web.config_file {_text(settings.web.config_file)}"
    yield f"log {settings.log.level} {settings.log.format}"
    yield from warnings(settings)


def warnings(settings: Settings) -> Iterator[str]:
    """Yield what works and should not be left so."""
    for group in settings.groups:
        for source in group.belief:
            if source.password_file and _open(source.url):
                yield (
                    f"warning: the belief of {group.name!a}: the password goes unencrypted to {source.url!a}: "
                    "use https, or a probe on that host and 127.0.0.1"
                )


def _open(url: str) -> bool:
    """Whether what is sent there can be read on the way."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname in (None, "localhost"):
        return False
    try:
        return not ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return True


def _rows(group: Group) -> Iterator[tuple[str, str, str]]:
    check = group.receiver_check
    low, high = check.allowed_ports
    values: dict[str, object] = {
        "address": group.address,
        "port": group.port,
        "interfaces": group.interfaces or "every multicast interface",
        "frequency": group.frequency,
        "drop_time": group.drop_time,
        "domain": group.domain if group.domain is None else ascii(group.domain.decode("latin-1")),
        "expected": sorted(group.expected) or group.expected_count or None,
        "expect": group.expect,
        "learn_after": group.learn_after,
        "static_members": sorted(group.static_members),
        "receiver_check.level": check.level,
        "receiver_check.interval": check.interval,
        "receiver_check.timeout": check.timeout,
        "receiver_check.allowed_networks": check.allowed_networks,
        "receiver_check.allowed_ports": f"{low}-{high}",
        "receiver_check.option_flag": check.option_flag,
    }
    if group.links:
        values["links"] = "true"
    if group.sessions is not None:
        values["sessions"] = [f"{node.name} {node.url}" for node in group.sessions.nodes]
    for name, value in values.items():
        yield name, _text(value), group.origins.get(name, _DEFAULT)
    for i, source in enumerate(group.belief):
        asks = f" as {source.username!a}" if source.username else ""
        yield f"belief[{i}]", f"{source.member or 'as it says'} {source.url}{asks}", group.origins["belief"]


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value * 1000:g}ms" if value < 1 else f"{value:g}s"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
