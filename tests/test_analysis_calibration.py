"""Stated standard deviations are right: z-scores on 200 simulated cases of every method."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._calibration_cases import CASES, scores


@pytest.mark.parametrize("name", sorted(CASES))
def test_errors_are_calibrated(name: str) -> None:
    for quantity, z in scores(name, 200).items():
        rms = float(np.sqrt(np.mean(z**2)))
        assert 0.8 <= rms <= 1.25, f"{quantity}: z rms {rms:.2f}"
        assert abs(z.mean()) < 0.4, f"{quantity}: z mean {z.mean():+.2f}"
        assert set(CASES[name].units) >= {quantity}
