"""The state of a campaign: a fold over its events, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ._action import Action, ActionState, Commitment, Target
from ._decision import Decision, Grant, Recommendation
from ._events import (
    Answered,
    Asked,
    Assessed,
    Decided,
    Event,
    Issued,
    Observed,
    Refused,
    Stopped,
)
from ._goal import Budget, Goal
from ._inventory import Inventory
from ._observation import Observation
from ._step import Step
from ._workflow import Workflow


@dataclass
class Session:
    """One sample on one instrument, with what the campaign tier granted it."""

    grant: Grant
    opened_h: float
    spent_credits: float = 0.0
    closed_h: float | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        return self.closed_h is None


@dataclass
class State:
    """Everything a policy may look at. ``capacity`` is what each worker can do at once."""

    workflow: Workflow
    goal: Goal
    budget: Budget
    seed: int = 0
    capacity: dict[str, int] = field(default_factory=dict)
    offers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    now_h: float = 0.0
    spent_credits: float = 0.0
    samples_begun: int = 0
    decisions: int = 0
    actions_numbered: int = 0
    actions: dict[str, Action] = field(default_factory=dict)
    states: dict[str, ActionState] = field(default_factory=dict)
    running: dict[str, Issued] = field(default_factory=dict)
    load: dict[str, int] = field(default_factory=dict)
    questions: dict[str, Asked] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    observations: list[Observation] = field(default_factory=list)
    inventory: Inventory = field(default_factory=Inventory)
    sessions: dict[str, Session] = field(default_factory=dict)
    open: dict[str, Session] = field(default_factory=dict)
    last_decision: Decision | None = None
    recommendation: Recommendation | None = None
    stopped: str | None = None

    def apply(self, event: Event) -> None:
        """Take in one event."""
        self.now_h = max(self.now_h, event.hour)
        match event:
            case Decided():
                self._decided(event)
            case Refused():
                self.refused[event.action_id] = event
                self.states[event.action_id] = ActionState.ABANDONED
            case Issued():
                self._issued(event)
            case Observed():
                self._observed(event.observation)
            case Asked():
                self.questions[event.action_id] = event
                self.states[event.action_id] = ActionState.UNCERTAIN
            case Answered():
                self.questions.pop(event.action_id, None)
            case Assessed():
                self.recommendation = event.recommendation
            case Stopped():
                self.stopped = event.reason
                self.recommendation = event.recommendation or self.recommendation
            case _:
                pass

    def _decided(self, event: Decided) -> None:
        decision = event.decision
        self.decisions = decision.number + 1
        self.actions_numbered += len(decision.actions)
        self.last_decision = decision
        for action in decision.actions:
            self.actions[action.id] = action
            self.states[action.id] = ActionState.PROPOSED
        if decision.grant is not None:
            session = Session(decision.grant, event.hour)
            self.sessions[decision.grant.session] = self.open[decision.grant.session] = session
        if decision.kind == "close" and decision.session is not None:
            session = self.sessions[decision.session]
            session.closed_h, session.reason = event.hour, decision.reason
            self.open.pop(decision.session, None)
            if session.grant.sample in self.inventory.samples:
                self.inventory.unmount(session.grant.sample, self.workflow.unmount_undoes)

    def _issued(self, event: Issued) -> None:
        if event.action.id in self.running:
            return
        self.hold(event)
        self.actions[event.action.id] = event.action
        self.states[event.action.id] = ActionState.RUNNING

    def hold(self, item: Issued) -> None:
        """Count an action as running: its worker, its credits and its sample are taken."""
        self.running[item.action.id] = item
        self.load[item.worker] = self.load.get(item.worker, 0) + 1
        self.samples_begun += item.commitment.samples

    def ahead(self, grant: Grant | None = None) -> State:
        """A copy with a grant, in which further actions can be held, to see what is affordable."""
        copy = replace(self, running=dict(self.running), load=dict(self.load))
        if grant is not None:
            copy.sessions, copy.open = dict(self.sessions), dict(self.open)
            copy.sessions[grant.session] = copy.open[grant.session] = Session(grant, self.now_h)
        return copy

    def _observed(self, observation: Observation) -> None:
        issued = self.running.pop(observation.action_id)
        self.load[issued.worker] -= 1
        action = issued.action
        self.questions.pop(action.id, None)
        self.observations.append(observation)
        self.spent_credits += observation.cost_credits
        if action.session is not None:
            self.sessions[action.session].spent_credits += observation.cost_credits
        failed = observation.failure
        self.states[action.id] = (
            ActionState.COMPLETED
            if failed is None
            else ActionState.UNCERTAIN
            if failed.kind == "uncertain"
            else ActionState.FAILED
        )
        step = self.workflow.step(action.step)
        made = (
            tuple(step.makes.designs(action.target.design, self.workflow.space))
            if step.makes is not None
            else ()
        )
        self.inventory.apply(action, step, observation, made)
        stop = observation.quality is not None and observation.quality.verdict == "stop"
        if stop and action.target.sample is not None and self.workflow.mount is not None:
            prepared = self.workflow.unmount_undoes - {self.workflow.mount.name}
            self.inventory.unprepare(action.target.sample, prepared)

    # -- money and time ---------------------------------------------------------------------------

    def commitment(self, action: Action) -> Commitment:
        """The most that an action may charge and last."""
        step = self.workflow.step(action.step)
        n = len(action.target.positions) or 1
        return Commitment(
            credits=step.cost_credits.cap(n),
            hours=step.latency_h.cap(n),
            samples=1 if step.makes is not None else 0,
        )

    @property
    def committed_credits(self) -> float:
        return sum(i.commitment.credits for i in self.running.values())

    @property
    def free_credits(self) -> float:
        """Credits neither spent nor committed; infinite without a limit."""
        if self.budget.credits is None:
            return float("inf")
        return self.budget.credits - self.spent_credits - self.committed_credits

    def session_free(self, session_id: str) -> float:
        """Credits left in a session's grant, commitments counted."""
        session = self.sessions[session_id]
        committed = sum(
            i.commitment.credits for i in self.running.values() if i.action.session == session_id
        )
        return session.grant.credits - session.spent_credits - committed

    @property
    def granted_credits(self) -> float:
        """Credits that open sessions were granted and have neither spent nor committed."""
        return sum(max(self.session_free(k), 0.0) for k in self.open_sessions())

    @property
    def ungranted_credits(self) -> float:
        """Credits that are neither spent, nor committed, nor an open session's."""
        return self.free_credits - self.granted_credits

    def affordable(self, commitment: Commitment, session_id: str | None = None) -> bool:
        """Whether an action with this commitment keeps every hard limit, pending included.

        What open sessions were granted is theirs: other actions cannot have it.
        """
        if session_id is None:
            free = self.ungranted_credits
        elif not self.sessions[session_id].is_open:
            return False  # what it did not spend was given back
        else:
            free = min(self.free_credits, self.session_free(session_id))
        if commitment.credits > free + 1e-9:
            return False
        if self.budget.hours is not None and self.now_h + commitment.hours > self.budget.hours:
            return False
        limit = self.budget.samples
        return limit is None or self.samples_begun + commitment.samples <= limit

    # -- workers ----------------------------------------------------------------------------------

    def load_of(self, worker: str) -> int:
        return self.load.get(worker, 0)

    def free_worker(self, step: Step, target: Target | None = None) -> str | None:
        """The least loaded worker that can do the step on the target and has room, or None.

        A mounted sample is measured where it is mounted, and an instrument with the sample of an
        open session on it takes no other.
        """
        sample = None if target is None else self.inventory.samples.get(target.sample or "")
        load, capacity = self.load, self.capacity
        offers = self.offers.get(step.needs, ())
        able = [w for w in offers if load.get(w, 0) < capacity.get(w, 1)]
        if step.mounts:
            able = [w for w in able if not self._occupied(w, target)]
        elif sample is not None and sample.mounted_on in offers:
            able = [w for w in able if w == sample.mounted_on]
        return min(able, key=lambda w: (load.get(w, 0), w)) if able else None

    def _occupied(self, worker: str, target: Target | None) -> bool:
        """Whether an open session has another sample on the instrument, or is mounting one."""
        own = None if target is None else target.sample
        held = {s.grant.sample for s in self.open.values()} - {own}
        samples = self.inventory.samples
        return any(name in samples and samples[name].mounted_on == worker for name in held)

    def open_sessions(self) -> dict[str, Session]:
        return dict(self.open)
