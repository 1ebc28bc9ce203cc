"""The design space as the theory sees it, and the theory's prediction on a regular grid of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..workflow import Continuous, Grid, Space
from ._landau import polarization

Floats = NDArray[np.float64]

VARIABLES: tuple[str, ...] = ("composition_sm", "temperature_C", "pressure_mTorr")
GRID_SHAPE: tuple[int, ...] = (26, 7, 7)


def theory_space(
    composition: tuple[float, float],
    temperature_C: tuple[float, float],
    pressure_mTorr: tuple[float, float],
) -> Space:
    """The space of the three variables; pressure on a logarithmic scale.

    Raises
    ------
    SpecError
        If a range is empty or the lowest pressure is not positive.
    """
    x, t, p = VARIABLES
    return Space(
        variables=(
            Continuous(name=x, low=composition[0], high=composition[1]),
            Continuous(name=t, low=temperature_C[0], high=temperature_C[1], unit="degC"),
            Continuous(
                name=p, low=pressure_mTorr[0], high=pressure_mTorr[1], unit="mTorr", scale="log"
            ),
        )
    )


def predict_grid(
    theta: ArrayLike, space: Space, shape: tuple[int, ...] = GRID_SHAPE, digits: int = 4
) -> Grid:
    """Switchable polarization in uC/cm**2 of every member of ``theta`` (members, parameters).

    Ticks are even on each variable's own scale; values are rounded to ``digits`` significant
    digits.
    """
    ticks = {
        v.name: tuple(float(t) for t in v.from_unit(np.linspace(0.0, 1.0, n)))
        for v, n in zip(space.variables, shape, strict=True)
    }
    mesh = np.meshgrid(*(ticks[name] for name in VARIABLES), indexing="ij")
    values = significant(polarization(theta, *(m.ravel() for m in mesh)), digits)
    return Grid(ticks=ticks, values=tuple(tuple(map(float, member)) for member in values))


def significant(values: Floats, digits: int) -> Floats:
    """Round to significant digits; what is below 1e-9 becomes zero."""
    flat = [0.0 if abs(v) < 1e-9 else float(f"{v:.{digits}g}") for v in values.ravel()]
    return np.asarray(flat, dtype=np.float64).reshape(values.shape)
