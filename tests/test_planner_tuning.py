"""Tuning under drift: what is believed, and that it beats what forgets nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from probewise.planner import Planner, _drift, make_policy, policy_names
from probewise.planner._drift import Drift, Timed, fit_drift, knowledge_gradients, plan_gains
from probewise.planner._gp import Matern52
from probewise.workflow import Budget, Tune, Workflow

CHECK = {
    "name": "check",
    "level": 3,
    "produces": "sharpness [V]",
    "noise": {"sharpness": 0.05},
    "cost_credits": 0.5,
    "latency_h": 0.25,
}
WORK = {"name": "acquire", "level": 3, "cost_credits": 0, "latency_h": 1}
GOAL = Tune(quantity="sharpness", memory_h=8, working="acquire", worth_credits=10)


def flow(*steps: dict[str, Any]) -> Workflow:
    return Workflow.model_validate(
        {
            "space": [{"name": "focus", "low": 0, "high": 1}],
            "steps": steps or (CHECK, WORK),
            "priors": {"sharpness": {"mean": 0.3, "std": 0.5}},
        }
    )


@pytest.fixture(autouse=True)
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def kept(data: Any, y: Any, width: float, prior: Matern52, memory_h: float) -> Any:
        return Matern52(np.array([0.3]), 1.0), memory_h

    monkeypatch.setattr(_drift, "_fitted", kept)


def quality(focus: float, hour: float) -> float:
    return 1.0 - 4.0 * (focus - 0.5 - 0.4 * np.sin(hour / 6.0)) ** 2


def run(policy: str, goal: Tune = GOAL, hours: float = 24, seed: int = 0) -> tuple[Planner, float]:
    """The planner at the end, and the mean true quality over all hours (0 where nobody works)."""
    steps = (CHECK, WORK) if goal.working else (CHECK,)
    planner = Planner(flow(*steps), goal, Budget(hours=hours), seed=seed, policy=policy, capacity=1)
    rng = np.random.default_rng(seed)
    total = 0.0
    for _ in range(300):
        actions = planner.suggest()
        if not actions:
            return planner, total / hours
        (action,) = actions
        now = quality(action.target.design["focus"], planner.state.now_h)
        if action.step == "acquire" or goal.working is None:
            total += now * planner.state.workflow.step(action.step).latency_h.typical()
        told = {"sharpness": now + 0.05 * float(rng.normal())} if action.step == "check" else {}
        planner.ingest(action, told)
    raise AssertionError("it never stopped")


def test_what_was_measured_fades() -> None:
    data = Timed(np.array([[0.5]]), np.array([0.0]), np.array([1.0]), np.array([0.01]))
    drift = fit_drift(data, 1, 5.0, (0.0, 1.0))
    hours = (0.0, 2.0, 5.0, 50.0)
    means = [float(drift.at(np.array([[0.5]]), h)[0][0]) for h in hours]
    stds = [float(np.sqrt(drift.at(np.array([[0.5]]), h)[1][0, 0])) for h in hours]
    assert means == sorted(means, reverse=True) and means[0] > 0.99 and means[-1] < 0.01
    assert stds == sorted(stds) and stds[-1] == pytest.approx(1.0, abs=0.01)
    still = Drift(data, 0.0, 1.0, drift.kernel, np.inf)
    assert float(still.at(np.array([[0.5]]), 50.0)[0][0]) == pytest.approx(means[0])


def test_the_knowledge_gradient_of_two_settings_is_the_textbooks() -> None:
    mean, covariance = np.array([0.2, 0.0]), np.diag([0.0, 0.25])
    gain = knowledge_gradients(mean, covariance, 0.0)
    z = 0.2 / 0.5
    assert gain[0] == pytest.approx(0.0, abs=1e-9)
    assert gain[1] == pytest.approx(0.5 * (norm.pdf(z) - z * norm.sf(z)), rel=0.03)


def test_a_plan_gains_more_the_longer_it_is() -> None:
    x = np.linspace(0, 1, 12)[:, None]
    rows, gains = plan_gains(np.zeros(12), Matern52(np.array([0.2]), 1.0)(x, x), 0.1, 4)
    assert len(set(rows)) == 4
    assert (np.diff(gains) > 0).all() and gains[0] > 0


@pytest.mark.slow
def test_it_keeps_the_instrument_better_than_what_does_not_forget() -> None:
    planner, ours = run("planner", hours=48)
    _, static = run("static", hours=48)
    _, random = run("random", hours=48)
    assert ours > max(static, random) + 0.1
    assert ours > 0.7
    steps = [a.step for a in planner.state.actions.values()]
    assert 3 < steps.count("check") < steps.count("acquire") * 2
    found = planner.recommend()
    assert found is not None and found.unit == "V" and 0.0 <= found.design["focus"] <= 1.0


@pytest.mark.slow
def test_where_measuring_is_use_it_follows_the_optimum() -> None:
    goal = Tune(quantity="sharpness", memory_h=8, worth_credits=10)
    _, ours = run("planner", goal, hours=16)
    _, random = run("random", goal, hours=16)
    assert ours > random + 0.2 and ours > 0.6


def test_what_is_worth_little_is_checked_less() -> None:
    dear = run("planner", hours=12)[0]
    cheap = run("planner", GOAL.model_copy(update={"worth_credits": 0.1}), hours=12)[0]

    def checks(p: Planner) -> int:
        return sum(a.step == "check" for a in p.state.actions.values())

    assert checks(cheap) < checks(dear)


def test_the_same_seed_gives_the_same_actions_and_policies_have_names() -> None:
    def trace() -> list[Any]:
        return [
            (a.step, a.target.design) for a in run("planner", hours=6)[0].state.actions.values()
        ]

    assert trace() == trace()
    for name in policy_names(GOAL):
        assert make_policy(name, flow(), GOAL).name == name
