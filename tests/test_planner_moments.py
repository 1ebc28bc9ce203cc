"""The belief as one Gaussian: against sampled worlds, and against textbook conditioning."""

from __future__ import annotations

import numpy as np
import pytest
from support_campaigns import DESIGNS

from probewise.planner import Belief, Probe, Worlds
from probewise.planner._moments import (
    Moments,
    gaussian_moments,
    has_closed_form,
    moments_of,
    sampled_moments,
)
from probewise.planner._node import Data
from probewise.workflow import Grid, Step, Workflow

POOL = DESIGNS.space.sobol(12, seed=3)
EVERY = np.arange(len(POOL))


def data(n: int, seed: int, noise: float = 0.02) -> Data:
    x = DESIGNS.space.sobol(n, seed=seed)
    y = np.exp(-6.0 * ((x[:, 0] - 0.3) ** 2 + (x[:, 1] - 0.6) ** 2))
    return Data(x, y, np.full(n, noise**2))


def belief(looks: int = 3, tests: int = 2) -> Belief:
    found = {"rough": data(looks, 1, 0.05), "height": data(tests, 2)}
    return Belief(DESIGNS, ("rough", "height"), {k: v for k, v in found.items() if len(v.y)}, {})


@pytest.mark.parametrize(("looks", "tests"), [(0, 0), (3, 0), (3, 2)])
def test_moments_are_those_of_many_worlds(looks: int, tests: int) -> None:
    made = belief(looks, tests)
    exact = gaussian_moments(made, POOL)
    many = [made.worlds(POOL, "height", seed).values for seed in range(10)]
    for a in made.quantities:
        drawn = np.concatenate([w[a] for w in many])
        std = np.sqrt(exact.variance(a, EVERY))
        assert np.abs(drawn.mean(0) - exact.mean[a]).max() < 0.03
        assert np.abs(drawn.std(0) / std - 1.0).max() < 0.15
    rough = np.concatenate([w["rough"] for w in many])
    height = np.concatenate([w["height"] for w in many])
    scale = np.sqrt(exact.variance("height", EVERY)[:, None] * exact.variance("rough", EVERY))
    sampled = (height - height.mean(0)).T @ (rough - rough.mean(0)) / len(rough)
    gap = sampled - exact.covariance("height", EVERY, "rough", EVERY)
    assert np.abs(gap / scale).max() < 0.1


def test_the_mean_is_the_beliefs_own() -> None:
    made = belief(3, 3)
    exact = gaussian_moments(made, POOL)
    assert exact.mean["rough"] == pytest.approx(made.mean("rough", POOL), abs=1e-9)
    assert exact.mean["height"] == pytest.approx(made.mean("height", POOL), abs=1e-6)


def test_a_theorys_ensemble_has_its_own_moments_and_passes_them_on() -> None:
    theory = Step.model_validate(
        {"name": "simulate", "level": 5, "acts_on": "space", "predicts": "model [V]"}
    )
    flow = Workflow.model_validate(
        DESIGNS.model_dump()
        | {
            "steps": [*(s.model_dump() for s in DESIGNS.steps), theory.model_dump()],
            "sources": {"height": ["model"]},
        }
    )
    ticks = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
    grid = Grid(ticks=ticks, values=((0.0, 0.0, 1.0, 1.0), (0.5, 0.5, 0.5, 0.5)))
    made = Belief(flow, ("model", "height"), {}, {"model": grid})
    exact = gaussian_moments(made, POOL)
    x = POOL[:, 0]
    assert exact.mean["model"] == pytest.approx((x + 0.5) / 2)
    assert exact.variance("model", EVERY) == pytest.approx(((x - 0.5) / 2) ** 2, abs=1e-12)
    through = exact.pairwise("height", "model", EVERY) / np.maximum(
        exact.variance("model", EVERY), 1e-12
    )
    assert through[np.abs(x - 0.5) > 0.1] == pytest.approx(0.9 * 0.4 / 1.0, rel=1e-6)


def test_conditioning_is_a_gaussians() -> None:
    rng = np.random.default_rng(0)
    root = rng.standard_normal((4, 4))
    full = Moments({"f": np.zeros(4)}, {("f", "f"): root @ root.T})
    after = full.given([Probe("f", 1, 0.3)])
    column = full.blocks["f", "f"][:, 1]
    want = full.blocks["f", "f"] - np.outer(column, column) / (column[1] + 0.09)
    assert after.blocks["f", "f"] == pytest.approx(want, abs=1e-6)
    again = after.given([Probe("f", 2, 0.1)]).blocks["f", "f"]
    both = full.given([Probe("f", 1, 0.3), Probe("f", 2, 0.1)]).blocks["f", "f"]
    assert again == pytest.approx(both, abs=1e-6)


def test_moments_of_worlds_forget_correlations_that_are_luck() -> None:
    rng = np.random.default_rng(1)
    half = rng.standard_normal((96, 8))
    values = np.concatenate([half, -half])
    worlds = Worlds(np.zeros((8, 1)), {"f": values}, "f", np.ones(8, dtype=bool))
    found = sampled_moments(worlds).blocks["f", "f"]
    assert np.diag(found) == pytest.approx(values.var(0))
    apart = found[~np.eye(8, dtype=bool)]
    raw = np.cov(values.T, bias=True)[~np.eye(8, dtype=bool)]
    assert np.mean(apart**2) < 0.5 * np.mean(raw**2)


def test_a_chain_of_consumed_quantities_falls_back_to_worlds() -> None:
    chain = Workflow.model_validate(
        {
            "space": DESIGNS.space.model_dump(),
            "steps": [
                {"name": "first", "level": 3, "produces": "mid"},
                {"name": "second", "level": 4, "consumes": "mid", "produces": "end"},
            ],
        }
    )
    made = Belief(chain, ("mid", "end"), {}, {})
    assert has_closed_form(belief()) and not has_closed_form(made)
    worlds = made.worlds(POOL[:4], "end", 0)
    found = moments_of(made, worlds)
    assert found.mean["end"] == pytest.approx(worlds.values["end"].mean(0))
