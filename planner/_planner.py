"""The planner by itself: ``suggest`` and ``ingest``, without agents, Ray or files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from ..workflow import (
    Action,
    ArrayRef,
    Budget,
    Commitment,
    Decided,
    Decision,
    Failure,
    Goal,
    Grid,
    Issued,
    Observation,
    Observed,
    Policy,
    Recommendation,
    SpecError,
    State,
    Step,
    Target,
    Workflow,
)
from ._build import build_action
from ._make_policy import make_policy
from ._told import Value, as_estimate


@final
class Planner:
    """Ask what to do next on any workflow; tell what came of it.

    Parameters
    ----------
    workflow, goal, budget
        What can be done, what for, and the hard limits.
    seed
        The same seed and the same answers give the same suggestions.
    policy
        ``planner`` or one of the baselines (see :func:`policy_names`), or a policy of your own.
    capacity
        How many actions may run at once, for each step.
    """

    def __init__(
        self,
        workflow: Workflow,
        goal: Goal,
        budget: Budget | None = None,
        *,
        seed: int = 0,
        policy: str | Policy = "planner",
        capacity: int = 64,
    ) -> None:
        self.state = State(
            workflow,
            goal,
            budget or Budget(),
            seed=seed,
            capacity={s.needs: capacity for s in workflow.steps},
            offers={s.needs: (s.needs,) for s in workflow.steps},
        )
        self._policy = make_policy(policy, workflow, goal) if isinstance(policy, str) else policy
        self.last: Decision | None = None
        """The last decision, with its reason; ``kind`` tells whether it acts, waits or stops."""

    def suggest(self, n: int = 1) -> list[Action]:
        """Up to ``n`` actions to start now; each counts as running until it is ingested.

        An empty list means: wait for what is running, or stop (see :attr:`last`).
        """
        actions: list[Action] = []
        while len(actions) < n and self.state.stopped is None:
            decision = self._policy.decide(self.state)
            self.last = decision
            self.state.apply(Decided(hour=self.state.now_h, decision=decision))
            if decision.kind == "stop":
                self.state.stopped = decision.reason
            if decision.kind in {"wait", "stop"}:
                break
            for action in decision.actions:
                worker = self.state.workflow.step(action.step).needs
                commitment = self.state.commitment(action)
                self.state.apply(
                    Issued(
                        hour=self.state.now_h, action=action, worker=worker, commitment=commitment
                    )
                )
                actions.append(action)
        return actions

    def ingest(
        self,
        action: Action,
        values: Mapping[str, Value] | None = None,
        *,
        cost_credits: float | None = None,
        hours: float | None = None,
        dose_e_per_A2: float | None = None,
        failure: str | None = None,
        grids: Mapping[str, Grid] | None = None,
    ) -> None:
        """Tell what came of a suggested action.

        Values are numbers, (number, standard deviation) or estimates; a missing standard
        deviation is the step's declared noise. Cost, hours and dose default to the step's medians.
        ``failure`` says that it did not work, and why. ``grids`` are what a theory step predicts.
        Arrays that the step records stay with the caller; the planner takes it that they are there.

        Raises
        ------
        SpecError
            If the action is not running, a number is not finite or negative where it must not be,
            or what is told is not what the step gives.
        """
        if action.id not in self.state.running:
            raise SpecError(
                f"action {action.id}",
                "not running",
                f"one of {sorted(self.state.running)}",
                "ingest each suggested action once",
            )
        step = self.state.workflow.step(action.step)
        estimates = {
            k: as_estimate(k, v, step.noise.get(k, 0.0)) for k, v in (values or {}).items()
        }
        if failure is None:
            _check_names(action, "values", set(estimates), {p.name for p in step.produces})
            _check_names(action, "grids", set(grids or {}), {p.name for p in step.predicts})
        size = step.extent(action)
        cost = step.cost_credits.typical(*size) if cost_credits is None else cost_credits
        took = step.latency_h.typical(*size) if hours is None else hours
        dose = step.dose_e_per_A2.typical(*size) if step.exposes else 0.0
        dose = dose if dose_e_per_A2 is None else dose_e_per_A2
        _check_amounts(action, cost_credits=cost, hours=took, dose_e_per_A2=dose)
        start = self.state.running[action.id].hour
        observation = Observation(
            action_id=action.id,
            worker=step.needs,
            values=estimates if failure is None else {},
            grids=dict(grids or {}) if failure is None else {},
            arrays=_elsewhere(action, step) if failure is None else {},
            cost_credits=cost,
            dose_e_per_A2=dose,
            queued_h=start,
            start_h=start,
            end_h=start + took,
            failure=None if failure is None else Failure(kind="instrument", message=failure),
        )
        self.state.apply(Observed(hour=start + took, observation=observation))

    def learn(
        self,
        step: str,
        design: Mapping[str, float],
        values: Mapping[str, Value],
        given: Mapping[str, float] | None = None,
    ) -> None:
        """Tell what was measured before, or elsewhere: it counts, and is not charged.

        ``given`` are inputs of a settable step that were set instead of made.

        Raises
        ------
        SpecError
            If the step or a variable is unknown, or the values are not what the step gives.
        """
        known = self.state.workflow.step(step)
        if known.acts_on != "design" or known.makes is not None:
            raise SpecError(
                f"step {step!r}",
                "a result without an action",
                "steps that act on a design",
                "suggest and ingest steps that need a sample",
            )
        place = self.state.workflow.space.check(design, f"earlier result of {step!r}")
        stray = set(given or {}) - {p.name for p in known.consumes}
        if given and (stray or not known.settable):
            raise SpecError(
                f"step {step!r}",
                f"inputs {sorted(given)} that were set",
                f"a settable step that consumes them; this one consumes "
                f"{[p.name for p in known.consumes]}",
                "declare the step settable, or leave them out",
            )
        parameters = dict(given or {})
        action = build_action(self.state, known, Target(design=place), parameters=parameters)
        decision = Decision(
            number=self.state.decisions, kind="act", actions=(action,), reason="known before"
        )
        hour = self.state.now_h
        self.state.apply(Decided(hour=hour, decision=decision))
        nothing = Commitment(credits=0.0, hours=0.0)
        self.state.apply(Issued(hour=hour, action=action, worker=known.needs, commitment=nothing))
        self.ingest(action, values, cost_credits=0.0, hours=0.0)

    def recommend(self) -> Recommendation | None:
        """The answer so far, with its uncertainty."""
        return self._policy.recommend(self.state)

    ask = suggest
    tell = ingest


def _check_names(action: Action, what: str, given: set[str], expected: set[str]) -> None:
    if given != expected:
        raise SpecError(
            f"action {action.id} ({action.step})",
            f"{what} for {sorted(given)}",
            f"exactly {sorted(expected)}",
            f"give all {what} of the step, or say failure='...'",
        )


def _check_amounts(action: Action, **amounts: float) -> None:
    for name, amount in amounts.items():
        if not 0.0 <= amount < float("inf"):
            raise SpecError(
                f"action {action.id} ({action.step})",
                f"{name}={amount!r}",
                "a finite number of at least 0",
                "tell what it took, or leave it out for the step's median",
            )


def _elsewhere(action: Action, step: Step) -> dict[str, ArrayRef]:
    """References to arrays that the caller keeps."""
    return {
        p.name: ArrayRef(file=action.id, dataset=p.name, sha256="", shape=(), unit=p.unit or "1")
        for p in step.records
    }
