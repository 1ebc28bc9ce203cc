"""The state of a campaign: a fold over its events, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._action import Action, ActionState, Commitment, Target
from ._autonomy import Autonomy
from ._decision import Decision, Grant, Recommendation
from ._events import (
    Alerted,
    Answered,
    Asked,
    Assessed,
    Awaiting,
    Commanded,
    Decided,
    Event,
    Issued,
    Observed,
    Refused,
    Resumed,
    Secured,
    Started,
    Stopped,
)
from ._goal import Budget, Goal
from ._inventory import Inventory, Place, place_of
from ._observation import Observation
from ._orders import Abort, Change, Continue, Pause, Stop
from ._step import Step
from ._wishes import Wishes
from ._workflow import Workflow

_SLACK = 1e-9


@dataclass
class Session:
    """One sample on one instrument, with what the campaign tier granted it.

    ``epoch`` is the state's when it was opened: a session of an earlier one was granted by another
    policy or for another goal.
    """

    grant: Grant
    opened_h: float
    epoch: int = 0
    spent_credits: float = 0.0
    closed_h: float | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        return self.closed_h is None


@dataclass
class State:
    """Everything a policy may look at. ``capacity`` is what each worker can do at once.

    ``running`` holds what is given to a worker and, also in ``awaiting``, what will be if a human
    approves: both hold their worker and their commitment. ``epoch`` counts changes of policy and
    goal. ``paused``, ``stopping`` and ``aborting`` say why, and None if not; ``heard`` are the ids
    of all orders so far. ``wishes`` are what people want of sessions, ``wished`` tells since whose
    word.
    """

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
    policy: str = ""
    autonomy: Autonomy = field(default_factory=Autonomy)
    wishes: Wishes = field(default_factory=Wishes)
    wished: str = "of the campaign's file"
    epoch: int = 0
    awaiting: dict[str, Awaiting] = field(default_factory=dict)
    paused: str | None = None
    secured: bool = False
    stopping: str | None = None
    aborting: str | None = None
    heard: set[str] = field(default_factory=set)
    alerts: dict[str, str] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Take in one event."""
        self.now_h = max(self.now_h, event.hour)
        match event:
            case Decided():
                self._decided(event)
            case Refused():
                self._refused(event)
            case Awaiting():
                self._awaiting(event)
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
            case Started() | Resumed():
                self.offers = dict(event.offers) or self.offers
                self.secured = False
            case Commanded():
                self._commanded(event)
            case Secured():
                self.secured = True
            case Alerted():
                self.alerts[event.about] = event.message

    def _decided(self, event: Decided) -> None:
        decision = event.decision
        self.decisions = decision.number + 1
        self.actions_numbered += len(decision.actions)
        self.last_decision = decision
        for action in decision.actions:
            self.actions[action.id] = action
            self.states[action.id] = ActionState.PROPOSED
        if decision.grant is not None:
            session = Session(decision.grant, event.hour, self.epoch)
            self.sessions[decision.grant.session] = self.open[decision.grant.session] = session
        if decision.kind == "close" and decision.session is not None:
            session = self.sessions[decision.session]
            session.closed_h, session.reason = event.hour, decision.reason
            self.open.pop(decision.session, None)
            if session.grant.sample in self.inventory.samples:
                self.inventory.unmount(session.grant.sample, self.workflow.unmount_undoes)

    def _refused(self, event: Refused) -> None:
        self.refused[event.action_id] = event
        self.states[event.action_id] = ActionState.ABANDONED
        waited = self.awaiting.pop(event.action_id, None)
        if waited is not None:
            self.release(event.action_id)

    def _awaiting(self, event: Awaiting) -> None:
        item = Issued(
            hour=event.hour, action=event.action, worker=event.worker, commitment=event.commitment
        )
        self._issued(item)
        self.awaiting[event.action.id] = event
        self.states[event.action.id] = ActionState.AWAITING_APPROVAL

    def _commanded(self, event: Commanded) -> None:
        self.heard.add(event.message.id)
        if not event.accepted:
            return
        by = event.message.who
        match event.message.order:
            case Pause(reason=reason):
                self.paused, self.secured = _told("paused", by, reason), False
            case Continue():
                self.paused = None
            case Stop(reason=reason):
                self.stopping = _told("stopped", by, reason)
            case Abort(reason=reason):
                self.aborting = _told("aborted", by, reason)
            case _:
                self._changed(event.change or Change())
                if event.change is not None and event.change.session is not None:
                    self.wished = f"of {by} at hour {event.hour:.4g} (order {event.message.id})"

    def _changed(self, change: Change) -> None:
        self.budget = change.budget or self.budget
        self.autonomy = change.autonomy or self.autonomy
        self.wishes = change.session or self.wishes
        policy, goal = change.policy or self.policy, change.goal or self.goal
        if goal != self.goal:
            self.recommendation = None
        self.epoch += (policy, goal) != (self.policy, self.goal)
        self.policy, self.goal = policy, goal

    def _issued(self, event: Issued) -> None:
        if self.awaiting.pop(event.action.id, None) is not None:
            self.running[event.action.id] = event
            self.states[event.action.id] = ActionState.RUNNING
            return
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

    def release(self, action_id: str) -> None:
        """Undo :meth:`hold` of an action that is not done after all."""
        item = self.running.pop(action_id)
        self.load[item.worker] -= 1
        self.samples_begun -= item.commitment.samples

    def ahead(self, grant: Grant | None = None) -> State:
        """A copy with a grant, in which further actions can be held, to see what is affordable."""
        copy = replace(self, running=dict(self.running), load=dict(self.load))
        if grant is not None:
            copy.sessions, copy.open = dict(self.sessions), dict(self.open)
            session = Session(grant, self.now_h, self.epoch)
            copy.sessions[grant.session] = copy.open[grant.session] = session
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
        extent = step.extent(action)
        return Commitment(
            credits=step.cost_credits.cap(*extent),
            hours=step.latency_h.cap(*extent),
            samples=1 if step.makes is not None else 0,
            dose_e_per_A2=step.dose_e_per_A2.cap(*extent) if step.exposes else 0.0,
            exposed=place_of(action.target, step.acts_on) if step.exposes else None,
        )

    @property
    def committed_credits(self) -> float:
        return sum(i.commitment.credits for i in self.running.values())

    @property
    def free_credits(self) -> float:
        """Credits neither spent nor committed; infinite without a limit, 0 where more was used than
        there was."""
        if self.budget.credits is None:
            return float("inf")
        return max(0.0, self.budget.credits - self.spent_credits - self.committed_credits)

    def session_free(self, session_id: str) -> float:
        """Credits left in a session's grant, commitments counted; 0 where it used more."""
        session = self.sessions[session_id]
        committed = sum(
            i.commitment.credits for i in self.running.values() if i.action.session == session_id
        )
        return max(0.0, session.grant.credits - session.spent_credits - committed)

    @property
    def granted_credits(self) -> float:
        """Credits that open sessions were granted and have neither spent nor committed."""
        return sum(self.session_free(k) for k in self.open_sessions())

    @property
    def ungranted_credits(self) -> float:
        """Credits that are neither spent, nor committed, nor an open session's."""
        return max(0.0, self.free_credits - self.granted_credits)

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
        if commitment.credits > free + _SLACK:
            return False
        if self.budget.hours is not None and self.now_h + commitment.hours > self.budget.hours:
            return False
        if commitment.exposed is not None and not self.bears_dose(
            commitment.exposed, commitment.dose_e_per_A2
        ):
            return False
        limit = self.budget.samples
        return limit is None or self.samples_begun + commitment.samples <= limit

    def bears_price(self, credits: ArrayLike, hours: ArrayLike) -> NDArray[np.bool_]:
        """Whether expected prices of whole ways, of any shape, keep the limits of credits and time.

        The action that begins a way must be :meth:`affordable` besides.
        """
        keep = np.asarray(credits) <= self.ungranted_credits + _SLACK
        if self.budget.hours is not None:
            keep = keep & (self.now_h + np.asarray(hours) <= self.budget.hours + _SLACK)
        return keep

    # -- dose -------------------------------------------------------------------------------------

    def dose_at(self, place: Place) -> float:
        """Dose that a place has got or may yet get from what runs, in electrons per square
        ångström.

        A site has its own and its sample's; a whole sample the most that any of its sites has.
        """
        sample, site, _ = place
        doses = {p: s.dose_e_per_A2 for p, s in self.inventory.places.items() if s.dose_e_per_A2}
        for issued in self.running.values():
            held = issued.commitment
            if held.exposed is not None:
                doses[held.exposed] = doses.get(held.exposed, 0.0) + held.dose_e_per_A2
        if not sample:
            return doses.get(place, 0.0)
        own = [d for p, d in doses.items() if p[0] == sample and p[1] is not None]
        own = [doses.get(place, 0.0)] if site is not None else own
        return doses.get((sample, None, ()), 0.0) + max(own, default=0.0)

    def bears_dose(self, place: Place, dose_e_per_A2: float) -> bool:
        """Whether so much more keeps the dose of a place within the budget, pending included."""
        limit = self.budget.dose_e_per_A2
        return limit is None or self.dose_at(place) + dose_e_per_A2 <= limit * (1 + 1e-12)

    @property
    def largest_dose(self) -> tuple[float, Place] | None:
        """The largest dose of any place, and the place; None where nothing was exposed."""
        exposed = {p for p, s in self.inventory.places.items() if s.dose_e_per_A2}
        exposed |= {i.commitment.exposed for i in self.running.values() if i.commitment.exposed}
        found = [(self.dose_at(p), p) for p in sorted(exposed, key=str)]
        return max(found, key=lambda f: f[0], default=None)

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

    @property
    def at_work(self) -> dict[str, Issued]:
        """What workers are at: running, and not waiting for approval."""
        return {k: i for k, i in self.running.items() if k not in self.awaiting}


def _told(what: str, by: str, reason: str) -> str:
    return f"{what} by {by}" + (f": {reason}" if reason else "")
