"""Inside a specimen: beliefs over positions, and the search for the best of them."""

from __future__ import annotations

import numpy as np
import pytest
from support_campaigns import fix_kernel
from support_films import (
    FEATURES,
    FLOW,
    GOAL,
    GRID,
    RNG,
    SIDE,
    SITE,
    SMOOTH,
    STRUCTURE,
    Film,
    quicken,
)

from probewise.planner import PositionBelief, PositionSearch
from probewise.planner import _positions as module
from probewise.planner._gp import Matrix, Vector
from probewise.planner._position_search import Use
from probewise.planner._positions import Measured, features_of, measured_of, scalar_behind
from probewise.workflow import SpecError, Table

NOTHING = Measured((), np.zeros(0), np.zeros(0))


@pytest.fixture(autouse=True)
def one_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    fix_kernel(monkeypatch.setattr, module)
    quicken(monkeypatch.setattr)


def measured(values: Vector, rows: list[int], std: float = 0.01) -> Measured:
    return Measured(tuple(GRID[i] for i in rows), values[rows], np.full(len(rows), std))


def believed(values: Vector, rows: list[int]) -> PositionBelief:
    return PositionBelief(FEATURES, measured(values, rows))


ROWS = [int(i) for i in RNG.permutation(SIDE**2)[:25]]


def test_before_anything_is_measured_everything_is_alike() -> None:
    nothing = PositionBelief(FEATURES, NOTHING)
    np.testing.assert_array_equal(nothing.mean(), np.zeros(SIDE**2))
    np.testing.assert_allclose(nothing.std(), 1.0)
    assert nothing.positions == GRID


def test_measured_positions_are_reproduced_and_known_best() -> None:
    belief = believed(SMOOTH, ROWS)
    np.testing.assert_allclose(belief.mean()[ROWS], SMOOTH[ROWS], atol=0.05)
    left = [i for i in range(SIDE**2) if i not in ROWS]
    assert belief.std()[ROWS].max() < belief.std()[left].min()


def test_a_property_of_the_structure_is_predicted_where_nothing_was_measured() -> None:
    left = [i for i in range(SIDE**2) if i not in ROWS]
    error = (believed(STRUCTURE, ROWS).mean() - STRUCTURE)[left]
    assert np.sqrt(np.mean(error**2)) < 0.6 * STRUCTURE.std()


def test_std_is_the_root_of_the_covariances_diagonal() -> None:
    belief = believed(SMOOTH, ROWS[:8])
    scale = SMOOTH[ROWS[:8]].std()
    np.testing.assert_allclose(belief.std(), scale * np.sqrt(np.diag(belief.covariance())))


def test_noisier_measurements_count_less() -> None:
    sure = PositionBelief(FEATURES, measured(SMOOTH, ROWS, std=0.01))
    unsure = PositionBelief(FEATURES, measured(SMOOTH, ROWS, std=1.0))
    assert unsure.std().min() > 2.0 * sure.std().min()
    floor = PositionBelief(FEATURES, measured(SMOOTH, ROWS, std=0.0), noise_std=1.0)
    np.testing.assert_allclose(floor.std(), unsure.std())


def mean_variance(covariance: Matrix, noise: float, rows: list[int]) -> float:
    """Variance of the mean over all positions after measuring some."""
    gram = covariance[np.ix_(rows, rows)] + noise * np.eye(len(rows))
    cross = covariance[:, rows]
    return float((covariance - cross @ np.linalg.solve(gram, cross.T)).mean())


def test_positions_for_the_mean_tell_more_than_random_ones() -> None:
    belief = PositionBelief(FEATURES, NOTHING)
    picked = belief.for_mean(4, [])
    noise, covariance = 0.09, belief.covariance()
    own = mean_variance(covariance, noise, [GRID.index(p) for p in picked])
    rng = np.random.default_rng(1)
    random = [
        mean_variance(covariance, noise, [int(i) for i in rng.choice(SIDE**2, 4, replace=False)])
        for _ in range(30)
    ]
    assert own < np.quantile(random, 0.1)


def test_positions_for_the_mean_avoid_what_is_taken_and_end_with_the_site() -> None:
    belief = PositionBelief(FEATURES, NOTHING)
    first = belief.for_mean(3, [])
    second = belief.for_mean(3, list(first))
    assert len(set(first + second)) == 6
    assert len(belief.for_mean(5, GRID[:-2])) == 2


@pytest.mark.slow
def test_a_search_prepares_the_specimen_then_measures_and_reduces_each_position() -> None:
    film = Film(STRUCTURE)
    done = film.run()
    assert done[:5] == ["load", "scan", "describe", "probe", "reduce"]
    assert done[-2:] == ["close", "stop"]
    assert set(done[3:-2:2]) == {"probe"} and set(done[4:-2:2]) == {"reduce"}
    probed = film.state.inventory.status(("film", 0, ())).probed
    assert len(probed) == len(set(probed)) > 15
    assert film.state.spent_credits <= 30
    assert "does not bear" in film.state.sessions["session-001"].reason


