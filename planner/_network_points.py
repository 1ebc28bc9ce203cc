"""Which designs a decision looks at: spread, half-done, near the best, climbed to; or listed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..workflow import Space, SpecError
from ._network_belief import NetworkBelief
from ._network_climb import climb
from ._network_graph import Learned
from ._network_kernel import Matrix, Vector
from ._network_pool import Pool, best_of, joined, screen, spread_rows, taken

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


def make_pool(belief: NetworkBelief, seed: int) -> Pool:
    """Points for one decision; pure: the same belief and seed give the same points."""
    space = belief.network.workflow.space
    fixed = space.pool()
    if fixed is not None:
        return _from_candidates(belief, _shortened(belief, fixed, seed), seed)
    rng = np.random.default_rng([seed, 5])
    measured = np.unique(belief.measured_designs(), axis=0)
    blocks = [spread_designs(space, _WIDE, seed), measured, _mixed(belief, measured, rng)]
    first = screen(belief, allowed(belief, np.concatenate(blocks)), seed)
    near = _around(belief, first, rng)
    first = joined(first, screen(belief, allowed(belief, near), seed, float(first.mean.max())))
    climbed = allowed(belief, _climb_all(belief, first, seed))
    reached = screen(belief, climbed, seed, float(first.mean.max()))
    everything = joined(first, reached)
    return best_of(everything, kept(belief) + len(climbed), _begun(belief, everything))


def wary_pool(wary: NetworkBelief, pool: Pool, seed: int) -> Pool:
    """Points for a belief with the means of that which a pool was made with, and larger spreads.

    A long list was shortened by its means, which are the same.
    """
    if pool.listed is None:
        return make_pool(wary, seed)
    return _from_candidates(wary, pool.listed, seed)


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


def _from_candidates(belief: NetworkBelief, listed: Matrix, seed: int) -> Pool:
    """The points of a list that are worth comparing, with some at random."""
    rng = np.random.default_rng([seed, 5])
    fixed = listed
    if len(fixed) > _GLANCED_AT:
        fixed = _glanced(belief, fixed, seed, rng)
    pool = screen(belief, fixed, seed)
    always = np.concatenate([_begun(belief, pool), rng.permutation(len(fixed))[:64]])
    return replace(best_of(pool, kept(belief) + 64, always), listed=listed)


def _shortened(belief: NetworkBelief, fixed: Matrix, seed: int) -> Matrix:
    """The most promising of a long list of candidates (N, dim), with some at random.

    Means along the network come first: they cost a fraction of the spreads.
    """
    rng = np.random.default_rng([seed, 6])
    if len(fixed) > _LISTED:
        fixed = _some_candidates(belief, fixed, rng)
    if len(fixed) > _LOOKED_AT:
        means = _plain_means(belief, fixed)
        best = np.argsort(-means, kind="stable")[: 2 * _LOOKED_AT // 3]
        others = rng.choice(len(fixed), _LOOKED_AT // 3, replace=False)
        begun = belief.begun(fixed)
        fixed = fixed[np.unique(np.concatenate([best, others, begun]))]
    return fixed


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
