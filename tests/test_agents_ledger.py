"""What a seat notes: a second delivery is harmless, and a crash leaves something to look up."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probewise.agents import MemoryStore, Seat
from probewise.agents._ledger import Ledger
from probewise.workflow import (
    Account,
    Action,
    Array,
    Axis,
    Commitment,
    Estimate,
    Failure,
    Fate,
    Issued,
    Job,
    Kind,
    Observation,
    Offer,
    Outcome,
    Step,
    Worker,
)

STEP = Step.model_validate(
    {
        "name": "anneal",
        "level": 4,
        "produces": "grain [nm]",
        "records": "trace [V]",
        "cost_credits": 4,
        "latency_h": 1,
        "repeat": "irreversible",
    }
)
SILENT = Step.model_validate(
    {"name": "load", "level": 4, "cost_credits": 2, "latency_h": 0.1, "repeat": "irreversible"}
)
X = np.arange(3.0)
GOOD = Outcome(
    values={"grain": Estimate(value=41.0, std=1.0)},
    arrays={"trace": Array(X, "V", (Axis("x", "nm", X, "spatial"),))},
    cost_credits=5.0,
    duration_h=0.5,
)


class Furnace(Worker):
    """Counts what it does, and says of it what it was told to say."""

    kind = Kind.SYNTHESIS

    def __init__(self, says: Account | Exception | None = None, dies: bool = False) -> None:
        self.says, self.dies, self.done = says, dies, []

    def offers(self) -> tuple[Offer, ...]:
        return (Offer(capability="anneal"), Offer(capability="load"))

    def perform(self, job: Job) -> Outcome:
        self.done.append(job.action.id)
        if self.dies:
            raise KeyboardInterrupt  # as the end of the process: no seat catches it
        return GOOD if job.step is STEP else Outcome(cost_credits=2.0, duration_h=0.1)

    def account(self, action_id: str) -> Account:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says or super().account(action_id)


class FurnaceTwin(Furnace):
    twin = True
    replayable = True


def issued(action_id: str = "a1", step: Step = STEP) -> Issued:
    return Issued(
        hour=2.0,
        action=Action(id=action_id, step=step.name),
        worker="oven",
        commitment=Commitment(credits=6, hours=1.5),
    )


def seat(worker: Worker, path: Path | None) -> Seat:
    return Seat("oven", worker, MemoryStore(), Ledger(path, wait_s=0.3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "ledgers").mkdir()
    return tmp_path / "ledgers" / "oven.jsonl"


def crashed(path: Path | None) -> None:
    """A process that ended in the middle of action a1."""
    before = seat(Furnace(dies=True), path)
    with pytest.raises(KeyboardInterrupt):
        before.perform(issued(), STEP)
    before.close()


@pytest.mark.parametrize("durable", [True, False])
def test_a_second_delivery_is_answered_and_not_done(path: Path, durable: bool) -> None:
    worker = Furnace()
    one = seat(worker, path if durable else None)
    first, second = one.perform(issued(), STEP), one.perform(issued(), STEP)
    assert first == second and first.failure is None
    assert worker.done == ["a1"]


def test_a_later_process_answers_a_second_delivery_too(path: Path) -> None:
    before = seat(Furnace(), path)
    first = before.perform(issued(), STEP)
    before.close()
    worker = Furnace()
    assert seat(worker, path).perform(issued(), STEP) == first
    assert worker.done == []


def test_the_ledger_is_written_before_the_worker_is_called(path: Path) -> None:
    class Looks(Furnace):
        def perform(self, job: Job) -> Outcome:
            self.done.append(path.read_text())
            return super().perform(job)

    worker = Looks()
    seat(worker, path).perform(issued(), STEP)
    assert worker.done[0] == '{"begun": "a1"}\n'


def test_what_was_begun_and_may_not_be_repeated_is_not_repeated(path: Path) -> None:
    crashed(path)
    worker = Furnace()
    found = seat(worker, path).perform(issued(), STEP)
    assert found.failure is not None and found.failure.kind == "uncertain"
    assert found.cost_credits == 6.0, "all that was committed"
    assert worker.done == []


@pytest.mark.parametrize("repeat", ["idempotent", "repeatable"])
def test_what_was_begun_and_may_be_repeated_is_repeated(path: Path, repeat: Any) -> None:
    crashed(path)
    worker = Furnace()
    step = STEP.model_copy(update={"repeat": repeat})
    seat(worker, path).perform(issued(), step)
    assert worker.done == ["a1"]


def test_what_the_worker_denies_is_done_after_all(path: Path) -> None:
    crashed(path)
    worker = Furnace(Account(Fate.NOT_DONE))
    assert seat(worker, path).perform(issued(), STEP).failure is None
    assert worker.done == ["a1"]


def test_inquiring_looks_into_the_ledger_first(path: Path) -> None:
    before = seat(Furnace(), path)
    first = before.perform(issued(), STEP)
    before.close()
    after = seat(Furnace(ValueError("not me")), path)
    known, other = after.inquire(issued(), STEP), after.inquire(issued("a2"), STEP)
    assert (known.fate, known.by, known.observation) == (Fate.DONE, "ledger", first)
    assert (other.fate, other.by, other.observation) == (Fate.NOT_DONE, "ledger", None)


def test_without_a_ledger_nothing_is_taken_for_not_done(path: Path) -> None:
    for where in (path.parent / "not-seen-from-here" / path.name, None):
        found = seat(Furnace(), where).inquire(issued(), STEP)
        assert found.fate is Fate.UNKNOWN


def test_a_worker_that_was_never_called_has_done_nothing(path: Path) -> None:
    found = seat(Furnace(), path).inquire(issued(), STEP)
    assert (found.fate, found.by) == (Fate.NOT_DONE, "ledger")


@pytest.mark.parametrize(
    ("says", "fate", "by", "cost", "failure"),
    [
        (None, Fate.UNKNOWN, "worker", None, None),
        (Account(Fate.NOT_DONE), Fate.NOT_DONE, "worker", None, None),
        (RuntimeError("no page"), Fate.UNKNOWN, "nobody", None, None),
        (Account(Fate.DONE, GOOD), Fate.DONE, "worker", 5.0, None),
        (Account(Fate.DONE), Fate.DONE_WITHOUT_RESULT, "worker", 4.0, "crashed"),
        (Account(Fate.DONE_WITHOUT_RESULT), Fate.DONE_WITHOUT_RESULT, "worker", 4.0, "crashed"),
        (
            Account(Fate.DONE_WITHOUT_RESULT, Outcome(cost_credits=1.5)),
            Fate.DONE_WITHOUT_RESULT,
            "worker",
            1.5,
            "crashed",
        ),
        (
            Account(Fate.DONE, Outcome(failure=Failure(kind="instrument", message="cold"))),
            Fate.DONE,
            "worker",
            4.0,
            "instrument",
        ),
    ],
)
def test_of_what_was_begun_the_worker_is_asked(
    path: Path, says: Any, fate: Fate, by: str, cost: float | None, failure: str | None
) -> None:
    crashed(path)
    found = seat(Furnace(says), path).inquire(issued(), STEP)
    assert (found.fate, found.by) == (fate, by)
    if cost is None:
        assert found.observation is None
        return
    observation = found.observation
    assert observation is not None and observation.cost_credits == cost
    assert (observation.failure.kind if observation.failure else None) == failure
    assert bool(observation.arrays) == (failure is None), "arrays are kept in the store"
    again = seat(Furnace(), path)
    again_found = again.inquire(issued(), STEP)
    assert (again_found.by, again_found.observation) == ("ledger", observation)


def test_a_step_that_gives_nothing_is_done_without_a_result(path: Path) -> None:
    crashed(path)
    found = seat(Furnace(Account(Fate.DONE_WITHOUT_RESULT)), path).inquire(issued(), SILENT)
    assert found.fate is Fate.DONE
    assert found.observation is not None and found.observation.failure is None
    assert found.observation.cost_credits == 2.0


def test_what_may_be_run_again_is_as_good_as_not_done() -> None:
    found = seat(FurnaceTwin(), None).inquire(issued(), STEP)
    assert (found.fate, found.by) == (Fate.NOT_DONE, "worker")


def test_a_torn_line_counts_as_never_written(path: Path) -> None:
    before = seat(Furnace(), path)
    before.perform(issued(), STEP)
    before.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    after = seat(Furnace(), path)
    assert after.inquire(issued(), STEP).fate is Fate.UNKNOWN
    after.perform(issued("a2"), STEP)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [next(iter(line)) for line in lines] == ["begun", "begun", "ended"]


def test_without_room_for_a_line_nothing_is_done(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    worker = Furnace()
    found = seat(worker, path).perform(issued(), STEP)
    assert found.failure is not None and found.failure.kind == "not_done"
    assert (found.cost_credits, worker.done) == (0.0, [])
    assert path.read_bytes() == b""


def test_a_run_folder_that_is_not_seen_is_said(tmp_path: Path) -> None:
    worker = Furnace()
    found = seat(worker, tmp_path / "elsewhere" / "ledgers" / "o.jsonl").perform(issued(), STEP)
    assert found.failure is not None and "run folder" in found.failure.remedy
    assert worker.done == []


def test_two_processes_are_not_at_one_instrument(path: Path) -> None:
    with path.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        worker = Furnace()
        found = seat(worker, path).perform(issued(), STEP)
    assert found.failure is not None and "held by another process" in found.failure.message
    assert worker.done == []


def test_a_ledger_in_memory_stays_small() -> None:
    ledger = Ledger()
    for i in range(2000):
        ledger.end(Observation(action_id=f"a{i}", worker="w"))
    assert ledger.result("a1999") is not None and ledger.result("a0") is None
