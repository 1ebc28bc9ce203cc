"""What the particles of a scene really are, pixel by pixel: for scoring only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from ..workflow import DesignSpaceError, Recommendation, Score
from ._plasmons import make_plasmons

Floats = NDArray[np.float64]

_ENERGIES_eV: Floats = np.linspace(0.8, 3.6, 281)
_AT_ONCE = 1024
_WHO = "truth stem-twin"


@dataclass(frozen=True)
class PlasmonMap:
    """Plasmons of a scene on the pixels of its overview; arrays (rows, columns), without noise,
    probe width, drift or carbon.

    ``peak_eV`` is the energy of the largest loss between 0.8 and 3.6 eV, ``intensity`` the
    probability of a loss in that range.
    """

    peak_eV: Floats
    intensity: Floats


@lru_cache(maxsize=8)
def plasmon_map(
    world_seed: int,
    sample: str = "film",
    site: int = 0,
    pixels: int = 128,
    field_of_view_nm: float = 200.0,
    voltage_kV: float = 100.0,
) -> PlasmonMap:
    """The map of a site of a sample, with the stage where it was loaded.

    Some two seconds for 128 x 128 pixels the first time.
    """
    plasmons = make_plasmons(world_seed, sample, site)
    centres = (np.arange(pixels) + 0.5) * field_of_view_nm / pixels
    y, x = (g.ravel() for g in np.meshgrid(centres, centres, indexing="ij"))
    peak, total = np.empty(y.size), np.empty(y.size)
    for start in range(0, y.size, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        loss = plasmons.loss(y[part], x[part], _ENERGIES_eV, voltage_kV)
        peak[part] = _ENERGIES_eV[np.argmax(loss, axis=1)]
        total[part] = trapezoid(loss, _ENERGIES_eV, axis=1)
    shape = (pixels, pixels)
    return PlasmonMap(peak.reshape(shape), total.reshape(shape))


@final
class StemTruth:
    """Scores a recommended pixel by the plasmons that are there.

    Goals on a quantity with ``peak`` or ``energy`` in its name are held against ``peak_eV``, others
    against ``intensity``. ``best`` is the largest value of the map, ``baseline`` its median.

    Parameters
    ----------
    world_seed, sample, pixels, field_of_view_nm
        As they were given to the twin; the sample is the one that the campaign measures.
    """

    def __init__(
        self,
        world_seed: int = 0,
        sample: str = "film",
        pixels: int = 128,
        field_of_view_nm: float = 200.0,
    ) -> None:
        self._map = plasmon_map(world_seed, sample, 0, pixels, field_of_view_nm)

    def score(self, recommendation: Recommendation) -> Score:
        """Hold a recommended position against the map.

        Raises
        ------
        SpecError
            If the recommendation names no position.
        DesignSpaceError
            If the position lies outside the overview.
        """
        position = recommendation.position_for(_WHO)
        name = str(recommendation.goal.quantities[0])
        values = self._map.intensity
        if "peak" in name or "energy" in name:
            values = self._map.peak_eV
        row, column = position
        if not (0 <= row < values.shape[0] and 0 <= column < values.shape[1]):
            raise DesignSpaceError(
                _WHO,
                f"position {position}",
                f"rows and columns from 0 to {len(values) - 1}",
                "recommend a pixel of the overview",
            )
        return Score(
            true_value=float(values[row, column]),
            best=float(values.max()),
            baseline=float(np.median(values)),
        )
