"""What doubles of instrument servers have in common: a specimen, a pace, and faults to order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..workflow import SpecError

Floats = NDArray[np.float64]

FAULTS = {
    "refuse": "it is refused, as with the viewing screen in",
    "drop": "the connection is lost in the middle of it",
    "gone": "the server ends in the middle of it",
    "hang": "it is never answered",
    "nan": "it has values that are no numbers",
    "saturate": "it is at full scale throughout",
    "shape": "its shape is not what was asked for",
    "dtype": "its data are no numbers at all",
}
"""What can befall a frame or a spectrum, by order."""

IMAGE_FULL = 65_535.0
"""The largest count of a pixel: 16 bits."""

SPECTRUM_FULL = 200 * IMAGE_FULL
"""The largest count of a channel: the sum over 200 lines of the camera."""


class Bench(Protocol):
    """What stands under the beam. Places are nanometres of the stage."""

    def image(
        self, pixels: int, y_nm: float, x_nm: float, side_nm: float, dwell_s: float
    ) -> Floats:
        """Counts (pixels, pixels) over a square with this top-left corner."""
        ...

    def spectrum(self, y_nm: float, x_nm: float, exposure_s: float) -> Floats:
        """Counts (channels,)."""
        ...


@dataclass
class Conduct:
    """How a double behaves.

    Attributes
    ----------
    speed
        1 is the pace of an instrument, 2 twice as fast, 0 without any waiting.
    faults
        What befalls which acquisition: ``{"drop": 3}`` is the third frame or spectrum.
    taken
        How many frames and spectra were begun so far.

    Raises
    ------
    SpecError
        If a fault is unknown or a number impossible.
    """

    speed: float = 1.0
    faults: Mapping[str, int] = field(default_factory=dict)
    taken: int = 0

    def __post_init__(self) -> None:
        unknown = sorted(set(self.faults) - set(FAULTS))
        if unknown or self.speed < 0 or any(n < 1 for n in self.faults.values()):
            raise SpecError(
                "instrument server twin",
                f"faults {dict(self.faults)}, speed {self.speed}",
                f"faults of {sorted(FAULTS)} with a number from 1 on, speed >= 0",
                "correct it",
            )

    def befalls(self, fault: str) -> bool:
        """Whether the frame or spectrum that is being taken has this fault."""
        return self.faults.get(fault) == self.taken

    @property
    def gone(self) -> bool:
        """Whether the server has ended, by order."""
        return self.taken >= self.faults.get("gone", self.taken + 1)

    def pace(self, seconds: float) -> float:
        """How long to wait for what takes an instrument so long."""
        return seconds / self.speed if self.speed > 0 else 0.0

    def counts(self, expected: Floats) -> Floats:
        """Whole numbers up to full scale, or as a fault has it."""
        full = IMAGE_FULL if expected.ndim == 2 else SPECTRUM_FULL
        counts = np.clip(np.rint(expected), 0.0, full)
        if self.befalls("saturate"):
            counts = np.full_like(counts, full)
        if self.befalls("nan"):
            counts.flat[::7] = np.nan
        return counts


def parse_faults(texts: Sequence[str]) -> dict[str, int]:
    """Faults from texts such as ``drop:3``.

    Raises
    ------
    SpecError
        If one does not read.
    """
    faults: dict[str, int] = {}
    for text in texts:
        name, _, number = text.partition(":")
        if name not in FAULTS or not number.isdigit() or int(number) < 1:
            raise SpecError(
                "fault",
                f"{text!r}",
                f"KIND:N with a kind of {sorted(FAULTS)} and N from 1 on",
                "write it like drop:3, for the third frame or spectrum",
            )
        faults[name] = int(number)
    return faults
