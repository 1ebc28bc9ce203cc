"""Who decides: people, a dead end, or the policy that the state asks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import final

from ..planner import make_policy
from ..workflow import (
    Assessed,
    Commanded,
    Decision,
    Event,
    Observation,
    Observed,
    Policy,
    Recommendation,
    State,
)
from ._recorder import Recorder

Watch = Callable[[str, float], None]
"""Is told how many seconds something took: ``decision``, or ``dispatch`` (which includes it)."""

_DEAD_END = 25
"""So many refusals, or failures, one after the other, and going on is pointless."""


def policy_of(state: State) -> Policy:
    """The policy that a state asks for."""
    return make_policy(state.policy, state.workflow, state.goal)


@final
class Decider:
    """Asks whoever is in charge, and what is best so far.

    Parameters
    ----------
    policy
        Who is in charge now.
    recorder
        Whose state is looked at.
    watch
        Is told how long decisions take.
    make
        Makes the policy that a state asks for, after a change.
    """

    def __init__(
        self, policy: Policy, recorder: Recorder, watch: Watch, make: Callable[[State], Policy]
    ) -> None:
        self._policy, self._recorder, self._watch, self._make = policy, recorder, watch, make
        self._made_for = (recorder.state.policy, recorder.state.goal)
        self._ahead: tuple[int, Decision] | None = None
        self.took_s = 0.0
        """How long the policy thought about its last decision."""

    @property
    def name(self) -> str:
        """The policy's."""
        return self._policy.name

    def decide(self) -> Decision:
        """What people or a dead end force, else what the policy says."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == self._recorder.taken_in:
            return ahead[1]  # nothing has happened since
        state = self._recorder.state
        forced = decided_without_policy(state)
        if forced is not None:
            return forced
        began = time.monotonic()
        decision = without_excess_grant(state, self._policy.decide(state))
        self.took_s = time.monotonic() - began
        self._watch("decision", self.took_s)
        return decision

    def look_ahead(self) -> Decision:
        """The next decision, which is kept for :meth:`decide` unless something happens before."""
        decision = self.decide()
        self._ahead = (self._recorder.taken_in, decision)
        return decision

    def recommend(self) -> Recommendation | None:
        """The policy's answer so far."""
        return self._policy.recommend(self._recorder.state)

    def renew(self) -> Iterator[Event]:
        """After a change of policy or goal: another policy, and what it makes of the state."""
        state = self._recorder.state
        if self._made_for == (state.policy, state.goal):
            return
        self._made_for = (state.policy, state.goal)
        self._policy = self._make(state)
        yield from self.assess()

    def assess(self) -> Iterator[Event]:
        """Record the answer so far, if it is another than before."""
        state, recommendation = self._recorder.state, self.recommend()
        if recommendation is None or recommendation == state.recommendation:
            return
        spent, hour = state.spent_credits, state.now_h
        assessed = Assessed(hour=hour, credits=spent, recommendation=recommendation)
        yield from self._recorder.record(assessed)

    def assess_after(self, last: Event) -> Iterator[Event]:
        """After a crash: the assessment that should have followed the last event, if one should."""
        observed = isinstance(last, Observed) and is_informative(last.observation)
        if observed or (isinstance(last, Commanded) and last.change is not None):
            yield from self.assess()


def is_informative(observation: Observation) -> bool:
    """Whether it carries numbers that a belief takes in."""
    return observation.failure is None and bool(observation.values or observation.grids)


def decided_without_policy(state: State) -> Decision | None:
    """What is decided without asking the policy: by people, or at a dead end."""
    told = forced_decision(state)
    reason = dead_end(state) if told is None else None
    if reason is not None:
        return Decision(number=state.decisions, kind="stop", reason=reason)
    return told


def forced_decision(state: State) -> Decision | None:
    """What is decided without asking the policy, because people said so; None if nothing is.

    A stop; and the end of sessions that another policy, or another goal, was granted.
    """
    ended = state.aborting or state.stopping
    if ended is not None:
        return Decision(number=state.decisions, kind="stop", reason=ended)
    for name, session in state.open_sessions().items():
        busy = any(i.action.session == name for i in state.running.values())
        if session.epoch != state.epoch and not busy:
            return Decision(
                number=state.decisions,
                kind="close",
                tier="session",
                session=name,
                reason="policy or goal was changed",
            )
    return None


def without_excess_grant(state: State, decision: Decision) -> Decision:
    """The decision, less a grant of more credits than there are; then its actions are refused."""
    grant = decision.grant
    if grant is None or grant.credits <= state.ungranted_credits + 1e-9:
        return decision
    return decision.model_copy(update={"grant": None})


def dead_end(state: State) -> str | None:
    """Why going on is pointless, if so: only refusals, or only failures, for a while."""
    tried = list(islice(reversed(state.actions), _DEAD_END))
    if len(tried) == _DEAD_END and all(i in state.refused for i in tried):
        last = state.refused[tried[0]]
        return f"{_DEAD_END} proposals in a row were refused, the last by {last.by}: {last.reason}"
    failures = [o.failure for o in state.observations[-_DEAD_END:] if o.failure is not None]
    if len(failures) == _DEAD_END:
        return f"{_DEAD_END} actions in a row failed, the last: {failures[-1].message}"
    return None
