"""Several models of one property, weighted by how well they foretold what was just measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from ._gp import Matrix
from ._session_gp import LocalProcess, Prediction, Readings
from ._session_trees import Trees

COMPONENTS = 8
DESCRIPTORS = 12
"""Up to so many columns each mean something by themselves."""
_FORGET = 0.98
"""What a log score keeps of its weight with every further measurement."""
_WORST = -8.0
"""A single miss counts no worse than this, in nats."""


@dataclass(frozen=True)
class Views:
    """What models may see of candidates: places (N, 2) from 0 to 1, patches (N, p), components.

    Patches have mean 0 and standard deviation 1 overall; components (N, k) are their principal
    ones, the first with standard deviation 1. Of a dozen columns or fewer, each has mean 0 and
    standard deviation 1, and they are the components themselves.
    """

    places: Matrix
    patches: Matrix
    components: Matrix

    @classmethod
    def of(cls, positions: NDArray[np.int64], patches: Matrix) -> Views:
        """From positions (N, 2) in pixels and their surroundings (N, p)."""
        from sklearn.decomposition import PCA

        span = np.maximum(np.ptp(positions, axis=0).max(), 1)
        places = ((positions - positions.min(axis=0)) / span).astype(np.float64)
        if patches.shape[1] <= DESCRIPTORS:
            spreads = patches.std(axis=0)
            each = (patches - patches.mean(axis=0)) / np.where(spreads > 0.0, spreads, 1.0)
            return cls(places, each, each)
        spread = float(patches.std()) or 1.0
        flat = (patches - patches.mean()) / spread
        count = min(COMPONENTS, *flat.shape)
        scores = PCA(count, svd_solver="covariance_eigh").fit_transform(flat)
        largest = float(scores.std(axis=0).max())
        return cls(places, flat, scores / (largest or 1.0))


@final
class LocalBelief:
    """The models of a session, and which of them is believed how much.

    ``place`` is a Gaussian process on row and column, ``structure`` one on principal components of
    patches and the place, ``deep`` the same with a learned network, ``trees`` an ensemble. Their
    weights are softmax of the log predictive density of each measurement before it was taken in,
    forgotten at 2 % a measurement (prequential: Dawid 1984; forgetting: Raftery et al. 2010).
    """

    def __init__(self, views: Views, seed: int, models: tuple[str, ...]) -> None:
        joint = np.column_stack([views.components, views.places])
        known = {
            "place": lambda: LocalProcess("place", views.places, seed=seed),
            "structure": lambda: LocalProcess("structure", joint, seed=seed),
            "deep": lambda: LocalProcess("deep", joint, views.patches, seed),
            "trees": lambda: Trees(joint, seed),
        }
        self.models = {name: known[name]() for name in models}
        self.scores = dict.fromkeys(models, 0.0)
        self._predictions: dict[str, Prediction] | None = None

    @property
    def weights(self) -> dict[str, float]:
        """Of every model; they sum to one."""
        best = max(self.scores.values())
        shares = {name: float(np.exp(score - best)) for name, score in self.scores.items()}
        return {name: share / sum(shares.values()) for name, share in shares.items()}

    @property
    def leader(self) -> str:
        """The model believed most."""
        return max(self.scores, key=lambda name: self.scores[name])

    def learn(self, readings: Readings, new: int, judged: bool = True) -> None:
        """Take in all readings so far, of which the last ``new`` have not been seen.

        ``judged`` tells whether they count for the models' scores.
        """
        if judged and new < len(readings.rows):
            self._judge(readings, new)
        for model in self.models.values():
            model.learn(readings)
        self._predictions = None

    def _judge(self, readings: Readings, new: int) -> None:
        rows, values, noise = readings.rows[-new:], readings.values[-new:], readings.std[-new:]
        unit = float(readings.values.std()) or 1.0
        for name, p in self.predictions.items():
            std = np.hypot(p.total_std[rows], noise) / unit
            density = norm.logpdf((values - p.mean[rows]) / unit, scale=std)
            gained = float(np.sum(np.maximum(density, _WORST)))
            self.scores[name] = _FORGET**new * self.scores[name] + gained

    @property
    def predictions(self) -> dict[str, Prediction]:
        """Of every model, at all candidates."""
        if self._predictions is None:
            self._predictions = {name: m.predict() for name, m in self.models.items()}
        return self._predictions

    def mixed(self) -> Prediction:
        """Mean and standard deviation of the weighted mixture at all candidates."""
        parts = [(w, self.predictions[n]) for n, w in self.weights.items() if w > 1e-3]
        total = sum(w for w, _ in parts)
        mean = sum((w * p.mean for w, p in parts), start=np.zeros(1)) / total
        second = sum((w * (p.std**2 + p.mean**2) for w, p in parts), start=np.zeros(1)) / total
        scatter = np.sqrt(sum(w * p.scatter**2 for w, p in parts) / total)
        return Prediction(mean, np.sqrt(np.maximum(second - mean**2, 1e-18)), float(scatter))

    def covariance(self, rows: NDArray[np.int64]) -> Matrix:
        """Posterior covariance (N, R) of the smooth part with rows, of the best process."""
        processes = [n for n, m in self.models.items() if isinstance(m, LocalProcess)]
        model = self.models[max(processes, key=lambda name: self.scores[name])]
        assert isinstance(model, LocalProcess)
        if self._predictions is None:
            model.predict()  # keeps what the covariance is made of
        return model.covariance(rows)
