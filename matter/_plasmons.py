"""Plasmons of coupled particles, and what a fast electron loses to them.

Every particle is an electric dipole that feels the electron and all other dipoles: the
coupled-dipole method (Purcell and Pennypacker, Astrophys. J. 186, 705 (1973); Draine and Flatau,
J. Opt. Soc. Am. A 11, 1491 (1994)), here without retardation between particles, since the scene is
small against the wavelength. The loss probability of an electron that passes a dipole is that of
Garcia de Abajo, Rev. Mod. Phys. 82, 209 (2010).

With a Drude metal the dipoles are harmonic oscillators with a common damping, so that their normal
modes are found once, and a spectrum is a sum of Lorentzians.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import k0, k1

from ._particles import Particles, make_particles

Floats = NDArray[np.float64]

_COULOMB_eV_nm = 1.439964548
_LIGHT_eV_nm = 197.3269804
_REST_keV = 510.99895
_NODES = 8
_NODE_eV: Floats = np.linspace(0.6, 4.8, _NODES)
"""Energies at which the field, times the energy, is evaluated; between them it is interpolated."""

DAMPING_eV = 0.14
"""Width of the Drude metal; common to all particles."""


@dataclass(frozen=True, eq=False)
class Plasmons:
    """Normal modes of the dipoles of a scene of n particles."""

    particles: Particles

    @cached_property
    def modes(self) -> tuple[Floats, Floats]:
        """Energies (3n,) in eV and mode vectors (3n, 3n) by column, over (particle, x y z).

        Of particle i and axis a, 1/alpha = (4 pi / V bulk^2) (L bulk^2 - E^2 - i damping E), with
        the depolarization factor L of a spheroid (Bohren and Huffman, 1983).
        """
        n = len(self.particles)
        inner = np.zeros((3 * n, 3 * n))
        for i, tensor in enumerate(self._own()):
            inner[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] = tensor
        strength = np.repeat(np.sqrt(self.strength), 3)
        matrix = inner - strength[:, None] * self._interaction() * strength[None, :]
        squares, vectors = np.linalg.eigh(matrix)
        return np.sqrt(np.maximum(squares, 0.05)), vectors

    @cached_property
    def strength(self) -> Floats:
        """V bulk^2 / 4 pi of each particle, in nm^3 eV^2."""
        p = self.particles
        volume = 4.0 / 3.0 * np.pi * p.long_nm * p.short_nm**2
        return volume * p.bulk_eV**2 / (4.0 * np.pi)

    @cached_property
    def _weights(self) -> Floats:
        """Weights (nodes, modes) of the linear interpolation from the nodes to the modes."""
        return np.stack([np.interp(self.modes[0], _NODE_eV, row) for row in np.eye(_NODES)])

    def _own(self) -> Floats:
        """L bulk^2 of each particle as a tensor (n, 3, 3) over x, y, z."""
        p = self.particles
        along = depolarization(p.long_nm / p.short_nm)
        across = (1.0 - along) / 2.0
        cos, sin = np.cos(p.angle), np.sin(p.angle)
        tensor = np.zeros((len(p), 3, 3))
        tensor[:, 0, 0] = along * cos**2 + across * sin**2
        tensor[:, 1, 1] = along * sin**2 + across * cos**2
        tensor[:, 0, 1] = tensor[:, 1, 0] = (along - across) * sin * cos
        tensor[:, 2, 2] = across
        return tensor * p.bulk_eV[:, None, None] ** 2

    def _interaction(self) -> Floats:
        """Field of dipole j at dipole i, (3 r r - 1) / r^3, as a matrix (3n, 3n)."""
        p = self.particles
        n = len(p)
        step = np.stack([p.x_nm[:, None] - p.x_nm, p.y_nm[:, None] - p.y_nm], axis=-1)
        distance = np.linalg.norm(step, axis=-1) + np.eye(n)
        unit = np.concatenate([step / distance[..., None], np.zeros((n, n, 1))], axis=-1)
        field = 3.0 * unit[..., :, None] * unit[..., None, :] - np.eye(3)
        field /= distance[..., None, None] ** 3
        field[np.arange(n), np.arange(n)] = 0.0
        return field.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)

    def excitation(self, y_nm: Floats, x_nm: Floats, voltage_kV: float) -> Floats:
        """How strongly an electron at (m,) places excites each mode, (m, 3n), in nm^1.5 eV.

        The field of an electron is (2 e E / (v^2 gamma)) (K1 along the distance, i K0 / gamma along
        the way). Inside of a particle it is taken to fall to zero at its centre, as a uniform
        polarization would see it.
        """
        beta, gamma = electron_speed(voltage_kV)
        p = self.particles
        _, vectors = self.modes
        dy = p.y_nm - np.asarray(y_nm, dtype=np.float64)[:, None]
        dx = p.x_nm - np.asarray(x_nm, dtype=np.float64)[:, None]
        distance = np.hypot(dy, dx)
        edge = np.sqrt(p.long_nm * p.short_nm)
        outside, depth = np.maximum(distance, edge), np.minimum(distance / edge, 1.0)
        direction = np.stack([dx, dy], axis=-1) / np.maximum(distance, 1e-9)[..., None]
        root = np.sqrt(self.strength)
        reach = _NODE_eV[:, None, None] * outside / (_LIGHT_eV_nm * beta * gamma)
        along = _NODE_eV[:, None, None] * root * k0(reach) / gamma
        across = _NODE_eV[:, None, None] * depth * root * k1(reach)
        field = np.concatenate([direction * across[..., None], along[..., None]], axis=-1)
        # In-plane and vertical fields are a quarter period apart, and their modes do not mix.
        at_nodes = field.reshape(_NODES * len(distance), -1) @ vectors
        at_nodes = at_nodes.reshape(_NODES, len(distance), -1)
        amplitude = np.einsum("imk,ik->mk", at_nodes, self._weights)
        return (
            amplitude * np.sqrt(4.0 / np.pi * _COULOMB_eV_nm) / ((_LIGHT_eV_nm * beta) ** 2 * gamma)
        )

    def loss(self, y_nm: Floats, x_nm: Floats, energies_eV: Floats, voltage_kV: float) -> Floats:
        """Loss probability per eV, (m, energies), of an electron at m places."""
        return self.excitation(y_nm, x_nm, voltage_kV) ** 2 @ self.lines(energies_eV)

    def lines(self, energies_eV: Floats) -> Floats:
        """Im 1 / (E_k^2 - E^2 - i damping E) of every mode, (3n, energies), in 1/eV^2."""
        return _lines(self, tuple(energies_eV[[0, -1]]), len(energies_eV))


@lru_cache(maxsize=8)
def _lines(plasmons: Plasmons, ends: tuple[float, float], count: int) -> Floats:
    axis = np.linspace(*ends, count)[None, :]
    modes = plasmons.modes[0][:, None]
    width = DAMPING_eV * np.maximum(axis, 0.0)
    shape = width / ((modes**2 - axis**2) ** 2 + width**2 + 1e-12)
    return np.where(axis > 0.0, shape, 0.0)


def depolarization(aspect: Floats) -> Floats:
    """Depolarization factor along the long axis of a prolate spheroid of this aspect ratio."""
    e2 = 1.0 - 1.0 / np.maximum(aspect, 1.0 + 1e-6) ** 2
    e = np.sqrt(e2)
    exact = (1.0 - e2) / e2 * (np.log((1.0 + e) / (1.0 - e)) / (2.0 * e) - 1.0)
    return np.where(e2 < 1e-3, 1.0 / 3.0 - 2.0 / 15.0 * e2, exact)


def electron_speed(voltage_kV: float) -> tuple[float, float]:
    """Speed over that of light, and the Lorentz factor."""
    gamma = 1.0 + voltage_kV / _REST_keV
    return float(np.sqrt(1.0 - 1.0 / gamma**2)), gamma


@lru_cache(maxsize=16)
def make_plasmons(world_seed: int, sample: str, site: int) -> Plasmons:
    """The plasmons of a site of a sample in the world of a seed."""
    return Plasmons(make_particles(world_seed, sample, site))
