"""What became of a policy that was played to its end in one world."""

from __future__ import annotations

import numpy as np

from ..workflow import Record
from ._step_values import Crossroads

TARGET = 0.95
"""Share of the achievable gain that counts as reached."""


class Moment(Record):
    """Where a rehearsal stood: spent credits, campaign hours, and the gain of the answer then."""

    credits: float
    hours: float
    gain: float


class Playthrough(Record):
    """What one contender came to in one world.

    ``gain`` is 1 at the world's best and 0 at a typical design; ``true_value`` is in the goal's
    unit. ``credits_to_target`` and ``hours_to_target`` are those from which on the answer kept
    :data:`TARGET` of the gain to the end, None if it never did. Credits and hours count from the
    campaign's beginning. ``regret`` is how far the answer is from the best, in the goal's unit.
    ``detour`` is the number of the detour that it was to take, 0 for none, and ``crossroads`` where
    it took it.
    """

    contender: str
    place: int
    world: int
    gain: float
    true_value: float
    best: float
    credits_to_target: float | None
    hours_to_target: float | None
    credits: float
    hours: float
    samples: int
    decisions: int
    stopped: str
    steps: dict[str, int]
    curve: tuple[Moment, ...]
    regret: float
    detour: int = 0
    crossroads: Crossroads | None = None

    def mean_gain(self, since: float, budget: float | None) -> float:
        """Gain averaged over the credits from ``since`` to the budget, or to what was spent."""
        end = max(self.credits if budget is None else budget, since + 1e-9)
        at = np.clip([since, *[m.credits for m in self.curve], end], since, end)
        return float(np.diff(at) @ [0.0, *[m.gain for m in self.curve]] / (end - since))
