"""``tribes-probe lint``."""

from pathlib import Path
from typing import Any, Final

import click

from probe.cli import findings
from probe.cli.output import note
from probe.fields import ConfigError
from probe.tomcat.lint.fix import fix, write
from probe.tomcat.lint.linter import Question, Report, lint
from probe.tomcat.release import Release, parse_release

FORMATS: Final = ("text", "json", "sarif", "github")
_FILE: Final = click.Path(path_type=Path)


class Unreadable(click.ClickException):
    """Files that could not be read, one line each."""

    exit_code = 2


class ReleaseParameter(click.ParamType[Release]):
    """A Tomcat's release."""

    name = "release"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Release:
        """Read "8.5" or "9.0.113"."""
        if isinstance(value, Release):
            return value
        try:
            return parse_release(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


_RELEASE: Final = ReleaseParameter()


@click.command("lint")
@click.argument("server_xml", nargs=-1, type=_FILE, metavar="[SERVER_XML]...")
@click.option("--web-xml", multiple=True, type=_FILE, help="An application's web.xml; repeatable.")
@click.option("--tomcat", type=_RELEASE, metavar="RELEASE", help="Its release, for every file: 8.5, 9.0.113.")
@click.option(
    "--from", "older", type=_RELEASE, metavar="RELEASE", help="Say what an upgrade from it would break."
)
@click.option("--jvm-options", type=_FILE, help="The JVM's options, one a line, or a setenv.sh.")
@click.option(
    "--host", "on_this_host", is_flag=True, help="It runs on this host: look at its name and addresses."
)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to say it."
)
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@click.option("--fix", "repair", is_flag=True, help="Write FILE.fixed with what is safe to correct.")
@click.option("--in-place", is_flag=True, help="With --fix: correct the file itself.")
@click.option("--rules", "list_rules", is_flag=True, help="List every rule.")
def command(**flags: Any) -> None:
    """Say what is wrong with a Tomcat's <Cluster>, what Tomcat makes of it, and what to write instead.

    Several files are nodes of one cluster: they are compared. Exit status 1 if there is an error (with
    --strict a warning), 2 if a file cannot be read.

    \b
    tribes-probe lint /etc/tomcat9/server.xml
    tribes-probe lint --tomcat 8.5 --fix server.xml
    tribes-probe lint --from 7.0 --tomcat 9.0 server.xml
    tribes-probe lint node1/server.xml node2/server.xml --web-xml web.xml --format sarif
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    if flags["list_rules"]:
        for line in findings.rules():
            click.echo(line)
        return
    _insist(flags)
    report = _report(flags)
    for line in findings.WRITERS[flags["form"]](report):
        click.echo(line)
    if flags["repair"]:
        _repair(report, in_place=flags["in_place"])
    if report.count("error") or (flags["strict"] and report.count("warning")):
        raise click.exceptions.Exit(1)


def _insist(flags: dict[str, Any]) -> None:
    if not flags["server_xml"] and not flags["web_xml"]:
        raise click.UsageError("Missing argument: a server.xml, or --web-xml")
    if flags["in_place"] and not flags["repair"]:
        raise click.UsageError("--in-place goes with --fix")
    if flags["older"] is not None and flags["tomcat"] is not None and flags["older"] >= flags["tomcat"]:
        raise click.UsageError(f"--from {flags['older']} is not older than --tomcat {flags['tomcat']}")


def _report(flags: dict[str, Any]) -> Report:
    question = Question(
        flags["server_xml"],
        flags["web_xml"],
        flags["jvm_options"],
        flags["tomcat"],
        flags["older"],
        flags["on_this_host"],
    )
    try:
        return lint(question)
    except ConfigError as error:
        raise Unreadable(str(error)) from None


def _repair(report: Report, *, in_place: bool) -> None:
    """Write corrected files; what is said of them goes to standard error, beside the findings."""
    for document in report.documents():
        try:
            fixed = fix(document, report.findings)
            if not fixed.repaired:
                note(f"{document.file}: nothing to correct that is safe")
                continue
            path = write(fixed, in_place=in_place)
        except ConfigError as error:
            raise Unreadable(str(error)) from None
        left = sum(one.severity != "note" for one in fixed.left)
        note(f"{path}: {len(fixed.repaired)} corrected, {left} left to you")
