"""The specimen of the doubles of instrument servers: the particles of the STEM twin's world."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import Load
from ..workflow._instrument import ELECTRONS_PER_PA_S
from ._stem_optics import Optics, blurred
from ._stem_specimen import Specimen
from ._stem_spectra import counts_of

Floats = NDArray[np.float64]

_SCATTERED_PER_nm = 0.012
_SHARP_nm = 0.0


@final
class ParticleBench:
    """Images and low-loss spectra of hidden plasmonic particles, in counts.

    It forgets what was done to it: nothing drifts, and no carbon grows.

    Parameters
    ----------
    seed
        Of the world and of the noise.
    current_pA, voltage_kV
        Of the beam.
    """

    def __init__(self, seed: int = 0, current_pA: float = 50.0, voltage_kV: float = 100.0) -> None:
        self.current_pA, self.voltage_kV = current_pA, voltage_kV
        self._specimen = Specimen(Load(sample="bench"), seed, 0.0)
        self._rng = np.random.default_rng([seed, 7])
        self._optics = Optics(np.random.default_rng(seed))
        self._optics.error_nm, self._optics.astigmatism_nm = _SHARP_nm, np.zeros(2)

    def image(
        self, pixels: int, y_nm: float, x_nm: float, side_nm: float, dwell_s: float
    ) -> Floats:
        """Counts (pixels, pixels) over a square with this top-left corner of the stage."""
        step = side_nm / pixels
        centres: Floats = (np.arange(pixels, dtype=np.float64) + 0.5) * step
        clean = self._specimen.scattering(y_nm + centres, x_nm + centres)
        seen = blurred(clean, (step, step), self._optics.covariance_nm2())
        share = np.clip(_SCATTERED_PER_nm * seen, 0.0, 0.9)
        return self._rng.poisson(share * self._electrons(dwell_s)).astype(np.float64)

    def spectrum(self, y_nm: float, x_nm: float, exposure_s: float) -> Floats:
        """Counts (channels,) at a place of the stage."""
        place = np.array([[y_nm, x_nm]])
        electrons = self._electrons(exposure_s)
        probe_nm = self._optics.probe_nm
        found = counts_of(self._specimen, place, electrons, self.voltage_kV, probe_nm, self._rng)
        return found[0]

    def _electrons(self, seconds: float) -> float:
        return self.current_pA * ELECTRONS_PER_PA_S * seconds
