"""Search over probe positions of one specimen: the session tier of goals over positions."""

from __future__ import annotations

from typing import Literal, final

import numpy as np

from ..workflow import (
    Action,
    Alternative,
    Decision,
    Estimate,
    Goal,
    Grant,
    Level,
    Recommendation,
    SpecError,
    Stake,
    State,
    Step,
    Target,
    Workflow,
    place_of,
)
from ._build import build_action
from ._follow_up import close, follow_up, unreduced
from ._nowhere import why_nowhere
from ._options import MAX_FAILURES
from ._prices import Prices
from ._retakes import bearable, dwell_parameters, retake_due, to_avoid
from ._session_memory import START
from ._session_visit import MODELS, Position, Visit
from ._site_session import SiteSession
from ._stakes import stake_at
from ._step_prices import StepPrices, noise_at_1s
from ._structure_property import StructureProperty

Use = Literal["structure", "place", "random"]


@final
class PositionSearch:
    """Find the position with the largest value by spending few measurements.

    A :class:`StructureProperty` session says where to measure next and for how long, by gain per
    credit. ``use`` chooses which models compete in it: all of them (``structure``, the policy
    ``planner``) or a Gaussian process on row and column alone (``place``; ``xy-gp``). With
    ``random`` the places are drawn, and the models are asked for the answer only.
    """

    def __init__(self, workflow: Workflow, goal: Goal, use: Use = "structure") -> None:
        self.name = {"structure": "planner", "place": "xy-gp", "random": "random"}[use]
        self._goal = goal
        self._use: Use = use
        self._final = workflow.producer(goal.quantity)
        models = ("place",) if use == "place" else MODELS
        self._for_goal = SiteSession(goal.quantity, models)
        self._for_reward = SiteSession(goal.quantity, models)

    def decide(self, state: State) -> Decision:
        if state.running:
            return self._decision(state, "wait", "the probe is at work")
        sessions = state.open_sessions()
        if not sessions:
            return self._open_or_stop(state)
        name = next(iter(sessions))
        target = self._target(state)
        sample = state.inventory.samples[sessions[name].grant.sample]
        for step, at in unreduced(state, sample):
            stake = self._stake_of_last(state, at) if step.level is Level.REALTIME else None
            action = build_action(state, step, at, session=name, stake=stake)
            if state.affordable(state.commitment(action), name):
                return follow_up(state, name, action, Prices(state).of(step).credits, {})
        chain = state.workflow.open_steps(self._final, target, state.inventory)
        if any(_failures(state, s, target) >= MAX_FAILURES for s in chain):
            return close(state, name, f"{chain[0].name} failed three times in a row")
        if chain[0].acts_on != "positions":
            action = build_action(state, chain[0], target, session=name)
            return self._act(state, name, action, f"{chain[0].name}: needed before any position")
        session = self._session(state, target)
        if session is None:
            return close(state, name, "no position is known")
        return self._next_position(state, name, chain, target, session)

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

    def _session(self, state: State, target: Target) -> StructureProperty | None:
        """The session that decides, with what people wish now.

        To be like a position that it does not have is not heeded: a specification may ask for it
        before any position is known.
        """
        keeper = self._for_goal if state.wishes.reward is None else self._for_reward
        session = keeper.of(state, target, state.wishes.reward)
        if session is not None:
            like = state.wishes.more_like
            there = like if like is None or session.holds(like) else None
            session.wish(state.wishes.model_copy(update={"reward": None, "more_like": there}))
        return session

    def _stake_of_last(self, state: State, target: Target) -> Stake | None:
        """What the newest measurement of a site was worth when it was chosen."""
        for observation in reversed(state.observations):
            action = state.actions[observation.action_id]
            here = (action.target.sample, action.target.site) == (target.sample, target.site)
            if here and action.target.positions:
                return action.stake
        return None

    # -- where to measure next --------------------------------------------------------------------

    def _next_position(
        self,
        state: State,
        name: str,
        chain: tuple[Step, ...],
        target: Target,
        session: StructureProperty,
    ) -> Decision:
        step = chain[0]
        avoid = to_avoid(state, target)
        dwells = bearable(state, name, step, target)
        if not dwells:
            return close(state, name, f"the grant does not bear another {step.name}")
        prior = self._final.noise.get(self._goal.quantity, 0.0)
        noise = noise_at_1s(state, step, target, session.told(), prior)
        session.prices = StepPrices.of(state, chain, dwells, noise)
        again = retake_due(state, step, target)
        if again is not None:
            action = self._action(
                state, name, step, target, session, again.positions, again.dwell_s, avoid
            )
            if state.affordable(state.commitment(action), name):
                return self._act(state, name, action, f"{_where(action)} again: {again.reason}")
        if len(session.open_places(avoid)) < step.batch:
            gone = session.told().keys() | avoid
            places = [(int(r), int(c)) for r, c in session.positions]
            return close(state, name, why_nowhere(state, places, gone, step.batch))
        if self._use == "random":
            return self._anywhere(state, name, step, target, session, avoid)
        visits = session.propose(step.batch, avoid)
        value, price = _worth(session, visits)
        rate = state.sessions[name].grant.reservation_rate
        if session.measured >= START and value / price < rate:
            reason = (
                f"the best position is worth {value / price:.2g} per credit, less than {rate:.2g}"
            )
            return close(state, name, reason)
        dwell = max(v.dwell_s for v in visits)
        picked = tuple(v.position for v in visits)
        action = self._action(state, name, step, target, session, picked, dwell, avoid)
        expected = visits[0].expected if session.measured >= START else None
        reason = f"{_where(action)} ({self.name}): {_believed(expected)}{visits[0].reason}"
        others = session.ranked(5 + len(picked), avoid)
        alternatives = [_alternative(session, step, v) for v in others if v.position not in picked]
        told = expected is not None and state.wishes.reward is None
        return self._act(state, name, action, reason).model_copy(
            update={
                "value": value,
                "price_credits": price,
                "index": value / price,
                "expected": {self._goal.quantity: expected} if told else {},
                "alternatives": tuple(alternatives[:5]),
            }
        )

    def _anywhere(
        self,
        state: State,
        name: str,
        step: Step,
        target: Target,
        session: StructureProperty,
        avoid: set[Position],
    ) -> Decision:
        """Places drawn by lot, with the usual dwell."""
        rng = np.random.default_rng([state.seed, 5, state.actions_numbered])
        free = session.open_places(avoid)
        picked = tuple(free[i] for i in rng.choice(len(free), step.batch, replace=False))
        there = target.model_copy(update={"positions": picked})
        action = build_action(state, step, there, session=name)
        if not state.affordable(state.commitment(action), name):
            return close(state, name, f"the grant does not bear another {step.name}")
        return self._act(state, name, action, f"{_where(action)} (random): drawn by lot")

    def _action(
        self,
        state: State,
        name: str,
        step: Step,
        target: Target,
        session: StructureProperty,
        positions: tuple[Position, ...],
        dwell_s: float,
        avoid: set[Position],
    ) -> Action:
        return build_action(
            state,
            step,
            target.model_copy(update={"positions": positions}),
            session=name,
            parameters=dwell_parameters(step, dwell_s),
            stake=None
            if self._use == "random"
            else stake_at(state, name, step, target, session, positions, avoid),
        )

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
        session = self._for_goal.of(state, self._target(state))
        if session is None or not session.measured:
            return None
        position, estimate = session.best()
        return Recommendation(
            goal=self._goal,
            position=position,
            estimate=estimate,
            unit=state.workflow.unit(self._goal.quantity),
        )


def _failures(state: State, step: Step, target: Target) -> int:
    return state.inventory.status(place_of(target, step.acts_on)).failures.get(step.name, 0)


def _where(action: Action) -> str:
    return f"position {', '.join(str(p) for p in action.target.positions)}"


def _believed(told: Estimate | None) -> str:
    return "" if told is None else f"believed {told.value:.3g} ± {told.std:.2g}; "


def _worth(session: StructureProperty, visits: list[Visit]) -> tuple[float, float]:
    """Gain in the unit of the reward, and price in credits."""
    return sum(v.gain for v in visits) * session.unit, sum(v.price for v in visits)


def _alternative(session: StructureProperty, step: Step, visit: Visit) -> Alternative:
    value, price = _worth(session, [visit])
    dwell = "" if step.dwell is None else f" for {visit.dwell_s:g} s"
    return Alternative(
        label=f"position {visit.position}{dwell}",
        step=step.name,
        value=value,
        price_credits=price,
        index=value / price,
    )
