"""Scores against the hidden world."""

from __future__ import annotations

import numpy as np
import pytest
from support_twins import workflow

from probewise.matter import SPACE, SmBfoTruth, landscape, make_world
from probewise.workflow import (
    Design,
    DesignSpaceError,
    Estimate,
    Explore,
    FeasibleRegion,
    Goal,
    Limit,
    LocateBoundary,
    Maximize,
    Recommendation,
    SpecError,
)

QUANTITY = "switchable_polarization"
MAXIMIZE = Maximize(quantity=QUANTITY)
TRUTH = SmBfoTruth()


def answer(goal: Goal, design: Design | None = None, value: float = 1.0) -> Recommendation:
    return Recommendation(goal=goal, design=design or {}, estimate=Estimate(value=value))


def test_the_space_is_that_of_the_campaign() -> None:
    assert workflow().space == SPACE


def test_the_best_design_gains_everything_and_the_estimate_does_not_matter() -> None:
    score = TRUTH.score(answer(MAXIMIZE, TRUTH.optimum, value=1e6))
    assert score.gain == pytest.approx(1.0)
    assert score.regret == pytest.approx(0.0, abs=1e-9)


def test_the_best_design_is_the_best_of_many() -> None:
    rng = np.random.default_rng(5)
    around = SPACE.encode([TRUTH.optimum]) + 0.02 * rng.standard_normal((500, 3))
    tried = np.concatenate([around, rng.random((5000, 3))])
    assert TRUTH.polarization(tried).max() <= landscape(make_world(0)).best + 1e-6


def test_a_middling_design_gains_about_nothing() -> None:
    unit = SPACE.sobol(512, seed=2)
    gains = [TRUTH.score(answer(MAXIMIZE, d)).gain for d in SPACE.decode(unit)]
    assert np.median(gains) == pytest.approx(0.0, abs=0.05)
    assert max(gains) <= 1.0


def test_the_feasible_share_is_that_of_the_space() -> None:
    goal = FeasibleRegion(limits=(Limit(quantity=QUANTITY, above=30.0),))
    values = TRUTH.polarization(SPACE.sobol(2048, seed=4))
    share = float(np.mean(values > 30.0))
    score = TRUTH.score(answer(goal, value=share))
    assert score.best == pytest.approx(share, abs=0.03) and score.gain > 0.9
    assert TRUTH.score(answer(goal, value=0.5)).gain == pytest.approx(0.0)


def test_exploring_gains_by_what_is_still_uncertain() -> None:
    goal = Explore(quantity=QUANTITY)
    nothing = TRUTH.score(answer(goal, value=landscape(make_world(0)).std))
    assert nothing.gain == pytest.approx(0.0)
    assert TRUTH.score(answer(goal, value=0.0)).gain == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("variable", "level"),
    [
        ("composition_sm", 0.3),
        ("composition_sm", 0.8),
        ("temperature_C", 0.8),
        ("pressure_mTorr", 0.8),
    ],
)
def test_the_boundary_is_where_the_truth_falls_below_the_level(variable: str, level: float) -> None:
    goal = LocateBoundary(quantity=QUANTITY, variable=variable, level=level)
    design = TRUTH.optimum
    best = TRUTH.score(answer(goal, design)).best
    at = SPACE.encode([design | {variable: best}])
    top = landscape(make_world(0)).best
    assert TRUTH.polarization(at)[0] / top == pytest.approx(level, abs=0.01)
    assert best > design[variable]


def test_a_boundary_that_is_not_there_lies_at_the_end_of_the_range() -> None:
    goal = LocateBoundary(quantity=QUANTITY, variable="pressure_mTorr", level=0.01)
    assert TRUTH.score(answer(goal, TRUTH.optimum)).best == pytest.approx(200.0)


def test_a_boundary_gains_from_the_middle_of_the_range_to_the_true_one() -> None:
    goal = LocateBoundary(quantity=QUANTITY, variable="composition_sm")
    best = TRUTH.score(answer(goal, TRUTH.optimum)).best
    assert best == pytest.approx(make_world(0).boundary_x, abs=0.03)
    assert TRUTH.score(answer(goal, TRUTH.optimum, best)).gain == pytest.approx(1.0)
    assert TRUTH.score(answer(goal, TRUTH.optimum, 0.125)).gain == pytest.approx(0.0)


def test_a_boundary_without_a_design_goes_through_the_optimum() -> None:
    goal = LocateBoundary(quantity=QUANTITY, variable="composition_sm")
    assert TRUTH.score(answer(goal)) == TRUTH.score(answer(goal, TRUTH.optimum))


@pytest.mark.parametrize(
    "goal",
    [
        Maximize(quantity="domain_contrast"),
        Maximize(quantity=QUANTITY, over="positions"),
        LocateBoundary(quantity=QUANTITY, variable="thickness_nm"),
    ],
)
def test_goals_it_does_not_know_are_refused(goal: Goal) -> None:
    with pytest.raises(SpecError):
        TRUTH.score(answer(goal, TRUTH.optimum))


def test_a_design_outside_the_space_is_refused() -> None:
    with pytest.raises(DesignSpaceError):
        TRUTH.score(answer(MAXIMIZE, TRUTH.optimum | {"composition_sm": 0.6}))
    with pytest.raises(DesignSpaceError):
        TRUTH.score(answer(MAXIMIZE))
