"""The console: runs programs on one driver, each command by its guardian's leave."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, final

from ..workflow import (
    AnyCommand,
    Blank,
    Chunk,
    Command,
    Detect,
    Entry,
    Forecast,
    GuardianError,
    InstrumentState,
    Program,
    Retract,
    exposures,
)
from ._angel import Angel, meet
from ._conduct import INTERRUPTED, Conductor
from ._driver import Driver
from ._resolve import resolved, spread
from ._run import DryRun, Foreseen, Interrupted, Run
from ._watchdogs import Alarm, Watchdogs

Watch = Callable[[Command, Chunk], str | None]
"""Sees every chunk as it arrives; a text ends the program early, as its reason."""

Attend = Callable[[Alarm], bool]
"""Is asked when a watchdog wants a pause: True goes on, False stops."""

_LOG = 10_000
_logger = logging.getLogger(__name__)


def _stop(alarm: Alarm) -> bool:
    return False


@final
class Console:
    """Runs programs on a driver.

    Every command goes the same way: its places are resolved, the angel judges it and gives a permit
    or refuses, the driver works in a thread of its own, the watchdogs look at every chunk, the
    electrons that fell are booked, and a line is written into the log. At the first command that is
    refused or fails, at the word of whoever watches, or at Ctrl-C, the program ends and, if
    anything was done before, the beam is blanked or the tip retracted.

    Parameters
    ----------
    driver
        What speaks to the instrument.
    angel
        Its guardian; by default one with the limits of the driver's target.

    Raises
    ------
    GuardianError
        If the driver has met another angel before, or the angel is none.
    """

    def __init__(self, driver: Driver, angel: Angel | None = None) -> None:
        self._driver = driver
        self._angel = angel or Angel(driver.technique, driver.twin)
        meet(driver, self._angel)
        self._watchdogs = Watchdogs(self._angel.limits)
        self._conductor = Conductor(driver, self._angel, self._watchdogs)
        self._log: deque[Entry] = deque(maxlen=_LOG)
        self._busy = threading.Lock()

    @property
    def driver(self) -> Driver:
        return self._driver

    @property
    def angel(self) -> Angel:
        return self._angel

    @property
    def log(self) -> tuple[Entry, ...]:
        """The last commands, whoever gave them, oldest first."""
        return tuple(self._log)

    def state(self) -> InstrumentState:
        """The state of the instrument.

        Raises
        ------
        DriverFault
            If it does not say, or not in time.
        """
        return self._angel.state(self._driver)

    def dry_run(self, program: Program, state: InstrumentState | None = None) -> DryRun:
        """What a program would do, cost, and be refused; nothing is done and no dose is booked.

        Places that are yet to be detected are taken to be as many as asked for, on a regular grid.
        Doses add up as they would, from those that were given before.

        Parameters
        ----------
        program
            What is to be looked at.
        state
            Where it would start; by default where the instrument is.
        """
        state = state or self.state()
        found: dict[str, Any] = {}
        steps: list[Foreseen] = []
        total, book = Forecast(), self._angel.doses()
        for command in program.commands:
            if isinstance(command, Detect):
                found[command.name] = spread(command.count, state.field_of_view_nm)
            there = resolved(command, found)
            said = self._angel.judge(there, state, self._driver, book)
            steps.append(Foreseen(command.sentence(), said.verdict, said.reason, said.forecast))
            if said.verdict != "refused":
                total = total.plus(said.forecast)
                book.charge(state, exposures(there, state))
                state = self._driver.after(there, state)
        return DryRun(program, tuple(steps), total, self._angel.limits.digest)

    def run(
        self,
        program: Program,
        *,
        who: str = "console",
        vouched: str = "",
        seed: int = 0,
        hours: Mapping[str, float] | None = None,
        watch: Watch | None = None,
        attend: Attend = _stop,
        hold: bool = False,
    ) -> Run:
        """Run a program to its end, or to the first command that is refused or fails.

        Parameters
        ----------
        program
            What is to be done.
        who
            Who gives the commands; stands in the log.
        vouched
            The person who vouches for what the limits want confirmed.
        seed, hours
            For twins: of all chance, and the campaign's time.
        watch
            Sees every chunk as it arrives; may end the program early.
        attend
            Is asked when a watchdog wants a pause. Without one, a pause is a stop.
        hold
            Leave the instrument as it is where whoever watches ends the program early: somebody
            goes on from there. What fails, or is interrupted, is made safe all the same.

        Raises
        ------
        GuardianError
            If another program is running.
        Interrupted
            At Ctrl-C (a KeyboardInterrupt), once the instrument is safe; with what came till then.
        """
        if not self._busy.acquire(blocking=False):
            raise GuardianError(
                f"console of {type(self._driver).__name__}",
                "a program while another one runs",
                "one program at a time",
                "wait for the first",
            )
        try:
            self._driver.begin(seed, dict(hours or {}))
            performance = _Performance(self, who, vouched, watch, attend, hold)
            return performance.play(program)
        finally:
            self._busy.release()

    def safe(self, who: str = "console") -> str:
        """Blank the beam or retract the tip, whatever the state; say in words what was done."""
        entry = self._make_safe(who)
        if entry.outcome == "done":
            return f"{entry.sentence}: done"
        return f"{entry.sentence}: FAILED ({entry.reason})"

    def close(self) -> None:
        """Let go of the instrument. May be called twice."""
        self._driver.close()

    def _make_safe(self, who: str, number: int = 0, start_s: float = 0.0) -> Entry:
        command = self._safe_command()
        entry = self._conductor.command(command, who, number, "", None, _stop, start_s)[0]
        self._log.append(entry)
        return entry

    def _safe_command(self) -> AnyCommand:
        return Blank() if self._driver.technique == "stem" else Retract()


@final
class _Performance:
    """One run of one program."""

    def __init__(
        self,
        console: Console,
        who: str,
        vouched: str,
        watch: Watch | None,
        attend: Attend,
        hold: bool,
    ) -> None:
        self._hold = hold
        self._console = console
        self._who, self._vouched, self._watch, self._attend = who, vouched, watch, attend
        self._entries: list[Entry] = []
        self._result: dict[str, Any] = {"readings": {}, "found": {}}
        self._spent = Forecast()

    def play(self, program: Program) -> Run:
        conductor = self._console._conductor
        conductor.interrupted = False
        try:
            for number, command in enumerate(program.commands):
                if not self._step(number, command):
                    break
        except KeyboardInterrupt:
            conductor.interrupted, self._result["stopped"] = True, INTERRUPTED
        self._end(conductor.interrupted)
        try:
            state = self._console.state()
        except Exception:
            _logger.exception("state after program %r", program.name)
            state = None
        run = Run(program, tuple(self._entries), spent=self._spent, state=state, **self._result)
        if conductor.interrupted:
            raise Interrupted(run)
        return run

    def _end(self, interrupted: bool) -> None:
        """After a failure, an interruption or an early end, make safe what was begun."""
        begun = any(e.outcome != "refused" for e in self._entries)
        why = "an interruption" if interrupted else ""
        if not why and begun and self._result.get("failure") is not None:
            why = "a failure"
        elif not why and self._result.get("stopped") and not self._hold:
            why = "an early end"
        if why:
            who, number = f"{self._who}, after {why}", len(self._entries)
            self._entries.append(self._console._make_safe(who, number, self._spent.seconds))

    def _step(self, number: int, command: AnyCommand) -> bool:
        """Whether to go on."""
        console = self._console
        conductor = console._conductor
        start_s = self._spent.seconds
        if isinstance(command, Detect):
            entry, failure = conductor.detect(
                command, self._who, number, self._result["readings"], start_s
            )
            self._result["found"][command.name] = entry.found
        else:
            there = resolved(command, self._result["found"])
            entry, reading, failure = conductor.command(
                there, self._who, number, self._vouched, self._watch, self._attend, start_s
            )
            if reading is not None and reading.arrays:
                self._keep(getattr(command, "name", command.verb), reading)
            self._spent = self._spent.plus(
                Forecast(
                    seconds=entry.duration_s,
                    electrons=entry.electrons,
                    local_dose_e_per_A2=entry.local_dose_e_per_A2,
                    dose_e_per_A2=entry.dose_e_per_A2,
                )
            )
        self._entries.append(entry)
        console._log.append(entry)
        if failure is not None:
            self._result["failure"] = failure
        elif entry.outcome == "stopped":
            self._result["stopped"] = entry.reason
        return entry.outcome == "done"

    def _keep(self, name: str, reading: Any) -> None:
        readings, key, again = self._result["readings"], name, 2
        while key in readings:
            key, again = f"{name}_{again}", again + 1
        readings[key] = reading
