"""Whether the probe may judge: incidents pass after a calm, conditions last until they are cured."""

import pytest

from probe.model.fitness import LAG_LIMIT, LASTING, Fitness, Unfit

CALM = 3.0


@pytest.fixture(name="fitness")
def _fitness() -> Fitness:
    return Fitness(CALM, 0.0)


def test_a_start_is_unfit_for_one_calm(fitness: Fitness) -> None:
    """A probe that has just begun to listen cannot tell silence from not having listened."""
    assert fitness.reasons(2.999) == (Unfit.STARTING,)
    assert fitness.deadline(0.0) == CALM
    assert fitness.reasons(CALM) == ()
    assert fitness.deadline(CALM) is None


@pytest.mark.parametrize("reason", sorted(set(Unfit) - LASTING))
def test_an_incident_passes_by_itself(fitness: Fitness, reason: Unfit) -> None:
    """An incident is forgiven one calm after the last of its kind, and cannot be cured earlier."""
    fitness.trouble(reason, 10.0)
    fitness.trouble(reason, 11.0)
    fitness.cured(reason, 11.5)
    assert fitness.reasons(13.9) == (reason,)
    assert fitness.deadline(12.0) == 14.0
    assert fitness.reasons(14.0) == ()


@pytest.mark.parametrize("reason", sorted(LASTING))
def test_a_condition_lasts_until_cured(fitness: Fitness, reason: Unfit) -> None:
    """A condition holds however long, without a deadline; once cured it is forgiven after a calm."""
    fitness.trouble(reason, 10.0)
    assert fitness.reasons(1e9) == (reason,)
    assert fitness.deadline(10.0) is None
    fitness.cured(reason, 100.0)
    fitness.cured(reason, 102.0)
    assert fitness.reasons(102.9) == (reason,)
    assert fitness.reasons(103.0) == ()


def test_a_cure_without_trouble_is_none(fitness: Fitness) -> None:
    """What was never there needs no calm."""
    fitness.cured(Unfit.NOT_JOINED, 10.0)
    assert fitness.reasons(10.0) == ()


def test_a_slow_loop_is_an_incident_from_the_limit_on(fitness: Fitness) -> None:
    """A loop behind by up to half a second is no trouble; beyond it is."""
    fitness.lag(LAG_LIMIT, 10.0)
    assert fitness.reasons(10.0) == ()
    fitness.lag(LAG_LIMIT + 0.001, 10.0)
    assert fitness.reasons(10.0) == (Unfit.LOOP_LAG,)


def test_several_reasons_are_all_named(fitness: Fitness) -> None:
    """Each trouble is named until it passes; the next to pass is the deadline."""
    fitness.trouble(Unfit.SUSPENDED, 10.0)
    fitness.trouble(Unfit.RECEIVE_DROPS, 11.0)
    fitness.trouble(Unfit.INTERFACE_DOWN, 11.0)
    assert set(fitness.reasons(11.0)) == {Unfit.SUSPENDED, Unfit.RECEIVE_DROPS, Unfit.INTERFACE_DOWN}
    assert fitness.deadline(11.0) == 13.0
    assert set(fitness.reasons(13.0)) == {Unfit.RECEIVE_DROPS, Unfit.INTERFACE_DOWN}
