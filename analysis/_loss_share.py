"""How many electrons lost energy to plasmons: a share of all that were counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..workflow import Estimate
from ._plasmon import fit_plasmon

Floats = NDArray[np.float64]

LOSSES_eV = (0.8, 3.6)
"""Losses that count: those of plasmons of small metal particles, beyond the zero loss."""
_BELOW_eV, _ABOVE_eV = (0.3, 0.75), (3.7, 4.5)
"""Losses on either side of them, of which the background is told."""
_LEAST_CHANNELS = 10
_WINGS = 0.01
"""Share of a plasmon that its wings put into the sides, times what that takes off: of a Lorentzian
0.15 eV wide in the middle of the window, a hundredth."""


def loss_share(energy_eV: Floats, counts: Floats) -> Estimate:
    """Share of the counted electrons that lost between 0.8 and 3.6 eV to plasmons, by counting.

    Below the plasmons lie the tail of the zero loss, which falls with the square of the loss
    (Lorentzian wings), and what the support takes, to first order in proportion to the loss: two
    amplitudes, told by the counts between 0.3 and 0.75 eV and between 3.7 and 4.5 eV (background
    from both sides of the signal: R. F. Egerton, Electron Energy-Loss Spectroscopy in the Electron
    Microscope, 3rd ed. (2011), section 4.4). Its counting error is in that of the share, which may
    be negative where there is no plasmon. The zero of the scale is the highest channel.

    Raises
    ------
    ValueError
        If fewer than ten channels lie in the window or on a side of it, or nothing was counted.
    """
    loss = energy_eV - float(energy_eV[int(np.argmax(counts))])
    parts = [(loss >= a) & (loss <= b) for a, b in (LOSSES_eV, _BELOW_eV, _ABOVE_eV)]
    channels = [int(part.sum()) for part in parts]
    total = float(counts.sum())
    if min(channels) < _LEAST_CHANNELS or total <= 0.0:
        raise ValueError(
            f"{channels[0]} channels between 0.8 and 3.6 eV, {channels[1]} below them from 0.3 eV"
            f" on and {channels[2]} above up to 4.5 eV, {total:g} counts"
        )
    inside, *sides = (float(counts[part].sum()) for part in parts)
    shapes = np.array([[np.sum(loss[p] ** -2.0), np.sum(loss[p])] for p in parts])
    taken = shapes[0] @ np.linalg.inv(shapes[1:])
    share = (inside - float(taken @ sides)) / total
    variance = max(inside, 1.0) + float(taken**2 @ np.maximum(sides, 1.0))
    return Estimate(value=share, std=float(np.hypot(np.sqrt(variance) / total, _WINGS * share)))


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
