"""The report: statistics on runs made by hand, and a page from a tiny file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks import _statistics as st
from benchmarks._published import CURVES, checkpoints
from benchmarks._records import Point, Run, append, this_machine
from benchmarks._tables import against_table, group, network_table
from benchmarks.report import main, write_report

MACHINE = this_machine()


def run(values: list[float], **more: object) -> Run:
    """A run of cost 1 a step from 0 on, with these values; the best is 10."""
    points = [Point(cost=float(i), value=v, seconds=0.1 * i) for i, v in enumerate(values)]
    given: dict[str, object] = {
        "suite": "function_networks",
        "problem": "freesolv-1-9",
        "policy": "planner",
        "seed": 0,
        "budget": float(len(values) - 1),
        "best": 10.0,
        "trajectory": tuple(points),
        "machine": MACHINE,
    }
    return Run.model_validate(given | more)


def test_a_share_of_the_way_counts_from_when_it_is_kept() -> None:
    wavering = run([0.0, 9.5, 2.0, 9.1, 9.6])
    assert st.cost_to(wavering, 0.9, 0.0) == 3.0
    assert st.cost_to(wavering, 0.95, 0.0) == 4.0
    assert st.cost_to(wavering, 0.99, 0.0) == math.inf
    assert st.cost_to(run([10.0, 10.0]), 0.99, 0.0) == 0.0


def test_values_and_means_stand_between_evaluations() -> None:
    runs = [run([0.0, 4.0, 8.0]), run([2.0, 2.0, 10.0], seed=1)]
    assert st.value_at(runs[0], 1.9) == 4.0 and st.value_at(runs[0], 99.0) == 8.0
    means, errors = st.means_at(runs, [0.0, 2.0])
    assert list(means) == [1.0, 9.0] and list(errors) == [1.0, 1.0]
    assert math.isnan(st.means_at(runs[:1], [1.0])[1][0])
    assert st.start_of(runs) == 1.0


@pytest.mark.parametrize(
    ("q", "expected"), [(0.0, 1.0), (0.25, 1.0), (0.5, 2.0), (0.75, 5.0), (1.0, math.inf)]
)
def test_quantiles_of_costs_are_members_of_them(q: float, expected: float) -> None:
    assert st.quantile([5.0, math.inf, 1.0, 2.0], q) == expected


def test_a_stop_is_early_only_with_budget_left_and_short_of_the_best() -> None:
    assert st.stopped_early(run([0.0, 5.0], stopped="dull", budget=9.0), 0.0)
    assert not st.stopped_early(run([0.0, 5.0], stopped="dull", budget=1.0), 0.0)
    assert not st.stopped_early(run([0.0, 9.95], stopped="dull", budget=9.0), 0.0)
    assert not st.stopped_early(run([0.0, 5.0], budget=9.0), 0.0)


def test_the_best_candidates_are_counted_as_they_are_found() -> None:
    found = run([0.0, 1.0], order=(7, 3, 9, 4))
    assert st.found_top(found, {3, 4}, 3) == 0.5
    assert st.evaluations_to(found, {3, 4}, 1.0) == 4.0
    assert st.evaluations_to(found, {3, 5}, 1.0) == math.inf


def test_seconds_leave_the_start_out() -> None:
    assert st.seconds_of([run([0.0, 1.0, 2.0])])[0] == pytest.approx(0.15)
    assert math.isnan(st.seconds_of([run([0.0])])[0])


def test_of_runs_told_twice_the_one_that_did_not_die_counts(tmp_path: Path) -> None:
    died = run([], error="Traceback\nRuntimeError: no")
    for made in (died, run([0.0, 3.0]), died):
        append(tmp_path / "a.jsonl", made)
    (kept,) = st.load(tmp_path)
    assert kept.error == "" and kept.trajectory[-1].value == 3.0


def test_published_rows_stand_beside_ours_and_are_called_so() -> None:
    problem = "freesolv-1-9"
    runs = [run([1.0] * 151, seed=s) for s in range(3)]
    lines = network_table(problem, {"planner": runs}).splitlines()
    assert checkpoints(problem, 150.0) == (45, 60, 100, 150)
    assert lines[0].count("|") == lines[1].count("|") == lines[-1].count("|")
    assert sum("(published)" in row for row in lines) == len(CURVES[problem])
    assert "| p-KGFN (published) | 30 | 25.3 | 26 | 27 | 27.5 |" in "\n".join(lines)
    assert "never (0/3)" in lines[2]


def test_a_comparison_is_paired_by_seed() -> None:
    ours = [run([0.0, 8.0], policy="planner", seed=s) for s in (0, 1)]
    theirs = [run([0.0, 6.0], policy="rival", seed=s) for s in (1, 2)]
    table = against_table(group([*ours, *theirs])["freesolv-1-9"], "rival")
    assert "+0.2" in table.splitlines()[2] and table.splitlines()[3].count("–") >= 1


def test_a_page_is_made_from_a_tiny_file(tmp_path: Path) -> None:
    runs, docs = tmp_path / "runs", tmp_path / "docs"
    for seed in range(2):
        append(runs / "a.jsonl", run([0.0, 5.0, 9.0], seed=seed))
        append(runs / "a.jsonl", run([0.0, 1.0, 2.0], seed=seed, policy="random"))
    append(runs / "b.jsonl", run([0.0] * 4, suite="speed", problem="nodes-4", peak_memory_mib=9))
    append(runs / "b.jsonl", run([0.0] * 4, suite="speed", problem="nodes-8", peak_memory_mib=9))
    append(runs / "c.jsonl", run([0.0, 3.0], suite="peers", policy="p-kgfn"))
    append(runs / "c.jsonl", run([], suite="peers", policy="fast-p-kgfn", error="it is not there"))
    assert main(["--runs", str(runs), "--docs", str(docs)]) == 0
    page = (docs / "benchmarks.md").read_text()
    assert "| `planner` | 2 |" in page and "nodes-8" in page and "p-kgfn" in page
    assert "it is not there (1 seeds)" in page and page.count("Not run yet") == 3
    for picture in ("function_networks", "speed"):
        assert f"(benchmarks/{picture}.png)" in page
        assert (docs / "benchmarks" / f"{picture}.png").stat().st_size > 5000
    assert not (docs / "benchmarks" / "materials.png").exists()


def test_without_any_run_the_page_says_so(tmp_path: Path) -> None:
    page = write_report([], tmp_path).read_text()
    assert page.count("Not run yet") == 6 and "Runs that died" not in page
