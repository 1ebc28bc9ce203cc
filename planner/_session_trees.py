"""An ensemble of regression trees over the places of a specimen."""

from __future__ import annotations

from typing import final

import numpy as np

from ._gp import Matrix, Vector
from ._session_gp import Prediction, Readings

_TREES, _LEAF = 40, 2
_GROWTH = 1.08


@final
class Trees:
    """Extremely randomized trees (Geurts, Ernst & Wehenkel 2006) as members of an ensemble.

    The mean is that of all trees; its uncertainty the spread between them (Hutter et al. 2014,
    sec. 4.3). They are grown anew when the data are 8 % more, and keep no covariance.
    """

    name = "trees"

    def __init__(self, inputs: Matrix, seed: int) -> None:
        self._inputs = np.asarray(inputs, dtype=np.float32)
        self._seed, self._grown = seed, 0
        self._members: Matrix | None = None
        self._scatter = 1.0

    def learn(self, readings: Readings) -> None:
        """Take in all readings so far."""
        from sklearn.ensemble import ExtraTreesRegressor

        count = len(readings.rows)
        if count < 5 or (self._members is not None and count < _GROWTH * self._grown):
            return
        forest = ExtraTreesRegressor(
            _TREES, min_samples_leaf=_LEAF, bootstrap=True, random_state=self._seed, n_jobs=1
        )
        forest.fit(self._inputs[readings.rows], readings.values)
        self._members = np.array([t.predict(self._inputs) for t in forest.estimators_])
        error = readings.values - self._out_of_bag(forest, readings)
        spread = self._members.var(axis=0)[readings.rows]
        own = float(np.mean(error**2)) - float(np.mean(spread + readings.std**2))
        self._scatter = float(np.sqrt(max(own, 0.01 * float(readings.values.var()))))
        self._grown = count

    def _out_of_bag(self, forest: object, readings: Readings) -> Vector:
        """Each reading as the trees predict it that did not see it."""
        assert self._members is not None
        count = len(readings.rows)
        seen = np.zeros((_TREES, count), dtype=bool)
        for i, drawn in enumerate(forest.estimators_samples_):  # type: ignore[attr-defined]
            seen[i, drawn] = True
        without = np.where(seen, np.nan, self._members[:, readings.rows])
        everyone = self._members[:, readings.rows].mean(axis=0)
        known = ~np.isnan(without)
        total = np.where(known, without, 0.0).sum(axis=0)
        return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), everyone)

    def predict(self) -> Prediction:
        """The belief at all candidates; flat and wide before the first five readings."""
        if self._members is None:
            many = np.ones(len(self._inputs))
            return Prediction(0.0 * many, many, self._scatter)
        std = np.maximum(self._members.std(axis=0), 1e-9)
        return Prediction(self._members.mean(axis=0), std, self._scatter)
