"""Visits to places, and what a structure-property session may be made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..workflow import Estimate, Record, SpecError
from ._gp import Matrix

Position = tuple[int, int]
MODELS = ("place", "structure", "deep", "trees")
_WHO = "structure-property session"


class Visit(Record):
    """A place to measure, for how long, and what the way there, settling and the dwell take.

    ``gain`` is what the measurement is worth in standard deviations of the reward, ``price`` what
    it was weighed against (minutes, in a session by itself), ``expected`` what is believed there.
    """

    position: Position
    dwell_s: float
    minutes: float
    gain: float
    price: float
    expected: Estimate | None = None
    reason: str = ""


def check_views(positions: NDArray[np.int64], patches: Matrix) -> None:
    """Refuse positions and patches that do not fit each other."""
    fits = positions.ndim == 2 and positions.shape[1] == 2 and patches.ndim == 2
    if not fits or len(positions) != len(patches) or len(positions) < 2:
        raise SpecError(
            _WHO,
            f"positions {positions.shape} and patches {patches.shape}",
            "(N, 2) and (N, p) with the same N of at least 2",
            "give one patch for every position",
        )
    if len(np.unique(positions, axis=0)) != len(positions) or not np.isfinite(patches).all():
        raise SpecError(
            _WHO, "a position twice, or NaN in patches", "each position once, numbers", "mend it"
        )


def check_models(models: Sequence[str]) -> None:
    """Refuse models that are unknown, and a choice without a process."""
    if not set(models) <= set(MODELS) or not set(models) & set(MODELS[:3]):
        raise SpecError(
            _WHO, f"models {tuple(models)}", f"some of {MODELS}, one but trees", "correct it"
        )
