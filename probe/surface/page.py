"""The page: the verdict sentence and the members of every group, without script or foreign resource."""

from datetime import UTC, datetime
from html import escape
from typing import Final

from probe.model.link import Finding
from probe.model.views import (
    GroupView,
    LinksView,
    MemberView,
    PeerView,
    ProbeView,
    SessionView,
    SourceView,
    TogetherView,
)

REFRESH: Final = 5
"""seconds between two looks."""
MOST_ROWS: Final = 1_000
"""Members shown per group; all of them are in the API."""

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6676;--line:#d9dee6;--ground:#f6f7f9;--card:#fff;
--good:#1a7f4b;--warn:#9a6200;--bad:#b3261e;--mute:#5b6676}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#9aa5b5;--line:#313a48;--ground:#12161c;--card:#1a2028;
--good:#5fd08f;--warn:#f0b44a;--bad:#ff8a80;--mute:#9aa5b5}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:72rem;margin:0 auto;padding:1.5rem 1rem 3rem}h1{font-size:1.05rem;font-weight:600;margin:0}
header{display:flex;justify-content:space-between;gap:1rem;flex-wrap:wrap;color:var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-radius:.6rem;margin-top:1.25rem;overflow:hidden}
h2{font-size:1rem;margin:0;padding:.9rem 1rem 0}
.verdict{margin:0;padding:.35rem 1rem 1rem;font-size:1.1rem;border-bottom:1px solid var(--line)}
.facts{margin:0;padding:.6rem 1rem;color:var(--soft);font-size:.85rem;border-top:1px solid var(--line)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.45rem 1rem;border-top:1px solid var(--line);white-space:nowrap}
td:last-child{white-space:normal;min-width:13rem}.scroll+.scroll{border-top:1px solid var(--line)}
th{font-weight:600;color:var(--soft);font-size:.8rem;border-top:0}td.number{text-align:right}th.number{text-align:right}
code{font:13px ui-monospace,"DejaVu Sans Mono",monospace}
.state{display:inline-block;border-radius:1rem;padding:0 .6rem;font-weight:600;border:1px solid currentColor}
.alive,.whole,.replicated{color:var(--good)}.late,.half,.silent,.left,.unheard,.degraded,.merging,.empty{color:var(--warn)}
.mute,.frozen,.lost,.latent-split,.split,.asymmetric,.deaf,.down{color:var(--bad)}.unknown{color:var(--mute)}
a{color:inherit}
"""


def render(view: ProbeView, telemetry_path: str) -> str:
    """Return the page as HTML; everything that came from the network is escaped."""
    groups = "\n".join(_group(group) for group in view.groups) + _peers(view.peers)
    at = datetime.fromtimestamp(view.time, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="refresh" content="{REFRESH}"><title>{escape(_title(view))}</title><style>{_STYLE}</style></head>
<body><main><header><h1>tribes-probe {escape(view.build.version)}</h1>
<nav><a href="{escape(telemetry_path)}">metrics</a> · <a href="/api/v1/view">view as JSON</a> · {escape(at)}</nav></header>
{groups}
</main></body></html>
"""


def _title(view: ProbeView) -> str:
    states = {group.verdict.state for group in view.groups}
    states |= {f"together {group.together.state}" for group in view.groups if group.together is not None}
    return f"{', '.join(sorted(states)) or 'no group'} – tribes-probe"


def _group(group: GroupView) -> str:
    state, _, evidence = group.verdict.sentence.partition(" ")
    rows = "\n".join(_row(member) for member in group.members[:MOST_ROWS])
    more = len(group.members) - MOST_ROWS
    rows += f'<tr><td colspan="8">and {more} more</td></tr>' if more > 0 else ""
    joins = ", ".join(f"{name} {'joined' if held else 'not joined'}" for name, held in group.joined.items())
    return f"""<section aria-labelledby="{escape(group.group)}"><h2 id="{escape(group.group)}">{escape(group.group)}</h2>
<p class="verdict"><span class="state {escape(state)}">{escape(state)}</span> {escape(evidence)}</p>
{_together(group.together)}<div class="scroll"><table><thead><tr><th scope="col">member</th><th scope="col">state</th>
<th scope="col" class="number">last heartbeat</th><th scope="col">receiver</th><th scope="col">up since</th>
<th scope="col" class="number">lost</th><th scope="col" class="number">stalls</th><th scope="col">remarks</th>
</tr></thead><tbody>
{rows or '<tr><td colspan="8">nobody was heard yet</td></tr>'}
</tbody></table></div>{_sessions(group.sessions)}
<p class="facts">{escape(group.address)}:{group.port} · {escape(joins or "no interface")} · heartbeats
every {group.frequency_seconds:g} s, dropTime {group.drop_time_seconds:g} s ·
{sum(group.datagrams.values())} datagrams, {group.receive_drops} dropped here{_links(group.links)}</p>{_sources(group.beliefs)}</section>"""


