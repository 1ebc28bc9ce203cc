"""The campaign tier: which sample to make, which session to open, which dear test, which theory."""

from __future__ import annotations

from dataclasses import replace
from typing import final

from ..workflow import Decision, Goal, Grant, State
from ._build import build_action
from ._design_options import design_options
from ._objective_scale import Unscaled
from ._options import Option, session_quantities
from ._preferences import Preference
from ._prices import Price
from ._sample_options import library_options, session_options, site_options
from ._step_options import step_options
from ._theory_options import theory_options
from ._view import Site, View, confirming, goal_unit
from ._worlds import Probe

_TELLING = 0.05
"""A confirmation must lower the recommended value's standard deviation by this share at least."""


@final
class CampaignTier:
    """Chooses among all options that are not a session's own.

    ``prefer`` may put the best option of another step before its choice.
    """

    def __init__(self, goal: Goal, prefer: Preference | None = None) -> None:
        self.goal, self._prefer = goal, prefer
        self._libraries: tuple[object, list[Option]] | None = None

    def decide(self, state: State, view: View) -> Decision:
        """The best affordable option whose worker is free; else wait, or stop with the reason."""
        options = self.options(view)
        options.sort(key=lambda o: -o.index)
        alternatives = options[:6]
        unscaled = isinstance(view.objective, Unscaled)
        worthwhile = [o for o in options if self._worth_it(o) or (unscaled and o.value > 0.0)]
        if not worthwhile:
            worthwhile = self._confirmations(view)
            alternatives = worthwhile[:6] or alternatives
        affordable = [o for o in worthwhile if self._affordable(state, o)]
        for option in affordable:
            if option.index < self._standard(view, affordable[0], option):
                continue
            if self._can_begin(state, option):
                taken, why = self._preferred(state, option, affordable)
                decision = self._act(state, view, taken, alternatives, affordable)
                return decision.model_copy(update={"reason": decision.reason + why})
        reason = self._why_not(state, options, worthwhile, affordable)
        busy = bool(state.running)
        return Decision(
            number=state.decisions,
            kind="wait" if busy else "stop",
            reason=f"waiting for {len(state.running)} running: {reason}" if busy else reason,
            alternatives=tuple(o.alternative() for o in alternatives[:5]),
        )

    def _can_begin(self, state: State, option: Option) -> bool:
        """Whether its worker is free, and a new sample need not wait for what a session shows."""
        if option.kind == "library" and self._about_to_learn(state):
            return False
        return state.free_worker(option.step, option.target) is not None

    def _preferred(
        self, state: State, first: Option, affordable: list[Option]
    ) -> tuple[Option, str]:
        """The choice, or the best option of another step that can begin now, with the reason."""
        if self._prefer is None:
            return first, ""
        others: dict[str, Option] = {}
        for option in affordable:
            name = option.step.name
            if name != first.step.name and name not in others and self._can_begin(state, option):
                others[name] = option
        return self._prefer(state, first, list(others.values()))

    def rate_elsewhere(self, view: View, sample: str) -> float:
        """Gain per credit of the best that could be paid for now, outside of a sample.

        What a session on that sample would still measure does not count as known.
        """
        state = view.state
        limit = state.budget.hours
        rates = [
            o.index
            for o in self.options(view, without=sample)
            if o.sample != sample
            and o.kind != "theory"
            and o.price.credits <= state.free_credits
            and (limit is None or state.now_h + o.price.hours <= limit)
        ]
        return max([*rates, self._floor])

    @property
    def _floor(self) -> float:
        """The rate below which nothing is worth its price."""
        worth = self.goal.worth_credits
        return 0.0 if worth is None else 1.0 / worth

    def options(self, view: View, without: str | None = None) -> list[Option]:
        """All options of this tier on a view; ``without`` a session on some sample."""
        pending = pending_probes(view, without)
        return [
            *self._library_options(view, pending),
            *session_options(view, pending),
            *site_options(view, self._test_quantities(view), self._free_sites(view)),
            *theory_options(view),
            *(step_options(view, pending) or design_options(view)),
        ]

    def _confirmations(self, view: View) -> list[Option]:
        """Tests that make the recommended value more certain, where the goal asks for that."""
        doubt = confirming(view, self.goal)
        if doubt is None:
            return []
        spread = doubt.objective.ceiling()
        options = [
            *library_options(doubt, []),
            *site_options(doubt, self._test_quantities(doubt), self._free_sites(doubt)),
            *design_options(doubt),
        ]
        telling = [o for o in options if o.value > _TELLING * spread]
        telling = [replace(o, label=f"to confirm the recommendation, {o.label}") for o in telling]
        return sorted(telling, key=lambda o: -o.index)

    def _free_sites(self, view: View) -> list[Site]:
        return [s for s in view.sites if not self._held(view.state, s[0])]

    def _standard(self, view: View, best: Option, option: Option) -> float:
        """The gain per credit that an option must have to be taken while the best one waits.

        Credits spent now cannot be spent on the best option later; not spending them costs the
        hours until its worker is free. So what is cheap may be done meanwhile, and what is dear
        must be nearly as good.
        """
        waiting = view.prices.wait_h(best.step) * view.state.budget.credits_per_hour
        return best.index * max(0.0, 1.0 - waiting / max(option.cost, 1e-9))

    def _about_to_learn(self, state: State) -> bool:
        """Whether an open session has not yet given its first value: it may change what to make."""
        return any(
            not any(
                o.values and state.actions[o.action_id].session == name for o in state.observations
            )
            for name in state.open_sessions()
        )

    def _library_options(self, view: View, pending: list[Probe]) -> list[Option]:
        """New samples; kept while neither the view nor what is pending changes."""
        key = (view, tuple(pending), len(view.state.refused))
        if self._libraries is None or self._libraries[0] != key:
            self._libraries = (key, library_options(view, pending))
        return self._libraries[1]

    def _held(self, state: State, sample: str) -> bool:
        """Whether a sample is still being made or belongs to an open session."""
        return sample not in state.inventory.samples or any(
            s.grant.sample == sample for s in state.open_sessions().values()
        )

    def _test_quantities(self, view: View) -> list[str]:
        workflow = view.state.workflow
        return [
            q
            for q in view.belief.quantities
            if workflow.producer(q).name not in workflow.session_steps
            and workflow.producer(q).acts_on in {"site", "positions"}
        ]

    def _worth_it(self, option: Option) -> bool:
        worth = self.goal.worth_credits
        return option.value > 0.0 and (worth is None or option.value * worth >= option.cost)

    def _affordable(self, state: State, option: Option) -> bool:
        """Whether the first action keeps the hard limits and the whole chain its expected price."""
        action = build_action(state, option.step, option.target)
        whole = state.bears_price(option.price.credits, option.price.hours)
        return bool(whole) and state.affordable(state.commitment(action))

    def _act(
        self,
        state: State,
        view: View,
        option: Option,
        best: list[Option],
        affordable: list[Option],
    ) -> Decision:
        session = grant = None
        others = [o for o in best if o != option]
        if option.kind == "session" and option.sample is not None:
            session = f"session-{len(state.sessions) + 1:03d}"
            grant = self._grant(view, session, option, affordable)
        action = build_action(state, option.step, option.target, session=session)
        expected = view.expected(option.probes[0].point) if option.probes else {}
        unit = goal_unit(state, self.goal)
        runner = f"; next best is {others[0].label} ({others[0].index:.2g})" if others else ""
        return Decision(
            number=state.decisions,
            kind="act",
            actions=(action,),
            grant=grant,
            session=session,
            value=option.value,
            price_credits=option.cost,
            index=option.index,
            reason=f"{option.label}: expected gain {option.value:.3g} {unit} for "
            f"{option.cost:.0f} credits, {option.index:.2g} per credit{runner}",
            alternatives=tuple(o.alternative() for o in others[:5]),
            expected=expected,
        )

    def _grant(self, view: View, session: str, option: Option, among: list[Option]) -> Grant:
        """A cap for measuring all that its plan may grow to, and the rate of the best elsewhere.

        A session that was opened because its instrument would have stood idle, while something
        better waits for another worker, is held to the same lower standard by which it was
        opened.
        """
        state = view.state
        rivals = [o for o in among if o.kind != "theory" and o.sample != option.sample]
        rival = max(rivals, key=lambda o: o.index, default=None)
        rate = 0.0 if rival is None else rival.index
        if rival is not None and rate > option.index:
            rate = min(self._standard(view, rival, option), option.index)
        rate = max(rate, self._floor)
        limit = state.budget.hours
        reach = option.reach or option.price
        margin = view.settings.grant_margin
        hours = reach.hours * margin
        free = state.ungranted_credits
        if view.settings.cost_blind:  # who does not see prices cannot cap by them
            reach, hours = Price(free / margin), 1e6
        return Grant(
            session=session,
            sample=option.sample or "",
            credits=min(
                max(reach.credits * margin, option.step.cost_credits.cap()),
                free,
            ),
            hours=hours if limit is None else min(hours, limit - state.now_h),
            reservation_rate=rate,
        )

    def _why_not(
        self,
        state: State,
        options: list[Option],
        worthwhile: list[Option],
        affordable: list[Option],
    ) -> str:
        if not options or options[0].value <= 0.0:
            return "nothing that can be measured is expected to improve the answer"
        best = options[0]
        if not worthwhile:
            worth = (self.goal.worth_credits or 0.0) * best.value
            return (
                f"the best option, {best.label}, costs {best.cost:.0f} credits "
                f"and is worth {worth:.0f}"
            )
        if not affordable:
            return (
                f"the budget is used up: {state.free_credits:.0f} credits are left, and "
                f"{worthwhile[0].label} would take about {worthwhile[0].price.credits:.0f}, its "
                f"first step at its cap, and {worthwhile[0].price.hours:.1f} h"
            )
        return f"the best option, {affordable[0].label}, is worth waiting for"


