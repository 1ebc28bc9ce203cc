"""What a session was told of places, and what its models make of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import numpy as np

from ..workflow import Estimate, Formula
from ._gp import Vector
from ._session_belief import LocalBelief, Views
from ._session_gp import Prediction, Readings
from ._session_reward import Reward, reward_of

START = 8
"""Places drawn spread out over the structures before any model is asked, or judged."""
WHO = "structure-property session"


@final
class Memory:
    """Places with what was measured there, and the models' belief of the reward.

    A place that was measured again counts with what was told last. :meth:`learn` is the only thing
    that changes the belief, and what is told between two calls of it is taken in together: the same
    calls give the same belief.

    Parameters
    ----------
    views
        What models may see of all places.
    reward
        A formula of what is measured, or a function of it.
    models, seed
        As of :class:`LocalBelief`.
    """

    def __init__(
        self, views: Views, reward: Formula | Reward, models: tuple[str, ...], seed: int
    ) -> None:
        self.belief = LocalBelief(views, seed, models)
        self._views, self._models, self._seed = views, models, seed
        self._reward = reward
        self._told: dict[int, dict[str, Estimate]] = {}
        self._unseen = 0

    def __len__(self) -> int:
        return len(self._told)

    @property
    def rows(self) -> list[int]:
        """Of what was measured, in the order in which it was told."""
        return list(self._told)

    def tell(self, row: int, values: Mapping[str, Estimate]) -> None:
        """Take in what was measured at a place; :meth:`learn` makes use of it.

        Raises
        ------
        SpecError
            If the reward cannot be computed from it.
        """
        reward_of(self._reward, values, WHO)
        self._unseen += row not in self._told or row in self.rows[: len(self) - self._unseen]
        self._told.pop(row, None)
        self._told[row] = dict(values)

    def seek(self, reward: Formula | Reward) -> None:
        """Seek another reward: all that was measured is seen anew, and the models begin again.

        Raises
        ------
        SpecError
            If the reward cannot be computed from what was measured; nothing is changed then.
        """
        for values in self._told.values():
            reward_of(reward, values, WHO)
        self._reward = reward
        self.belief = LocalBelief(self._views, self._seed, self._models)
        self._unseen = len(self)

    def learn(self) -> None:
        """Let the models take in what they have not seen, judged by how they foretold it."""
        if self._unseen:
            judged = len(self) - self._unseen >= START
            self.belief.learn(self.readings(), self._unseen, judged)
            self._unseen = 0

    def readings(self) -> Readings:
        """The reward at all measured places."""
        pairs = [reward_of(self._reward, values, WHO) for values in self._told.values()]
        return Readings(
            np.array(self.rows, dtype=np.int64),
            np.array([value for value, _ in pairs]),
            np.array([std for _, std in pairs]),
        )

    @property
    def unit(self) -> float:
        """Standard deviation of the reward over the measured places; 1 where it has none."""
        return float(self.readings().values.std()) if len(self) else 1.0

    def posterior(self, mixed: Prediction | None = None) -> list[tuple[int, float, float]]:
        """Measured rows with what is believed of their values and the standard deviations.

        A value is the smooth part plus the place's own scatter, of which the reading tells.
        """
        mixed = mixed or self.belief.mixed()
        readings, own = self.readings(), mixed.scatter**2 + 1e-300
        found = []
        for row, value, noise in zip(readings.rows, readings.values, readings.std, strict=True):
            trust = own / (own + noise**2)
            mean = mixed.mean[row] + trust * (value - mixed.mean[row])
            variance = ((1.0 - trust) * mixed.std[row]) ** 2 + trust * noise**2
            found.append((int(row), float(mean), float(np.sqrt(variance))))
        return found

    def everywhere(self) -> tuple[Vector, Vector]:
        """Mean and standard deviation (N,) of the reward at all places."""
        mixed = self.belief.mixed()
        mean, std = mixed.mean.copy(), mixed.total_std
        for row, value, spread in self.posterior(mixed):
            mean[row], std[row] = value, spread
        return mean, std
