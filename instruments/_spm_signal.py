"""What a piezoresponse microscope makes of a film: calibration, drift, noise, bad spectra."""

from __future__ import annotations

from collections.abc import Mapping
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
    columns); ``age_h`` the time since the tuning; ``tracked`` says that the resonance is followed,
    so that the noise does not grow.
    """

    sensitivity: float
    offset_pm: float
    drift_px_per_h: Floats
    age_h: float
    tracked: bool = False

    @property
    def noise_factor(self) -> float:
        """Noise over that of a fresh tuning: the resonance wanders off."""
        return 1.0 if self.tracked else 1.0 + _AGEING_per_h * self.age_h


def tuning_of(
    world: World, sample: str, hours: Mapping[str, float], tracked: bool = False
) -> Tuning:
    """The tuning that ``hours['tuned']`` names, as it stands at ``hours['start']``."""
    tuned = hours.get("tuned", 0.0)
    rng = rng_of(world.seed, "tuning", sample, round(tuned, 6))
    return Tuning(
        sensitivity=world.sensitivity_pm_cm2_per_uC * float(1.0 + rng.normal(0.0, 0.02)),
        offset_pm=float(rng.normal(0.0, 0.5)),
        drift_px_per_h=rng.normal(0.0, _DRIFT_px_per_h, 2),
        age_h=max(0.0, hours.get("start", tuned) - tuned),
        tracked=tracked,
    )


@dataclass(frozen=True)
class ScanGrid:
    """Pixels of an image in pixels of the pad: ``rows_px`` (rows,), ``columns_px`` (columns,), and
    the time that the whole takes."""

    rows_px: Floats
    columns_px: Floats
    scan_h: float

    def where(self, tuning: Tuning) -> tuple[Floats, Floats]:
        """Where on the pad each pixel lies, drift included: rows and columns, each (rows, columns).

        The sample drifts from the tuning on and during the scan, row after row, so an image is
        shifted and skewed.
        """
        r, c = np.meshgrid(self.rows_px, self.columns_px, indexing="ij")
        share = np.arange(len(self.rows_px), dtype=np.float64)[:, None] / len(self.rows_px)
        elapsed = tuning.age_h + self.scan_h * share
        return r + tuning.drift_px_per_h[0] * elapsed, c + tuning.drift_px_per_h[1] * elapsed


def image_of(pattern: Floats, tuning: Tuning, grid: ScanGrid, rng: np.random.Generator) -> Floats:
    """Signed vertical piezoresponse in pm (row, column); rows are scanned one after another."""
    blurred = gaussian_filter(pattern, _TIP_BLUR_px, mode="wrap")
    seen = map_coordinates(blurred, grid.where(tuning), order=1, mode="grid-wrap")
    noise = _IMAGE_NOISE_pm * tuning.noise_factor
    lines = rng.normal(0.0, 0.3 * noise, (len(seen), 1))
    signal = tuning.sensitivity * seen + tuning.offset_pm + lines
    return signal + rng.normal(0.0, noise, seen.shape)


def line_of(
    pattern: Floats, tuning: Tuning, rows_px: Floats, columns_px: Floats, rng: np.random.Generator
) -> Floats:
    """Signed vertical piezoresponse in pm at places (n,) of the pad, in its pixels."""
    blurred = gaussian_filter(pattern, _TIP_BLUR_px, mode="wrap")
    drift = tuning.drift_px_per_h * tuning.age_h
    where = [rows_px + drift[0], columns_px + drift[1]]
    seen = map_coordinates(blurred, where, order=1, mode="grid-wrap")
    noise = _IMAGE_NOISE_pm * tuning.noise_factor
    return tuning.sensitivity * seen + tuning.offset_pm + rng.normal(0.0, noise, seen.shape)


def spectra_of(signal_pm: Floats, tuning: Tuning, rng: np.random.Generator) -> Floats:
    """Spectra in pm (position, point) as they are read out; a few come out bad."""
    noise = _LOOP_NOISE_pm * tuning.noise_factor
    spectra = signal_pm + tuning.offset_pm
    spectra = spectra + rng.normal(0.0, noise, signal_pm.shape)
    for row in np.flatnonzero(rng.random(len(spectra)) < BAD_SHARE):
        spectra[row] = _spoilt(spectra[row], noise, rng)
    return spectra


def _spoilt(loop: Floats, noise: float, rng: np.random.Generator) -> Floats:
    """A spectrum with spikes, with the contact lost on the way, or beyond the detector's range."""
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
