"""Benchmark problems: known values, optima, and workflows that tell the same story."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from benchmarks._data import data_folder
from benchmarks._gp_draws import matern_draw
from benchmarks._peers_uneven import gittins_index
from benchmarks._problem import Problem, Query, workflow_of
from benchmarks._problems_cascades import cascade
from benchmarks._problems_fidelity import TRUTHS, branin, fidelity_problem
from benchmarks._problems_networks import NETWORKS
from benchmarks._problems_uneven import oven, uneven
from benchmarks.funnels import FAMILIES, Funnel, world
from benchmarks.materials import FILES, material
from probewise.workflow import Design

HAS_DATA = (data_folder() / "freesolv").is_dir()
NEEDS_DATA = pytest.mark.skipif(not HAS_DATA, reason=f"no recordings in {data_folder()}")

SUMMITS: dict[str, dict[str, float]] = {
    "ackmat-1-49": dict.fromkeys((f"x{i}" for i in range(1, 8)), 0.0),
    "manufacturing-5-10-10-45": {"x1": 0.451419, "x2": 0.456618, "x3": -1.0, "x4": -0.677165},
    "gps1-1-49": {"x1": -0.879575},
    "gps2-1-1-1-47": {"x1": 0.103171, "x2": 1.0, "x3": -0.602164},
    "pharma-1-49": {"x1": 0.578052, "x2": -0.810582, "x3": 0.412238, "x4": 0.425487},
    "freesolv-1-9": {"x1": 0.319485, "x2": 0.962941, "x3": 0.557619},
}

MANUFACTURING_X = [-0.86306975, -0.55094607, 0.39837033, -0.87482864]
MANUFACTURING_Y = [0.194045, -0.547733, 0.355626, -2.827751]


def grid(problem: Problem, n: int = 2048) -> np.ndarray:
    unit = problem.space.sobol(n, seed=1)
    return np.array([list(d.values()) for d in problem.space.decode(unit)])


@pytest.mark.parametrize("name", SUMMITS)
def test_a_network_has_its_summit_where_it_was_published_and_nowhere_more(name: str) -> None:
    if name.startswith("freesolv") and not HAS_DATA:
        pytest.skip(f"no recordings in {data_folder()}")
    problem = NETWORKS[name]()
    assert problem.truth(SUMMITS[name]) == pytest.approx(problem.best, abs=2e-3)
    highest = problem.outputs(grid(problem))[problem.goal.quantity].max()
    assert highest <= problem.best + 1e-3


def test_published_values_of_the_networks() -> None:
    """From the published experiments' own functions, evaluated once at their designs of trial 3."""
    made = NETWORKS["manufacturing-5-10-10-45"]()
    first = made.initial_designs(3)[0]
    assert list(first.values()) == pytest.approx(MANUFACTURING_X, abs=1e-6)
    values = made.outputs(np.array([list(first.values())]))
    assert [float(values[q][0]) for q in ("y1", "y2", "y3", "y4")] == pytest.approx(
        MANUFACTURING_Y, abs=1e-5
    )


def test_a_step_may_be_asked_for_at_outputs_of_other_designs() -> None:
    problem = NETWORKS["gps1-1-9"]()
    rng = np.random.default_rng(0)
    design: Design = {"x1": 0.2}
    alone = problem.measure(Query(("f2",), design), rng)
    other = problem.measure(Query(("f2",), design, {"y1": 1.0}), rng)
    second = problem.steps["f2"][0].function
    assert other == {"y2": pytest.approx(float(second(np.array([[1.0]]))[0]))}
    assert alone["y2"] == pytest.approx(problem.truth(design)) and alone != other
    assert problem.charge(Query(("f1", "f2"), design)) == problem.full_cost == 10


