"""Doubles for tests: an instrument with faults on demand, and a store in a folder.

They live in the package because an actor's process must be able to import them. They are not
registered; a test registers them for itself (see ``tests/conftest.py``).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np

from ..workflow import (
    Account,
    Action,
    Array,
    ArrayRef,
    Axis,
    Commitment,
    Estimate,
    Failure,
    Fate,
    Job,
    Kind,
    Offer,
    Outcome,
    Step,
    StoreError,
    Verdict,
    Worker,
    WorkerError,
    no_parameters,
)
from ._guardian import Guardian, LimitsGuardian


@final
class EchoInstrument(Worker):
    """Produces, records and does what a step asks for, from the action's seed.

    The action's parameters put faults in: ``fault`` is one of ``raise, hang, exit, kill, nan,
    extra, none, negative, slow, dear, fail, refuse``; ``sleep_s`` takes real time.

    Parameters
    ----------
    capabilities
        Separated by blanks.
    fails_to_start
        Raise in the constructor.
    """

    kind = Kind.INSTRUMENT
    twin = True
    replayable = True

    def __init__(self, *, capabilities: str = "echo", fails_to_start: bool = False) -> None:
        if fails_to_start:
            raise WorkerError("echo", "no connection", "a connection", "plug it in")
        self._capabilities = capabilities.split()
        self.closed = 0

    def offers(self) -> tuple[Offer, ...]:
        return tuple(Offer(capability=c, about="test double") for c in self._capabilities)

    def check(self, step: Step) -> None:
        no_parameters(step)

    def perform(self, job: Job) -> Outcome:
        time.sleep(float(job.action.parameters.get("sleep_s", 0.0)))
        fault = job.action.parameters.get("fault")
        self._break(fault)
        value = float(job.rng.normal())
        mean = sum(float(a.data.mean()) for arrays in job.arrays.values() for a in arrays)
        credits, hours = job.draw_price()
        if fault in {"negative", "dear"}:
            credits = -1.0 if fault == "negative" else 1e6
        if fault == "fail":
            return Outcome(failure=Failure(kind="bad_data", message="blurred"), cost_credits=0.25)
        values = {p.name: Estimate(value=value + mean, std=0.1) for p in job.step.produces}
        if fault == "nan":
            values = {k: Estimate.model_construct(value=np.nan, std=0.0) for k in values}
        if fault == "extra":
            values["surprise"] = Estimate(value=1.0)
        return Outcome(
            values=values,
            arrays={} if fault == "none" else _ramps(job, value),
            cost_credits=credits,
            duration_h=1e6 if fault == "slow" else hours,
            notes={"pid": float(os.getpid())} if job.action.parameters.get("tell_pid") else {},
        )

    def close(self) -> None:
        self.closed += 1

    def _break(self, fault: object) -> None:
        if fault == "raise":
            raise ZeroDivisionError("lens fell off")
        if fault == "refuse":
            raise WorkerError("echo", "this target", "another target", "choose another")
        if fault == "exit":
            raise SystemExit(3)
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "hang":
            time.sleep(3600)


@final
class RealEcho(Worker):
    """The same instrument, said to be real: not a twin and not replayable."""

    kind = Kind.INSTRUMENT

    def __init__(self, *, capabilities: str = "echo") -> None:
        self._echo = EchoInstrument(capabilities=capabilities)

    def offers(self) -> tuple[Offer, ...]:
        return self._echo.offers()

    def check(self, step: Step) -> None:
        self._echo.check(step)

    def perform(self, job: Job) -> Outcome:
        return self._echo.perform(job)


@final
class NotebookEcho(Worker):
    """The real instrument with a notebook: it can say what became of an action.

    The action's parameter ``dies`` ends its process ``before`` it does anything, ``amid`` it,
    ``after`` it has noted the result, or after having noted only that it is ``done``.

    Parameters
    ----------
    notebook
        A folder; one file for every action that was begun.
    """

    kind = Kind.INSTRUMENT

    def __init__(self, *, notebook: str, capabilities: str = "echo") -> None:
        self._echo = EchoInstrument(capabilities=capabilities)
        self._notebook = Path(notebook)

    def offers(self) -> tuple[Offer, ...]:
        return self._echo.offers()

    def check(self, step: Step) -> None:
        self._echo.check(step)

    def perform(self, job: Job) -> Outcome:
        dies, page = job.action.parameters.get("dies"), self._notebook / job.action.id
        _end_if(dies == "before")
        page.write_text("")
        _end_if(dies == "amid")
        outcome = self._echo.perform(job)
        values = {k: v.model_dump() for k, v in outcome.values.items()}
        noted = {"values": values, "cost": outcome.cost_credits, "hours": outcome.duration_h}
        page.write_text(json.dumps({} if dies == "done" else noted))
        _end_if(dies in {"after", "done"})
        return outcome

    def account(self, action_id: str) -> Account:
        page = self._notebook / action_id
        if not page.is_file():
            return Account(Fate.NOT_DONE)
        text = page.read_text()
        if not text:
            return Account(Fate.UNKNOWN)
        noted = json.loads(text)
        if not noted:
            return Account(Fate.DONE_WITHOUT_RESULT)
        values = {k: Estimate.model_validate(v) for k, v in noted["values"].items()}
        price = {"cost_credits": noted["cost"], "duration_h": noted["hours"]}
        return Account(Fate.DONE, Outcome(values=values, **price))


def _end_if(dies: bool) -> None:
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)


@final
class SeparateGuardian(Guardian):
    """The limits, in a process of its own."""

    def __init__(self, **limits: Any) -> None:
        self._limits = LimitsGuardian(**limits)

    def review(self, action: Action, step: Step, commitment: Commitment, twin: bool) -> Verdict:
        return self._limits.review(action, step, commitment, twin)


@final
class FolderStore:
    """Arrays in ``.npz`` files of a folder, with checksums. Implements ``ArrayStore``."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def put(self, action: Action, arrays: Mapping[str, Array]) -> dict[str, ArrayRef]:
        refs: dict[str, ArrayRef] = {}
        for name, array in arrays.items():
            path = self.folder / f"{action.id}-{name}.npz"
            content: dict[str, Any] = {f"axis{i}": a.values for i, a in enumerate(array.axes)}
            about = [array.unit, *((axis.name, axis.unit) for axis in array.axes)]
            content |= {"data": array.data, "about": json.dumps(about)}
            np.savez(path, **content)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            refs[name] = ArrayRef(
                file=path.name,
                dataset="data",
                sha256=digest,
                shape=array.data.shape,
                unit=array.unit,
            )
        return refs

    def get(self, ref: ArrayRef) -> Array:
        path = self.folder / ref.file
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != ref.sha256:
            raise StoreError("store", f"file {ref.file!r}", "the file as it was put", "restore it")
        with np.load(path, allow_pickle=False) as file:
            unit, *axes = json.loads(str(file["about"]))
            return Array(
                file[ref.dataset],
                unit,
                tuple(Axis(n, u, file[f"axis{i}"]) for i, (n, u) in enumerate(axes)),
            )


def _ramps(job: Job, value: float) -> dict[str, Array]:
    x = np.arange(4.0)
    return {
        p.name: Array(value + x, p.unit or "1", (Axis("x", "nm", x, "spatial"),))
        for p in job.step.records
    }
