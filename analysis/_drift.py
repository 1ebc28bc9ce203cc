"""Drift while frames arrive: the velocity of the specimen, with its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import Estimate
from ._register import Shift, register

Floats = NDArray[np.float64]

_MOST_FRAMES = 50


@dataclass(frozen=True)
class Drift:
    """The last shift against the first frame, in pixels, and the velocity in pixels per second.

    Along (rows, columns); the velocity is None until two frames at different times are known.
    """

    shift_px: tuple[Estimate, ...]
    velocity_px_per_s: tuple[Estimate, ...] | None
    trusted: bool


@final
class DriftTracker:
    """Follows frames, or the same rows of frames, against the first one.

    The velocity is the slope of a line through the shifts by weighted least squares, whose error is
    widened where the shifts scatter clearly more than they should. Frames that do not show the same
    place are reported and left out. The last 50 frames count.
    """

    def __init__(self) -> None:
        self._reference: Floats | None = None
        self._times: list[float] = []
        self._shifts: list[Shift] = []

    def update(self, frame: Floats, time_s: float) -> Drift:
        """Take in a frame, 1-D or 2-D, of the middle time ``time_s``.

        Raises
        ------
        ValueError
            As in ``register``, if the frame does not match the first one.
        """
        if self._reference is None:
            register(frame, frame)
            self._reference = np.array(frame, dtype=np.float64)
            still = tuple(Estimate(value=0.0) for _ in range(frame.ndim))
            self._times, self._shifts = [time_s], [Shift(still, 1.0)]
            return Drift(still, None, True)
        shift = register(self._reference, frame)
        if shift.trusted:
            self._times.append(time_s)
            self._shifts.append(shift)
            del self._times[1:-_MOST_FRAMES], self._shifts[1:-_MOST_FRAMES]
        return Drift(shift.pixels, self._velocity(), shift.trusted)

    def _velocity(self) -> tuple[Estimate, ...] | None:
        times = np.array(self._times[1:]) - self._times[0]
        if not np.any(times > 0.0):
            return None
        axes = range(len(self._shifts[0].pixels))
        return tuple(self._slope(times, [s.pixels[k] for s in self._shifts[1:]]) for k in axes)

    @staticmethod
    def _slope(times: Floats, shifts: list[Estimate]) -> Estimate:
        """Slope through the origin of time and shift: the first frame is the reference itself.

        Half of each shift's variance is the reference's own noise, common to all of them.
        """
        value = np.array([s.value for s in shifts])
        variance = np.maximum(np.array([s.std for s in shifts]) ** 2, 1e-12)
        shared = 0.5 * float(variance.min())
        covariance = np.diag(variance - shared) + shared
        inverse = np.linalg.inv(covariance)
        power = float(times @ inverse @ times)
        slope = float(times @ inverse @ value) / power
        left = value - slope * times
        freedom = len(times) - 1
        misfit = float(left @ inverse @ left) / freedom if freedom else 1.0
        # Few shifts scatter by chance: only what is clearly too much widens the error.
        clear = misfit > 1.0 + 2.0 * np.sqrt(2.0 / max(freedom, 1))
        return Estimate(value=slope, std=float(np.sqrt((misfit if clear else 1.0) / power)))
