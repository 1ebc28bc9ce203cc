"""The answer of a recorded cube: what was measured where, for scoring only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import numpy as np

from ..workflow import DesignSpaceError, Recommendation, Score, SpecError
from ._iv_cube import load_iv_cube

_WHO = "truth iv-cube"


@final
class IvCubeTruth:
    """Scores a recommended pixel by the high-field log10 current density recorded there.

    ``best`` is the largest recorded value and ``baseline`` the median over all recorded pixels.

    In the recorded BiFeO3 film (50 x 50 pixels, median 10.04, standard deviation 0.54) the maximum
    13.23 is a needle: one pixel, (36, 7), with 11.98 beside it and a median of 10.85 around it.
    Finding that pixel is luck as much as skill, so look at :meth:`share_of_top` too: the best one
    percent (25 pixels) starts at 11.78.

    Raises
    ------
    StoreError
        If the file is missing, foreign, damaged or of another shape.
    """

    def __init__(self, path: str | None = None) -> None:
        self._high = load_iv_cube(path).high_field

    def score(self, recommendation: Recommendation) -> Score:
        """Hold a recommended position against the recording.

        A pixel without a recorded spectrum scores the lowest recorded value.

        Raises
        ------
        SpecError
            If the recommendation names no position.
        DesignSpaceError
            If the position lies outside the recording.
        """
        position = recommendation.position_for(_WHO)
        self._check(position)
        value = float(self._high[position])
        lowest = float(np.nanmin(self._high))
        return Score(
            true_value=value if np.isfinite(value) else lowest,
            best=float(np.nanmax(self._high)),
            baseline=float(np.nanmedian(self._high)),
        )

    def share_of_top(self, positions: Iterable[tuple[int, int]], fraction: float = 0.01) -> float:
        """Share of the best ``fraction`` of all recorded pixels that is among ``positions``.

        Ties at the edge count as best. 0 is none, 1 is all of them.

        Raises
        ------
        DesignSpaceError
            If a position lies outside the recording.
        SpecError
            If the fraction is not in (0, 1].
        """
        if not 0 < fraction <= 1:
            raise SpecError(_WHO, f"fraction={fraction}", "0 < fraction <= 1", "correct it")
        values = np.sort(self._high[np.isfinite(self._high)])
        n_top = max(1, round(fraction * values.size))
        top = self._high >= values[-n_top]
        found = np.zeros_like(top)
        for position in positions:
            self._check(position)
            found[position] = True
        return float((top & found).sum() / top.sum())

    def _check(self, position: tuple[int, int]) -> None:
        rows, columns = self._high.shape
        row, column = position
        if not (0 <= row < rows and 0 <= column < columns):
            raise DesignSpaceError(
                _WHO,
                f"position {position}",
                f"rows 0 to {rows - 1}, columns 0 to {columns - 1}",
                "recommend a pixel of the recording",
            )
