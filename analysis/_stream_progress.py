"""How long an acquisition still takes."""

from __future__ import annotations

from collections import deque
from typing import final

import numpy as np

from ..workflow import Estimate

_MEMORY = 60


@final
class Progress:
    """Expected remaining time of ``total`` items, from when the items so far were finished.

    The pace is the mean seconds an item of the last 60 reports. Its error comes from the scatter of
    the reports; what is left adds its own scatter to that of the mean.
    """

    def __init__(self, total: int) -> None:
        if total < 1:
            raise ValueError(f"{total} items: at least 1")
        self.total, self.done = total, 0
        self._last_s: float | None = None
        self._reports: deque[tuple[int, float]] = deque(maxlen=_MEMORY)

    def update(self, items: int, elapsed_s: float) -> Estimate | None:
        """Take in that ``items`` more are done at ``elapsed_s``; remaining seconds, or None yet."""
        if self._last_s is not None and items > 0:
            self._reports.append((items, max(elapsed_s - self._last_s, 0.0)))
        self.done += items
        self._last_s = elapsed_s
        return self.remaining_s()

    def remaining_s(self) -> Estimate | None:
        """None until three reports are known; 0 at the end."""
        left = max(self.total - self.done, 0)
        if left == 0:
            return Estimate(value=0.0)
        if len(self._reports) < 3:
            return None
        items, times = np.array(self._reports, dtype=np.float64).T
        pace = float(times.sum() / items.sum())
        # Variance of one item's time, if the times of items are independent.
        scatter = float(np.sum((times - pace * items) ** 2 / items)) / (len(items) - 1)
        variance = scatter * (left**2 / float(items.sum()) + left)
        return Estimate(value=pace * left, std=float(np.sqrt(variance)))