@pytest.mark.parametrize("name", ["ackmat-1-1", "pharma-1-9", "gps2-1-1-1-47"])
def test_a_workflow_has_the_steps_prices_and_formulas_of_its_problem(name: str) -> None:
    problem = NETWORKS[name]()
    flow = workflow_of(problem)
    assert [s.name for s in flow.steps] == list(problem.steps)
    assert [s.cost_credits.cap() for s in flow.steps] == [n.cost for n in problem.measured]
    rng = np.random.default_rng(1)
    for node in problem.nodes:
        if node.formula is not None:
            inputs = rng.normal(size=(5, len(node.parents)))
            named = dict(zip(node.parents, inputs.T, strict=True))
            np.testing.assert_allclose(
                flow.formulas[node.quantity](named), node.function(inputs), rtol=1e-12
            )


def test_noise_has_the_declared_spread() -> None:
    problem = NETWORKS["gps1-1-1"]()
    noisy = replace(problem, nodes=tuple(replace(n, noise=0.5) for n in problem.nodes))
    rng = np.random.default_rng(2)
    seen = [noisy.measure(Query(("f1",), {"x1": 0.1}), rng)["y1"] for _ in range(400)]
    assert np.std(seen) == pytest.approx(0.5, rel=0.15)


def test_draws_are_functions_of_their_seed_with_the_prior_s_variance() -> None:
    x = np.random.default_rng(3).uniform(-30, 30, (4000, 2))
    draw = matern_draw(5, 0.5, 2, variance=4.0)(x)
    np.testing.assert_array_equal(draw, matern_draw(5, 0.5, 2, variance=4.0)(x))
    assert draw.var() == pytest.approx(4.0, rel=0.3)
    assert abs(np.corrcoef(draw, matern_draw(6, 0.5, 2, variance=4.0)(x))[0, 1]) < 0.2


@pytest.mark.parametrize("name", TRUTHS)
def test_a_misleading_source_leads_away_from_the_summit(name: str) -> None:
    x = grid(fidelity_problem(name))
    for cheap in ("good", "decoy", "unrelated"):
        problem = fidelity_problem(name, cheap)
        values = problem.outputs(x)
        assert values["tested"].max() <= problem.best * (1 + 1e-6 * np.sign(problem.best))
        found = values["tested"][values["simulated"].argmax()]
        typical = np.median(values["tested"])
        gain = (found - typical) / (problem.best - typical)
        assert gain > 0.6 if cheap == "good" else gain < 0.6
    assert branin(np.array([[np.pi, 2.275]]), 1.0) == pytest.approx(-0.397887, abs=1e-5)


CASCADE_X = [
    [0.4751072, 0.592524, 0.4944792, 0.31385174, 0.9560918, 0.08330224],
    [0.6297032, 0.45838776, 0.8648829, 0.9350284, 0.11440755, 0.653827],
]
CASCADE_Y = {
    "h1": [0.52316481, 0.66702175],
    "h2": [0.477148, 0.39747387],
    "y": [-0.5778473, 0.06426192],
}


@pytest.mark.slow
def test_published_values_of_a_cascade() -> None:
    """From the published generator, with 50 and 2 targets, at its first designs of seed 0."""
    made = cascade((50, 2), 0)
    starts = np.array([list(d.values()) for d in made.initial_designs(3)])
    assert starts[:2] == pytest.approx(np.array(CASCADE_X), abs=1e-6) and len(starts) == 14
    values = made.outputs(starts[:2])
    for quantity, expected in CASCADE_Y.items():
        assert values[quantity] == pytest.approx(expected, abs=1e-4)
    assert made.best == pytest.approx(0.2723572, abs=1e-4)
    assert made.outputs(grid(made))["y"].max() <= made.best