@pytest.mark.slow
def test_the_recommendation_is_the_best_measured_position() -> None:
    film = Film(STRUCTURE)
    assert film.search.recommend(film.state) is None
    film.run()
    found = film.search.recommend(film.state)
    assert found is not None and found.position is not None and found.unit == "V"
    probed = film.state.inventory.status(("film", 0, ())).probed
    assert found.position in probed
    assert STRUCTURE[GRID.index(found.position)] == pytest.approx(
        max(STRUCTURE[GRID.index(p)] for p in probed), abs=0.2
    )


@pytest.mark.slow
@pytest.mark.parametrize(("use", "name"), [("structure", "planner"), ("place", "xy-gp")])
def test_searching_beats_drawing_at_random(use: Use, name: str) -> None:
    property_ = STRUCTURE if use == "structure" else SMOOTH

    def best(kind: Use, seed: int) -> float:
        film = Film(property_, kind, seed)
        film.run()
        found = film.search.recommend(film.state)
        assert found is not None and found.position is not None
        return float(property_[GRID.index(found.position)])

    assert PositionSearch(FLOW, GOAL, use).name == name
    found, drawn = ([best(kind, s) for s in range(2)] for kind in (use, "random"))
    assert np.mean(found) >= np.mean(drawn)
    assert max(found) == property_.max()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_positions() -> None:
    def trace(seed: int) -> list[tuple[int, int]]:
        film = Film(SMOOTH, seed=seed)
        film.run()
        return film.state.inventory.status(("film", 0, ())).probed

    assert trace(1) == trace(1) != trace(2)


@pytest.mark.slow
def test_a_search_stops_when_a_position_is_not_worth_its_price() -> None:
    dull, dear = Film(0.001 * SMOOTH, worth_credits=10.0), Film(SMOOTH)
    assert len(dull.run()) < len(dear.run())
    assert "per credit" in dull.state.sessions["session-001"].reason


def test_decisions_tell_what_is_expected_and_what_came_next() -> None:
    film = Film(SMOOTH)
    for _ in range(3 + 2 * 8):
        film.obey(film.search.decide(film.state))
    decision = film.search.decide(film.state)
    assert decision.tier == "session" and set(decision.expected) == {"height"}
    assert decision.index == pytest.approx(decision.value / decision.price_credits)
    gains = [a.value for a in decision.alternatives]
    assert len(gains) == 5 and gains == sorted(gains, reverse=True)
    assert gains[0] <= decision.value
    picked = decision.actions[0].target.positions
    assert all(str(picked[0]) not in a.label for a in decision.alternatives)


def test_a_refused_position_is_not_proposed_again() -> None:
    film = Film(SMOOTH)
    for _ in range(3 + 2 * 8):
        film.obey(film.search.decide(film.state))
    seen = []
    for _ in range(3):
        (action,) = film.search.decide(film.state).actions
        seen.append(action.target.positions)
        film.refuse(action.step, action.target)
    assert len(set(seen)) == 3


def test_a_search_waits_for_the_probe_and_gives_a_broken_one_up() -> None:
    film = Film(SMOOTH)
    decision = film.search.decide(film.state)
    action = film.begin("load", decision.actions[0].target, decision.session, decision.grant)
    assert film.search.decide(film.state).kind == "wait"
    film.end(action)
    film.fail("scan", SITE, times=3)
    broken = film.search.decide(film.state)
    assert broken.kind == "close" and "scan failed three times" in broken.reason


def test_one_specimen_with_one_site_is_needed() -> None:
    film = Film(SMOOTH)
    film.place("second", {})
    with pytest.raises(SpecError, match="2 specimens") as caught:
        film.search.decide(film.state)
    assert "specimens" in caught.value.remedy


def test_bad_positions_are_left_out() -> None:
    film = Film(SMOOTH)
    for _ in range(3):
        film.obey(film.search.decide(film.state))
    table = Table(
        positions=GRID[:3],
        columns={"height": (1.0, 2.0, 3.0), "height_std": (0.1, 0.2, 0.3), "good": (1, 0, 1)},
    )
    action = film.begin("reduce", SITE)
    film.end(action, {"height": (2.0, 0.1)}, tables={"spectra": table})
    known = measured_of(film.state, SITE, "height")
    assert known.positions == (GRID[0], GRID[2])
    np.testing.assert_array_equal(known.values, [1.0, 3.0])
    np.testing.assert_array_equal(known.std, [0.1, 0.3])
    assert features_of(film.state, SITE) == FEATURES
    assert measured_of(film.state, SITE, "contrast").positions == ()


def test_a_positions_step_leads_to_the_scalar_that_is_made_of_its_arrays() -> None:
    assert scalar_behind(FLOW, "probe") == "height"
    assert scalar_behind(FLOW, "load") is None
