"""Climbing from designs to the local optima of what is believed of the end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import ndtr

from ._network_belief import NetworkBelief
from ._network_forward import Reach, Sample, forward, improvement
from ._network_kernel import Matrix, Vector
from ._network_pool import Pool, joint_sample

_CLIMB_DRAWS = 16
_ITERATIONS = 14


def climb(belief: NetworkBelief, start: Pool, seed: int, best: float | None) -> Matrix:
    """Climb from each start (B, dim) by L-BFGS on exact slopes; returns the points reached.

    Climbs the mean of the end, or with ``best`` the log of its expected improvement on that. What
    was measured at a start stays known: only columns it does not depend on move.
    """
    if not len(start.x) or not start.x.shape[1]:
        return start.x
    sample = joint_sample(belief, seed, _CLIMB_DRAWS)
    free = np.ones_like(start.x, dtype=bool)
    for node in belief.network.learned:
        done = ~np.isnan(start.known[node.quantity])
        free[np.ix_(np.flatnonzero(done), np.array(node.columns, dtype=int))] = False
    if not free.any():
        return start.x
    objective = _objective(belief, start, sample, best, free)
    result = minimize(
        objective,
        start.x[free],
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, 1.0)] * int(free.sum()),
        options={"maxiter": _ITERATIONS, "maxfun": _ITERATIONS + 4},
    )
    reached = start.x.copy()
    reached[free] = result.x
    return reached


def _objective(
    belief: NetworkBelief,
    start: Pool,
    sample: Sample,
    best: float | None,
    free: NDArray[np.bool_],
) -> Callable[[Vector], tuple[float, Vector]]:
    scale = max(float(np.median(start.std)), 1e-12 * max(abs(float(start.mean.max())), 1e-290))
    soft = 0.02 * scale if belief.network.end in belief.network.workflow.formulas else 0.0

    def value(flat: Vector) -> tuple[float, Vector]:
        x = start.x.copy()
        x[free] = flat
        reach = forward(belief, x, start.known, sample.draws, slopes=True)
        if best is None:
            height, slope = _mean_and_slope(sample, reach, scale)
        else:
            height, slope = _log_gain_and_slope(sample, reach, best, soft, scale)
        slope = np.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0)
        return -float(np.sum(np.nan_to_num(height))), -slope[free]

    return value


def _mean_and_slope(sample: Sample, reach: Reach, scale: float) -> tuple[Vector, Matrix]:
    assert reach.mean_slope is not None
    return sample.mean(reach.mean) / scale, sample.mean(reach.mean_slope) / scale


def _log_gain_and_slope(
    sample: Sample, reach: Reach, best: float, soft: float, scale: float
) -> tuple[Vector, Matrix]:
    assert reach.mean_slope is not None and reach.std_slope is not None
    std = np.sqrt(reach.std**2 + soft**2)
    gain = sample.mean(improvement(reach.mean, std, best))
    with np.errstate(over="ignore"):
        u = np.clip((reach.mean - best) / np.maximum(std, 1e-300), -38.0, 38.0)
    density = np.exp(-0.5 * u**2) / np.sqrt(2.0 * np.pi)
    bend = ndtr(u)[..., None] * reach.mean_slope + density[..., None] * reach.std_slope
    floor = 1e-12 * scale
    return np.log(gain + floor), sample.mean(bend) / (gain + floor)[:, None]