@pytest.mark.parametrize(
    ("name", "at"), [("ackley", 0.5), ("levy", 11 / 20), ("rosenbrock", 6 / 15)]
)
def test_hills_with_a_price_for_every_design(name: str, at: float) -> None:
    from botorch.test_functions.synthetic import Ackley, Levy, Rosenbrock

    problem = uneven(name, 4)
    summit = dict.fromkeys(problem.space.names, at)
    assert problem.truth(summit) == pytest.approx(0.0, abs=1e-12)
    assert problem.charge(Query(("test",), summit)) == pytest.approx(1 + 20 * at)
    x = grid(problem, 256)
    values, published = (
        problem.outputs(x)["y"],
        {
            "ackley": lambda x: -Ackley(dim=4)(2 * x - 1),
            "levy": lambda x: -Levy(dim=4)(20 * x - 10) / 100,
            "rosenbrock": lambda x: -Rosenbrock(dim=4)(15 * x - 5) / 100_000,
        }[name](torch.tensor(x)),
    )
    assert values == pytest.approx(published.numpy()) and values.max() < problem.best
    assert problem.charge(Query(("test",), dict.fromkeys(summit, 0.0))) == problem.full_cost == 1


@pytest.mark.parametrize("name", ["branin", "hartmann"])
def test_in_an_oven_the_first_variable_alone_has_a_price(name: str) -> None:
    problem, truth = oven(name), fidelity_problem(name)
    x = grid(problem, 64)
    there = truth.space.encode(truth.space.decode(x))
    own = truth.outputs(np.array([list(d.values()) for d in truth.space.decode(there)]))["tested"]
    assert problem.outputs(x)["y"] == pytest.approx(own)
    assert problem.best == truth.best
    (step,) = workflow_of(problem).steps
    for row in problem.space.decode(x[:8]):
        charged = problem.charge(Query(("test",), row))
        assert charged == pytest.approx(0.5 + 20 * row["x1"])
        told = step.cost_credits
        assert told.typical(design=row) == told.cap(design=row) == pytest.approx(charged)


def test_a_gittins_index_is_the_reward_for_which_a_look_is_just_worth_its_price() -> None:
    rng = np.random.default_rng(4)
    given = (rng.normal(size=40), 10 ** rng.uniform(-6, 1, 40), 10 ** rng.uniform(-5, 0, 40))
    mean, sigma, price = (torch.tensor(v, requires_grad=True) for v in given)
    index = gittins_index(mean, sigma, price)
    u = (given[0] - index.detach().numpy()) / given[1]
    improvement = given[1] * (norm.pdf(u) + u * norm.cdf(u))
    assert improvement == pytest.approx(given[2], rel=1e-6)
    index.sum().backward()
    assert price.grad is not None and sigma.grad is not None
    assert price.grad.numpy() == pytest.approx(-1.0 / norm.cdf(u), rel=1e-6)
    assert sigma.grad.numpy() == pytest.approx(norm.pdf(u) / norm.cdf(u), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_pool_s_world_belongs_to_its_seed(name: str) -> None:
    first, again, other = world(name, 1), world(name, 1), world(name, 2)
    assert first.best == again.best != other.best
    prices = [[n.cost for n in p.nodes] for p in (first, other)]
    assert (prices[0] == prices[1]) == FAMILIES[name].known
    assert first.truth(first.initial_designs(0)[0]) <= first.best


def test_a_funnel_goes_from_many_to_few_and_recommends_what_it_tested() -> None:
    from benchmarks._runner import play

    problem = world("independent-known", 0)
    funnel = Funnel(problem, 0, widths=(0.2, 0.3))
    trajectory, steps, order = play(problem, funnel, 0)
    assert steps["look"] > steps["scan"] > steps["test"] > 5
    tested = problem.outputs(problem.pool)["quality"][order]  # type: ignore[arg-type]
    assert trajectory[-1].value == tested.max() and len(order) == problem.initial + steps["test"]


@NEEDS_DATA
@pytest.mark.parametrize("name", FILES)
def test_a_material_s_pool_is_its_table(name: str) -> None:
    problem = material(name, 0)
    assert problem.pool is not None and 50 < len(problem.pool) < 250
    values = problem.outputs(problem.pool)["score"]
    assert values.max() == problem.best and len(np.unique(values)) > 20
