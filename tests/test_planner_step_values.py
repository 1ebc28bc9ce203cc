"""Step values: detours in rehearsals, the regression over them, and what it changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support_campaigns import DESIGNS, SAMPLES, Bench, raw_library_spec, shrink, spec_of

from probewise.campaign._forecast import write_step_values
from probewise.campaign._load_spec import load_spec, read_step_values
from probewise.planner import (
    HierarchicalPlanner,
    PlannerSettings,
    StepValues,
    detour_tasks,
    learn_step_values,
    rehearse,
    utility,
)
from probewise.planner._playthrough import Playthrough
from probewise.planner._preferences import ByStepValues, Detour
from probewise.planner._step_values import Crossroads
from probewise.workflow import Explore, Maximize, SpecError, Target

GOAL = Maximize(quantity="height")


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch.setattr)
        yield


def bench(credits: float = 60.0) -> Bench:
    return Bench(SAMPLES, GOAL, credits=credits, hours=60)


def at(pair: str = "test > grow", left: float = 0.5, ratio: float = 0.0) -> Crossroads:
    return Crossroads(
        pair=pair, credits_left=left, hours_left=1, known=1, ratio=ratio, price=0.2, first_price=0.1
    )


def told(world: int, detour: int, gain: float, where: Crossroads | None = None) -> Playthrough:
    """A rehearsal that came to ``gain``."""
    return Playthrough(
        contender="planner", place=0, world=world, gain=gain, true_value=gain, best=1.0,
        credits_to_target=None, hours_to_target=None, credits=60, hours=9, samples=1, decisions=9,
        stopped="", steps={}, curve=(), regret=1 - gain, detour=detour, crossroads=where,
    )  # fmt: skip


def learned(slope: float = 0.4) -> StepValues:
    """From rehearsals where growing instead of testing pays while much of the budget is left."""
    rng = np.random.default_rng(0)
    played = []
    for world in range(40):
        played.append(told(world, 0, 0.5))
        left = float(rng.random())
        gain = 0.5 + slope * (left - 0.5) + 0.02 * float(rng.standard_normal())
        played.append(told(world, 1, gain, at(left=left)))
        played.append(told(world, 2, 0.5))  # came by no crossroads
    return learn_step_values(reversed(played), bench().state)


def test_what_departing_gained_is_learned() -> None:
    values = learned()
    assert values.trials == 40 and values.pairs == ("test > grow",)
    for left in (0.1, 0.5, 0.9):
        mean, error = values.advantage(at(left=left))
        assert mean == pytest.approx(0.9 * 0.4 * (left - 0.5), abs=0.04) and 0 < error < 0.05
    assert values.departs(at(left=0.9)) is not None
    assert values.departs(at(left=0.1)) is None
    assert values.departs(at(pair="test > load", left=0.9)) is None


def test_where_nothing_was_gained_nothing_is_departed_from() -> None:
    rng = np.random.default_rng(1)
    played = [told(w, 0, 0.5) for w in range(60)]
    played += [
        told(w, 1, 0.4 + 0.3 * float(rng.standard_normal()), at(left=float(rng.random())))
        for w in range(60)
    ]
    values = learn_step_values(played, bench().state)
    assert all(values.departs(at(left=left)) is None for left in (0.1, 0.5, 0.9))


def test_too_few_detours_teach_nothing() -> None:
    played = [told(0, 0, 0.5), told(0, 1, 0.9, at())]
    with pytest.raises(SpecError, match="more worlds"):
        learn_step_values(played, bench().state)


@pytest.mark.slow
def test_a_detour_departs_once_and_is_the_same_every_time() -> None:
    state = bench(100.0).state
    (straight, *others) = detour_tasks(state, 1, detours=6)
    assert straight.detour == 0 and {t.world for t in others} == {straight.world}
    played = [rehearse(t) for t in (straight, *others)]
    assert played[0].crossroads is None
    gone = [p for p in played[1:] if p.crossroads is not None]
    assert gone
    for p in gone:
        assert p.crossroads is not None and 0 <= p.crossroads.credits_left <= 1
        first, other = p.crossroads.pair.split(" > ")
        assert first != other
    again = rehearse(others[played[1:].index(gone[0])])
    assert again == gone[0]
    assert utility(played[0], state) == pytest.approx(
        0.9 * played[0].gain + 0.1 * played[0].mean_gain(0.0, 100.0)
    )


def test_a_detour_without_another_step_waits() -> None:
    detour, state = Detour([1, 1]), bench().state
    planner = HierarchicalPlanner(SAMPLES, GOAL, prefer=detour)
    decision = planner.decide(state)
    assert decision.actions[0].step == "grow" and detour.taken is None


def crossing() -> Bench:
    """A strip of which nothing is known: load it, test it, or grow another one."""
    found = bench(100.0)
    found.do("grow", Target(design={"x": 0.5, "y": 0.5}, sample="s1"))
    return found


def test_step_values_change_the_choice_and_say_so() -> None:
    state = crossing().state
    plain = HierarchicalPlanner(SAMPLES, GOAL).decide(state)
    first = plain.actions[0].step
    other = next(s for s in ("test", "load", "grow") if s != first)
    values = learned().model_copy(update={"pairs": (f"{first} > {other}",), "intercept": 5.0})
    warm = PlannerSettings(worlds=64, space_points=16, local_points=16, libraries=6)
    settings = warm.model_copy(update={"step_values": values})
    decision = HierarchicalPlanner(SAMPLES, GOAL, settings=settings).decide(state)
    assert decision.actions[0].step == other
    assert "departing so gained" in decision.reason and "40 rehearsals" in decision.reason
    if decision.grant is not None:
        assert decision.grant.reservation_rate <= decision.index + 1e-12


def test_values_of_another_campaign_are_refused() -> None:
    with pytest.raises(SpecError, match="learned for maximize height"):
        learned().check(SAMPLES, Explore(quantity="height"))
    settings = PlannerSettings(step_values=learned())
    with pytest.raises(SpecError, match="learn them anew"):
        HierarchicalPlanner(DESIGNS, GOAL, settings=settings)
    with pytest.raises(SpecError, match="samples or theory"):
        detour_tasks(Bench(DESIGNS, GOAL, credits=60).state, 1)


def test_they_are_numbers_in_a_file(tmp_path: Path) -> None:
    path, values = tmp_path / "values.json", learned()
    write_step_values(path, values)
    assert StepValues.model_validate(read_step_values(path)) == values
    broken = values.model_dump_json().replace('"weights":[', '"weights":[1,')
    path.write_text(broken)
    with pytest.raises(SpecError, match="numbers for 1 pairs"):
        read_step_values(path)
    with pytest.raises(SpecError, match="warm_start"):
        read_step_values(tmp_path / "none.json")


def test_a_campaign_starts_with_them_and_keeps_them(tmp_path: Path) -> None:
    import yaml

    write_step_values(tmp_path / "values.json", learned())
    raw = raw_library_spec(policy="planner", truth=None)
    (tmp_path / "peak.yaml").write_text(yaml.safe_dump(raw))
    spec = spec_of(raw)
    assert spec.settings(spec.goal) is None
    warm = load_spec(tmp_path / "peak.yaml", warm_start=tmp_path / "values.json")
    settings = warm.settings(warm.goal)
    assert settings is not None and settings.step_values == learned()
    assert warm.settings(Explore(quantity="height")) is None
    assert type(warm).model_validate(warm.model_dump(mode="json")) == warm


def test_preferring_is_pure() -> None:
    """The same crossroads, the same answer."""
    state = crossing().state
    planner = HierarchicalPlanner(SAMPLES, GOAL)
    options = planner._campaign.options(planner.view(state))
    first = max(options, key=lambda o: o.index)
    others = [replace(o, value=o.value * 2) for o in options if o.step != first.step][:3]
    prefer = ByStepValues(learned())
    assert prefer(state, first, others) == prefer(state, first, others)
