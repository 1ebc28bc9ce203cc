"""Arrays with units and axes, as workers give and take them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Axis:
    """One axis of an array: its values in ``unit``. ``kind`` as in sidpy: spatial, spectral, ..."""

    name: str
    unit: str
    values: NDArray[np.float64]
    kind: str = "unknown"


@dataclass(frozen=True)
class Array:
    """An array with its unit and axes, as workers give and take it."""

    data: NDArray[np.float64]
    unit: str
    axes: tuple[Axis, ...]
    quantity: str = ""
    kind: str = "UNKNOWN"
    metadata: dict[str, float | str] = field(default_factory=dict)
