"""The conformance suite: what every worker must keep, whoever wrote it.

A worker that passes can be planned with, run in process or on Ray, crash, be replaced and be run
again, without harm to the campaign.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from ..workflow import (
    Account,
    Commitment,
    Fate,
    Issued,
    Job,
    Kind,
    Offer,
    Outcome,
    ProbewiseError,
    Target,
    Worker,
)
from ._contract import find_fault
from ._duties import check_steps
from ._memory import MemoryStore, frozen
from ._seat import Seat


def check_worker(make: Callable[[], Worker], jobs: Iterable[Job]) -> None:
    """Check that the workers that ``make`` makes keep the contract of ``Worker``.

    Parameters
    ----------
    make
        Makes a fresh worker, as after a crash: the class itself, or a function.
    jobs
        At least one for every capability that is offered; each must be one that the worker can do.

    Raises
    ------
    AssertionError
        At the first breach, with what was found.
    """
    jobs = tuple(jobs)
    worker = make()
    _check_class(type(worker))
    _check_offers(worker, jobs)
    _check_foresight(worker, jobs)
    _check_ignorance(worker)
    for job in jobs:
        _check_job(worker, job)
        _check_account(worker, job)
        if worker.replayable:
            _check_replay(make, worker, job)
        if worker.replayable or job.step.repeat != "irreversible":
            for weird in _weird_jobs(job):
                _check_survival(worker, weird)
            again = _observe(worker, job)
            assert again.failure is None, f"after strange targets it fails: {again.failure}"
    _check_safety(worker)
    worker.close()
    worker.close()


def _check_safety(worker: Worker) -> None:
    """Being safe can be asked for at any time, and again."""
    for _ in range(2):
        answer = worker.safe()
        assert isinstance(answer, str) and answer, f"safe() must say what was done: {answer!r}"


def _check_class(kind: type[Worker]) -> None:
    assert issubclass(kind, Worker), f"{kind.__name__} is no subclass of Worker"
    assert isinstance(getattr(kind, "kind", None), Kind), f"{kind.__name__}.kind must be a Kind"
    for flag in ("twin", "replayable"):
        assert isinstance(getattr(kind, flag), bool), (
            f"{kind.__name__}.{flag} must be true or false"
        )
    same = pickle.loads(pickle.dumps(kind)) is kind
    assert same, f"{kind.__name__} must be importable by name, at the top of its module"


def _check_offers(worker: Worker, jobs: tuple[Job, ...]) -> None:
    offers = worker.offers()
    assert isinstance(offers, tuple), f"offers() must be a tuple, not {type(offers).__name__}"
    assert all(isinstance(o, Offer) for o in offers), f"offers() must hold Offers: {offers!r}"
    names = [o.capability for o in offers]
    assert len(set(names)) == len(names), f"capabilities offered twice: {names}"
    assert worker.offers() == offers, "offers() must give the same every time"
    if worker.kind is Kind.GUARDIAN:
        assert not names, "a guardian offers nothing"
        return
    assert names, "a worker must offer at least one capability"
    needed = {job.step.needs for job in jobs}
    assert needed == set(names), f"jobs for {sorted(needed)} given, {sorted(names)} offered"


def _check_foresight(worker: Worker, jobs: tuple[Job, ...]) -> None:
    """Asked before anything is done, it accepts what it can do. What touches the world refuses
    parameters that it does not know, and names the step."""
    for step in (job.step for job in jobs):
        try:
            check_steps("checked", worker, [step])
        except ProbewiseError as error:
            raise AssertionError(f"check() refuses what it is to do: {error}") from error
        if worker.kind not in {Kind.INSTRUMENT, Kind.SYNTHESIS}:
            continue
        stray = {**step.parameters, "no_such_parameter": 1.0}
        try:
            check_steps("checked", worker, [step.model_copy(update={"parameters": stray})])
        except ProbewiseError as error:
            assert repr(step.name) in error.who, f"check() does not name the step: {error}"
        else:
            raise AssertionError(
                f"step {step.name!r}: check() accepts a parameter 'no_such_parameter'; refuse what"
                " the worker does not know, or call no_parameters(step) where it takes none"
            )


def _check_job(worker: Worker, job: Job) -> None:
    who = f"step {job.step.name!r}"
    handed = _frozen_job(job)
    before = copy.deepcopy(handed)
    observation = _observe(worker, handed)
    assert observation.failure is None, f"{who} fails: {observation.failure}"
    assert same_content(_fields(handed), _fields(before)), f"{who}: perform changed its job"
    assert observation.end_h >= observation.start_h, f"{who}: it ends before it starts"
    over = ", ".join(f"{more:g} {unit}" for unit, more in observation.overrun.items())
    assert not over, f"{who}: uses {over} more than the step's cap"
    copied = pickle.loads(pickle.dumps(observation))
    assert copied == observation, f"{who}: its observation does not survive pickling"


def _check_ignorance(worker: Worker) -> None:
    """Of an action that it was never given, a worker claims nothing."""
    account = worker.account("an-action-that-never-was")
    assert isinstance(account, Account), f"account() gives {type(account).__name__}, not Account"
    claimed = account.fate in {Fate.DONE, Fate.DONE_WITHOUT_RESULT}
    assert not claimed, f"it claims {account.fate.value!r} of an action that never was"


def _check_account(worker: Worker, job: Job) -> None:
    """Of what it has just done, a worker does not deny it, nor give another result."""
    who = f"step {job.step.name!r}"
    account = worker.account(job.action.id)
    denied = account.fate is Fate.NOT_DONE and not worker.replayable
    assert not denied, f"{who}: it was done, but account() says that it was not"
    if account.fate is not Fate.DONE:
        return
    fault = find_fault(account.outcome, job.step)
    assert fault is None, f"{who}: account() says that it was done, but: {fault}"
    again = worker.account(job.action.id)
    assert same_content(account, again), f"{who}: account() gives another result the second time"


def _check_replay(make: Callable[[], Worker], worker: Worker, job: Job) -> None:
    first, fresh = worker.perform(_frozen_job(job)), make()
    try:
        for name, other in (("the same worker", worker), ("a fresh worker", fresh)):
            again = other.perform(_frozen_job(job))
            differing = [
                f.name
                for f in fields(Outcome)
                if not same_content(getattr(first, f.name), getattr(again, f.name))
            ]
            assert not differing, (
                f"step {job.step.name!r}: replayable, but {name} gives other {differing}"
            )
    finally:
        fresh.close()


def _check_survival(worker: Worker, job: Job) -> None:
    """A strange target may be refused, fail, or be none of the worker's business."""
    try:
        outcome = worker.perform(_frozen_job(job))
    except ProbewiseError:
        return
    except Exception as error:
        raise AssertionError(
            f"step {job.step.name!r}: {type(error).__name__} ({error}) on target"
            f" {job.action.target} with arrays {sorted(job.arrays)}; return a Failure or raise a"
            " ProbewiseError"
        ) from error
    fault = find_fault(outcome, job.step)
    assert fault is None, f"step {job.step.name!r} on target {job.action.target}: {fault}"


