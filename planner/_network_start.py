"""The first steps where a quantity has no prior: a few spread designs are measured to the end."""

from __future__ import annotations

import numpy as np

from ..workflow import Decision, State, Step, Target
from ._build import build_action
from ._network_belief import NetworkBelief
from ._network_data import whole_keys
from ._network_graph import Learned, Network
from ._network_kernel import Matrix, Vector
from ._network_points import spread_designs
from ._options import failed_too_often, refused_before

_START = 3
"""So many measurements tell the scale of a quantity."""
_DESIGNS = 16


def first_step(network: Network, state: State, belief: NetworkBelief) -> Decision | None:
    """The next step towards the scales that neither priors nor measurements tell, if there is one.

    Without a prior nothing has a scale, so no value of information can be told.
    """
    wanting = [
        n
        for n in network.learned
        if n.quantity not in state.workflow.priors and belief.count(n.quantity) < _START
    ]
    if not wanting:
        return None
    for x in _spread(state):
        for node in wanting:
            decision = _begin(network, state, belief, node, x)
            if decision is not None:
                return decision
    return None


def _spread(state: State) -> Matrix:
    """A few unit designs (n, dim) that fill the space, or the list of candidates."""
    space = state.workflow.space
    listed = space.pool()
    if listed is None:
        return spread_designs(space, _DESIGNS, state.seed)
    return listed[np.linspace(0, len(listed) - 1, min(_DESIGNS, len(listed))).astype(int)]


def _begin(
    network: Network, state: State, belief: NetworkBelief, node: Learned, x: Vector
) -> Decision | None:
    """The first open step towards a quantity at a design, if it can be taken now."""
    at = x[None, :]
    target = Target(design=state.workflow.space.decode(x)[0])
    known = belief.lookup(at)
    if not np.isnan(known[node.quantity][0]) or any(
        q in known and np.isnan(known[q][0]) for q in node.parents
    ):
        return None
    chain = state.workflow.open_steps(node.step, target, state.inventory)
    chain = tuple(s for s in chain if not _measured(network, belief, s, at))
    if not chain:
        return None
    step = chain[0]
    whole = whole_keys(at)[0]
    if any(whole in belief.running.get(s.name, set()) for s in (*chain, node.step)):
        return None
    if refused_before(state, step, target) or failed_too_often(state, chain, target):
        return None
    action = build_action(state, step, target)
    if not state.affordable(state.commitment(action)) or state.free_worker(step, target) is None:
        return None
    return Decision(
        number=state.decisions,
        kind="act",
        actions=(action,),
        price_credits=step.cost_credits.expected(*step.extent(action)),
        reason=f"{step.name} at {target.label}: to learn the scale of {node.quantity}, "
        "for which there is no prior",
    )


def _measured(network: Network, belief: NetworkBelief, step: Step, at: Matrix) -> bool:
    """Whether all that a step gives is known at a design."""
    made = [n for n in network.learned if n.step.name == step.name]
    known = belief.lookup(at)
    return bool(made) and not any(np.isnan(known[n.quantity][0]) for n in made)
