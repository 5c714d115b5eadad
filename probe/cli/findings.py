"""Findings as text, JSON, SARIF 2.1.0 and GitHub's annotations."""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import click

from probe.cli.output import json_line
from probe.tomcat.lint.finding import Finding
from probe.tomcat.lint.linter import Report, list_rules
from probe.tomcat.lint.rule import RULES

_LEVEL: Final = {"error": "error", "warning": "warning", "note": "notice"}
"""GitHub's words."""
_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_HOME: Final = "https://tomcat.apache.org/tomcat-11.0-doc/config/cluster.html"


def rules() -> Iterator[str]:
    """Yield a line for each rule."""
    for name, severity, says in list_rules():
        yield f"{name:22}  {severity:7}  {says}"


def text(report: Report) -> Iterator[str]:
    """Yield findings for people, and what they come to."""
    for finding in report.findings:
        yield (
            f"{_clean(finding.file)}:{finding.line}:{finding.column}: {finding.severity}: "
            f"{_clean(finding.place)}: {_clean(finding.what)} [{finding.rule}]"
        )
        if finding.effect:
            yield f"    Tomcat: {_clean(finding.effect)}"
        if finding.remedy:
            yield f"    do: {_clean(finding.remedy)}"
        for line in finding.correction.splitlines():
            yield f"    {_clean(line)}"
    counts = ", ".join(_plural(report.count(one), one) for one in ("error", "warning", "note"))
    yield f"{counts}; {_releases(report)}"


def _releases(report: Report) -> str:
    found = {
        f"Tomcat {node.release} ({_clean(report.origins[node.file])})": None
        for node in report.nodes
        if node.release is not None
    }
    return ", ".join(found) or "Tomcat's release not known"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _clean(text: str) -> str:
    """Return text without what a terminal might take for an order."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def json(report: Report) -> Iterator[str]:
    """Yield one object: every finding, every file."""
    yield json_line(
        {
            "findings": [_json(finding) for finding in report.findings],
            "files": [
                {
                    "file": node.file,
                    "tomcat": str(node.release) if node.release is not None else None,
                    "from": report.origins.get(node.file),
                    "clusters": len(node.clusters),
                }
                for node in report.nodes
            ],
            "errors": report.count("error"),
            "warnings": report.count("warning"),
            "notes": report.count("note"),
        }
    )


def _json(finding: Finding) -> dict[str, Any]:
    names = ("rule", "severity", "file", "line", "column", "place", "what", "effect", "remedy", "correction")
    return {name: getattr(finding, name) for name in names} | {"fixable": finding.is_safe}


def github(report: Report) -> Iterator[str]:
    """Yield a workflow command for each finding: GitHub shows it at its line."""
    for finding in report.findings:
        place = f"file={_property(finding.file)},line={finding.line},col={finding.column}"
        message = "\n".join(
            filter(None, (finding.what, _said("Tomcat", finding.effect), _said("do", finding.remedy)))
        )
        yield f"::{_LEVEL[finding.severity]} {place},title={_property(finding.rule)}::{_data(message)}"


def _said(who: str, what: str) -> str:
    return f"{who}: {what}" if what else ""


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def sarif(report: Report) -> Iterator[str]:
    """Yield a SARIF 2.1.0 log of one run."""
    used = list(dict.fromkeys(finding.rule for finding in report.findings))
    driver = {
        "name": "tribes-probe",
        "version": version("tribes-probe"),
        "informationUri": _HOME,
        "rules": [_rule(name) for name in used],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "artifacts": [
            {"location": {"uri": _uri(one.file)}, "encoding": one.encoding} for one in report.documents()
        ],
        "results": [_result(finding, used.index(finding.rule)) for finding in report.findings],
    }
    yield json_line({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(name: str) -> dict[str, Any]:
    rule = RULES[name]
    return {
        "id": name,
        "shortDescription": {"text": rule.says},
        "defaultConfiguration": {"level": rule.severity},
        "helpUri": _HOME,
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    message = ". ".join(
        filter(None, (finding.what, _said("Tomcat", finding.effect), _said("Do", finding.remedy)))
    )
    location = {
        "artifactLocation": {"uri": _uri(finding.file)},
        "region": {"startLine": finding.line, "startColumn": finding.column},
    }
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.severity,
        "message": {"text": message},
        "locations": [{"physicalLocation": location}],
    }


def _uri(file: str) -> str:
    """Return a file as a URI: relative as it was given, absolute with its scheme."""
    path = Path(file)
    return path.as_uri() if path.is_absolute() else click.format_filename(path.as_posix()).replace(" ", "%20")


WRITERS: Final[dict[str, Callable[[Report], Iterator[str]]]] = {
    "text": text,
    "json": json,
    "sarif": sarif,
    "github": github,
}
