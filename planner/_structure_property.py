"""A structure-property session: where to measure next on an image, how long, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import Estimate, Formula, SpecError, Wishes
from ._gp import Matrix, Vector
from ._session_asking import Asking, estimate_of_row, place_of_row
from ._session_belief import LocalBelief, Views
from ._session_memory import WHO, Memory
from ._session_prices import ProbePrices, VisitPrices
from ._session_reward import Reward
from ._session_visit import MODELS, Position, Visit, check_models, check_views
from ._threads import one_thread
from ._told import Value, as_estimate


@final
class StructureProperty:
    """Ask where to measure on an image; tell what came of it.

    Local structure around every place is known (patches of an image); a property is measured at few
    places. Models of how one follows from the other compete (:class:`LocalBelief`).

    Parameters
    ----------
    positions
        Where may be measured: (N, 2) rows and columns in pixels, each once.
    patches
        What the image shows around each, (N, p). A dozen columns or fewer are descriptors, of which
        each is seen by the models as it is; of more, the principal components are.
    reward
        A quantity's name, a formula of measured quantities, or a function of their values.
    prices
        Minutes and noise of visits, or what else they cost.
    wishes
        Weights of the largest value and of knowing everywhere, and whatever else people want; may
        be changed at any time by :meth:`wish`.
    rewards
        Functions by name, which wishes may choose.
    models
        Which models compete, of ``place``, ``structure``, ``deep`` and ``trees``; at least one of
        the first three.
    seed
        The same seed and the same answers give the same suggestions.

    Raises
    ------
    SpecError
        If shapes do not fit, numbers are not finite, or a model is unknown.
    """

    def __init__(
        self,
        positions: NDArray[np.int64],
        patches: Matrix,
        reward: str | Formula | Reward,
        prices: VisitPrices | None = None,
        *,
        wishes: Wishes | None = None,
        rewards: Mapping[str, Reward] | None = None,
        models: Sequence[str] = MODELS,
        seed: int = 0,
    ) -> None:
        self.positions = np.asarray(positions, dtype=np.int64)
        check_views(self.positions, np.asarray(patches))
        check_models(models)
        self.prices: VisitPrices = prices or ProbePrices()
        self.wishes = wishes or Wishes()
        self._rewards = dict(rewards or {})
        self._asked_for = Formula(expression=reward) if isinstance(reward, str) else reward
        self._seed = seed
        self._views = Views.of(self.positions, np.asarray(patches, dtype=np.float64))
        self._rows = {(int(r), int(c)): i for i, (r, c) in enumerate(self.positions)}
        self._memory = Memory(self._views, self._reward(self.wishes), tuple(models), seed)
        self._pending: dict[Position, Visit] = {}
        self._failed: set[int] = set()
        self._here: Position | None = None
        self.minutes = 0.0

    # -- asking -----------------------------------------------------------------------------------

    def suggest(self, n: int = 1) -> list[Visit]:
        """Up to ``n`` visits along a short path; an empty list if nothing is left that may be done.

        Raises
        ------
        SpecError
            If visits of an earlier suggestion were not told of.
        """
        if self._pending:
            raise SpecError(
                WHO,
                "another question",
                f"what came of {sorted(self._pending)} first",
                "ingest each visit once, with failure=True if it failed",
            )
        visits = self.propose(n)
        self._pending = {v.position: v for v in visits}
        return visits

    def propose(self, n: int = 1, avoid: Collection[Position] = ()) -> list[Visit]:
        """What :meth:`suggest` would say, without the positions in ``avoid``; nobody has to answer.

        Asking does not change what is answered later.
        """
        with self._learnt():
            free = self._free(avoid)
            return self._asking().along_a_path(free, n) if len(free) else []

    def ranked(self, n: int, avoid: Collection[Position] = ()) -> list[Visit]:
        """The ``n`` places worth most for their price, each as if it alone were measured, best
        first; none while places are still spread out over the structures."""
        with self._learnt():
            free = self._free(avoid)
            return self._asking().ranked(free, n) if len(free) else []

    # -- telling ----------------------------------------------------------------------------------

    def ingest(
        self,
        position: Position,
        values: Mapping[str, Value] | None = None,
        *,
        minutes: float | None = None,
        failure: bool = False,
    ) -> None:
        """Tell what was measured at a suggested place; a failure is not tried there again.

        A number without a standard deviation has that of its dwell. Minutes default to the visit's.

        Raises
        ------
        SpecError
            If the place was not suggested, or a number is not finite.
        """
        visit = self._pending.get(position)
        if visit is None:
            raise SpecError(
                WHO,
                f"position {position}",
                f"one of {sorted(self._pending)}",
                "suggest first, and ingest each visit once",
            )
        noise = self.prices.noise(visit.dwell_s)
        told = {name: as_estimate(name, value, noise) for name, value in (values or {}).items()}
        taken = visit.minutes if minutes is None else minutes
        if not 0.0 <= taken < float("inf"):
            raise SpecError(WHO, f"minutes={taken}", "a finite number of at least 0", "mend it")
        if failure:
            self._failed.add(self._rows[position])
            self._here, self.minutes = position, self.minutes + taken
        else:
            self._take_in(self._rows[position], told, taken)
        del self._pending[position]

    def learn(
        self,
        position: Position,
        values: Mapping[str, Value],
        *,
        minutes: float = 0.0,
    ) -> None:
        """Take in what somebody else chose to measure; a bare number counts as exact.

        What is told of a place again takes the place of what was told before.

        Raises
        ------
        SpecError
            If the place is none of the session's, or a number is not finite.
        """
        row = self._rows.get(position)
        if row is None or not 0.0 <= minutes < float("inf"):
            raise SpecError(
                WHO,
                f"position {position} after {minutes} min",
                "a position of the session, and minutes of at least 0",
                "correct it",
            )
        told = {name: as_estimate(name, value, 0.0) for name, value in values.items()}
        self._take_in(row, told, minutes)

    def _take_in(self, row: int, told: dict[str, Estimate], minutes: float) -> None:
        self._memory.tell(row, told)
        self._here = self._place(row)
        self.minutes += minutes

    def take_in(self) -> None:
        """Let the models learn now what was told; else they do when something is asked.

        What is told between two such times is learnt together, and the models are judged by it
        together.
        """
        with one_thread():
            self._memory.learn()

    def wish(self, wishes: Wishes) -> None:
        """Heed other wishes from the next suggestion on.

        With another reward all that was measured is seen anew, and the models begin again.

        Raises
        ------
        SpecError
            If the reward cannot be computed from what was measured.
        """
        if wishes.reward != self.wishes.reward:
            self._memory.seek(self._reward(wishes))
        self.wishes = wishes

    # -- what is known ----------------------------------------------------------------------------

    @property
    def belief(self) -> LocalBelief:
        """The models, and how much each is believed."""
        return self._memory.belief

    @property
    def measured(self) -> int:
        """How many places were measured."""
        return len(self._memory)

    @property
    def unit(self) -> float:
        """What gains are counted in: the standard deviation of the reward that was measured."""
        return self._memory.unit or 1.0

    def map(self) -> tuple[Vector, Vector]:
        """Mean and standard deviation (N,) of the reward at all positions.

        Raises
        ------
        SpecError
            If nothing was measured.
        """
        self._some()
        with self._learnt() as memory:
            return memory.everywhere()

    def best(self) -> tuple[Position, Estimate]:
        """The measured place with the largest believed value.

        Raises
        ------
        SpecError
            If nothing was measured.
        """
        self._some()
        return max(self.known().items(), key=lambda place: place[1].value)

    def known(self) -> dict[Position, Estimate]:
        """What is believed of the measured places; empty where nothing was."""
        if not self.measured:
            return {}
        with self._learnt() as memory:
            posterior = memory.posterior()
        return {self._place(r): Estimate(value=v, std=s) for r, v, s in posterior}

    def told(self) -> dict[Position, Estimate]:
        """The reward as it was measured, place by place."""
        found = self._memory.readings()
        each = zip(found.rows, found.values, found.std, strict=True)
        return {self._place(r): Estimate(value=float(v), std=float(s)) for r, v, s in each}

    def foretold(self, position: Position) -> Estimate:
        """What the models believe of a place, its own reading aside.

        Raises
        ------
        SpecError
            If nothing was measured.
        """
        self._some()
        with self._learnt() as memory:
            return estimate_of_row(memory.belief.mixed(), self._rows[position])

    def holds(self, position: Position) -> bool:
        """Whether a position is one of the session's."""
        return position in self._rows

    def open_places(self, avoid: Collection[Position] = ()) -> list[Position]:
        """Where may still be measured."""
        return [self._place(row) for row in self._free(avoid)]

    def _some(self) -> None:
        if not self.measured:
            raise SpecError(WHO, "no measurement", "at least one", "suggest and ingest first")

    # -- inside -----------------------------------------------------------------------------------

    def _reward(self, wishes: Wishes) -> Formula | Reward:
        wanted = wishes.reward
        if wanted is None:
            return self._asked_for
        return self._rewards.get(wanted.expression, wanted)

    def _free(self, avoid: Collection[Position]) -> NDArray[np.int64]:
        gone = {*self._memory.rows, *self._failed}
        rows = [
            i
            for i, (r, c) in enumerate(self.positions.tolist())
            if i not in gone and (r, c) not in avoid and self.wishes.allows(r, c)
        ]
        return np.array(rows, dtype=np.int64)

    @contextmanager
    def _learnt(self) -> Iterator[Memory]:
        """What is known, after the models learnt what was told; on one thread."""
        with one_thread():
            self._memory.learn()
            yield self._memory

    def _asking(self) -> Asking:
        return Asking(
            self.positions,
            self._views,
            self._memory,
            self.prices,
            self.wishes,
            self._here,
            self._seed,
        )

    def _place(self, row: int) -> Position:
        return place_of_row(self.positions, row)
