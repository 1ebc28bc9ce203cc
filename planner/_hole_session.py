"""A cryo-EM session: which hole to image next, so that many good ones are found in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, final

import numpy as np

from ..workflow import Record, SpecError
from ._gp import Vector
from ._hole_belief import HoleBelief
from ._hole_plan import HolePlan
from ._holes import Hole, MoveCosts, checked_holes

HolePolicy = Literal["planner", "greedy", "nearest-first", "random"]
_SLACK = 1e-9


class HoleChoice(Record):
    """The next hole, what the way there and its image take, and why it.

    ``probability`` is that of a resolution better than the threshold, None from policies that do
    not ask for it.
    """

    hole: str
    minutes: float
    probability: float | None
    reason: str


@final
class HoleSession:
    """Ask which hole to image next; tell the resolution that its image had.

    Nothing is known of a hole that was not imaged but its place and the network's prediction.

    Parameters
    ----------
    holes
        All that may be imaged.
    costs
        Minutes of moves.
    horizon_min
        Minutes of the session.
    start
        Name of the hole at which the session stands; it is not imaged again.
    below_A
        A hole is good if its CTF resolution is better than this, in Å.
    policy
        ``planner`` weighs whole stretches of patches and squares (:class:`HolePlan`); ``greedy``
        takes the hole with the largest probability per minute; ``nearest-first`` the cheapest move,
        the better prediction first; ``random`` any hole.
    seed
        Used by ``random`` alone.

    Raises
    ------
    SpecError
        If there is no hole, a name stands twice, or the start is none of them.
    """

    def __init__(
        self,
        holes: Sequence[Hole],
        costs: MoveCosts,
        horizon_min: float,
        *,
        start: str,
        below_A: float = 6.0,
        policy: HolePolicy = "planner",
        seed: int = 0,
    ) -> None:
        self.holes, self.costs, self.horizon_min = checked_holes(holes), costs, horizon_min
        self.below_A, self.policy = below_A, policy
        self._index = {h.name: i for i, h in enumerate(self.holes)}
        self._here = self._find(start)
        self._gone = {self._here}
        self._known: dict[int, float] = {}
        self._pending: tuple[int, float] | None = None
        self._rng = np.random.default_rng(seed)
        self.spent_min = 0.0

    @property
    def found(self) -> int:
        """Good holes imaged so far."""
        return sum(value < self.below_A for value in self._known.values())

    @property
    def measured_A(self) -> dict[str, float]:
        """Resolutions by hole, in the order in which they came."""
        return {self.holes[i].name: value for i, value in self._known.items()}

    def probability(self) -> Vector:
        """Probability (n,) that each hole is good, by what is known now."""
        return HoleBelief(self.holes, self._known).probability(self.below_A)

    def suggest(self) -> HoleChoice | None:
        """The next hole; None when no hole can be reached and imaged in the minutes left.

        Raises
        ------
        SpecError
            If what came of the last one was not told.
        """
        if self._pending is not None:
            raise SpecError(
                "cryo-EM session",
                "another question",
                f"the result of hole {self.holes[self._pending[0]].name!r} first",
                "ingest it, with resolution_A=None if it failed",
            )
        left = [i for i in self._left if self._minutes(i) <= self._free + _SLACK]
        if not left:
            return None
        weighed = self.policy in {"planner", "greedy"}
        probability = self.probability() if weighed else np.zeros(len(self.holes))
        chosen, reason = self._choose(left, probability)
        self._pending = (chosen, self._minutes(chosen))
        return HoleChoice(
            hole=self.holes[chosen].name,
            minutes=self._pending[1],
            probability=float(probability[chosen]) if weighed else None,
            reason=reason,
        )

    def ingest(
        self, hole: str, resolution_A: float | None, *, minutes: float | None = None
    ) -> None:
        """Tell the measured resolution of the suggested hole, None if there is none.

        ``minutes`` is what it took, where that is not what was expected.

        Raises
        ------
        SpecError
            If it is another hole than the suggested one, or the numbers are not positive.
        """
        if self._pending is None or self._find(hole) != self._pending[0]:
            raise SpecError(
                "cryo-EM session", f"hole {hole!r}", "the hole last suggested", "suggest first"
            )
        taken = self._pending[1] if minutes is None else minutes
        numbers = [taken] if resolution_A is None else [taken, resolution_A]
        if not all(np.isfinite(n) and n > 0 for n in numbers):
            raise SpecError(
                f"hole {hole!r}",
                f"{resolution_A} Å after {taken} min",
                "finite positive numbers",
                "tell resolution_A=None where no fit was possible",
            )
        self._here, self._pending = self._pending[0], None
        self._gone.add(self._here)
        self.spent_min += taken
        if resolution_A is not None:
            self._known[self._here] = resolution_A

    # -- policies ---------------------------------------------------------------------------------

    def _choose(self, left: list[int], probability: Vector) -> tuple[int, str]:
        match self.policy:
            case "planner":
                return self._by_plan(left, probability)
            case "greedy":
                best = max(left, key=lambda i: probability[i] / self._minutes(i))
                return best, "the largest probability per minute"
            case "nearest-first":
                best = min(left, key=lambda i: (self._minutes(i), self.holes[i].predicted_A))
                return best, "the shortest move, the better prediction first"
            case _:
                return int(self._rng.choice(left)), "drawn at random"

    def _by_plan(self, left: list[int], probability: Vector) -> tuple[int, str]:
        plan = HolePlan(self.holes, probability, left, self._here, self.costs, self._free + _SLACK)
        stretch = plan.best()
        assert stretch is not None  # something is left that fits
        first = self.holes[stretch.holes[0]]
        reason = (
            f"{len(stretch.holes)} holes from patch {first.patch} of square {first.square} on: "
            f"{stretch.good:.1f} good ones expected in {stretch.minutes:.0f} min; a minute "
            f"is worth {plan.worth:.2f} good holes"
        )
        return stretch.holes[0], reason

    # -- bookkeeping ------------------------------------------------------------------------------

    @property
    def _free(self) -> float:
        return self.horizon_min - self.spent_min

    @property
    def _left(self) -> list[int]:
        return [i for i in range(len(self.holes)) if i not in self._gone]

    def _minutes(self, index: int) -> float:
        return self.costs.between(self.holes[self._here], self.holes[index])

    def _find(self, name: str) -> int:
        if name not in self._index:
            raise SpecError(
                "cryo-EM session", f"hole {name!r}", "a hole of the session", "correct the name"
            )
        return self._index[name]
