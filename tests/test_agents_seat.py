"""The seat believes nothing unchecked, and whatever happens has a price."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probewise.agents import MemoryStore, Seat
from probewise.workflow import (
    Action,
    Array,
    ArrayRef,
    Axis,
    Commitment,
    DiskError,
    Estimate,
    Failure,
    Grid,
    Issued,
    Job,
    Kind,
    Observation,
    Offer,
    Outcome,
    Step,
    Table,
    Target,
    Worker,
)

STEP = Step.model_validate(
    {
        "name": "probe",
        "level": 3,
        "acts_on": "positions",
        "produces": "height [nm]",
        "records": "image [pm]",
        "predicts": "guess [nm]",
        "cost_credits": {"median": 1, "per_position": 2},
        "latency_h": {"median": 0.5, "per_position": 0.25},
    }
)
X = Axis("x", "nm", np.arange(3.0), "spatial")
IMAGE = Array(np.ones(3), "pm", (X,))
GRID = Grid(ticks={"c": (0.0, 1.0)}, values=((1.0, 2.0),))
GOOD = Outcome(
    values={"height": Estimate(value=1.0, std=0.1)},
    arrays={"image": IMAGE},
    grids={"guess": GRID},
    cost_credits=4.0,
    duration_h=0.75,
)
ISSUED = Issued(
    hour=2.0,
    action=Action(
        id="a1", step="probe", target=Target(sample="S", site=0, positions=((0, 0), (1, 1)))
    ),
    worker="w",
    commitment=Commitment(credits=7.5, hours=1.5),
)


class Scripted(Worker):
    """Returns what it was told to, or raises it."""

    kind = Kind.INSTRUMENT

    def __init__(self, script: Any) -> None:
        self.script = script

    def offers(self) -> tuple[Offer, ...]:
        return (Offer(capability="probe"),)

    def perform(self, job: Job) -> Outcome:
        if isinstance(self.script, BaseException):
            raise self.script
        return self.script


class ScriptedTwin(Scripted):
    twin = True
    replayable = True


class ScriptedAnalysis(Scripted):
    kind = Kind.ANALYSIS
    replayable = True


def perform(script: Any, worker: type[Scripted] = Scripted, step: Step = STEP) -> Observation:
    return Seat("w", worker(script), MemoryStore()).perform(ISSUED, step)


def test_a_good_outcome_becomes_an_observation() -> None:
    store = MemoryStore()
    found = Seat("w", Scripted(GOOD), store).perform(ISSUED, STEP)
    assert found.failure is None
    assert (found.action_id, found.worker) == ("a1", "w")
    assert (found.start_h, found.end_h, found.cost_credits) == (2.0, 2.75, 4.0)
    assert found.values == GOOD.values and found.grids == GOOD.grids
    assert np.array_equal(store.get(found.arrays["image"]).data, IMAGE.data)


def test_left_out_price_is_the_steps_median_and_the_measured_time() -> None:
    found = perform(replace(GOOD, cost_credits=None, duration_h=None))
    assert found.cost_credits == 1 + 2 * 2
    assert 0 < found.duration_h < 0.01


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"values": {}}, "missing values ['height']"),
        ({"values": {"height": Estimate(value=1), "width": Estimate(value=1)}}, "['width']"),
        ({"values": {"height": 1.0}}, "'height' is float instead of Estimate"),
        ({"values": None}, "values is NoneType"),
        ({"values": {"height": Estimate.model_construct(value=np.nan, std=0.0)}}, "nan"),
        ({"values": {"height": Estimate.model_construct(value="x", std=0.0)}}, "cannot be read"),
        ({"cost_credits": 10**400}, "cost_credits is 1000"),
        ({"arrays": {}}, "missing arrays ['image']"),
        ({"arrays": {"image": Array(np.array([1.0, np.nan, 1]), "pm", (X,))}}, "not finite"),
        ({"arrays": {"image": Array(np.ones(0), "pm", ())}}, "is empty"),
        ({"arrays": {"image": Array(np.ones((3, 3)), "pm", (X,))}}, "has axes of shapes"),
        ({"arrays": {"image": Array(np.ones(3), "V", (X,))}}, "records 'pm'"),
        ({"arrays": {"image": Array(np.ones(3), "parsnip", (X,))}}, "records 'pm'"),
        ({"arrays": {"image": Array(np.array(["a", "b", "c"]), "pm", (X,))}}, "no real numbers"),
        ({"grids": {}}, "missing grids ['guess']"),
        ({"grids": {"guess": GRID, "more": GRID}}, "unknown grids ['more']"),
        ({"tables": {"t": 1}}, "instead of Table"),
        ({"tables": None}, "tables is NoneType"),
        ({"cost_credits": -1}, "cost_credits is -1"),
        ({"cost_credits": float("inf")}, "cost_credits is inf"),
        ({"duration_h": "long"}, "duration_h is 'long'"),
        ({"duration_h": True}, "duration_h is True"),
        ({"quality": "good"}, "instead of Quality"),
        ({"failure": "broken"}, "failure is str"),
        ({"notes": {"n": float("nan")}}, "note 'n' is nan"),
    ],
)
def test_nonsense_is_invalid(change: dict[str, Any], words: str) -> None:
    found = perform(replace(GOOD, **change))
    assert found.failure is not None and found.failure.kind == "invalid"
    assert words in found.failure.message
    assert (found.values, found.grids, found.tables) == ({}, {}, {})
    assert set(found.arrays) == ({"image"} if "arrays" not in change else set()), "what is sound"


@pytest.mark.parametrize("script", [None, 3.0, {"values": {}}])
def test_something_else_than_an_outcome_is_invalid(script: object) -> None:
    found = perform(script)
    assert found.failure is not None and "instead of Outcome" in found.failure.message


def test_a_crash_is_told_in_one_line_and_logged_in_full(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="probewise.agents"):
        found = perform(RuntimeError("the tip broke"))
    assert found.failure == Failure(kind="crashed", message="RuntimeError: the tip broke")
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    ("worker", "cost"), [(Scripted, 5.0), (ScriptedTwin, 5.0), (ScriptedAnalysis, 0.0)]
)
def test_a_crash_costs_instrument_time_but_no_computation(
    worker: type[Scripted], cost: float
) -> None:
    assert perform(ValueError("x"), worker).cost_credits == cost


def test_a_crash_of_a_twin_takes_the_typical_time_so_that_it_repeats_exactly() -> None:
    assert perform(ValueError("x"), ScriptedTwin).duration_h == 0.5 + 2 * 0.25
    assert perform(ValueError("x"), ScriptedTwin) == perform(ValueError("x"), ScriptedTwin)


def test_a_stated_failure_keeps_its_price_and_words() -> None:
    blurred = Failure(kind="bad_data", message="blurred", remedy="tune")
    found = perform(Outcome(failure=blurred, cost_credits=0.5, duration_h=0.1))
    assert found.failure == blurred
    assert (found.cost_credits, found.duration_h) == (0.5, pytest.approx(0.1))
    assert perform(Outcome(failure=blurred)).cost_credits == 5.0


LOST = Failure(kind="instrument", message="connection lost", remedy="start it again")
HALF = Array(np.ones(2), "pm", (Axis("x", "nm", np.arange(2.0), "spatial"),))


def test_what_came_before_a_failure_is_kept_as_far_as_it_is_sound() -> None:
    store = MemoryStore()
    arrays = {
        "image": HALF,
        "scan": IMAGE,
        "torn": Array(np.array([1.0, np.nan, 1.0]), "pm", (X,)),
        "twice": Array(np.ones((3, 3)), "pm", (X, X)),
        "no name": IMAGE,
        "nothing": None,
    }
    outcome = Outcome(arrays=arrays, failure=LOST, cost_credits=1.0)  # type: ignore[arg-type]
    found = Seat("w", Scripted(outcome), store).perform(ISSUED, STEP)
    assert found.failure == LOST and found.cost_credits == 1.0
    assert set(found.arrays) == {"image", "scan"}
    kept = store.get(found.arrays["image"])
    assert np.array_equal(kept.data, HALF.data)
    assert kept.metadata == {"failure": "instrument: connection lost"}
    for name in ("torn", "twice", "no name", "nothing"):
        assert repr(name) in str(found.notes["left_out"])


def test_an_array_of_a_failure_in_another_unit_than_the_step_records_is_left_out() -> None:
    arrays = {"image": Array(np.ones(3), "V", (X,)), "other": Array(np.ones(3), "V", (X,))}
    found = perform(Outcome(arrays=arrays, failure=LOST))
    assert set(found.arrays) == {"other"}
    assert "records 'pm'" in str(found.notes["left_out"])


def test_arrays_that_came_too_late_are_kept_too() -> None:
    found = perform(replace(GOOD, duration_h=1.6))
    assert found.failure is not None and found.failure.kind == "timeout"
    assert set(found.arrays) == {"image"} and not found.values


class FullDisk:
    def put(self, action: Action, arrays: Any) -> dict[str, ArrayRef]:
        raise DiskError("store", "the disk refused it", "room", "make room")

    def get(self, ref: ArrayRef) -> Array:
        raise KeyError(ref.file)


@pytest.mark.parametrize("store", [FullDisk(), None])
def test_a_full_disk_does_not_mask_the_failure_that_was_first(store: FullDisk | None) -> None:
    outcome = Outcome(arrays={"image": HALF}, failure=LOST, notes={"tip": "blunt"})
    found = Seat("w", Scripted(outcome), store).perform(ISSUED, STEP)
    assert found.failure == LOST and found.arrays == {}
    assert "['image'] were not kept" in str(found.notes["left_out"])
    assert found.notes["tip"] == "blunt"


def test_what_was_used_beyond_the_commitment_is_charged_and_told() -> None:
    found = perform(replace(GOOD, cost_credits=10.0))
    assert found.failure is None
    assert found.cost_credits == 10.0
    assert found.notes == {"overrun_credits": 2.5}
    assert found.overrun == {"credits": 2.5}


@pytest.mark.parametrize("failure", [None, LOST])
def test_so_is_a_dose_beyond_the_commitment(failure: Failure | None) -> None:
    held = ISSUED.commitment.model_copy(update={"dose_e_per_A2": 30.0})
    issued = ISSUED.model_copy(update={"commitment": held})
    outcome = Outcome(failure=failure) if failure else GOOD
    outcome = replace(outcome, dose_e_per_A2=42.0, cost_credits=1.0)
    found = Seat("w", Scripted(outcome), MemoryStore()).perform(issued, STEP)
    assert (found.failure, found.dose_e_per_A2) == (failure, 42.0)
    assert found.overrun == {"dose_e_per_A2": pytest.approx(12.0)}


def test_what_is_within_the_commitment_is_no_overrun() -> None:
    assert perform(replace(GOOD, cost_credits=7.5)).overrun == {}


def test_longer_than_committed_ends_at_the_commitment_as_a_timeout() -> None:
    found = perform(replace(GOOD, duration_h=1.6))
    assert found.failure is not None and found.failure.kind == "timeout"
    assert (found.end_h, found.cost_credits, found.values) == (3.5, 4.0, {})
    assert found.overrun == {"hours": pytest.approx(0.1)}


def test_measured_time_beyond_the_commitment_is_no_timeout() -> None:
    brief = ISSUED.model_copy(update={"commitment": Commitment(credits=7.5, hours=0.0)})
    outcome = replace(GOOD, duration_h=None)
    assert Seat("w", Scripted(outcome), MemoryStore()).perform(brief, STEP).failure is None


def test_arrays_without_a_store_are_lost_not_fatal() -> None:
    found = Seat("w", Scripted(GOOD), None).perform(ISSUED, STEP)
    assert found.failure is not None and found.failure.kind == "crashed"
    assert "no store" in found.failure.message
    assert found.cost_credits == 4.0


def test_tables_pass() -> None:
    table = Table(positions=((0, 0),), columns={"height": (1.0,)})
    assert perform(replace(GOOD, tables={"t": table})).tables == {"t": table}


_wild = st.one_of(
    st.none(), st.floats(), st.text(max_size=3), st.booleans(), st.integers(), st.just(Outcome())
)


@pytest.mark.slow
@given(values=_wild, arrays=_wild, cost=_wild, hours=_wild, notes=_wild, failure=_wild)
def test_whatever_a_worker_returns_is_observed_within_its_commitment(
    values: Any, arrays: Any, cost: Any, hours: Any, notes: Any, failure: Any
) -> None:
    outcome = Outcome(
        values=values,
        arrays=arrays,
        cost_credits=cost,
        duration_h=hours,
        notes=notes,
        failure=failure,
    )
    found = perform(outcome, ScriptedTwin)
    assert found.failure is not None
    assert 0 <= found.cost_credits <= ISSUED.commitment.credits
    assert 0 <= found.duration_h <= ISSUED.commitment.hours
