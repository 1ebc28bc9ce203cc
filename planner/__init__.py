"""The decision core: beliefs, values, prices, tiers. No instruments, no agents, no input or
output.
"""

from ._baselines import FixedWorkflow, RandomSearch, SingleSource
from ._belief import Belief
from ._end import End
from ._evidence import belief_from, looked_at, measured_ends, relevant_quantities
from ._forecast import Forecast, Spread, forecasts
from ._hierarchy import HierarchicalPlanner
from ._hole_session import HoleChoice, HoleSession
from ._holes import Hole, MoveCosts
from ._learn_values import detour_tasks, learn_step_values
from ._leftover import Leftover, left_on_the_table
from ._make_policy import make_policy, policy_names
from ._network_planner import NetworkPlanner, NetworkSettings
from ._planner import Planner
from ._playthrough import TARGET, Playthrough
from ._position_search import PositionSearch
from ._positions import PositionBelief
from ._prices import Price, Prices
from ._rehearsal import (
    Contender,
    RehearsalTask,
    contenders,
    possible_worlds,
    rehearse,
    tasks_for,
    utility,
)
from ._rehearsed import Rehearsed
from ._session_prices import ProbePrices
from ._settings import PlannerSettings
from ._step_values import StepValues
from ._structure_property import StructureProperty, Visit
from ._view import View, make_view, recommend_from
from ._worlds import Best, Certainty, Objective, Probe, Worlds

__all__ = [
    "TARGET",
    "Belief",
    "Best",
    "Certainty",
    "Contender",
    "End",
    "FixedWorkflow",
    "Forecast",
    "HierarchicalPlanner",
    "Hole",
    "HoleChoice",
    "HoleSession",
    "Leftover",
    "MoveCosts",
    "NetworkPlanner",
    "NetworkSettings",
    "Objective",
    "Planner",
    "PlannerSettings",
    "Playthrough",
    "PositionBelief",
    "PositionSearch",
    "Price",
    "Prices",
    "Probe",
    "ProbePrices",
    "RandomSearch",
    "RehearsalTask",
    "Rehearsed",
    "SingleSource",
    "Spread",
    "StepValues",
    "StructureProperty",
    "View",
    "Visit",
    "Worlds",
    "belief_from",
    "contenders",
    "detour_tasks",
    "forecasts",
    "learn_step_values",
    "left_on_the_table",
    "looked_at",
    "make_policy",
    "make_view",
    "measured_ends",
    "policy_names",
    "possible_worlds",
    "recommend_from",
    "rehearse",
    "relevant_quantities",
    "tasks_for",
    "utility",
]
