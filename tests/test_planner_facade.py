"""The planner by itself: suggestions, answers, budgets, and what it refuses to take in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_campaigns import BEST, DESIGNS, LOOK, SAMPLES, TEST, height, shrink, workflow

from probewise.planner import Planner
from probewise.workflow import (
    Action,
    ActionState,
    Budget,
    Estimate,
    Explore,
    Grid,
    Maximize,
    SpecError,
    Target,
)

GOAL = Maximize(quantity="height")
Answer = dict[str, Any]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch.setattr)


def planner(credits: float | None = 40, flow: Any = DESIGNS, **more: Any) -> Planner:
    return Planner(flow, GOAL, Budget(credits=credits), **more)


def truth(action: Action) -> Answer:
    values = {"look": "rough", "test": "height"}
    name = values.get(action.step)
    return {} if name is None else {name: height(action.target.design)}


def drive(asked: Planner, answer: Callable[[Action], Answer] = truth, most: int = 200) -> None:
    for _ in range(most):
        actions = asked.suggest()
        if not actions:
            return
        asked.ingest(actions[0], answer(actions[0]))
    raise AssertionError("it never stopped")


def test_it_finds_the_peak_within_the_budget_and_says_why_it_stopped() -> None:
    asked = planner(credits=60)
    drive(asked)
    found = asked.recommend()
    assert found is not None and height(found.design) > 0.9
    assert found.unit == "V" and found.goal == GOAL
    assert asked.state.spent_credits <= 60
    assert asked.last is not None and asked.last.kind == "stop" and asked.last.reason
    assert asked.suggest() == [] and asked.state.stopped == asked.last.reason


@pytest.mark.slow
def test_the_recommendation_has_a_value_and_a_spread() -> None:
    asked = planner()
    before = asked.recommend()
    action = Action(id="x", step="test", target=Target(design=BEST))
    assert before is not None and before.estimate.std > 0.1
    drive(asked)
    after = asked.recommend()
    assert after is not None and after.estimate.std < before.estimate.std
    assert after.estimate.value == pytest.approx(height(after.design), abs=0.3)
    assert action.id not in asked.state.actions


def trace(seed: int, policy: str = "planner") -> list[tuple[str, Any]]:
    asked = planner(credits=25, seed=seed, policy=policy)
    drive(asked)
    return [(a.step, a.target.design) for a in asked.state.actions.values()]


@pytest.mark.slow
def test_the_same_seed_and_answers_give_the_same_suggestions() -> None:
    assert trace(1) == trace(1)
    assert trace(1, "random") == trace(1, "random") != trace(2, "random")


def test_asking_twice_gives_different_actions_that_all_count() -> None:
    asked = planner()
    first = asked.suggest(3)
    assert len(first) == 3
    assert len({a.id for a in first}) == len({str(a.target.design) for a in first}) == 3
    assert asked.state.committed_credits == pytest.approx(
        sum(asked.state.commitment(a).credits for a in first)
    )
    for action in reversed(first):
        asked.ingest(action, truth(action))
    assert asked.state.committed_credits == 0.0
    assert {asked.state.states[a.id] for a in first} == {ActionState.COMPLETED}


def test_capacity_limits_what_runs_at_once() -> None:
    asked = planner(capacity=1)
    running = asked.suggest(10)
    assert len({a.step for a in running}) == len(running) <= 2


def test_budgets_hold_with_everything_in_flight() -> None:
    asked = planner(credits=14)
    running = asked.suggest(50)
    assert running and asked.state.committed_credits <= 14
    assert asked.last is not None and asked.last.kind == "wait"
    for action in running:
        asked.ingest(action, truth(action), cost_credits=asked.state.commitment(action).credits)
    assert asked.state.spent_credits <= 14


def test_ask_and_tell_are_other_names() -> None:
    asked = planner()
    (action,) = asked.ask()
    asked.tell(action, truth(action))
    assert len(asked.state.observations) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, Estimate(value=0.5, std=0.05)),
        ((0.5, 0.2), Estimate(value=0.5, std=0.2)),
        (Estimate(value=0.5, std=0.3), Estimate(value=0.5, std=0.3)),
    ],
)
def test_values_are_numbers_pairs_or_estimates(value: Any, expected: Estimate) -> None:
    asked = Planner(workflow(LOOK), Maximize(quantity="rough"))
    (action,) = asked.suggest()
    asked.ingest(action, {"rough": value})
    assert asked.state.observations[0].values == {"rough": expected}


def test_costs_and_hours_default_to_the_medians() -> None:
    asked = Planner(workflow(LOOK), Maximize(quantity="rough"))
    (action,) = asked.suggest()
    asked.ingest(action, {"rough": 0.5})
    (other,) = asked.suggest()
    asked.ingest(other, {"rough": 0.5}, cost_credits=1.25, hours=3.0)
    first, second = asked.state.observations
    assert (first.cost_credits, first.duration_h) == (1.0, pytest.approx(0.2))
    assert (second.cost_credits, second.duration_h) == (1.25, 3.0)
    assert asked.state.now_h == pytest.approx(3.2)


@pytest.mark.parametrize(
    ("told", "given", "allowed"),
    [
        ({"values": {}}, "values for []", "['rough']"),
        ({"values": {"rough": 1.0, "odd": 2.0}}, "odd", "['rough']"),
        ({"values": {"rough": float("nan")}}, "nan", "finite"),
        ({"values": {"rough": (1.0, -0.1)}}, "-0.1", "std >= 0"),
        ({"values": {"rough": None}}, "None", "finite"),
        ({"values": {"rough": 1.0}, "cost_credits": -1.0}, "cost_credits=-1.0", "at least 0"),
        ({"values": {"rough": 1.0}, "hours": float("inf")}, "hours=inf", "finite"),
        (
            {"values": {"rough": 1.0}, "grids": {"odd": Grid(ticks={}, values=((1.0,),))}},
            "grids for ['odd']",
            "exactly []",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_taken_in(
    told: Answer, given: str, allowed: str
) -> None:
    asked = Planner(workflow(LOOK), Maximize(quantity="rough"))
    (action,) = asked.suggest()
    with pytest.raises(SpecError) as caught:
        asked.ingest(action, **told)
    assert given in caught.value.given and allowed in caught.value.allowed
    assert caught.value.remedy
    assert list(asked.state.running) == [action.id] and not asked.state.observations
    asked.ingest(action, {"rough": 1.0})


def test_an_action_is_ingested_once() -> None:
    asked = planner()
    (action,) = asked.suggest()
    asked.ingest(action, truth(action))
    with pytest.raises(SpecError, match="not running") as caught:
        asked.ingest(action, truth(action))
    assert action.id in caught.value.who


def test_a_failure_is_charged_and_the_planner_goes_on() -> None:
    asked = planner()
    (action,) = asked.suggest()
    asked.ingest(action, failure="the tip broke", cost_credits=0.5)
    assert asked.state.states[action.id] == ActionState.FAILED
    assert asked.state.spent_credits == 0.5
    assert asked.suggest()


def test_a_step_that_always_fails_somewhere_is_left_alone_there() -> None:
    asked = planner(credits=100)
    places: dict[str, int] = {}
    for _ in range(30):
        for action in asked.suggest():
            key = f"{action.step} {action.target.design}"
            places[key] = places.get(key, 0) + 1
            asked.ingest(action, failure="no contact")
    assert max(places.values()) <= 3 and len(places) > 5


def test_steps_that_record_arrays_work_without_the_arrays() -> None:
    flow = workflow(
        {"name": "scan", "level": 3, "records": "image [nm]", "cost_credits": 1},
        {"name": "fit", "level": 1, "consumes": "image", "produces": "height [V]"},
    )
    asked = planner(flow=flow, credits=12)
    drive(asked, lambda a: {"height": height(a.target.design)} if a.step == "fit" else {})
    steps = [a.step for a in asked.state.actions.values()]
    assert steps[:4] == ["scan", "fit", "scan", "fit"]
    scans = [a.target.design for a in asked.state.actions.values() if a.step == "scan"]
    fits = [a.target.design for a in asked.state.actions.values() if a.step == "fit"]
    assert fits == scans[: len(fits)]


def test_theory_tells_its_grid() -> None:
    simulate = {"name": "simulate", "level": 5, "acts_on": "space", "predicts": "guess [V]"}
    flow = workflow(TEST, simulate | {"cost_credits": 0.1}, sources={"height": ["guess"]})
    asked = planner(flow=flow)
    grid = Grid(ticks={"x": (0.0, 1.0)}, values=((0.0, 1.0), (0.0, 2.0)))
    steps = []
    for _ in range(4):
        (action,) = asked.suggest()
        steps.append(action.step)
        if action.step == "simulate":
            with pytest.raises(SpecError, match="grids"):
                asked.ingest(action, {})
            asked.ingest(action, grids={"guess": grid})
        else:
            asked.ingest(action, truth(action))
    assert steps.count("simulate") == 1


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["planner", "fixed", "random"])
def test_samples_are_made_loaded_looked_at_and_tested(policy: str) -> None:
    asked = planner(flow=SAMPLES, credits=90, policy=policy)
    drive(asked)
    actions = list(asked.state.actions.values())
    steps = [a.step for a in actions]
    assert steps[0] == "grow" and "load" in steps and "look" in steps
    assert policy == "planner" or "test" in steps
    for action in actions:
        target = action.target
        before = actions[: actions.index(action)]
        own = [a.step for a in before if a.target.sample == target.sample]
        assert action.step == "grow" or "grow" in own
        assert action.step != "look" or "load" in own
    tested = [(a.target.sample, a.target.site) for a in actions if a.step == "test"]
    assert len(tested) == len(set(tested))
    assert not asked.state.open_sessions()
    assert asked.state.spent_credits <= 90


def test_bad_goals_and_policies_are_refused_at_once() -> None:
    with pytest.raises(SpecError, match="no_such"):
        Planner(DESIGNS, Maximize(quantity="no_such"))
    with pytest.raises(SpecError, match="clever"):
        planner(policy="clever")
    with pytest.raises(SpecError, match="xy-gp"):
        Planner(DESIGNS, Explore(quantity="height"), policy="xy-gp")


@pytest.mark.slow
@settings(max_examples=8)
@given(
    credits=st.floats(5, 40),
    share=st.floats(0, 1),
    policy=st.sampled_from(["planner", "random", "fixed"]),
    answers=st.lists(st.booleans(), min_size=20, max_size=20),
)
def test_no_answer_makes_it_overspend(
    credits: float, share: float, policy: str, answers: list[bool]
) -> None:
    """Whatever is charged within the caps, and whatever fails."""
    asked = planner(credits=credits, policy=policy)
    for works in answers:
        actions = asked.suggest(2)
        state = asked.state
        assert state.spent_credits + state.committed_credits <= credits + 1e-9
        if not actions:
            assert asked.last is not None and asked.last.reason
            break
        for action in actions:
            cost = share * state.commitment(action).credits
            if works:
                asked.ingest(action, truth(action), cost_credits=cost)
            else:
                asked.ingest(action, failure="no", cost_credits=cost)
    assert asked.state.spent_credits <= credits + 1e-9
