"""Forecasts: what rehearsals of a campaign came to, with their spread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..workflow import Record
from ._playthrough import Playthrough

INTERVAL = 0.8
"""Share of the worlds between the ends of a spread."""


class Spread(Record):
    """Median and the ends of the middle 80 %; None stands for never."""

    low: float | None
    median: float | None
    high: float | None

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread:
        """Quantiles of values, of which None is larger than any."""
        ordered = sorted(np.inf if v is None else v for v in values)
        ends = ((1.0 - INTERVAL) / 2.0, 0.5, (1.0 + INTERVAL) / 2.0)
        found = (_quantile(ordered, p) for p in ends)
        low, middle, high = (float(v) if np.isfinite(v) else None for v in found)
        return cls(low=low, median=middle, high=high)

    def contains(self, value: float | None) -> bool:
        """Whether a value lies between the ends, both included."""
        number, low, high = (np.inf if v is None else v for v in (value, self.low, self.high))
        return bool(low <= number <= high)


def _quantile(ordered: Sequence[float], p: float) -> float:
    """The quantile below which one more value of the same kind lies with chance ``p``
    (Weibull 1939: rank p (n + 1)), between neighbours by straight line.
    """
    rank = min(max(p * (len(ordered) + 1) - 1, 0.0), len(ordered) - 1.0)
    below, above = ordered[int(np.floor(rank))], ordered[int(np.ceil(rank))]
    if below == above:
        return below
    return below + (rank - np.floor(rank)) * (above - below)


class Forecast(Record):
    """What one contender is expected to come to.

    ``chance`` is the share of worlds in which it reaches the target and keeps it within the budget;
    ``credits`` and ``hours`` are what is spent when it ends; ``value`` is the true value of the
    answer, in the goal's unit.
    """

    contender: str
    worlds: int
    chance: float
    credits_to_target: Spread
    hours_to_target: Spread
    value: Spread
    gain: Spread
    credits: Spread
    hours: Spread
    samples: Spread


def forecasts(played: Iterable[Playthrough]) -> tuple[Forecast, ...]:
    """One forecast a contender, in the order in which they met the first world.

    The order in which rehearsals are finished does not matter.
    """
    groups: dict[str, list[Playthrough]] = {}
    for one in sorted(played, key=_number):
        groups.setdefault(one.contender, []).append(one)
    return tuple(_forecast(name, own) for name, own in groups.items())


def _number(one: Playthrough) -> tuple[int, int]:
    return one.world, one.place


def _forecast(name: str, own: list[Playthrough]) -> Forecast:
    return Forecast(
        contender=name,
        worlds=len(own),
        chance=float(np.mean([p.credits_to_target is not None for p in own])),
        credits_to_target=Spread.of([p.credits_to_target for p in own]),
        hours_to_target=Spread.of([p.hours_to_target for p in own]),
        value=Spread.of([p.true_value for p in own]),
        gain=Spread.of([p.gain for p in own]),
        credits=Spread.of([p.credits for p in own]),
        hours=Spread.of([p.hours for p in own]),
        samples=Spread.of([float(p.samples) for p in own]),
    )
