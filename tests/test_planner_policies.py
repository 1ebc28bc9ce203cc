"""Policies by name, and the baselines: what they measure, in which order, and when they give up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support_campaigns import (
    DESIGNS,
    LOOK,
    SAMPLES,
    TEST,
    Bench,
    height,
    shrink,
    workflow,
)

from probewise.planner import make_policy, policy_names
from probewise.planner._policies import OVER_DESIGNS, OVER_POSITIONS
from probewise.workflow import (
    Action,
    Decided,
    Explore,
    LocateBoundary,
    Maximize,
    SpecError,
    Workflow,
)

GOAL = Maximize(quantity="height")
BASELINES = ["fixed", "random", "single-source", "cheap-first"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch.setattr)


def truth(action: Action) -> Mapping[str, tuple[float, float]] | None:
    name = {"look": "rough", "test": "height"}.get(action.step)
    return {name: (height(action.target.design), 0.05)} if name else None


def play(
    policy: str,
    flow: Workflow = SAMPLES,
    answer: Callable[[Action], Any] = truth,
    seed: int = 0,
    most: int = 300,
    goal: Any = GOAL,
    **budget: Any,
) -> Bench:
    """Let a policy run to its end; an answer that is a text is a failure."""
    bench = Bench(flow, goal, seed=seed, **({"credits": 130} | budget))
    chosen = make_policy(policy, flow, goal)
    for _ in range(most):
        decision = chosen.decide(bench.state)
        if decision.kind == "stop":
            bench.state.stopped = decision.reason
            return bench
        if decision.kind == "act":
            (action,) = decision.actions
            bench.begin(action.step, action.target, action.session, decision.grant)
            continue
        if decision.kind == "close":
            bench.state.apply(Decided(hour=bench.state.now_h, decision=decision))
            continue
        running = min(bench.state.running.values(), key=lambda i: i.action.id).action
        told = answer(running)
        if isinstance(told, str):
            bench.end(running, failure=told)
        else:
            bench.end(running, told)
    raise AssertionError(f"{policy} never stopped")


def steps(bench: Bench) -> list[str]:
    return [a.step for a in bench.state.actions.values()]


def test_every_name_makes_a_policy_of_that_name() -> None:
    for goal in (GOAL, Explore(quantity="height")):
        assert policy_names(goal) == (*OVER_DESIGNS, "rehearsed")
        for name in OVER_DESIGNS:
            assert make_policy(name, DESIGNS, goal).name == name
    boundary = LocateBoundary(quantity="height", variable="x")
    assert make_policy("planner", DESIGNS, boundary).name == "planner"
    over = Maximize(quantity="height", over="positions")
    assert policy_names(over) == OVER_POSITIONS
    assert {make_policy(name, SAMPLES, over).name for name in OVER_POSITIONS} == set(OVER_POSITIONS)


def test_a_policy_for_another_goal_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        make_policy("fixed", SAMPLES, Maximize(quantity="height", over="positions"))
    assert "fixed" in caught.value.given and "xy-gp" in caught.value.allowed


@pytest.mark.parametrize("policy", BASELINES)
def test_a_baseline_keeps_the_budget_and_recommends(policy: str) -> None:
    bench = play(policy)
    found = make_policy(policy, SAMPLES, GOAL).recommend(bench.state)
    assert found is not None and set(found.design) == {"x", "y"} and found.unit == "V"
    assert found.estimate.std < 0.3
    assert 50 < bench.state.spent_credits <= 130
    assert bench.state.stopped and not bench.state.open_sessions()


def test_the_fixed_workflow_does_everything_on_each_sample_of_its_grid() -> None:
    bench = play("fixed", credits=100)
    first = [a.step for a in bench.state.actions.values() if a.target.sample == "S001"]
    assert first == ["grow", "load", *["look"] * 3, *["test"] * 3]
    made = [a.target.design for a in bench.state.actions.values() if a.step == "grow"]
    assert {v for design in made[:4] for v in design.values()} <= {0.25, 0.75}
    assert len({tuple(d.values()) for d in made}) == len(made)
    fixed = make_policy("fixed", SAMPLES, GOAL)
    begun = [fixed.decide(Bench(SAMPLES, seed=k).state) for k in range(5)]
    assert len({str(d.actions[0].target.design) for d in begun}) > 1


def test_the_fixed_workflow_ends_with_its_grid() -> None:
    bench = play("fixed", workflow(TEST), credits=1000, hours=1000)
    assert len(steps(bench)) == 4 + 1 + 8  # quarters, centre, thirds without the centre
    assert bench.state.stopped == "the plan is done or the budget used up"


def test_random_search_screens_half_of_the_sites_and_tests_two() -> None:
    bench = play("random", credits=200)
    first = [a for a in bench.state.actions.values() if a.target.sample == "S001"]
    looked = [a.target.site for a in first if a.step == "look"]
    tested = [a.target.site for a in first if a.step == "test"]
    assert len(looked) == 1 and len(set(tested)) == 2 and looked[0] in tested
    other = play("random", credits=200, seed=1).state.actions.values()
    assert [a.target for a in other] != [a.target for a in bench.state.actions.values()]


def test_single_source_spends_on_the_goals_own_measurement_alone() -> None:
    bench = play("single-source")
    assert set(steps(bench)) == {"grow", "test"}
    assert set(steps(play("single-source", DESIGNS))) == {"test"}


@pytest.mark.slow
def test_single_source_measures_what_its_step_consumes() -> None:
    chain = workflow(
        {**LOOK, "produces": "mid [V]", "noise": {}},
        {**TEST, "consumes": "mid", "controls": []},
        priors={"mid": {"mean": 0, "std": 1}, "height": {"mean": 0, "std": 1}},
    )

    def answer(action: Action) -> dict[str, tuple[float, float]]:
        name = "mid" if action.step == "look" else "height"
        return {name: (height(action.target.design), 0.01)}

    bench = play("single-source", chain, answer, credits=60)
    assert set(steps(bench)) == {"look", "test"}


@pytest.mark.parametrize("policy", BASELINES)
@pytest.mark.parametrize("flow", [DESIGNS, SAMPLES], ids=["designs", "samples"])
def test_a_baseline_ends_although_everything_fails(policy: str, flow: Workflow) -> None:
    bench = play(policy, flow, lambda action: "it slipped", credits=60)
    assert bench.state.stopped and bench.state.spent_credits <= 60


@pytest.mark.parametrize("policy", ["fixed", "random"])
def test_a_step_that_always_fails_is_tried_three_times_and_the_plan_goes_on(policy: str) -> None:
    flow = workflow({**LOOK, "records": "image [nm]"}, {**TEST, "consumes": "image"})

    def answer(action: Action) -> Any:
        bad = action.target.design["x"] < 0.5
        return "it slipped" if bad and action.step == "look" else truth(action)

    bench = play(policy, flow, answer, credits=100)
    tries: dict[tuple[float, ...], int] = {}
    for action in bench.state.actions.values():
        key = tuple(action.target.design.values())
        tries[key] = tries.get(key, 0) + (action.step == "look")
    assert {n for (x, *_), n in tries.items() if x < 0.5} == {3}
    assert {n for (x, *_), n in tries.items() if x >= 0.5} == {1}
    assert "test" in steps(bench)


def test_a_refused_design_is_passed_over() -> None:
    flow = workflow({**LOOK, "records": "image [nm]"}, {**TEST, "consumes": "image"})
    bench = Bench(flow, GOAL, credits=100)
    policy = make_policy("fixed", flow, GOAL)
    (first,) = policy.decide(bench.state).actions
    bench.refuse("look", first.target)
    (second,) = policy.decide(bench.state).actions
    assert (first.step, second.step) == ("look", "look")
    assert second.target.design != first.target.design


def test_a_sample_whose_session_ended_early_is_tested_nevertheless() -> None:
    def answer(action: Action) -> Any:
        return "it slipped" if action.step == "load" else truth(action)

    bench = play("fixed", SAMPLES, answer, credits=70)
    assert steps(bench).count("load") >= 3 and "look" not in steps(bench)
    assert "test" in steps(bench)


@pytest.mark.parametrize("policy", BASELINES)
def test_a_goal_inside_sessions_is_not_tested_outside(policy: str) -> None:
    """``rough`` needs a loaded sample; nothing but a session may measure it."""
    goal = Maximize(quantity="rough")
    bench = play(policy, SAMPLES, goal=goal, credits=60)
    for action in bench.state.actions.values():
        assert (action.session is None) == (action.step == "grow")
    assert "look" in steps(bench)


def test_specimens_that_are_there_are_tested_and_nothing_is_made() -> None:
    flow = workflow({**TEST, "acts_on": "site", "destroys": True})
    bench = Bench(flow, GOAL, credits=130)
    bench.place("old", {"x": 0.1, "y": 0.2}, {"x": 0.4, "y": 0.5})
    policy = make_policy("fixed", flow, GOAL)
    seen = []
    for _ in range(2):
        (action,) = policy.decide(bench.state).actions
        seen.append((action.target.sample, action.target.site))
        bench.do(action.step, action.target, truth(action))
    assert seen == [("old", 0), ("old", 1)]
    assert policy.decide(bench.state).kind == "stop"


@pytest.mark.parametrize("policy", ["planner", *BASELINES])
def test_policies_are_functions_of_the_state(policy: str) -> None:
    bench = Bench(SAMPLES, GOAL, credits=130)
    for _ in range(4):
        decision = make_policy(policy, SAMPLES, GOAL).decide(bench.state)
        assert make_policy(policy, SAMPLES, GOAL).decide(bench.state) == decision
        if not decision.actions:
            break
        (action,) = decision.actions
        begun = bench.begin(action.step, action.target, action.session, decision.grant)
        bench.end(begun, truth(begun))


def test_cheap_first_screens_half_the_budget_and_tests_the_best() -> None:
    bench = play("cheap-first", credits=130)
    actions = list(bench.state.actions.values())
    order = steps(bench)
    first = order.index("test")
    assert "look" in order[:first] and "grow" not in order[first:]
    looked = {
        (a.target.sample, a.target.site): height(a.target.design)
        for a in actions[:first]
        if a.step == "look"
    }
    opened = (actions[first].target.sample, actions[first].target.site)
    held = {s for s, _ in looked if s != opened[0]}
    assert looked[opened] >= max(h for (s, _), h in looked.items() if s not in held)
    assert order.count("test") >= 2


def test_cheap_first_without_samples_asks_the_cheap_source_first() -> None:
    sourced = workflow(LOOK, TEST, sources={"height": ["rough"]})
    order = steps(play("cheap-first", sourced, credits=60))
    assert set(order[: order.index("test")]) == {"look"}
    assert set(order[order.index("test") :]) == {"test"}


@pytest.mark.slow
def test_cost_blind_counts_steps_not_credits() -> None:
    blind, planner = (steps(play(name, credits=130)) for name in ("cost-blind", "planner"))
    share = [order.count("test") / len(order) for order in (blind, planner)]
    assert share[0] > share[1]
