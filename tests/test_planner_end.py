"""Formulas and conditions on workflows with samples, and without where theory is at work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from support_campaigns import (
    GROW,
    LOAD,
    LOOK,
    PRIOR,
    TEST,
    Bench,
    height,
    shrink,
    workflow,
)

from probewise.planner import HierarchicalPlanner, Planner, left_on_the_table
from probewise.planner._end import End
from probewise.planner._evidence import belief_from, measured_ends
from probewise.planner._view import make_view
from probewise.workflow import (
    Assessed,
    Budget,
    Design,
    Explore,
    Maximize,
    SpecError,
    Target,
    Workflow,
)

GUARDED = Maximize.model_validate({"quantity": "height", "subject_to": ["mass >= 0.6"]})
"""The peak is at x = 0.3, but what is heavy enough begins at 0.6."""
WEIGH: dict[str, Any] = {
    "name": "weigh",
    "level": 3,
    "acts_on": "site",
    "requires": "grow",
    "produces": "mass [g]",
    "noise": {"mass": 0.01},
    "cost_credits": 1,
    "latency_h": 0.1,
}
ON_SITES = (
    GROW,
    LOAD,
    LOOK | {"acts_on": "site", "requires": "load"},
    TEST | {"acts_on": "site", "requires": "grow"},
    WEIGH,
)
PRIORS = {"height": PRIOR, "rough": PRIOR, "mass": {"mean": 0.5, "std": 0.3}}


def flow(*steps: Mapping[str, Any], **more: Any) -> Workflow:
    return workflow(*steps, sources={"height": ["rough"]}, priors=PRIORS, **more)


HEAVY = flow(*ON_SITES)


def answers(design: Design) -> dict[str, float]:
    return {"rough": height(design), "height": height(design), "mass": design["x"]}


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch.setattr)
        yield


def drive(planner: Planner) -> list[str]:
    """To its end, answered with the truth; the steps that were taken."""
    taken: list[str] = []
    while actions := planner.suggest():
        for action in actions:
            step = planner.state.workflow.step(action.step)
            known = answers(action.target.design)
            planner.ingest(action, {p.name: known[p.name] for p in step.produces})
            taken.append(step.name)
    return taken


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param("planner", marks=pytest.mark.slow),
        "fixed",
        pytest.param("single-source", marks=pytest.mark.slow),
    ],
)
def test_conditions_on_what_samples_show_are_kept(policy: str) -> None:
    planner = Planner(HEAVY, GUARDED, Budget(credits=180), policy=policy, capacity=1)
    taken = drive(planner)
    found = planner.recommend()
    assert {"weigh", "test"} <= set(taken)
    assert found is not None and found.design["x"] >= 0.58
    if policy == "planner":
        assert height(found.design) > height({"x": 0.6, "y": 0.6}) - 0.15
        assert found.estimate.value == pytest.approx(height(found.design), abs=0.15)


@pytest.mark.slow
def test_a_formula_of_what_sites_show_is_a_goal() -> None:
    steps = flow(*ON_SITES, formulas={"score": "height - 0.5 * mass"})
    planner = Planner(steps, Maximize(quantity="score"), Budget(credits=130), capacity=1)
    taken = drive(planner)
    found = planner.recommend()
    axis = np.linspace(0, 1, 101)
    best = max(height({"x": x, "y": 0.6}) - 0.5 * x for x in axis)
    assert found is not None and {"weigh", "test"} <= set(taken)
    assert height(found.design) - 0.5 * found.design["x"] > best - 0.1


@pytest.mark.slow
def test_a_condition_may_be_about_variables_and_about_formulas() -> None:
    raw = {"quantity": "height", "subject_to": ["density >= 0.3", "y <= 0.5"]}
    steps = flow(*ON_SITES, formulas={"density": "mass / 2"})
    goal = Maximize.model_validate(raw)
    assert measured_ends(steps, goal) == ("height", "mass")
    planner = Planner(steps, goal, Budget(credits=100), capacity=1)
    drive(planner)
    found = planner.recommend()
    assert found is not None and found.design["y"] <= 0.52 and found.design["x"] >= 0.55


def test_the_mean_under_a_condition_is_weighed_with_its_probability() -> None:
    bench = Bench(HEAVY, GUARDED, credits=500.0)
    bench.do("grow", Target(design={"x": 0.5, "y": 0.6}, sample="s1"))
    x = np.array([[0.5, 0.6]])
    end = End(belief_from(bench.state, ("rough", "height", "mass")), GUARDED, 7)
    worlds = end.worlds(x, 256)
    raw, mass = worlds.values["height"][:, 0], worlds.values["mass"][:, 0]
    kept = float(np.mean(mass >= 0.6))
    guarded = worlds.values[worlds.goal][:, 0]
    (floor,) = np.unique(guarded[mass < 0.6])
    assert 0.1 < kept < 0.9 and end.composed and floor < raw.mean()
    assert guarded.mean() == pytest.approx(
        kept * raw[mass >= 0.6].mean() + (1 - kept) * floor, rel=1e-9
    )


def test_the_condition_is_worth_asking_for_where_it_decides() -> None:
    """Heights are known, masses are not: only weighing can gain."""
    bench = Bench(HEAVY, GUARDED, credits=500.0)
    for k, x in enumerate((0.1, 0.5, 0.8)):
        design = {"x": x, "y": 0.6}
        bench.do("grow", Target(design=design, sample=f"s{k}"))
        for site, place in enumerate(bench.state.inventory.samples[f"s{k}"].sites):
            at = Target(design=place, sample=f"s{k}", site=site)
            bench.do("test", at, {"height": (height(place), 0.001)})
    planner = HierarchicalPlanner(HEAVY, GUARDED)
    view = planner.view(bench.state)
    rows = np.array(list(view.sites.values()))
    assert view.gains("mass", rows).max() > 2.0 * view.gains("height", rows).max()
    assert view.whole_gains(rows).max() >= 0.8 * view.gains("mass", rows).max()


def test_what_breaks_a_condition_everywhere_still_gets_an_answer() -> None:
    raw = {"quantity": "height", "subject_to": ["mass >= 5"]}
    goal = Maximize.model_validate(raw)
    planner = Planner(HEAVY, goal, Budget(credits=80), capacity=1)
    drive(planner)
    found = planner.recommend()
    assert found is not None and np.isfinite(found.estimate.value)


def test_what_is_left_on_the_table_heeds_the_condition() -> None:
    bench = Bench(HEAVY, GUARDED, credits=500.0)
    for k, x in enumerate((0.1, 0.3, 0.6, 0.9)):
        design = {"x": x, "y": 0.6}
        bench.do("grow", Target(design=design, sample=f"s{k}"))
        at = Target(design=bench.state.inventory.samples[f"s{k}"].sites[0], sample=f"s{k}", site=0)
        known = answers(at.design)
        bench.do("test", at, {"height": (known["height"], 0.01)})
        bench.do("weigh", at, {"mass": (known["mass"], 0.01)})
    planner = HierarchicalPlanner(HEAVY, GUARDED)
    answer = planner.recommend(bench.state)
    left = []
    for design in (answer.design, {"x": 0.3, "y": 0.6}):
        found = answer.model_copy(update={"design": design})
        bench.state.apply(Assessed(hour=0, credits=0, recommendation=found))
        told = left_on_the_table(bench.state)
        assert told is not None
        left.append(told.expected)
    assert left[0] < left[1]


def test_plain_goals_are_seen_as_before() -> None:
    bench = Bench(HEAVY, Maximize(quantity="height"), credits=500.0)
    view = make_view(bench.state, bench.state.goal, ("rough", "height"))
    assert not view.compound and view.finals == ("height",) and view.worlds.goal == "height"


def test_other_goals_take_no_formula() -> None:
    steps = flow(*ON_SITES, formulas={"score": "height - 0.5 * mass"})
    with pytest.raises(SpecError, match="maximize over designs"):
        Planner(steps, Explore(quantity="score"))
