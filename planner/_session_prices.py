"""Instrument minutes of visits to places, and the shortest way along several of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ..workflow import Record
from ._gp import Matrix, Vector

Places = NDArray[np.int64]


class VisitPrices(Protocol):
    """What a session asks of prices."""

    @property
    def dwells_s(self) -> tuple[float, ...]:
        """Dwells to choose from, ascending."""
        ...

    @property
    def first_dwell_s(self) -> float:
        """Dwell at the first places, which are spread out before any model is asked."""
        ...

    def noise(self, dwell_s: float) -> float:
        """Standard deviation of one measurement of the reward."""
        ...

    def price(self, pixels: Vector | float, dwell_s: float) -> Vector:
        """Of a move over so many pixels and a dwell: minutes, credits, whatever is short."""
        ...

    def minutes(self, pixels: Vector | float, dwell_s: float) -> Vector:
        """Instrument minutes of the same."""
        ...


@final
class ProbePrices(Record):
    """What measuring at a place takes, and how the noise falls with the dwell.

    Attributes
    ----------
    speed_px_per_s
        Of the probe between places.
    settle_s
        Waited after every move.
    dwells_s
        Dwells to choose from, ascending.
    noise_at_1s
        Standard deviation of the reward after a dwell of a second; it falls with its square root.
    least_noise
        What no dwell gets below.
    """

    speed_px_per_s: float = Field(default=10.0, gt=0)
    settle_s: float = Field(default=1.0, ge=0)
    dwells_s: tuple[float, ...] = Field(default=(1.0,), min_length=1)
    noise_at_1s: float = Field(default=0.0, ge=0)
    least_noise: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _ascending(self) -> ProbePrices:
        if min(self.dwells_s) <= 0 or sorted(set(self.dwells_s)) != list(self.dwells_s):
            raise ValueError(f"dwells {self.dwells_s} are not positive and ascending")
        return self

    @property
    def first_dwell_s(self) -> float:
        """The longest: what comes later is compared with the first places."""
        return self.dwells_s[-1]

    def noise(self, dwell_s: float) -> float:
        """Standard deviation of one measurement."""
        return float(np.hypot(self.noise_at_1s / np.sqrt(dwell_s), self.least_noise))

    def minutes(self, pixels: Vector | float, dwell_s: float) -> Vector:
        """Of a move over so many pixels, settling and a dwell."""
        seconds = np.asarray(pixels) / self.speed_px_per_s + self.settle_s + dwell_s
        return np.asarray(seconds) / 60.0

    def price(self, pixels: Vector | float, dwell_s: float) -> Vector:
        """What is short in a session by itself: minutes."""
        return self.minutes(pixels, dwell_s)


def distances(a: Places, b: Places) -> Matrix:
    """Pixels (n, m) between places (n, 2) and (m, 2)."""
    return np.hypot(*(a[:, None, :] - b[None, :, :]).astype(np.float64).transpose(2, 0, 1))


def shortest_path(start: tuple[int, int] | None, places: Sequence[tuple[int, int]]) -> list[int]:
    """An order of up to some twenty places: a short open path from ``start``.

    Nearest neighbour, then reversals of stretches (2-opt, Croes 1958) while they shorten it.
    """
    points = np.array(places, dtype=np.int64).reshape(-1, 2)
    first = points[:1] if start is None else np.array([start], dtype=np.int64)
    apart = distances(np.concatenate([first, points]), np.concatenate([first, points]))
    order, left = [0], set(range(1, len(points) + 1))
    while left:
        order.append(min(left, key=lambda i: (apart[order[-1], i], i)))
        left.remove(order[-1])
    better = True
    while better:
        better = False
        for i in range(1, len(order) - 1):
            for j in range(i + 1, len(order)):
                turned = [*order[:i], *order[i : j + 1][::-1], *order[j + 1 :]]
                if _length(apart, turned) < _length(apart, order) - 1e-9:
                    order, better = turned, True
    return [i - 1 for i in order[1:]]


def _length(apart: Matrix, order: Sequence[int]) -> float:
    return float(apart[order[:-1], order[1:]].sum())
