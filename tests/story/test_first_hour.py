"""The first hour of a cluster, mistake by mistake: what her users see, what tribes-probe says, what cures it.

Real httpd, real Tomcats 8.5 with their own server.xml, the daemon and the commands as she runs them.
"""

import itertools
import json
import re
import subprocess
import time
from typing import Any, Final

import pytest
from story.browser import LOOKING, load, logins
from story.measure import Measure
from story.shop import BLOG, DEBIANS, PATIENCE, WEB_XML, Node, Shop
from story.table import Table
from support.watcher import Watcher

pytestmark = [pytest.mark.tomcat, pytest.mark.netns, pytest.mark.httpd, pytest.mark.slow]

USERS: Final = 20
MOST_ROUNDS: Final = 5
"""of logins until some are lost: about one in six is."""
DISPATCH: Final = "org.apache.catalina.tribes.group.interceptors.MessageDispatch15Interceptor"

GONE: Final = r"\n *<ClusterListener [^>]*JvmRouteSessionIDBinderListener[^>]*>"
ON_8_5: Final = re.sub(GONE, "", BLOG.replace("MessageDispatch15", "MessageDispatch"))
ADDRESSED: Final = ON_8_5.replace('"auto"', '"{address}"')
"""The hosts stay as Debian makes them."""
WAITING: Final = ADDRESSED.replace('channelSendOptions="8"', 'channelSendOptions="6"')
"""A request ends when the other node has the session."""


def known(shop: Shop, url: str) -> int:
    """Have users log in, one after the other; return how many the next page knows."""
    return sum(known for _, known in logins(shop.outside, url, USERS))


def pairs(shop: Shop) -> list[dict[str, Any]]:
    """Return from which node to which a session is shown, as the probe's log says it."""
    return [{"from": one.name, "to": other.name} for one, other in itertools.permutations(shop.nodes, 2)]


def unreached(probe: Watcher, maker: Node, witness: Node) -> str:
    """Wait until the probe's canary cannot reach a node; return what it says of it."""
    until = time.monotonic() + PATIENCE
    while True:
        for pair in probe.group("shop")["sessions"]:
            names = pair["made_on"], pair["shown_to"]
            if names == (maker.name, witness.name) and pair["reason"] == "connect":
                return str(pair["sentence"])
        assert time.monotonic() < until, "the canary never says that a node is not reached"
        time.sleep(0.1)


def first(canary: "subprocess.CompletedProcess[str]") -> str:
    """Return what the canary said first."""
    return canary.stdout.splitlines()[0]


def test_a_no_cluster(shop: Shop, table: Table) -> None:
    """Two Tomcats as they are downloaded: by turns no login is known, with stickiness each is."""
    with shop.running(""):
        by_turns, sticky = known(shop, shop.balanced), known(shop, shop.sticky)
        canary = shop.canary()
    assert (by_turns, sticky) == (0, USERS)
    assert canary.returncode == 1
    assert canary.stdout.count("lost (not-replicated)") == 2
    table.tell(
        "a no cluster", f"{by_turns} of {USERS} logins known on the next page, sticky {sticky}", first(canary)
    )


def test_b_the_blogs_element(shop: Shop, table: Table) -> None:
    """The 7.0 how-to's element ends an 8.5 at its start; lint says it before, and what it fixes starts."""
    node = shop.nodes[0]
    node.install(cluster=BLOG)
    node.begin()
    assert node.ends() == 1
    failure = f"ClassNotFoundException: {DISPATCH}"
    assert f"java.lang.{failure}" in node.log
    lint = shop.ask("lint", "--tomcat", "8.5", "--fix", "--in-place", node.server_xml)
    assert lint.returncode == 1
    assert failure in lint.stdout
    fixed = node.server_xml.read_text(encoding="utf-8")
    with shop.ending():
        node.install(cluster=ON_8_5)
        assert node.server_xml.read_text(encoding="utf-8") == fixed
        node.start()
    says = re.search(r"MessageDispatch15Interceptor is gone .*? on", lint.stdout)
    assert says is not None
    table.tell("b the blog's element on 8.5", failure, f"lint: {says[0]}; --fix: it starts")


def test_c_debians_own_name(shop: Shop, table: Table) -> None:
    """A host whose name is 127.0.1.1 announces that: nobody adds it, and no log says so; doctor does."""
    a, b = shop.nodes
    with shop.ending():
        a.install(cluster=ON_8_5, resolves=a.host.address)
        a.start()
        b.install(cluster=ON_8_5)
        with shop.probe("c") as probe:
            b.begin()
            b.logs(r"requesting session state.* timeout .* within \[60\] seconds")
            wire = probe.tells("address-mismatch", member=f"{DEBIANS}:4000", source=b.host.address)["text"]
        doctor = shop.ask("doctor", "--json", "--listen", "2s", "--server-xml", b.server_xml, on=b)
        lint = shop.ask("lint", "--host", "--tomcat", "8.5", b.server_xml, on=b)
        assert "memberAdded" not in a.log
    assert lint.returncode == 1
    assert f"resolves to {DEBIANS} [receiver-loopback]" in lint.stdout
    findings = {one["step"]: one for one in json.loads(doctor.stdout)["findings"]}
    assert doctor.returncode == 1
    assert findings["host name"]["status"] == findings["addresses"]["status"] == "error"
    name = findings["host name"]
    assert f'<Receiver address="{b.host.address}"' in name["remedy"]
    table.tell(
        "c b is Debian's 127.0.1.1", "a logs no member; b waits 60 s at its start", f"{name['found']}; {wire}"
    )


