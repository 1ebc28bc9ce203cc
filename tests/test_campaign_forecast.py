"""Forecasts of campaigns: from a file, from a run in its middle, as table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support_campaigns import (
    PeakDevice,
    raw_library_spec,
    raw_spec,
    registered,
    shrink,
    spec_of,
    untrack,
)
from typer.testing import CliRunner

from probewise.agents import expected_offers
from probewise.campaign import Campaign
from probewise.campaign._campaign import spec_of_run
from probewise.campaign._cli import app
from probewise.campaign._forecast import outlook, play, starting_state, state_of_run
from probewise.planner import Forecast, PlannerSettings, Spread, _learn_values, forecasts
from probewise.workflow import BudgetError, SpecError

WIDE = {"COLUMNS": "200"}


@pytest.fixture(autouse=True, scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    light = PlannerSettings(worlds=32, space_points=12, local_points=8, libraries=3, quick_fit=True)
    with pytest.MonkeyPatch.context() as patch, registered(tmp_path_factory.mktemp("peak")):
        shrink(patch.setattr)
        patch.setattr(PlannerSettings, "light", lambda self: light)
        untrack(patch.setattr)
        yield


@pytest.mark.slow
def test_a_file_is_forecast_as_table_and_json(tmp_path: Path) -> None:
    source, out = tmp_path / "peak.yaml", tmp_path / "forecast.json"
    source.write_text(yaml.safe_dump(raw_library_spec()))
    given = ["forecast", str(source), "--worlds", "3", "--parallel", "0", "--json", str(out)]
    result = CliRunner().invoke(app, [*given, "--policies", "random,single-source"], env=WIDE)
    assert result.exit_code == 0, result.output
    assert "3 possible worlds" in result.output and "single-source" in result.output
    found = json.loads(out.read_text())
    assert [f["contender"] for f in found["forecasts"]] == ["random", "single-source"]
    assert found["unit"] == "V" and found["target_share_of_gain"] == 0.95
    for one in found["forecasts"]:
        assert one["worlds"] == 3 and 0 <= one["chance"] <= 1
        assert 0 < one["credits"]["low"] <= one["credits"]["high"] <= 130


@pytest.mark.slow
def test_a_run_starts_with_step_values_that_a_forecast_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_learn_values, "_SEEN", 1)
    source, values = tmp_path / "peak.yaml", tmp_path / "values.json"
    raw = raw_library_spec(policy="planner", budget={"credits": 60, "hours": 60})
    source.write_text(yaml.safe_dump(raw))
    given = ["forecast", str(source), "--worlds", "2", "--parallel", "0", "--policies", "random"]
    result = CliRunner().invoke(app, [*given, "--step-values", str(values)], env=WIDE)
    assert result.exit_code == 0, result.output
    assert "--warm-start" in result.output
    given = ["run", str(source), "--runtime", "inline", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, [*given, "--warm-start", str(values)], env=WIDE)
    assert result.exit_code == 0, result.output
    kept = spec_of_run(tmp_path / "run").warm_start
    assert kept is not None and kept.steps == ("grow", "load", "look", "test")
    result = CliRunner().invoke(
        app, ["run", "--resume", str(tmp_path / "run"), "--warm-start", "x"], env=WIDE
    )
    assert result.exit_code != 0 and "--warm-start" in result.output


def test_a_run_in_its_middle_is_forecast_from_where_it_stands(tmp_path: Path) -> None:
    campaign = Campaign(spec_of(raw_library_spec()), out=tmp_path / "run")
    for event in campaign:
        if event.kind == "observed" and len(campaign.state.observations) == 4:
            break
    spec, state = state_of_run(tmp_path / "run")
    assert len(state.observations) == 4 and spec.name == "peak"
    played = list(play(state, ["random"], worlds=3, parallel=0))
    assert all(p.credits > state.spent_credits for p in played)
    assert all(p.hours >= state.now_h for p in played)
    result = CliRunner().invoke(app, ["forecast", str(tmp_path / "run"), "--seed", "3"])
    assert result.exit_code != 0 and "--seed" in result.output


def test_a_run_that_has_ended_is_not_forecast(tmp_path: Path) -> None:
    Campaign(spec_of(raw_library_spec()), out=tmp_path / "run").run()
    with pytest.raises(SpecError, match="has ended"):
        state_of_run(tmp_path / "run")


def test_without_any_limit_there_is_no_end_to_forecast() -> None:
    state = starting_state(spec_of(raw_spec(budget={})))
    with pytest.raises(BudgetError, match="no limit"):
        next(play(state, worlds=1, parallel=0))


def test_no_real_instrument_is_started_to_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: object, **config: object) -> None:
        raise AssertionError("a real instrument was started")

    monkeypatch.setattr(PeakDevice, "__init__", start)
    raw = raw_spec()
    raw["workers"] = raw["workers"] | {
        "rig": {"type": "peak-device", "config": {"capabilities": "test"}}
    }
    spec = spec_of(raw)
    offers = expected_offers(spec.workers, spec.workflow.steps)
    assert offers == {"look": ("eye",), "test": ("rig",)}
    assert list(play(starting_state(spec), ["random"], worlds=1, parallel=0))


@pytest.mark.ray
def test_rehearsals_on_ray_are_those_in_this_process(ray_cluster: None) -> None:
    state = starting_state(spec_of(raw_library_spec(budget={"credits": 60, "hours": 30})))
    names = ["random", "single-source"]  # what is spent does not hang on the kernels of this test
    own, apart = (forecasts(play(state, names, 2, parallel)) for parallel in (0, 2))
    assert [(f.contender, f.credits, f.hours) for f in own[:1]] == [
        (f.contender, f.credits, f.hours) for f in apart[:1]
    ]
    assert [f.contender for f in apart] == names


def test_outlook_says_what_half_of_the_worlds_need() -> None:
    never, some = Spread(low=None, median=None, high=None), Spread(low=1, median=40, high=None)
    own = Forecast(
        contender="random",
        worlds=5,
        chance=0.6,
        credits_to_target=some,
        hours_to_target=some,
        value=some,
        gain=some,
        credits=some,
        hours=some,
        samples=some,
    )
    spec = spec_of(raw_spec())
    assert "60 %" in outlook(spec, [own]) and "at most 40 credits and 40 h" in outlook(spec, [own])
    bad = own.model_copy(update={"credits_to_target": never, "chance": 0.1})
    assert "do not get there" in outlook(spec, [bad])
