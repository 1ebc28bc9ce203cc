"""A workflow without weighing: the ground on which the baselines stand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ..workflow import (
    Action,
    Commitment,
    Decision,
    Design,
    Goal,
    Grant,
    Recommendation,
    Sample,
    State,
    Step,
    Target,
    Workflow,
    place_of,
)
from ._build import build_action
from ._evidence import looked_at, measured_ends, relevant_quantities
from ._follow_up import close, follow_up, unreduced
from ._options import MAX_FAILURES, failed_too_often, refused_before
from ._planner_for import planner_for
from ._positions import positions_for
from ._settings import PlannerSettings


class Scripted(ABC):
    """A workflow without weighing: make, screen, test, and again, until the budget ends."""

    name: str

    def __init__(
        self, workflow: Workflow, goal: Goal, settings: PlannerSettings | None = None
    ) -> None:
        self._workflow = workflow
        self._goal = goal
        self._quantities = relevant_quantities(workflow, *looked_at(workflow, goal))
        self._screens = tuple(
            q for q in self._quantities if workflow.producer(q).name in workflow.session_steps
        )
        self._recommender = planner_for(workflow, goal, settings=settings)
        self._wanted = measured_ends(workflow, goal)
        self._final = workflow.producer(self._wanted[0])

    @abstractmethod
    def next_design(self, state: State, number: int) -> Design | None:
        """The design of sample (or test) ``number``, or None when the plan is done."""

    @abstractmethod
    def screened(self, state: State, sample: Sample) -> Sequence[int]:
        """Sites of a sample to screen."""

    @abstractmethod
    def tested(self, state: State, sample: Sample) -> Sequence[int]:
        """Sites of a sample to test."""

    def decide(self, state: State) -> Decision:
        for propose in (self._in_session, self._test, self._open, self._make):
            decision = propose(state)
            if decision is not None:
                return decision
        if state.running:
            return Decision(number=state.decisions, kind="wait", reason="every agent is at work")
        return Decision(
            number=state.decisions, kind="stop", reason="the plan is done or the budget used up"
        )

    def recommend(self, state: State) -> Recommendation:
        return self._recommender.recommend(state)

    # -- proposals, in order ----------------------------------------------------------------------

    def _in_session(self, state: State) -> Decision | None:
        for session_id, session in state.open_sessions().items():
            if any(i.action.session == session_id for i in state.running.values()):
                continue
            sample = state.inventory.samples[session.grant.sample]
            for step, target in unreduced(state, sample):
                action = build_action(state, step, target, session=session_id)
                if self._can(state, step, action, session_id):
                    return follow_up(state, session_id, action, 0.0, {})
            for site in self.screened(state, sample):
                step = self._open_screen(state, sample, site)
                if step is None:
                    continue
                target = _site(sample, site)
                if step.acts_on == "positions":
                    chosen = positions_for(state, step, target)
                    target = target.model_copy(update={"positions": chosen})
                action = build_action(state, step, target, session=session_id)
                if self._can(state, step, action, session_id):
                    return self._act(state, action, f"screen pad {site}", session_id)
            if not self._waiting(state, sample):
                return close(state, session_id, "every site that the plan names is screened")
        return None

    def _waiting(self, state: State, sample: Sample) -> bool:
        """Whether the only hindrance is a busy worker."""
        steps = [self._open_screen(state, sample, i) for i in self.screened(state, sample)]
        return any(s is not None and state.free_worker(s) is None and state.running for s in steps)

    def _open_screen(self, state: State, sample: Sample, site: int) -> Step | None:
        """The first open step of a site's screening, or None when it is done or hopeless."""
        if not self._screens:
            return None
        target = _site(sample, site)
        last = self._screens[-1]
        status = state.inventory.status((sample.id, site, ()))
        if not status.alive or last in status.values:
            return None
        chain = state.workflow.open_steps(state.workflow.producer(last), target, state.inventory)
        places = (status, state.inventory.status((sample.id, None, ())))
        if any(p.failures.get(s.name, 0) >= MAX_FAILURES for s in chain for p in places):
            return None
        return chain[0]

    def _open(self, state: State) -> Decision | None:
        mount = state.workflow.mount
        if mount is None or state.open_sessions() or state.free_worker(mount) is None:
            return None
        for sample in state.inventory.samples.values():
            sites = [i for i in self.screened(state, sample) if self._open_screen(state, sample, i)]
            if not sites or any(s.grant.sample == sample.id for s in state.sessions.values()):
                continue
            session = f"session-{len(state.sessions) + 1:03d}"
            action = build_action(state, mount, Target(sample=sample.id), session=session)
            if not self._can(state, mount, action, None):
                return None
            grant = Grant(
                session=session,
                sample=sample.id,
                credits=min(self._session_cap(state, sample, sites), state.free_credits),
                hours=1e6,
                reservation_rate=0.0,
            )
            decision = self._act(
                state, action, f"screen {len(sites)} sites of {sample.id}", session
            )
            return decision.model_copy(update={"grant": grant, "tier": "campaign"})
        return None

    def _session_cap(self, state: State, sample: Sample, sites: Sequence[int]) -> float:
        """Caps of all steps that screening these sites can take."""
        step = state.workflow.producer(self._screens[-1])
        return sum(
            link.cost_credits.cap(*state.workflow.usual_extent(link))
            for site in sites
            for link in state.workflow.open_steps(step, _site(sample, site), state.inventory)
        )

    def _test(self, state: State) -> Decision | None:
        if self._final.acts_on not in {"site", "positions"}:
            return None
        held = {s.grant.sample for s in state.open_sessions().values()}
        for sample in state.inventory.samples.values():
            if sample.id in held or self._unfinished(state, sample):
                continue
            for site in self.tested(state, sample):
                step = self._open_test(state, sample, site)
                if step is None:
                    continue
                action = build_action(state, step, _site(sample, site))
                if self._can(state, step, action, None):
                    return self._act(state, action, f"test pad {site} of {sample.id}")
        return None

    def _open_test(self, state: State, sample: Sample, site: int) -> Step | None:
        """The first open step of a site's test, or None when it is done, under way or hopeless.

        What needs a mounted sample is left to sessions.
        """
        status = state.inventory.status((sample.id, site, ()))
        unknown = [q for q in self._wanted if q not in status.values]
        if not status.alive or not unknown:
            return None
        for issued in state.running.values():
            if (issued.action.target.sample, issued.action.target.site) == (sample.id, site):
                return None
        final = state.workflow.producer(unknown[0])
        step = state.workflow.open_steps(final, _site(sample, site), state.inventory)[0]
        hopeless = status.failures.get(step.name, 0) >= MAX_FAILURES
        return None if hopeless or step.name in state.workflow.session_steps else step

    def _make(self, state: State) -> Decision | None:
        maker = next((s for s in state.workflow.steps if s.makes is not None), None)
        if maker is None:
            return self._next_chain(state)
        made = sum(a.step == maker.name for a in state.actions.values())
        waiting = [s for s in state.inventory.samples.values() if self._unfinished(state, s)]
        design = self.next_design(state, made)
        if design is None or waiting:
            return None
        action = build_action(state, maker, Target(design=design))
        if not self._can(state, maker, action, None):
            return None
        return self._act(state, action, f"sample {made + 1} of the plan")

    def _unfinished(self, state: State, sample: Sample) -> bool:
        """Whether the plan still has work on a sample that no session holds."""
        held = any(s.grant.sample == sample.id for s in state.sessions.values())
        return not held and any(
            self._open_screen(state, sample, i) for i in self.screened(state, sample)
        )

    def _next_chain(self, state: State) -> Decision | None:
        """In workflows without samples: all steps of one design, then the next design."""
        if state.running or self._final.acts_on != "design":
            return None
        finals = sum(a.step == self._final.name for a in state.actions.values())
        more = self._rest_of_design(state)
        if more is not None:
            return more
        design = self.next_design(state, finals + self._given_up(state))
        if design is None:
            return None
        target = Target(design=design)
        step = state.workflow.open_steps(self._final, target, state.inventory)[0]
        action = build_action(state, step, target)
        if not self._can(state, step, action, None):
            return None
        return self._act(state, action, f"design {finals + 1} of the plan")

    def _rest_of_design(self, state: State) -> Decision | None:
        """What is still to be measured where the goal's first quantity was measured last."""
        last = [a for a in state.actions.values() if a.step == self._final.name]
        for quantity in self._wanted if last else ():
            target, final = last[-1].target, state.workflow.producer(quantity)
            if state.inventory.value(quantity, target) is not None or final == self._final:
                continue
            step = state.workflow.open_steps(final, target, state.inventory)[0]
            action = build_action(state, step, target)
            if self._can(state, step, action, None) and not failed_too_often(state, [step], target):
                return self._act(state, action, f"{quantity} at the same design")
        return None

    def _given_up(self, state: State) -> int:
        """Designs whose last step was never reached: one before it was refused or keeps failing."""
        lost = {
            place_of(state.actions[i].target, "design")
            for i in state.refused
            if state.actions[i].step != self._final.name
        }
        for place, status in state.inventory.places.items():
            failed = [n for step, n in status.failures.items() if step != self._final.name]
            if max(failed, default=0) >= MAX_FAILURES:
                lost.add(place)
        return len(lost)

    def _can(self, state: State, step: Step, action: Action, session: str | None) -> bool:
        commitment: Commitment = state.commitment(action)
        if refused_before(state, step, action.target):
            return False
        free = state.free_worker(step, action.target) is not None
        return free and state.affordable(commitment, session)

    def _act(
        self, state: State, action: Action, reason: str, session: str | None = None
    ) -> Decision:
        return Decision(
            number=state.decisions,
            kind="act",
            tier="session" if session else "campaign",
            actions=(action,),
            session=session,
            reason=f"{self.name}: {reason}",
        )


def _site(sample: Sample, site: int) -> Target:
    return Target(design=sample.sites[site], sample=sample.id, site=site)
