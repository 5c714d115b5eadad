"""The metric contract, held against goldens, the client library's own parsers and promtool."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client import parser as text_parser
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from support.view import MEMBERS, view

from probe.model.evidence import MemberState
from probe.model.fitness import Unfit
from probe.model.verdict import ClusterState
from probe.model.views import ProbeView
from probe.surface.metrics import Exposition

VECTORS = Path(__file__).parents[2] / "vectors"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"

G, M = {"group"}, {"group", "member"}
CONTRACT = {
    "tribes_group_joined": ("gauge", G | {"interface"}),
    "tribes_group_info": ("gauge", G | {"address", "port", "frequency_seconds", "drop_time_seconds"}),
    "tribes_group_network_info": ("gauge", G | {"network"}),
    "tribes_group_drop_time_seconds": ("gauge", G),
    "tribes_group_fit": ("gauge", G),
    "tribes_datagrams_total": ("counter", G | {"kind"}),
    "tribes_datagrams_malformed_total": ("counter", G | {"reason", "effect"}),
    "tribes_receive_drops_total": ("counter", G),
    "tribes_members_overflow_total": ("counter", G),
    "tribes_events_total": ("counter", G | {"kind"}),
    "tribes_cluster_state": ("gauge", G | {"state"}),
    "tribes_vantages_state": ("gauge", G | {"state"}),
    "tribes_peer_up": ("gauge", G | {"peer"}),
    "tribes_cluster_members": ("gauge", G | {"state"}),
    "tribes_cluster_members_expected": ("gauge", G),
    "tribes_view_members": ("gauge", G),
    "tribes_view_hash": ("gauge", G),
    "tribes_view_incarnation_hash": ("gauge", G),
    "tribes_member_up": ("gauge", M),
    "tribes_member_state": ("gauge", M | {"state"}),
    "tribes_member_info": (
        "gauge",
        M | {"unique_id", "domain", "source", "interface", "secure_port", "udp_port"},
    ),
    "tribes_member_last_heartbeat_timestamp_seconds": ("gauge", M),
    "tribes_member_last_heartbeat_age_seconds": ("gauge", M),
    "tribes_member_start_timestamp_seconds": ("gauge", M),
    "tribes_member_heartbeats_total": ("counter", M),
    "tribes_member_heartbeats_lost_total": ("counter", M),
    "tribes_member_stalls_total": ("counter", M),
    "tribes_member_stall_seconds_total": ("counter", M),
    "tribes_member_restarts_total": ("counter", M | {"goodbye"}),
    "tribes_member_flaps_total": ("counter", M),
    "tribes_member_ttl": ("gauge", M),
    "tribes_member_address_mismatch": ("gauge", M),
    "tribes_member_address_clash": ("gauge", M),
    "tribes_member_stranger": ("gauge", M),
    "tribes_member_ghost": ("gauge", M),
    "tribes_member_local": ("gauge", M),
    "tribes_member_belief": ("gauge", M | {"finding"}),
    "tribes_belief_up": ("gauge", M | {"source"}),
    "tribes_heartbeat_gap_seconds": ("histogram", G),
    "tribes_receiver_up": ("gauge", M | {"check"}),
    "tribes_receiver_checks_total": ("counter", M | {"check"}),
    "tribes_receiver_check_failures_total": ("counter", M | {"check", "reason"}),
    "tribes_receiver_check_duration_seconds": ("histogram", G | {"check"}),
    "tribes_link_up": ("gauge", M),
    "tribes_link_send_queue_bytes": ("gauge", M),
    "tribes_link_round_trip_seconds": ("gauge", M),
    "tribes_link_retransmits_total": ("counter", M),
    "tribes_link_acked_bytes_total": ("counter", M),
    "tribes_session_replicated": ("gauge", G | {"from", "to"}),
    "tribes_session_replication_delay_seconds": ("histogram", G | {"from", "to"}),
    "tribes_session_checks_total": ("counter", G | {"from", "to"}),
    "tribes_session_check_failures_total": ("counter", G | {"from", "to", "reason"}),
    "tribes_probe_fit": ("gauge", {"reason"}),
    "tribes_probe_loop_lag_seconds": ("gauge", set()),
    "tribes_probe_config_last_reload_successful": ("gauge", set()),
    "tribes_probe_config_last_reload_success_timestamp_seconds": ("gauge", set()),
    "tribes_probe_build_info": ("gauge", {"version", "python", "loop"}),
}
"""Name: type and labels, as dashboards and alerts rely on them."""


def scrape(seen: ProbeView, accept: str = "") -> str:
    """Return the whole exposition."""
    chunks, _ = Exposition().render(seen, accept)
    return b"".join(chunks).decode()


def ours(text: str) -> str:
    """Return it without the client library's own collectors, which tell of this very process."""
    return text[: text.index("# HELP process_")]


def families(seen: ProbeView) -> dict[str, Metric]:
    """Return what Prometheus reads, by name."""
    return {family.name: family for family in text_parser.text_string_to_metric_families(scrape(seen))}


