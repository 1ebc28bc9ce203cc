"""A decomposition that learns while spectra arrive."""

from __future__ import annotations

from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import IncrementalPCA, MiniBatchNMF

Floats = NDArray[np.float64]
Kind = Literal["pca", "nmf"]


@final
class RunningDecomposition:
    """Principal components or non-negative parts of all spectra so far.

    The components are those of D. A. Ross et al., Int. J. Comput. Vis. 77, 125 (2008)
    (scikit-learn's ``IncrementalPCA``); the parts those of its ``MiniBatchNMF``, which read as
    spectra and are what to show to a person, but fit somewhat worse.

    Parameters
    ----------
    components
        How many; fewer than channels.
    batch
        Spectra that are learnt together; until the first batch is full, ``ready`` is false.
    """

    def __init__(self, components: int = 6, batch: int = 16, kind: Kind = "pca") -> None:
        if components < 1 or batch < 1:
            raise ValueError(f"{components} components, batches of {batch}: at least 1 each")
        self.components, self.kind = components, kind
        self.seen = 0
        self._batch = max(batch, components + 1)
        self._waiting: list[Floats] = []
        self._model = (
            IncrementalPCA(n_components=components)
            if kind == "pca"
            else MiniBatchNMF(components, batch_size=self._batch, random_state=0)  # pyright: ignore[reportArgumentType]
        )

    @property
    def ready(self) -> bool:
        return hasattr(self._model, "components_")

    @property
    def parts(self) -> Floats:
        """Components or parts, (components, channels)."""
        return np.asarray(self._model.components_, dtype=np.float64)

    def update(self, spectra: Floats) -> None:
        """Learn spectra (n, channels), finite; those of NMF are cut at 0."""
        self.seen += len(spectra)
        self._waiting.extend(np.asarray(spectra, dtype=np.float64))
        if len(self._waiting) >= self._batch:
            block = np.stack(self._waiting)
            self._model.partial_fit(block if self.kind == "pca" else np.maximum(block, 0.0))
            self._waiting.clear()

    def scores(self, spectra: Floats) -> Floats:
        """Weights (n, components) of the components in spectra (n, channels).

        Raises
        ------
        ValueError
            If no batch has been learnt yet.
        """
        if not self.ready:
            raise ValueError(f"{self.seen} spectra of the first batch of {self._batch}")
        if self.kind == "nmf":
            spectra = np.maximum(spectra, 0.0)
        if isinstance(self._model, IncrementalPCA):
            # The library's own, without its checks, which take longer than the product.
            return (spectra - np.asarray(self._model.mean_)) @ self.parts.T
        return np.asarray(self._model.transform(spectra), dtype=np.float64)

    def rebuilt(self, spectra: Floats) -> Floats:
        """What the decomposition makes of spectra (n, channels)."""
        mean = self._model.mean_ if isinstance(self._model, IncrementalPCA) else 0.0
        return self.scores(spectra) @ self.parts + mean
