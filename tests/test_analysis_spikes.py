"""Spike rejection, on simulated curves and on recorded loops of which many have spikes."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probewise.analysis import reject_spikes

FOLDER = Path(os.environ.get("PROBEWISE_DATA", Path(__file__).parents[1] / "../shared/data"))
RECORDING = FOLDER / "beps_pto" / "BEPS_PTO_50x50.h5"


def curves(n: int = 20, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = np.arange(96.0)
    return 20 * np.sin(x / 15.0 + rng.random((n, 1))) + rng.standard_normal((n, 96))


def test_spikes_are_found_and_little_else_is() -> None:
    data = curves()
    dirty = data.copy()
    dirty[:, [20, 50, 51]] += 80.0
    result = reject_spikes(dirty)
    assert result.spikes[:, [20, 50, 51]].all()
    result.spikes[:, [20, 50, 51]] = False
    assert result.share < 0.005
    assert np.abs(result.clean - data).max() < 8.0


def test_steps_and_narrow_peaks_stay() -> None:
    x = np.arange(96.0)
    step = 50.0 * np.tanh((x - 40.0) / 1.5)
    peak = 300.0 * np.exp(-0.5 * ((x - 70.0) / 2.5) ** 2)
    data = np.stack([step, peak]) + np.random.default_rng(0).standard_normal((2, 96))
    assert not reject_spikes(data).spikes.any()


def test_gaps_are_filled_with_an_error_and_empty_spectra_are_lost() -> None:
    data = curves(3)
    data[0, 30:33] = np.nan
    data[1] = np.inf
    result = reject_spikes(data)
    assert np.isfinite(result.clean).all()
    assert list(result.hit[:2]) == [True, True] and list(result.lost) == [False, True, False]
    assert np.isinf(result.std[1]).all() and np.isfinite(result.std[0]).all()


@given(st.integers(0, 1000), st.floats(1e-9, 1e9), st.floats(-1e3, 1e3))
def test_scale_and_offset_change_nothing(seed: int, scale: float, offset: float) -> None:
    data = curves(2, seed)
    data[0, 40] += 500.0
    first, second = reject_spikes(data), reject_spikes(scale * (data + offset))
    assert np.array_equal(first.spikes, second.spikes)


def test_what_is_no_table_of_spectra_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 12"):
        reject_spikes(np.zeros((3, 8)))


@pytest.mark.skipif(not RECORDING.is_file(), reason=f"{RECORDING} is not there")
def test_recorded_loops_agree_with_their_neighbours_after_rejection() -> None:
    """The neighbours' median takes no part in the rejection, which looks along each loop only."""
    with h5py.File(RECORDING) as file:
        cube = np.asarray(file["Channel_000/generic/generic"])
    loops = cube.reshape(-1, 64)
    loops = loops - np.median(loops, axis=1, keepdims=True)
    result = reject_spikes(loops, cyclic=True, ensemble=10.0)
    assert 0.05 < result.share < 0.10, f"{result.share:.1%} of the values were replaced"
    assert 0.03 < result.lost.mean() < 0.08, f"{result.lost.mean():.1%} of the loops are lost"
    near = neighbours(loops.reshape(cube.shape)).reshape(-1, 64)
    span = np.median(np.ptp(np.percentile(near, [10, 90], axis=1), axis=0))
    usable = ~result.lost

    def departure(given: np.ndarray) -> float:
        off = np.abs(given - near)[usable] / span
        return float(np.sqrt(np.mean(off**2)))

    before, after = departure(loops), departure(result.clean)
    assert before > 20.0 and after < 2.0, f"rms departure {before:.1f} before, {after:.2f} after"
    struck = usable & result.hit
    likeness = [
        np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(x[struck], near[struck], strict=True)])
        for x in (loops, result.clean)
    ]
    assert likeness[0] < 0.7 and likeness[1] > 0.9, f"correlation {likeness}"


def neighbours(cube: np.ndarray) -> np.ndarray:
    """The median of the 24 pixels around each, channel by channel."""
    wide = np.pad(cube, ((2, 2), (2, 2), (0, 0)), constant_values=np.nan)
    rows, cols = cube.shape[:2]
    others = [
        wide[i : i + rows, j : j + cols] for i in range(5) for j in range(5) if (i, j) != (2, 2)
    ]
    return np.nanmedian(others, axis=0)
