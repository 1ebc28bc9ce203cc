"""The seat: where a plain worker meets the campaign. It believes nothing unchecked."""

from __future__ import annotations

import logging
import time
from typing import final

from ..workflow import (
    Array,
    ArrayRef,
    ArrayStore,
    Failure,
    Issued,
    Job,
    Observation,
    Outcome,
    ProbewiseError,
    Step,
    StoreError,
    Worker,
)
from ._contract import find_fault, find_side_fault
from ._settle import overtime, settle

_log = logging.getLogger(__name__)


@final
class Seat:
    """Performs issued actions with one worker and turns every end into an observation.

    Parameters
    ----------
    worker_name
        The worker's name in the campaign.
    worker
        The worker.
    store
        Where arrays are read and kept; None if no step of the campaign has any.
    """

    def __init__(self, worker_name: str, worker: Worker, store: ArrayStore | None) -> None:
        self.worker_name, self.worker, self._store = worker_name, worker, store

    def perform(self, issued: Issued, step: Step) -> Observation:
        """Do the action. Whatever goes wrong comes back as ``Observation.failure``.

        ``missing``: an input array cannot be read. ``refused``: the worker raised a ProbewiseError.
        ``crashed``: it raised anything else, or its arrays could not be kept. ``invalid``: it
        returned what the step does not allow. ``timeout``: it says that it took longer than was
        committed.
        """
        began = time.monotonic()
        outcome = self._outcome(issued, step)
        arrays: dict[str, ArrayRef] = {}
        if outcome.failure is None:
            late = overtime(outcome, issued)
            if late is not None:
                outcome = _without_results(outcome, late)
            elif outcome.arrays:
                outcome, arrays = self._keep(issued, outcome)
        elapsed_h = (time.monotonic() - began) / 3600.0
        return settle(issued, step, type(self.worker), outcome, elapsed_h, arrays)

    def _outcome(self, issued: Issued, step: Step) -> Outcome:
        try:
            arrays = self._inputs(issued)
        except (ProbewiseError, OSError, KeyError) as error:
            return Outcome(failure=_raised("missing", error))
        try:
            outcome = self.worker.perform(Job(issued.action, step, arrays))
        except StoreError as error:
            return Outcome(failure=_raised("missing", error))
        except ProbewiseError as error:
            return Outcome(failure=_raised("refused", error))
        except (Exception, SystemExit) as error:
            _log.exception("worker %r, action %s", self.worker_name, issued.action.id)
            return Outcome(failure=_raised("crashed", error))
        try:
            fault = find_fault(outcome, step)
        except Exception as error:
            fault = f"the outcome cannot be read ({type(error).__name__}: {error})"
        if fault is not None:
            _log.error("worker %r, action %s: %s", self.worker_name, issued.action.id, fault)
            remedy = f"mend worker type {type(self.worker).__name__}"
            return _without_results(outcome, Failure(kind="invalid", message=fault, remedy=remedy))
        return outcome

    def _inputs(self, issued: Issued) -> dict[str, tuple[Array, ...]]:
        inputs = issued.action.inputs
        if not any(inputs.values()):
            return dict.fromkeys(inputs, ())
        if self._store is None:
            raise StoreError(
                f"worker {self.worker_name!r}",
                f"input arrays {sorted(inputs)} and no store",
                "a store that holds them",
                "give the runtime a store",
            )
        return {name: tuple(map(self._store.get, refs)) for name, refs in inputs.items()}

    def _keep(self, issued: Issued, outcome: Outcome) -> tuple[Outcome, dict[str, ArrayRef]]:
        try:
            if self._store is None:
                raise StoreError(
                    f"worker {self.worker_name!r}",
                    f"arrays {sorted(outcome.arrays)} and no store",
                    "a store to keep them in",
                    "give the runtime a store",
                )
            return outcome, self._store.put(issued.action, outcome.arrays)
        except (ProbewiseError, OSError) as error:
            _log.exception("worker %r, action %s", self.worker_name, issued.action.id)
            return _without_results(outcome, _raised("crashed", error)), {}


def _raised(kind: str, error: BaseException) -> Failure:
    remedy = error.remedy if isinstance(error, ProbewiseError) else ""
    message = f"{type(error).__name__}: {error}"[:500]
    return Failure.model_validate({"kind": kind, "message": message, "remedy": remedy})


def _without_results(outcome: object, failure: Failure) -> Outcome:
    """The same price where it is sound, no results."""
    if not isinstance(outcome, Outcome) or find_side_fault(outcome) is not None:
        return Outcome(failure=failure)
    return Outcome(
        cost_credits=outcome.cost_credits,
        duration_h=outcome.duration_h,
        dose_e_per_A2=outcome.dose_e_per_A2,
        failure=failure,
        notes=outcome.notes,
    )
