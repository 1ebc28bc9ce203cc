"""Goals beyond the largest value, end to end and as records: what they find and refuse."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from support_campaigns import DESIGNS, SAMPLES, fix_kernel, height, shrink

from probewise.campaign import CampaignSpec
from probewise.campaign._judge import judged
from probewise.campaign._wording import answer_label, answer_text, goal_text
from probewise.matter import SmBfoTruth
from probewise.planner import Planner, _belief, make_policy, policy_names
from probewise.workflow import (
    Action,
    Budget,
    Design,
    Discriminate,
    Estimate,
    Explore,
    FeasibleRegion,
    Goal,
    Pareto,
    Recommendation,
    SpecError,
    Tune,
    Workflow,
)

GOALS: TypeAdapter[Goal] = TypeAdapter(Goal)
VARIABLES = [{"name": "x", "low": 0, "high": 1}, {"name": "y", "low": 0, "high": 1}]
BOTH = {"name": "test", "level": 4, "produces": ["height [V]", "waste [g]"], "cost_credits": 1}
TWO = Workflow.model_validate({"space": VARIABLES, "steps": [BOTH]})
APART = Workflow.model_validate(
    {
        "space": VARIABLES,
        "steps": [
            {"name": "test", "level": 4, "produces": "height [V]", "cost_credits": 4},
            {"name": "weigh", "level": 4, "produces": "waste [g]", "cost_credits": 1},
        ],
        "priors": {"height": {"mean": 0.3, "std": 0.4}, "waste": {"mean": 0.5, "std": 0.4}},
    }
)
FRONT = Pareto(
    aims={"height": "maximize", "waste": "minimize"}, reference={"height": 0.0, "waste": 1.0}
)
REGION = FeasibleRegion.model_validate({"limits": [{"quantity": "height", "above": 0.5}]})


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch.setattr)
    fix_kernel(monkeypatch.setattr, _belief)


def answer(action: Action, design: Design) -> dict[str, Any]:
    values = {"height": height(design), "waste": design["x"], "rough": height(design)}
    names = {"test": ["height", "waste"], "weigh": ["waste"], "look": ["rough"]}
    return {n: values[n] for n in names.get(action.step, [])}


def play(flow: Workflow, goal: Goal, credits: float, policy: str = "planner") -> Planner:
    planner = Planner(flow, goal, Budget(credits=credits), seed=2, policy=policy, capacity=1)
    for _ in range(200):
        actions = planner.suggest()
        if not actions:
            return planner
        given = {p.name for p in flow.step(actions[0].step).produces}
        told = answer(actions[0], actions[0].target.design)
        planner.ingest(actions[0], {k: v for k, v in told.items() if k in given})
    raise AssertionError("it never stopped")


@pytest.mark.slow
def test_the_front_is_found_and_nobody_on_it_is_beaten() -> None:
    found = play(TWO, FRONT, 24).recommend()
    assert found is not None and found.unit == "(V)*(g)"
    assert len(found.front) >= 4
    values = np.array([[height(p.design), -p.design["x"]] for p in found.front])
    assert (np.diff(values[:, 0]) <= 0.05).all() and (np.diff(values[:, 1]) >= -0.05).all()
    assert found.estimate.value > 0.6  # 0.73 for the whole front
    assert all(set(p.estimates) == {"height", "waste"} for p in found.front)


@pytest.mark.slow
def test_aims_that_are_measured_apart_are_both_measured() -> None:
    planner = play(APART, FRONT, 60)
    steps = [a.step for a in planner.state.actions.values()]
    assert 5 <= steps.count("test") <= steps.count("weigh") + 2
    found = planner.recommend()
    assert found is not None and found.estimate.value > 0.5
    assert play(APART, FRONT, 30, "random").recommend() is not None


@pytest.mark.slow
def test_the_reference_is_inferred_where_none_is_given() -> None:
    goal = FRONT.model_copy(update={"reference": {}})
    found = play(TWO, goal, 16).recommend()
    assert found is not None and found.estimate.value > 0 and len(found.front) >= 3


@pytest.mark.slow
def test_the_feasible_share_is_found_with_its_uncertainty() -> None:
    planner = Planner(DESIGNS, REGION, Budget(credits=120), seed=1)
    before = planner.recommend()
    found = play(DESIGNS, REGION, 120).recommend()
    grid = DESIGNS.space.decode(DESIGNS.space.sobol(1024, seed=9))
    share = float(np.mean([height(d) > 0.5 for d in grid]))
    assert before is not None and found is not None
    assert found.estimate.std < 0.5 * before.estimate.std
    assert found.estimate.value == pytest.approx(share, abs=0.1)
    assert 0.0 <= found.estimate.value <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "goal",
    [
        REGION,
        Explore(quantity="height"),
        Pareto(aims={"height": "maximize", "rough": "minimize"}),
        Discriminate.model_validate(
            {"quantity": "height", "hypotheses": [{"name": "slope", "formula": "x"}]}
        ),
    ],
    ids=lambda g: g.kind,
)
def test_goals_are_pursued_with_samples_too(goal: Goal) -> None:
    planner = play(SAMPLES, goal, 90)
    steps = {a.step for a in planner.state.actions.values()}
    assert {"grow", "test"} <= steps
    assert planner.recommend() is not None
    assert planner.state.spent_credits <= 90
    for policy in ("fixed", "single-source"):
        assert play(SAMPLES, goal, 45, policy).recommend() is not None


def test_the_scale_is_learnt_first_where_there_is_no_prior() -> None:
    far = FeasibleRegion.model_validate({"limits": [{"quantity": "waste", "below": 1000.0}]})
    planner = Planner(TWO, far, Budget(credits=30), seed=0, capacity=1)
    for _ in range(3):
        (action,) = planner.suggest()
        x = action.target.design["x"]
        planner.ingest(action, {"height": 0.0, "waste": 4000.0 * x})
    places = np.array([list(a.target.design.values()) for a in planner.state.actions.values()])
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)[~np.eye(3, dtype=bool)]
    assert apart.min() > 0.2
    dear = far.model_copy(update={"worth_credits": 1e-9})
    assert Planner(TWO, dear, Budget(credits=30)).suggest()


def test_several_asked_at_once_know_of_each_other() -> None:
    planner = Planner(TWO, FRONT, Budget(credits=30), seed=0)
    places = np.array([list(a.target.design.values()) for a in planner.suggest(4)])
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)[~np.eye(4, dtype=bool)]
    assert apart.min() > 0.1


# -- records and refusals --------------------------------------------------------------------------

EVERY: list[dict[str, Any]] = [
    {"kind": "pareto", "aims": {"height": "maximize", "rough": "minimize"}},
    {"kind": "feasible_region", "limits": [{"quantity": "height", "above": 0.2, "below": 0.4}]},
    {
        "kind": "discriminate",
        "quantity": "height",
        "hypotheses": [
            {"name": "slope", "formula": "a * x", "parameters": {"a": {"mean": 1, "std": 1}}},
            {"name": "flat", "formula": "0.5", "prior": 2, "tolerance": 0.1},
        ],
    },
    {"kind": "tune", "quantity": "height", "memory_h": 5, "working": "look", "worth_credits": 3},
]


@pytest.mark.parametrize("raw", EVERY, ids=lambda g: g["kind"])
def test_a_goal_comes_from_yaml_and_goes_there_again(raw: dict[str, Any]) -> None:
    goal = GOALS.validate_python(raw)
    assert GOALS.validate_json(GOALS.dump_json(goal)) == goal
    for name in policy_names(goal):
        assert make_policy(name, DESIGNS, goal).name == name
    found = Planner(DESIGNS, goal, Budget(credits=9, hours=9)).recommend()
    assert found is not None and goal_text(goal) and answer_label(found) and answer_text(found)


def test_a_truth_that_knows_nothing_of_a_goal_gives_no_score() -> None:
    goal = GOALS.validate_python(EVERY[0])
    found = Recommendation(goal=goal, estimate=Estimate(value=1.0))
    truth = SmBfoTruth()
    assert judged(truth, found) is None
    with pytest.raises(SpecError):
        judged(truth, found.model_copy(update={"goal": Explore(quantity="height")}))


def test_the_schema_names_every_goal() -> None:
    text = json.dumps(CampaignSpec.model_json_schema())
    for kind in ("pareto", "feasible_region", "discriminate", "tune"):
        assert f'"{kind}"' in text


SAME = {"name": "slope", "formula": "x"}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "one aim": ({"kind": "pareto", "aims": {"height": "maximize"}}, "at least 2"),
    "half a reference": (EVERY[0] | {"reference": {"height": 0.0}}, "complete the reference"),
    "no side": ({"kind": "feasible_region", "limits": [{"quantity": "height"}]}, "above < below"),
    "two limits of one quantity": (
        {
            "kind": "feasible_region",
            "limits": [{"quantity": "height", "above": 0}, {"quantity": "height", "below": 1}],
        },
        "join the limits",
    ),
    "no prediction": (EVERY[2] | {"hypotheses": [{"name": "idea"}]}, "exactly one of the two"),
    "an idle parameter": (
        EVERY[2] | {"hypotheses": [SAME | {"parameters": {"k": {"mean": 0, "std": 1}}}]},
        "use them in the formula",
    ),
    "two of one name": (EVERY[2] | {"hypotheses": [SAME, SAME]}, "rename"),
    "no rival": (EVERY[2] | {"hypotheses": [SAME], "none_prior": 0}, "add a rival"),
    "code in a formula": (
        EVERY[2] | {"hypotheses": [SAME | {"formula": "__import__('os')"}]},
        "write it with these",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_goal_that_means_nothing_is_refused(name: str) -> None:
    raw, words = BAD[name]
    with pytest.raises((SpecError, ValueError)) as caught:
        GOALS.validate_python(raw)
    assert words in str(caught.value)


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "unknown aim": (EVERY[0] | {"aims": {"height": "maximize", "depth": "minimize"}}, "'depth'"),
    "unknown limit": (
        {"kind": "feasible_region", "limits": [{"quantity": "depth", "above": 0}]},
        "'depth'",
    ),
    "prediction of no theory": (
        EVERY[2] | {"hypotheses": [{"name": "idea", "predicts": "rough"}]},
        "theory step",
    ),
    "unknown name in a formula": (
        EVERY[2] | {"hypotheses": [SAME | {"formula": "x * z"}]},
        "'z'",
    ),
    "formula without a value": (
        EVERY[2] | {"hypotheses": [SAME | {"formula": "log(x - 0.5)"}]},
        "finite",
    ),
    "no such working step": (EVERY[3] | {"working": "polish"}, "polish"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_goal_that_the_workflow_cannot_answer_is_refused(name: str) -> None:
    raw, words = UNFIT[name]
    with pytest.raises(SpecError) as caught:
        make_policy("planner", DESIGNS, GOALS.validate_python(raw))
    assert words in str(caught.value)


def test_a_quality_on_samples_cannot_be_tuned() -> None:
    with pytest.raises(SpecError, match="setting of controls"):
        make_policy("planner", SAMPLES, Tune(quantity="height", memory_h=1, worth_credits=1))
