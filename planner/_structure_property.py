"""A structure-property session: where to measure next on an image, how long, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import Estimate, Formula, SpecError, Wishes
from ._gp import Matrix, Vector
from ._planner import as_estimate
from ._session_belief import LocalBelief, Views
from ._session_choice import Choice, Chooser, spread_out
from ._session_gp import Prediction, Readings
from ._session_prices import ProbePrices, shortest_path
from ._session_reward import Reward, reward_of
from ._session_value import LocalValue, Overview
from ._session_visit import MODELS, Position, Visit, check_models, check_views
from ._threads import one_thread

_START = 8
"""Places drawn spread out over the structures before any model is asked."""
_OVERVIEW = 160
"""Places that stand for all where it is asked what becomes known everywhere."""
_WHO = "structure-property session"


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
        What the image shows around each, (N, p).
    reward
        A quantity's name, a formula of measured quantities, or a function of their values.
    prices
        Minutes and noise of visits.
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
        prices: ProbePrices | None = None,
        *,
        wishes: Wishes | None = None,
        rewards: Mapping[str, Reward] | None = None,
        models: Sequence[str] = MODELS,
        seed: int = 0,
    ) -> None:
        self.positions = np.asarray(positions, dtype=np.int64)
        check_views(self.positions, np.asarray(patches))
        check_models(models)
        self.prices, self.wishes = prices or ProbePrices(), wishes or Wishes()
        self._rewards = dict(rewards or {})
        self._asked_for = Formula(expression=reward) if isinstance(reward, str) else reward
        self._models, self._seed = tuple(models), seed
        self._views = Views.of(self.positions, np.asarray(patches, dtype=np.float64))
        self._rows = {(int(r), int(c)): i for i, (r, c) in enumerate(self.positions)}
        self._told: list[tuple[int, dict[str, Estimate]]] = []
        self._pending: dict[Position, Visit] = {}
        self._failed: set[int] = set()
        self._unseen = 0
        self._here: Position | None = None
        self.minutes = 0.0
        self.belief = LocalBelief(self._views, seed, self._models)

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
                _WHO,
                "another question",
                f"what came of {sorted(self._pending)} first",
                "ingest each visit once, with failure=True if it failed",
            )
        with one_thread():
            self._learn()
            free = self._free()
            if not len(free):
                return []
            chosen = self._chosen(free, n)
        visits = self._along_a_path(chosen)
        self._pending = {v.position: v for v in visits}
        return visits

    def _chosen(self, free: NDArray[np.int64], count: int) -> list[Choice]:
        if len(self._told) < _START:
            seen = np.column_stack([self._views.components, self._views.places])
            known = [row for row, _ in self._told]
            rows = spread_out(seen, known, free, min(count, _START - len(known)), self._seed)
            return [Choice(row, self.prices.dwells_s[-1], 0.0) for row in rows]
        chooser = Chooser(self.positions, self.prices, self.wishes, self._covariance)
        return chooser.choose(self._value(), free, self._here, count)

    def _covariance(self, row: int) -> Vector:
        return self.belief.covariance(np.array([row]))[:, 0]

    def _along_a_path(self, chosen: Sequence[Choice]) -> list[Visit]:
        places = [self._place(choice.row) for choice in chosen]
        here, visits = self._here, []
        mixed = self.belief.mixed() if self._told else None
        for i in shortest_path(here, places):
            choice = chosen[i]
            apart = 0.0 if here is None else float(np.hypot(*np.subtract(places[i], here)))
            visits.append(
                Visit(
                    position=places[i],
                    dwell_s=choice.dwell_s,
                    minutes=float(self.prices.minutes(apart, choice.dwell_s)),
                    gain=choice.gain,
                    expected=None if mixed is None else _estimate(mixed, choice.row),
                    reason=self._reason(choice.gain),
                )
            )
            here = places[i]
        return visits

    def _reason(self, gain: float) -> str:
        if len(self._told) < _START:
            return "unlike the places measured so far"
        leader = self.belief.leader
        trust = f"{leader} ({self.belief.weights[leader]:.0%})"
        if self.wishes.exploit:
            return f"the largest value believed, by {trust}"
        return f"gain {gain:.2g} standard deviations, by {trust}"

    # -- telling ----------------------------------------------------------------------------------

    def ingest(
        self,
        position: Position,
        values: Mapping[str, float | tuple[float, float] | Estimate] | None = None,
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
                _WHO,
                f"position {position}",
                f"one of {sorted(self._pending)}",
                "suggest first, and ingest each visit once",
            )
        noise = self.prices.noise(visit.dwell_s)
        told = {name: as_estimate(name, value, noise) for name, value in (values or {}).items()}
        taken = visit.minutes if minutes is None else minutes
        if not 0.0 <= taken < float("inf"):
            raise SpecError(_WHO, f"minutes={taken}", "a finite number of at least 0", "mend it")
        if failure:
            self._failed.add(self._rows[position])
            self._here, self.minutes = position, self.minutes + taken
        else:
            self._take_in(self._rows[position], told, taken)
        del self._pending[position]

    def learn(
        self,
        position: Position,
        values: Mapping[str, float | tuple[float, float] | Estimate],
        *,
        minutes: float = 0.0,
    ) -> None:
        """Take in what somebody else chose to measure; a bare number counts as exact.

        Raises
        ------
        SpecError
            If the place is none of the session's, or a number is not finite.
        """
        row = self._rows.get(position)
        if row is None or not 0.0 <= minutes < float("inf"):
            raise SpecError(
                _WHO,
                f"position {position} after {minutes} min",
                "a position of the session, and minutes of at least 0",
                "correct it",
            )
        told = {name: as_estimate(name, value, 0.0) for name, value in values.items()}
        self._take_in(row, told, minutes)

    def _take_in(self, row: int, told: dict[str, Estimate], minutes: float) -> None:
        reward_of(self._reward(), told, _WHO)
        self._told.append((row, told))
        self._unseen += 1
        self._here = self._place(row)
        self.minutes += minutes

    def wish(self, wishes: Wishes) -> None:
        """Heed other wishes from the next suggestion on.

        With another reward all that was measured is seen anew, and the models begin again.

        Raises
        ------
        SpecError
            If the reward cannot be computed from what was measured.
        """
        before, self.wishes = self.wishes, wishes
        try:
            for _, told in self._told:
                reward_of(self._reward(), told, _WHO)
        except SpecError:
            self.wishes = before
            raise
        if wishes.reward != before.reward:
            self.belief = LocalBelief(self._views, self._seed, self._models)
            self._unseen = len(self._told)

    # -- what is known ----------------------------------------------------------------------------

    @property
    def measured(self) -> int:
        """How many places were measured."""
        return len(self._told)

    def map(self) -> tuple[Vector, Vector]:
        """Mean and standard deviation (N,) of the reward at all positions.

        Raises
        ------
        SpecError
            If nothing was measured.
        """
        self._some()
        with one_thread():
            self._learn()
            mixed = self.belief.mixed()
        mean, std = mixed.mean.copy(), mixed.total_std
        for row, value, spread in self._posterior(mixed):
            mean[row], std[row] = value, spread
        return mean, std

    def best(self) -> tuple[Position, Estimate]:
        """The measured place with the largest believed value.

        Raises
        ------
        SpecError
            If nothing was measured.
        """
        self._some()
        with one_thread():
            self._learn()
            known = self._posterior(self.belief.mixed())
        row, value, std = max(known, key=lambda k: k[1])
        return self._place(row), Estimate(value=value, std=std)

    def _some(self) -> None:
        if not self._told:
            raise SpecError(_WHO, "no measurement", "at least one", "suggest and ingest first")

    def _posterior(self, mixed: Prediction) -> list[tuple[int, float, float]]:
        """Measured rows with what is believed of their values and the standard deviations.

        A value is the smooth part plus the place's own scatter, of which the reading tells.
        """
        readings, own = self._readings(), mixed.scatter**2 + 1e-300
        found = []
        for row, value, noise in zip(readings.rows, readings.values, readings.std, strict=True):
            trust = own / (own + noise**2)
            mean = mixed.mean[row] + trust * (value - mixed.mean[row])
            variance = ((1.0 - trust) * mixed.std[row]) ** 2 + trust * noise**2
            found.append((int(row), float(mean), float(np.sqrt(variance))))
        return found

    # -- inside -----------------------------------------------------------------------------------

    def _reward(self) -> Formula | Reward:
        wanted = self.wishes.reward
        if wanted is None:
            return self._asked_for
        return self._rewards.get(wanted.expression, wanted)

    def _readings(self) -> Readings:
        pairs = [reward_of(self._reward(), told, _WHO) for _, told in self._told]
        return Readings(
            np.array([row for row, _ in self._told], dtype=np.int64),
            np.array([value for value, _ in pairs]),
            np.array([std for _, std in pairs]),
        )

    def _learn(self) -> None:
        if self._unseen and self._told:
            judged = self._unseen < len(self._told)
            self.belief.learn(self._readings(), self._unseen, judged)
            self._unseen = 0

    def _free(self) -> NDArray[np.int64]:
        gone = {row for row, _ in self._told} | self._failed
        rows = [
            i
            for i, (r, c) in enumerate(self.positions.tolist())
            if i not in gone and self.wishes.allows(r, c)
        ]
        return np.array(rows, dtype=np.int64)

    def _value(self) -> LocalValue:
        mixed = self.belief.mixed()
        best = max(value for _, value, _ in self._posterior(mixed))
        unit = float(self._readings().values.std()) or 1.0
        overview = self._overview() if self.wishes.explore else None
        return LocalValue(
            mixed.mean, mixed.std, mixed.scatter, best, unit, self._liking(), overview
        )

    def _overview(self) -> Overview:
        count = len(self.positions)
        rng = np.random.default_rng([self._seed, 13, len(self._told)])
        rows = np.sort(rng.choice(count, min(count, _OVERVIEW), replace=False))
        return Overview(rows, self.belief.covariance(rows))

    def _liking(self) -> Vector:
        """How much each place is liked, by its structure's likeness to a chosen one."""
        chosen = self.wishes.more_like
        if chosen is None:
            return np.zeros(len(self.positions))
        row = self._rows.get(chosen)
        if row is None:
            raise SpecError(_WHO, f"more_like={chosen}", "a position of the session", "correct it")
        away = np.linalg.norm(self._views.components - self._views.components[row], axis=1)
        near = float(np.quantile(away, 0.1)) or 1.0
        return self.wishes.liking * np.exp(-0.5 * (away / near) ** 2)

    def _place(self, row: int) -> Position:
        r, c = self.positions[row]
        return int(r), int(c)


def _estimate(mixed: Prediction, row: int) -> Estimate:
    return Estimate(value=float(mixed.mean[row]), std=float(mixed.total_std[row]))
