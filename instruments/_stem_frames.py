"""How images and spectra of live electron microscopes are announced."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..workflow import Axis, Frame, InstrumentState, Rectangle

Floats = NDArray[np.float64]


def image_frame(
    rows: int, columns: int, area: Rectangle, unit: str, quantity: str, saturation: float | None,
    state: InstrumentState, dwell_s: float, name: str = "haadf",
) -> Frame:  # fmt: skip
    """An image; axes are the centres of its pixels, in nanometres of the field of view."""
    y = area.y_nm + (np.arange(rows) + 0.5) * area.height_nm / rows
    x = area.x_nm + (np.arange(columns) + 0.5) * area.width_nm / columns
    axes = (Axis("y", "nm", y, "spatial"), Axis("x", "nm", x, "spatial"))
    metadata = _column(state) | {"dwell_s": dwell_s}
    return Frame(name, unit, axes, quantity, "IMAGE", metadata, saturation)


def spectra_frame(
    places: int, energies_eV: Floats, unit: str, saturation: float | None,
    state: InstrumentState, exposure_s: float, name: str = "eels",
) -> Frame:  # fmt: skip
    """Spectra at so many places."""
    axes = (
        Axis("position", "1", np.arange(places, dtype=np.float64), "point_cloud"),
        Axis("energy_loss", "eV", energies_eV, "spectral"),
    )
    metadata = _column(state) | {"exposure_s": exposure_s}
    return Frame(name, unit, axes, "electron energy loss", "POINT_CLOUD", metadata, saturation)


def _column(state: InstrumentState) -> dict[str, float | str]:
    return {"current_pA": state.current_pA, "voltage_kV": state.voltage_kV}
