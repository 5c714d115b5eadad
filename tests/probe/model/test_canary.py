"""What two answers say of a session, and what a pair remembers of it."""

import re
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.canary import (
    DELAYS,
    FINDINGS,
    LOST,
    NOBODYS,
    Bond,
    Finding,
    Page,
    Pair,
    Reason,
    Result,
    SessionId,
    State,
    bond,
    looks,
    proves,
    read,
)
from probe.model.events import Kind

A, B, OTHER = SessionId("AF01.a"), SessionId("AF01.b"), SessionId("77EE.b")
BARE, GONE = SessionId("AF01"), SessionId("")
ids = st.builds(SessionId, st.from_regex(re.compile(r"[0-9A-F]{1,32}(\.[a-z.]{0,9})?"), fullmatch=True))
replicated = Result(State.REPLICATED, "it is known", None, 0.004, 0.004, made=1)
lost = Result(State.LOST, "it is not", Reason.NOT_REPLICATED, made=3, ended=2, logout_failed=True)
unknown = Result(State.UNKNOWN, "b: cannot be reached", Reason.CONNECT)


# -- ids


@pytest.mark.parametrize(
    ("shown", "answered", "kind"),
    [
        (A, None, Bond.KEPT),
        (A, A, Bond.KEPT),
        (A, B, Bond.MOVED),
        (A, BARE, Bond.MOVED),
        (BARE, A, Bond.MOVED),
        (A, OTHER, Bond.NEW),
        (BARE, SessionId("AF01F"), Bond.NEW),
        (A, GONE, Bond.DROPPED),
    ],
)
def test_an_answer_keeps_moves_renews_or_drops_an_id(
    shown: SessionId, answered: SessionId | None, kind: Bond
) -> None:
    """The route behind the first dot is no part of what makes a session the same."""
    assert bond(shown, answered) is kind


@given(ids, st.text("abc", max_size=5))
def test_another_route_never_makes_another_session(shown: SessionId, route: str) -> None:
    """JvmRouteBinderValve changes what stands behind the first dot, nothing else."""
    assert bond(shown, SessionId(f"{shown.base}.{route}")) in {Bond.KEPT, Bond.MOVED}


@given(ids, ids)
def test_a_session_is_new_just_when_its_base_is(shown: SessionId, answered: SessionId) -> None:
    """Whatever the routes are."""
    assert (bond(shown, answered) is Bond.NEW) == (shown.base != answered.base)


@pytest.mark.parametrize("shown", [A, BARE, GONE])
def test_an_id_is_not_written_by_accident(shown: SessionId) -> None:
    """Neither as text, nor inside a value; only who asks for it gets it."""
    assert {str(shown), repr(shown), f"{shown}"} == {"<a session id>"}
    assert "AF01" not in repr(Page(200, shown)) + repr([shown])
    assert A.reveal() == "AF01.a"


# -- what a look says


def test_every_bond_has_its_row() -> None:
    """With an expect_same that matches, one that does not, and none."""
    assert set(FINDINGS) == set(product(Bond, (None, True, False)))


@pytest.mark.parametrize(
    ("cookie", "match", "matches", "finding"),
    [
        (None, None, False, Finding(State.REPLICATED, sure=False)),
        (B, None, False, Finding(State.REPLICATED)),
        (OTHER, None, False, Finding(State.LOST, Reason.NOT_REPLICATED)),
        (GONE, None, False, Finding(State.LOST, Reason.NOT_REPLICATED)),
        (None, "alice", True, Finding(State.REPLICATED, sure=False)),
        (B, "alice", True, Finding(State.REPLICATED)),
        (B, "bob", True, Finding(State.LOST, Reason.BODY_DIFFERS)),
        (None, None, True, Finding(State.LOST, Reason.BODY_DIFFERS)),
        (OTHER, None, True, Finding(State.LOST, Reason.NOT_REPLICATED)),
        (OTHER, "alice", True, Finding(State.REPLICATED, sure=False)),
    ],
)
def test_an_answer_is_read(
    cookie: SessionId | None,
    match: str | None,
    matches: bool,  # noqa: FBT001  # a table's column
    finding: Finding,
) -> None:
    """What the cookie says counts as far as the page does not say more."""
    assert read(A, Page(200, A, "alice"), Page(200, cookie, match), matches=matches) == finding


@pytest.mark.parametrize(
    ("status", "cookie", "state", "reason"),
    [
        (503, None, State.UNKNOWN, Reason.STATUS),
        (302, None, State.UNKNOWN, Reason.STATUS),
        (404, B, State.UNKNOWN, Reason.STATUS),
        (302, OTHER, State.LOST, Reason.NOT_REPLICATED),
        (500, OTHER, State.LOST, Reason.NOT_REPLICATED),
        (204, None, State.REPLICATED, None),
    ],
)
def test_a_page_that_fails_says_nothing_unless_it_makes_a_session(
    status: int, cookie: SessionId | None, state: State, reason: Reason | None
) -> None:
    """A node that is down behind a balancer is not a session that is lost."""
    finding = read(A, Page(200, A), Page(status, cookie), matches=False)
    assert (finding.state, finding.reason) == (state, reason)


