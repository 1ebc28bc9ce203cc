"""Campaign time: real, or as fast as the twins compute."""

from __future__ import annotations

import time
from typing import Protocol, final


class Clock(Protocol):
    """Campaign time in hours."""

    virtual: bool

    def now_h(self) -> float: ...

    def advance_to(self, hour: float) -> None:
        """Move on to ``hour``; a clock never runs backwards."""
        ...


@final
class VirtualClock:
    """Time jumps to the next event; results are processed in the order of their virtual ends."""

    virtual = True

    def __init__(self, start_h: float = 0.0) -> None:
        self._now = start_h

    def now_h(self) -> float:
        return self._now

    def advance_to(self, hour: float) -> None:
        self._now = max(self._now, hour)


@final
class RealClock:
    """Time runs by itself, from ``start_h`` on (a resumed campaign goes on where it stopped)."""

    virtual = False

    def __init__(self, start_h: float = 0.0) -> None:
        self._zero = time.monotonic() - start_h * 3600.0

    def now_h(self) -> float:
        return (time.monotonic() - self._zero) / 3600.0

    def advance_to(self, hour: float) -> None:
        """Real time cannot be moved."""
