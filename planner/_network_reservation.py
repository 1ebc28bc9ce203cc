"""Chain index with giving up: the rate at which a chain of steps is just worth beginning.

The reservation price (Weitzman 1979; Kleinberg, Waggoner & Weyl 2016) of a chain that may be left
after its next outcome, where one more measurement may come between that outcome and the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ._network_kernel import Matrix, Vector

OUTCOMES = 23
_REACH = 4.8
_ROUNDS = 32
"""At most: where the first outcome is nearly free, each may leave only one outcome behind."""
_CLOSE = 1e-12

T = np.linspace(-_REACH, _REACH, OUTCOMES)
"""Outcomes of one measurement, in standard deviations."""
WEIGHTS = np.exp(-0.5 * T**2)
WEIGHTS /= WEIGHTS.sum()


@final
@dataclass(frozen=True)
class Between:
    """A measurement that may come after the first outcome, before the rest of the way is gone.

    Attributes
    ----------
    better
        Expected improvement (n, T, T) given the first outcome and then its own.
    now, later
        Price in credits (n,) of it, and of the rest of the way after it.
    rows
        Points (n,) of all N at which it can be made.
    """

    better: NDArray[np.float64]
    now: Vector
    later: Vector
    rows: NDArray[np.int64]


def reservation(
    better: Matrix, now: Vector, later: Vector, between: Sequence[Between] = ()
) -> tuple[Vector, Vector, Vector]:
    """Rate, gain and expected price (N,) of a chain.

    The rate solves E[max(0, worth of going on - rate * its price)] = rate * now, where going on is
    the rest of the way, or first the one of ``between`` that is worth most after the outcome.
    ``better`` (N, T) is the expected improvement over the outcomes, ``later`` (N,) the price of the
    rest of the way. Newton's method from below on a convex falling function: it rises to the root
    and never passes it.
    """
    now = np.maximum(now, 1e-12)
    rate = np.maximum((better @ WEIGHTS) / (now + later), 0.0)
    for _ in range(_ROUNDS):
        gain, price = _onward(better, later, between, rate)
        excess = (gain - rate[:, None] * price) @ WEIGHTS - rate * now
        rise = excess / (now + price @ WEIGHTS)
        rate = np.maximum(rate + rise, 0.0)
        if np.all(rise <= _CLOSE * rate):
            break
    gain, price = _onward(better, later, between, rate)
    return rate, gain @ WEIGHTS, now + price @ WEIGHTS


def _onward(
    better: Matrix, later: Vector, between: Sequence[Between], rate: Vector
) -> tuple[Matrix, Matrix]:
    """Gain and expected price (N, T) of what is best after each outcome: nothing, too."""
    going = better > (rate * later)[:, None]
    gain = better * going
    price = going * later[:, None]
    for other in between:
        at = other.rows
        by = rate[at][:, None]
        rest = other.later[:, None]
        on = other.better > (by * rest)[:, :, None]
        more = (other.better * on) @ WEIGHTS
        dearer = other.now[:, None] + rest * (on @ WEIGHTS)
        wins = more - by * dearer > gain[at] - by * price[at]
        gain[at] = np.where(wins, more, gain[at])
        price[at] = np.where(wins, dearer, price[at])
    return gain, price
