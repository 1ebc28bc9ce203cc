"""A structure-property session: where to measure next on an image, how long, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import Estimate, Formula, SpecError, Wishes
from ._gp import Matrix, Vector
from ._session_belief import LocalBelief, Views
from ._session_choice import Choice, Chooser, spread_out
from ._session_gp import Prediction
from ._session_memory import START, WHO, Memory
from ._session_prices import ProbePrices, VisitPrices, shortest_path
from ._session_reward import Reward
from ._session_value import LocalValue, Overview
from ._session_visit import MODELS, Position, Visit, check_models, check_views
from ._threads import one_thread
from ._told import Value, as_estimate

_OVERVIEW = 160
"""Places that stand for all where it is asked what becomes known everywhere."""


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
        with one_thread():
            self._memory.learn()
            free = self._free(avoid)
            return self._along_a_path(self._chosen(free, n)) if len(free) else []

    def ranked(self, n: int, avoid: Collection[Position] = ()) -> list[Visit]:
        """The ``n`` places worth most for their price, each as if it alone were measured, best
        first; none while places are still spread out over the structures."""
        with one_thread():
            self._memory.learn()
            free = self._free(avoid)
            if not len(free) or self.measured < START:
                return []
            choices = self._chooser().ranked(self._value(), free, self._here, n)
            return [self._visit(choice, self._here) for choice in choices]

    def _chosen(self, free: NDArray[np.int64], count: int) -> list[Choice]:
        if self.measured < START:
            seen = np.column_stack([self._views.components, self._views.places])
            count = min(count, START - self.measured)
            rows = spread_out(seen, self._memory.rows, free, count, self._seed)
            dwell = self.prices.first_dwell_s
            return [Choice(row, dwell, 0.0, float(self.prices.price(0.0, dwell))) for row in rows]
        return self._chooser().choose(self._value(), free, self._here, count)

    def _chooser(self) -> Chooser:
        return Chooser(self.positions, self.prices, self.wishes, self._covariance)

    def _covariance(self, row: int) -> Vector:
        return self.belief.covariance(np.array([row]))[:, 0]

    def _along_a_path(self, chosen: Sequence[Choice]) -> list[Visit]:
        places = [self._place(choice.row) for choice in chosen]
        here, visits = self._here, []
        for i in shortest_path(here, places):
            visits.append(self._visit(chosen[i], here))
            here = places[i]
        return visits

    def _visit(self, choice: Choice, here: Position | None) -> Visit:
        place = self._place(choice.row)
        apart = 0.0 if here is None else float(np.hypot(*np.subtract(place, here)))
        return Visit(
            position=place,
            dwell_s=choice.dwell_s,
            minutes=float(self.prices.minutes(apart, choice.dwell_s)),
            gain=choice.gain,
            price=choice.price,
            expected=_estimate(self.belief.mixed(), choice.row) if self.measured else None,
            reason=self._reason(choice.gain),
        )

    def _reason(self, gain: float) -> str:
        if self.measured < START:
            return "unlike the places measured so far"
        leader = self.belief.leader
        trust = f"{leader} ({self.belief.weights[leader]:.0%})"
        if self.wishes.exploit:
            return f"the largest value believed, exploiting as was wished, by {trust}"
        return f"gain {gain:.2g} standard deviations, by {trust}"

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
        with one_thread():
            self._memory.learn()
            return self._memory.everywhere()

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
        with one_thread():
            self._memory.learn()
            posterior = self._memory.posterior()
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
        with one_thread():
            self._memory.learn()
            return _estimate(self.belief.mixed(), self._rows[position])

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

    def _value(self) -> LocalValue:
        mixed = self.belief.mixed()
        best = max(value for _, value, _ in self._memory.posterior(mixed))
        overview = self._overview() if self.wishes.explore else None
        return LocalValue(
            mixed.mean, mixed.std, mixed.scatter, best, self.unit, self._liking(), overview
        )

    def _overview(self) -> Overview:
        count = len(self.positions)
        rng = np.random.default_rng([self._seed, 13, self.measured])
        rows = np.sort(rng.choice(count, min(count, _OVERVIEW), replace=False))
        return Overview(rows, self.belief.covariance(rows))

    def _liking(self) -> Vector:
        """How much each place is liked, by its structure's likeness to a chosen one."""
        chosen = self.wishes.more_like
        if chosen is None:
            return np.zeros(len(self.positions))
        row = self._rows.get(chosen)
        if row is None:
            raise SpecError(WHO, f"more_like={chosen}", "a position of the session", "correct it")
        away = np.linalg.norm(self._views.components - self._views.components[row], axis=1)
        near = float(np.quantile(away, 0.1)) or 1.0
        return self.wishes.liking * np.exp(-0.5 * (away / near) ** 2)

    def _place(self, row: int) -> Position:
        r, c = self.positions[row]
        return int(r), int(c)


def _estimate(mixed: Prediction, row: int) -> Estimate:
    return Estimate(value=float(mixed.mean[row]), std=float(mixed.total_std[row]))
