"""Makes dashboard.json beside it: ``python deploy/grafana/dashboard.py``.

Plain dicts as Grafana reads them. Every query keeps to the chosen cluster and group; each panel says in its
description what to look for.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("dashboard.json")
WIDTH: Final = 24
"""Grafana's columns."""

SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
HERE: Final = 'cluster=~"$cluster", group=~"$group"'
"""What every query is about; a cluster label that is not used is the empty one."""

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"

CLUSTER_STATES: Final = {
    "whole": GREEN,
    "merging": BLUE,
    "degraded": YELLOW,
    "asymmetric": ORANGE,
    "latent-split": ORANGE,
    "deaf": ORANGE,
    "split": RED,
    "down": RED,
    "empty": GREY,
    "unknown": GREY,
}
MEMBER_STATES: Final = {
    "alive": GREEN,
    "late": YELLOW,
    "half": ORANGE,
    "mute": ORANGE,
    "frozen": RED,
    "silent": RED,
    "left": BLUE,
    "lost": RED,
    "unheard": GREY,
    "unknown": GREY,
}
"""Best first; a state is drawn as its number in this order."""

EVENTS: Final = {
    "restarts": (BLUE, "restarted|channel-restarted|recovered"),
    "comings and goings": (GREEN, "joined|left|returned|forgotten"),
    "losses": (RED, "lost|receiver-frozen|receiver-closed|sessions-lost"),
    "oddities": (
        ORANGE,
        "ghost-suspected|address-clash|address-mismatch|stranger|harmful-datagram|beats-after-goodbye",
    ),
}


def states(metric: str, words: Iterable[str], by: str) -> str:
    """Return a query whose value is the number of the state that holds."""
    return " + ".join(
        f'{number} * max by ({by}) ({metric}{{{HERE}, state="{word}"}})' for number, word in enumerate(words)
    )


def rate(metric: str) -> str:
    """Return how fast a counter rises, a second."""
    return f"rate({metric}{{{HERE}}}[$__rate_interval])"


def target(query: str, legend: str, **more: Any) -> dict[str, Any]:
    """Return one query of a panel."""
    return {"datasource": SOURCE, "expr": query, "legendFormat": legend, **more}


def mapping(words: dict[str, str]) -> list[dict[str, Any]]:
    """Return how the numbers of states are written and coloured."""
    options = {
        str(number): {"text": word, "color": colour, "index": number}
        for number, (word, colour) in enumerate(words.items())
    }
    return [{"type": "value", "options": options}]


