"""Stated standard deviations are right: z-scores on simulated cases of every method."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._calibration_cases import CASES, scores


def check(name: str, cases: int, low: float, high: float) -> None:
    for quantity, z in scores(name, cases).items():
        rms = float(np.sqrt(np.mean(z**2)))
        assert low <= rms <= high, f"{quantity}: z rms {rms:.2f}"
        assert abs(z.mean()) < 0.4 * np.sqrt(200 / cases), f"{quantity}: z mean {z.mean():+.2f}"
        assert quantity in CASES[name].units


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CASES))
def test_errors_are_calibrated(name: str) -> None:
    check(name, 200, 0.8, 1.25)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CASES))
def test_errors_are_about_right(name: str) -> None:
    """The same with fewer cases, in a second or two; the bounds are as much wider."""
    check(name, 20, 0.5, 1.7)
