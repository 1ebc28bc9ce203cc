"""The last money for the dear test is not spent on what a cheap source says."""

from __future__ import annotations

import numpy as np
import pytest

from probewise.planner import NetworkPlanner, NetworkSettings, Planner
from probewise.planner._network_belief import Memory, NetworkBelief
from probewise.planner._network_graph import Network
from probewise.planner._network_options import Proposal
from probewise.planner._network_points import make_pool
from probewise.planner._network_verify import to_verify
from probewise.planner._prices import Prices
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


def changed(noise: float = 0.0, grown: bool = False, test: float = 1.0) -> Workflow:
    """The same with a noisy test, one of another price, or one that needs a sample to be grown for
    half a credit.
    """
    raw = FLOW.model_dump(mode="json")
    raw["steps"][1]["cost_credits"] = price(test)
    if noise:
        raw["steps"][1]["noise"] = {"tested": noise}
    if grown:
        grow = {"name": "grow", "level": 4, "controls": "a", "cost_credits": price(0.5)}
        raw["steps"][1]["requires"] = ["grow"]
        raw["steps"].append(grow)
    return Workflow.model_validate(raw)


def truth(a: float) -> float:
    return float(np.sin(3 * a))


def decoy(a: float) -> float:
    """As the truth, with a second and higher summit at one end."""
    return truth(a) + 4.0 * float(np.exp(-(((a - 0.95) / 0.05) ** 2)))


def told(
    credits: float, seen: bool = True, flow: Workflow = FLOW, worth: float | None = None
) -> Planner:
    """The truth is known where it is good; the simulation has found the wrong summit."""
    goal = Maximize(quantity="tested", worth_credits=worth)
    planner = Planner(flow, goal, Budget(credits=credits))
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
        found = {"simulate": {"simulated": decoy(a)}, "test": {"tested": truth(a)}}
        planner.ingest(action, found.get(action.step, {}))
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


def test_the_whole_way_to_the_test_is_kept_payable() -> None:
    """What must be grown first costs too: with its price alone kept there would be no test."""
    done = played(told(1.55, flow=changed(grown=True)))
    assert done[-2:] == ["grow", "test"], done


@pytest.mark.parametrize(("worth", "made"), [(7.0, False), (20.0, True)])
def test_a_test_that_is_not_worth_its_price_is_not_made_at_the_last(
    worth: float, made: bool
) -> None:
    """What is not spent is worth something itself, and the planner stops with it left."""
    assert ("test" in played(told(1.05, worth=worth))) is made


def test_an_answer_that_was_tested_is_not_tested_again_for_its_noise() -> None:
    planner = told(10.0, flow=changed(noise=0.5))
    network = Network(planner.state.workflow, "tested")

    def last() -> Proposal | None:
        belief = NetworkBelief(network, planner.state, Memory())
        pool = make_pool(belief, 0)
        assert pool.std[pool.answer] > 0.02 * belief.height, "never sure"
        return to_verify(belief, Prices(planner.state), pool)

    found = last()
    assert found is not None and found.x[0] > 0.85
    for _ in range(3):
        planner.learn("test", {"a": float(found.x[0])}, {"tested": 5.0})
    assert last() is None


def test_who_is_blind_for_prices_keeps_what_the_test_costs_and_no_more() -> None:
    """Counted as one credit each, a source and the test would seem to be more than is left."""
    state = told(1.5, flow=changed(test=0.2)).state
    settings = NetworkSettings(estimates="gain", cost_blind=True)
    blind = NetworkPlanner(state.workflow, Maximize(quantity="tested"), settings=settings)
    decision = blind.decide(state)
    assert decision.actions[0].step == "simulate", decision.reason
