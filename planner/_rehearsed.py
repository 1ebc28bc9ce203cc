"""The policy ``rehearsed``: from time to time it rehearses what it could be, and is the best of it.

Who decides stands in every decision, so that the choice is part of the state: a resumed campaign
goes on with it, and the same state gives the same decision. Rehearsals are raced in two rounds
(successive halving, Jamieson & Talwalkar 2016), and a change needs more than luck: the challenger
must be ahead by more than a standard error of the difference in the same worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from ..workflow import Decision, Goal, Policy, Recommendation, State, Workflow
from ._network_graph import is_network
from ._playthrough import Playthrough
from ._policies import base_names, base_policy
from ._rehearsal import Contender, RehearsalTask, rehearse, tasks_for, utility
from ._settings import DEFAULT_SETTINGS, PlannerSettings

Play = Callable[[Sequence[RehearsalTask]], Iterable[Playthrough]]
"""Plays rehearsals, in any order: in this process, or as tasks elsewhere."""

_NO_CONTENDERS = frozenset({"planner", "random", "cheap-first", "cost-blind"})
_EVERY = 40
_FIRST_WORLDS, _MORE_WORLDS = 4, 6


def inline_play(tasks: Sequence[RehearsalTask]) -> Iterable[Playthrough]:
    """One after the other in this process."""
    return map(rehearse, tasks)


@final
@dataclass(frozen=True)
class Choice:
    """What a race of rehearsals found, with the reason in words."""

    label: str
    reason: str


@final
class Rehearsed:
    """Chooses among policies and planner settings by rehearsing them on what is left.

    Parameters
    ----------
    settings
        The planner's settings; contenders vary them.
    among
        Who is rehearsed; the first is taken before and without evidence. None for the planner, as
        it is, wide and narrow, and the baselines.
    every
        Decisions between two races.
    play
        Where rehearsals run.

    A race takes at most ``4 * len(among) + 12`` rehearsals.
    """

    name = "rehearsed"

    def __init__(
        self,
        workflow: Workflow,
        goal: Goal,
        settings: PlannerSettings | None = None,
        *,
        among: Sequence[Contender] | None = None,
        every: int = _EVERY,
        play: Play = inline_play,
    ) -> None:
        self._workflow, self._goal = workflow, goal
        self._among = tuple(among or default_contenders(workflow, goal, settings))
        self._every = every
        self.play = play
        self._policies: dict[str, Policy] = {}
        self._last: tuple[object, Choice] | None = None

    def decide(self, state: State) -> Decision:
        """The decision of whom the last race chose; a race first, where one is due."""
        current = self._current(state)
        choice = Choice(current, "")
        if state.decisions % self._every == 0 or not current:
            choice = self._race(state, current or self._among[0].label)
        decision = self._policy(choice.label).decide(state)
        reason = f"{decision.reason}; {choice.reason}" if choice.reason else decision.reason
        return decision.model_copy(update={"contender": choice.label, "reason": reason})

    def recommend(self, state: State) -> Recommendation | None:
        """The planner's own answer, whoever decides: it believes all that was measured."""
        return self._policy(self._among[0].label).recommend(state)

    def _current(self, state: State) -> str:
        """Who decided last; empty where nobody that is known did."""
        label = "" if state.last_decision is None else state.last_decision.contender
        return label if any(c.label == label for c in self._among) else ""

    def _policy(self, label: str) -> Policy:
        if label not in self._policies:
            own = next(c for c in self._among if c.label == label)
            self._policies[label] = base_policy(
                own.policy, self._workflow, self._goal, own.settings
            )
        return self._policies[label]

    def _race(self, state: State, current: str) -> Choice:
        """Two rounds: all in a few worlds, then the better two, and who decides now, in more."""
        key = (id(state), state.decisions, len(state.observations))
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        light = [c.model_copy(update={"settings": _lighter(c.settings)}) for c in self._among]
        seed = int(np.random.SeedSequence([state.seed, 31, state.decisions]).generate_state(1)[0])
        played = list(self.play(tasks_for(state, light, _FIRST_WORLDS, seed)))
        means = {c.label: float(np.mean(_values(played, c.label, state))) for c in light}
        ranked = sorted(means, key=lambda n: -means[n])
        kept = [c for c in light if c.label in {*ranked[:2], current}]
        more = tasks_for(state, kept, _FIRST_WORLDS + _MORE_WORLDS, seed)
        played += self.play(more[_FIRST_WORLDS * len(kept) :])
        choice = _decide({c.label: _values(played, c.label, state) for c in kept}, current)
        self._last = (key, choice)
        return choice


def _values(played: Iterable[Playthrough], label: str, state: State) -> list[float]:
    """What each rehearsal of a contender came to, in the order of its worlds."""
    own = sorted((p for p in played if p.contender == label), key=lambda p: p.world)
    return [utility(p, state) for p in own]


def _decide(values: dict[str, list[float]], current: str) -> Choice:
    """The best of the last round, if it is ahead of who decides now by more than luck."""
    best = max(values, key=lambda n: float(np.mean(values[n])))
    worlds = len(values[current])
    if best == current:
        return Choice(current, f"{current!r} did best in {worlds} rehearsed worlds")
    ahead = np.array(values[best]) - np.array(values[current])
    error = float(ahead.std(ddof=1) / np.sqrt(len(ahead)))
    lead = f"{best!r} was ahead of {current!r} by {ahead.mean():.2g} ± {error:.2g}"
    if ahead.mean() > error:
        return Choice(best, f"{lead} in {worlds} rehearsed worlds and takes over")
    return Choice(current, f"{lead} in {worlds} rehearsed worlds: not enough to change")


def _lighter(settings: PlannerSettings) -> PlannerSettings:
    """Never more to compute than a rehearsal may take."""
    return settings if settings.quick_fit else settings.light()


def default_contenders(
    workflow: Workflow, goal: Goal, settings: PlannerSettings | None = None
) -> tuple[Contender, ...]:
    """The planner as it is; with samples, also wide and narrow; then the serious baselines."""
    own = settings or DEFAULT_SETTINGS
    found = [Contender(label="planner", policy="planner", settings=own)]
    if not is_network(workflow, goal) and workflow.mount is not None:
        wide = {"sites_screened": 2 * own.sites_screened, "grant_margin": 1.6 * own.grant_margin}
        narrow = {"sites_screened": max(own.sites_screened // 2, 1), "grant_margin": 1.0}
        found += [
            Contender(label=f"planner, {n}", policy="planner", settings=own.model_copy(update=u))
            for n, u in (("wide", wide), ("narrow", narrow))
        ]
    others = [n for n in base_names(goal) if n not in _NO_CONTENDERS]
    return (*found, *(Contender(label=n, policy=n, settings=own) for n in others))
