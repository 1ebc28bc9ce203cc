"""The analyst of images: particles, atomic columns, walls, edges."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..workflow import Estimate, Job, Kind, Offer, Outcome, Worker, WorkerError
from ._analyst import (
    BadData,
    combined,
    failed,
    inputs,
    outcome,
    read_image,
    table,
    unknown,
)
from ._atoms import find_columns, fit_atoms
from ._contours import BORDER_px, Curve, find_edges, find_walls
from ._particles import Particles, find_particles
from ._patches import contrast, filled, patch_features

_WHO = "worker 'image-analysis'"
_ABOUT = {
    "find_particles": "positions, diameters and density of round particles",
    "find_atoms": "positions of atomic columns and their distances",
    "find_walls": "walls between domains of a signed piezoresponse image; their length",
    "find_edges": "edges of bright regions; their length",
    "describe_patches": "local structure around every pixel, the distance to particles in it",
}

_COLUMNS = {
    "find_particles": ("row", "column", "diameter", "height"),
    "find_atoms": None,
    "find_walls": ("row", "column", "curve"),
    "find_edges": ("row", "column", "curve"),
    "describe_patches": tuple(f"f{k}" for k in range(9)),
}
_UNITS = {
    "particle_density": "1/{0}**2",
    "particle_diameter": "{0}",
    "atom_spacing": "{0}",
    "wall_length": "{0}",
    "wall_density": "1/{0}",
    "edge_length": "{0}",
    "edge_density": "1/{0}",
}
"""Units of the quantities, by the unit of the pixels."""

Floats = NDArray[np.float64]


@final
class ImageAnalysis(Worker):
    """Reduces images to quantities with errors, and tables of what was found.

    Lengths are in nm where the axes of the image are lengths, in px otherwise; tables are in
    pixels: their positions are rounded, the columns ``row`` and ``column`` are not.

    Parameters
    ----------
    profile
        Of particles: ``sphere`` or ``disc``.
    least_diameter_px
        Of particles.
    atom_spacing_px
        Distance of neighbouring columns, if known; 0 if not.
    """

    kind: ClassVar[Kind] = Kind.ANALYSIS
    twin: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    def __init__(
        self,
        *,
        profile: str = "sphere",
        least_diameter_px: float = 5.0,
        atom_spacing_px: float = 0.0,
    ) -> None:
        if profile not in ("sphere", "disc") or least_diameter_px < 3.0 or atom_spacing_px < 0.0:
            raise WorkerError(
                _WHO,
                f"profile {profile!r}, least diameter {least_diameter_px}, {atom_spacing_px} px",
                "'sphere' or 'disc', a diameter from 3 px, a spacing from 0",
                "correct the worker's configuration",
            )
        self._sphere, self._least = profile == "sphere", least_diameter_px
        self._spacing = atom_spacing_px or None

    def offers(self) -> tuple[Offer, ...]:
        return tuple(
            Offer(capability=name, about=about, columns=_COLUMNS[name])
            for name, about in _ABOUT.items()
        )

    def perform(self, job: Job) -> Outcome:
        """Analyse the newest image; what cannot be analysed is returned as a failure.

        Raises
        ------
        WorkerError
            If no array is given, or the step needs another capability or quantity.
        """
        does: dict[str, Callable[[Job, Floats, float, str], Outcome]] = {
            "find_particles": self._particles,
            "find_atoms": self._atoms,
            "find_walls": partial(_curves, what="wall", find=find_walls),
            "find_edges": partial(_curves, what="edge", find=find_edges),
            "describe_patches": self._describe,
        }
        if job.step.needs not in does:
            raise unknown(_WHO, job.step.needs, list(does))
        try:
            image, pixel, unit = read_image(next(iter(inputs(job, _WHO).values())))
            return does[job.step.needs](job, image, pixel, unit)
        except BadData as error:
            return failed(job, error.message, error.remedy)
        except ValueError as error:
            return failed(job, str(error), "record a larger image without gaps")

    def _found(self, image: Floats) -> Particles:
        profile = "sphere" if self._sphere else "disc"
        return find_particles(image, profile=profile, least_diameter_px=self._least)

    def _particles(self, job: Job, image: Floats, pixel: float, unit: str) -> Outcome:
        found = self._found(image)
        values = _of_particles(found, image.shape, pixel)
        columns = {
            "row": found.centers_px[:, 0],
            "column": found.centers_px[:, 1],
            "row_std": found.centers_std_px[:, 0],
            "column_std": found.centers_std_px[:, 1],
            "diameter": found.diameters_px,
            "diameter_std": found.diameters_std_px,
            "height": found.heights,
            "height_std": found.heights_std,
        }
        notes: dict[str, float | str] = {
            "particles": float(len(found)),
            "at_border": float(found.at_border),
        }
        return _placed(job, values, unit, "particles", found.centers_px, columns, notes)

    def _describe(self, job: Job, image: Floats, pixel: float, unit: str) -> Outcome:
        """A table ``features`` of every pixel: eight scores of the patch around it, and how far it
        lies from the rim of the nearest particle, negative inside."""
        found = self._found(filled(image, limit=1e3))
        features = np.column_stack([patch_features(image), _from_rims(found, image.shape)])
        pixels = [(int(r), int(c)) for r, c in np.ndindex(*image.shape)]
        columns = {f"f{k}": [float(v) for v in column] for k, column in enumerate(features.T)}
        values = _of_particles(found, image.shape, pixel) | {"image_contrast": contrast(image)}
        return outcome(
            job, _WHO, values, tables={"features": table(pixels, columns)},
            notes={"particles": float(len(found))},
            units={k: power.format(unit) for k, power in _UNITS.items()},
        )  # fmt: skip

    def _atoms(self, job: Job, image: Floats, pixel: float, unit: str) -> Outcome:
        whole = filled(image, limit=1e3)
        atoms = fit_atoms(whole, find_columns(whole, spacing_px=self._spacing))
        good = atoms.good
        values = {"atom_spacing": _spacing(atoms.positions_px[good], pixel)}
        columns = {
            "row": atoms.positions_px[good, 0],
            "column": atoms.positions_px[good, 1],
            "row_std": atoms.positions_std_px[good, 0],
            "column_std": atoms.positions_std_px[good, 1],
            "height": atoms.heights[good],
            "height_std": atoms.heights_std[good],
            "width": atoms.widths_px[good],
            "width_std": atoms.widths_std_px[good],
        }
        notes: dict[str, float | str] = {
            "atoms": float(good.sum()),
            "not_fitted": float((~good).sum()),
        }
        return _placed(job, values, unit, "atoms", atoms.positions_px[good], columns, notes)


def _of_particles(
    found: Particles, shape: tuple[int, ...], pixel: float
) -> dict[str, Estimate | None]:
    diameter = None
    if len(found):
        diameter = combined(pixel * found.diameters_px, pixel * found.diameters_std_px)
    return {"particle_density": density(found, shape, pixel), "particle_diameter": diameter}


def _from_rims(found: Particles, shape: tuple[int, ...]) -> Floats:
    """Distance (rows * columns,) to the rim of the nearest particle, of mean 0 and standard
    deviation 1; 0 everywhere if there is no particle."""
    pixels = np.array(list(np.ndindex(*shape)), dtype=np.float64)
    if not len(found):
        return np.zeros(len(pixels))
    way = np.linalg.norm(pixels[:, None] - found.centers_px, axis=-1) - found.diameters_px / 2.0
    nearest = way.min(axis=1)
    return (nearest - nearest.mean()) / max(float(nearest.std()), 1e-12)


def density(found: Particles, shape: tuple[int, ...], pixel: float) -> Estimate:
    """Number of particles per area, as a sample of what lies beyond the image.

    Large particles touch the border more often; each one found counts as the inverse of the area in
    which it could have been found (R. E. Miles, in Stochastic Geometry (1974); C. Lantuejoul,
    1980). The error is that of a Poisson process; none found gives 0 with the error of one.
    """
    if not len(found):
        area = float(np.prod(shape)) * pixel**2
        return Estimate(value=0.0, std=1.0 / area)
    sides = np.array(shape, dtype=np.float64)[:, None] - found.diameters_px
    areas = np.prod(np.maximum(sides, 1.0), axis=0) * pixel**2
    return Estimate(value=float(np.sum(1.0 / areas)), std=float(np.sqrt(np.sum(areas**-2.0))))


def _spacing(positions: Floats, pixel: float) -> Estimate | None:
    """Mean distance to the nearest neighbour and its standard error; None for fewer than three.

    Two columns that are each other's nearest share their distance, so it counts once.
    """
    if len(positions) < 3:
        return None
    near, other = (np.asarray(x)[:, 1] for x in KDTree(positions).query(positions, k=2))
    pairs = {
        tuple(sorted((i, int(j)))): float(d)
        for i, (d, j) in enumerate(zip(near, other, strict=True))
    }
    distances = pixel * np.array(list(pairs.values()))
    error = float(distances.std(ddof=1) / np.sqrt(len(distances)))
    return Estimate(value=float(distances.mean()), std=error)


def _curves(
    job: Job,
    image: Floats,
    pixel: float,
    unit: str,
    *,
    what: str,
    find: Callable[[Floats], tuple[Curve, ...]],
) -> Outcome:
    """Length, density (length per area) and the points of all curves."""
    found = find(image)
    length = pixel * sum(c.length_px.value for c in found)
    std = pixel * float(np.sqrt(sum(c.length_px.std**2 for c in found)))
    area = pixel**2 * float(np.prod(np.array(image.shape) - 2.0 * BORDER_px - 1.0))
    values: dict[str, Estimate | None] = {
        f"{what}_length": Estimate(value=length, std=std),
        f"{what}_density": Estimate(value=length / area, std=std / area),
    }
    points = np.concatenate([c.points_px for c in found]) if found else np.zeros((0, 2))
    columns = {
        "row": points[:, 0],
        "column": points[:, 1],
        "std": np.concatenate([c.std_px for c in found]) if found else np.zeros(0),
        "curve": np.repeat(np.arange(len(found)), [len(c.points_px) for c in found]).astype(float),
    }
    return _placed(job, values, unit, f"{what}s", points, columns, {"curves": float(len(found))})


def _placed(
    job: Job,
    values: dict[str, Estimate | None],
    unit: str,
    name: str,
    positions: Floats,
    columns: dict[str, Floats],
    notes: dict[str, float | str],
) -> Outcome:
    pixels = [(int(r), int(c)) for r, c in np.rint(positions)]
    made = table(pixels, {k: [float(v) for v in column] for k, column in columns.items()})
    units = {k: power.format(unit) for k, power in _UNITS.items()}
    return outcome(job, _WHO, values, tables={name: made}, notes=notes, units=units)