def _sources(sources: list[SourceView]) -> str:
    """Say of each Tomcat whose belief is to be read whether it is."""
    lines = [
        f"{source.member or 'a member'} by {source.url}: {'read' if source.up else source.why or 'not read'}"
        for source in sources
    ]
    return f'<p class="facts">what they believe · {escape(" · ".join(lines))}</p>' if lines else ""


def _together(together: TogetherView | None) -> str:
    if together is None:
        return ""
    state, _, evidence = together.sentence.partition(" ")
    return (
        f'<p class="verdict">together <span class="state {escape(state)}">{escape(state)}</span> '
        f"{escape(evidence)}</p>\n"
    )


def _links(links: LinksView | None) -> str:
    """Say what is wrong with what this host's connections tell."""
    if links is None:
        return ""
    if links.why:
        return f" · connections not seen: {escape(links.why)}"
    strangers = ", ".join(links.strangers)
    return f" · connections to no member: {escape(strangers)}" if strangers else ""


def _sessions(sessions: list[SessionView]) -> str:
    if not sessions:
        return ""
    rows = "\n".join(
        f"<tr><td>{escape(each.made_on)}</td><td>{escape(each.shown_to)}</td>"
        f'<td><span class="state {escape(each.state)}">{escape(each.state)}</span></td>'
        f'<td class="number">{_milliseconds(each.delay_seconds)}</td><td>{escape(each.sentence)}</td></tr>'
        for each in sessions
    )
    return f"""
<div class="scroll"><table><thead><tr><th scope="col">session made on</th><th scope="col">shown to</th>
<th scope="col">is</th><th scope="col" class="number">known after</th><th scope="col">remarks</th></tr></thead><tbody>
{rows}
</tbody></table></div>"""


def _milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.1f} ms"


def _peers(peers: list[PeerView]) -> str:
    if not peers:
        return ""
    rows = "\n".join(
        f'<tr><td>{escape(peer.name)}</td><td><span class="state {"alive" if peer.up else "lost"}">'
        f"{'read' if peer.up else 'not read'}</span></td><td>{escape(peer.role)}</td>"
        f"<td>{escape(peer.url)}</td><td>{escape(peer.version)}</td><td>{escape(peer.why)}</td></tr>"
        for peer in peers
    )
    return f"""
<section aria-labelledby="peers"><h2 id="peers">peers</h2><div class="scroll"><table><thead><tr>
<th scope="col">probe</th><th scope="col">view</th><th scope="col">role</th><th scope="col">address</th>
<th scope="col">version</th><th scope="col">remarks</th></tr></thead><tbody>
{rows}
</tbody></table></div></section>"""


def _row(member: MemberView) -> str:
    age = "–" if member.age_seconds is None else f"{member.age_seconds:.1f} s ago"
    since = (
        datetime.fromtimestamp(member.start, UTC).astimezone().strftime("%m-%d %H:%M:%S")
        if member.start
        else "–"
    )
    return (
        f"<tr><td><code>{escape(member.member)}</code></td>"
        f'<td><span class="state {escape(member.state)}">{escape(member.state)}</span></td>'
        f'<td class="number">{age}</td><td>{escape(_receiver(member))}</td><td>{since}</td>'
        f'<td class="number">{member.heartbeats_lost}</td><td class="number">{member.stalls}</td>'
        f"<td>{escape(_remarks(member))}</td></tr>"
    )


_LINKED: Final = {
    Finding.UNHEARD: "this host's Tomcat still replicates to it",
    Finding.GHOST: "this host's Tomcat may send it everything twice",
    Finding.STUCK: "this host's Tomcat cannot replicate to it",
}


def _receiver(member: MemberView) -> str:
    receiver = member.receiver
    if receiver.outcome is None:
        return f"not asked: {receiver.not_asked}" if receiver.not_asked else "not asked yet"
    seconds = receiver.answer_seconds if receiver.answer_seconds is not None else receiver.connect_seconds
    return receiver.outcome + (f" ({seconds * 1000:.1f} ms)" if seconds is not None else "")


def _remarks(member: MemberView) -> str:
    remarks = {
        f"expected: {member.expected_by}": member.expected,
        "ghost suspected": bool(member.ghost),
        f"announced by {member.source}": member.address_mismatch,
        f"restarted {member.restarts_clean + member.restarts_unclean}×": member.restarts_clean
        + member.restarts_unclean
        > 0,
        f"flapped {member.flaps}×": member.flaps > 0,
    }
    if member.link is not None and member.link.finding is not None:
        remarks[_LINKED[Finding(member.link.finding)]] = True
    belief = [one.text for one in member.belief.findings] if member.belief is not None else []
    return ", ".join([*(text for text, holds in remarks.items() if holds), *member.oddities, *belief])
