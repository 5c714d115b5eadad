"""The settings: a YAML file (and a Tomcat's server.xml) become frozen values, once."""

import msgspec

from probe.model.rules import Rules


class ReceiverCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How members' receivers are asked.

    ``level``: off, connect, ack, or auto (ack where the interceptor stack is known to swallow the question
    silently, else connect). Only addresses in ``allowed_networks`` ("on-link": the networks of the interfaces
    joined) and ports in ``allowed_ports`` are ever asked. Durations in seconds.
    """

    level: str = "auto"
    interval: float = 10.0
    timeout: float = 1.0
    allowed_networks: tuple[str, ...] = ("on-link",)
    allowed_ports: tuple[int, int] = (4000, 4099)
    option_flag: int = 0


class Group(msgspec.Struct, frozen=True):
    """One membership group; an empty ``interfaces`` means every multicast interface, durations in seconds."""

    name: str = "228.0.0.4:45564"
    address: str = "228.0.0.4"
    port: int = 45564
    interfaces: tuple[str, ...] = ()
    frequency: float = 0.5
    drop_time: float = 3.0
    domain: bytes | None = None
    expected: frozenset[str] = frozenset()
    expected_count: int = 0
    static_members: frozenset[str] = frozenset()
    receiver_check: ReceiverCheck = ReceiverCheck()

    def rules(self, forget_after: float) -> Rules:
        """Return what the model holds this group's members against."""
        return Rules(
            name=self.name,
            frequency=self.frequency,
            drop_time=self.drop_time,
            forget_after=forget_after,
            expected=self.expected | self.static_members,
            expected_count=self.expected_count,
            domain=self.domain,
            asks=self.receiver_check.level != "off",
        )


class Web(msgspec.Struct, frozen=True):
    """Where the page and the metrics are served; ``config_file`` is in the exporter toolkit's format."""

    listen_addresses: tuple[str, ...] = (":10564",)
    telemetry_path: str = "/metrics"
    config_file: str | None = None


class Log(msgspec.Struct, frozen=True):
    """How the log is written: level debug, info, warn or error; format logfmt or json."""

    level: str = "info"
    format: str = "logfmt"


class Settings(msgspec.Struct, frozen=True):
    """All settings of one probe."""

    groups: tuple[Group, ...] = (Group(),)
    forget_after: float = 3600.0
    web: Web = Web()
    log: Log = Log()
