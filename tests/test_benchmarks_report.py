"""The report: statistics on runs made by hand, and a page from a tiny file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks import _statistics as st
from benchmarks import _summary as sm
from benchmarks._published import CURVES, checkpoints
from benchmarks._records import Point, Run, append, this_machine
from benchmarks._tables import against_table, group, network_table, speed_tables
from benchmarks.report import main, other_tables, write_report

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


def several(values: dict[int, list[float]], **more: object) -> list[Run]:
    return [run(v, seed=seed, **more) for seed, v in values.items()]


def test_a_verdict_is_paired_and_wants_two_standard_errors() -> None:
    ours = {0: 3.0, 1: 5.1, 2: 9.0, 7: 0.0}
    theirs = {0: 2.0, 1: 4.0, 2: 8.1}
    paired = sm.compare("rival", ours, theirs, 10.0)
    assert paired.difference == pytest.approx(1.0) and paired.word == "ahead"
    assert sm.compare("rival", theirs, ours, 10.0).word == "behind"
    assert sm.compare("rival", theirs, ours, 2000.0).word == "level"
    apart = sm.compare("rival", ours, {8: 4.0, 9: 2.0}, 10.0)
    assert apart.word == "level" and apart.difference == pytest.approx(4.275 - 3.0)
    assert sm.compare("rival", ours, ours, 1.0).word == "level"


def test_a_summary_takes_the_best_peer_and_leaves_own_variants_out() -> None:
    seeds = range(4)
    runs = [
        *several({s: [0.0, 6.0 + 0.1 * s, 8.0 + 0.1 * s] for s in seeds}),
        *several({s: [0.0, 7.0, 9.9] for s in seeds}, policy="gain-alone"),
        *several({s: [0.0, 6.0, 8.0 + 0.1001 * s] for s in seeds}, policy="no-doubt"),
        *several({s: [0.0, 2.0, 9.0] for s in seeds}, policy="log-ei"),
        *several({s: [0.0, 5.0, 5.0] for s in seeds}, policy="screen"),
    ]
    own_code = several({s: [0.0, 7.5] for s in seeds}, policy="p-kgfn", suite="peers")
    table = sm.against_peers({"function_networks": group(runs)}, group(own_code))
    row, total = table.splitlines()[2:]
    half, end = row.split("|")[3:5]
    assert half.strip().startswith("**behind**") and "p-kgfn, own code" in half
    assert end.strip().startswith("**behind**") and "log-ei" in end
    assert "ahead 0, level 0, behind 1" in total
    alone = {"function_networks": group(several({0: [0.0, 1.0]}, policy="gain-alone"))}
    assert sm.against_peers(alone, {}) == ""
    ablated = sm.ablations(group(runs)).splitlines()
    assert "`gain-alone`" in ablated[0] and "log-ei" not in ablated[0] and len(ablated) == 4
    assert "9.9 (+" in ablated[3] and "(level)" in ablated[3]


def test_the_planner_is_compared_with_itself_on_one_source() -> None:
    seeds = range(4)
    runs = [
        *several({s: [0.0, 6.0 + 0.1 * s, 8.0 + 0.1 * s] for s in seeds}),
        *several({s: [0.0, 8.0, 8.0 + 0.1 * s] for s in seeds}, policy="single-source"),
    ]
    row = sm.against_one_source(group(runs)).splitlines()[2]
    half, end = row.split("|")[3:5]
    assert "**behind**" in half and half.strip().startswith("-") and "level" in end
    assert sm.against_one_source(group(runs[:4])) == ""


def test_the_planner_reaches_what_a_funnel_has_for_less() -> None:
    seeds = range(4)
    runs = [
        *several({s: [0.0, 3.0, 6.0, 6.0] for s in seeds}),
        *several({s: [0.0, 0.0, 0.0, 6.0] for s in seeds}, policy="tuned-funnel"),
    ]
    row = sm.against_funnel(group(runs)).splitlines()[2]
    cells = [c.strip() for c in row.split("|")[1:-1]]
    budget = runs[0].budget
    at = [p.cost for p in runs[0].trajectory]
    assert cells[1] == "4" and cells[3] == "+0.000 ± 0.000"
    own, other = (float(w.strip(",")) for w in cells[4].split()[:3:2])
    assert at[1] < own <= at[2] + budget / 120 and at[2] < other <= at[3] + budget / 120
    worse = [*several({s: [0.0, 3.0, 5.0, 5.0] for s in seeds}), *runs[4:]]
    assert "never" in sm.against_funnel(group(worse)) and "-0.1" in sm.against_funnel(group(worse))
    assert sm.against_funnel(group(runs[:4])) == ""


def test_published_means_are_compared_where_they_were_read() -> None:
    runs = several({s: [1.0] * 45 + [27.0 + 0.01 * s] * 106 for s in range(5)}, best=27.5)
    rows = sm.against_published(group(runs)).splitlines()[2:]
    assert [r.split("|")[2].strip() for r in rows] == ["45", "60", "100", "150"]
    assert "25.3 (p-KGFN)" in rows[0] and "ahead" in rows[0] and "level" in rows[3]


def test_tables_grow_by_number_and_policies_stand_in_their_suite_s_order() -> None:
    grown = [run([0.0] * 4, suite="speed", problem=f"nodes-{n}") for n in (20, 4, 12)]
    grown += [run([0.0] * 4, suite="speed", problem="observations-100")]
    first, second = speed_tables(group(grown)).split("\n\n")
    assert [row.split("|")[1].strip() for row in first.splitlines()[2:]] == [
        "nodes-4",
        "nodes-12",
        "nodes-20",
    ]
    assert "observations-100" in second
    runs = [run([0.0], policy=p) for p in ("random", "other", "planner")]
    (policies,) = group(runs, ["planner", "random", "planner"]).values()
    assert list(policies) == ["planner", "random", "other"]


def test_tables_of_other_benchmarks_are_taken_from_their_records(tmp_path: Path) -> None:
    record = {
        "goal": "explore",
        "problem": "Branin",
        "method": "probewise",
        "seed": 0,
        "value": 2.0,
    }
    (tmp_path / "goals.jsonl").write_text(json.dumps(record) + "\n")
    others = other_tables(tmp_path)
    assert list(others) == ["goals"] and "| Branin | 1 | 2 " in others["goals"]
    page = write_report([], tmp_path, others).read_text()
    assert others["goals"] in page


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
    assert "it is not there (1 seeds)" in page and page.count("Not run yet") == 7
    for picture in ("function_networks", "speed"):
        assert f"(benchmarks/{picture}.png)" in page
        assert (docs / "benchmarks" / f"{picture}.png").stat().st_size > 5000
    assert not (docs / "benchmarks" / "materials.png").exists()


def test_without_any_run_the_page_says_so(tmp_path: Path) -> None:
    page = write_report([], tmp_path).read_text()
    assert page.count("Not run yet") == 10 and "Runs that died" not in page
