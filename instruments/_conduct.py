"""One command from the angel's verdict to its line in the log."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final

import numpy as np

from ..workflow import (
    AnyCommand,
    Array,
    Axis,
    Blank,
    Chunk,
    Command,
    Detect,
    Entry,
    Failure,
    Frame,
    GuardianError,
    InstrumentState,
    ProbewiseError,
    Reading,
    Retract,
    assembled,
)
from ._angel import Angel, Judgement
from ._detect import detect
from ._driver import Driver, DriverFault
from ._permit import Permit
from ._stream import Stream, within
from ._watchdogs import Alarm, Watchdogs

_log = logging.getLogger(__name__)
_MORE_S = 5.0
"""A live instrument may be so much slower than foreseen before it counts as silent."""


@dataclass
class _Intake:
    """What has come of one command so far."""

    parts: dict[str, list[Chunk]] = field(default_factory=dict)
    frames: dict[str, Frame] = field(default_factory=dict)
    seconds: float = 0.0
    electrons: float = 0.0
    signals: dict[str, float] = field(default_factory=dict)

    def take(self, chunk: Chunk, elapsed_s: float) -> None:
        """Keep a chunk.

        Raises
        ------
        DriverFault
            If it does not fit its frame.
        """
        self.seconds += elapsed_s if chunk.seconds is None else chunk.seconds
        self.electrons += chunk.electrons
        self.signals.update(chunk.signals)
        if chunk.frame is None or chunk.data is None:
            return
        fault = _misfit(chunk, self.frames.get(chunk.frame.name))
        if fault:
            raise DriverFault("bad_data", fault, "mend the driver, or look at its server")
        self.frames.setdefault(chunk.frame.name, chunk.frame)
        self.parts.setdefault(chunk.frame.name, []).append(chunk)

    def reading(self, cut: bool) -> Reading:
        """What came; with ``cut``, arrays end where their data do and hold no gaps."""
        arrays: dict[str, Array] = {}
        whole = True
        for name, frame in self.frames.items():
            array, complete = assembled(frame, self.parts[name])
            whole = whole and complete
            if cut and not complete:
                shortened = _cut(array)
                if shortened is None:
                    continue
                array = shortened
            arrays[name] = array
        return Reading(
            arrays, dict(self.frames), self.seconds, self.electrons, whole, dict(self.signals)
        )


@final
class Conductor:
    """Takes single commands through the guardian to the driver and back."""

    def __init__(self, driver: Driver, angel: Angel, watchdogs: Watchdogs) -> None:
        self._driver, self._angel, self._watchdogs = driver, angel, watchdogs
        self._hung: threading.Thread | None = None

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
        line = _Line(command, who, number, self._angel.limits.digest, start_s)
        if self._hung is not None and self._hung.is_alive() and not _is_safe(command):
            failure = Failure(
                kind="timeout",
                message="the instrument has not come back from an earlier command",
                remedy="look at the instrument, and start its worker again",
            )
            return line.entry("refused", "refused", failure.message), None, failure
        silence_s = self._angel.limits.silence_s
        try:
            permit, said, state = within(
                silence_s, lambda: self._angel.permit(command, self._driver, vouched), "state"
            )
        except GuardianError as error:
            failure = Failure(kind="refused", message=error.given, remedy=error.remedy)
            return line.entry("refused", "refused", error.given), None, failure
        except DriverFault as fault:
            return line.entry("allowed", "failed", fault.message), None, fault.failure
        except Exception as error:
            failure = _broken(error)
            return line.entry("allowed", "failed", failure.message), None, failure
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
        line = _Line(command, who, number, self._angel.limits.digest, start_s)
        again = re.compile(rf"{re.escape(command.image)}(_\d+)?")
        named = [r for name, r in readings.items() if again.fullmatch(name)]
        images = [a for r in named for a in r.arrays.values() if a.data.ndim == 2]
        try:
            said = self._angel.judge(command, self._driver.state(), self._driver)
            if said.verdict != "allowed":
                raise DriverFault("refused", said.reason)
            if not images:
                raise DriverFault("missing", f"there is no image {command.image!r}")
            found = detect(command, images[-1])
        except DriverFault as fault:
            return line.entry("refused", "refused", fault.message), fault.failure
        except ProbewiseError as error:
            failure = Failure(kind="refused", message=str(error), remedy=error.remedy)
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
        line: _Line,
        permit: Permit,
        said: Judgement,
        state: InstrumentState,
        watch: Any,
        attend: Any,
    ) -> tuple[Entry, Reading | None, Failure | None]:
        self._watchdogs.start()
        intake = _Intake()
        failure, stopped, alarm = self._stream(line, permit, said, state, intake, watch, attend)
        reading = intake.reading(cut=bool(stopped))
        if failure is None and not stopped:
            alarm = self._watchdogs.after(line.command, reading, state)
            if alarm is not None and not (alarm.reaction == "pause" and attend(alarm)):
                failure = alarm.failure
        electrons = _fallen(intake, said.forecast.electrons, failure)
        self._angel.settle(permit, electrons)
        outcome: Literal["done", "stopped", "failed"] = "done"
        if failure is not None:
            outcome = "failed"
        elif stopped:
            outcome = "stopped"
        reason = failure.message if failure is not None else stopped
        if failure is not None and alarm is not None:
            reason += self._react(alarm)
            failure = failure.model_copy(update={"message": reason})
        entry = line.entry(
            line.verdict, outcome, reason, intake, electrons, state, gave=tuple(reading.arrays)
        )
        return entry, reading, failure

    def _stream(
        self, line: _Line, permit: Permit, said: Judgement, state: InstrumentState,
        intake: _Intake, watch: Any, attend: Any,
    ) -> tuple[Failure | None, str, Alarm | None]:  # fmt: skip
        """Take everything in; a failure, a reason for an early end, and the alarm behind it."""
        driver = self._driver
        patience_s = self._angel.limits.silence_s
        if not driver.twin:
            patience_s += said.forecast.seconds + _MORE_S
        stream = Stream(driver, permit)
        before = time.monotonic()
        try:
            while (chunk := stream.next(patience_s)) is not None:
                now = time.monotonic()
                intake.take(chunk, now - before)
                before = now
                alarm = self._watchdogs.look(chunk, said.forecast.electrons, state.technique)
                if alarm is not None and not (alarm.reaction == "pause" and attend(alarm)):
                    self._halt(stream)
                    return alarm.failure, "", alarm
                reason = _seen_by(watch, line.command, chunk)
                if reason:
                    self._halt(stream)
                    return None, reason, None
        except TimeoutError as error:
            self._halt(stream)
            alarm = Alarm("silence", str(error), _away(state), "look at the instrument")
            return alarm.failure, "", alarm
        except DriverFault as fault:
            self._halt(stream)
            return fault.failure, "", None
        except Exception as error:
            self._halt(stream)
            return _broken(error), "", None
        lacking = [f for f in intake.frames if not assembled(intake.frames[f], intake.parts[f])[1]]
        if lacking:
            message = f"{', '.join(lacking)} did not come whole"
            return Failure(kind="bad_data", message=message, remedy="take it again"), "", None
        return None, "", None

    def _halt(self, stream: Stream) -> None:
        if not stream.halt():
            self._hung = stream.thread

    def _react(self, alarm: Alarm) -> str:
        """Bring the instrument into safety as the alarm wants; in words."""
        command: AnyCommand
        match alarm.reaction:
            case "blank":
                command = Blank()
            case "retract":
                command = Retract()
            case _:
                return ""
        entry, _, failure = self.command(command, f"watchdog {alarm.watchdog}", 0, "", None, _no)
        return f"; {entry.sentence}: {'done' if failure is None else failure.message}"


def _seen_by(watch: Any, command: Command, chunk: Chunk) -> str | None:
    """What whoever watches says; one that breaks ends the program, and what came is kept."""
    try:
        return watch(command, chunk) if watch is not None else None
    except Exception as error:
        _log.exception("watching %s", command.verb)
        return f"whoever watches broke: {type(error).__name__}: {error}"


def _no(alarm: Alarm) -> bool:
    return False


@dataclass
class _Line:
    """A line of the log in the making."""

    command: AnyCommand
    who: str
    number: int
    limits: str
    start_s: float
    verdict: Literal["allowed", "confirmed", "refused"] = "allowed"

    def entry(
        self,
        verdict: Literal["allowed", "confirmed", "refused"],
        outcome: Literal["done", "stopped", "failed", "refused"],
        reason: str = "",
        intake: _Intake | None = None,
        electrons: float = 0.0,
        state: InstrumentState | None = None,
        **more: Any,
    ) -> Entry:
        area_A2 = 100.0 * state.frame.area_nm2 if state is not None else 1.0
        return Entry(
            number=self.number,
            who=self.who,
            command=self.command,
            sentence=self.command.sentence(),
            verdict=verdict,
            outcome=outcome,
            reason=reason[:500],
            limits=self.limits,
            start_s=self.start_s,
            duration_s=intake.seconds if intake is not None else 0.0,
            electrons=electrons,
            dose_e_per_A2=electrons / area_A2,
            **more,
        )


def _fallen(intake: _Intake, booked: float, failure: Failure | None) -> float:
    """Electrons that fell: what the driver counted, else what was booked, unless it refused."""
    if intake.electrons > 0:
        return intake.electrons
    if failure is not None and failure.kind in {"refused", "missing"}:
        return 0.0
    return booked


def _misfit(chunk: Chunk, known: Frame | None) -> str:
    """How a chunk does not fit, or nothing."""
    frame, data = chunk.frame, np.asarray(chunk.data)
    assert frame is not None
    if known is not None and known.shape != frame.shape:
        return f"{frame.name} changes its shape from {known.shape} to {frame.shape}"
    if data.dtype.kind not in "biuf":
        return f"{frame.name} holds {data.dtype}, no real numbers"
    inside = chunk.start >= 0 and chunk.start + len(data) <= frame.shape[0] if data.ndim else False
    if not inside or data.shape[1:] != frame.shape[1:]:
        return (
            f"{frame.name}: a part of shape {data.shape} from {chunk.start} on does not fit"
            f" {frame.shape}"
        )
    return ""


def _cut(array: Array) -> Array | None:
    """The array up to its first gap along the first axis; None if nothing is left."""
    rows = np.asarray(np.isfinite(array.data.reshape(len(array.data), -1)).all(axis=1))
    count = len(rows) if rows.all() else int(np.argmin(rows))
    if count == 0:
        return None
    first, *others = array.axes
    axes = (Axis(first.name, first.unit, first.values[:count], first.kind), *others)
    return Array(array.data[:count], array.unit, axes, array.quantity, array.kind, array.metadata)


def _broken(error: Exception) -> Failure:
    return Failure(
        kind="crashed", message=f"the driver broke: {type(error).__name__}: {error}"[:500],
        remedy="mend the driver",
    )  # fmt: skip


def _away(state: InstrumentState) -> Literal["blank", "retract"]:
    return "blank" if state.technique == "stem" else "retract"


def _is_safe(command: Command) -> bool:
    return isinstance(command, Retract) or (isinstance(command, Blank) and command.blanked)
