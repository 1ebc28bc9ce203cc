"""Where a process of workers may run, and when that is said to be impossible."""

from __future__ import annotations

import pytest

from probewise.agents._mortal import MortalAnalysis, MortalInstrument, MortalTwin
from probewise.agents._placement import as_options, check_demands, demand_of
from probewise.workflow import Worker, WorkerError, WorkerSpec


def spec(**resources: float) -> WorkerSpec:
    return WorkerSpec(type="any", resources=resources)


@pytest.mark.parametrize(
    ("worker", "own", "joined"),
    [
        (MortalAnalysis, {"analysis": 1.0}, {"CPU": 1.0}),
        (MortalTwin, {"instrument": 1.0}, {}),
        (MortalInstrument, {"instrument": 1.0}, {"instrument": 1.0}),
    ],
)
def test_what_is_needed_where_nothing_is_said(
    worker: type[Worker], own: dict[str, float], joined: dict[str, float]
) -> None:
    assert demand_of([(spec(), worker)], joined=False) == own
    assert demand_of([(spec(), worker)], joined=True) == joined


def test_what_is_said_counts_and_workers_of_one_host_add_up() -> None:
    pairs = [(spec(stem=1, CPU=2), MortalInstrument), (spec(stem=1), MortalInstrument)]
    assert demand_of(pairs, joined=True) == {"stem": 2.0, "CPU": 2.0}


def test_a_device_is_pinned_and_a_computation_spread() -> None:
    assert as_options({"stem": 1.0}) == {"num_cpus": 0.0, "resources": {"stem": 1.0}}
    assert as_options({"CPU": 1.0})["scheduling_strategy"] == "SPREAD"
    assert as_options({"GPU": 1.0, "stem": 1.0})["num_gpus"] == 1.0


def test_what_no_cluster_can_hold_is_said_before_anything_starts() -> None:
    nodes = [{"CPU": 4.0}, {"CPU": 1.0, "stem": 1.0}]
    check_demands({"a": {"CPU": 4.0}, "b": {"stem": 1.0, "CPU": 1.0}, "c": {}}, nodes)
    with pytest.raises(WorkerError, match=r"\['b'\].*'stem': 2.0"):
        check_demands({"a": {"CPU": 1.0}, "b": {"stem": 2.0}}, nodes)
    with pytest.raises(WorkerError, match=r"\['b'\].*on one node"):
        check_demands({"b": {"stem": 1.0, "CPU": 2.0}}, nodes)
