"""The runtime: what a campaign asks of the place where its workers are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, final

from ..workflow import (
    Action,
    Commitment,
    Issued,
    Kind,
    Observation,
    Offer,
    Step,
    Verdict,
    Worker,
    WorkerError,
    WorkerSpec,
)
from ._finding import Finding
from ._guardian import Guardian
from ._health import Health
from ._registry import worker_type

_log = logging.getLogger(__name__)

Ask = Callable[[Action, Step, Commitment, bool], Verdict]
"""Puts an action to the guardian; the last argument says whether a twin would do it."""


class Runtime(Protocol):
    """Runs workers and their guardian. One implementation in process, one on Ray."""

    def start(self) -> dict[str, tuple[Offer, ...]]:
        """Make every worker and the guardian ready; what each worker offers.

        Raises
        ------
        WorkerError
            If one cannot be made, offers nothing, or does not become ready in time.
        """
        ...

    def check(self, steps: Sequence[Step]) -> None:
        """Put every step to each worker that may be given it. Asked once all are ready.

        Raises
        ------
        ProbewiseError
            The first refusal: the worker, the step, what it gives, what is allowed, the remedy.
        """
        ...

    def review(
        self, action: Action, step: Step, commitment: Commitment, worker: str | None = None
    ) -> Verdict:
        """The guardian's answer. Without ``worker``, the action counts as one of a twin only if all
        workers that could do it are twins. A guardian that fails to answer has refused."""
        ...

    def submit(self, issued: Issued, step: Step) -> None:
        """Give an action to its worker. An action that the guardian has not allowed is put to it
        first; refused, it comes back as a failure ``refused``. A second delivery of the same
        action id is ignored.

        Raises
        ------
        WorkerError
            If there is no such worker, or it does not offer what the step needs.
        """
        ...

    def inquire(self, issued: Issued, step: Step) -> Finding:
        """After a crash: what became of an action that was issued and never observed.

        Its seat's ledger is looked up, then the worker is asked. Waits for the answer; a worker
        that does not give one does not know.
        """
        ...

    def collect(self, everything: bool, timeout_s: float | None) -> list[Observation]:
        """Finished actions, by action id, each returned once.

        With ``everything``, waits until all that was submitted is finished; otherwise until
        something is. Gives up waiting after ``timeout_s`` seconds (None: never) and returns what
        there is, possibly nothing.
        """
        ...

    def secure(self) -> dict[str, str]:
        """Ask every idle instrument and synthesis to be safe; their answers in words.

        An answer that begins with ``FAILED`` says that a worker is not known to be safe.
        """
        ...

    def halt(self) -> None:
        """End at once whatever workers are at. What was submitted is never collected; whether it
        was done is not known."""
        ...

    def health(self) -> dict[str, Health]:
        """How every worker is. Never waits for one."""
        ...

    def close(self) -> None:
        """Close every worker. Nothing else may be called afterwards; a second call does nothing."""
        ...


@final
class Crew:
    """The workers of a campaign by class, what they offer, and what the guardian has allowed.

    Raises
    ------
    WorkerError
        If a type is unknown, or stands in the wrong section.
    """

    def __init__(self, workers: Mapping[str, WorkerSpec], guardian: WorkerSpec) -> None:
        self.specs = dict(workers)
        self.guardian = guardian
        self.classes: dict[str, type[Worker]] = {
            name: worker_type(spec.type, f"worker {name!r}") for name, spec in workers.items()
        }
        watch = worker_type(guardian.type, "guardian")
        self.offers: dict[str, tuple[Offer, ...]] = {}
        self._able: dict[str, list[str]] = {}
        self._allowed: dict[str, tuple[Action, Commitment, bool]] = {}
        self._delivered: set[str] = set()
        for name, found in self.classes.items():
            if found.kind is Kind.GUARDIAN:
                raise _misplaced(f"worker {name!r}", workers[name], "a worker that performs steps")
        if not issubclass(watch, Guardian):
            raise _misplaced("guardian", guardian, "a subclass of probewise.agents.Guardian")
        self.guardian_class: type[Guardian] = watch

    def take_offers(self, worker: str, offers: object) -> None:
        """Note what a started worker offers.

        Raises
        ------
        WorkerError
            If it offers nothing, something twice, or something else than offers.
        """
        fine = isinstance(offers, tuple) and offers and all(isinstance(o, Offer) for o in offers)
        if not fine or len({o.capability for o in offers}) < len(offers):  # type: ignore[union-attr]
            raise WorkerError(
                f"worker {worker!r}",
                f"offers {offers!r}",
                "a tuple of at least one Offer, every capability once",
                f"mend offers() of {self.classes[worker].__name__}",
            )
        self.offers[worker] = offers  # type: ignore[assignment]
        for offer in offers:  # type: ignore[union-attr]
            able = self._able.setdefault(offer.capability, [])
            if worker not in able:
                able.append(worker)

    def duties(self, steps: Sequence[Step]) -> dict[str, tuple[Step, ...]]:
        """The steps that each worker may be given; workers without any are left out."""
        found = {
            name: tuple(s for s in steps if any(o.capability == s.needs for o in offers))
            for name, offers in self.offers.items()
        }
        return {name: duties for name, duties in found.items() if duties}

    def review(
        self, ask: Ask, action: Action, step: Step, commitment: Commitment, worker: str | None
    ) -> Verdict:
        """Put an action to the guardian and remember it if it is allowed."""
        able = [worker] if worker is not None else self._able.get(step.needs, [])
        if not able:
            return Verdict(allowed=False, reason=f"no worker offers {step.needs!r}")
        twin = all(self.classes[name].twin for name in able if name in self.classes)
        verdict = ask(action, step, commitment, twin)
        if verdict.allowed:
            self._allowed[action.id] = (action, commitment, twin)
        return verdict

    def admit(self, ask: Ask, issued: Issued, step: Step) -> Verdict | None:
        """Whether an issued action may go to its worker; None for a second delivery."""
        action, worker = issued.action, issued.worker
        able = self._able.get(step.needs, [])
        if not any(o.capability == step.needs for o in self.offers.get(worker, ())):
            raise WorkerError(
                f"action {action.id!r}",
                f"worker {worker!r} for {step.needs!r}",
                f"one of {able}" if able else "a worker that offers it",
                "give the action to a worker that offers what its step needs",
            )
        if action.id in self._delivered:
            _log.warning("action %s was delivered before; ignored", action.id)
            return None
        self._delivered.add(action.id)
        action_, commitment, twin = self._allowed.pop(action.id, (None, None, True))
        same = (action_, commitment) == (action, issued.commitment)
        if same and (self.classes[worker].twin or not twin):
            return Verdict(allowed=True, reason="allowed before")
        verdict = self.review(ask, action, step, issued.commitment, worker)
        self._allowed.pop(action.id, None)
        return verdict


def ledger_path(folder: Path | None, name: str, worker: type[Worker]) -> Path | None:
    """The ledger of a worker that may not be run again; None for any other, or without a folder."""
    return None if folder is None or worker.replayable else folder / f"{name}.jsonl"


def _misplaced(who: str, spec: WorkerSpec, allowed: str) -> WorkerError:
    return WorkerError(
        who, f"type {spec.type!r}", allowed, "choose another type, or move it to its section"
    )
