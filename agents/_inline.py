"""All workers in this process: for tests, and for virtual campaigns that need no cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast, final

from ..workflow import (
    Action,
    ArrayStore,
    Commitment,
    Failure,
    Issued,
    Observation,
    Offer,
    Step,
    Verdict,
    WorkerSpec,
)
from ._duties import check_steps
from ._finding import Finding
from ._guardian import Guardian, ask_here
from ._health import Health, needs_securing, utc_now
from ._ledger import Ledger
from ._registry import make_worker
from ._runtime import Crew, ledger_path
from ._seat import Seat, close_quietly, secure_seat
from ._settle import failed

_log = logging.getLogger(__name__)


@final
class InlineRuntime:
    """Performs every action when it is submitted. A real timeout cannot be enforced here.

    Parameters
    ----------
    workers
        The campaign's workers by name.
    guardian
        Its guardian.
    store
        Where arrays are kept.
    ledgers
        Folder of the ledgers of workers that may not be run again; None keeps them in memory.
    """

    def __init__(
        self,
        workers: Mapping[str, WorkerSpec],
        guardian: WorkerSpec,
        store: ArrayStore | None = None,
        ledgers: Path | None = None,
    ) -> None:
        self._crew = Crew(workers, guardian)
        self._store, self._ledgers = store, ledgers
        self._seats: dict[str, Seat] = {}
        self._guardian: Guardian | None = None
        self._done: list[Observation] = []
        self._heard: dict[str, str] = {}

    def start(self) -> dict[str, tuple[Offer, ...]]:
        if self._guardian is None:
            try:
                guardian = make_worker(self._crew.guardian, "guardian")
                for name, spec in self._crew.specs.items():
                    worker = make_worker(spec, name)
                    ledger = Ledger(ledger_path(self._ledgers, name, type(worker)))
                    self._seats[name] = Seat(name, worker, self._store, ledger)
                    self._crew.take_offers(name, self._seats[name].worker.offers())
            except Exception:
                self.close()
                raise
            self._guardian = cast(Guardian, guardian)
        return dict(self._crew.offers)

    def check(self, steps: Sequence[Step]) -> None:
        for name, duties in self._crew.duties(steps).items():
            check_steps(name, self._seats[name].worker, duties)

    def review(
        self, action: Action, step: Step, commitment: Commitment, worker: str | None = None
    ) -> Verdict:
        return self._crew.review(self._ask, action, step, commitment, worker)

    def submit(self, issued: Issued, step: Step) -> None:
        verdict = self._crew.admit(self._ask, issued, step)
        if verdict is None:
            return
        if verdict.allowed:
            self._done.append(self._seats[issued.worker].perform(issued, step))
            self._heard[issued.worker] = utc_now()
        else:
            failure = Failure(kind="refused", message=f"guardian: {verdict.reason}")
            worker = self._crew.classes[issued.worker]
            self._done.append(failed(issued, step, worker, failure))

    def inquire(self, issued: Issued, step: Step) -> Finding:
        return self._seats[issued.worker].inquire(issued, step)

    def collect(self, everything: bool, timeout_s: float | None) -> list[Observation]:
        done, self._done = sorted(self._done, key=lambda o: o.action_id), []
        return done

    def secure(self) -> dict[str, str]:
        return {
            name: secure_seat(seat)
            for name, seat in self._seats.items()
            if needs_securing(type(seat.worker))
        }

    def halt(self) -> None:
        self._done = []

    def health(self) -> dict[str, Health]:
        return {
            name: Health(condition="alive", pid=os.getpid(), last_answer=self._heard.get(name))
            for name in self._seats
        }

    def close(self) -> None:
        for seat in self._seats.values():
            close_quietly(seat)
        self._seats = {}

    def _ask(self, action: Action, step: Step, commitment: Commitment, twin: bool) -> Verdict:
        if self._guardian is None:
            return Verdict(allowed=False, reason="the guardian is not there")
        return ask_here(self._guardian, action, step, commitment, twin)
