"""The uncertain parameters of the theory, and what is believed of them before anything is
measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, qmc

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Parameter:
    """One parameter with its prior, a normal distribution after a transform.

    Attributes
    ----------
    center, spread
        Mean and standard deviation of the transformed parameter: of itself (``identity``), of its
        logarithm (``log``; ``center`` is then given as the median), or of its inverse hyperbolic
        tangent (``tanh``: the parameter lies between -0.999 and 0.999; ``center`` likewise the
        median).
    """

    name: str
    center: float
    spread: float
    transform: Literal["identity", "log", "tanh"]
    about: str

    def from_normal(self, z: Floats) -> Floats:
        """Standard-normal numbers to values of the parameter."""
        match self.transform:
            case "identity":
                return self.center + self.spread * z
            case "log":
                return self.center * np.exp(self.spread * z)
            case "tanh":
                return 0.999 * np.tanh(np.arctanh(self.center / 0.999) + self.spread * z)

    def to_normal(self, value: Floats) -> Floats:
        """The inverse of ``from_normal``."""
        match self.transform:
            case "identity":
                return (value - self.center) / self.spread
            case "log":
                return np.log(value / self.center) / self.spread
            case "tanh":
                return (np.arctanh(value / 0.999) - np.arctanh(self.center / 0.999)) / self.spread


PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        "saturation_uC_per_cm2", 48.0, 0.30, "log", "polarization without Sm: mean 50, std 15"
    ),
    Parameter("instability_sm", 0.14, 0.21, "log", "Sm fraction where the first coefficient is 0"),
    Parameter("smear_sm", 0.015, 0.5, "log", "standard deviation of the composition, as it acts"),
    Parameter("quartic", 0.0, 0.5, "tanh", "share of the fourth-order term; < 0 is first order"),
    Parameter("coercive_ratio", 1.0, 0.5, "log", "coercive over available field, without Sm"),
    Parameter("softening", 1.0, 0.5, "log", "exponent of the coercive field's fall with Sm"),
    Parameter("best_temperature_C", 650.0, 40.0, "identity", "centre of the growth window"),
    Parameter("temperature_width_C", 55.0, 0.4, "log", "standard deviation of the window"),
    Parameter("best_pressure_mTorr", 20.0, float(np.log(3.0)), "log", "centre of the window"),
    Parameter("pressure_width_ln", 1.4, 0.4, "log", "standard deviation of the window in ln p"),
    Parameter("window_tilt", 0.0, 0.4, "tanh", "coupling of temperature and ln p in the window"),
)
"""Priors. The composition of the transition is 0.14 +- 0.03 (S. Fujino et al., Appl. Phys. Lett.
92, 202904 (2008), arXiv:0803.0042, report the ferroelectric-antiferroelectric transition at 0.14;
the spread is this model's own); the others are deliberately wide guesses of an informed
theorist."""

NAMES: tuple[str, ...] = tuple(p.name for p in PARAMETERS)


def from_normal(z: ArrayLike) -> Floats:
    """Unconstrained numbers, standard normal a priori, to parameters; shape (members,
    parameters)."""
    z = np.atleast_2d(np.asarray(z, dtype=np.float64))
    return np.stack([p.from_normal(z[:, i]) for i, p in enumerate(PARAMETERS)], axis=1)


def to_normal(theta: ArrayLike) -> Floats:
    """The inverse of ``from_normal``."""
    theta = np.atleast_2d(np.asarray(theta, dtype=np.float64))
    return np.stack([p.to_normal(theta[:, i]) for i, p in enumerate(PARAMETERS)], axis=1)


def prior_ensemble(members: int, seed: int) -> Floats:
    """Parameters drawn from the prior by Latin hypercube sampling; shape (members, parameters)."""
    cube = qmc.LatinHypercube(len(PARAMETERS), rng=np.random.default_rng(seed)).random(members)
    return from_normal(norm.ppf(np.clip(cube, 1e-6, 1 - 1e-6)))
