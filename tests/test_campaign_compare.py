"""Policies compared on truth: when a target counts as reached, records, table, tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support_campaigns import BEST, raw_spec, registered, shrink, spec_of

from probewise.campaign import Comparison, compare, comparison_table
from probewise.campaign import _compare as module
from probewise.campaign._cli_options import seed_list
from probewise.campaign._compare import first_kept, is_reached, run_one, write_records
from probewise.workflow import Assessed, Estimate, Maximize, Recommendation, Score, SpecError

RECORD = {
    "policy", "seed", "reached", "cost_to_95", "hours_to_95", "cost_credits", "elapsed_h",
    "regret", "stop_reason",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with registered(tmp_path_factory.mktemp("installed")), pytest.MonkeyPatch.context() as patch:
        shrink(patch.setattr)
        yield


class Known:
    """The true value of a recommendation is its estimate; the best is 10, no effort gives 0."""

    def score(self, recommendation: Recommendation) -> Score:
        return Score(true_value=recommendation.estimate.value, best=10.0, baseline=0.0)


def assessed(*values: float) -> list[Any]:
    goal = Maximize(quantity="height")
    return [
        Assessed(
            hour=float(k),
            credits=10.0 * k,
            recommendation=Recommendation(goal=goal, estimate=Estimate(value=v), design=BEST),
        )
        for k, v in enumerate(values, start=1)
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((2.0, 9.6, 9.9), (20.0, 2.0)),
        ((9.7, 3.0, 9.6, 9.5), (30.0, 3.0)),
        ((9.7, 9.6, 9.4), (None, None)),
        ((1.0, 2.0), (None, None)),
        ((), (None, None)),
        ((9.6,), (10.0, 1.0)),
    ],
)
def test_the_target_counts_from_where_it_is_kept_to_the_end(
    values: tuple[float, ...], expected: tuple[float | None, float | None]
) -> None:
    assert first_kept(assessed(*values), Known()) == expected


@given(st.lists(st.floats(0, 10), max_size=12))
def test_what_is_kept_is_kept_at_the_end(values: list[float]) -> None:
    cost, hours = first_kept(assessed(*values), Known())
    kept = bool(values) and values[-1] >= 9.5
    assert (cost is not None) == (hours is not None) == kept
    if cost is not None:
        assert all(v >= 9.5 for v in values[round(cost / 10) - 1 :])


@pytest.mark.parametrize(
    ("true", "best", "baseline", "reached"),
    [
        (9.5, 10.0, 0.0, True),
        (9.49, 10.0, 0.0, False),
        (9.9, 10.0, 8.0, True),
        (9.89, 10.0, 8.0, False),
        # a place that is to be located: a mistake on either side counts
        (10.6, 10.0, 0.0, False),
        (0.04, 0.0, 1.0, True),
        (5.0, 5.0, 5.0, True),
    ],
)
def test_reached_is_a_share_of_the_gain(
    true: float, best: float, baseline: float, reached: bool
) -> None:
    assert is_reached(Score(true_value=true, best=best, baseline=baseline)) == reached


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0-3", [0, 1, 2, 3]), ("5", [5]), ("1, 3,5", [1, 3, 5]), ("0-1,7", [0, 1, 7])],
)
def test_seeds_are_ranges_and_lists(text: str, seeds: list[int]) -> None:
    assert seed_list(text) == seeds


@pytest.mark.parametrize(
    "text", ["", "a", "1-", "3-1", "-1", "1;2", "1.5", "0-2,x", "1,1", "0,3-1"]
)
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        seed_list(text)
    assert repr(text) in caught.value.given and "0-9" in caught.value.allowed


def task(**changes: Any) -> str:
    spec = spec_of(raw_spec() | changes)
    return module._task(spec, spec.policy, spec.seed)


def test_one_task_is_one_scored_campaign() -> None:
    record = run_one(task())
    assert set(record) >= RECORD
    assert json.loads(json.dumps(record)) == record
    made = Comparison.model_validate(record)
    assert (made.policy, made.seed) == ("random", 0)
    assert 40 < made.cost_credits <= 60 and 0 < made.elapsed_h <= 50
    assert made.gain == pytest.approx(1.0 - made.regret / 0.9)
    assert made.reached == (made.regret <= 0.05 * 0.9)
    assert made.stop_reason and made.wall_s > 0


@pytest.mark.slow
def test_the_same_task_gives_the_same_record() -> None:
    first, second = (run_one(task(policy="planner", budget={"credits": 15})) for _ in range(2))
    assert {k: first[k] for k in RECORD} == {k: second[k] for k in RECORD}


def test_without_any_measurement_nothing_is_reached() -> None:
    raw = raw_spec()
    for worker in raw["workers"].values():
        worker["config"]["refuses"] = worker["config"]["capabilities"]
    made = Comparison.model_validate(run_one(task(workers=raw["workers"])))
    assert not made.reached and made.cost_to_95 is None and made.hours_to_95 is None
    assert "25 actions in a row failed" in made.stop_reason


def test_a_task_has_the_policy_seed_and_world_that_it_was_given() -> None:
    raw = raw_spec(seed=3, goal={"kind": "maximize", "quantity": "height", "worth_credits": 5})
    raw["workers"]["eye"]["config"]["world_seed"] = 3
    raw["workers"]["rig"]["config"]["world_seed"] = 8
    given = json.loads(module._task(spec_of(raw), "fixed", 11))
    assert (given["policy"], given["seed"]) == ("fixed", 11)
    assert given["workers"]["eye"]["config"]["world_seed"] == 11
    assert given["workers"]["rig"]["config"]["world_seed"] == 8
    assert given["goal"]["worth_credits"] is None


def test_every_policy_runs_with_every_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def here(function: Any, items: list[str], parallel: int) -> Iterator[tuple[str, Any]]:
        assert parallel == 3
        for item in reversed(items):  # as they come, in any order
            yield item, function(item)

    monkeypatch.setattr(module, "map_tasks", here)
    records = list(compare(spec_of(raw_spec()), ["random", "fixed"], [0, 4], parallel=3))
    pairs = {(r.policy, r.seed) for r in records}
    assert pairs == {("random", 0), ("random", 4), ("fixed", 0), ("fixed", 4)}
    assert len(records) == 4


def test_comparing_needs_a_truth_and_policies_for_the_goal() -> None:
    with pytest.raises(SpecError, match="no truth"):
        list(compare(spec_of(raw_spec(truth=None)), ["random"], [0]))
    with pytest.raises(SpecError, match="xy-gp") as caught:
        list(compare(spec_of(raw_spec()), ["random", "xy-gp"], [0]))
    assert "'planner'" in caught.value.allowed


def record(policy: str, seed: int, cost: float | None, gain: float = 0.9) -> Comparison:
    return Comparison(
        policy=policy,
        seed=seed,
        reached=cost is not None,
        cost_to_95=cost,
        hours_to_95=None if cost is None else cost / 10,
        cost_credits=500.0,
        elapsed_h=50.0,
        regret=1.0,
        gain=gain,
        stop_reason="done",
        wall_s=1.0,
    )


def shown(records: list[Comparison]) -> list[str]:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(comparison_table(records))
    return capture.get().splitlines()


def test_the_table_shows_medians_and_quartiles_and_never() -> None:
    records = [record("a", k, c) for k, c in enumerate([100, 200, 300, 400, None])]
    records += [record("b", k, None, gain=0.25) for k in range(5)]
    lines = shown(records)
    (first,) = [line for line in lines if " a " in line]
    (second,) = [line for line in lines if " b " in line]
    assert "80%" in first and "300 (200–400)" in first and "30 (20–40)" in first
    assert "0%" in second and "never (never–never)" in second and "0.25 (0.25–0.25)" in second
    assert all("500 (500–500)" in line for line in (first, second))


def test_the_table_keeps_the_order_in_which_policies_come() -> None:
    lines = shown([record("z", 0, 1.0), record("a", 0, 1.0)])
    rows = [line for line in lines if " z " in line or " a " in line]
    assert " z " in rows[0] and " a " in rows[1]


def test_records_are_kept_as_one_line_of_json_each(tmp_path: Path) -> None:
    records = [record("a", 0, None), record("b", 1, 5.0)]
    write_records(records, tmp_path / "records.json")
    lines = (tmp_path / "records.json").read_text().splitlines()
    assert [Comparison.model_validate_json(line) for line in lines] == records
    assert set(json.loads(lines[0])) >= RECORD


@pytest.mark.ray
def test_tasks_run_in_processes_of_their_own(ray_cluster: None) -> None:
    from probewise.campaign import load_spec

    spec = load_spec("sm-bfo", budget={"credits": 900.0})
    (made,) = compare(spec, ["random"], [0], parallel=1)
    assert made.policy == "random" and made.cost_credits <= 900
