"""How many electrons lost energy: a share of all that were counted, without any fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..workflow import Estimate
from ._plasmon import fit_plasmon

Floats = NDArray[np.float64]

LOSSES_eV = (0.8, 3.6)
"""Losses that count: those of plasmons of small metal particles, beyond the zero loss."""


def loss_share(energy_eV: Floats, counts: Floats) -> Estimate:
    """Share of the counted electrons that lost between 0.8 and 3.6 eV, by counting statistics.

    The zero of the scale is the highest channel. The tail of the zero loss and what the support
    loses are in it: they are much the same everywhere, so that differences between places are of
    the plasmons.

    Raises
    ------
    ValueError
        If fewer than ten channels lie in the window, or nothing was counted.
    """
    loss = energy_eV - float(energy_eV[int(np.argmax(counts))])
    inside = (loss >= LOSSES_eV[0]) & (loss <= LOSSES_eV[1])
    total = float(counts.sum())
    if int(inside.sum()) < 10 or total <= 0.0:
        raise ValueError(f"{int(inside.sum())} channels between 0.8 and 3.6 eV, {total:g} counts")
    lost = float(counts[inside].sum())
    return Estimate(value=lost / total, std=float(np.sqrt(max(lost, 1.0))) / total)


def reading_of(quantity: str, energy_eV: Floats, counts: Floats) -> Estimate | None:
    """What one spectrum says of a quantity that is sought; None for one that no single spectrum
    gives, and where this one does not determine it."""
    try:
        if quantity == "loss_share":
            return loss_share(energy_eV, counts)
        peak = fit_plasmon(energy_eV, counts).strongest if quantity in _OF_PEAKS else None
    except ValueError:
        return None
    return None if peak is None else getattr(peak, _OF_PEAKS[quantity])


_OF_PEAKS = {
    "plasmon_energy": "energy_eV",
    "plasmon_width": "width_eV",
    "plasmon_area": "area_counts_eV",
}
