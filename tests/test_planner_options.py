"""Options: what they are for, what they cost, and when they are not offered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support_campaigns import (
    BEST,
    DESIGNS,
    LOOK,
    PRIOR,
    SAMPLES,
    TEST,
    Bench,
    height,
    shrink,
    workflow,
)

from probewise.planner import HierarchicalPlanner, View
from probewise.planner._build import build_action
from probewise.planner._design_options import design_options
from probewise.planner._options import Option, plan_price
from probewise.planner._sample_options import library_options, session_options, site_options
from probewise.planner._theory_options import theory_options
from probewise.workflow import Budget, Grid, Maximize, Target, Workflow

FAR = {"x": 0.9, "y": 0.1}
GOAL = Maximize(quantity="height")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch.setattr)


def view(bench: Bench) -> View:
    return HierarchicalPlanner(bench.state.workflow, GOAL).view(bench.state)


def at(options: list[Option], design: dict[str, float]) -> set[str]:
    """Steps offered at a design."""
    return {o.step.name for o in options if o.target.design == design}


def designs_of(bench: Bench) -> list[Option]:
    return design_options(view(bench))


# -- at designs ---------------------------------------------------------------------------------


def test_both_sources_are_offered_all_over_the_space() -> None:
    options = designs_of(Bench(DESIGNS))
    assert {o.step.name for o in options} == {"look", "test"}
    for option in options:
        assert option.kind == "design" and option.value >= 0.0
        assert option.index == pytest.approx(option.value / option.cost)
        assert set(option.target.design) == {"x", "y"}
    cost = {o.step.name: o.cost for o in options}
    assert cost["test"] == pytest.approx(8 * cost["look"])


def test_hours_are_priced_at_what_an_hour_is_worth() -> None:
    free, busy = Bench(DESIGNS), Bench(DESIGNS)
    busy.state.budget = Budget(credits_per_hour=10.0)
    free_cost = {o.step.name: o.cost for o in designs_of(free)}
    cost = {o.step.name: o.cost for o in designs_of(busy)}
    assert cost["test"] == pytest.approx(free_cost["test"] + 10.0, rel=0.02)
    assert cost["look"] == pytest.approx(free_cost["look"] + 2.0, rel=0.02)


def test_waiting_for_a_worker_is_priced_too() -> None:
    bench = Bench(DESIGNS)
    bench.state.budget = Budget(credits_per_hour=10.0)
    before = {o.step.name: o.cost for o in designs_of(bench)}
    bench.begin("test", Target(design=FAR))
    after = {o.step.name: o.cost for o in designs_of(bench)}
    assert after["test"] > before["test"] + 9.0
    assert after["look"] == pytest.approx(before["look"])


def test_the_chain_is_named_after_its_end_and_begins_with_its_first_step() -> None:
    flow = workflow(
        {"name": "scan", "level": 3, "records": "image [nm]", "cost_credits": 2},
        {**TEST, "consumes": "image"},
    )
    bench = Bench(flow)
    (names,) = {(o.step.name, o.label.split()[0]) for o in designs_of(bench)}
    assert names == ("scan", "height")
    assert designs_of(bench)[0].price.credits == pytest.approx(10.0, rel=0.02)
    bench.do("scan", Target(design=FAR))
    assert at(designs_of(bench), FAR) == {"test"}


@pytest.mark.parametrize("trouble", ["running", "failed", "refused"])
def test_a_place_with_trouble_is_left_out(trouble: str) -> None:
    bench = Bench(DESIGNS)
    target = Target(design=FAR)
    bench.do("look", target, {"rough": (0.2, 0.05)})
    assert "look" in at(designs_of(bench), FAR)
    match trouble:
        case "running":
            bench.begin("look", target)
        case "failed":
            bench.fail("look", target, times=3)
        case _:
            bench.refuse("look", target)
    assert "look" not in at(designs_of(bench), FAR)
    elsewhere = [o for o in designs_of(bench) if o.target.design != FAR]
    assert any(o.step.name == "look" for o in elsewhere)


def test_two_failures_are_not_yet_too_many() -> None:
    bench = Bench(DESIGNS)
    bench.fail("look", Target(design=FAR), times=2)
    assert "look" in at(designs_of(bench), FAR)


def test_what_is_known_already_is_worth_less() -> None:
    bench = Bench(DESIGNS)
    target = Target(design=FAR)
    bench.do("test", target, {"height": (0.3, 0.001)})
    for _ in range(2):
        bench.do("test", target, {"height": (0.3, 0.001)})
    tests = [o for o in designs_of(bench) if o.step.name == "test"]
    again = next(o for o in tests if o.target.design == FAR)
    assert again.value < 0.1 * float(np.median([o.value for o in tests]))


# -- on samples ---------------------------------------------------------------------------------


def grown(samples: int = 1) -> Bench:
    bench = Bench(SAMPLES)
    for k in range(samples):
        design = {"x": 0.3 + 0.3 * k, "y": 0.6}
        bench.do("grow", Target(design=design, sample=f"S{k}"))
    return bench


def loaded() -> Bench:
    bench = grown()
    bench.do("load", Target(sample="S0", design={"x": 0.3, "y": 0.6}))
    return bench


def site(bench: Bench, number: int, sample: str = "S0") -> Target:
    return Target(
        design=bench.state.inventory.samples[sample].sites[number], sample=sample, site=number
    )


def test_samples_are_offered_where_they_promise_most() -> None:
    bench = Bench(SAMPLES)
    for k in range(3):
        at_design = Target(design={"x": 0.1 + 0.05 * k, "y": 0.1}, sample=f"S{k}")
        bench.do("grow", at_design)
        bench.do("test", site(bench, 1, f"S{k}"), {"height": (0.02, 0.01)})
    options = library_options(view(bench), [])
    assert {o.kind for o in options} == {"library"}
    best = max(options, key=lambda o: o.value)
    assert best.target.design["y"] > 0.3
    assert 0.0 <= min(o.value for o in options) < 0.8 * best.value
    assert min(o.price.credits for o in options) >= 10.0


def test_a_refused_sample_is_not_offered_again() -> None:
    bench = Bench(SAMPLES)
    first = max(library_options(view(bench), []), key=lambda o: o.index)
    bench.refuse("grow", first.target)
    assert first.target.design not in [o.target.design for o in library_options(view(bench), [])]


def test_what_is_on_its_way_takes_value_from_new_samples() -> None:
    bench = Bench(SAMPLES)
    now = view(bench)
    options = library_options(now, [])
    best = max(options, key=lambda o: o.value)
    after = library_options(now, list(best.probes))
    same = next(o for o in after if o.target == best.target)
    assert same.value < 0.7 * best.value


def test_sessions_are_offered_on_samples_that_nobody_holds() -> None:
    bench = grown(2)
    options = session_options(view(bench), [])
    assert {o.sample for o in options} == {"S0", "S1"}
    for option in options:
        assert option.step.name == "load" and option.probes
        assert option.reach is not None and option.reach.credits >= option.price.credits
        assert option.price.credits >= 2.0


def test_a_session_pays_for_its_mounting_once() -> None:
    bench = grown()
    now = view(bench)
    look = SAMPLES.step("look")
    one = plan_price(now, look, [site(bench, 0)])
    three = plan_price(now, look, [site(bench, k) for k in range(3)])
    mount = now.prices.of(SAMPLES.step("load")).credits
    each = now.prices.of(look).credits
    assert one.credits == pytest.approx(mount + each)
    assert three.credits == pytest.approx(mount + 3 * each)


@pytest.mark.parametrize("trouble", ["running", "failed", "refused", "destroyed"])
def test_no_session_on_a_sample_with_trouble(trouble: str) -> None:
    bench = grown()
    sample = Target(sample="S0", design={"x": 0.3, "y": 0.6})
    match trouble:
        case "running":
            bench.begin("load", sample)
        case "failed":
            bench.fail("load", sample, times=3)
        case "refused":
            bench.refuse("load", sample)
        case _:
            for k in range(3):
                bench.do("test", site(bench, k), {"height": (0.2, 0.02)})
    assert session_options(view(bench), []) == []


def test_sites_are_offered_by_the_first_step_that_is_still_open() -> None:
    bench = loaded()
    options = site_options(view(bench), ["rough"], [("S0", k) for k in range(3)])
    assert {o.step.name for o in options} == {"look"}
    fresh = grown()
    options = site_options(view(fresh), ["rough"], [("S0", 0)])
    assert options[0].step.name == "load" and options[0].label.startswith("rough at S0 pad 0")


@pytest.mark.parametrize("trouble", ["running", "failed", "refused", "destroyed"])
def test_a_site_with_trouble_is_left_out(trouble: str) -> None:
    bench = loaded()
    match trouble:
        case "running":
            bench.begin("look", site(bench, 1))
        case "failed":
            bench.fail("look", site(bench, 1), times=3)
        case "refused":
            bench.refuse("look", site(bench, 1))
        case _:
            bench.do("test", site(bench, 1), {"height": (0.2, 0.02)})
    options = site_options(view(bench), ["rough"], [("S0", k) for k in range(3)])
    assert {o.target.site for o in options} == {0, 2}


def test_a_site_bears_only_so_many_positions() -> None:
    probe = {
        "name": "probe",
        "level": 3,
        "acts_on": "positions",
        "batch": 4,
        "max_positions": 8,
        "requires": "load",
        "produces": "rough [V]",
    }
    steps = [s for s in SAMPLES.steps if s.name != "look"]
    raw: dict[str, Any] = SAMPLES.model_dump() | {"steps": [*steps, probe]}
    bench = Bench(Workflow.model_validate(raw))
    bench.do("grow", Target(design={"x": 0.3, "y": 0.6}, sample="S0"))
    bench.do("load", Target(sample="S0", design={"x": 0.3, "y": 0.6}))
    for half in range(3):
        offered = site_options(view(bench), ["rough"], [("S0", 1)])
        assert bool(offered) == (half < 2)
        spots = tuple((half, k) for k in range(4))
        target = site(bench, 1).model_copy(update={"positions": spots})
        bench.do("probe", target, {"rough": (0.4, 0.05)})


# -- theory -------------------------------------------------------------------------------------

THEORY = workflow(
    LOOK,
    TEST,
    {
        "name": "simulate",
        "level": 5,
        "acts_on": "space",
        "optional": "parameters",
        "predicts": "guess [V]",
    },
    {
        "name": "refit",
        "level": 5,
        "acts_on": "space",
        "consumes": ["height"],
        "records": "parameters [1]",
    },
    sources={"height": ["guess", "rough"]},
    priors={"height": PRIOR, "rough": PRIOR, "guess": PRIOR},
)
SPREAD = Grid(ticks={"x": (0.0, 1.0)}, values=((0.0, 1.0), (1.0, 0.0), (0.2, 0.5)))


def theories(bench: Bench) -> set[str]:
    return {o.step.name for o in theory_options(view(bench))}


def test_theory_is_simulated_fitted_to_news_and_simulated_again() -> None:
    bench = Bench(THEORY)
    assert theories(bench) == {"simulate"}
    bench.end(bench.begin("simulate", Target()), grids={"guess": SPREAD})
    assert theories(bench) == set()
    bench.do("test", Target(design=FAR), {"height": (0.3, 0.02)})
    assert theories(bench) == {"refit"}
    bench.do("refit", Target())
    assert theories(bench) == {"simulate"}
    bench.end(bench.begin("simulate", Target()), grids={"guess": SPREAD})
    assert theories(bench) == set()


@pytest.mark.parametrize("trouble", ["running", "failed", "refused"])
def test_no_theory_while_it_has_trouble(trouble: str) -> None:
    bench = Bench(THEORY)
    match trouble:
        case "running":
            bench.begin("simulate", Target())
        case "failed":
            bench.fail("simulate", Target(), times=3)
        case _:
            bench.refuse("simulate", Target())
    assert theories(bench) == set()


def test_a_theory_of_something_else_is_worth_nothing() -> None:
    flow = workflow(
        TEST,
        {"name": "simulate", "level": 5, "acts_on": "space", "predicts": "guess [V]"},
        priors={"height": PRIOR},
    )
    assert theories(Bench(flow)) == set()


# -- from an option to an action ----------------------------------------------------------------


def test_new_samples_are_numbered_past_those_that_are_there() -> None:
    bench = Bench(SAMPLES)
    bench.place("S001", BEST)
    grow = SAMPLES.step("grow")
    action = build_action(bench.state, grow, Target(design=FAR))
    assert action.target.sample == "S002"
    bench.begin("grow", action.target)
    assert build_action(bench.state, grow, Target(design=FAR)).target.sample == "S003"


def test_actions_carry_the_arrays_and_numbers_that_their_step_takes() -> None:
    bench = Bench(THEORY)
    bench.do("test", Target(design=FAR), {"height": (0.3, 0.02)})
    refit = build_action(bench.state, THEORY.step("refit"), Target(design=FAR))
    assert refit.target == Target()
    assert refit.data == {
        "x": (0.9,),
        "y": (0.1,),
        "quantity": ("height",),
        "value": (0.3,),
        "std": (0.02,),
    }
    bench.do("refit", Target())
    simulate = build_action(bench.state, THEORY.step("simulate"), Target())
    assert len(simulate.inputs["parameters"]) == 1


def test_every_action_has_a_seed_of_its_own_that_comes_back() -> None:
    bench = Bench(DESIGNS)
    look = DESIGNS.step("look")
    first, second = (build_action(bench.state, look, Target(design=FAR)) for _ in range(2))
    assert first == second and first.id == "a00000"
    bench.do("look", Target(design=FAR), {"rough": (height(FAR), 0.1)})
    third = build_action(bench.state, look, Target(design=FAR))
    assert third.id == "a00001" and third.seed != first.seed
    assert build_action(bench.state, look, Target(design=FAR), offset=2).id == "a00003"
