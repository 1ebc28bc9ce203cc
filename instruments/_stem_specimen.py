"""The specimen in the STEM twin: particles, the carbon that the beam collects, and its drift."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from ..matter import Particles, Plasmons, SCENE_nm, SCENE_START_nm, make_plasmons, rng_of
from ..workflow import Load

Floats = NDArray[np.float64]

CELL_nm = 2.0
_MARGIN_nm = 200.0
_FILM = 0.6
"""Scattering of the bare film, in nanometres of gold."""
_CARBON = 0.02
"""Scattering of a nanometre of carbon, in nanometres of gold: (6/79)^1.7 and its density."""
_GROWTH_nm_per_dose = 4e-6
"""Nanometres of carbon for one electron per square angstroem, before it levels off."""
_MOST_CARBON_nm = 30.0
_SPREAD_nm = 2.0
"""The standard deviation of a spot of carbon."""
_DRIFT_nm_per_s = 0.004
_SETTLING_s = 60.0


@dataclass
class Specimen:
    """A loaded specimen; positions are nanometres of the stage, times seconds of the twin's clock.

    Carbon grows with the dose of a place and levels off at 30 nm. The drift has a steady part,
    drawn when the specimen is loaded, and one that dies away with a minute after the stage moved.
    """

    load: Load
    world_seed: int
    loaded_s: float
    plasmons: Plasmons = field(init=False)
    carbon_nm: Floats = field(init=False)
    _moved_s: float = field(init=False)
    _creep_nm: Floats = field(init=False)
    _drift: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.plasmons = make_plasmons(self.world_seed, self.load.sample, self.load.site)
        cells = round((SCENE_nm + 2 * _MARGIN_nm) / CELL_nm)
        self.carbon_nm = np.zeros((cells, cells))
        rng = rng_of(self.world_seed, self.load.sample, self.load.site, "drift")
        self._drift = rng.normal(0.0, _DRIFT_nm_per_s, 2)
        self._creep_nm, self._moved_s = np.zeros(2), self.loaded_s

    @property
    def particles(self) -> Particles:
        return self.plasmons.particles

    def stage_moved(self, way_nm: Floats, now_s: float) -> None:
        """The stage went ``way_nm`` (y, x) and creeps on for a part of it."""
        self._creep_nm = -0.003 * np.clip(way_nm, -2000.0, 2000.0)
        self._moved_s = now_s

    def drift_nm(self, seconds: Floats) -> Floats:
        """Shift (..., 2) of the specimen against the stage at times of the twin's clock."""
        t = np.asarray(seconds, dtype=np.float64)[..., None]
        creep = 1.0 - np.exp(-np.maximum(t - self._moved_s, 0.0) / _SETTLING_s)
        return self._drift * (t - self.loaded_s) + self._creep_nm * creep

    def scattering(self, y_nm: Floats, x_nm: Floats) -> Floats:
        """Projected scattering (rows, columns), in nanometres of gold."""
        metal = self.particles.scattering(y_nm, x_nm)
        return metal + _FILM + _CARBON * self.carbon_at(*np.meshgrid(y_nm, x_nm, indexing="ij"))

    def carbon_at(self, y_nm: Floats, x_nm: Floats) -> Floats:
        """Thickness of the carbon at places."""
        where = [
            (np.asarray(v) - SCENE_START_nm + _MARGIN_nm) / CELL_nm - 0.5 for v in (y_nm, x_nm)
        ]
        return map_coordinates(self.carbon_nm, where, order=1, mode="nearest")

    def expose_area(self, box_nm: tuple[float, float, float, float], electrons: float) -> None:
        """Electrons spread evenly over a rectangle (y0, x0, y1, x1)."""
        y0, x0, y1, x1 = box_nm
        rows, columns = _cells(y0, y1), _cells(x0, x1)
        dose = electrons / (100.0 * (y1 - y0) * (x1 - x0))
        self._grow(
            rows, columns, np.full((rows.stop - rows.start, columns.stop - columns.start), dose)
        )

    def expose_spot(self, y_nm: float, x_nm: float, electrons: float, probe_nm: float) -> None:
        """Electrons of a parked probe; the carbon spreads further than the probe."""
        sigma = np.hypot(_SPREAD_nm, probe_nm / 4.0)
        rows, columns = (_cells(v - 4 * sigma, v + 4 * sigma) for v in (y_nm, x_nm))
        y = _centres(rows) - y_nm
        x = _centres(columns) - x_nm
        bell = np.exp(-(y[:, None] ** 2 + x[None, :] ** 2) / (2 * sigma**2))
        self._grow(rows, columns, bell * electrons / (100.0 * 2 * np.pi * sigma**2))

    def _grow(self, rows: slice, columns: slice, dose: Floats) -> None:
        patch = self.carbon_nm[rows, columns]
        left = 1.0 - patch / _MOST_CARBON_nm
        patch += (
            np.minimum(_GROWTH_nm_per_dose * dose[: patch.shape[0], : patch.shape[1]], 10.0) * left
        )


def _cells(low_nm: float, high_nm: float) -> slice:
    """Cells of the map whose centres lie between two coordinates, at least one."""
    size = round((SCENE_nm + 2 * _MARGIN_nm) / CELL_nm)
    start = (low_nm - SCENE_START_nm + _MARGIN_nm) / CELL_nm
    stop = (high_nm - SCENE_START_nm + _MARGIN_nm) / CELL_nm
    first = int(np.clip(np.ceil(start - 0.5), 0, size - 1))
    return slice(first, int(np.clip(np.ceil(stop - 0.5), first + 1, size)))


def _centres(cells: slice) -> Floats:
    return (np.arange(cells.start, cells.stop) + 0.5) * CELL_nm + SCENE_START_nm - _MARGIN_nm
