"""The seat: where a plain worker meets the campaign. It believes nothing unchecked."""

from __future__ import annotations

import logging
import threading
import time
from typing import final

from ..workflow import (
    Account,
    Array,
    ArrayRef,
    ArrayStore,
    DiskError,
    Failure,
    Fate,
    Issued,
    Job,
    Observation,
    Outcome,
    ProbewiseError,
    Step,
    StoreError,
    Worker,
)
from ._contract import find_fault
from ._finding import Finding
from ._ledger import Ledger
from ._salvage import as_failed, salvage
from ._secrets import hide
from ._settle import failed, lost, overtime, settle

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
    ledger
        What it notes in; by default one in memory.
    """

    def __init__(
        self,
        worker_name: str,
        worker: Worker,
        store: ArrayStore | None,
        ledger: Ledger | None = None,
    ) -> None:
        self.worker_name, self.worker, self._store = worker_name, worker, store
        self._ledger = ledger or Ledger()
        self._guard = threading.Lock()

    def perform(self, issued: Issued, step: Step) -> Observation:
        """Do the action, once: a second delivery is answered with what the first one brought.

        If its ledger says that it was begun and not ended, it is done again only where that is
        harmless, or where the worker says that it was not done.
        """
        try:
            with self._guard:
                known = self._ledger.result(issued.action.id) or self._unsure(issued, step)
                if known is not None:
                    return known
                self._ledger.begin(issued.action.id)
        except (OSError, ProbewiseError) as error:
            _log.exception("worker %r, action %s", self.worker_name, issued.action.id)
            remedy = "see that the run folder can be written from the worker's machine"
            failure = Failure(kind="not_done", message=f"ledger: {error}"[:500], remedy=remedy)
            return failed(issued, step, type(self.worker), failure)
        observation = self._perform(issued, step)
        self._note(observation)
        return observation

    def inquire(self, issued: Issued, step: Step) -> Finding:
        """What became of an action: by the ledger, else by the worker's own word."""
        known, begun, durable = self._look_up(issued.action.id)
        if known is not None:
            return Finding(fate=Fate.DONE, by="ledger", observation=known)
        if durable and not begun:
            return Finding(fate=Fate.NOT_DONE, by="ledger")
        account = self._account(issued.action.id)
        if account is None:
            return Finding(fate=Fate.UNKNOWN, by="nobody")
        if account.fate in {Fate.NOT_DONE, Fate.UNKNOWN}:
            return Finding(fate=account.fate, by="worker")
        return self._accepted(account, issued, step)

    def close(self) -> None:
        """Close the worker and let go of the ledger."""
        try:
            self.worker.close()
        finally:
            self._ledger.close()

    def _look_up(self, action_id: str) -> tuple[Observation | None, bool, bool]:
        """What the ledger holds: a result, whether it was begun, whether it outlives processes."""
        try:
            with self._guard:
                durable = self._ledger.durable
                return self._ledger.result(action_id), self._ledger.began(action_id), durable
        except (OSError, ProbewiseError):
            _log.exception("worker %r, action %s", self.worker_name, action_id)
            return None, True, False

    def _account(self, action_id: str) -> Account | None:
        try:
            account = self.worker.account(action_id)
        except Exception:
            _log.exception("worker %r, account of action %s", self.worker_name, action_id)
            return None
        return account if isinstance(account, Account) else None

    def _accepted(self, account: Account, issued: Issued, step: Step) -> Finding:
        """A done action with its result; without one, a failure that is charged.

        A step that gives nothing has its whole result in being done.
        """
        outcome = account.outcome or Outcome()
        if account.fate is Fate.DONE or not (step.produces or step.records or step.predicts):
            found = self._sealed(self._checked(outcome, issued, step), issued, step)
            if found.failure == outcome.failure:
                self._note(found)
                return Finding(fate=Fate.DONE, by="worker", observation=found)
        failure = Failure(kind="crashed", message="it was done, but its result is lost")
        found = self._sealed(as_failed(outcome, failure), issued, step)
        self._note(found)
        return Finding(fate=Fate.DONE_WITHOUT_RESULT, by="worker", observation=found)

    def _unsure(self, issued: Issued, step: Step) -> Observation | None:
        """A failure, if it was begun before and nobody can say that it may be done again."""
        worker, action_id = type(self.worker), issued.action.id
        if not self._ledger.began(action_id):
            return None
        failure = Failure(kind="crashed", message="delivered again after it was begun")
        unsure = lost(issued, step, worker, failure)
        if unsure.kind != "uncertain":
            return None
        account = self._account(action_id)
        if account is not None and account.fate is Fate.NOT_DONE:
            return None
        return failed(issued, step, worker, unsure)

    def _note(self, observation: Observation) -> None:
        try:
            with self._guard:
                self._ledger.end(observation)
        except OSError:
            _log.exception("worker %r, action %s", self.worker_name, observation.action_id)

    def _perform(self, issued: Issued, step: Step) -> Observation:
        """Call the worker. Whatever goes wrong comes back as ``Observation.failure``.

        ``missing``: an input array cannot be read. ``refused``: the worker raised a ProbewiseError.
        ``crashed``: it raised anything else. ``not_kept``: the disk refused its arrays.
        ``invalid``: it returned what the step does not allow. ``timeout``: it says that it took
        longer than was committed.
        """
        began = time.monotonic()
        try:
            outcome = self._outcome(issued, step)
        except KeyboardInterrupt:
            self._keep_what_came(issued, step, began)
            raise
        return self._sealed(outcome, issued, step, began)

    def _keep_what_came(self, issued: Issued, step: Step, began: float) -> None:
        """Of an action that Ctrl-C ended, what its worker can tell goes into the ledger, where it
        is found when the campaign is taken up again."""
        account = self._account(issued.action.id)
        if account is not None and account.fate is Fate.DONE and account.outcome is not None:
            outcome = self._checked(account.outcome, issued, step)
            self._note(self._sealed(outcome, issued, step, began))

    def _sealed(
        self, outcome: Outcome, issued: Issued, step: Step, began: float | None = None
    ) -> Observation:
        """Keep the arrays and settle the price; ``began`` is when (monotonic seconds)."""
        arrays: dict[str, ArrayRef] = {}
        late = overtime(outcome, issued) if outcome.failure is None else None
        if late is not None:
            outcome = as_failed(outcome, late)
        if outcome.failure is not None:
            outcome, arrays = salvage(self._store, issued, step, outcome)
        elif outcome.arrays:
            outcome, arrays = self._keep(issued, outcome)
        elapsed_h = 0.0 if began is None else (time.monotonic() - began) / 3600.0
        return settle(issued, step, type(self.worker), outcome, elapsed_h, arrays)

    def _outcome(self, issued: Issued, step: Step) -> Outcome:
        try:
            arrays = self._inputs(issued)
        except (ProbewiseError, OSError, KeyError) as error:
            return Outcome(failure=_raised("missing", error))
        try:
            outcome = self.worker.perform(Job(issued.action, step, arrays, issued.approved_by))
        except StoreError as error:
            return Outcome(failure=_raised("missing", error))
        except ProbewiseError as error:
            return Outcome(failure=_raised("refused", error))
        except (Exception, SystemExit) as error:
            _log.exception("worker %r, action %s", self.worker_name, issued.action.id)
            return Outcome(failure=_raised("crashed", error))
        return self._checked(outcome, issued, step)

    def _checked(self, outcome: Outcome, issued: Issued, step: Step) -> Outcome:
        """The outcome, or the failure of one that the step does not allow."""
        try:
            fault = find_fault(outcome, step)
        except Exception as error:
            fault = f"the outcome cannot be read ({type(error).__name__}: {error})"
        if fault is not None:
            _log.error("worker %r, action %s: %s", self.worker_name, issued.action.id, fault)
            remedy = f"mend worker type {type(self.worker).__name__}"
            return as_failed(outcome, Failure(kind="invalid", message=fault, remedy=remedy))
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
            kind = "not_kept" if isinstance(error, OSError | DiskError) else "crashed"
            return as_failed(outcome, _raised(kind, error)), {}


def close_quietly(seat: Seat) -> None:
    """Close a seat; an error is logged, so that the others are closed too."""
    try:
        seat.close()
    except Exception:
        _log.exception("worker %r did not close", seat.worker_name)


def secure_seat(seat: Seat) -> str:
    """Ask a worker to be safe; its answer, or what went wrong, in words."""
    try:
        return hide(str(seat.worker.safe()))[:500]
    except Exception as error:
        _log.exception("worker %r did not become safe", seat.worker_name)
        return hide(f"FAILED: {type(error).__name__}: {error}")[:500]


def _raised(kind: str, error: BaseException) -> Failure:
    remedy = error.remedy if isinstance(error, ProbewiseError) else ""
    message = hide(f"{type(error).__name__}: {error}")[:500]
    return Failure.model_validate({"kind": kind, "message": message, "remedy": hide(remedy)})
