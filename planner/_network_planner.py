"""The policy ``planner`` where quantities are measured at designs: a network of functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from ..workflow import (
    Alternative,
    Commitment,
    Decision,
    Estimate,
    Maximize,
    Recommendation,
    State,
    Step,
    Target,
    Workflow,
)
from ._build import build_action
from ._network_belief import Memory, NetworkBelief
from ._network_forward import forward
from ._network_graph import Network
from ._network_kernel import Vector
from ._network_options import Proposal, proposals
from ._network_points import make_pool, wary_pool
from ._network_pool import Pool, joint_sample
from ._network_start import first_step
from ._network_verify import to_verify
from ._options import failed_too_often, refused_before
from ._prices import Prices
from ._threads import one_thread

_LOOKED_AT = 400
_NOTHING = 1e-9
_DOUBT_EVERY = 3
_END_EVERY = 4
_STALE = 0.02
"""A share of what the best is above the middle that the rest of the budget must promise to gain."""
_WARY = 2.0
"""How many times larger standard deviations are where the belief is doubted."""


@final
@dataclass(frozen=True)
class NetworkSettings:
    """How the planner values what it could do.

    Attributes
    ----------
    estimates
        ``both``, or one alone: ``gain`` (knowledge gradient) or ``chain`` (chain index).
    doubt
        Whether every third decision is made with length scales as short as the data allow, among
        steps that are no dearer, and a belief that promises nothing is doubted.
    cost_blind
        Whether every step counts as one credit, whatever it costs.
    """

    estimates: str = "both"
    doubt: bool = True
    cost_blind: bool = False


@final
class NetworkPlanner:
    """Measures what promises the largest gain per credit, by two estimates.

    ``quantities`` restricts what is measured and believed (the single-source baseline sees the
    dear test alone).
    """

    def __init__(
        self,
        workflow: Workflow,
        goal: Maximize,
        quantities: tuple[str, ...] | None = None,
        settings: NetworkSettings | None = None,
    ) -> None:
        self._goal = goal
        self._settings = settings or NetworkSettings()
        self.name = "cost-blind" if self._settings.cost_blind else "planner"
        self._network = Network(workflow, goal.quantity, goal.subject_to, quantities)
        self._memory = Memory()
        self._cached: tuple[object, NetworkBelief, Pool] | None = None

    # -- looking ----------------------------------------------------------------------------------

    def _look(self, state: State) -> tuple[NetworkBelief, Pool]:
        """Belief and pool for a state; kept while nothing that matters changes."""
        key = (id(state), len(state.observations), tuple(state.running))
        if self._cached is None or self._cached[0] != key:
            belief = NetworkBelief(self._network, state, self._memory)
            self._cached = (key, belief, make_pool(belief, self._seed(state)))
        return self._cached[1], self._cached[2]

    def _seed(self, state: State) -> int:
        told = [state.seed, 3, len(state.observations), len(state.running)]
        return int(np.random.SeedSequence(told).generate_state(1)[0])

    # -- deciding ---------------------------------------------------------------------------------

    def decide(self, state: State) -> Decision:
        """The best affordable proposal whose worker is free; else wait, or stop with the reason."""
        with one_thread():
            return self._decide(state)

    def _decide(self, state: State) -> Decision:
        belief, pool = self._look(state)
        start = first_step(self._network, state, belief)
        if start is not None:
            return start
        prices = Prices(state, self._settings.cost_blind)
        seed, estimates = self._seed(state), self._settings.estimates
        found = proposals(belief, prices, pool, seed, estimates)
        if self._settings.doubt and len(state.observations) % _DOUBT_EVERY == _DOUBT_EVERY - 1:
            found = self._doubted(state, belief, prices, found)
        if self._settings.doubt and self._is_stale(state, belief, found):
            doubts = self._ends_doubted(state, belief, prices)
            if not doubts:
                wary = belief.inflated(_WARY)
                doubts = proposals(wary, prices, wary_pool(wary, pool, seed), seed, estimates)
            if doubts and (len(state.observations) % 2 or doubts[0].cost < found[0].cost):
                found = doubts
        return self._choose(state, found)

    def _ends_doubted(self, state: State, belief: NetworkBelief, prices: Prices) -> list[Proposal]:
        """Every fourth time, what the doubted belief proposes if that is to measure the end.

        Where a belief promises nothing any more, a better end may lie between those that it knows:
        the dear step that would tell is worth what is left of the budget.
        """
        if len(state.observations) % _END_EVERY != _END_EVERY - 1:
            return []
        doubts = self._doubts(state, belief, prices)
        return doubts if doubts and doubts[0].quantity == self._goal.quantity else []

    def _doubts(self, state: State, belief: NetworkBelief, prices: Prices) -> list[Proposal]:
        """What the doubted belief proposes; nothing where it is no other."""
        doubted = belief.doubting()
        if doubted is None:
            return []
        seed = self._seed(state)
        pool = make_pool(doubted, seed)
        return proposals(doubted, prices, pool, seed, self._settings.estimates)

    def _doubted(
        self, state: State, belief: NetworkBelief, prices: Prices, found: list[Proposal]
    ) -> list[Proposal]:
        """What the doubted belief proposes among steps no dearer than the one that ``found`` takes.

        Short length scales make every place promising that was not tried, also for the dear test
        of something like what was just tested: a doubt may look elsewhere, but not spend more.
        """
        if not found:
            return found
        rate = state.budget.credits_per_hour
        limit = prices.of(found[0].step).at(rate) * (1.0 + 1e-9)
        doubts = self._doubts(state, belief, prices)
        return [d for d in doubts if prices.of(d.step).at(rate) <= limit] or found

    def _is_stale(self, state: State, belief: NetworkBelief, found: list[Proposal]) -> bool:
        """Whether, by its own belief, the rest of the budget would gain next to nothing.

        Then it is more likely that the belief is wrong. Every second decision looks for that, in
        turn with short length scales and with large spreads, and so does one that would pay more
        for its little gain.
        """
        if not found or not np.isfinite(state.free_credits):
            return False
        return found[0].index * state.free_credits < _STALE * belief.height

    def _choose(self, state: State, found: list[Proposal]) -> Decision:
        scale = max((abs(p.value) for p in found), default=0.0)
        worthwhile = [p for p in found if p.value > _NOTHING * scale and self._worth_its_price(p)]
        unpayable = 0
        for p in worthwhile[:_LOOKED_AT]:
            target = self._target(p.step, p.x)
            if _is_barred(state, p, target):
                continue
            if not self._payable(state, p, target):
                unpayable += 1
                continue
            if state.free_worker(p.step, target) is not None:
                last = self._last_chance(state, p, target) or p
                return self._act(state, last, self._target(last.step, last.x), found)
        return self._idle(state, found, worthwhile, unpayable)

    def _worth_its_price(self, p: Proposal) -> bool:
        worth = self._goal.worth_credits
        return worth is None or p.value * worth >= p.cost

    def _last_chance(self, state: State, p: Proposal, target: Target) -> Proposal | None:
        """To see the answer for oneself, where a cheaper source would use up what that costs.

        A source may mislead: what it alone says is not to be the last word. Where credits are worth
        something themselves, the test must be worth its own.
        """
        belief, pool = self._look(state)
        if p.quantity in belief.network.path:
            return None
        prices = Prices(state)  # what the budget pays for is no matter of how steps are valued
        last = to_verify(belief, prices, pool)
        if last is None or not self._worth_its_price(last):
            return None
        there = self._target(last.step, last.x)
        first = state.commitment(build_action(state, p.step, target, parameters=dict(p.given)))
        second = state.commitment(build_action(state, last.step, there))
        both = Commitment(credits=first.credits + second.credits, hours=first.hours + second.hours)
        way = prices.of(p.step, design=target.design) + last.price
        enough = state.affordable(both) and bool(state.bears_price(way.credits, way.hours))
        if enough or not self._payable(state, last, there):
            return None
        free = state.free_worker(last.step, there) is not None
        return last if free and not _is_barred(state, last, there) else None

    def _target(self, step: Step, x: Vector) -> Target:
        return Target(design=self._network.workflow.space.decode(x)[0])

    def _payable(self, state: State, p: Proposal, target: Target) -> bool:
        action = build_action(state, p.step, target, parameters=dict(p.given))
        whole = state.bears_price(p.price.credits, p.price.hours)
        return bool(whole) and state.affordable(state.commitment(action))

    def _act(self, state: State, p: Proposal, target: Target, found: list[Proposal]) -> Decision:
        others = [o for o in found if o is not p][:5]
        what = "the way to the end, beginning with" if p.whole else "knowing"
        if p.last:
            what = "while the budget still pays for seeing the answer, knowing"
        unit = state.workflow.unit(self._goal.quantity)
        runner = ""
        if others:
            other = self._target(others[0].step, others[0].x)
            runner = f"; next best is {others[0].quantity} at {other.label} ({others[0].index:.2g})"
        return Decision(
            number=state.decisions,
            kind="act",
            actions=(build_action(state, p.step, target, parameters=dict(p.given)),),
            value=p.value,
            price_credits=p.cost,
            index=p.index,
            reason=f"{p.step.name} at {target.label}{_as_set(p)}: {what} {p.quantity} "
            f"is expected to gain {p.value:.3g} {unit} for {p.cost:.3g} credits, "
            f"{p.index:.2g} per credit{runner}",
            alternatives=tuple(self._alternative(o) for o in others),
            expected=self._expected(state, p),
        )

    def _alternative(self, p: Proposal) -> Alternative:
        return Alternative(
            label=f"{p.quantity} at {self._target(p.step, p.x).label}",
            step=p.step.name,
            value=p.value,
            price_credits=p.cost,
            index=p.index,
        )

    def _expected(self, state: State, p: Proposal) -> dict[str, Estimate]:
        """The belief of what the step produces, where its inputs are known."""
        belief, _ = self._look(state)
        x = p.x[None, :]
        known = belief.lookup(x)
        expected: dict[str, Estimate] = {}
        known |= {q: np.array([v]) for q, v in p.given.items()}
        for node in self._network.learned:
            values = [known.get(q, np.array([np.nan])) for q in node.parents]
            if node.step.name != p.step.name or any(np.isnan(v[0]) for v in values):
                continue
            inputs = belief.inputs(node, x, dict(zip(node.parents, values, strict=True)))
            moments = belief.groups[node.group].moments(inputs, node.level)
            location, scale = belief.scales[node.quantity]
            expected[node.quantity] = Estimate(
                value=location + scale * float(moments.mean[0]), std=scale * float(moments.std[0])
            )
        return expected

    def _idle(
        self, state: State, found: list[Proposal], worthwhile: list[Proposal], unpayable: int
    ) -> Decision:
        if not found:
            reason = "nothing is left to measure within the budget"
        elif not worthwhile:
            best = found[0]
            unit = state.workflow.unit(self._goal.quantity)
            reason = (
                f"the best that is left, {best.step.name}, would gain {best.value:.3g} {unit} "
                f"for {best.cost:.3g} credits: not worth its price"
            )
        elif unpayable:
            reason = "the budget does not pay for anything that would gain"
        else:
            reason = "what would gain is refused, failed too often, or its worker is busy"
        busy = bool(state.running)
        return Decision(
            number=state.decisions,
            kind="wait" if busy else "stop",
            reason=f"waiting for {len(state.running)} running: {reason}" if busy else reason,
            alternatives=tuple(self._alternative(p) for p in found[:5]),
        )

    # -- the answer -------------------------------------------------------------------------------

    def recommend(self, state: State) -> Recommendation:
        """The design whose believed value, less half its standard deviation, is largest.

        An answer is asked for to be relied on: a little better in the mean is not worth the risk of
        an extrapolation.
        """
        with one_thread():
            return self._recommend(state)

    def _recommend(self, state: State) -> Recommendation:
        belief, pool = self._look(state)
        x = pool.x[pool.answer][None, :]
        known = belief.lookup(x)
        sample = joint_sample(belief, self._seed(state), 64)
        reach = forward(belief, x, known, sample.draws)
        mean = float(sample.mean(reach.mean)[0])
        std = float(np.sqrt(sample.mean(reach.std**2 + (reach.mean - mean) ** 2)[0]))
        return Recommendation(
            goal=self._goal,
            design=state.workflow.space.decode(x[0])[0],
            estimate=Estimate(value=mean, std=std),
            unit=state.workflow.unit(self._goal.quantity),
        )


def _is_barred(state: State, p: Proposal, target: Target) -> bool:
    """Whether somebody refused it there, or it failed too often."""
    return refused_before(state, p.step, target) or failed_too_often(state, (p.step,), target)


def _as_set(p: Proposal) -> str:
    """The inputs that are set instead of made, in words."""
    if not p.given:
        return ""
    return " with " + ", ".join(f"{k} set to {v:.4g}" for k, v in p.given.items())
