"""One quantity of a belief: its data, its trend, its process."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ._gp import Kernel, Matrix, Process, Vector


@dataclass(frozen=True)
class Data:
    """Measurements of one quantity: unit designs (n, dim), values (n,), noise variances (n,)."""

    x: Matrix
    y: Vector
    noise: Vector
    parents: dict[str, Vector] = field(default_factory=dict)


@dataclass(frozen=True)
class Node:
    """One fitted quantity in standardized units: ``H(x) beta + process``.

    ``regressors`` are the quantities in H behind the constant; ``beta`` has mean and covariance.
    """

    quantity: str
    location: float
    scale: float
    controls: tuple[int, ...]
    parents: tuple[str, ...]
    regressors: tuple[str, ...]
    beta: Vector
    beta_cov: Matrix
    process: Process
    y: Vector
    h: Matrix

    @cached_property
    def residual(self) -> Vector:
        """What the trend leaves to the process at the data (n,), in standardized units."""
        return self.y - self.h @ self.beta

    @cached_property
    def weights(self) -> Vector:
        """(K + noise)^-1 residual, so that the process's mean at z is k(z, x) @ weights."""
        return self.process.solve(self.residual)


def refit_count(n: int) -> int:
    """The number of data at the last scheduled refit: every point up to 8, then every fifth
    more.
    """
    due = min(n, 8)
    while int(due * 1.2) + 1 <= n and due >= 8:
        due = int(due * 1.2) + 1
    return due


def regress(
    kernel: Kernel,
    x: Matrix,
    y: Vector,
    noise: Vector,
    h: Matrix,
    prior_mean: Vector,
    prior_std: Vector,
) -> tuple[Vector, Matrix]:
    """Posterior of beta in y = h beta + GP + noise (Rasmussen & Williams 2006, eq. 2.41)."""
    precision = np.diag(1.0 / prior_std**2)
    if len(y):
        weighted = Process(kernel, x, noise).solve(h)
        cov: Matrix = np.asarray(np.linalg.inv(precision + h.T @ weighted), dtype=np.float64)
        return cov @ (precision @ prior_mean + weighted.T @ y), cov
    return prior_mean, np.diag(prior_std**2)
