"""What a piezoresponse microscope makes of polarization: calibration, drift, noise, bad spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from ..matter import World, rng_of

Floats = NDArray[np.float64]

BAD_SHARE = 0.04
_IMAGE_NOISE_pm = 0.8
_LOOP_NOISE_pm = 1.2
_AGEING_per_h = 0.6
_DRIFT_px_per_h = 1.5
_TIP_BLUR_px = 0.8


@dataclass(frozen=True)
class Tuning:
    """State of the microscope after one tuning; the same tuning always gives the same state.

    ``sensitivity`` is the true response in pm per uC/cm^2, about 2 % off the nominal one;
    ``offset_pm`` an electrostatic background; ``drift_px_per_h`` how fast the sample moves (rows,
    columns); ``age_h`` the time since the tuning.
    """

    sensitivity: float
    offset_pm: float
    drift_px_per_h: Floats
    age_h: float

    @property
    def noise_factor(self) -> float:
        """Noise over that of a fresh tuning: the resonance wanders off."""
        return 1.0 + _AGEING_per_h * self.age_h


def tuning_of(world: World, sample: str, hours: dict[str, float]) -> Tuning:
    """The tuning that ``hours['tuned']`` names, as it stands at ``hours['start']``."""
    tuned = hours.get("tuned", 0.0)
    rng = rng_of(world.seed, "tuning", sample, round(tuned, 6))
    return Tuning(
        sensitivity=world.sensitivity_pm_cm2_per_uC * float(1.0 + rng.normal(0.0, 0.02)),
        offset_pm=float(rng.normal(0.0, 0.5)),
        drift_px_per_h=rng.normal(0.0, _DRIFT_px_per_h, 2),
        age_h=max(0.0, hours.get("start", tuned) - tuned),
    )


def image_of(pattern: Floats, tuning: Tuning, scan_h: float, rng: np.random.Generator) -> Floats:
    """Signed vertical piezoresponse in pm (row, column); rows are scanned one after another.

    The sample drifts from the tuning on and during the scan, so the image is shifted and skewed.
    """
    rows, columns = pattern.shape
    r, c = np.mgrid[0:rows, 0:columns].astype(np.float64)
    elapsed = tuning.age_h + scan_h * r / rows
    where = [r + tuning.drift_px_per_h[0] * elapsed, c + tuning.drift_px_per_h[1] * elapsed]
    blurred = gaussian_filter(pattern, _TIP_BLUR_px, mode="wrap")
    seen = map_coordinates(blurred, where, order=1, mode="grid-wrap")
    noise = _IMAGE_NOISE_pm * tuning.noise_factor
    lines = rng.normal(0.0, 0.3 * noise, (rows, 1))
    signal = tuning.sensitivity * seen + tuning.offset_pm + lines
    return signal + rng.normal(0.0, noise, pattern.shape)


def spectra_of(polarization: Floats, tuning: Tuning, rng: np.random.Generator) -> Floats:
    """Loops in pm (position, bias) as they are read out; a few come out bad."""
    noise = _LOOP_NOISE_pm * tuning.noise_factor
    loops = tuning.sensitivity * polarization + tuning.offset_pm
    loops = loops + rng.normal(0.0, noise, polarization.shape)
    for row in np.flatnonzero(rng.random(len(loops)) < BAD_SHARE):
        loops[row] = _spoilt(loops[row], noise, rng)
    return loops


def _spoilt(loop: Floats, noise: float, rng: np.random.Generator) -> Floats:
    """A loop with spikes, with the contact lost on the way, or beyond the detector's range."""
    loop = loop.copy()
    match int(rng.integers(3)):
        case 0:
            at = rng.choice(loop.size, size=int(rng.integers(4, 12)), replace=False)
            loop[at] += rng.choice([-1.0, 1.0], at.size) * rng.uniform(30.0, 90.0, at.size)
        case 1:
            start = int(rng.integers(loop.size // 2))
            loop[start:] = rng.normal(0.0, 2.0 * noise, loop.size - start)
        case _:
            limit = 0.5 * float(np.max(np.abs(loop)))
            loop = np.clip(3.0 * loop, -limit, limit)
    return loop


def positions_seen(positions: NDArray[np.intp], tuning: Tuning) -> NDArray[np.intp]:
    """Where on the sample the tip lands when sent to image pixels (n, 2), drift included."""
    moved = positions + tuning.drift_px_per_h * tuning.age_h
    return np.rint(moved).astype(np.intp)