def _weird_jobs(job: Job) -> Iterable[Job]:
    target = job.action.target
    strange = [
        Target(),
        Target(sample="no such sample", site=10**6, positions=((-1, -1), (10**7, 10**7))),
        target.model_copy(update={"design": dict.fromkeys(target.design, 1e30)}),
        target.model_copy(update={"design": {"no_such_variable": 1.0}}),
        target.model_copy(update={"sample": None, "site": None, "positions": ()}),
    ]
    for other in (s for s in strange if s != target):
        yield replace(job, action=job.action.model_copy(update={"target": other}))
    if job.arrays:
        yield replace(job, arrays={})


def _observe(worker: Worker, job: Job) -> Any:
    store = MemoryStore()
    inputs = {
        name: tuple(
            store.put(job.action.model_copy(update={"id": f"input{i}"}), {name: array})[name]
            for i, array in enumerate(arrays)
        )
        for name, arrays in job.arrays.items()
    }
    extent = job.step.extent(job.action)
    issued = Issued(
        hour=0.0,
        action=job.action.model_copy(update={"inputs": inputs}),
        worker="checked",
        commitment=Commitment(
            credits=job.step.cost_credits.cap(*extent),
            hours=job.step.latency_h.cap(*extent),
            samples=int(job.step.makes is not None),
            dose_e_per_A2=job.step.dose_e_per_A2.cap(*extent) if job.step.exposes else 0.0,
        ),
    )
    return Seat("checked", worker, store).perform(issued, job.step)


def _frozen_job(job: Job) -> Job:
    arrays = {name: tuple(map(frozen, given)) for name, given in job.arrays.items()}
    return Job(job.action, job.step, arrays, job.approved_by)


def _fields(job: Job) -> tuple[Any, ...]:
    return job.action, job.step, dict(job.arrays)


def same_content(first: Any, second: Any) -> bool:
    """Deep equality of what workers give and take; arrays are compared number by number."""
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        return np.array_equal(np.asarray(first), np.asarray(second))
    if is_dataclass(first) and type(first) is type(second):
        return all(
            same_content(getattr(first, f.name), getattr(second, f.name)) for f in fields(first)
        )
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return set(first) == set(second) and all(same_content(first[k], second[k]) for k in first)
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(map(same_content, first, second))
    return bool(first == second)
