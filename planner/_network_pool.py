"""The designs that a decision compares, and what is believed of the end at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ._network_belief import NetworkBelief
from ._network_forward import Sample, forward, improvement, wide_sample
from ._network_kernel import Matrix, Vector

Known = dict[str, Vector]

_CAUTION = 0.5
"""How many of its standard deviations are taken off a design's value before it is recommended."""


@final
@dataclass(frozen=True)
class Pool:
    """Points x (N, dim) of the unit cube, with what was measured there.

    ``mean`` and ``std`` (N,) are those of the believed end, ``gain`` (N,) its expected improvement
    on the largest mean known when the point was looked at; ``best`` is the point with the largest
    mean. ``listed`` (M, dim) are the candidates that a list was shortened to before that.
    """

    x: Matrix
    known: Known
    mean: Vector
    std: Vector
    gain: Vector
    listed: Matrix | None = None

    @property
    def best(self) -> int:
        return int(self.mean.argmax())

    @property
    def answer(self) -> int:
        """The point to recommend: a little better in the mean is not worth an extrapolation."""
        return int(np.argmax(self.mean - _CAUTION * self.std))


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


def spread_rows(x: Matrix, score: Vector, count: int, apart: float = 0.05) -> NDArray[np.int64]:
    """The best rows that do not lie close together."""
    rows: list[int] = []
    for i in np.argsort(-score, kind="stable")[: 40 * count]:
        if all(np.abs(x[i] - x[j]).max() > apart for j in rows):
            rows.append(int(i))
        if len(rows) == count:
            break
    return np.array(rows, dtype=np.int64)
