"""The session tier: one sample on one instrument, where to look next, and when to give it back.

The session looks at the same worlds as the campaign, at its own sites only. It ends when its next
step is worth less per credit than the reservation rate that came with its grant, and than what is
offered elsewhere by then: what was learned since may have made that worth less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import final

from ..workflow import Action, Decision, Goal, State, Step, Target
from ._build import build_action
from ._follow_up import close, follow_up, unreduced
from ._nowhere import why_unplaced
from ._options import Option, option_cost, session_quantities
from ._positions import positions_for
from ._sample_options import site_options
from ._view import View, goal_unit

_TOGETHER = 4
"""How many sites are looked at together when none is worth its price alone."""


@final
class SessionTier:
    """Decides for one open session."""

    def __init__(self, goal: Goal) -> None:
        self.goal = goal

    def decide(
        self, state: State, session_id: str, view: View, elsewhere: Callable[[str], float]
    ) -> Decision | None:
        """The session's next action, its end, or None while one of its actions is running.

        ``elsewhere`` tells the rate that is offered now outside of the session's sample; it is
        asked only before the session would end.
        """
        session = state.sessions[session_id]
        if any(i.action.session == session_id for i in state.running.values()):
            return None
        sample = state.inventory.samples[session.grant.sample]
        sites = [(sample.id, i) for i in range(len(sample.sites))]
        waiting = self._follow_up(state, view, session_id)
        if waiting is not None:
            return waiting if self._can_start(state, waiting) else None
        options = site_options(view, session_quantities(view), sites)
        options.sort(key=lambda o: -o.index)
        rate = session.grant.reservation_rate
        if state.now_h > session.opened_h + session.grant.hours:
            return close(state, session_id, "the granted hours are over", options)
        worthwhile = self._worthwhile(view, options, rate)
        if not worthwhile and options and options[0].value > 0.0:
            rate = min(rate, elsewhere(sample.id))
            worthwhile = self._worthwhile(view, options, rate)
        for option in worthwhile:
            action = self._action(state, session_id, option.step, option.target)
            if state.affordable(state.commitment(action), session_id):
                if state.free_worker(option.step, option.target) is None:
                    return None
                return self._act(state, view, session_id, option, options, action, rate)
        return close(state, session_id, self._why(state, session_id, options, rate), options)

    def _worthwhile(self, view: View, options: list[Option], rate: float) -> list[Option]:
        """What is worth its price by a rate, alone or else together."""
        alone = [o for o in options if o.index >= rate and o.value > 0.0]
        return alone or self._together(view, options, rate)

    def _can_start(self, state: State, decision: Decision) -> bool:
        action = decision.actions[0]
        return state.free_worker(state.workflow.step(action.step), action.target) is not None

    def _together(self, view: View, options: list[Option], rate: float) -> list[Option]:
        """Sites that are each worth too little, but not together: the first of them, or nothing."""
        last = session_quantities(view)[-1:]
        best = [o for o in options if last and o.probes[0].quantity == last[0]][:_TOGETHER]
        cost = sum(o.cost for o in best)
        value = view.objective.joint([o.probes[0] for o in best])
        if not best or value <= 0.0 or value / max(cost, 1e-9) < rate:
            return []
        share = replace(best[0], value=value * best[0].cost / cost)
        return [share]

    def _follow_up(self, state: State, view: View, session_id: str) -> Decision | None:
        sample = state.inventory.samples[state.sessions[session_id].grant.sample]
        for step, target in unreduced(state, sample):
            action = self._action(state, session_id, step, target)
            if not state.affordable(state.commitment(action), session_id):
                continue
            price = option_cost(view, view.prices.of(step), step)
            expected = view.expected(view.sites[(sample.id, target.site or 0)])
            return follow_up(state, session_id, action, price, expected)
        return None

    def _action(self, state: State, session_id: str, step: Step, target: Target) -> Action:
        if step.acts_on == "positions":
            target = target.model_copy(update={"positions": positions_for(state, step, target)})
        return build_action(state, step, target, session=session_id)

    def _act(
        self,
        state: State,
        view: View,
        session_id: str,
        option: Option,
        options: list[Option],
        action: Action,
        rate: float,
    ) -> Decision:
        others = [o for o in options if o is not option]
        unit = goal_unit(state, self.goal)
        return Decision(
            number=state.decisions,
            kind="act",
            tier="session",
            actions=(action,),
            session=session_id,
            value=option.value,
            price_credits=option.cost,
            index=option.index,
            reason=f"{option.label} by {option.step.name}: expected gain {option.value:.3g} {unit} "
            f"for {option.cost:.1f} credits, {option.index:.2g} per credit against a reservation "
            f"rate of {rate:.2g}",
            alternatives=tuple(o.alternative() for o in others[:5]),
            expected=view.expected(option.probes[0].point),
        )

    def _why(self, state: State, session_id: str, options: list[Option], rate: float) -> str:
        if not options:
            sample = state.sessions[session_id].grant.sample
            return why_unplaced(state, sample) or "every site is measured as far as it bears"
        best = options[0]
        if best.index < rate or best.value <= 0.0:
            return (
                f"its next step, {best.label}, is worth {best.index:.2g} per credit, less than the "
                f"reservation rate {rate:.2g}"
            )
        return f"the grant does not bear {best.label} ({state.session_free(session_id):.1f} left)"
