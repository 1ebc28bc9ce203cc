"""Workers and truths are made by registered name only; mistakes are explained."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from probewise.agents import LimitsGuardian, make_truth, make_worker, worker_types
from probewise.agents._testing import EchoInstrument
from probewise.workflow import Kind, ProbewiseError, Worker, WorkerError, WorkerSpec


def make(type_: str, **config: Any) -> Worker:
    return make_worker(WorkerSpec(type=type_, config=config), "mine")


def test_registered_types_name_their_distribution_and_kind() -> None:
    types = worker_types()
    assert types["limits-guardian"].distribution == "probewise"
    assert types["limits-guardian"].kind is Kind.GUARDIAN
    assert types["echo"].distribution == "probewise-doubles"
    assert (types["echo"].twin, types["real-echo"].twin) == (True, False)
    assert (types["echo"].replayable, types["real-echo"].replayable) == (True, False)


def test_a_worker_is_made_with_its_config() -> None:
    worker = make("echo", capabilities="hum")
    assert isinstance(worker, EchoInstrument)
    assert [o.capability for o in worker.offers()] == ["hum"]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("limit-guardian", "did you mean 'limits-guardian'"),
        ("probewise.agents.LimitsGuardian", "a distribution that registers it"),
        ("os.system", "correct it"),
    ],
)
def test_only_registered_names_are_made(given: str, hint: str) -> None:
    with pytest.raises(WorkerError) as caught:
        make(given)
    assert caught.value.who == "worker 'mine'"
    assert "'limits-guardian'" in caught.value.allowed
    assert hint in caught.value.remedy


def test_dotted_module_paths_are_no_type_names() -> None:
    with pytest.raises(ValueError, match="type"):
        WorkerSpec(type="probewise.agents:LimitsGuardian")


@pytest.mark.parametrize(
    ("config", "allowed"),
    [
        ({}, "max_cost_credits (required), max_dwell_positions=16"),
        ({"max_cost_credits": 1, "colour": 3}, "min_<variable>"),
        ({"max_cost_credits": -1}, "a number above 0"),
        ({"max_cost_credits": "many"}, "a number above 0"),
    ],
)
def test_a_bad_config_names_what_is_accepted(config: dict[str, Any], allowed: str) -> None:
    with pytest.raises(WorkerError) as caught:
        make("limits-guardian", **config)
    assert allowed in caught.value.allowed


def test_an_unknown_keyword_names_the_known_ones() -> None:
    with pytest.raises(WorkerError, match="colour") as caught:
        make("echo", colour="red")
    assert caught.value.allowed == "keywords capabilities='echo', fails_to_start=False"


def test_a_broken_registration_is_reported_when_it_is_used() -> None:
    assert {"gone", "not-a-worker"} <= set(worker_types())
    with pytest.raises(WorkerError, match="cannot be imported"):
        make("gone")
    with pytest.raises(WorkerError, match="no subclass"):
        make("not-a-worker", folder="x")


def test_the_same_name_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "rival-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[probewise.workers]\necho = rival:Echo\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(WorkerError, match="'echo' registered by") as caught:
        worker_types()
    assert "rival" in str(caught.value) and "probewise-doubles" in str(caught.value)


def test_truths_are_made_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("exact", "fractions:Fraction", "probewise.truths")
    monkeypatch.setattr("probewise.agents._registry.entry_points", lambda group: [entry])
    assert make_truth("exact", numerator=3, denominator=6) == 0.5
    with pytest.raises(WorkerError, match="did you mean 'exact'"):
        make_truth("exakt")
    with pytest.raises(WorkerError, match="numerator=0"):
        make_truth("exact", weight=1)


def test_a_worker_may_explain_itself() -> None:
    with pytest.raises(ProbewiseError, match="plug it in"):
        make("echo", fails_to_start=True)


def test_the_registered_guardian_is_the_exported_one() -> None:
    assert worker_types()["limits-guardian"].load() is LimitsGuardian


@pytest.mark.slow
def test_importing_agents_is_light() -> None:
    code = (
        "import sys, probewise.agents; "
        "print([m for m in ('ray', 'torch', 'mlflow', 'scipy.stats') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