def pending_probes(view: View, without: str | None = None) -> list[Probe]:
    """What actions and sessions on their way will measure, but a session on ``without``."""
    state = view.state
    screened = session_quantities(view)
    probes: list[Probe] = []
    for issued in state.running.values():
        step = state.workflow.step(issued.action.step)
        target = issued.action.target
        site = (target.sample or "", target.site or 0)
        for port in step.produces:
            if port.name in view.belief.quantities and issued.action.session is None:
                row = _row_of(view, site, target.design)
                if row is not None:
                    probes.append(view.probe(port.name, row))
        if step.makes is not None and screened:
            sites = [s for s in view.sites if s[0] == target.sample]
            probes += [view.probe(screened[-1], view.sites[s]) for s in sites[::2]]
    for session in state.open_sessions().values():
        if session.grant.sample == without:
            continue
        sites = _unmeasured(view, session.grant.sample)
        probes += [view.probe(screened[-1], view.sites[s]) for s in sites[::2] if screened]
    return probes


def _row_of(view: View, site: Site, design: dict[str, float]) -> int | None:
    if site in view.sites:
        return view.sites[site]
    return view.designs.index(design) if design in view.designs else None


def _unmeasured(view: View, sample: str) -> list[Site]:
    """Sites of a sample that the session has not yet reduced to its last quantity."""
    screened = session_quantities(view)
    return [
        s
        for s in view.sites
        if s[0] == sample
        and screened
        and screened[-1] not in view.state.inventory.status((s[0], s[1], ())).values
    ]
