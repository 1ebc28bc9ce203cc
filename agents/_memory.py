"""Arrays kept in memory: for campaigns in one process, and for the conformance suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import final

import numpy as np

from ..workflow import Action, Array, ArrayRef, StoreError


@final
class MemoryStore:
    """Arrays in this process's memory, as an ``ArrayStore``; they are handed out read-only."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, str], Array] = {}

    def put(self, action: Action, arrays: Mapping[str, Array]) -> dict[str, ArrayRef]:
        self._arrays |= {(action.id, name): frozen(array) for name, array in arrays.items()}
        return {
            name: ArrayRef(
                file=action.id, dataset=name, sha256="", shape=array.data.shape, unit=array.unit
            )
            for name, array in arrays.items()
        }

    def get(self, ref: ArrayRef) -> Array:
        if (ref.file, ref.dataset) not in self._arrays:
            raise StoreError(
                "memory store", f"{ref.file}/{ref.dataset}", "what was put", "put it first"
            )
        return self._arrays[ref.file, ref.dataset]


def frozen(array: Array) -> Array:
    """A copy that cannot be written to, as arrays come from Ray."""
    data = np.array(array.data)
    data.flags.writeable = False
    return replace(array, data=data)
