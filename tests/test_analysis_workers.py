"""The workers of spectra, images and streams: outcomes and failures (their contract is checked with
that of all others, in test_agents_conformance.py)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support_analysis import (
    BIAS,
    IMAGES,
    RNG,
    SPECTRA,
    curves,
    domains,
    image,
    job,
    loops,
    low_loss,
    stream,
)

from probewise.analysis import ImageAnalysis, SpectrumAnalysis, StreamWatch
from probewise.workflow import Array, Axis, Job, Outcome, WorkerError


def spectrum_analysis() -> SpectrumAnalysis:
    return SpectrumAnalysis(edges="C 284 50 50 1.0; O 532 50 50 0.5", peaks=1)


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


@pytest.mark.parametrize("asked", [*SPECTRA, *IMAGES], ids=lambda j: j.step.name)
def test_offers_tell_the_columns_of_tables(asked: Job) -> None:
    worker = spectrum_analysis() if asked in SPECTRA else ImageAnalysis()
    (offer,) = [o for o in worker.offers() if o.capability == asked.step.needs]
    tables = worker.perform(asked).tables.values()
    given = {c for t in tables for c in t.columns if c not in {"good", "std"}}
    plain = {c for c in given if not c.endswith("_std")}
    assert offer.columns is None or plain == set(offer.columns)


def test_every_pixel_is_described_by_its_surroundings_and_its_way_to_a_particle() -> None:
    image = IMAGES[0].arrays["given"][0]
    (described,) = [j for j in IMAGES if j.step.name == "describe_patches"]
    outcome = ImageAnalysis().perform(described)
    value(outcome, "particle_diameter", 8.0)
    features = outcome.tables["features"]
    assert sorted(features.columns) == [f"f{k}" for k in range(9)]
    assert features.positions == tuple(np.ndindex(*image.data.shape))
    way = np.array(features.columns["f8"]).reshape(image.data.shape)
    bright = image.data > np.percentile(image.data, 95)
    assert way[bright].max() < way.mean() and abs(way.std() - 1.0) < 1e-3


def test_an_image_without_particles_is_described_all_the_same() -> None:
    noise = image(np.random.default_rng(3).normal(0.0, 1.0, (40, 40)))
    outcome = ImageAnalysis().perform(job("describe_patches", "image_contrast", noise))
    assert outcome.failure is None and outcome.notes["particles"] == 0.0
    assert set(outcome.tables["features"].columns["f8"]) == {0.0}
    value(outcome, "image_contrast", 1.0)


def test_spectra_that_the_watch_found_bad_are_not_fitted() -> None:
    spectra = low_loss()
    numbers = spectra.axes[0]
    data = np.ones(len(numbers.values))
    data[1] = 0.0
    weights = Array(data, "1", (numbers,), "weight of a spectrum")
    fitted = spectrum_analysis().perform(job("fit_plasmon", "plasmon_energy", spectra, weights))
    assert fitted.failure is None
    all_of_them = spectrum_analysis().perform(job("fit_plasmon", "plasmon_energy", spectra))
    kept = [p for k, p in enumerate(all_of_them.tables["spectra"].positions) if k != 1]
    assert list(fitted.tables["spectra"].positions) == kept
    none = replace(weights, data=np.zeros(len(data)))
    failure = spectrum_analysis().perform(job("fit_plasmon", "", spectra, none)).failure
    assert failure is not None and "weights of 0" in failure.message


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
    assert outcome.values["spike_share"].value > 0 and outcome.notes["spectra_with_spikes"] != 0.0


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


@pytest.mark.parametrize(
    "capability", ["find_particles", "find_walls", "find_edges", "find_atoms", "describe_patches"]
)
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
    with pytest.raises(WorkerError, match="of shape 'box'"):
        SpectrumAnalysis(peak_shape="box")
    with pytest.raises(WorkerError, match="9 peaks"):
        SpectrumAnalysis(peaks=9)
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
