"""The designs that a decision looks at: spread, half-done, near the best, and climbed to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import ndtr

from ..workflow import Space, SpecError
from ._network_belief import NetworkBelief
from ._network_forward import Reach, Sample, forward, improvement, wide_sample
from ._network_graph import Learned
from ._network_kernel import Matrix, Vector

_WIDE = 256
_KEPT = 224
_MIXED = 192
_LOOKED_AT = 1536
_LISTED = 8192
_GLANCED_AT = 1024
"""Of more points than these only some are looked at with all draws."""
_GLANCE_DRAWS = 8
_NEIGHBOURS = 256
_FINISHABLE = 48
_CLIMB_DRAWS = 16
_ITERATIONS = 14
Known = dict[str, Vector]


@final
@dataclass(frozen=True)
class Pool:
    """Points x (N, dim) of the unit cube, with what was measured there.

    ``mean`` and ``std`` (N,) are those of the believed end, ``gain`` (N,) its expected improvement
    on the largest mean known when the point was looked at; ``best`` is the point with the largest
    mean.
    """

    x: Matrix
    known: Known
    mean: Vector
    std: Vector
    gain: Vector

    @property
    def best(self) -> int:
        return int(self.mean.argmax())


def make_pool(belief: NetworkBelief, seed: int) -> Pool:
    """Points for one decision; pure: the same belief and seed give the same points."""
    space = belief.network.workflow.space
    rng = np.random.default_rng([seed, 5])
    fixed = space.pool()
    if fixed is not None:
        return _from_candidates(belief, fixed, seed)
    measured = np.unique(belief.measured_designs(), axis=0)
    blocks = [spread_designs(space, _WIDE, seed), measured, _mixed(belief, measured, rng)]
    first = screen(belief, allowed(belief, np.concatenate(blocks)), seed)
    near = _around(belief, first, rng)
    first = joined(first, screen(belief, allowed(belief, near), seed, float(first.mean.max())))
    climbed = allowed(belief, _climb_all(belief, first, seed))
    reached = screen(belief, climbed, seed, float(first.mean.max()))
    everything = joined(first, reached)
    return best_of(everything, kept(belief) + len(climbed), _begun(belief, everything))


def spread_designs(space: Space, count: int, seed: int) -> Matrix:
    """Up to ``count`` space-filling designs (n, dim) that keep the space's constraints.

    Raises
    ------
    SpecError
        If there is none among thousands.
    """
    if not space.dim:
        return np.zeros((1, 0))
    for tried in (count, 64 * count):
        x = space.sobol(tried, seed=seed % 2**31)
        x = x[space.allows(x)][:count]
        if len(x) >= min(count, 8):
            return x
    if len(x):
        return x
    raise SpecError(
        "design space",
        f"constraints {[c.expression for c in space.constraints]}, which none of {tried} designs "
        "keeps",
        "constraints that leave some of the space",
        "loosen them, or list the designs there are as candidates",
    )


def allowed(belief: NetworkBelief, x: Matrix) -> Matrix:
    """Points snapped to values that exist, without those that cannot be made."""
    space = belief.network.workflow.space
    snapped = space.snap(x)
    return snapped[space.allows(snapped)]


def _from_candidates(belief: NetworkBelief, fixed: Matrix, seed: int) -> Pool:
    """The most promising of a list of candidates, with some at random.

    Of a long list, means along the network come first: they cost a fraction of the spreads.
    """
    rng = np.random.default_rng([seed, 5])
    if len(fixed) > _LISTED:
        fixed = _some_candidates(belief, fixed, rng)
    if len(fixed) > _LOOKED_AT:
        means = _plain_means(belief, fixed)
        best = np.argsort(-means, kind="stable")[: 2 * _LOOKED_AT // 3]
        others = rng.choice(len(fixed), _LOOKED_AT // 3, replace=False)
        begun = belief.begun(fixed)
        fixed = fixed[np.unique(np.concatenate([best, others, begun]))]
    if len(fixed) > _GLANCED_AT:
        fixed = _glanced(belief, fixed, seed, rng)
    pool = screen(belief, fixed, seed)
    always = np.concatenate([_begun(belief, pool), rng.permutation(len(fixed))[:64]])
    return best_of(pool, kept(belief) + 64, always)


def _glanced(belief: NetworkBelief, fixed: Matrix, seed: int, rng: np.random.Generator) -> Matrix:
    """The better half of a long list by a few draws, with some at random."""
    pool = screen(belief, fixed, seed, draws=_GLANCE_DRAWS)
    always = np.concatenate([_begun(belief, pool), rng.permutation(len(fixed))[:64]])
    return best_of(pool, _GLANCED_AT // 2, always).x


def _some_candidates(belief: NetworkBelief, fixed: Matrix, rng: np.random.Generator) -> Matrix:
    """Of a very long list a random part, what was begun, and the neighbours of the best of both."""
    part = rng.choice(len(fixed), _LISTED, replace=False)
    own = np.unique(belief.measured_designs(), axis=0)
    at = np.concatenate([fixed[part], own])
    top = at[spread_rows(at, _plain_means(belief, at), 4)]
    near = [np.argpartition(((fixed - x) ** 2).sum(1), _NEIGHBOURS)[:_NEIGHBOURS] for x in top]
    rows = np.unique(np.concatenate([part, *near]))
    return np.unique(np.concatenate([fixed[rows], own]), axis=0)


def _plain_means(belief: NetworkBelief, x: Matrix) -> Vector:
    """The end (n,) where every quantity is at its mean, or as measured."""
    known = belief.lookup(x)
    network = belief.network
    values: dict[str, Vector] = {}
    for name in network.path:
        node = network.nodes[name]
        if not isinstance(node, Learned):
            given = {p: values[p] for p in node.parents} | belief.variables(x)
            found = np.broadcast_to(node.formula(given), len(x))
            values[name] = np.where(np.isfinite(found), found, belief.floor)
            continue
        location, scale = belief.scales[name]
        inputs = belief.inputs(node, x, {p: values[p] for p in node.parents})
        mean = location + scale * belief.groups[node.group].means(inputs, node.level)
        values[name] = np.where(np.isnan(known[name]), mean, known[name])
    return values[network.end]


def kept(belief: NetworkBelief) -> int:
    """How many points a decision compares: fewer in long networks, where each costs more."""
    return int(np.clip(4 * _KEPT // max(len(belief.network.learned), 1), _KEPT // 3, _KEPT))


def screen(
    belief: NetworkBelief, x: Matrix, seed: int, best: float = -np.inf, draws: int = 32
) -> Pool:
    """Believed end at points; gains are over ``best`` or the largest mean among them."""
    known = belief.lookup(x)
    sample = joint_sample(belief, seed, draws)
    reach = forward(belief, x, known, sample.draws)
    mean = sample.mean(reach.mean)
    second = sample.mean(reach.std**2 + (reach.mean - mean[:, None, None]) ** 2)
    best = max(best, float(mean.max(initial=-np.inf)))
    gain = sample.mean(improvement(reach.mean, reach.std, best))
    return Pool(x, known, mean, np.sqrt(second), gain)


def joint_sample(belief: NetworkBelief, seed: int, count: int = 32) -> Sample:
    """Draws for everything on the path but the end."""
    network = belief.network
    names = tuple(
        n.quantity
        for n in network.learned
        if n.quantity in network.path and n.quantity != network.end
    )
    return wide_sample(count, names, seed % 2**31)


def joined(first: Pool, second: Pool) -> Pool:
    """Both pools as one."""
    return Pool(
        np.concatenate([first.x, second.x]),
        {q: np.concatenate([v, second.known[q]]) for q, v in first.known.items()},
        np.concatenate([first.mean, second.mean]),
        np.concatenate([first.std, second.std]),
        np.concatenate([first.gain, second.gain]),
    )


def taken(pool: Pool, rows: NDArray[np.int64]) -> Pool:
    """Some points of a pool."""
    known = {q: v[rows] for q, v in pool.known.items()}
    return Pool(pool.x[rows], known, pool.mean[rows], pool.std[rows], pool.gain[rows])


def best_of(pool: Pool, count: int, always: NDArray[np.int64] | None = None) -> Pool:
    """The most promising points: by mean, by optimism and by expected improvement."""
    if len(pool.x) <= count:
        return pool
    scores = (
        pool.mean,
        pool.mean + 2.5 * pool.std,
        pool.gain,
    )
    ranks = [np.argsort(-s, kind="stable") for s in scores]
    order = np.array(ranks).T.ravel()
    if always is not None:
        order = np.concatenate([always, order])
    _, first = np.unique(order, return_index=True)
    rows = order[np.sort(first)][:count]
    return taken(pool, rows)


def _begun(belief: NetworkBelief, pool: Pool) -> NDArray[np.int64]:
    """Points where something was done but the end is not known: the best few of them."""
    rows = belief.begun(pool.x)
    end = pool.known.get(belief.network.end)
    if end is not None:
        rows = rows[np.isnan(end[rows])]
    return rows[np.argsort(-pool.gain[rows], kind="stable")[:_FINISHABLE]]


def _mixed(belief: NetworkBelief, measured: Matrix, rng: np.random.Generator) -> Matrix:
    """Designs that take the columns of different branches from different measured designs.

    A step with several parents can be done on any combination of them that exists.
    """
    network = belief.network
    splits = [n for n in network.nodes.values() if len(n.parents) > 1]
    if len(measured) < 2 or not splits:
        return np.zeros((0, measured.shape[1]))
    base = measured[rng.integers(len(measured), size=_MIXED)]
    for node in splits:
        for parent in node.parents[1:]:
            columns = list(network.nodes[parent].columns)
            donors = measured[rng.integers(len(measured), size=_MIXED)]
            base[:, columns] = donors[:, columns]
    return base


def _around(belief: NetworkBelief, pool: Pool, rng: np.random.Generator) -> Matrix:
    """Points near the best few, some with only the columns of unmeasured steps changed."""
    top = np.argsort(-pool.mean, kind="stable")[:6]
    centres = np.repeat(pool.x[top], 12, axis=0)
    width = np.exp(rng.uniform(np.log(0.01), np.log(0.2), (len(centres), 1)))
    moved = np.clip(centres + width * rng.standard_normal(centres.shape), 0.0, 1.0)
    late = _late_columns(belief)
    kept = np.repeat(pool.x[top], 8, axis=0)
    if late:
        kept[:, late] = rng.random((len(kept), len(late)))
        return np.concatenate([moved, kept])
    return moved


def _late_columns(belief: NetworkBelief) -> list[int]:
    """Columns that do not belong to the first steps."""
    early: set[int] = set()
    for node in belief.network.learned:
        if not node.parents:
            early |= set(node.columns)
    return [c for c in range(belief.network.workflow.space.dim) if c not in early]


# -- climbing -------------------------------------------------------------------------------------


def _climb_all(belief: NetworkBelief, pool: Pool, seed: int) -> Matrix:
    """Local optima of the mean and of the expected improvement."""
    best = float(pool.mean.max())
    by_mean = spread_rows(pool.x, pool.mean, 4)
    by_gain = spread_rows(pool.x, pool.gain, 8)
    found = [
        climb(belief, taken(pool, by_mean), seed, None),
        climb(belief, taken(pool, by_gain), seed, best),
    ]
    return np.concatenate(found)


def spread_rows(x: Matrix, score: Vector, count: int, apart: float = 0.05) -> NDArray[np.int64]:
    """The best rows that do not lie close together."""
    rows: list[int] = []
    for i in np.argsort(-score, kind="stable")[: 40 * count]:
        if all(np.abs(x[i] - x[j]).max() > apart for j in rows):
            rows.append(int(i))
        if len(rows) == count:
            break
    return np.array(rows, dtype=np.int64)


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
