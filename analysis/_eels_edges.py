"""Core-loss edges: power-law background with its error, integrated signals, composition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..workflow import Estimate, Record
from ._fitting import Fit, Noise, estimate_noise, fit_model

Floats = NDArray[np.float64]

_LEAST_CHANNELS = 8
_GAP_eV = 2.0
"""Distance of the background window from the onset: the edge is as broad as the resolution."""


class Edge(Record):
    """An ionization edge and where to integrate it.

    ``cross_section`` is the partial cross-section for the integration window and the collection
    angle, in any unit common to all edges: the analyst gives it, nothing here computes it.
    """

    name: str
    onset_eV: float = Field(gt=0)
    window_eV: float = Field(default=50.0, gt=0)
    background_eV: float = Field(default=50.0, gt=0)
    cross_section: float = Field(default=1.0, gt=0)


@dataclass(frozen=True)
class EdgeSignal:
    """Counts of an edge above the background.

    ``signal_counts`` is integrated over the edge's window; ``exponent`` is that of the background;
    ``snr`` the signal over its standard deviation; ``h`` what the extrapolation makes of the
    variance, 1 + var(background) / background (R. F. Egerton, Ultramicroscopy 9, 387 (1982)).
    """

    edge: Edge
    signal_counts: Estimate
    background_counts: Estimate
    exponent: Estimate
    h: float
    misfit: float

    @property
    def snr(self) -> float:
        return self.signal_counts.value / max(self.signal_counts.std, 1e-300)


def fit_background(
    energy_eV: Floats, counts: Floats, window_eV: tuple[float, float], noise: Noise | None = None
) -> tuple[Fit, float]:
    """Fit A (E / E0)**-r to a window in front of an edge.

    Returns the fit of (ln A, r) and E0, the middle of the window, where the two hardly correlate.

    Raises
    ------
    ValueError
        If the window holds fewer than eight channels, or no counts.
    """
    inside = (energy_eV >= window_eV[0]) & (energy_eV < window_eV[1])
    if int(inside.sum()) < _LEAST_CHANNELS:
        raise ValueError(
            f"{int(inside.sum())} channels between {window_eV[0]:g} and {window_eV[1]:g} eV"
        )
    e, y = energy_eV[inside], counts[inside]
    if float(y.mean()) <= 0.0:
        raise ValueError(f"no counts between {window_eV[0]:g} and {window_eV[1]:g} eV")
    middle = float(np.sqrt(e[0] * e[-1]))
    fit = fit_model(
        lambda q: np.exp(q[0] - q[1] * np.log(e / middle)),
        y,
        noise or estimate_noise(counts),
        [np.log(float(y.mean())), 3.0],
        ([-50.0, -5.0], [60.0, 20.0]),
        rescale=noise is None,
    )
    return fit, middle


def edge_signal(
    energy_eV: Floats, counts: Floats, edge: Edge, noise: Noise | None = None
) -> EdgeSignal:
    """Signal of an edge: the sum over its window less the extrapolated background.

    Both errors count: of the counts summed, from the noise at their level, and of the background,
    from the covariance of its two parameters (Egerton, Electron Energy-Loss Spectroscopy in the
    Electron Microscope, 3rd ed. (2011), section 4.4).

    Parameters
    ----------
    energy_eV, counts
        Spectrum (m,), ascending.
    noise
        By default estimated from the spectrum.

    Raises
    ------
    ValueError
        If the spectrum does not contain the windows of the edge.
    """
    known = noise or estimate_noise(counts)
    begin = edge.onset_eV - _GAP_eV
    fit, middle = fit_background(
        energy_eV, counts, (begin - edge.background_eV, begin), known if noise else None
    )
    inside = (energy_eV >= begin) & (energy_eV < edge.onset_eV + edge.window_eV)
    if energy_eV[-1] < edge.onset_eV + edge.window_eV or int(inside.sum()) < _LEAST_CHANNELS:
        raise ValueError(
            f"edge {edge.name!r} ends at {edge.onset_eV + edge.window_eV:g} eV, the spectrum at"
            f" {energy_eV[-1]:g} eV"
        )
    ratio = np.log(energy_eV[inside] / middle)
    background, background_std = fit.derived(lambda q: float(np.exp(q[0] - q[1] * ratio).sum()))
    total = float(counts[inside].sum())
    scale = 1.0 if noise else fit.misfit
    counted = float(known.variance(_level(counts[inside])).sum()) * scale
    return EdgeSignal(
        edge=edge,
        signal_counts=Estimate(
            value=total - background, std=float(np.sqrt(counted + background_std**2))
        ),
        background_counts=Estimate(value=background, std=background_std),
        exponent=Estimate(value=float(fit.values[1]), std=float(fit.std[1])),
        h=1.0 + background_std**2 / max(background, 1e-300),
        misfit=fit.misfit,
    )


def _level(counts: Floats) -> Floats:
    """The mean level of a window in every channel: variances add up, so their mean is enough."""
    return np.full(len(counts), max(float(counts.mean()), 0.0))


def composition(signals: Sequence[EdgeSignal]) -> dict[str, Estimate]:
    """Atomic fractions from signals over cross-sections, with errors to first order.

    The fractions of all edges given add up to 1, so their errors are correlated; those of the
    cross-sections are not contained.

    Raises
    ------
    ValueError
        If there are fewer than two signals, or none is positive.
    """
    if len(signals) < 2:
        raise ValueError(f"{len(signals)} edges; a composition needs at least two")
    factor = np.array([s.edge.cross_section for s in signals])
    atoms = np.array([s.signal_counts.value for s in signals]) / factor
    errors = np.array([s.signal_counts.std for s in signals]) / factor
    total = float(atoms.sum())
    if total <= 0.0:
        raise ValueError("no edge has a signal above its background")
    share = atoms / total
    jacobian = (np.eye(len(atoms)) - share[:, None]) / total
    std = np.sqrt((jacobian**2) @ errors**2)
    return {
        s.edge.name: Estimate(value=float(f), std=float(e))
        for s, f, e in zip(signals, share, std, strict=True)
    }
