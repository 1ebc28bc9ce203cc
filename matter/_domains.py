"""Domain patterns: time-dependent Ginzburg-Landau for polar and antipolar order on a lattice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.fft import irfft2, rfft2
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_GRADIENT = 0.8
_SCREENED_DEPOLARIZATION = 0.2
_THICKNESS_px = 20.0
_STEP = 0.5
_STABILIZER = 3.0


@dataclass(frozen=True)
class Lattice:
    """Reduced coefficients of a pad, each of shape (n, n).

    Energies are in units of |a_P| P_s^2 of the end member, polarizations in units of P_s, lengths
    in pixels. ``bond`` multiplies the local energy density (random bonds), ``field`` is the
    built-in field (random fields), ``alpha_*`` are the quadratic coefficients and ``coupling`` is
    eta / b.
    """

    alpha_polar: Floats
    alpha_antipolar: Floats
    bond: Floats
    field: Floats
    coupling: float

    def energy(self, p: Floats, a: Floats) -> float:
        """Total reduced energy per pixel of polar order ``p`` and antipolar order ``a``."""
        local = 0.5 * (self.alpha_polar * p**2 + self.alpha_antipolar * a**2)
        local += 0.25 * (p**4 + a**4) + 0.5 * self.coupling * p**2 * a**2
        stiff_p, stiff_a = _stiffness(p.shape)
        nonlocal_p = 0.5 * p * irfft2(stiff_p * rfft2(p), s=p.shape)
        nonlocal_a = 0.5 * a * irfft2(stiff_a * rfft2(a), s=a.shape)
        return float(np.mean(self.bond * local - self.field * p + nonlocal_p + nonlocal_a))

    def relaxed(self, p: Floats, a: Floats, steps: int) -> tuple[Floats, Floats]:
        """Both orders after ``steps`` steps of dp/dt = -dF/dp, da/dt = -dF/da.

        The stiff linear terms are taken implicitly in Fourier space (Chen and Shen, Comput. Phys.
        Commun. 108, 147 (1998)), with a constant added on both sides so that the energy falls.
        """
        stiff_p, stiff_a = _stiffness(p.shape)
        down_p = 1.0 / (1.0 + _STEP * (stiff_p + _STABILIZER))
        down_a = 1.0 / (1.0 + _STEP * (stiff_a + _STABILIZER))
        for _ in range(steps):
            p2, a2 = p * p, a * a
            force_p = self.field - self.bond * p * (self.alpha_polar + p2 + self.coupling * a2)
            force_a = -self.bond * a * (self.alpha_antipolar + a2 + self.coupling * p2)
            p = irfft2(down_p * rfft2(p + _STEP * (force_p + _STABILIZER * p)), s=p.shape)
            a = irfft2(down_a * rfft2(a + _STEP * (force_a + _STABILIZER * a)), s=a.shape)
        return p, a


def _stiffness(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Fourier coefficients of the gradient term and, for p, of a film's depolarization.

    A plate of thickness h with out-of-plane polarization at wave number k keeps the share
    (1 - exp(-k h)) / (k h) of its depolarizing field; most of that is screened by surface charge.
    """
    ky = 2 * np.pi * np.fft.fftfreq(shape[0])[:, None]
    kx = 2 * np.pi * np.fft.rfftfreq(shape[1])[None, :]
    k2 = kx**2 + ky**2
    kh = np.maximum(np.sqrt(k2) * _THICKNESS_px, 1e-9)
    depolarizing = _SCREENED_DEPOLARIZATION * -np.expm1(-kh) / kh
    return _GRADIENT * k2 + depolarizing, _GRADIENT * k2


def smooth_noise(rng: np.random.Generator, n: int, length_px: float) -> Floats:
    """A periodic Gaussian random field (n, n) with zero mean, unit variance and that length."""
    k = 2 * np.pi * np.fft.fftfreq(n)[:, None]
    kx = 2 * np.pi * np.fft.rfftfreq(n)[None, :]
    damping = np.exp(-0.25 * length_px**2 * (k**2 + kx**2))
    noise = irfft2(damping * rfft2(rng.standard_normal((n, n))), s=(n, n))
    return (noise - noise.mean()) / noise.std()
