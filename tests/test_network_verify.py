"""The last money for the dear test is not spent on what a cheap source says."""

from __future__ import annotations

import numpy as np
import pytest

from probewise.planner import Planner
from probewise.workflow import Budget, Maximize, Workflow


def price(credits: float) -> dict[str, float]:
    """Credits that are known exactly."""
    return {"median": credits, "log_std": 0.0, "cap_factor": 1.0}


FLOW = Workflow.model_validate(
    {
        "space": [{"name": "a", "low": 0, "high": 1}],
        "steps": [
            {"name": "simulate", "level": 5, "produces": "simulated", "cost_credits": price(0.1)},
            {"name": "test", "level": 3, "produces": "tested", "cost_credits": price(1)},
        ],
        "sources": {"tested": ["simulated"]},
    }
)


def truth(a: float) -> float:
    return float(np.sin(3 * a))


def decoy(a: float) -> float:
    """As the truth, with a second and higher summit at one end."""
    return truth(a) + 4.0 * float(np.exp(-(((a - 0.95) / 0.05) ** 2)))


def told(credits: float, seen: bool = True) -> Planner:
    """The truth is known where it is good; the simulation has found the wrong summit."""
    planner = Planner(FLOW, Maximize(quantity="tested"), Budget(credits=credits))
    for a in (0.1, 0.3, 0.45, 0.52, 0.6, 0.75):
        planner.learn("simulate", {"a": a}, {"simulated": decoy(a)})
        planner.learn("test", {"a": a}, {"tested": truth(a)})
    for a in (0.92, 0.95, 0.97) if seen else ():
        planner.learn("simulate", {"a": a}, {"simulated": decoy(a)})
    return planner


def played(planner: Planner) -> list[str]:
    """What is done until nothing is left to do."""
    done: list[str] = []
    for _ in range(60):
        actions = planner.suggest(1)
        if not actions:
            break
        (action,) = actions
        a = float(action.target.design["a"])
        cheap = action.step == "simulate"
        found = {"simulated": decoy(a)} if cheap else {"tested": truth(a)}
        planner.ingest(action, found, cost_credits=0.1 if cheap else 1.0)
        done.append(action.step)
    return done


@pytest.mark.parametrize("credits", [1.05, 1.35])
def test_the_last_test_is_made_where_the_answer_would_be(credits: float) -> None:
    planner = told(credits)
    answer = planner.recommend()
    assert answer is not None and answer.design["a"] > 0.85, "the simulation is believed"
    done = played(planner)
    assert done.count("test") == 1, done
    answer = planner.recommend()
    assert answer is not None and answer.design["a"] < 0.8, "the test was believed more"


def test_the_reason_tells_that_it_was_the_last_chance() -> None:
    planner = told(1.05)
    (action,) = planner.suggest(1)
    assert action.step == "test" and planner.last is not None
    assert "while the budget still pays for seeing the answer" in planner.last.reason
    assert action.target.design["a"] > 0.85


def test_a_source_that_leaves_enough_for_the_test_may_be_asked_first() -> None:
    planner = told(1.35)
    assert len(planner.suggest(1)) == 1
    assert planner.last is not None
    assert "still pays for seeing the answer" not in planner.last.reason


def test_an_answer_that_was_tested_needs_no_test() -> None:
    planner = told(1.05, seen=False)
    for a in np.linspace(0.02, 0.98, 25):
        planner.learn("simulate", {"a": float(a)}, {"simulated": truth(float(a))})
    planner.learn("test", {"a": 0.5236}, {"tested": truth(0.5236)})
    planner.suggest(1)
    assert planner.last is not None
    assert "still pays for seeing the answer" not in planner.last.reason
