"""Replaying: what a policy decides, asked again at every decision of a journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

from ..planner import make_policy
from ..workflow import Decided, Decision, Event, Goal, Policy, ProbewiseError, State
from ._decider import decided_without_policy, without_excess_grant
from ._loop import STOPS
from ._spec import CampaignSpec


@dataclass(frozen=True)
class Redecision:
    """A decision as it stands in the journal, and what is decided now on the same state.

    ``found`` is None where the other policy cannot decide on such a state; ``problem`` says why.
    ``told`` is whether people or a dead end decided, not a policy.
    """

    hour: float
    stored: Decision
    found: Decision | None
    told: bool = False
    problem: str = ""

    @property
    def same(self) -> bool:
        """Whether the same is done: same actions, with seeds and targets, or the same end."""
        if self.found is None:
            return False
        parts = ("kind", "tier", "session", "grant", "actions")
        names = parts[:1] if self.stored.kind == "stop" else parts
        return all(getattr(self.stored, n) == getattr(self.found, n) for n in names)


def redecide(
    spec: CampaignSpec, events: Iterable[Event], policy: str | None = None
) -> Iterator[Redecision]:
    """Fold the events, and ask again at every decision.

    The same journal gives the same decisions, as far as the libraries below give the same numbers:
    another processor or another version of them may differ in the last digit, and where two actions
    are worth nearly the same, take the other.

    Parameters
    ----------
    spec
        The run's.
    events
        All of them, from the beginning.
    policy
        Another policy; None asks the one that was in charge at that time.

    Raises
    ------
    SpecError
        If the other policy cannot pursue the campaign's goal.
    """
    state = spec.initial_state()
    asked = _Asked(spec, policy)
    for event in events:
        if isinstance(event, Decided):
            found = asked.about(state, event)
            if found is not None:
                yield found
        state.apply(event)


@final
class _Asked:
    """The policies that are asked, renewed as the loop renews its own."""

    def __init__(self, spec: CampaignSpec, other: str | None) -> None:
        self._spec, self._other = spec, other
        self._policy: Policy | None = None
        self._made_for: tuple[str, Goal] | None = None
        self._at_stop: tuple[Decision | None, bool, str] | None = None
        if other is not None:
            make_policy(other, spec.workflow, spec.goal)

    def about(self, state: State, event: Decided) -> Redecision | None:
        """The closings that go with a stop are one decision, taken before the first of them."""
        stored = event.decision
        closing = stored.kind == "close" and stored.reason == STOPS
        if self._at_stop is None or not (closing or stored.kind == "stop"):
            self._at_stop = self._decide(state)
        if closing:
            return None
        (found, told, problem), self._at_stop = self._at_stop, None
        return Redecision(event.hour, stored, found, told, problem)

    def _decide(self, state: State) -> tuple[Decision | None, bool, str]:
        forced = decided_without_policy(state)
        if forced is not None:
            return forced, True, ""
        try:
            found = self._current(state).decide(state)
            return without_excess_grant(state, found), False, ""
        except ProbewiseError as error:
            return None, False, str(error)
        except Exception as error:
            if self._other is None:
                raise
            return None, False, f"{type(error).__name__}: {error}"

    def _current(self, state: State) -> Policy:
        wanted = (self._other or state.policy, state.goal)
        if self._policy is None or wanted != self._made_for:
            self._policy = make_policy(
                wanted[0], self._spec.workflow, wanted[1], self._spec.settings(wanted[1])
            )
            self._made_for = wanted
        return self._policy
