"""The first hour of a cluster, mistake by mistake: what her users see, what tribes-probe says, what cures it.

Real httpd, real Tomcats 8.5 with their own server.xml, the daemon and the commands as she runs them.
"""

import re
from typing import Final

import pytest
from story.browser import load, logins
from story.shop import BLOG, WEB_XML, Shop
from story.table import Table

pytestmark = [pytest.mark.tomcat, pytest.mark.netns, pytest.mark.httpd, pytest.mark.slow]

USERS: Final = 20
ROUND: Final = 120
"""logins, some at a time, of which a good many outrun replication."""
MOST_LOGINS: Final = 5 * ROUND
AT_ONCE: Final = 4
LOOPBACK: Final = "127.0.1.1"
DISPATCH: Final = "org.apache.catalina.tribes.group.interceptors.MessageDispatch15Interceptor"

GONE: Final = r"<ClusterListener [^>]*JvmRouteSessionIDBinderListener[^>]*>"
ON_8_5: Final = re.sub(GONE, "", BLOG.replace("MessageDispatch15", "MessageDispatch"))
ADDRESSED: Final = ON_8_5.replace('"auto"', '"{address}"')
"""What Debian's 127.0.1.1 does not touch."""
WAITING: Final = ADDRESSED.replace('channelSendOptions="8"', 'channelSendOptions="6"')
"""A request ends when the other node has the session."""


def known(shop: Shop, url: str, users: int = USERS, at_once: int = 1) -> int:
    """Have users log in, one after the other unless told; return how many the next page knows."""
    return sum(known for _, known in logins(shop.outside, url, users, at_once))


def test_a_no_cluster(shop: Shop, table: Table) -> None:
    """Two Tomcats as they are downloaded: by turns no login is known, with stickiness each is."""
    with shop.running(""):
        by_turns, sticky = known(shop, shop.balanced), known(shop, shop.sticky)
    assert (by_turns, sticky) == (0, USERS)
    table.tell("a no cluster", f"{by_turns} of {USERS} logins known on the next page, sticky {sticky}", "")


def test_b_the_blogs_element(shop: Shop, table: Table) -> None:
    """The 7.0 how-to's element ends an 8.5 at its start; with the class of 8.5 it starts."""
    node = shop.nodes[0]
    node.install(cluster=BLOG)
    node.begin()
    assert node.ends() == 1
    assert f"java.lang.ClassNotFoundException: {DISPATCH}" in node.log
    table.tell("b the blog's element on 8.5", f"ClassNotFoundException: {DISPATCH}", "")


def test_c_debians_own_name(shop: Shop, table: Table) -> None:
    """A host whose name resolves to 127.0.1.1 announces that: nobody adds it, and no log says so."""
    a, b = shop.nodes
    with shop.ending():
        a.install(cluster=ON_8_5)
        a.start()
        b.install(cluster=ON_8_5, resolves=LOOPBACK)
        with shop.probe("c") as probe:
            b.begin()
            b.logs(r"requesting session state.* timeout .* within \[60\] seconds")
            said = probe.tells("address-mismatch", member=f"{LOOPBACK}:4000")["text"]
        assert "memberAdded" not in a.log
    table.tell("c b is Debian's 127.0.1.1", "a logs no member; b waits 60 s at its start", said)


def test_c_both_hosts_are_debians(shop: Shop, table: Table) -> None:
    """Each Tomcat logs a member, which is itself: it looks as it should."""
    a, b = shop.nodes
    with shop.ending(), shop.probe("c-both") as probe:
        for node in a, b:
            node.install(cluster=ON_8_5, resolves=LOOPBACK)
        a.start()
        b.begin()
        said = probe.tells("address-clash", member=f"{LOOPBACK}:4000")["text"]
        for node in a, b:
            node.logs(r"memberAdded .*\{127, 0, 1, 1\}")
    table.tell("c both are", "each logs a member: itself", said)


def test_d_not_distributable(shop: Shop, table: Table) -> None:
    """The cluster is whole, and no login is known on the other node."""
    web_xml = WEB_XML.replace("  <distributable/>\n", "")
    assert web_xml != WEB_XML
    with shop.running(WAITING, web_xml), shop.probe("d") as probe:
        probe.tells("whole")
        number = known(shop, shop.balanced)
    assert number == 0
    table.tell("d no <distributable/>", f"{number} of {USERS} logins known", "whole: 2 of 2 members alive")


def test_e_a_redirect_outruns_replication(shop: Shop, table: Table) -> None:
    """With channelSendOptions 8 and no stickiness some logins lose their attributes, with 6 none of as many."""
    lost = sent = 0
    with shop.running(ADDRESSED):
        while not lost and sent < MOST_LOGINS:
            sent += ROUND
            lost += ROUND - known(shop, shop.balanced, ROUND, AT_ONCE)
    assert lost
    table.tell("e channelSendOptions 8, by turns", f"{lost} of {sent} logins lost", "")
    with shop.running(WAITING):
        assert known(shop, shop.balanced, sent, AT_ONCE) == sent
    table.tell("e channelSendOptions 6, by turns", f"0 of {sent} logins lost", "")


def test_g_a_node_is_killed(shop: Shop, table: Table) -> None:
    """Under load behind mod_jk every session lives on at the other node; the probe says who is lost."""
    with shop.running(WAITING) as (doomed, heir), shop.probe("g") as probe:
        probe.tells("whole")
        users = [user for user, _ in logins(shop.outside, shop.sticky, USERS)]
        assert {user.route for user in users} == {doomed.name, heir.name}
        with load(users, shop.sticky) as looks:
            doomed.kill()
            probe.tells("lost", member=doomed.member)
        assert all(looks), f"{looks.count(False)} of {len(looks)} looks did not know their user"
        assert all(user.look(shop.sticky) for user in users)
        assert {user.route for user in users} == {heir.name}
        sentence = probe.group("shop")["verdict"]["sentence"]
    table.tell("g a node killed", f"{len(looks)} looks of {USERS} users, each known", sentence)
