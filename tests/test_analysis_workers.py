"""The workers of spectra, images and streams: outcomes, failures and the contract."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from probewise.agents import check_worker, example_job
from probewise.analysis import ImageAnalysis, SpectrumAnalysis, StreamWatch
from probewise.workflow import Array, Axis, Job, Outcome, Step, WorkerError

BIAS = 16 / np.pi * np.arcsin(np.sin(2 * np.pi * np.arange(1, 65) / 64))
RNG = np.random.default_rng(0)
UNITS = (
    {
        "plasmon_energy": "eV",
        "plasmon_width": "eV",
        "particle_density": "1/nm**2",
        "wall_density": "1/nm",
        "edge_density": "1/nm",
    }
    | dict.fromkeys(("particle_diameter", "atom_spacing", "wall_length", "edge_length"), "nm")
    | (
        dict.fromkeys(("coercive_up", "coercive_down", "imprint", "loop_window"), "V")
        | dict.fromkeys(("nucleation_up", "nucleation_down", "response_A_over_B"), "V")
    )
)


def curves(data: np.ndarray, x: np.ndarray, unit: str) -> Array:
    axes = (Axis("position", "1", np.arange(float(len(data)))), Axis("x", unit, x, "spectral"))
    return Array(data, "1", axes, metadata={"n_cols": 2.0})


def image(data: np.ndarray, pixel: float = 0.5) -> Array:
    axes = tuple(
        Axis(n, "nm", pixel * np.arange(k), "spatial")
        for n, k in zip("yx", data.shape, strict=True)
    )
    return Array(data, "1", axes)


def low_loss(n: int = 3) -> Array:
    energy = np.arange(-0.6, 4.4, 0.02)
    clean = 1e5 * np.exp(-0.5 * (energy / 0.07) ** 2) + 300 / (1 + ((energy - 2.2) / 0.2) ** 2)
    return curves(RNG.poisson(np.tile(clean + 5.0, (n, 1))).astype(float), energy, "eV")


def core_loss() -> Array:
    energy = np.arange(220.0, 600.0)
    clean = 3000 * (energy / 250) ** -3.0
    for onset in (284.0, 532.0):
        clean = clean + np.where(energy >= onset, 150 * (energy / onset) ** -3.0, 0.0)
    return curves(RNG.poisson(np.tile(clean, (2, 1))).astype(float), energy, "eV")


def loops() -> Array:
    rising = np.roll(BIAS, 1) < BIAS
    state = np.where(rising, np.tanh((BIAS - 3) / 0.7), np.tanh((BIAS + 2) / 0.7))
    return curves(10 * state + 0.5 * RNG.standard_normal((3, 64)), BIAS, "V")


def sweeps() -> Array:
    volts = np.linspace(0.1, 3, 20)
    clean = 2 * volts + 1.5 * volts**2 + 0.1 * volts**3
    return curves(clean + 0.1 * RNG.standard_normal((3, 20)), volts, "V")


def particles() -> Array:
    rows, cols = np.mgrid[:80, :80]
    clean = np.zeros((80, 80))
    for row, col in ((25, 25), (50, 55)):
        clean += 200 * np.sqrt(np.maximum(1 - ((rows - row) ** 2 + (cols - col) ** 2) / 64, 0))
    clean = 10 + gaussian_filter(clean, 1.0)
    return image(RNG.poisson(clean).astype(float))


def columns() -> Array:
    rows, cols = np.mgrid[:36, :36]
    clean = 5 + 80 * (np.cos(np.pi * rows / 10) * np.cos(np.pi * cols / 10)) ** 8
    return image(RNG.poisson(clean).astype(float), 0.03)


def domains() -> Array:
    rows = np.mgrid[:64, :64][0]
    return image(10 * np.tanh((rows - 31.3) / 1.5) + RNG.standard_normal((64, 64)))


def stream(n: int) -> Array:
    x = np.arange(128.0)
    clean = 500 * np.exp(-0.5 * ((x - 20) / 5) ** 2) + 60 * np.exp(-0.5 * ((x - 80) / 9) ** 2) + 30
    return curves(RNG.poisson(np.tile(clean, (n, 1))).astype(float), x, "eV")


def job(
    capability: str, produces: str, *arrays: Array, records: str = "", name: str = "given"
) -> Job:
    fields = {
        "name": capability,
        "level": 2 if capability == "watch_stream" else 1,
        "acts_on": "site",
        "consumes": f"{name} [1]",
        "produces": tuple(f"{p} [{UNITS.get(p, '1')}]" for p in produces.split()),
        "records": tuple(f"{r} [1]" for r in records.split()),
        "cost_credits": 0.1,
    }
    return example_job(Step.model_validate(fields), arrays={name: arrays})


SPECTRA = [
    job("reject_spikes", "spike_share", low_loss(), records="clean_spectra"),
    job("fit_plasmon", "plasmon_energy plasmon_width plasmon_area", low_loss()),
    job("fit_edges", "signal_C fraction_C fraction_O", core_loss()),
    job(
        "loop_parameters",
        "loop_area remanence coercive_up coercive_down imprint loop_window nucleation_up"
        " nucleation_down",
        loops(),
    ),
    job("fit_sweep", "response_A response_B response_C response_A_over_B", sweeps()),
]
IMAGES = [
    job("find_particles", "particle_density particle_diameter", particles()),
    job("find_atoms", "atom_spacing", columns()),
    job("find_walls", "wall_length wall_density", domains()),
    job("find_edges", "edge_length edge_density", particles()),
]
STREAMS = [
    job("watch_stream", "good_share novel_share novelty", stream(40), stream(20), records="mask")
]


def spectrum_analysis() -> SpectrumAnalysis:
    return SpectrumAnalysis(edges="C 284 50 50 1.0; O 532 50 50 0.5", peaks=1)


@pytest.mark.parametrize(
    ("make", "jobs"),
    [(spectrum_analysis, SPECTRA), (ImageAnalysis, IMAGES), (StreamWatch, STREAMS)],
    ids=["spectrum-analysis", "image-analysis", "stream-watch"],
)
def test_workers_conform(make, jobs: list[Job]) -> None:
    check_worker(make, jobs)


def value(outcome: Outcome, name: str, truth: float) -> None:
    found = outcome.values[name]
    assert found.std > 0.0 and found.value == pytest.approx(truth, abs=4 * found.std)


def test_quantities_are_right_within_their_errors() -> None:
    made = {j.step.name: spectrum_analysis().perform(j) for j in SPECTRA}
    value(made["fit_plasmon"], "plasmon_energy", 2.2)
    value(made["fit_edges"], "signal_C", 150 * float(np.sum((np.arange(284, 334) / 284) ** -3.0)))
    value(made["loop_parameters"], "coercive_up", 3.0)
    value(made["loop_parameters"], "imprint", 0.5)
    value(made["fit_sweep"], "response_A_over_B", 2 / 1.5)
    images = {j.step.name: ImageAnalysis().perform(j) for j in IMAGES}
    value(images["find_particles"], "particle_diameter", 8.0)
    value(images["find_walls"], "wall_length", 55 * 0.5)
    value(images["find_atoms"], "atom_spacing", 10 * 0.03)


def test_tables_hold_every_position() -> None:
    table = spectrum_analysis().perform(SPECTRA[1]).tables["spectra"]
    assert table.positions == ((0, 0), (0, 1), (1, 0))
    assert set(table.columns) >= {"plasmon_energy", "plasmon_energy_std"}
    found = ImageAnalysis().perform(IMAGES[0]).tables["particles"]
    assert sorted(found.positions) == [(25, 25), (50, 55)]


def test_on_field_loops_have_a_prefix_of_their_own() -> None:
    both = job("loop_parameters", "loop_area on_field_loop_area", loops())
    arrays = {"given": (loops(),), "on_field_loops": (loops(),)}
    outcome = SpectrumAnalysis().perform(Job(both.action, both.step, arrays))
    assert set(outcome.values) == {"loop_area", "on_field_loop_area"}


def test_a_spike_is_taken_out_of_the_recorded_array() -> None:
    dirty = low_loss()
    dirty.data[1, 200] += 5000.0
    outcome = SpectrumAnalysis().perform(
        job("reject_spikes", "spike_share", dirty, records="clean")
    )
    assert outcome.arrays["clean"].data[1, 200] < 100.0
    assert outcome.values["spike_share"].value > 0 and outcome.notes["spectra_with_spikes"] >= 1


@pytest.mark.parametrize(
    ("capability", "produces", "array"),
    [
        ("fit_plasmon", "plasmon_energy", loops()),
        (
            "fit_plasmon",
            "plasmon_energy",
            curves(np.full((2, 250), np.nan), np.arange(250.0), "eV"),
        ),
        ("fit_edges", "signal_C", low_loss()),
        ("loop_parameters", "coercive_up", curves(RNG.standard_normal((2, 64)), BIAS, "V")),
        ("fit_sweep", "response_A", curves(np.ones((2, 4)), np.arange(4.0), "V")),
    ],
)
def test_data_that_do_not_tell_are_a_failure(capability: str, produces: str, array: Array) -> None:
    failure = spectrum_analysis().perform(job(capability, produces, array)).failure
    assert failure is not None and failure.kind == "bad_data" and failure.remedy


@pytest.mark.parametrize("capability", ["find_particles", "find_walls", "find_edges", "find_atoms"])
def test_images_too_small_are_a_failure(capability: str) -> None:
    failure = ImageAnalysis().perform(job(capability, "", image(np.ones((8, 8))))).failure
    assert failure is not None and failure.kind == "bad_data"


def test_lengths_of_uncalibrated_images_are_not_taken_for_nanometres() -> None:
    data = domains().data
    pixels = tuple(Axis(n, "px", np.arange(64.0), "spatial") for n in "yx")
    failure = (
        ImageAnalysis().perform(job("find_walls", "wall_length", Array(data, "1", pixels))).failure
    )
    assert failure is not None and "'px'" in failure.message


def test_wrong_steps_and_configurations_are_refused() -> None:
    with pytest.raises(WorkerError, match="quantities"):
        spectrum_analysis().perform(job("fit_plasmon", "temperature", low_loss()))
    for worker in (SpectrumAnalysis(), ImageAnalysis(), StreamWatch()):
        with pytest.raises(WorkerError, match="capability"):
            worker.perform(job("brew_coffee", "", low_loss()))
    with pytest.raises(WorkerError, match="no edges"):
        SpectrumAnalysis().perform(SPECTRA[2])
    with pytest.raises(WorkerError, match="edge 'C -5'"):
        SpectrumAnalysis(edges="C -5")
    for wrong in ({"peak_shape": "box"}, {"peaks": 9}):
        with pytest.raises(WorkerError, match="peaks of shape"):
            SpectrumAnalysis(**wrong)
    with pytest.raises(WorkerError, match="profile"):
        ImageAnalysis(profile="cube")


def test_the_stream_is_judged_with_drift_of_its_frames() -> None:
    rng = np.random.default_rng(1)
    scene = np.repeat(np.repeat(rng.standard_normal((14, 14)), 4, 0), 4, 1)
    frames = [image(scene[4:52, 4:52]), image(scene[2:50, 5:53])]
    bad = stream(20)
    bad.data[3] = np.nan
    asked = job(
        "watch_stream", "drift_row drift_column good_share", stream(40), bad, records="mask"
    )
    arrays = {"given": (stream(40), bad), "frames": tuple(frames)}
    outcome = StreamWatch().perform(Job(asked.action, asked.step, arrays))
    assert outcome.quality is not None and outcome.quality.verdict == "retake"
    assert outcome.arrays["mask"].data.sum() == 19
    assert outcome.values["drift_row"].value == pytest.approx(2.0, abs=0.3)
    assert outcome.values["drift_column"].value == pytest.approx(-1.0, abs=0.3)
