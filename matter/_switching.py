"""Switchable polarization of a whole pad: an ensemble of regions in the quasi-static limit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from ._growth import grow
from ._landau import Landau, switching_fields
from ._world import TEST_FIELD_kV_per_cm, World

Floats = NDArray[np.float64]

_COMPOSITIONS = ndtri((np.arange(15) + 0.5) / 15)
_IMPRINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_CHUNK = 4096
_TINY = 1e-6


def switchable_polarization(
    world: World, x: ArrayLike, temperature_C: ArrayLike, pressure_mTorr: ArrayLike
) -> Floats:
    """Half the polarization that a bipolar test reverses for good, in uC/cm^2, without noise.

    Arguments broadcast; the result has their common shape. A region with local composition y,
    barrier factor k and built-in field h obeys dP/dt = -G (k dF/dP - E - h) (Landau and
    Khalatnikov, Dokl. Akad. Nauk SSSR 96, 469 (1954)). For a field that changes slowly it reverses
    in both directions when E - |h| > k E_crossing(y), and keeps both polarizations at zero field
    when |h| < k E_leaving(y). Otherwise, when k E_holding(y) < |h| < k E_crossing(y), one of them
    decays to the antipolar state, and half is left. log k and h are Gaussian over the regions, so
    the shares of k between these bounds are differences of normal integrals; y and h are summed
    over quantiles. Leaks take voltage from the film.
    """
    film = grow(world, x, temperature_C, pressure_mTorr)
    shape = film.composition.shape
    flat = [np.ravel(a) for a in (film.composition, film.leak, film.imprint_kV_per_cm)]
    flat += [np.ravel(a) for a in (film.imprint_spread_kV_per_cm, film.pinning)]
    total = np.empty(flat[0].size)
    for start in range(0, total.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        total[part] = _ensemble_mean(world, *(a[part] for a in flat))
    return film.quality * total.reshape(shape)


def _ensemble_mean(
    world: World, x: Floats, leak: Floats, imprint: Floats, spread: Floats, pinning: Floats
) -> Floats:
    """Mean over regions; all arguments have shape (n,)."""
    table = switching_fields(world)
    y = x[:, None] + world.composition_spread * _COMPOSITIONS
    crossing = np.interp(y, table.x, table.crossing_kV_per_cm) + _TINY
    leaving = np.interp(y, table.x, table.leaving_kV_per_cm) + _TINY
    holding = np.interp(y, table.x, table.holding_kV_per_cm) + _TINY
    spontaneous = Landau(world).spontaneous(y)
    field = (TEST_FIELD_kV_per_cm / (1.0 + leak))[:, None]
    median = np.log(world.barrier_fraction * pinning)[:, None]

    def share_below(local_field: Floats, intrinsic: Floats) -> Floats:
        """Share of regions whose barrier is below local over intrinsic field."""
        return ndtr((np.log(local_field / intrinsic) - median) / world.barrier_spread)

    total = np.zeros(len(x))
    for node, weight in zip(_IMPRINTS, _WEIGHTS / _WEIGHTS.sum(), strict=True):
        built_in = np.abs(imprint + node * spread)[:, None]
        reached = share_below(np.maximum(field - built_in, _TINY), crossing)
        held = np.maximum(reached - share_below(built_in + _TINY, leaving), 0.0)
        upheld = np.minimum(reached, share_below(built_in + _TINY, holding))
        halfway = np.maximum(upheld - share_below(built_in + _TINY, crossing), 0.0)
        total += weight * np.mean(spontaneous * 0.5 * (held + halfway), axis=1)
    return total
