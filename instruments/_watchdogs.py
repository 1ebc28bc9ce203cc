"""Watchdogs: they look at the data while these arrive, and bark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from ..workflow import Array, Chunk, Command, Failure, InstrumentState, Reading
from ._limits import Limits

Floats = NDArray[np.float64]
Reaction = Literal["pause", "stop"]
"""``pause``: whoever attends is asked whether to go on; ``stop``: the program ends, and the beam is
blanked or the tip retracted."""


@dataclass(frozen=True)
class Alarm:
    """What a watchdog saw, and what is to be done at once."""

    watchdog: Literal["data", "saturation", "drift", "contamination", "feedback", "dose", "silence"]
    reason: str
    reaction: Reaction
    remedy: str = ""

    @property
    def failure(self) -> Failure:
        kind = {"data": "bad_data", "saturation": "bad_data", "silence": "timeout"}.get(
            self.watchdog, "instrument"
        )
        return Failure.model_validate(
            {"kind": kind, "message": f"{self.watchdog}: {self.reason}", "remedy": self.remedy}
        )


@dataclass
class _Seen:
    """What there was to see of one frame so far."""

    values: int = 0
    full: int = 0


@final
@dataclass
class Watchdogs:
    """All watchdogs of one console; they remember the images of the loaded specimen.

    While data arrive: numbers that are none, saturation, lost feedback, more electrons than were
    booked. After an image: how far it is shifted against the first one of the same area
    (cross-correlation, Guizar-Sicairos et al., Opt. Lett. 33, 156 (2008)), and how much brighter it
    is, the sign of carbon that the beam collects.
    """

    limits: Limits
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _electrons: float = 0.0
    _first: dict[tuple[object, ...], Floats] = field(default_factory=dict)

    def start(self, command: Command) -> None:
        """Told before every command; another specimen is another history."""
        self._seen, self._electrons = {}, 0.0
        if command.verb == "load":
            self._first.clear()

    def look(self, chunk: Chunk, booked_electrons: float) -> Alarm | None:
        """The first alarm over what has just arrived, or None."""
        return next(self._alarms(chunk, booked_electrons), None)

    def _alarms(self, chunk: Chunk, booked: float) -> Iterator[Alarm]:
        self._electrons += chunk.electrons
        if self._electrons > booked * 1.01 + 1.0:
            yield Alarm(
                "dose",
                f"{self._electrons:.3g} electrons have fallen; {booked:.3g} were foreseen",
                "stop",
                "calibrate the beam current",
            )
        error = abs(chunk.signals.get("feedback_error_nm", 0.0))
        if not error <= self.limits.max_feedback_error_nm:
            yield Alarm(
                "feedback",
                f"the tip is {error:.3g} nm off its setpoint;"
                f" {self.limits.max_feedback_error_nm:g} nm are allowed",
                "stop",
                "look at the tip, then approach again",
            )
        if chunk.frame is None or chunk.data is None:
            return
        if not np.isfinite(chunk.data).all():
            yield Alarm("data", f"{chunk.frame.name} holds values that are no numbers", "stop",
                        "look at the detector")  # fmt: skip
        if chunk.frame.saturation is not None:
            yield from self._saturation(chunk, chunk.frame.name, chunk.frame.saturation)

    def _saturation(self, chunk: Chunk, name: str, end: float) -> Iterator[Alarm]:
        seen = self._seen.setdefault(name, _Seen())
        data = np.asarray(chunk.data)
        seen.values += data.size
        seen.full += int(np.count_nonzero(data >= end))
        if seen.full > self.limits.max_saturated_share * seen.values + 16:
            yield Alarm(
                "saturation",
                f"{seen.full} of {seen.values} values of {name} stand at the detector's end"
                f" ({end:g}); a share of {self.limits.max_saturated_share:g} is allowed",
                "stop",
                "shorten dwell or exposure, or lower the beam current",
            )

    def after(self, command: Command, reading: Reading, state: InstrumentState) -> Alarm | None:
        """The alarm over a whole image, or None."""
        if command.verb not in {"overview", "scan"} or not reading.complete:
            return None
        for name, array in reading.arrays.items():
            alarm = self._image(name, array, command, state)
            if alarm is not None:
                return alarm
        return None

    def _image(
        self, name: str, array: Array, command: Command, state: InstrumentState
    ) -> Alarm | None:
        if array.data.ndim != 2:
            return None
        area = command.model_dump_json(exclude={"name", "verb"})
        where = (state.sample, state.site, state.stage_y_nm, state.stage_x_nm)
        key = (name, area, state.field_of_view_nm, state.current_pA, state.defocus_nm, *where)
        first = self._first.setdefault(key, array.data)
        if first is array.data:
            return None
        if first.shape != array.data.shape:
            self._first[key] = array.data
            return None
        level, spread = float(np.mean(first)), float(np.std(first))
        rise = (float(np.mean(array.data)) - level) / max(abs(level), spread, 1e-300)
        if rise > self.limits.max_brightening:
            return Alarm(
                "contamination",
                f"{name} is {100 * rise:.0f} % brighter than the first image of the area",
                "stop",
                "go to a fresh area, or clean the specimen",
            )
        drift_nm = _shift_nm(first, array)
        if drift_nm > self.limits.max_drift_nm:
            return Alarm(
                "drift",
                f"{name} is shifted by {drift_nm:.3g} nm; {self.limits.max_drift_nm:g} nm are"
                " allowed",
                "pause",
                "wait until the stage is at rest, and take a new overview",
            )
        return None


def _shift_nm(first: Floats, image: Array) -> float:
    """Shift between two images of one area, in nm."""
    from skimage.registration import phase_cross_correlation

    correlate: Any = phase_cross_correlation  # its stub forbids None, its text allows it
    shift, *_ = correlate(first, image.data, normalization=None)
    steps = [abs(float(a.values[1] - a.values[0])) for a in image.axes]
    return float(np.hypot(shift[0] * steps[0], shift[1] * steps[1]))
