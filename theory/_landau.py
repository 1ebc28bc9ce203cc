"""Switchable polarization over composition and growth conditions, by a Landau-Devonshire model.

The reduced free energy is ``f(p) = -t p^2 / 2 + b p^4 / 4 + c p^6 / 6`` with ``b + c = 1``, so
that the film without samarium (t = 1) has p = 1. The first coefficient falls linearly with the Sm
fraction x and vanishes at x_c: ``t = 1 - x / x_c`` (A. F. Devonshire, Phil. Mag. 40, 1040 (1949);
42, 1065 (1951)). What the model leaves out on purpose: strain, the antiferroelectric order
itself, bismuth loss.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from ._parameters import NAMES

Floats = NDArray[np.float64]

LOCAL_SPREAD_LN = 0.5
"""Standard deviation of the logarithm of local coercive fields within a film."""


class _Theta(NamedTuple):
    """Columns of a parameter array, each of shape (members, 1), in the order of ``PARAMETERS``."""

    saturation: Floats
    x_c: Floats
    smear: Floats
    b: Floats
    coercive: Floats
    softening: Floats
    best_T: Floats
    width_T: Floats
    best_p: Floats
    width_ln_p: Floats
    tilt: Floats


def _columns(theta: ArrayLike) -> _Theta:
    array = np.atleast_2d(np.asarray(theta, dtype=np.float64))
    if array.shape[1] != len(NAMES):
        raise ValueError(f"theta must have {len(NAMES)} columns {NAMES}, not {array.shape[1]}")
    return _Theta(*(array[:, [i]] for i in range(len(NAMES))))


def transition_sm(theta: ArrayLike) -> Floats:
    """Sm fraction where the polar and the non-polar state are equally stable; shape (members,).

    It is ``x_c`` for a second-order transition; for a first-order one (b < 0) the polar state
    lives on until ``t = -3 b^2 / (16 c)``.
    """
    q = _columns(theta)
    late = 3.0 * np.minimum(q.b, 0.0) ** 2 / (16.0 * (1.0 - q.b))
    return (q.x_c * (1.0 + late))[:, 0]


def _order(q: _Theta, x: Floats) -> Floats:
    """Order parameter p of the polar state; near and past x_c the first coefficient is smeared.

    The root of ``c p^4 + b p^2 = t``, written so that no difference of like numbers occurs.
    """
    smear = q.smear / q.x_c
    t = smear * np.logaddexp(0.0, (1.0 - x / q.x_c) / smear)
    c = 1.0 - q.b
    sum_of_two = np.sqrt(q.b**2 + 4.0 * c * t) + np.abs(q.b)
    square = np.where(q.b < 0.0, sum_of_two / (2.0 * c), 2.0 * t / np.maximum(sum_of_two, 1e-300))
    return np.sqrt(square)


def remanent(theta: ArrayLike, composition_sm: ArrayLike) -> Floats:
    """Polarization in uC/cm**2 that the polar state of an ideally grown film has.

    Shapes: ``theta`` (members, parameters), ``composition_sm`` (n,); the result (members, n).
    """
    q, x = _columns(theta), np.atleast_1d(np.asarray(composition_sm, dtype=np.float64))
    polar_share = ndtr((transition_sm(theta)[:, None] - x) / q.smear)
    return q.saturation * _order(q, x) * polar_share


def switched_fraction(
    theta: ArrayLike, composition_sm: ArrayLike, field: ArrayLike = 1.0
) -> Floats:
    """Share of the film whose coercive field is below the available one; shape (members, n).

    The coercive field goes as the barrier of the free energy over its polarization, to the power
    ``softening``; local coercive fields are log-normal about it. ``field`` is the available field
    over that of a capacitor test; its shape broadcasts to (members, n).
    """
    q, x = _columns(theta), np.atleast_1d(np.asarray(composition_sm, dtype=np.float64))
    p = _order(q, x)
    barrier_over_p = q.b * p**3 / 4.0 + (1.0 - q.b) * p**5 / 3.0
    falling = np.maximum(12.0 * barrier_over_p / (4.0 - q.b), 1e-12)
    excess = np.log(field) - np.log(q.coercive) - q.softening * np.log(falling)
    return ndtr(excess / LOCAL_SPREAD_LN)


def growth_quality(theta: ArrayLike, temperature_C: ArrayLike, pressure_mTorr: ArrayLike) -> Floats:
    """How well a film grows, 1 at best: a Gaussian in temperature and ln p; shape (members, n)."""
    q = _columns(theta)
    hot = (np.atleast_1d(np.asarray(temperature_C, dtype=np.float64)) - q.best_T) / q.width_T
    ln_p = np.log(np.atleast_1d(np.asarray(pressure_mTorr, dtype=np.float64)))
    dense = (ln_p - np.log(q.best_p)) / q.width_ln_p
    return np.exp(-0.5 * (hot**2 + dense**2 - 2.0 * q.tilt * hot * dense))


def polarization(
    theta: ArrayLike,
    composition_sm: ArrayLike,
    temperature_C: ArrayLike,
    pressure_mTorr: ArrayLike,
    field: ArrayLike = 1.0,
) -> Floats:
    """Switchable polarization in uC/cm**2.

    Shapes: ``theta`` (members, parameters), the three variables (n,) each; the result (members, n).
    ``field`` as in ``switched_fraction``.

    Raises
    ------
    ValueError
        If ``theta`` does not have one column per parameter.
    """
    return (
        remanent(theta, composition_sm)
        * switched_fraction(theta, composition_sm, field)
        * growth_quality(theta, temperature_C, pressure_mTorr)
    )


def boundary_sm(theta: ArrayLike, level: float = 0.5, reach_sm: float = 0.4) -> Floats:
    """Sm fraction where the polarization at best growth falls to ``level`` of its maximum.

    Shape (members,). The largest fraction looked at, ``reach_sm``, where it never falls so far.
    """
    x = np.linspace(0.0, reach_sm, 401)
    curves = remanent(theta, x) * switched_fraction(theta, x)
    found = np.empty(len(curves))
    for k, curve in enumerate(curves):
        top = int(np.argmax(curve))
        after = np.flatnonzero(curve[top:] < level * curve[top])
        if after.size == 0:
            found[k] = reach_sm
            continue
        i = top + int(after[0])
        rise = (curve[i - 1] - level * curve[top]) / (curve[i - 1] - curve[i])
        found[k] = x[i - 1] + rise * (x[i] - x[i - 1])
    return found
