"""Analysis of current-field maps: patch features, high-field current, bad spectra."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from probewise.analysis import IvAnalysis
from probewise.instruments import load_iv_cube
from probewise.workflow import Action, Array, Axis, Job, Kind, Step, Target, WorkerError

FIELDS = 40
FOLDER = Path(os.environ.get("PROBEWISE_DATA", Path(__file__).parents[1] / "../shared/data"))
RECORDING = FOLDER / "bfo_iv" / "bfo_iv_final.hf5"


def job(step: str, **arrays: tuple[Array, ...]) -> Job:
    spec = Step.model_validate({"name": step, "level": 1, "acts_on": "site", "cost_credits": 0.1})
    return Job(Action(id="a1", step=step, target=Target(sample="film", site=0)), spec, arrays)


def image_array(data: np.ndarray) -> Array:
    axes = tuple(Axis(n, "px", np.arange(float(s))) for n, s in zip("rc", data.shape, strict=False))
    return Array(data, "1", axes)


def batch(positions: list[tuple[int, int]], data: np.ndarray, n_cols: int = 10) -> Array:
    numbers = np.array([r * n_cols + c for r, c in positions], dtype=float)
    axes = (Axis("position", "1", numbers), Axis("field", "1", np.arange(float(data.shape[1]))))
    return Array(data, "1", axes, metadata={"n_cols": float(n_cols)})


def curves(levels: list[float], noise: float = 0.02, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    ramp = np.linspace(-1.0, 0.0, FIELDS)
    return np.array(levels)[:, None] + ramp + noise * rng.standard_normal((len(levels), FIELDS))


def stripes(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.sin(np.arange(20)[:, None] / 2.0) + 0.1 * rng.standard_normal((20, 16))


def test_what_it_says_of_itself() -> None:
    worker = IvAnalysis()
    assert worker.kind is Kind.ANALYSIS and worker.replayable and not worker.twin
    assert {o.capability for o in worker.offers()} == {"describe_patches", "reduce_spectra"}
    with pytest.raises(WorkerError, match="fold"):
        worker.perform(job("fold"))


def test_features_of_every_pixel_are_standardised_and_repeatable() -> None:
    image = image_array(stripes())
    outcome = IvAnalysis().perform(job("describe_patches", low_field_image=(image,)))
    table = outcome.tables["features"]
    assert table.positions == tuple((r, c) for r in range(20) for c in range(16))
    assert list(table.columns) == [f"f{k}" for k in range(8)]
    values = np.array(list(table.columns.values()))
    np.testing.assert_allclose(values.mean(axis=1), 0.0, atol=1e-4)
    np.testing.assert_allclose(values.std(axis=1), 1.0, atol=1e-4)
    assert all(v == float(f"{v:.5g}") for v in values.ravel())
    again = IvAnalysis().perform(job("describe_patches", low_field_image=(image,)))
    assert again.tables["features"] == table


def test_first_feature_follows_the_strongest_structure() -> None:
    outcome = IvAnalysis().perform(
        job("describe_patches", low_field_image=(image_array(stripes()),))
    )
    inside = slice(4 * 16, 16 * 16)  # the mirrored edges break the sine
    columns = outcome.tables["features"].columns
    features = np.array([columns["f0"][inside], columns["f1"][inside]])
    phase = np.arange(4, 16).repeat(16) / 2.0
    design = np.stack([np.sin(phase), np.cos(phase), np.ones_like(phase)], axis=1)
    for feature in features:
        rest = feature - design @ np.linalg.lstsq(design, feature, rcond=None)[0]
        assert rest.var() < 0.05 * feature.var()


def test_contrast_ignores_a_dead_pixel_and_gaps() -> None:
    rng = np.random.default_rng(1)
    image = 0.5 * rng.standard_normal((40, 40))
    image[3, 3], image[5, 5] = 1e6, np.nan
    outcome = IvAnalysis().perform(job("describe_patches", low_field_image=(image_array(image),)))
    contrast = outcome.values["image_contrast"]
    assert contrast.value == pytest.approx(0.5, abs=0.05) and 0 < contrast.std < 0.1
    table = outcome.tables["features"]
    assert (5, 5) not in table.positions and len(table.positions) == 1599
    assert np.abs(table.columns["f0"]).max() < 10


def test_flat_image_has_no_structure() -> None:
    image = image_array(np.full((12, 12), 3.0))
    outcome = IvAnalysis().perform(job("describe_patches", low_field_image=(image,)))
    assert outcome.values["image_contrast"].value == 0.0
    assert set(np.array(list(outcome.tables["features"].columns.values())).ravel()) == {0.0}


@pytest.mark.parametrize("data", [np.ones((4, 30)), np.full((20, 20), np.nan), np.ones(50)])
def test_image_that_cannot_be_described_is_bad_data(data: np.ndarray) -> None:
    failure = IvAnalysis().perform(job("describe_patches", low_field_image=(image_array(data),)))
    assert failure.failure is not None and failure.failure.kind == "bad_data"
    assert failure.failure.remedy


def test_all_batches_so_far_are_reduced() -> None:
    first = batch([(0, 1), (2, 3)], curves([10.0, 12.0]))
    second = batch([(9, 9)], curves([11.0], seed=1))
    outcome = IvAnalysis().perform(job("reduce_spectra", iv_spectra=(first, second)))
    table = outcome.tables["spectra"]
    assert table.positions == ((0, 1), (2, 3), (9, 9))
    expected = [float(c[-5:].mean()) for b in (first, second) for c in b.data]
    np.testing.assert_allclose(table.columns["log_current"], expected, atol=1e-3)
    assert table.columns["good"] == (1.0, 1.0, 1.0)
    estimate = outcome.values["log_current"]
    assert estimate.value == pytest.approx(np.mean(expected))
    assert estimate.std == pytest.approx(np.std(expected, ddof=1) / np.sqrt(3))


def test_pixel_measured_again_counts_once_with_its_last_spectrum() -> None:
    batches = (batch([(1, 1)], curves([10.0])), batch([(1, 1)], curves([11.0])))
    outcome = IvAnalysis().perform(job("reduce_spectra", iv_spectra=batches))
    table = outcome.tables["spectra"]
    assert table.positions == ((1, 1),)
    assert table.columns["log_current"][0] == pytest.approx(10.95, abs=0.05)
    assert outcome.values["log_current"].std == pytest.approx(
        table.columns["log_current_std"][0], rel=1e-3
    )


def test_stated_error_matches_the_scatter() -> None:
    noise, n = 0.1, 400
    data = curves([10.0] * n, noise=noise)
    positions = [divmod(k, 20) for k in range(n)]
    table = (
        IvAnalysis()
        .perform(job("reduce_spectra", iv_spectra=(batch(positions, data, 20),)))
        .tables["spectra"]
    )
    stated = float(np.mean(table.columns["log_current_std"]))
    assert stated == pytest.approx(np.std(table.columns["log_current"]), rel=0.25)
    assert stated == pytest.approx(noise / np.sqrt(5), rel=0.25)


def test_gaps_and_spikes_are_flagged_and_left_out() -> None:
    data = curves([10.0, 10.0, 10.0, 12.0])
    data[1, -3], data[2, -2], data[3, 5] = np.nan, 0.0, 0.0
    positions = [(0, 0), (0, 1), (0, 2), (0, 3)]
    outcome = IvAnalysis().perform(job("reduce_spectra", iv_spectra=(batch(positions, data),)))
    assert outcome.tables["spectra"].columns["good"] == (1.0, 0.0, 0.0, 1.0)
    assert outcome.values["log_current"].value == pytest.approx(10.95, abs=0.05)


def test_no_good_spectrum_is_bad_data() -> None:
    data = np.full((2, FIELDS), np.nan)
    outcome = IvAnalysis().perform(
        job("reduce_spectra", iv_spectra=(batch([(0, 0), (0, 1)], data),))
    )
    assert outcome.failure is not None and outcome.failure.kind == "bad_data"
    assert not outcome.values and not outcome.tables


@pytest.mark.parametrize("step", ["describe_patches", "reduce_spectra"])
def test_missing_array_is_a_failure_not_a_crash(step: str) -> None:
    outcome = IvAnalysis().perform(job(step))
    assert outcome.failure is not None and outcome.failure.kind == "missing"


@settings(max_examples=30, deadline=None)
@given(
    holes=st.dictionaries(st.integers(0, 5), st.integers(0, FIELDS - 1)),
    value=st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e300]),
)
def test_a_wrong_channel_never_reaches_the_result(holes: dict[int, int], value: float) -> None:
    data = curves([9.0, 10.0, 11.0, 9.5, 10.5, 11.5])
    for hole in holes.items():
        data[hole] = value
    positions = [(0, k) for k in range(6)]
    outcome = IvAnalysis().perform(job("reduce_spectra", iv_spectra=(batch(positions, data),)))
    if outcome.failure is None:
        columns = outcome.tables["spectra"].columns
        good = np.array(columns["good"]) > 0
        assert good.any()
        assert np.all(np.abs(np.array(columns["log_current"])[good] - 10.0) < 2.0)


@pytest.mark.filterwarnings(f"ignore::{ConvergenceWarning.__module__}.ConvergenceWarning")
@pytest.mark.skipif(
    not RECORDING.is_file(), reason=f"no recording at {RECORDING}; set PROBEWISE_DATA"
)
def test_structure_predicts_the_recorded_property_better_than_place() -> None:
    """Coefficient of determination at 100 random pixels: patches far above (row, column)."""
    cube = load_iv_cube(RECORDING)
    outcome = IvAnalysis().perform(
        job("describe_patches", low_field_image=(image_array(cube.low_field_image),))
    )
    table = outcome.tables["features"]
    inputs = {
        "patches": np.array(list(table.columns.values())).T,
        "place": np.array(table.positions) / 49.0,
    }
    scores = {name: _median_r2(x, cube.high_field.ravel()) for name, x in inputs.items()}
    assert scores["patches"] > 0.42
    assert scores["patches"] > scores["place"] + 0.15


def _median_r2(x: np.ndarray, y: np.ndarray, n: int = 100) -> float:
    scores = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(y))
        train, test = order[:n], order[n:]
        kernel = ConstantKernel(1.0) * Matern(1.0, (1e-2, 1e2), nu=2.5) + WhiteKernel(
            0.1, (1e-6, 1e1)
        )
        model = GaussianProcessRegressor(kernel, normalize_y=True).fit(x[train], y[train])
        scores.append(model.score(x[test], y[test]))
    return float(np.median(scores))
