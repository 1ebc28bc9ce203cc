"""Whether a place that is being measured is worth more time: what a session staked on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import Chunk, Command, Estimate, Job, Spectrum, Stake
from ._dwell import Dwell, dwell_worth
from ._loss_share import reading_of

Floats = NDArray[np.float64]

_LEAST_CHANNELS = 32


@dataclass(frozen=True)
class Weighed:
    """What is believed of a place by now, what more time there would bring, and all in words."""

    believed: Estimate
    dwell: Dwell
    reason: str


def weigh(
    stake: Stake,
    place: int,
    reading: Estimate | None,
    noise_1s: float,
    longest_s: float,
    overhead_credits: float = 0.0,
) -> Weighed:
    """Weigh more time at one of a stake's places.

    Parameters
    ----------
    reading
        What the measurement says so far; None where it says nothing.
    noise_1s
        Standard deviation of what a second of data says.
    longest_s
        The most that may be added.
    overhead_credits
        For going on at all: coming back.
    """
    believed = Estimate(value=stake.believed[place], std=stake.believed_std[place])
    if reading is not None:
        believed = _together(believed, reading)
    dwell = dwell_worth(
        believed,
        stake.rival,
        noise_1s,
        stake.credits_per_s,
        value_of_unit=stake.credits_per_unit,
        longest_s=longest_s,
        overhead=overhead_credits,
    )
    stands = "promising" if dwell.worth_it else "known well enough"
    if not dwell.worth_it and believed.value < stake.rival:
        stands = "dull"
    said = (
        f"{stands}: {stake.quantity} {believed.value:.4g} ± {believed.std:.2g} here, "
        f"{stake.rival:.4g} at the best place known; {dwell.reason} credits"
    )
    return Weighed(believed, dwell, said)


def _together(first: Estimate, second: Estimate) -> Estimate:
    """Two independent estimates of one value as one."""
    a, b = (max(e.std, 1e-12 * max(abs(e.value), 1e-300)) ** -2 for e in (first, second))
    return Estimate(value=(a * first.value + b * second.value) / (a + b), std=(a + b) ** -0.5)


@final
class DwellWatch:
    """Sees a spectrum grow frame by frame, and ends it when more is not worth its price.

    Parameters
    ----------
    stake
        What the measurement is worth; of one place, whose spectrum is looked at. Of several places
        none is cut short, since that would end the others too.
    """

    def __init__(self, stake: Stake) -> None:
        self._stake = stake
        self.last: Weighed | None = None

    def __call__(self, command: Command, chunk: Chunk) -> str | None:
        """As a console's ``watch``: a reason to end the spectrum here, or None."""
        exposed = chunk.signals.get("exposure_s", 0.0)
        if not isinstance(command, Spectrum) or chunk.frame is None or chunk.data is None:
            return None
        left = command.exposure_s - exposed
        if len(self._stake.believed) != 1 or exposed <= 0.0 or left <= 1e-9 * command.exposure_s:
            return None
        axis = chunk.frame.axes[-1]
        counts = np.asarray(chunk.data, dtype=np.float64)[-1]
        if axis.unit != "eV" or len(counts) < _LEAST_CHANNELS:
            return None
        reading = reading_of(self._stake.quantity, np.asarray(axis.values), counts)
        if reading is None:
            return None
        noise = reading.std * float(np.sqrt(exposed))
        self.last = weigh(self._stake, 0, reading, noise, left)
        if self.last.dwell.worth_it:
            return None
        return f"after {exposed:.3g} of {command.exposure_s:.3g} s, {self.last.reason}"


def judge_dwell(job: Job) -> DwellWatch | None:
    """Of a job with a stake, the watch that weighs it."""
    return None if job.action.stake is None else DwellWatch(job.action.stake)
