"""The decision core: beliefs, values, prices, tiers. No instruments, no agents, no input or
output.
"""

from ._baselines import FixedWorkflow, RandomSearch, SingleSource
from ._belief import Belief
from ._evidence import belief_from, looked_at, relevant_quantities
from ._hierarchy import HierarchicalPlanner
from ._network_planner import NetworkPlanner, NetworkSettings
from ._planner import Planner
from ._policies import make_policy, policy_names
from ._position_search import PositionSearch
from ._positions import PositionBelief
from ._prices import Price, Prices
from ._view import View, make_view, recommend_from
from ._worlds import Best, Certainty, Objective, Probe, Worlds

__all__ = [
    "Belief",
    "Best",
    "Certainty",
    "FixedWorkflow",
    "HierarchicalPlanner",
    "NetworkPlanner",
    "NetworkSettings",
    "Objective",
    "Planner",
    "PositionBelief",
    "PositionSearch",
    "Price",
    "Prices",
    "Probe",
    "RandomSearch",
    "SingleSource",
    "View",
    "Worlds",
    "belief_from",
    "looked_at",
    "make_policy",
    "make_view",
    "policy_names",
    "recommend_from",
    "relevant_quantities",
]
