"""What a campaign leaves on the table: how far its answer may be from the best, as believed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..workflow import Alternative, Decision, Record, State
from ._forecast import Spread
from ._possible_world import rehearsable
from ._rehearsal import possible_worlds

_WORLDS = 24


class Leftover(Record):
    """What is still to be gained, and what would gain it.

    ``expected`` is the mean over possible worlds of the difference between a world's best and the
    answer's value in it (what knowing everything would gain), in the goal's unit, and ``spread``
    its middle 80 %. ``option`` is what the planner would have done next, with gain and price.
    """

    expected: float
    spread: Spread
    option: Alternative | None = None


def left_on_the_table(state: State, decisions: Sequence[Decision] = ()) -> Leftover | None:
    """What a state leaves; ``decisions`` are those so far.

    None without an answer, or for goals that cannot be rehearsed.
    """
    found, goal = state.recommendation, state.goal
    if found is None or not rehearsable(goal):
        return None
    regrets = [w.score(found).regret for w in possible_worlds(state, range(_WORLDS))]
    return Leftover(
        expected=float(np.mean(regrets)), spread=Spread.of(regrets), option=_next_best(decisions)
    )


def _next_best(decisions: Sequence[Decision]) -> Alternative | None:
    """The best option that the last decision of the campaign tier saw and did not take."""
    last = next((d for d in reversed(decisions) if d.tier == "campaign"), None)
    if last is None:
        return None
    gaining = [a for a in last.alternatives if a.value > 0]
    return max(gaining, key=lambda a: a.index, default=None)
