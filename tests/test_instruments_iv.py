"""The replay of a recorded current-field cube, and the truth that it is scored by."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from support_cubes import write_nsid

from probewise.analysis import IvAnalysis
from probewise.instruments import IvCubeTruth, IvReplay, load_iv_cube
from probewise.workflow import (
    Action,
    DesignSpaceError,
    Estimate,
    Job,
    Kind,
    Maximize,
    Recommendation,
    SpecError,
    Step,
    StoreError,
    Target,
    WorkerError,
)

ROWS, COLUMNS, FIELDS = 12, 10, 40
FOLDER = Path(os.environ.get("PROBEWISE_DATA", Path(__file__).parents[1] / "../shared/data"))
RECORDING = FOLDER / "bfo_iv" / "bfo_iv_final.hf5"
GOAL = Maximize(quantity="log_current", over="positions")


def cube(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    level = rng.normal(9.0, 0.5, size=(ROWS, COLUMNS, 1))
    return level + np.linspace(0.0, 1.0, FIELDS)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(write_nsid(tmp_path / "map.hf5", cube()))


def job(step: str, positions: tuple[tuple[int, int], ...] = ()) -> Job:
    acts_on = "positions" if step == "measure_spectra" else "site"
    spec = Step.model_validate({"name": step, "level": 3, "acts_on": acts_on, "cost_credits": 2})
    target = Target(sample="film", site=0, positions=positions)
    return Job(Action(id="a1", step=step, target=target, seed=7), spec)


def test_replay_says_that_it_is_a_recording(path: str) -> None:
    worker = IvReplay(path)
    assert worker.kind is Kind.INSTRUMENT
    assert worker.replayable and not worker.twin
    offers = {o.capability: o.about for o in worker.offers()}
    assert set(offers) == {"load_sample", "overview_scan", "measure_spectra"}
    assert all("recording" in about for about in offers.values())


def test_image_is_the_mean_of_the_low_field_channels(path: str) -> None:
    image = IvReplay(path).perform(job("overview_scan")).arrays["low_field_image"]
    assert [a.name for a in image.axes] == ["row", "column"]
    np.testing.assert_allclose(image.data, cube()[:, :, 26:31].mean(axis=2))


def test_spectra_come_from_the_asked_pixels_in_order(path: str) -> None:
    positions = ((3, 4), (11, 9), (0, 0))
    outcome = IvReplay(path).perform(job("measure_spectra", positions))
    spectra = outcome.arrays["iv_spectra"]
    assert outcome.failure is None and spectra.unit == "1"
    np.testing.assert_array_equal(spectra.data, [cube()[p] for p in positions])
    np.testing.assert_array_equal(spectra.axes[0].values, [34, 119, 0])
    assert spectra.metadata["n_cols"] == COLUMNS
    np.testing.assert_array_equal(spectra.axes[1].values, np.arange(FIELDS))


def test_same_action_gives_the_same_price_and_data(path: str) -> None:
    first = IvReplay(path).perform(job("measure_spectra", ((1, 1),)))
    again = IvReplay(path).perform(job("measure_spectra", ((1, 1),)))
    assert (first.cost_credits, first.duration_h) == (again.cost_credits, again.duration_h)
    assert first.cost_credits is not None and 0 < first.cost_credits <= 3.0


@pytest.mark.parametrize("position", [(-1, 0), (0, COLUMNS), (ROWS, 0), (2, 3)])
def test_pixel_outside_the_recording_is_refused_for_nothing(
    tmp_path: Path, position: tuple[int, int]
) -> None:
    data = cube()
    data[2, 3] = np.nan
    worker = IvReplay(str(write_nsid(tmp_path / "gap.hf5", data)))
    outcome = worker.perform(job("measure_spectra", ((0, 0), position)))
    assert outcome.failure is not None and outcome.failure.kind == "refused"
    assert str(position) in outcome.failure.message and outcome.failure.remedy
    assert outcome.cost_credits == 0.0 and not outcome.arrays


def test_no_positions_is_refused(path: str) -> None:
    failure = IvReplay(path).perform(job("measure_spectra")).failure
    assert failure is not None and failure.kind == "refused"


def test_unknown_capability_is_an_error(path: str) -> None:
    with pytest.raises(WorkerError, match="polish"):
        IvReplay(path).perform(job("polish"))


def test_gaps_are_left_out_of_the_means(tmp_path: Path) -> None:
    data = cube()
    data[0, 0], data[1, 1, 26:29], data[1, 1, -2:] = np.nan, np.inf, np.nan
    loaded = load_iv_cube(write_nsid(tmp_path / "gap.hf5", data))
    assert not loaded.recorded[0, 0] and loaded.recorded.sum() == ROWS * COLUMNS - 1
    assert np.isnan(loaded.low_field_image[0, 0])
    assert loaded.low_field_image[1, 1] == pytest.approx(data[1, 1, 29:31].mean())
    assert loaded.high_field[1, 1] == pytest.approx(data[1, 1, -5:-2].mean())


def foreign(folder: Path) -> Path:
    path = folder / "notes.hf5"
    path.write_text("not a measurement")
    return path


def torn(folder: Path) -> Path:
    path = write_nsid(folder / "torn.hf5", cube())
    path.write_bytes(path.read_bytes()[:3000])
    return path


def two_cubes(folder: Path) -> Path:
    path = write_nsid(folder / "two.hf5", cube())
    with h5py.File(path, "a") as file:
        file["second"] = cube()
    return path


def no_axis(folder: Path) -> Path:
    path = folder / "bare.hf5"
    with h5py.File(path, "w") as file:
        file["map"] = cube()
    return path


BAD_FILES = {
    "not HDF5": (foreign, "notes.hf5"),
    "torn": (torn, "torn.hf5"),
    "a folder": (lambda folder: folder, "no file"),
    "absent": (lambda folder: folder / "absent.hf5", "no file"),
    "two cubes": (two_cubes, "2 3-D datasets"),
    "an image": (lambda f: write_nsid(f / "image.hf5", np.ones((9, 9))), "0 3-D datasets"),
    "few fields": (lambda f: write_nsid(f / "few.hf5", cube()[:, :, :20]), "(12, 10, 20)"),
    "no axis": (no_axis, "field axis"),
    "descending": (lambda f: write_nsid(f / "d.hf5", cube(), -np.arange(40.0)), "field axis"),
    "all NaN": (lambda f: write_nsid(f / "n.hf5", np.full((12, 10, 40), np.nan)), "no finite"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_says_what_is_wrong_and_where_to_get_one(tmp_path: Path, name: str) -> None:
    make, given = BAD_FILES[name]
    with pytest.raises(StoreError) as caught:
        IvReplay(str(make(tmp_path)))
    assert given in caught.value.given
    assert "sample_data" in caught.value.remedy and "MIT" in caught.value.remedy
    assert "(row, column, field)" in caught.value.remedy


@pytest.mark.parametrize("worker", [IvReplay, IvCubeTruth])
def test_no_path_fails_at_once(worker: type) -> None:
    with pytest.raises(StoreError, match="no path"):
        worker()


def recommend(position: tuple[int, int] | None) -> Recommendation:
    return Recommendation(goal=GOAL, position=position, estimate=Estimate(value=0.0))


def test_truth_scores_what_was_recorded(path: str) -> None:
    truth, high = IvCubeTruth(path), cube()[:, :, -5:].mean(axis=2)
    best = np.unravel_index(high.argmax(), high.shape)
    score = truth.score(recommend((int(best[0]), int(best[1]))))
    assert score.gain == 1.0 and score.regret == 0.0
    score = truth.score(recommend((5, 5)))
    assert score.true_value == pytest.approx(high[5, 5])
    assert score.baseline == pytest.approx(np.median(high))


def test_truth_gives_a_gap_the_lowest_score(tmp_path: Path) -> None:
    data = cube()
    data[4, 4] = np.nan
    truth = IvCubeTruth(str(write_nsid(tmp_path / "gap.hf5", data)))
    score = truth.score(recommend((4, 4)))
    assert score.true_value == pytest.approx(np.nanmin(data[:, :, -5:].mean(axis=2)))


def test_truth_needs_a_position_inside(path: str) -> None:
    with pytest.raises(SpecError, match="without a position"):
        IvCubeTruth(path).score(recommend(None))
    with pytest.raises(DesignSpaceError, match="rows 0 to 11"):
        IvCubeTruth(path).score(recommend((12, 0)))


def test_share_of_top_counts_each_pixel_once(path: str) -> None:
    truth, high = IvCubeTruth(path), cube()[:, :, -5:].mean(axis=2)
    order = [divmod(int(k), COLUMNS) for k in np.argsort(high, axis=None)[::-1]]
    assert truth.share_of_top(order[:3], fraction=0.05) == pytest.approx(0.5)
    assert truth.share_of_top(order[:3] * 2, fraction=0.05) == pytest.approx(0.5)
    assert truth.share_of_top(order, fraction=0.05) == 1.0
    assert truth.share_of_top(order[6:], fraction=0.05) == 0.0
    with pytest.raises(SpecError, match="fraction"):
        truth.share_of_top(order, fraction=0.0)


needs_recording = pytest.mark.skipif(
    not RECORDING.is_file(), reason=f"no recording at {RECORDING}; set PROBEWISE_DATA"
)


@needs_recording
def test_recording_is_what_the_docstring_of_the_truth_says() -> None:
    loaded = load_iv_cube(RECORDING)
    assert loaded.log_current.shape == (50, 50, 53) and loaded.recorded.all()
    high = loaded.high_field
    assert np.unravel_index(high.argmax(), high.shape) == (36, 7)
    assert high.max() == pytest.approx(13.23, abs=0.005)
    assert np.median(high) == pytest.approx(10.04, abs=0.005)
    assert high[37, 7] == pytest.approx(11.98, abs=0.005)
    assert np.sort(high, axis=None)[-25] == pytest.approx(11.78, abs=0.005)


@needs_recording
def test_analysis_of_the_recording_agrees_with_its_truth() -> None:
    positions = tuple((r, c) for r in range(0, 50, 7) for c in range(0, 50, 7))
    spectra = IvReplay(str(RECORDING)).perform(job("measure_spectra", positions)).arrays
    reduce = job("reduce_spectra")
    table = (
        IvAnalysis()
        .perform(Job(reduce.action, reduce.step, {"iv_spectra": (spectra["iv_spectra"],)}))
        .tables["spectra"]
    )
    truth = IvCubeTruth(str(RECORDING))
    assert table.positions == positions
    for position, value, good in zip(
        positions, table.columns["log_current"], table.columns["good"], strict=True
    ):
        if good:
            assert value == pytest.approx(truth.score(recommend(position)).true_value, abs=1e-3)
