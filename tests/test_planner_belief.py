"""Beliefs: exact where theory is exact, honest about sources and theories, pure."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from support_campaigns import DESIGNS, LOOK, PRIOR, TEST, Bench, fix_kernel, kernel, workflow

from probewise.planner import Belief, belief_from, relevant_quantities
from probewise.planner import _belief as module
from probewise.planner._gp import Matrix
from probewise.planner._node import Data, refit_count
from probewise.workflow import Correlation, Grid, Target, Workflow

RNG = np.random.default_rng(0)
X = RNG.random((9, 2))
POOL = RNG.random((12, 2))
WAVE = 0.3 + 0.4 * np.sin(4.0 * X[:, 0]) * X[:, 1]
ONE = workflow(TEST, priors={"height": PRIOR})


@pytest.fixture(autouse=True)
def many_worlds_of_one_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORLDS", 3000)
    fix_kernel(monkeypatch.setattr, module)


def data(y: Matrix, std: float = 1e-3, x: Matrix = X) -> Data:
    return Data(x, y, np.full(len(y), std**2))


def belief(flow: Workflow, **known: Data) -> Belief:
    return Belief(flow, flow.scalars, known, {})


def test_without_data_the_prior_is_believed() -> None:
    nothing = belief(ONE)
    np.testing.assert_allclose(nothing.mean("height", POOL), 0.3)
    worlds = nothing.worlds(POOL, "height", seed=0).values["height"]
    # the spread of the prior, and that of an unknown constant of 0.3 of it
    assert worlds.std(0).mean() == pytest.approx(0.4 * np.hypot(1.0, 0.3), rel=0.08)


def test_the_mean_is_kriging_with_an_uncertain_constant() -> None:
    known = belief(ONE, height=data(WAVE, std=0.05))
    y, noise = (WAVE - 0.3) / 0.4, (0.05 / 0.4) ** 2
    known_kernel = kernel(2)
    gram = known_kernel(X, X) + 0.3**2 + noise * np.eye(len(X))
    expected = 0.3 + 0.4 * (known_kernel(POOL, X) + 0.3**2) @ np.linalg.solve(gram, y)
    np.testing.assert_allclose(known.mean("height", POOL), expected, atol=1e-6)


def test_worlds_agree_with_the_posterior() -> None:
    known = belief(ONE, height=data(WAVE, std=0.05))
    worlds = known.worlds(POOL, "height", seed=1)
    values = worlds.values["height"]
    noise = (0.05 / 0.4) ** 2
    known_kernel = kernel(2)
    gram = known_kernel(X, X) + 0.3**2 + noise * np.eye(len(X))
    cross = known_kernel(POOL, X) + 0.3**2
    variance = 1.0 + 0.3**2 - np.sum(cross * np.linalg.solve(gram, cross.T).T, axis=1)
    assert (worlds.count, worlds.goal, values.shape) == (3000, "height", (3000, 12))
    np.testing.assert_allclose(values.mean(0), known.mean("height", POOL), atol=1e-6)
    np.testing.assert_allclose(values.std(0), 0.4 * np.sqrt(variance), rtol=0.15, atol=2e-3)


def test_worlds_are_mirrored_in_pairs() -> None:
    known = belief(ONE, height=data(WAVE))
    values = known.worlds(POOL, "height", seed=1).values["height"]
    middle = (values[:1500] + values[1500:]) / 2
    np.testing.assert_allclose(middle, np.broadcast_to(middle[0], middle.shape), atol=1e-9)


def test_exact_data_are_interpolated() -> None:
    known = belief(ONE, height=data(WAVE, std=0.0))
    np.testing.assert_allclose(known.mean("height", X), WAVE, atol=2e-3)
    worlds = known.worlds(X, "height", seed=2).values["height"]
    np.testing.assert_allclose(worlds, np.broadcast_to(WAVE, worlds.shape), atol=5e-3)


def test_the_order_of_questions_does_not_matter() -> None:
    known = {"height": data(WAVE), "rough": data(WAVE + 0.1)}
    first, second = belief(DESIGNS, **known), belief(DESIGNS, **known)
    second.mean("rough", X)
    one, two = (b.worlds(POOL, "height", seed=5).values for b in (first, second))
    np.testing.assert_array_equal(one["height"], two["height"])
    other = first.worlds(POOL, "height", seed=6).values["height"]
    assert not np.array_equal(one["height"], other)


def test_a_bigger_pool_does_not_change_the_worlds() -> None:
    known = belief(DESIGNS, height=data(WAVE), rough=data(WAVE + 0.1))
    small = known.worlds(POOL[:5], "height", seed=5).values["height"]
    large = known.worlds(POOL, "height", seed=5).values["height"]
    np.testing.assert_allclose(small, large[:, :5], atol=1e-9)


def factor(quantity: str, known: Belief) -> tuple[float, float]:
    node = known.node(quantity)
    return float(node.beta[1]), float(np.sqrt(node.beta_cov[1, 1]))


def flat_wave(x: Matrix) -> Matrix:
    return 0.3 + 0.4 * np.cos(3.0 * x[:, 1])


def wiggle(x: Matrix) -> Matrix:
    return 0.4 * np.sin(13.0 * x[:, 0] + 2.0) * np.cos(11.0 * x[:, 1])


def test_a_source_that_follows_the_property_keeps_its_factor() -> None:
    x = np.random.default_rng(2).random((25, 2))
    rough, true = 0.3 + wiggle(x), 0.3 + 0.8 * wiggle(x)
    known = belief(DESIGNS, rough=data(rough, x=x), height=data(true, x=x))
    got, std = factor("height", known)
    assert got == pytest.approx(0.8, abs=0.06) and std < 0.1


def test_a_source_that_does_not_correlate_is_dropped() -> None:
    x = np.random.default_rng(2).random((25, 2))
    noise = np.random.default_rng(3).standard_normal(25)
    known = belief(DESIGNS, rough=data(0.3 + 0.4 * noise, x=x), height=data(flat_wave(x), x=x))
    before, _ = factor("height", belief(DESIGNS))
    got, _ = factor("height", known)
    assert before == pytest.approx(0.9)
    assert abs(got) < 0.2


def test_what_was_told_of_a_source_is_where_its_factor_begins() -> None:
    told = DESIGNS.model_copy(update={"correlations": {"rough": Correlation(r=0.5, std=0.05)}})
    known = belief(told)
    assert factor("height", known) == pytest.approx((0.5, 0.05))
    assert known.prior_variance("height") == pytest.approx(0.75)
    assert belief(DESIGNS).prior_variance("height") == pytest.approx(1.0 - 0.9**2)


def test_a_cheap_source_teaches_about_the_dear_one() -> None:
    peak = np.array([[0.5, 0.5]])
    near = np.full((1, 2), 0.5)
    taught = belief(DESIGNS, rough=Data(peak, np.array([1.1]), np.array([1e-6])))
    # two spreads above the prior, nine tenths of which carry over
    assert taught.mean("height", near)[0] == pytest.approx(0.3 + 0.9 * 0.8, rel=0.05)
    before = belief(DESIGNS).worlds(near, "height", seed=0).values["height"].std()
    after = taught.worlds(near, "height", seed=0).values["height"].std()
    assert after < 0.8 * before


def test_worlds_of_sources_average_to_the_mean() -> None:
    known = belief(DESIGNS, rough=data(WAVE + 0.1, 0.05), height=data(WAVE[:3], x=X[:3]))
    worlds = known.worlds(POOL, "height", seed=3).values
    for quantity in ("rough", "height"):
        np.testing.assert_allclose(
            worlds[quantity].mean(0), known.mean(quantity, POOL), atol=0.02, err_msg=quantity
        )


THEORY = workflow(
    LOOK,
    TEST,
    {"name": "simulate", "level": 5, "acts_on": "space", "predicts": "guess [V]"},
    sources={"height": ["guess", "rough"]},
    priors={"height": PRIOR, "rough": PRIOR, "guess": PRIOR},
)
LOG = Workflow.model_validate(
    {
        "space": [
            {"name": "x", "low": 1, "high": 100, "scale": "log"},
            {"name": "y", "low": 0, "high": 1},
        ],
        "steps": [{"name": "simulate", "level": 5, "acts_on": "space", "predicts": "guess [V]"}],
    }
)
GRID = Grid(
    ticks={"y": (0.0, 0.5, 1.0), "x": (0.0, 1.0)},
    values=((0.0, 1.0, 2.0, 3.0, 4.0, 5.0), (5.0, 4.0, 3.0, 2.0, 1.0, 0.0)),
)


def with_theory(grid: Grid, flow: Workflow = THEORY) -> Belief:
    return Belief(flow, flow.scalars, {}, {"guess": grid})


def test_theory_is_interpolated_between_the_nodes_of_its_grid() -> None:
    nodes = with_theory(GRID).theory_members("guess", np.array([[0.0, 0.5], [1.0, 1.0]]))
    np.testing.assert_allclose(nodes, [[2.0, 5.0], [3.0, 0.0]])
    between = with_theory(GRID).theory_members("guess", np.array([[0.25, 0.75]]))
    np.testing.assert_allclose(between, [[3.25], [1.75]])
    np.testing.assert_allclose(with_theory(GRID).mean("guess", POOL), 2.5)


def test_theory_may_leave_variables_out_and_follows_their_scale() -> None:
    grid = Grid(ticks={"x": (1.0, 10.0, 100.0)}, values=((0.0, 1.0, 4.0),))
    x = LOG.space.encode([{"x": 10.0, "y": 0.1}, {"x": 10.0**1.5, "y": 0.9}])
    np.testing.assert_allclose(with_theory(grid, LOG).theory_members("guess", x), [[1.0, 2.5]])


def test_every_world_believes_one_member_of_the_theory() -> None:
    worlds = with_theory(GRID).worlds(POOL, "height", seed=0)
    assert worlds.theory is not None
    members = with_theory(GRID).theory_members("guess", POOL)
    np.testing.assert_allclose(worlds.values["guess"], members[worlds.theory])
    np.testing.assert_array_equal(np.bincount(worlds.theory), [1500, 1500])


def test_theory_is_no_source_before_it_is_simulated() -> None:
    assert belief(THEORY).regressors("rough") == ()
    assert with_theory(GRID).regressors("rough") == ("guess",)
    assert with_theory(GRID).regressors("height") == ("rough",)
    single = Belief(THEORY, ("guess", "height"), {}, {"guess": GRID})
    assert single.regressors("height") == ("guess",)
    assert belief(THEORY).worlds(POOL, "height", seed=0).theory is None


CHAIN = workflow(
    {**LOOK, "name": "first", "produces": "mid [V]", "noise": {}},
    {**TEST, "name": "second", "consumes": "mid", "controls": []},
    priors={"mid": {"mean": 0, "std": 1}, "height": {"mean": 0, "std": 1}},
)


def test_a_function_of_a_measured_quantity_is_learnt_through_it() -> None:
    """height = 2 mid: where mid is known, so is height, wherever in the space that is."""
    mid = np.linspace(-1.0, 1.0, 7)
    x = np.random.default_rng(1).random((7, 2))
    second = Data(x, 2.0 * mid, np.full(7, 1e-6), {"mid": mid})
    far = np.array([[0.05, 0.95]])
    first = Data(np.vstack([x, far]), np.append(mid, 0.5), np.full(8, 1e-6))
    known = belief(CHAIN, mid=first, height=second)
    assert known.mean("height", far)[0] == pytest.approx(1.0, abs=0.05)
    worlds = known.worlds(far, "height", seed=0).values["height"]
    assert worlds.mean() == pytest.approx(1.0, abs=0.05) and worlds.std() < 0.2


def test_what_is_relevant_is_consumed_or_a_source() -> None:
    assert relevant_quantities(DESIGNS, "height") == ("rough", "height")
    assert relevant_quantities(DESIGNS, "rough") == ("rough",)
    assert relevant_quantities(CHAIN, "height") == ("mid", "height")


def test_scales_come_from_the_prior_else_from_the_data() -> None:
    free = workflow(TEST)
    assert belief(ONE, height=data(WAVE)).scale_of("height") == (0.3, 0.4)
    assert belief(free).scale_of("height") == (0.0, 1.0)
    known = belief(free, height=data(np.array([5.0, 7.0]), x=X[:2]))
    assert known.scale_of("height") == (6.0, 1.0)
    assert belief(free, height=data(np.array([50.0]), x=X[:1])).scale_of("height") == (50.0, 50.0)


HERE = Target(design={"x": 0.2, "y": 0.4})


def test_belief_from_a_state_takes_values_and_leaves_failures() -> None:
    bench = Bench(DESIGNS)
    bench.do("look", HERE, {"rough": (0.5, 0.1)})
    bench.fail("look", HERE)
    bench.do("look", HERE, {"rough": (0.7, 0.2)})
    known = belief_from(bench.state, ("rough", "height"))
    np.testing.assert_allclose(known.data["rough"].x, [[0.2, 0.4]] * 2)
    np.testing.assert_allclose(known.data["rough"].y, [0.5, 0.7])
    np.testing.assert_allclose(known.data["rough"].noise, [0.01, 0.04])
    assert "height" not in known.data


def test_a_cumulative_step_replaces_its_earlier_estimate() -> None:
    bench = Bench(workflow({**TEST, "cumulative": True}, priors={"height": PRIOR}))
    bench.do("test", HERE, {"height": (0.5, 0.1)})
    bench.do("test", HERE, {"height": (0.6, 0.05)})
    bench.do("test", Target(design={"x": 0.9, "y": 0.4}), {"height": (0.1, 0.05)})
    known = belief_from(bench.state, ("height",))
    np.testing.assert_allclose(known.data["height"].y, [0.6, 0.1])


def test_inputs_of_a_function_are_those_measured_at_its_place() -> None:
    bench = Bench(CHAIN)
    bench.do("first", HERE, {"mid": (0.25, 0.0)})
    bench.do("second", HERE, {"height": (0.5, 0.0)})
    bench.do("second", Target(design={"x": 0.9, "y": 0.4}), {"height": (0.9, 0.0)})
    known = belief_from(bench.state, ("mid", "height"))
    np.testing.assert_array_equal(known.data["height"].parents["mid"], [0.25, np.nan])


def test_belief_is_a_function_of_the_state_alone() -> None:
    def told() -> Bench:
        bench = Bench(DESIGNS)
        for i, x in enumerate(X):
            target = Target(design={"x": float(x[0]), "y": float(x[1])})
            bench.do("look", target, {"rough": (float(WAVE[i]), 0.05)})
        return bench

    first, second = (belief_from(told().state, DESIGNS.scalars) for _ in range(2))
    one, two = (b.worlds(POOL, "height", seed=9).values["height"] for b in (first, second))
    np.testing.assert_array_equal(one, two)


def test_the_newest_theory_counts() -> None:
    bench = Bench(THEORY)
    for scale in (1.0, 2.0):
        grid = Grid(ticks={"x": (0.0, 1.0)}, values=((0.0, scale),))
        bench.end(bench.begin("simulate", Target()), grids={"guess": grid})
    known = belief_from(bench.state, THEORY.scalars)
    np.testing.assert_allclose(known.theory_members("guess", np.array([[1.0, 0.0]])), [[2.0]])


def test_refits_become_rarer_as_data_grow() -> None:
    due = [refit_count(n) for n in range(60)]
    assert due[:9] == list(range(9))
    assert due == sorted(due) and all(d <= n for n, d in enumerate(due))
    changes = sum(a != b for a, b in pairwise(due[20:]))
    assert 3 <= changes <= 8
    assert all(d >= n / 1.3 - 1 for n, d in enumerate(due))
