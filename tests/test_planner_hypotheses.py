"""Hypotheses: evidence against closed forms, and what a campaign finds out about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from support_campaigns import fix_kernel, shrink

from probewise.planner import Planner, _belief
from probewise.planner._hypotheses import Weighed, weigh
from probewise.planner._node import Data
from probewise.workflow import (
    NONE_OF_THEM,
    Budget,
    Discriminate,
    Grid,
    Space,
    Workflow,
)

SPACE = Space.model_validate({"variables": [{"name": "x", "low": 0, "high": 10}]})
STEP = {"name": "test", "level": 4, "produces": "y [V]", "noise": {"y": 0.1}, "cost_credits": 1}
FLOW = Workflow.model_validate({"space": SPACE.model_dump(), "steps": [STEP]})
LINE: dict[str, Any] = {
    "name": "line",
    "formula": "a + b * x",
    "parameters": {"a": {"mean": 0, "std": 1}, "b": {"mean": 0, "std": 0.5}},
}
FLAT: dict[str, Any] = {
    "name": "flat",
    "formula": "a",
    "parameters": {"a": {"mean": 0, "std": 2}},
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch.setattr)
    fix_kernel(monkeypatch.setattr, _belief)


def goal(*hypotheses: dict[str, Any], **more: Any) -> Discriminate:
    return Discriminate.model_validate({"quantity": "y", "hypotheses": hypotheses} | more)


def measured(x: list[float], y: list[float], std: float = 0.1) -> Data:
    unit = np.array(x)[:, None] / 10.0
    return Data(unit, np.array(y), np.full(len(x), std**2))


def test_the_evidence_of_linear_formulas_is_that_of_bayesian_regression() -> None:
    x, y = [1.0, 4.0, 7.0], [0.4, 1.3, 2.0]
    found = weigh(goal(LINE, FLAT, none_prior=0.0), SPACE, measured(x, y), {})
    basis = {"line": np.stack([np.ones(3), np.array(x)], 1), "flat": np.ones((3, 1))}
    spread = {"line": np.diag([1.0, 0.25]), "flat": np.array([[4.0]])}
    density = {
        k: multivariate_normal.pdf(y, np.zeros(3), b @ spread[k] @ b.T + 0.01 * np.eye(3))
        for k, b in basis.items()
    }
    want = density["line"] / (density["line"] + density["flat"])
    assert found.probabilities["line"] == pytest.approx(want, rel=1e-3)


def test_prior_weights_count_and_are_kept_while_nothing_is_known() -> None:
    nothing = Data(np.zeros((0, 1)), np.zeros(0), np.zeros(0))
    found = weigh(goal(LINE | {"prior": 3.0}, FLAT, none_prior=0.2), SPACE, nothing, {})
    assert found.probabilities == pytest.approx({"line": 0.6, "flat": 0.2, NONE_OF_THEM: 0.2})
    first = weigh(goal(LINE, FLAT, none_prior=0.0), SPACE, measured([2.0], [0.7]), {})
    tilted = weigh(
        goal(LINE | {"prior": 5.0}, FLAT, none_prior=0.0), SPACE, measured([2.0], [0.7]), {}
    )

    def odds(w: Weighed) -> float:
        return w.probabilities["line"] / w.probabilities["flat"]

    assert odds(tilted) == pytest.approx(5.0 * odds(first), rel=1e-9)


def test_the_order_of_the_data_does_not_matter() -> None:
    x, y = [1.0, 4.0, 7.0, 9.0], [0.4, 1.3, 2.0, 2.2]
    ahead = weigh(goal(LINE, FLAT), SPACE, measured(x, y), {}).probabilities
    back = weigh(goal(LINE, FLAT), SPACE, measured(x[::-1], y[::-1]), {}).probabilities
    assert ahead == pytest.approx(back, rel=1e-6)


def test_tolerance_forgives_a_smooth_departure() -> None:
    exact: dict[str, Any] = {"name": "exact", "formula": "0.3 * x"}
    lenient = exact | {"name": "lenient", "tolerance": 0.5}
    x = [1.0, 3.0, 5.0, 7.0, 9.0]
    bent = [0.3 * v + 0.6 * np.sin(v / 3) for v in x]
    off = weigh(goal(exact, lenient, none_prior=0.0), SPACE, measured(x, bent), {}).probabilities
    on = weigh(
        goal(exact, lenient, none_prior=0.0), SPACE, measured(x, [0.3 * v for v in x]), {}
    ).probabilities
    assert off["lenient"] > 0.99 and on["exact"] > 0.8


def test_a_theory_that_was_not_simulated_is_not_told_from_none_of_them() -> None:
    theory: dict[str, Any] = {"name": "theory", "predicts": "model"}
    x, y = [1.0, 4.0, 7.0], [2.0, -1.0, 2.5]
    found = weigh(goal(LINE, theory, none_prior=0.2), SPACE, measured(x, y), {}).probabilities
    assert found["theory"] / found[NONE_OF_THEM] == pytest.approx(2.0)


def play(hypotheses: Discriminate, truth: Any, flow: Workflow = FLOW, credits: int = 20) -> Planner:
    planner = Planner(flow, hypotheses, Budget(credits=credits), seed=1, capacity=1)
    rng = np.random.default_rng(0)
    for _ in range(60):
        actions = planner.suggest()
        if not actions:
            return planner
        x = actions[0].target.design.get("x", 0.0)
        if actions[0].step == "simulate":
            grid = Grid(ticks={"x": (0.0, 10.0)}, values=((0.0, 3.0), (0.0, 2.6)))
            planner.ingest(actions[0], grids={"model": grid})
        else:
            planner.ingest(actions[0], {"y": float(truth(x)) + 0.1 * float(rng.normal())})
    raise AssertionError("it never stopped")


def test_a_false_hypothesis_is_falsified_and_measuring_ends_when_it_is_sure() -> None:
    planner = play(goal(LINE, FLAT), lambda x: 0.3 * x)
    found = planner.recommend()
    assert found is not None and found.falsified == ("flat",)
    assert next(iter(found.probabilities)) == "line" and found.estimate.value > 0.99
    assert planner.state.spent_credits < 10
    assert sum(found.probabilities.values()) == pytest.approx(1.0)


def test_where_no_hypothesis_holds_it_says_so() -> None:
    found = play(goal(LINE, FLAT), lambda x: 1.0 + np.sin(x)).recommend()
    assert found is not None and next(iter(found.probabilities)) == NONE_OF_THEM
    assert found.falsified == ("line", "flat")


def test_a_theory_is_simulated_first_and_counts_by_what_it_predicted() -> None:
    simulate = {"name": "simulate", "level": 5, "acts_on": "space", "predicts": "model [V]"}
    flow = Workflow.model_validate(
        {"space": SPACE.model_dump(), "steps": [STEP, simulate | {"cost_credits": 0.1}]}
    )
    theory: dict[str, Any] = {"name": "theory", "predicts": "model", "tolerance": 0.1}
    planner = play(goal(theory, FLAT), lambda x: 0.3 * x, flow)
    steps = [a.step for a in planner.state.actions.values()]
    assert steps.count("simulate") == 1 and steps.index("simulate") < 3
    found = planner.recommend()
    assert found is not None and next(iter(found.probabilities)) == "theory"
    assert "flat" in found.falsified
