"""Rehearsals: possible worlds that are functions, and policies played to the end in them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_campaigns import (
    DESIGNS,
    LOOK,
    PRIOR,
    SAMPLES,
    TEST,
    VARIABLES,
    Bench,
    shrink,
    workflow,
)

from probewise.planner import (
    Contender,
    PlannerSettings,
    Spread,
    contenders,
    forecasts,
    possible_worlds,
    rehearse,
    tasks_for,
)
from probewise.planner._possible_world import PossibleWorld
from probewise.planner._rehearsal import RehearsalTask, branched
from probewise.planner._world_worker import WorldWorker
from probewise.workflow import (
    Action,
    Correlation,
    Estimate,
    Explore,
    Issued,
    LocateBoundary,
    Maximize,
    Recommendation,
    SpecError,
    State,
    Target,
    Workflow,
)

GOAL = Maximize(quantity="height")


def possible_world(state: State, seed: int) -> PossibleWorld:
    return possible_worlds(state, [seed])[0]


LIGHT = PlannerSettings(
    worlds=32,
    space_points=12,
    local_points=8,
    libraries=3,
    grid_points=24,
    wide_points=16,
    quick_fit=True,
)


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch.setattr)
        yield


def told(**budget: Any) -> State:
    limits: dict[str, Any] = {"credits": 60.0, "hours": 50.0} | budget
    bench = Bench(DESIGNS, **limits)
    for x, y, value in ((0.1, 0.2, 0.2), (0.4, 0.6, 0.9), (0.8, 0.3, 0.1)):
        bench.do("test", Target(design={"x": x, "y": y}), {"height": (value, 0.001)})
    return bench.state


def test_a_world_is_a_function_and_honours_what_was_measured() -> None:
    world, again = possible_world(told(), 3), possible_world(told(), 3)
    points = np.random.default_rng(0).random((40, 2))
    whole = world.at("height", points)
    one_by_one = np.array([again.at("height", points[i : i + 1])[0] for i in range(40)[::-1]])
    assert np.allclose(whole, one_by_one[::-1])
    measured = np.array([[0.1, 0.2], [0.4, 0.6], [0.8, 0.3]])
    assert np.allclose(world.at("height", measured), [0.2, 0.9, 0.1], atol=0.01)
    assert not np.allclose(possible_world(told(), 4).at("height", points), whole, atol=0.05)


def test_worlds_spread_as_the_belief_does_and_more_where_nothing_was_measured() -> None:
    points = np.array([[0.4, 0.6], [0.42, 0.58], [0.95, 0.95]])
    drawn = np.stack([w.at("height", points) for w in possible_worlds(told(), range(120))])
    assert drawn.std(0)[0] < 0.02 < drawn.std(0)[1] < drawn.std(0)[2]
    assert 0.2 < drawn.std(0)[2] < 0.6  # the prior's is 0.4


def test_a_cheap_source_goes_with_the_dear_one_in_every_world() -> None:
    state = Bench(DESIGNS, credits=60).state
    points = np.random.default_rng(1).random((60, 2))
    found = []
    for k in range(30):
        world = possible_world(state, k)
        found.append(np.corrcoef(world.at("rough", points), world.at("height", points))[0, 1])
    assert 0.5 < np.mean(found) < 0.99


def test_the_score_is_one_at_the_worlds_best_and_nowhere_larger() -> None:
    world = possible_world(told(), 1)
    space = DESIGNS.space
    designs = space.decode(space.sobol(256, seed=5))
    gains = [
        world.score(Recommendation(goal=GOAL, design=d, estimate=Estimate(value=0))).gain
        for d in designs
    ]
    assert max(gains) <= 1.0 + 1e-9 and max(gains) > 0.8 and abs(np.median(gains)) < 0.25


@pytest.mark.parametrize(
    ("goal", "low", "high"),
    [
        (Explore(quantity="height"), -1.0, 1.0),
        (LocateBoundary(quantity="height", variable="x"), -1.0, 1.0),
    ],
)
def test_other_goals_are_scored_too(goal: Any, low: float, high: float) -> None:
    bench = Bench(DESIGNS, goal, credits=12.0, hours=50.0)
    played = play(bench.state)
    assert played.curve and low <= played.gain <= high


def play(state: State, world: int = 0, policy: str = "planner") -> Any:
    return rehearse(
        RehearsalTask(state, Contender(label=policy, policy=policy, settings=LIGHT), world)
    )


@pytest.mark.slow
def test_a_rehearsal_repeats_and_leaves_the_state_as_it_was() -> None:
    state = told(credits=27.5)
    before = copy.deepcopy(state)
    assert play(state) == play(state)
    assert play(state, 1) != play(state)
    assert vars(state) == vars(before)


def test_in_a_rehearsal_a_design_costs_what_is_told_of_it() -> None:
    told = {"median": 2, "per_unit": {"x": 10}, "log_std": 0, "cap_factor": 1}
    flow = workflow(TEST | {"cost_credits": told, "latency_h": told}, priors={"height": PRIOR})
    state = Bench(flow, credits=40).state
    worker = WorldWorker(possible_world(state, 0), state)
    for number, x in enumerate((0.0, 0.3, 1.0)):
        action = Action(id=f"a{number}", step="test", target=Target(design={"x": x, "y": 0.5}))
        held = state.commitment(action)
        seen = worker.perform(Issued(hour=0, action=action, worker="test", commitment=held), state)
        assert held.credits == held.hours == pytest.approx(2 + 10 * x)
        assert seen.cost_credits == seen.duration_h == pytest.approx(2 + 10 * x, rel=0.3)


def test_a_branch_goes_its_own_way() -> None:
    bench = Bench(SAMPLES, credits=130, hours=60)
    bench.do("grow", Target(design={"x": 0.5, "y": 0.5}, sample="S001"))
    branch = branched(bench.state)
    assert vars(branch) == vars(bench.state)
    branch.inventory.samples["S001"].mounted_on = "eye"
    branch.inventory.places[("S001", None, ())].done["load"] = 9
    branch.observations.clear()
    assert bench.state.inventory.samples["S001"].mounted_on is None
    assert "load" not in bench.state.inventory.places[("S001", None, ())].done
    assert len(bench.state.observations) == 1


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["planner", "fixed", "random", "single-source"])
def test_every_policy_goes_the_way_of_samples(policy: str) -> None:
    played = play(Bench(SAMPLES, credits=130.0, hours=60.0).state, 2, policy)
    assert "grow" in played.steps and {"test", "look"} & set(played.steps)
    assert ("look" in played.steps) is (policy != "single-source")
    assert 30 < played.credits <= 130 and 0 < played.hours <= 60 and played.samples >= 1
    assert played.stopped and played.curve[-1].gain == played.gain


THEORY = Workflow.model_validate(
    {
        "space": VARIABLES,
        "steps": [
            {
                "name": "think", "level": 5, "acts_on": "space", "optional": "wisdom",
                "predicts": "guess [V]", "cost_credits": 0.5,
            },
            {
                "name": "refit", "level": 5, "acts_on": "space", "consumes": "height",
                "records": "wisdom", "cost_credits": 1,
            },
            LOOK,
            TEST,
        ],
        "sources": {"height": ["guess", "rough"]},
        "priors": {"height": PRIOR, "rough": PRIOR, "guess": PRIOR},
    }
)  # fmt: skip


@pytest.mark.parametrize("told", [0.9, -0.9])
def test_an_unseen_theory_is_as_good_as_was_told(told: float) -> None:
    flow = THEORY.model_copy(
        update={
            "sources": {"height": ("guess",)},
            "correlations": {"guess": Correlation(r=told, std=0.02)},
        }
    )
    x = np.random.default_rng(0).random((400, 2))
    found = []
    for seed in range(12):
        world = possible_world(Bench(flow).state, seed)
        found.append(np.corrcoef(world.at("guess", x), world.at("height", x))[0, 1])
    assert np.median(found) == pytest.approx(told, abs=0.12)


@pytest.mark.slow
def test_theory_is_rehearsed_and_drawn_together_by_fits() -> None:
    state = Bench(THEORY, credits=60.0, hours=50.0).state
    played = play(state)
    assert played.steps["think"] >= 1 and played.steps["test"] >= 1
    worker = WorldWorker(possible_world(state, 0), state)
    wide = worker._grid("guess").array().std(0).mean()
    worker._fits = 2
    assert worker._grid("guess").array().std(0).mean() == pytest.approx(wide / 4)


def issued(state: State, step: str, number: int = 0, **where: Any) -> Issued:
    action = Action(id=f"t{number}", step=step, target=Target(**where))
    return Issued(hour=1.0, action=action, worker=step, commitment=state.commitment(action))


def test_luck_belongs_to_the_place_and_not_to_the_order() -> None:
    state = told()
    here: dict[str, Any] = {"design": {"x": 0.5, "y": 0.5}}
    first, second = (WorldWorker(possible_world(state, 5), state) for _ in range(2))
    one = first.perform(issued(state, "test", **here), state)
    second.perform(issued(state, "look", 1, **here), state)
    other = second.perform(issued(state, "test", 2, **here), state)
    again = second.perform(issued(state, "test", 3, **here), state)
    assert one.values == other.values and one.cost_credits == other.cost_credits
    assert again.values != other.values


def test_prices_and_failures_are_those_seen_so_far() -> None:
    bench = Bench(DESIGNS, credits=500.0, hours=500.0)
    where = {"x": 0.3, "y": 0.5}
    for k in range(24):
        target = Target(design={"x": k / 24, "y": 0.5})
        action = bench.begin("look", target)
        bench.end(action, {"rough": (0.3, 0.05)}, cost_credits=1.3)
        if k % 2:
            bench.fail("test", target)
    costs, failed = [], 0
    for k in range(40):
        worker = WorldWorker(possible_world(bench.state, k), bench.state)
        costs.append(
            worker.perform(issued(bench.state, "look", design=where), bench.state).cost_credits
        )
        seen = worker.perform(issued(bench.state, "test", design=where), bench.state)
        failed += seen.failure is not None
    assert 1.2 < np.median(costs) < 1.4
    assert failed > 25


def test_what_runs_comes_to_an_end_in_every_world() -> None:
    bench = Bench(DESIGNS, credits=12.0, hours=50.0)
    bench.begin("test", Target(design={"x": 0.5, "y": 0.5}))
    played = play(bench.state)
    assert played.steps["test"] == 1 and played.credits > 5


@pytest.mark.slow
@settings(max_examples=25)
@given(
    credits=st.floats(1, 90), hours=st.floats(0.5, 40), samples=st.integers(0, 3),
    dose=st.floats(0, 20), world=st.integers(0, 10**6),
    policy=st.sampled_from(["planner", "fixed", "random", "single-source"]),
)  # fmt: skip
def test_no_rehearsal_exceeds_a_budget(
    credits: float, hours: float, samples: int, dose: float, world: int, policy: str
) -> None:
    raw = SAMPLES.model_dump(mode="json")
    for step in raw["steps"]:
        step["dose_e_per_A2"] = {"load": 1, "look": 3}.get(step["name"], 0)
    bench = Bench(
        Workflow.model_validate(raw),
        credits=credits,
        hours=hours,
        samples=samples,
        dose_e_per_A2=dose,
    )
    played = play(bench.state, world, policy)
    assert played.credits <= credits + 1e-9 and played.hours <= hours + 1e-9
    assert played.samples <= samples
    if dose < 1.5:
        assert "look" not in played.steps and "load" not in played.steps


def test_positions_are_not_rehearsed_and_unknown_policies_are_refused() -> None:
    goal = Maximize(quantity="height", over="positions")
    with pytest.raises(SpecError, match="over positions"):
        possible_world(Bench(DESIGNS, goal).state, 0)
    with pytest.raises(SpecError, match="'best'"):
        contenders(GOAL, ["best"])


def test_forecast_counts_what_never_came_as_later_than_all() -> None:
    spread = Spread.of([None, 4.0, 1.0, 3.0, 2.0])
    assert (spread.low, spread.median, spread.high) == (1.0, 3.0, None)
    assert spread.contains(None) and spread.contains(1.0) and not spread.contains(0.5)
    never = Spread.of([None, None])
    assert never.low is None and never.contains(None) and not never.contains(1e9)


@pytest.mark.slow
def test_forecast_has_a_row_a_policy_in_order() -> None:
    among = [Contender(label=n, policy=n, settings=LIGHT) for n in ("planner", "random")]
    tasks = tasks_for(Bench(SAMPLES, credits=60.0, hours=50.0).state, among, worlds=8)
    found = forecasts(map(rehearse, tasks))
    assert [(f.contender, f.worlds) for f in found] == [("planner", 8), ("random", 8)]
    planner, random = found
    assert (planner.gain.median or 0) >= (random.gain.median or 0) - 0.2
    assert planner.credits.high is not None and planner.credits.high <= 60