@pytest.mark.parametrize(("golden", "accept"), [("metrics.txt", ""), ("metrics.openmetrics.txt", OPENMETRICS)])
def test_the_exposition_is_the_golden_one(golden: str, accept: str) -> None:
    """One view, every family, to the letter."""
    assert ours(scrape(view(), accept)) == (VECTORS / golden).read_text()


@pytest.mark.parametrize("name", CONTRACT)
def test_every_name_of_the_contract_is_there_with_its_type_and_labels(name: str) -> None:
    """A dashboard that was built on the contract finds what it asks for."""
    kind, labels = CONTRACT[name]
    base = name.removesuffix("_total") if kind == "counter" else name
    family = families(view())[base]
    assert family.type == kind
    assert family.documentation
    suffixes = {"histogram": {"_bucket", "_sum", "_count"}, "counter": {"_total"}}.get(kind, {""})
    assert family.samples
    assert {sample.name for sample in family.samples} == {base + suffix for suffix in suffixes}
    for sample in family.samples:
        assert set(sample.labels) - {"le"} == labels


def test_nothing_takes_a_label_that_belongs_to_the_scraper() -> None:
    """Never cluster, type, env, instance or job; never a timestamp of our own."""
    for family in families(view()).values():
        for sample in family.samples:
            assert not sample.labels.keys() & {"cluster", "type", "env", "instance", "job"}
            assert sample.timestamp is None


def test_states_are_the_words_of_the_verdict_and_one_of_them_holds() -> None:
    """One series per state; exactly one is 1, for the cluster and for each member."""
    seen = families(view())
    cluster = {one.labels["state"]: one.value for one in seen["tribes_cluster_state"].samples}
    assert cluster.keys() == {state.value for state in ClusterState}
    assert {state for state, value in cluster.items() if value} == {"degraded"}
    held = Counter(one.labels["member"] for one in seen["tribes_member_state"].samples if one.value == 1)
    assert held == dict.fromkeys(MEMBERS, 1)
    assert len(seen["tribes_member_state"].samples) == len(MEMBERS) * len(MemberState)
    fit = {one.labels["reason"]: one.value for one in seen["tribes_probe_fit"].samples}
    assert fit == {reason.value: float(reason is not Unfit.LOOP_LAG) for reason in Unfit}


def test_a_member_that_is_gone_takes_its_series_along() -> None:
    """The same exposition, asked again after a member was forgotten, has nothing of it left."""
    exposition = Exposition()
    before, after = (b"".join(exposition.render(view(gone=gone), "")[0]).decode() for gone in (0, 1))
    assert 'member="10.0.0.4:4000"' in before
    assert "10.0.0.4:4000" not in after
    assert 'member="[fd77::3]:4000"' in after


def test_both_formats_hold_the_same_samples() -> None:
    """What Prometheus reads does not depend on what it asks for."""
    read = [
        {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in families_
            for sample in family.samples
            if sample.name.startswith("tribes_")
        }
        for families_ in (
            text_parser.text_string_to_metric_families(scrape(view())),
            openmetrics_parser.text_string_to_metric_families(scrape(view(), OPENMETRICS)),  # type: ignore[no-untyped-call]
        )
    ]
    assert read[0] == read[1]


@pytest.mark.parametrize(
    ("accept", "content_type", "ends"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", False),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", False),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8", False),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8", True),
        (f"{OPENMETRICS},text/plain;q=0.5", "application/openmetrics-text; version=1.0.0; charset=utf-8", True),
    ],
)
def test_the_format_is_the_one_the_client_asks_for(accept: str, content_type: str, *, ends: bool) -> None:
    """OpenMetrics only on request, and then with its end mark, once."""
    chunks, told = Exposition().render(view(), accept)
    text = b"".join(chunks).decode()
    assert told.startswith(content_type)
    assert text.count("# EOF") == ends
    assert text.endswith("# EOF\n") is ends


def test_hostile_names_are_escaped_as_the_format_wants() -> None:
    """A group may be called anything; the value that is read back is the value."""
    name = 'quote" back\\slash\nline'
    seen = families(view(name=name))
    assert seen["tribes_cluster_members_expected"].samples[0].labels == {"group": name}


def test_nothing_heard_yet_is_no_error() -> None:
    """A group without members tells of itself; families of members are there and empty."""
    seen = families(view(gone=4))
    assert seen["tribes_cluster_members_expected"].samples[0].value == 4
    assert seen["tribes_member_up"].samples == []


def test_the_clients_own_collectors_are_there() -> None:
    """What this process takes: memory, CPU, descriptors, Python's version."""
    seen = families(view())
    assert {"process_resident_memory_bytes", "process_cpu_seconds", "python_info"} <= seen.keys()


@pytest.mark.promtool
@pytest.mark.parametrize("gone", [0, 4])
def test_promtool_finds_nothing_to_say(gone: int) -> None:
    """Names, units and help follow Prometheus' conventions, by its own tool."""
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=scrape(view(gone=gone)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
