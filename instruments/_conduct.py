"""One command from the angel's verdict to its line in the log."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, final

from ..workflow import (
    AnyCommand,
    Blank,
    Chunk,
    Command,
    Detect,
    Entry,
    Failure,
    GuardianError,
    InstrumentState,
    ProbewiseError,
    Reading,
    Retract,
)
from ._angel import Angel, Judgement
from ._detect import detect
from ._driver import Driver, DriverFault
from ._intake import Intake
from ._line import Line
from ._permit import Permit
from ._stream import Stream
from ._watchdogs import Alarm, Watchdogs

_log = logging.getLogger(__name__)
INTERRUPTED = "interrupted"
_MORE_S = 5.0
"""A live instrument may be so much slower than foreseen before it counts as silent."""


@final
class Conductor:
    """Takes single commands through the guardian to the driver and back.

    ``interrupted`` says that Ctrl-C came while the driver worked; whoever sees it takes it back.
    """

    def __init__(self, driver: Driver, angel: Angel, watchdogs: Watchdogs) -> None:
        self._driver, self._angel, self._watchdogs = driver, angel, watchdogs
        self._hung: threading.Thread | None = None
        self.interrupted = False

    def command(
        self,
        command: AnyCommand,
        who: str,
        number: int,
        vouched: str,
        watch: Callable[[Command, Chunk], str | None] | None,
        attend: Callable[[Alarm], bool],
        start_s: float = 0.0,
    ) -> tuple[Entry, Reading | None, Failure | None]:
        """Do one command; its line in the log, what it gave, and why it failed if it did."""
        line = Line(command, who, number, self._angel.limits.digest, start_s)
        if self._hung is not None and self._hung.is_alive() and not _is_safe(command):
            failure = Failure(
                kind="timeout",
                message="the instrument has not come back from an earlier command",
                remedy="look at the instrument, and start its worker again",
            )
            return line.entry("refused", "refused", failure.message), None, failure
        try:
            permit, said, state = self._angel.permit(command, self._driver, vouched)
        except GuardianError as error:
            failure = Failure(kind="refused", message=error.given, remedy=error.remedy)
            return line.entry("refused", "refused", error.given), None, failure
        except Exception as error:
            failure = failure_of(error)
            return line.entry("refused", "failed", failure.message), None, failure
        line.verdict = "confirmed" if said.verdict == "confirm" else "allowed"
        return self._conduct(line, permit, said, state, watch, attend)

    def detect(
        self,
        command: Detect,
        who: str,
        number: int,
        readings: Mapping[str, Reading],
        start_s: float,
    ) -> tuple[Entry, Failure | None]:
        """Look for places in the last image of that name."""
        line = Line(command, who, number, self._angel.limits.digest, start_s)
        again = re.compile(rf"{re.escape(command.image)}(_\d+)?")
        named = [r for name, r in readings.items() if again.fullmatch(name)]
        images = [a for r in named for a in r.arrays.values() if a.data.ndim == 2]
        try:
            said = self._angel.judge(command, self._angel.state(self._driver), self._driver)
            if said.verdict != "allowed":
                raise DriverFault("refused", said.reason)
            if not images:
                raise DriverFault("missing", f"there is no image {command.image!r}")
            found = detect(command, images[-1])
        except Exception as error:
            failure = failure_of(error)
            return line.entry("allowed", "failed", failure.message), failure
        if not found:
            failure = Failure(
                kind="bad_data",
                message=f"no {command.find} in {command.image!r}",
                remedy="image another area, or look for something else",
            )
            return line.entry("allowed", "failed", failure.message), failure
        return line.entry("allowed", "done", found=found), None

    def _conduct(
        self,
        line: Line,
        permit: Permit,
        said: Judgement,
        state: InstrumentState,
        watch: Any,
        attend: Any,
    ) -> tuple[Entry, Reading | None, Failure | None]:
        self._watchdogs.start(line.command)
        intake = Intake()
        failure, stopped = self._stream(line, permit, said, state, intake, watch, attend)
        reading = intake.reading(cut=bool(stopped))
        if failure is None and not stopped:
            alarm = self._watchdogs.after(line.command, reading, state)
            if alarm is not None and not _goes_on(alarm, attend):
                failure = alarm.failure
        electrons = _fallen(intake, said.forecast.electrons, failure)
        self._angel.settle(permit, electrons)
        outcome: Literal["done", "stopped", "failed"] = "done"
        if failure is not None:
            outcome = "failed"
        elif stopped:
            outcome = "stopped"
        reason = failure.message if failure is not None else stopped
        share = electrons / said.forecast.electrons if said.forecast.electrons else 0.0
        entry = line.entry(
            line.verdict, outcome, reason, intake, electrons, state,
            local_dose_e_per_A2=share * said.forecast.local_dose_e_per_A2,
            gave=tuple(reading.arrays),
        )  # fmt: skip
        return entry, reading, failure

    def _stream(
        self, line: Line, permit: Permit, said: Judgement, state: InstrumentState,
        intake: Intake, watch: Any, attend: Any,
    ) -> tuple[Failure | None, str]:  # fmt: skip
        """Take everything in; a failure, or the reason for an early end."""
        driver = self._driver
        patience_s = self._angel.limits.silence_s
        if not driver.twin:
            patience_s += said.forecast.seconds + _MORE_S
        stream = Stream(driver, permit)
        before = time.monotonic()
        try:
            while (chunk := _next(stream, patience_s, line.command)) is not None:
                now = time.monotonic()
                intake.take(chunk, now - before)
                before = now
                alarm = self._watchdogs.look(chunk, said.forecast.electrons)
                if alarm is not None and not _goes_on(alarm, attend):
                    self._halt(stream)
                    return alarm.failure, ""
                reason = _seen_by(watch, line.command, chunk)
                if reason:
                    self._halt(stream)
                    return None, reason
        except TimeoutError as error:
            self._halt(stream)
            alarm = Alarm("silence", str(error), "stop", "look at the instrument")
            return alarm.failure, ""
        except KeyboardInterrupt:
            self.interrupted = True
            self._halt(stream)
            return None, INTERRUPTED
        except Exception as error:
            self._halt(stream)
            return failure_of(error), ""
        if intake.lacking:
            message = f"{', '.join(intake.lacking)} did not come whole"
            return Failure(kind="bad_data", message=message, remedy="take it again"), ""
        return None, ""

    def _halt(self, stream: Stream) -> None:
        if not stream.halt():
            self._hung = stream.thread


def _next(stream: Stream, patience_s: float, command: Command) -> Chunk | None:
    """The next chunk. Nobody interrupts what makes safe; it ends, or its time does."""
    while True:
        try:
            return stream.next(patience_s)
        except KeyboardInterrupt:
            if not _is_safe(command):
                raise


def _seen_by(watch: Any, command: Command, chunk: Chunk) -> str | None:
    """What whoever watches says; one that breaks ends the program, and what came is kept."""
    try:
        return watch(command, chunk) if watch is not None else None
    except Exception as error:
        _log.exception("watching %s", command.verb)
        return f"whoever watches broke: {type(error).__name__}: {error}"


def _goes_on(alarm: Alarm, attend: Callable[[Alarm], bool]) -> bool:
    """Whether whoever attends lets a paused program go on; one that breaks does not."""
    try:
        return alarm.reaction == "pause" and bool(attend(alarm))
    except Exception:
        _log.exception("attending %s", alarm.watchdog)
        return False


def _fallen(intake: Intake, booked: float, failure: Failure | None) -> float:
    """Electrons that fell: what the driver counted, else what was booked, unless it refused."""
    if intake.electrons > 0:
        return intake.electrons
    if failure is not None and failure.kind in {"refused", "missing"}:
        return 0.0
    return booked


def failure_of(error: Exception) -> Failure:
    """What a driver raised, as a failure; what is no fault of an instrument is a broken driver."""
    if isinstance(error, DriverFault):
        return error.failure
    if isinstance(error, ProbewiseError):
        message = f"{error.who}: {error.given}; allowed: {error.allowed}"
        return Failure(kind="refused", message=message[:500], remedy=error.remedy)
    return Failure(
        kind="crashed", message=f"the driver broke: {type(error).__name__}: {error}"[:500],
        remedy="mend the driver",
    )  # fmt: skip


def _is_safe(command: Command) -> bool:
    return isinstance(command, Retract) or (isinstance(command, Blank) and command.blanked)
