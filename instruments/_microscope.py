"""A microscope as a worker: steps become programs, programs run on a console."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

from ..workflow import (
    Account,
    Failure,
    Fate,
    Job,
    Kind,
    Offer,
    Outcome,
    ProbewiseError,
    Record,
    SpecError,
    Step,
    Worker,
    WorkerError,
)
from ._angel import Angel
from ._console import Console
from ._driver import Driver, DriverFault
from ._judges import judge_named
from ._limits import Limits, limits_from
from ._possible import check_step
from ._procedures import Geometry, Procedure
from ._recorded import came_before, recorded
from ._refusal import refusal
from ._run import Interrupted, Run

_REMEMBERED = 4
_INTERRUPTED = Failure(
    kind="instrument",
    message="interrupted, and made safe",
    remedy="take the campaign up again: what came before is kept",
)


class Microscope(Worker, ABC):
    """Base of the workers that stand on a driver.

    A subclass makes its driver, hands it to this constructor, and says which procedures it has. All
    that it does goes through the console and so past the guardian angel; there is no other way to
    the driver.

    Parameters
    ----------
    driver
        What speaks to the instrument.
    geometry
        Of the overview, whose pixels name the positions of later steps.
    judge
        Who watches measurements and may end them early: its name under the entry points
        ``probewise.judges``; empty for nobody.
    vouched_by
        The person who vouches for commands that the limits want confirmed, where nobody approved
        the action; empty for nobody.
    limits_file
        A YAML file with limits in place of the default ones of the target.
    **limits
        Single limits, which come before those of the file; the fields of ``Limits``.

    Raises
    ------
    SpecError
        If a limit is unknown or impossible.
    """

    kind: ClassVar[Kind] = Kind.INSTRUMENT
    settings: ClassVar[type[Record] | None] = None
    """What the configuration may say to the driver, beside the keywords of ``__init__``."""

    def __init__(
        self,
        driver: Driver,
        geometry: Geometry,
        *,
        judge: str = "",
        vouched_by: str = "",
        limits_file: str | Path = "",
        **limits: Any,
    ) -> None:
        try:
            self._set_up(driver, judge, limits_file, limits)
        except BaseException:
            driver.close()  # nobody else will: what it holds is free for the next
            raise
        self._vouched_by = vouched_by
        self.geometry = geometry
        self._results: OrderedDict[str, Outcome] = OrderedDict()

    def _set_up(
        self,
        driver: Driver,
        judge: str,
        limits_file: str | Path,
        limits: dict[str, Any],
    ) -> None:
        who = f"worker {type(self).__name__}"
        if driver.twin is not type(self).twin:
            raise SpecError(
                who, f"twin={type(self).twin} with a driver of twin={driver.twin}", "the same",
                "say the truth in both classes",
            )  # fmt: skip
        known = limits_from(
            driver.technique, driver.twin, limits, limits_file, who, self.config_keys()
        )
        self._console = Console(driver, Angel(driver.technique, driver.twin, known))
        self._judge = judge_named(judge, who)

    @abstractmethod
    def procedures(self) -> Mapping[str, Procedure]:
        """What it can do: capabilities and the programs that do them."""

    @property
    def console(self) -> Console:
        """Where programs are run by hand, under the same guardian."""
        return self._console

    def offers(self) -> tuple[Offer, ...]:
        nature = "twin: " if self.twin else ""
        return tuple(
            Offer(capability=name, about=nature + procedure.about)
            for name, procedure in self.procedures().items()
        )

    @classmethod
    def config_keys(cls) -> tuple[str, ...]:
        """All keys of its configuration: its own, those of its driver, and the limits."""
        own = [p.name for p in signature(cls).parameters.values() if p.kind is not p.VAR_KEYWORD]
        return (*own, *cls.further_keys())

    @classmethod
    def further_keys(cls) -> tuple[str, ...]:
        settings = () if cls.settings is None else sorted(cls.settings.model_fields)
        return (*settings, "vouched_by", "limits_file", *sorted(Limits.model_fields))

    def check(self, step: Step) -> None:
        """Build the program of the step and hold it against the driver's verbs and its limits.

        Raises
        ------
        SpecError
            If a parameter is unknown or out of range, or a command would always be refused.
        """
        procedure = self._procedure(step)
        check_step(step, procedure, self.geometry, self._console.driver, self._console.angel)

    def perform(self, job: Job) -> Outcome:
        """Build the program of the step and run it.

        Whoever approved the action vouches for what the limits want confirmed in it. The arrays
        that the step records are those of the program by name, else in their order;
        those at positions of a site carry the pixels as their first axis.

        Raises
        ------
        WorkerError
            If the step needs what this worker does not offer.
        Interrupted
            At Ctrl-C, once the instrument is safe; :meth:`account` then has what came till then.
        """
        procedure = self._procedure(job.step)
        try:
            program = procedure.build(job, self._console.state())
        except ProbewiseError as error:
            return refusal(f"{error.who}: {error.given}; allowed: {error.allowed}", error.remedy)
        except DriverFault as fault:
            return Outcome(failure=fault.failure, cost_credits=0.0, duration_h=0.0)
        try:
            run = self._console.run(
                program,
                who=job.action.id,
                vouched=job.approved_by or self._vouched_by,
                seed=job.action.seed,
                hours=self.hours(job),
                watch=None if self._judge is None else self._judge(job),
            )
        except Interrupted as stop:
            self._remember(job, self.outcome(job, replace(stop.run, failure=_INTERRUPTED)))
            raise
        return self._remember(job, self.outcome(job, run))

    def _remember(self, job: Job, outcome: Outcome) -> Outcome:
        """For :meth:`account`, where the action cannot be done again."""
        if not self.replayable:
            self._results[job.action.id] = outcome
        while len(self._results) > _REMEMBERED:
            self._results.popitem(last=False)
        return outcome

    def _procedure(self, step: Step) -> Procedure:
        procedure = self.procedures().get(step.needs)
        if procedure is None:
            raise WorkerError(
                f"worker {type(self).__name__}",
                f"a step that needs {step.needs!r}",
                f"one of {sorted(self.procedures())}",
                "give the step to a worker that offers it",
            )
        return procedure

    def outcome(self, job: Job, run: Run) -> Outcome:
        """What a run means for the step. Subclasses add values, prices and notes to it.

        Of a run that failed, all that came before goes along, by the names the program gave it.
        """
        failure, arrays = _as_a_whole(run), {}
        if failure is None:
            try:
                arrays = recorded(job, run, self.geometry.pixels)
            except DriverFault as fault:
                failure = fault.failure
        if failure is not None:
            arrays = came_before(job, run, self.geometry.pixels)
        nothing_done = failure is not None and failure.kind in {"refused", "missing"}
        return Outcome(
            arrays=arrays,
            failure=failure,
            dose_e_per_A2=run.spent.dose_e_per_A2 if job.step.exposes else None,
            commands=run.entries,
            notes={"stopped_early": run.stopped} if run.stopped else {},
            cost_credits=0.0 if nothing_done else self.price(job, run)[0],
            duration_h=0.0 if nothing_done else self.price(job, run)[1],
        )

    def hours(self, job: Job) -> Mapping[str, float]:
        """The campaign's hours, as the driver is told them."""
        return job.action.hours

    def price(self, job: Job, run: Run) -> tuple[float | None, float | None]:
        """Credits and hours: a twin draws the credits and knows its simulated time; None leaves
        them to the seat, which knows the price and measures the time of a live instrument."""
        if not self.twin:
            return None, None
        reached = [a.metadata.get("exposure_s") for a in run.arrays.values()] if run.stopped else []
        dwell = next((float(s) for s in reached if s is not None), None)
        return job.draw_price(dwell)[0], run.spent.seconds / 3600.0

    def safe(self) -> str:
        return self._console.safe()

    def account(self, action_id: str) -> Account:
        """From the results and the log: done, if it was; unknown where the log breaks off."""
        if action_id in self._results:
            return Account(Fate.DONE, self._results[action_id])
        if any(entry.who == action_id for entry in self._console.log):
            return Account(Fate.UNKNOWN)
        return super().account(action_id)

    def close(self) -> None:
        self._console.close()


def _as_a_whole(run: Run) -> Failure | None:
    """The failure of a run; one that measured before a command was refused did not do nothing."""
    failure = run.failure
    measured = any(entry.gave or entry.electrons for entry in run.entries)
    if failure is None or failure.kind not in {"refused", "missing"} or not measured:
        return failure
    message = f"ended midway: {failure.message}"
    return Failure(kind="instrument", message=message, remedy=failure.remedy)
