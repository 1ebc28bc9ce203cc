"""Search over probe positions of one specimen: the session tier of goals over positions."""

from __future__ import annotations

from typing import Literal, final

import numpy as np

from ..workflow import (
    Action,
    Alternative,
    Decision,
    Estimate,
    Formula,
    Goal,
    Grant,
    Recommendation,
    SpecError,
    State,
    Step,
    Target,
    Wishes,
    Workflow,
)
from ._build import build_action
from ._follow_up import close, follow_up, unreduced
from ._options import MAX_FAILURES
from ._positions import Position, PositionBelief, features_of, measured_of
from ._prices import Prices

Use = Literal["structure", "place", "random"]


@final
class PositionSearch:
    """Find the position with the largest value by spending few measurements.

    ``use`` chooses what is believed: ``structure`` (local image structure and place; the policy
    ``planner``), ``place`` (a plain Gaussian process on row and column; ``xy-gp``), or ``random``.
    """

    def __init__(self, workflow: Workflow, goal: Goal, use: Use = "structure") -> None:
        self.name = {"structure": "planner", "place": "xy-gp", "random": "random"}[use]
        self._goal = goal
        self._use: Use = use
        self._final = workflow.producer(goal.quantity)

    def decide(self, state: State) -> Decision:
        if state.running:
            return self._decision(state, "wait", "the probe is at work")
        sessions = state.open_sessions()
        if not sessions:
            return self._open_or_stop(state)
        session = next(iter(sessions))
        target = self._target(state)
        sample = state.inventory.samples[sessions[session].grant.sample]
        for step, at in unreduced(state, sample):
            action = build_action(state, step, at, session=session)
            if state.affordable(state.commitment(action), session):
                return follow_up(state, session, action, Prices(state).of(step).credits, {})
        chain = state.workflow.open_steps(self._final, target, state.inventory)
        status = state.inventory.status((sample.id, target.site, ()))
        if any(status.failures.get(s.name, 0) >= MAX_FAILURES for s in chain):
            return close(state, session, f"{chain[0].name} failed three times in a row")
        if chain[0].acts_on != "positions":
            action = build_action(state, chain[0], target, session=session)
            return self._act(state, session, action, f"{chain[0].name}: needed before any position")
        return self._next_position(state, session, chain, target)

    def _open_or_stop(self, state: State) -> Decision:
        if state.sessions:
            last = list(state.sessions.values())[-1]
            return self._decision(state, "stop", last.reason)
        target = self._target(state)
        chain = state.workflow.open_steps(self._final, target, state.inventory)
        worth = self._goal.worth_credits
        grant = Grant(
            session="session-001",
            sample=target.sample or "",
            credits=min(state.free_credits, 1e12),
            hours=1e6 if state.budget.hours is None else state.budget.hours - state.now_h,
            reservation_rate=0.0 if worth is None else 1.0 / worth,
        )
        action = build_action(state, chain[0], target, session=grant.session)
        if not state.affordable(state.commitment(action)):
            return self._decision(state, "stop", f"the budget does not bear {chain[0].name}")
        reason = f"the whole budget goes to the only specimen, {target.sample}"
        return self._act(state, grant.session, action, reason).model_copy(
            update={"grant": grant, "tier": "campaign"}
        )

    def _target(self, state: State) -> Target:
        samples = list(state.inventory.samples.values())
        if len(samples) != 1 or len(samples[0].sites) != 1:
            raise SpecError(
                "goal over positions",
                f"{len(samples)} specimens",
                "one specimen with one site",
                "list exactly one under 'specimens'",
            )
        return Target(design=samples[0].sites[0], sample=samples[0].id, site=0)

    def _belief(
        self, state: State, target: Target, reward: Formula | None = None
    ) -> PositionBelief | None:
        features = features_of(state, target)
        if features is None:
            return None
        use = "structure" if self._use == "structure" else "place"
        measured = measured_of(state, target, self._goal.quantity, reward)
        return PositionBelief(features, measured, use)

    def _next_position(
        self, state: State, session: str, chain: tuple[Step, ...], target: Target
    ) -> Decision:
        belief = self._belief(state, target, state.wishes.reward)
        step = chain[0]
        taken = self._taken(state, target)
        if belief is None:
            return close(state, session, "no position is known")
        forbidden = {p for p in belief.positions if not state.wishes.allows(*p)}
        left = sorted(set(belief.positions) - taken - forbidden)
        if len(left) < step.batch:
            return close(state, session, "every position that may be measured is measured")
        rng = np.random.default_rng([state.seed, 5, state.actions_numbered])
        if self._use == "random":
            picked = tuple(left[i] for i in rng.choice(len(left), step.batch, replace=False))
            gain = 0.0
        else:
            picked, gain = belief.for_best(step.batch, [*taken, *forbidden], rng, state.wishes)
        price = Prices(state).chain(chain).credits
        rate = state.sessions[session].grant.reservation_rate
        if self._use != "random" and len(taken) >= 6 and gain / max(price, 1e-9) < rate:
            reason = (
                f"the best position is worth {gain / max(price, 1e-9):.2g} per credit, "
                f"less than {rate:.2g}"
            )
            return close(state, session, reason)
        action = build_action(
            state, step, target.model_copy(update={"positions": picked}), session=session
        )
        if not state.affordable(state.commitment(action), session):
            return close(state, session, f"the grant does not bear another {step.name}")
        return self._measure(state, session, action, belief, gain, price)

    def _taken(self, state: State, target: Target) -> set[Position]:
        """Positions that were probed, or refused."""
        refused = {p for i in state.refused for p in state.actions[i].target.positions}
        return refused | set(state.inventory.status((target.sample or "", target.site, ())).probed)

    def _measure(
        self,
        state: State,
        session: str,
        action: Action,
        belief: PositionBelief,
        gain: float,
        price: float,
    ) -> Decision:
        index = belief.positions.index(action.target.positions[0])
        mean, std = float(belief.mean()[index]), float(belief.std()[index])
        where = ", ".join(str(p) for p in action.target.positions)
        reason = f"position {where} ({self.name}): believed {mean:.3g} ± {std:.2g}"
        if self._use != "random" and state.wishes.exploit:
            reason += ", the largest of all: exploiting, as was wished"
        return self._act(state, session, action, reason).model_copy(
            update={
                "value": gain,
                "price_credits": price,
                "index": gain / max(price, 1e-9),
                "expected": {}
                if state.wishes.reward is not None
                else {self._goal.quantity: Estimate(value=mean, std=std)},
                "alternatives": self._runners_up(belief, action, price, state.wishes),
            }
        )

    def _runners_up(
        self, belief: PositionBelief, action: Action, price: float, wishes: Wishes
    ) -> tuple[Alternative, ...]:
        if self._use == "random":
            return ()
        gain = belief.gains(wishes)
        order = np.argsort(-gain, kind="stable")[:6]
        return tuple(
            Alternative(
                label=f"position {belief.positions[i]}",
                step=action.step,
                value=float(gain[i]),
                price_credits=price,
                index=float(gain[i]) / max(price, 1e-9),
            )
            for i in order
            if belief.positions[i] not in action.target.positions
            and wishes.allows(*belief.positions[i])
        )[:5]

    def _act(self, state: State, session: str, action: Action, reason: str) -> Decision:
        return Decision(
            number=state.decisions,
            kind="act",
            tier="session",
            actions=(action,),
            session=session,
            reason=reason,
        )

    def _decision(self, state: State, kind: Literal["wait", "stop"], reason: str) -> Decision:
        return Decision(number=state.decisions, kind=kind, reason=reason)

    def recommend(self, state: State) -> Recommendation | None:
        """The measured position with the largest believed value; None before the first."""
        unit = state.workflow.unit(self._goal.quantity)
        target = self._target(state)
        belief = self._belief(state, target)
        if belief is None or not len(belief.rows):
            return None
        mean, std = belief.mean(), belief.std()
        best = int(belief.rows[np.argmax(mean[belief.rows])])
        return Recommendation(
            goal=self._goal,
            position=belief.positions[best],
            estimate=Estimate(value=float(mean[best]), std=float(std[best])),
            unit=unit,
        )
