"""Amounts: what a step costs, how long it lasts, what dose it gives."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ._model import Name, NonNegative, Record

_NOWHERE: Mapping[str, float] = MappingProxyType({})


class Extent(NamedTuple):
    """How much one run does: what its amounts are asked with.

    ``design`` is where it is done, in the variables' units; amounts that are the same everywhere
    need none.
    """

    positions: int = 1
    dwell_s: float = 0.0
    design: Mapping[str, float] = _NOWHERE


class Amount(Record):
    """A log-normal amount of credits, hours or dose, capped.

    At the median it is ``median + (per_position + per_s * dwell_s) * n`` for n positions with a
    dwell at each (:class:`Step`), and as much more as the design makes it: ``per_unit`` tells for a
    variable of the space what each of its units adds (or, negative, takes away). An anneal that
    lasts as long as the design says has ``per_unit: {anneal_h: 1}``. ``median`` may be given as a
    bare number. The cap is hard: it is what a budget commits before the step starts.
    """

    shorthand: ClassVar = {"type": "number", "minimum": 0}
    median: NonNegative
    per_position: NonNegative = 0.0
    per_s: NonNegative = 0.0
    per_unit: dict[Name, float] = {}
    log_std: NonNegative = 0.1
    cap_factor: float = Field(default=1.5, ge=1.0)

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        bare = isinstance(value, int | float) and not isinstance(value, bool)
        return {"median": value} if bare else value

    @property
    def mean_factor(self) -> float:
        """Mean of the log-normal over its median, ignoring the cap."""
        return float(np.exp(0.5 * self.log_std**2))

    def expected(
        self, positions: int = 1, dwell_s: float = 0.0, design: Mapping[str, float] = _NOWHERE
    ) -> float:
        """Mean of the log-normal with this median, ignoring the cap."""
        return self.typical(positions, dwell_s, design) * self.mean_factor

    def typical(
        self, positions: int = 1, dwell_s: float = 0.0, design: Mapping[str, float] = _NOWHERE
    ) -> float:
        """Median for a step on ``positions`` positions with a dwell at each, at a design.

        Raises
        ------
        KeyError
            If the design lacks a variable that the amount depends on.
        """
        more = sum(rate * design[name] for name, rate in self.per_unit.items())
        return max(self.median + (self.per_position + self.per_s * dwell_s) * positions + more, 0.0)

    def typical_at(self, designs: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Medians (n,) at many designs, given as columns (n,) by variable."""
        more = np.array([rate * designs[name] for name, rate in self.per_unit.items()])
        return np.maximum(self.median + self.per_position + more.sum(0), 0.0)

    def cap(
        self, positions: int = 1, dwell_s: float = 0.0, design: Mapping[str, float] = _NOWHERE
    ) -> float:
        """The most that the step may ever charge or last."""
        return self.typical(positions, dwell_s, design) * self.cap_factor

    def draw(
        self,
        rng: np.random.Generator,
        positions: int = 1,
        dwell_s: float = 0.0,
        design: Mapping[str, float] = _NOWHERE,
    ) -> float:
        """One capped log-normal draw, for twins."""
        factor = float(np.exp(self.log_std * rng.standard_normal()))
        extent = Extent(positions, dwell_s, design)
        return min(self.typical(*extent) * factor, self.cap(*extent))