def test_c_both_hosts_are_debians(shop: Shop, table: Table) -> None:
    """Each Tomcat logs a member, which is itself: it looks as it should."""
    a, b = shop.nodes
    with shop.ending(), shop.probe("c-both") as probe:
        for node in a, b:
            node.install(cluster=ON_8_5)
        a.start()
        b.begin()
        for node in a, b:
            node.logs(r"memberAdded .*\{127, 0, 1, 1\}")
        wire = probe.tells("address-clash", member=f"{DEBIANS}:4000")["text"]
    table.tell("c both hosts are", "each logs a member: itself", wire)


def test_d_not_distributable(shop: Shop, table: Table) -> None:
    """The cluster is whole, and no login is known on the other node."""
    web_xml = WEB_XML.replace("  <distributable/>\n", "")
    assert web_xml != WEB_XML
    with shop.running(WAITING, web_xml), shop.probe("d") as probe:
        probe.tells("whole")
        number = known(shop, shop.balanced)
        canary = shop.canary()
        assert probe.group("shop")["verdict"]["state"] == "whole"
        lint = shop.ask("lint", "--strict", "--web-xml", shop.nodes[0].web_xml)
    assert number == 0
    assert lint.returncode == 1
    assert "stay on their node [not-distributable]" in lint.stdout
    assert canary.stdout.count("lost (not-replicated)") == 2
    table.tell(
        "d no <distributable/>",
        f"{number} of {USERS} logins known",
        f"whole; {first(canary)}; lint: no <distributable/>",
    )


def test_e_a_redirect_outruns_replication(shop: Shop, table: Table) -> None:
    """With channelSendOptions 8 and no stickiness some logins lose their attributes, with 6 none of as many."""
    eight, six = Measure(), Measure()
    rounds = 0
    with shop.running(ADDRESSED):
        while not (eight.lost and eight.reasons) and rounds < MOST_ROUNDS:
            eight.take(shop)
            rounds += 1
        lint = shop.ask("lint", "--tomcat", "8.5", shop.nodes[0].server_xml)
    assert eight.lost
    assert eight.reasons
    assert "[send-async]" in lint.stdout
    table.tell("e channelSendOptions 8, by turns", eight.seen, eight.said)
    with shop.running(WAITING):
        for _ in range(rounds):
            six.take(shop)
        lint = shop.ask("lint", "--tomcat", "8.5", shop.nodes[0].server_xml)
    assert "[send-async]" not in lint.stdout
    assert (six.lost, six.reasons) == (0, [])
    table.tell("e channelSendOptions 6, by turns", six.seen, six.said)


def test_f_all_is_right(shop: Shop, table: Table) -> None:
    """Whole, each session is known both ways, and every login through either balancer."""
    with shop.running(WAITING), shop.probe("f", sessions=shop.sessions) as probe:
        probe.tells("whole")
        for pair in pairs(shop):
            probe.tells("sessions-replicated", **pair)
        assert known(shop, shop.balanced) == known(shop, shop.sticky) == USERS
        canary = shop.canary(f"{shop.sticky}/welcome", options=("--route", "a", "--route", "b"))
        metrics = probe.get("/metrics").decode()
        files = [node.server_xml for node in shop.nodes]
        lint = shop.ask("lint", "--strict", "--tomcat", "8.5", *files, "--web-xml", shop.nodes[0].web_xml)
    assert canary.returncode == 0, canary.stdout
    assert lint.returncode == 0, lint.stdout
    assert metrics.count("\ntribes_session_replicated{") == 2
    assert len(re.findall(r"^tribes_session_replicated\{.*\} 1\.0$", metrics, re.MULTILINE)) == 2
    table.tell("f all is right", f"{2 * USERS} of {2 * USERS} logins known", f"whole; {first(canary)}")


def test_g_a_node_is_killed(shop: Shop, table: Table) -> None:
    """Under load behind mod_jk every session lives on at the other node; the probe says who is lost."""
    with shop.running(WAITING) as (doomed, heir), shop.probe("g", sessions=shop.sessions) as probe:
        probe.tells("whole")
        for pair in pairs(shop):
            probe.tells("sessions-replicated", **pair)
        users = [user for user, _ in logins(shop.outside, shop.sticky, USERS)]
        assert {user.route for user in users} == {doomed.name, heir.name}
        with load(users, shop.sticky) as looks:
            doomed.kill()
            probe.tells("lost", member=doomed.member)
            canary = unreached(probe, heir, doomed)
        assert not looks.count(False), f"{looks.count(False)} of {len(looks)} looks did not know their user"
        assert looks.count(None) <= LOOKING, "only who was on the way when it was killed may get no page"
        assert all(user.look(shop.sticky) for user in users)
        assert {user.route for user in users} == {heir.name}
        verdict = probe.group("shop")["verdict"]["sentence"]
    seen = f"{len(looks)} looks of {USERS} users, {looks.count(None)} without a page, none unknown"
    table.tell("g a node killed", seen, f"{verdict}; {canary}")
