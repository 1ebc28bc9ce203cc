"""A film of a few positions, for searches over them: whatever is decided is done at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from support_campaigns import Bench

from probewise.planner import PositionSearch, _session_gp, _session_trees
from probewise.planner._gp import Vector
from probewise.planner._position_search import Use
from probewise.workflow import (
    Action,
    ArrayRef,
    Decided,
    Decision,
    Estimate,
    Issued,
    Maximize,
    Observation,
    Observed,
    Quality,
    Table,
    Target,
    Workflow,
)

SIDE = 8
GRID = tuple((r, c) for r in range(SIDE) for c in range(SIDE))
RNG = np.random.default_rng(0)
STRUCTURE = RNG.standard_normal(SIDE**2)
"""One feature at every position, without order in space."""
FEATURES = Table(
    positions=GRID,
    columns={"f0": tuple(STRUCTURE), "f1": tuple(0.1 * RNG.standard_normal(SIDE**2))},
)
SMOOTH = np.array([np.sin(r / 3.0) + c / SIDE for r, c in GRID])
GOAL = Maximize(quantity="height", over="positions")
SITE = Target(sample="film", site=0)

_LOAD = {"name": "load", "level": 4, "acts_on": "sample", "mounts": True, "cost_credits": 2}
_SCAN = {"name": "scan", "level": 3, "acts_on": "site", "requires": "load", "records": "image [nm]"}
_DESCRIBE = {
    "name": "describe",
    "level": 1,
    "acts_on": "site",
    "consumes": "image",
    "produces": "contrast [1]",
    "cost_credits": 0.1,
}
_PROBE: dict[str, Any] = {
    "name": "probe",
    "level": 3,
    "acts_on": "positions",
    "requires": "describe",
    "records": "curve [V]",
    "cost_credits": {"median": 0, "per_position": 1, "log_std": 0},
}
_TIMED = _PROBE | {
    "parameters": {"dwell_s": 1.0},
    "dwell": "dwell_s",
    "dwells_s": [0.25, 1.0, 4.0],
    "cost_credits": {"median": 0, "per_position": 0.5, "per_s": 0.5, "log_std": 0},
    "dose_e_per_A2": {"median": 0, "per_s": 2.0, "log_std": 0},
}
_LOOK = {
    "name": "look",
    "level": 2,
    "acts_on": "site",
    "consumes": "curve",
    "records": "weight [1]",
    "cost_credits": 0,
}
_REDUCE: dict[str, Any] = {
    "name": "reduce",
    "level": 1,
    "acts_on": "site",
    "consumes": "curve",
    "produces": "height [V]",
    "noise": {"height": 0.1},
    "cumulative": True,
    "cost_credits": 0,
}

FLOW = Workflow.model_validate({"space": [], "steps": [_LOAD, _SCAN, _DESCRIBE, _PROBE, _REDUCE]})
WATCHED = Workflow.model_validate(
    {
        "space": [],
        "steps": [
            _LOAD, _SCAN, _DESCRIBE, _TIMED, _LOOK,
            _REDUCE | {"consumes": ["curve", "weight"]},
        ],
    }
)  # fmt: skip
"""The same with a dwell that can be chosen, and somebody who watches."""


def quicken(put: Callable[[Any, str, Any], None]) -> None:
    """Short trainings and small forests: decisions in milliseconds."""
    put(_session_gp, "_FIRST_STEPS", 15)
    put(_session_gp, "_LATER_STEPS", 4)
    put(_session_trees, "_TREES", 8)


class Film(Bench):
    """Answers every decision of a search with what the film has there.

    ``verdicts`` holds what whoever watches says, from the first measurement on; a position in
    ``bad`` has no value as long as it is in it.
    """

    def __init__(
        self,
        values: Vector,
        use: Use = "structure",
        seed: int = 0,
        flow: Workflow = FLOW,
        credits: float = 30,
        dose_e_per_A2: float | None = None,
        **goal: float,
    ) -> None:
        aim = GOAL.model_copy(update=goal)
        super().__init__(flow, aim, seed=seed, credits=credits, dose_e_per_A2=dose_e_per_A2)
        self.place("film", {})
        self.use: Use = use
        self.search = self.fresh()
        self.values = values
        self.verdicts: list[Quality | None] = []
        self.bad: set[tuple[int, int]] = set()

    def fresh(self) -> PositionSearch:
        """A policy that has not lived through anything."""
        return PositionSearch(self.state.workflow, self.state.goal, self.use)

    def obey(self, decision: Decision) -> str:
        """Carry a decision out, and say what it was."""
        state = self.state
        state.apply(Decided(hour=state.now_h, decision=decision))
        if not decision.actions:
            return decision.kind
        (action,) = decision.actions
        held = state.commitment(action)
        worker = state.workflow.step(action.step).needs
        state.apply(Issued(hour=state.now_h, action=action, worker=worker, commitment=held))
        state.apply(Observed(hour=state.now_h, observation=self._outcome(action)))
        return action.step

    def step(self) -> Decision:
        """Ask, obey, and return the decision."""
        decision = self.search.decide(self.state)
        self.obey(decision)
        return decision

    def _outcome(self, action: Action) -> Observation:
        step = self.state.workflow.step(action.step)
        probed = [
            p
            for p in dict.fromkeys(self.state.inventory.status(("film", 0, ())).probed)
            if p not in self.bad
        ]
        heights = tuple(float(self.values[GRID.index(p)]) for p in probed)
        spectra = Table(
            positions=tuple(probed), columns={"height": heights, "height_std": (0.1,) * len(probed)}
        )
        tables = {"describe": {"patches": FEATURES}, "reduce": {"spectra": spectra}}
        values = {"describe": {"contrast": 1.0}, "reduce": {"height": 1.0}}.get(step.name, {})
        ref = ArrayRef(file=action.id, dataset="d", sha256="", shape=(1,))
        verdict = self.verdicts.pop(0) if step.name == "look" and self.verdicts else None
        return Observation(
            action_id=action.id,
            worker=step.needs,
            values={k: Estimate(value=v, std=0.1) for k, v in values.items()},
            arrays={p.name: ref for p in step.records},
            tables=tables.get(step.name, {}),
            cost_credits=step.cost_credits.typical(*step.extent(action)),
            dose_e_per_A2=step.dose_e_per_A2.typical(*step.extent(action)),
            quality=verdict,
            queued_h=self.state.now_h,
            start_h=self.state.now_h,
            end_h=self.state.now_h,
        )

    def run(self) -> list[str]:
        """Until the search stops: what it decided."""
        done: list[str] = []
        while not done or done[-1] != "stop":
            done.append(self.obey(self.search.decide(self.state)))
        return done

    def measure(self, count: int) -> list[Decision]:
        """Go on until so many more measurements were decided on, and done with: these decisions."""
        found: list[Decision] = []
        while len(found) < count:
            decision = self.step()
            if decision.kind in {"close", "stop"}:
                raise AssertionError(decision.reason)
            if decision.actions[0].target.positions:
                found.append(decision)
        while self.search.decide(self.state).tier == "follow-up":
            self.step()
        return found