@pytest.mark.parametrize(
    ("cookie", "finding"),
    [
        (B, Finding(State.REPLICATED)),
        (SessionId("AF01.c"), Finding(State.UNKNOWN, Reason.WRONG_NODE)),
        (SessionId("77EE.c"), Finding(State.UNKNOWN, Reason.WRONG_NODE)),
        (OTHER, Finding(State.LOST, Reason.NOT_REPLICATED)),
        (None, Finding(State.REPLICATED, sure=False)),
    ],
)
def test_behind_a_balancer_the_route_says_who_answers(cookie: SessionId | None, finding: Finding) -> None:
    """Who answers for another node says nothing of that one."""
    assert read(A, Page(200, A), Page(200, cookie), matches=False, route="b") == finding


@given(ids, st.none() | ids, st.integers(100, 599), st.booleans(), st.none() | st.text("ab"))
def test_whatever_comes_back_is_read(
    shown: SessionId,
    cookie: SessionId | None,
    status: int,
    matches: bool,  # noqa: FBT001  # drawn
    match: str | None,
) -> None:
    """A finding names a reason just when it is no success; one that is lost is so by the session."""
    finding = read(shown, Page(200, shown, "a"), Page(status, cookie, match), matches=matches)
    assert (finding.reason is None) == (finding.state is State.REPLICATED)
    assert (finding.state is State.LOST) == (finding.reason in LOST)


# -- the control


@pytest.mark.parametrize(
    ("control", "matches", "route", "reason"),
    [
        (Page(200, OTHER), False, None, None),
        (Page(200, None), False, None, Reason.NO_PROOF),
        (Page(200, NOBODYS), False, None, Reason.NO_PROOF),
        (Page(200, OTHER, "alice"), True, None, Reason.NO_PROOF),
        (Page(200, OTHER, "null"), True, None, None),
        (Page(200, None, None), True, None, None),
        (Page(200, OTHER), False, "b", None),
        (Page(200, SessionId("77EE.a")), False, "b", Reason.WRONG_NODE),
    ],
)
def test_a_page_proves_something_if_it_is_another_for_nobody(
    control: Page,
    matches: bool,  # noqa: FBT001  # a table's column
    route: str | None,
    reason: Reason | None,
) -> None:
    """A page that makes no sessions would seem to keep every one."""
    assert proves(Page(200, A, "alice"), control, matches=matches, route=route) is reason


# -- when to look


@given(st.floats(0.001, 120))
def test_looks_grow_apart_and_end_at_the_limit(give_up: float) -> None:
    """The first is at once, the last when it is given up; few enough that few sessions are left behind."""
    times = list(looks(give_up))
    assert (times[0], times[-1]) == (0, give_up)
    assert len(times) <= 16
    gaps = [later - sooner for sooner, later in pairwise(times[:-1])]
    assert all(later == pytest.approx(2 * sooner) for sooner, later in pairwise(gaps))
    assert list(looks(give_up, brief=True)) == [0, give_up]


# -- what a pair remembers


def test_a_pair_tells_what_changes() -> None:
    """Once, in words and values; a check like the last tells nothing."""
    pair = Pair("a", "b")
    told = [
        [event.kind for event in pair.take("shop", result, at)]
        for at, result in enumerate([replicated, replicated, unknown, lost, lost, replicated])
    ]
    assert told == [
        [Kind.SESSIONS_REPLICATED],
        [],
        [Kind.SESSIONS_UNKNOWN],
        [Kind.SESSIONS_LOST],
        [],
        [Kind.SESSIONS_REPLICATED],
    ]
    assert (pair.state, pair.since, pair.checked_at) == (State.REPLICATED, 5, 5)


def test_a_change_names_the_nodes_the_reason_and_the_delay() -> None:
    """For machines as for people."""
    pair = Pair("a", "b")
    [event] = pair.take("shop", lost, 7.0)
    assert (event.at, event.group, event.text, event.member) == (7.0, "shop", "it is not", "")
    assert event.values == {"from": "a", "to": "b", "reason": "not-replicated"}
    [event] = pair.take("shop", replicated, 8.0)
    assert event.values == {"from": "a", "to": "b", "delay_seconds": 0.004}


def test_a_pair_counts() -> None:
    """Checks, failures by reason, delays, and what was left behind."""
    pair = Pair("a", "b")
    for at, result in enumerate([replicated, lost, unknown, lost]):
        pair.take("shop", result, at)
    assert pair.checks == 4
    assert pair.failures == {
        Reason.NOT_REPLICATED: 2,
        Reason.BODY_DIFFERS: 0,
        Reason.LOGOUT_FAILED: 2,
        Reason.CONNECT: 1,
    }
    assert (pair.made, pair.ended) == (7, 4)
    assert pair.delays.bounds == DELAYS
    assert (sum(pair.delays.counts), pair.delays.sum) == (1, 0.004)
    assert pair.was_lost
