"""The command ``tribes-probe``: the only room that prints and exits.

Exit status: 0 fine, 1 not found or failed, 2 wrong usage or settings. Each command is a module of its own,
imported when it is called, so that ``--help`` and ``version`` need nothing else.
"""

import difflib
import sys
from importlib import import_module
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

COMMANDS: Final = {
    "run": "Watch the groups and serve metrics, page and API: the daemon.",
    "demo": "Watch a simulated cluster on loopback: a story of a minute, again and again.",
    "check": "Check the settings and say where each comes from.",
    "doctor": "Look on this host for why a cluster does not form.",
    "forget": "Have a running probe miss a member no more.",
    "lint": "Say what is wrong with a Tomcat's Cluster element, and what to write instead.",
    "ping": "Ask one member's receiver whether it connects or answers.",
    "session": "Make a session on one node and see whether the others know it.",
    "decode": "Say what each datagram or frame in a capture or in hex lines is.",
    "replay": "Tell the events and the verdict of a capture.",
    "simulate": "Send the heartbeats of a cluster that does not exist.",
    "completion": "Print the shell's completion script.",
    "version": "Print the version.",
}
"""Every command with its one line of help: the module of the same name holds it."""


class Commands(click.Group):
    """Finds a command in the module of its name; says each error in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order in which help shows them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"probe.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; suggest one where it is not there."""
        near = difflib.get_close_matches(args[0], COMMANDS, n=1)
        if args[0] not in COMMANDS and near:
            raise click.UsageError(f"No such command {args[0]!r}: did you mean {near[0]}?", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete command names without importing them."""
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        found = [CompletionItem(name, help=COMMANDS[name]) for name in names]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command line; on an error print one line and exit."""
        run: Any = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        try:
            status = run(*args, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            status = error.exit_code
        except click.ClickException as error:
            for line in _lines(error):
                click.echo(f"tribes-probe: {line}", err=True)
            status = error.exit_code
        except click.Abort:
            status = 130
        sys.exit(status if isinstance(status, int) else 0)


def _lines(error: click.ClickException) -> list[str]:
    """Return one line; of settings one for each mistake."""
    lines = error.format_message().splitlines()
    if not isinstance(error, click.UsageError):
        return lines
    line = " ".join(" ".join(lines).split())
    end = "" if line.endswith((".", "?")) else "."
    help_at = f" See {error.ctx.command_path} --help." if error.ctx is not None else ""
    return [line + end + help_at]


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 fine, 1 not found or failed, 2 wrong usage or settings.",
)
@click.version_option(package_name="tribes-probe", prog_name="tribes-probe", message="%(prog)s %(version)s")
def main() -> None:
    """Say from the network whether a Tomcat session cluster is one cluster.

    \b
    tribes-probe demo          see it work, within a minute, without a Tomcat
    tribes-probe run           watch 228.0.0.4:45564 and serve http://localhost:10564/
    tribes-probe COMMAND -h    what a command does, with examples
    """  # noqa: D301  # click's mark for lines that are not to be wrapped


if __name__ == "__main__":
    main(prog_name="tribes-probe")
