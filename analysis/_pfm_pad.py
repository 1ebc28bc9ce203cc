"""From the loops of a pad to the pad's polarization and coercive bias."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..workflow import Estimate
from ._pfm_loops import LoopFit, fit_loop
from ._pfm_spectra import Batch, Position

Floats = NDArray[np.float64]

_PSEUDO_COUNTS = 2.0
"""How many loops the prior scatter counts as."""
_CALIBRATION = 0.03
"""Error of the lever's calibration, common to all loops of a pad, as a share of the response."""
_UNKNOWN = 1e3
"""Standard deviation of a polarization that could not be measured, in uC/cm**2."""


@dataclass(frozen=True)
class PadFit:
    """Loops of a pad, one entry a position; a position measured again counts with its last loop.

    ``fits`` are None where the loop is bad; ``sensitivity`` converts pm to uC/cm**2.
    """

    positions: tuple[Position, ...]
    fits: tuple[LoopFit | None, ...]
    sensitivity: tuple[float, ...]
    largest_bias_V: float

    @property
    def good(self) -> tuple[bool, ...]:
        return tuple(fit is not None for fit in self.fits)

    def polarization(self, prior_scatter: float) -> Estimate:
        """Mean remanent polarization of the good loops, in uC/cm**2."""
        pairs = [(f, s) for f, s in zip(self.fits, self.sensitivity, strict=True) if f is not None]
        values = np.array([f.remanence_pm / s for f, s in pairs])
        errors = np.array([f.remanence_std_pm / abs(s) for f, s in pairs])
        estimate = pooled(values, errors, prior_scatter)
        calibration = _CALIBRATION * abs(estimate.value)
        return Estimate(value=estimate.value, std=float(np.hypot(estimate.std, calibration)))

    def coercive_bias(self, prior_scatter: float) -> Estimate:
        """Mean coercive bias of the open loops, in V.

        Without an open loop it is not defined; then anything within the sweep is as likely.
        """
        opened = [f for f in self.fits if f is not None and f.is_open]
        if not opened:
            width = self.largest_bias_V
            return Estimate(value=0.5 * width, std=width / float(np.sqrt(12.0)))
        values = np.array([f.coercive_V for f in opened])
        return pooled(values, np.array([f.coercive_std_V for f in opened]), prior_scatter)

    def columns(self) -> dict[str, Floats]:
        """Per position: ``loop_polarization`` and ``loop_polarization_std`` in uC/cm**2,
        ``coercive_bias`` in V (0 where the loop is closed), ``good``."""
        rows = [
            (0.0, _UNKNOWN, 0.0, 0.0)
            if fit is None
            else (
                fit.remanence_pm / s,
                fit.remanence_std_pm / abs(s),
                fit.coercive_V if fit.is_open else 0.0,
                1.0,
            )
            for fit, s in zip(self.fits, self.sensitivity, strict=True)
        ]
        names = ("loop_polarization", "loop_polarization_std", "coercive_bias", "good")
        return dict(zip(names, np.array(rows).T, strict=True))


def fit_pad(batches: Sequence[Batch], weights: Mapping[Position, float]) -> PadFit:
    """Fit the last loop of every position; a weight of 0 marks a bad one, none counts as 1."""
    last = {p: (b, row) for b in batches for p, row in zip(b.positions, b.response_pm, strict=True)}
    fits = tuple(
        fit_loop(batch.bias_V, row) if weights.get(position, 1.0) > 0.0 else None
        for position, (batch, row) in last.items()
    )
    return PadFit(
        positions=tuple(last),
        fits=fits,
        sensitivity=tuple(batch.sensitivity for batch, _ in last.values()),
        largest_bias_V=max(float(np.abs(b.bias_V).max()) for b in batches),
    )


def pooled(values: Floats, errors: Floats, prior_scatter: float) -> Estimate:
    """Mean of at least one value, with a standard deviation that a few values can support.

    The scatter of the values is shrunk towards ``prior_scatter``, which counts as two values (the
    posterior mean of a variance under a scaled inverse chi-square prior, but for the factor that
    few values would blow up); it is never less than the errors of the values themselves.
    """
    n = len(values)
    mean = float(values.mean())
    squares = float(np.sum((values - mean) ** 2))
    scatter = (_PSEUDO_COUNTS * prior_scatter**2 + squares) / (_PSEUDO_COUNTS + n - 1)
    variance = max(scatter, float(np.mean(errors**2)))
    return Estimate(value=mean, std=float(np.sqrt(variance / n)))
