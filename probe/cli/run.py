"""``tribes-probe run``."""

from functools import partial
from typing import Any

import click

from probe import daemon
from probe.cli.settings import insist, read_settings, run_flags, starting


@click.command("run")
@run_flags
def command(**flags: Any) -> None:
    """Watch the groups and serve page, metrics and API, until stopped: the daemon.

    Without any settings it watches 228.0.0.4:45564 on every multicast interface. SIGHUP and POST /-/reload
    read the files anew. It sends nothing to a group, ever; it connects to receivers as the settings allow.

    \b
    tribes-probe run
    tribes-probe run --config.file /etc/tribes-probe/tribes-probe.yml
    tribes-probe run --server-xml /etc/tomcat10/server.xml --web.listen-address 127.0.0.1:10564
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    with starting():
        daemon.run(insist(flags), partial(read_settings, **flags))
