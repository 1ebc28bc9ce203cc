"""The answer is seen for oneself before cheaper sources use up what that costs."""

from __future__ import annotations

import numpy as np

from ._network_belief import NetworkBelief
from ._network_chains import Chains
from ._network_forward import improvement
from ._network_options import Proposal
from ._network_pool import Pool, taken
from ._prices import Prices

_SURE = 0.02
"""A share of what the best is above the middle: an answer that sure needs no test."""


def to_verify(belief: NetworkBelief, prices: Prices, pool: Pool) -> Proposal | None:
    """Measuring the end at the answer that the belief would give now.

    None where the answer is sure or was tested, no step measures the end, or another quantity must
    come before it.
    The value is that of falling back on the next best point, should the answer disappoint.
    """
    end, row = belief.network.end, pool.answer
    if end not in belief.known or pool.std[row] <= _SURE * belief.height:
        return None
    at = taken(pool, np.array([row]))
    chains = Chains(belief, prices, at.x, at.known)
    leg = chains.leg(end)
    if not leg.ready[0]:
        return None
    second = float(np.delete(pool.mean, row).max(initial=-np.inf))
    if not np.isfinite(second):
        return None
    gain = float(second + improvement(at.mean, at.std, second)[0] - at.mean[0])
    cost = float(leg.now[0])
    step = chains.steps[int(leg.first[0])]
    rate = max(gain, 0.0) / max(cost, 1e-12)
    return Proposal(end, step, at.x[0], gain, cost, rate, leg.price(0, False), False, last=True)
