"""The runner: what a line holds, going on after a crash, errors as values, the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import _network_belief, function_networks, peers, uneven
from benchmarks._ask import PlannerPlayer
from benchmarks._command import line, main, seed_list
from benchmarks._problem import Node, Problem, Query, box, workflow_of
from benchmarks._records import append, finished, read_runs
from benchmarks._runner import Suite, Task, play, run_all
from probewise.workflow import Design


def hill(seed: int) -> Problem:
    return Problem(
        name="hill",
        space=box(0, 1, 1),
        nodes=(
            Node("look", "rough", ("x1",), (), 1.0, lambda x: x[:, 0]),
            Node("test", "height", ("x1",), ("rough",), 3.0, lambda x: -((x[:, 0] - x[:, 1]) ** 2)),
        ),
        budget=10.0,
        best=0.0,
        initial=2,
    )


@dataclass
class Plodder:
    """Full evaluations along a line; recommends the last one."""

    problem: Problem
    seed: int
    stopped: str = ""
    at: float = 0.0
    most: int = 99
    told: int = 0

    def learn(self, query: Query, values: Mapping[str, float]) -> None:
        assert set(values) == {"rough", "height"}

    def ask(self, free_credits: float) -> Query | None:
        if self.told == self.most:
            self.stopped = "enough"
            return None
        self.at += 0.1
        return Query(("look", "test"), {"x1": self.at})

    def tell(self, query: Query, values: Mapping[str, float]) -> None:
        self.told += 1

    def recommend(self) -> Design:
        return {"x1": self.at}


def broken(problem: Problem, seed: int) -> Plodder:
    if seed == 1:
        raise RuntimeError("cannot")
    return Plodder(problem, seed)


SUITE = Suite("toy", {"hill": hill}, {"plod": Plodder, "broken": broken})


def test_a_run_spends_its_budget_and_no_more() -> None:
    problem = hill(0)
    trajectory, steps, order = play(problem, Plodder(problem, 0), 0)
    assert [p.cost for p in trajectory] == [0.0, 4.0, 8.0]
    assert all(p.seconds >= 0.0 for p in trajectory)
    assert steps == {"look": 2, "test": 2} and order == []
    assert trajectory[-1].value == pytest.approx(problem.truth({"x1": 0.2}))
    lazy = Plodder(problem, 0, most=1)
    assert len(play(problem, lazy, 0)[0]) == 2 and lazy.stopped == "enough"


@pytest.mark.slow
def test_a_second_call_does_only_what_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "runs.jsonl"
    tasks = [Task("hill", "plod", seed) for seed in (0, 1)]
    assert len(list(run_all(SUITE, tasks[:1], out))) == 1
    with out.open("a") as file:
        file.write('{"suite": "toy", "prob')  # torn by a crash
    assert [t.seed for t, _ in run_all(SUITE, tasks, out)] == [1]
    assert list(run_all(SUITE, tasks, out)) == []
    assert [r.seed for r in read_runs(out)] == [0, 1]
    assert out.read_text().count("\n") == 2


@pytest.mark.slow
def test_a_run_that_dies_is_a_line_stops_nobody_and_is_tried_again(tmp_path: Path) -> None:
    out = tmp_path / "runs.jsonl"
    tasks = [Task("hill", "broken", seed) for seed in (0, 1, 2)]
    runs = [run for _, run in run_all(SUITE, tasks, out)]
    assert [bool(r.error) for r in runs] == [False, True, False]
    assert "RuntimeError: cannot" in runs[1].error
    assert finished(out) == {("hill", "broken", 0), ("hill", "broken", 2)}
    assert [t.seed for t, _ in run_all(SUITE, tasks, out)] == [1]
    assert "died: RuntimeError" in line(tasks[1], runs[1])


def test_a_line_comes_back_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "runs.jsonl"
    ((_, run),) = run_all(SUITE, [Task("hill", "plod", 3, budget=4.0)], out)
    assert list(read_runs(out)) == [run] and run.budget == 4.0
    assert run.machine.cores >= 1 and run.machine.versions["numpy"] == np.__version__
    append(out, run)
    with out.open("a") as file:
        file.write('{"world": 3}\n')  # of another benchmark
    assert len(list(read_runs(out))) == 2


def test_seeds() -> None:
    assert seed_list("0-3, 7") == [0, 1, 2, 3, 7]
    with pytest.raises(argparse.ArgumentTypeError, match="0-9"):
        seed_list("three")


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["planner", "planner-settable", "random", "log-ei", "screen"])
def test_every_policy_plays(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_network_belief, "POOL", 64)
    out = tmp_path / "runs.jsonl"
    chosen = ["--problems", "gps1-1-1", "--policies", policy, "--seeds", "0"]
    assert main(function_networks.SUITE, [*chosen, "--budget", "4", "--out", str(out)]) == 0
    (run,) = read_runs(out)
    assert run.trajectory[-1].cost <= 4.0 and len(run.trajectory) >= 3
    assert all(p.value <= run.best + 1e-5 for p in run.trajectory)
    assert "gps1-1-1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "policy",
    [
        "planner",
        pytest.param("log-ei-per-cost", marks=pytest.mark.slow),
        "pbgi",
        pytest.param("pbgi-d", marks=pytest.mark.slow),
    ],
)
def test_a_price_by_design_is_charged_and_kept_within_the_budget(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_network_belief, "POOL", 64)
    task = Task("uneven-levy-4", policy, 0, budget=24.0)
    ((_, run),) = run_all(uneven.SUITE, [task], tmp_path / "runs.jsonl")
    assert not run.error
    paid = np.diff([p.cost for p in run.trajectory])
    assert len(paid) >= 1 and all((paid >= 1.0) & (paid <= 21.0))
    assert run.trajectory[-1].cost <= 24.0


def test_a_step_with_two_quantities_is_paid_for_once() -> None:
    problem = replace(
        hill(0),
        nodes=(
            Node("look", "rough", ("x1",), (), 1.0, lambda x: x[:, 0]),
            Node("look", "steep", ("x1",), (), 1.0, lambda x: 2 * x[:, 0]),
            Node("test", "height", (), ("rough", "steep"), 3.0, lambda x: x[:, 0] - x[:, 1]),
        ),
    )
    assert problem.chain() == ("look", "test") and problem.full_cost == 4.0
    (look, _) = workflow_of(problem).steps
    assert [p.name for p in look.produces] == ["rough", "steep"]
    query = Query(problem.chain(), {"x1": 0.5})
    measured = problem.measure(query, np.random.default_rng(0))
    assert measured == {"rough": 0.5, "steep": 1.0, "height": -0.5} and problem.charge(query) == 4
    player = PlannerPlayer(problem, 0)
    _, steps, _ = play(problem, player, 0)
    assert steps["look"] >= 1


PRINTS = """import json, sys, time
print(json.dumps({"python": "3.9", "versions": {"torch": sys.argv[-1]}}), flush=True)
print(json.dumps({"cost": 0.0, "value": 1.0, "seconds": 0.0}), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("then", "points", "stopped", "error"),
    [
        ("", 1, "", ""),
        (
            'print(\'{"cost": 9, "value": 2, "seconds": 1}\', flush=True)\nwhile True: pass',
            2,
            "cut",
            "",
        ),
        ("while True: pass", 1, "cut", "no decision in 1 s"),
        ("sys.exit('it cannot')", 1, "", "it cannot"),
    ],
)
def test_a_peer_that_is_cut_short_keeps_its_points(
    then: str,
    points: int,
    stopped: str,
    error: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "_p_kgfn_child.py").write_text(PRINTS + then)
    monkeypatch.setattr(peers, "HERE", tmp_path)
    task = Task("gps1-1-49", "p-kgfn", 2, 60.0)
    run = peers.run_peer(task, tmp_path, Path(sys.executable), cpu_s=1)
    assert len(run.trajectory) == points and run.best == pytest.approx(1.511215)
    assert run.stopped.startswith(stopped) and bool(run.stopped) == bool(stopped)
    assert error in run.error and bool(run.error) == bool(error)
    assert run.machine.versions == {"torch": "60"} and run.machine.python == "3.9"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"unknown 'nothing'.*ackmat-1-1"):
        main(function_networks.SUITE, ["--problems", "nothing"])
