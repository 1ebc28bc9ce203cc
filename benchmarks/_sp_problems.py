"""Images with a property to be found at every pixel: one recording, two twins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from probewise.analysis._patches import filled, patches
from probewise.instruments import load_iv_cube
from probewise.matter import PIXELS, make_pad, make_particles, plasmon_map, triangle
from probewise.planner import ProbePrices

from ._data import VARIABLE, DataMissingError, data_folder

Array = NDArray[np.float64]
PATCH = 9
QUANTITY = "property"


@dataclass(frozen=True)
class Scene:
    """Positions (N, 2), patches (N, p) and the true property (N,), prices and the budget.

    ``robust`` is the value that half a per cent of all positions reach.
    """

    name: str
    positions: NDArray[np.int64]
    patches: Array
    truth: Array
    prices: ProbePrices
    budget_min: float

    @property
    def robust(self) -> float:
        return float(np.quantile(self.truth, 0.995))


def _scene(name: str, image: Array, truth: Array, prices: ProbePrices, budget_min: float) -> Scene:
    rows, columns = np.meshgrid(*(np.arange(n) for n in image.shape), indexing="ij")
    positions = np.stack([rows.ravel(), columns.ravel()], axis=1)
    known = np.isfinite(truth.ravel())
    flat = patches(filled(image), PATCH)
    return Scene(name, positions[known], flat[known], truth.ravel()[known], prices, budget_min)


@lru_cache(maxsize=1)
def bfo_iv(seed: int) -> Scene:
    """The recorded film: log current at high field, image at low field, from the same cube.

    A spectrum is what was recorded, once: no dwell to choose, no noise. The seed changes nothing.
    """
    path = data_folder() / "bfo_iv" / "bfo_iv_final.hf5"
    if not path.is_file():
        raise DataMissingError(f"{path} is missing: give its folder by --data or {VARIABLE}")
    cube = load_iv_cube(path)
    prices = ProbePrices(speed_px_per_s=10, settle_s=1.0, dwells_s=(3.0,))
    return _scene("bfo_iv", cube.low_field_image, cube.high_field, prices, 12.0)


@lru_cache(maxsize=1)
def stem_twin(seed: int) -> Scene:
    """Particles: probability of a loss from 0.8 to 3.6 eV, from the dark-field image; a twin.

    64 x 64 pixels of 3.1 nm. The image has noise of 5 % of its range.
    """
    pixels, field_nm = 64, 200.0
    centres = (np.arange(pixels) + 0.5) * field_nm / pixels
    image = make_particles(seed, "film", 0).scattering(centres, centres)
    truth = plasmon_map(seed, "film", 0, pixels, field_nm).intensity
    truth = truth / truth.std()
    return _scene("stem-twin", _noisy(image, seed), truth, _dwelling(50.0, 0.1), 3.0)


@lru_cache(maxsize=1)
def spm_twin(seed: int) -> Scene:
    """A pad of the first campaign's film: area of the local loop, from the domain image; a twin.

    Every third pixel of 128 x 128, 30 nm apart. The image has noise of 5 % of its range.
    """
    pad = make_pad(seed, "film", 0, _DESIGN)
    step = np.arange(0, PIXELS, 3)
    places = np.stack([g.ravel() for g in np.meshgrid(step, step, indexing="ij")], axis=1)
    bias = triangle(64, 8.0)
    loops = pad.local_loops(places.astype(np.intp), bias)
    closed = np.column_stack([loops, loops[:, 0]])
    area = np.abs(trapezoid(closed, np.append(bias, bias[0]), axis=1))
    truth = (area / area.std()).reshape(len(step), len(step))
    image = _noisy(pad.pattern[::3, ::3], seed)
    return _scene("spm-twin", image, truth, _dwelling(10.0, 0.5), 12.0)


_DESIGN = {"composition_sm": 0.08, "temperature_C": 650.0, "pressure_mTorr": 80.0}


def _noisy(image: Array, seed: int) -> Array:
    rng = np.random.default_rng([seed, 53])
    return image + 0.05 * np.ptp(image) * rng.standard_normal(image.shape)


def _dwelling(speed_px_per_s: float, shortest_s: float) -> ProbePrices:
    """Dwells of 1, 4 and 16 times the shortest, at which noise is half the property's spread."""
    return ProbePrices(
        speed_px_per_s=speed_px_per_s,
        settle_s=3.0 * shortest_s,
        dwells_s=(shortest_s, 4.0 * shortest_s, 16.0 * shortest_s),
        noise_at_1s=0.5 * float(np.sqrt(shortest_s)),
    )


SCENES: dict[str, Callable[[int], Scene]] = {
    "bfo_iv": bfo_iv,
    "stem-twin": stem_twin,
    "spm-twin": spm_twin,
}