def panel(kind: str, title: str, text: str, *targets: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a panel; ``width`` and ``height`` are in Grafana's grid."""
    shape = {"w": more.pop("width", WIDTH // 2), "h": more.pop("height", 8)}
    defaults = {"unit": more.pop("unit", "none"), **more.pop("defaults", {})}
    lettered = [{**each, "refId": chr(ord("A") + number)} for number, each in enumerate(targets)]
    return {
        "type": kind,
        "title": title,
        "description": text,
        "datasource": SOURCE,
        "targets": lettered,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": more.pop("options", {}),
        "gridPos": shape,
        **more,
    }


def timeline(
    title: str, text: str, query: str, legend: str, words: dict[str, str], height: int
) -> dict[str, Any]:
    """Return a panel of states over time, a row for each series."""
    return panel(
        "state-timeline",
        title,
        text,
        target(query, legend),
        width=WIDTH,
        height=height,
        defaults={"mappings": mapping(words), "custom": {"fillOpacity": 80, "lineWidth": 0}},
        options={"mergeValues": True, "showValue": "auto", "rowHeight": 0.8},
    )


def curves(title: str, text: str, *targets: dict[str, Any], unit: str = "none", **more: Any) -> dict[str, Any]:
    """Return a panel of curves."""
    options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    return panel("timeseries", title, text, *targets, unit=unit, options=options, **more)


PANELS: Final = [
    timeline(
        "Verdict of each probe",
        "What each vantage says of the cluster. One alone never says split: look whether they differ.",
        states("tribes_cluster_state", CLUSTER_STATES, "cluster, group, instance"),
        "{{instance}} {{group}}",
        CLUSTER_STATES,
        6,
    ),
    timeline(
        "Verdict of all together",
        "What each probe and its peers see together; nothing without peers. It may say split.",
        states("tribes_vantages_state", CLUSTER_STATES, "cluster, group, instance"),
        "{{instance}} {{group}}",
        CLUSTER_STATES,
        6,
    ),
    timeline(
        "Member seen by probe",
        "Every member as every vantage sees it. Red for some probes only: partly visible, or split.",
        states("tribes_member_state", MEMBER_STATES, "cluster, group, member, instance"),
        "{{member}} by {{instance}}",
        MEMBER_STATES,
        12,
    ),
    panel(
        "table",
        "Heard by",
        "Member by vantage, now: 1 is heard. Columns that differ are views that differ.",
        target(f"tribes_member_up{{{HERE}}}", "", instant=True, format="table"),
        options={"cellHeight": "sm"},
        transformations=[
            {
                "id": "groupingToMatrix",
                "options": {"columnField": "instance", "rowField": "member", "valueField": "Value"},
            }
        ],
    ),
    curves(
        "Members in each view",
        "Members up, by vantage, and how many are expected. Curves that part are views that part.",
        target(f"tribes_view_members{{{HERE}}}", "{{instance}} hears"),
        target(f"max by (cluster, group) (tribes_cluster_members_expected{{{HERE}}}) > 0", "expected"),
    ),
    curves(
        "Gaps between heartbeats against dropTime",
        "Half, and all but a thousandth, of the gaps. Near dropTime members soon expel each other.",
        *(
            target(
                f"histogram_quantile({quantile}, sum by (cluster, group, instance, le) "
                f"({rate('tribes_heartbeat_gap_seconds_bucket')}))",
                f"{{{{instance}}}} p{name}",
            )
            for quantile, name in ((0.5, "50"), (0.999, "99.9"))
        ),
        target(f"max by (cluster, group) (tribes_group_drop_time_seconds{{{HERE}}})", "dropTime"),
        unit="s",
    ),
    curves(
        "Silence of each member",
        "Time since the last heartbeat, at the vantage that heard it last.",
        target(
            f"min by (cluster, group, member) (tribes_member_last_heartbeat_age_seconds{{{HERE}}})",
            "{{member}}",
        ),
        target(f"max by (cluster, group) (tribes_group_drop_time_seconds{{{HERE}}})", "dropTime"),
        unit="s",
    ),
    curves(
        "Heartbeats lost, senders paused",
        "Above: heartbeats lost on the way, a second. Pauses of the sender in seconds a second.",
        target(
            f"max by (cluster, group, member) ({rate('tribes_member_heartbeats_lost_total')})",
            "{{member}} lost",
        ),
        target(
            f"max by (cluster, group, member) ({rate('tribes_member_stall_seconds_total')})",
            "{{member}} paused",
        ),
    ),
    curves(
        "Receivers",
        "1 while the last question was answered: connect is the kernel's answer, ack is Tomcat's.",
        target(
            f"min by (cluster, group, member, check) (tribes_receiver_up{{{HERE}}})", "{{member}} {{check}}"
        ),
        defaults={"min": 0, "max": 1, "custom": {"lineInterpolation": "stepAfter"}},
    ),
    curves(
        "Time to an answer",
        "All but a hundredth of the answers. Near the time-out: workers exhausted, or a JVM that pauses.",
        target(
            "histogram_quantile(0.99, sum by (cluster, group, check, le) "
            f"({rate('tribes_receiver_check_duration_seconds_bucket')}))",
            "{{check}} p99",
        ),
        unit="s",
    ),
    curves(
        "Failed questions",
        "By reason, a second. answer-timeout: it accepts and does not answer.",
        target(
            f"sum by (cluster, group, member, reason) ({rate('tribes_receiver_check_failures_total')})",
            "{{member}} {{reason}}",
        ),
    ),
    curves(
        "Sessions",
        "1 while a session made on one node is known on the other, 0 while it is lost; else nothing is known.",
        target(
            f"min by (cluster, group, from, to) (tribes_session_replicated{{{HERE}}})", "{{from}} to {{to}}"
        ),
        defaults={"min": 0, "max": 1, "custom": {"lineInterpolation": "stepAfter"}},
    ),
    curves(
        "Time until a session is known",
        "All but a tenth of those that were. With a balancer that does not stick, users outrun what is slow.",
        target(
            "histogram_quantile(0.9, sum by (cluster, group, from, to, le) "
            f"({rate('tribes_session_replication_delay_seconds_bucket')}))",
            "{{from}} to {{to}} p90",
        ),
        unit="s",
    ),
    curves(
        "Datagrams",
        "By kind, a second. Malformed and foreign ones do not belong on the group.",
        target(
            f"sum by (cluster, group, kind) ({rate('tribes_datagrams_total')})",
            "{{kind}}",
        ),
        target(
            f"sum by (cluster, group, effect) ({rate('tribes_datagrams_malformed_total')})",
            "a Tomcat would: {{effect}}",
        ),
    ),
    timeline(
        "Fitness of each probe",
        "While a probe is not fit it says unknown, and the rules do without it.",
        "min by (instance, reason) (tribes_probe_fit) == 0 or min by (instance) (tribes_probe_fit) == 1",
        "{{instance}} {{reason}}",
        {"not fit": RED, "fit": GREEN},
        6,
    ),
    curves(
        "What probes suffer",
        "How late a probe's loop is (s), and datagrams that its host dropped (a second).",
        target("max by (instance) (tribes_probe_loop_lag_seconds)", "{{instance}} late"),
        target(
            f"sum by (instance) ({rate('tribes_receive_drops_total')})",
            "{{instance}} drops",
        ),
    ),
    panel(
        "table",
        "Alerts",
        "What fires now; the runbooks have the alerts' names.",
        target('ALERTS{alertname=~"Tribes.+", alertstate="firing"}', "", instant=True, format="table"),
        options={"cellHeight": "sm"},
    ),
]


def placed(panels: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lay panels out from left to right, line by line, and number them."""
    x = y = line = 0
    out = []
    for number, each in enumerate(panels, 1):
        shape = each["gridPos"]
        if x + shape["w"] > WIDTH:
            x, y, line = 0, y + line, 0
        out.append({"id": number, **each, "gridPos": {"x": x, "y": y, **shape}})
        x, line = x + shape["w"], max(line, shape["h"])
    return out


def variable(name: str, label: str, query: str) -> dict[str, Any]:
    """Return a choice among a label's values; everything unless one is chosen."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "multi": False,
        "current": {"text": "All", "value": "$__all"},
    }


def annotation(name: str, colour: str, kinds: str) -> dict[str, Any]:
    """Return events as marks on every panel, where a counter of them rose."""
    events = f'tribes_events_total{{{HERE}, kind=~"{kinds}"}}'
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": colour,
        "expr": f"sum by (instance, group, kind) (increase({events}[$__interval])) > 0",
        "titleFormat": "{{kind}}",
        "textFormat": "{{group}} as heard by {{instance}}",
    }


def dashboard() -> dict[str, Any]:
    """Return the whole dashboard."""
    return {
        "uid": "tribes-probe",
        "title": "Tomcat clusters",
        "description": "Whether each cluster is one cluster, by all probes. The runbooks say what to do.",
        "tags": ["tomcat", "tribes-probe"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "templating": {
            "list": [
                {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                variable("cluster", "Cluster", "label_values(tribes_group_info, cluster)"),
                variable("group", "Group", 'label_values(tribes_group_info{cluster=~"$cluster"}, group)'),
            ]
        },
        "annotations": {"list": [annotation(name, *rest) for name, rest in EVENTS.items()]},
        "panels": placed(PANELS),
        "links": [],
    }


def text() -> str:
    """Return the file's contents."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
    sys.exit(0)
