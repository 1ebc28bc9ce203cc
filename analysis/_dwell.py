"""Whether looking longer at one place is worth its price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ..workflow import Estimate

Floats = NDArray[np.float64]

_SHORTEST = 0.05
_STEPS = 60


@dataclass(frozen=True)
class Dwell:
    """What more time at a place brings.

    ``more_s`` is the best further dwell, 0 where none is worth its price; ``gain`` what it is
    expected to improve the best known value by, ``price`` what it costs, both in the same unit.
    """

    more_s: float
    gain: float
    price: float
    reason: str

    @property
    def worth_it(self) -> bool:
        return self.more_s > 0.0

    @property
    def net(self) -> float:
        return self.gain - self.price


def knowledge_gradient(
    believed: Estimate, rival: float, noise_std: Floats | float
) -> NDArray[np.float64]:
    """Expected gain in the best believed value from one more measurement at one place.

    Parameters
    ----------
    believed
        The running estimate at the place, Gaussian.
    rival
        The best value that is known elsewhere, taken as certain; larger is better.
    noise_std
        Standard deviation of the new measurement, in the unit of the values; any shape.

    Returns
    -------
    The gain, in the shape of ``noise_std`` and the unit of the values: s f(-|mean - rival| / s)
    with f(z) = z Phi(z) + phi(z), s being the standard deviation of the change of the believed
    mean. P. Frazier, W. Powell, S. Dayanik, SIAM J. Control Optim. 47, 2410 (2008), eq. 10.
    """
    noise = np.asarray(noise_std, dtype=np.float64)
    variance = believed.std**2
    spread = np.sqrt(variance**2 / np.maximum(variance + noise**2, 1e-300))
    z = -np.abs(believed.value - rival) / np.maximum(spread, 1e-300)
    density = np.exp(-0.5 * np.minimum(z**2, 1400.0)) / np.sqrt(2.0 * np.pi)
    return np.maximum(spread * (z * ndtr(z) + density), 0.0)


def dwell_worth(
    believed: Estimate,
    rival: float,
    noise_1s: float,
    price_per_s: float,
    *,
    value_of_unit: float = 1.0,
    longest_s: float = 60.0,
    overhead: float = 0.0,
    floor: float = 0.0,
) -> Dwell:
    """Whether to go on at a place, and for how long.

    All dwells up to ``longest_s`` are looked at, not only the next second: the gain of little time
    can be nothing although that of more is much (P. I. Frazier, W. B. Powell, Decis. Anal. 7, 378
    (2010)). Of all dwells, that of the largest gain less price is taken.

    Parameters
    ----------
    believed
        The running estimate of the quantity at this place.
    rival
        The best value known elsewhere; larger is better (negate both to minimize).
    noise_1s
        Standard deviation of the estimate that one second of data gives; that of t seconds is
        ``noise_1s / sqrt(t)``, but never less than ``floor`` (drift, calibration).
    price_per_s, overhead
        Credits a second of dwell, and credits for going on at all (retaking: moving, settling).
    value_of_unit
        Credits that an improvement by one unit of the quantity is worth.

    Raises
    ------
    ValueError
        If a noise, price, time or value is negative, or the longest dwell is not positive.
    """
    if min(noise_1s, price_per_s, value_of_unit, overhead, floor) < 0.0 or longest_s <= 0.0:
        raise ValueError("noise, price, value, overhead and floor from 0, longest dwell above 0")
    times = np.geomspace(min(_SHORTEST, longest_s), longest_s, _STEPS)
    noise = np.maximum(noise_1s / np.sqrt(times), floor)
    gain = value_of_unit * knowledge_gradient(believed, rival, noise)
    price = overhead + price_per_s * times
    best = int(np.argmax(gain - price))
    if gain[best] <= price[best]:
        most = int(np.argmax(gain / np.maximum(price, 1e-300)))
        return Dwell(
            0.0,
            0.0,
            0.0,
            f"stop: {times[most]:.2g} s more would bring {gain[most]:.3g} for {price[most]:.3g}",
        )
    return Dwell(
        float(times[best]),
        float(gain[best]),
        float(price[best]),
        f"go on for {times[best]:.2g} s: it brings {gain[best]:.3g} for {price[best]:.3g}",
    )


def best_place_to_go_on(
    believed: Sequence[Estimate], noise_1s: float, price_per_s: float, **options: float
) -> tuple[int, Dwell] | None:
    """Among places measured so far (larger is better), the one where going on is worth most.

    Each place's rival is the best mean of the others. None where no place is worth it, or fewer
    than two are known. ``options`` as in ``dwell_worth``.
    """
    if len(believed) < 2:
        return None
    means = np.array([b.value for b in believed])
    order = np.argsort(-means)
    rivals = np.where(np.arange(len(means)) == order[0], means[order[1]], means[order[0]])
    offers = [
        dwell_worth(b, float(r), noise_1s, price_per_s, **options)
        for b, r in zip(believed, rivals, strict=True)
    ]
    best = int(np.argmax([o.net for o in offers]))
    return (best, offers[best]) if offers[best].worth_it else None
