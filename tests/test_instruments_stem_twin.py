"""The twin of the electron microscope."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support_drivers import program

from probewise.instruments import Console, Run, StemTwinDriver, check_driver
from probewise.instruments._stem_specimen import Specimen
from probewise.matter import StemTruth, plasmon_map
from probewise.workflow import DesignSpaceError, Estimate, Maximize, Recommendation, SpecError


def test_it_keeps_the_contract_of_drivers() -> None:
    check_driver(StemTwinDriver)


LOADED = {"load": {"sample": "film"}}
TUNING = (
    {"tune": {"what": "focus", "span_nm": 300.0, "steps": 13}},
    {"tune": {"what": "aberrations", "span_nm": 150.0, "steps": 16}},
    {"tune": {"what": "focus", "span_nm": 80.0}},
)


def console_of(seed: int = 0, **config: Any) -> Console:
    return Console(StemTwinDriver(seed, **config))


def done(console: Console, *commands: Any, seed: int = 0, vouched: str = "") -> Run:
    run = console.run(program(*commands), seed=seed, vouched=vouched)
    assert run.failure is None, run.failure
    return run


def driver_of(console: Console) -> StemTwinDriver:
    assert isinstance(console.driver, StemTwinDriver)
    return console.driver


def specimen_of(console: Console) -> Specimen:
    found = driver_of(console).specimen
    assert found is not None
    return found


def spectrum(at: list[list[float]], exposure_s: float = 0.05) -> dict[str, Any]:
    return {"spectrum": {"at": at, "exposure_s": exposure_s}}


def beside(console: Console, k: int = 0) -> list[float]:
    """A place two nanometres off the rim of a particle inside the field of view."""
    p = specimen_of(console).particles
    inside = np.flatnonzero((p.y_nm > 30) & (p.y_nm < 170) & (p.x_nm > 30) & (p.x_nm < 170))
    i = inside[k]
    return [float(p.y_nm[i]), float(p.x_nm[i] + p.long_nm[i] + 2.0)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tuning_makes_the_probe_finer(seed: int) -> None:
    console = console_of(seed)
    done(console, LOADED)
    before = console.state().probe_nm
    run = done(console, *TUNING)
    after = console.state()
    assert after.probe_nm < max(0.95 * before, 1.6)
    assert set(after.tuned) == {"focus", "aberrations"}
    assert run.spent.electrons > 0, "tuning costs dose"


def test_tuning_where_nothing_is_fails_and_says_so() -> None:
    console = console_of()
    done(console, LOADED, {"move_stage": {"y_nm": 5000.0, "x_nm": 5000.0, "speed_nm_per_s": 5e3}})
    run = console.run(program(TUNING[0]))
    assert run.failure is not None and "nothing in the images" in run.failure.message


def test_a_tuned_image_is_sharper_and_shows_the_particles_where_they_are() -> None:
    console = console_of(0)
    image = {"overview": {"pixels": 256, "dwell_s": 8e-6}}
    done(console, LOADED)
    blurred = done(console, image).arrays["overview"].data
    done(console, *TUNING)
    sharp = done(console, image).arrays["overview"]
    steps = [
        float(np.mean(np.diff(d, axis=0) ** 2) / np.mean(d) - 2.0) for d in (blurred, sharp.data)
    ]
    assert steps[1] > steps[0]
    y, x = (axis.values for axis in sharp.axes)
    thickness = specimen_of(console).particles.thickness_nm(y, x)
    assert np.corrcoef(sharp.data.ravel(), thickness.ravel())[0, 1] > 0.9


def test_noise_falls_with_the_dose() -> None:
    console = console_of()
    done(console, LOADED)
    spread = []
    for exposure_s in (0.01, 0.16):
        data = done(console, spectrum([[100.0, 100.0]] * 2, exposure_s)).arrays["spectra"].data
        window = data[:, 500:900] / exposure_s
        spread.append(float(np.std(window[0] - window[1])))
    assert spread[1] == pytest.approx(spread[0] / 4.0, rel=0.25)


def test_peaks_depend_on_the_surroundings() -> None:
    console = console_of()
    done(console, LOADED)
    places = [beside(console, k) for k in range(8)]
    data = done(console, spectrum(places)).arrays["spectra"]
    energy = data.axes[1].values
    band = (energy > 1.2) & (energy < 3.2)
    smooth = np.stack([np.convolve(row, np.ones(9), "same") for row in data.data])
    peaks = energy[band][np.argmax(smooth[:, band], axis=1)]
    assert np.ptp(peaks) > 0.1
    y, x = np.array(places).T
    loss = specimen_of(console).plasmons.loss(y, x, energy, 100.0)
    true = energy[band][np.argmax(loss[:, band], axis=1)]
    assert float(np.median(np.abs(peaks - true))) < 0.04


def test_carbon_grows_where_the_beam_was_and_shows_in_images() -> None:
    console = console_of()
    done(console, LOADED)
    for _ in range(5):
        done(console, spectrum([[100.0, 100.0]], 1.0))
    carbon = specimen_of(console).carbon_at
    there, away = (float(carbon(np.array([v]), np.array([v]))[0]) for v in (100.0, 150.0))
    assert there > 0.3 and there > 100 * away
    done(console, {"load": {"sample": "other"}})
    assert float(specimen_of(console).carbon_nm.max()) == 0.0
    done(console, LOADED)
    assert float(specimen_of(console).carbon_nm.max()) > 0.3, "the specimen is the same again"


def test_the_specimen_drifts_and_creeps_after_the_stage_has_moved() -> None:
    console = console_of()
    done(console, LOADED)
    specimen = specimen_of(console)
    start = specimen.loaded_s
    drift = specimen.drift_nm(np.array([start, start + 100.0, start + 200.0]))
    np.testing.assert_allclose(drift[2], 2 * drift[1])
    assert 0.01 < np.hypot(*drift[1]) < 3.0
    before = specimen.drift_nm(np.array(1e4))
    done(console, {"move_stage": {"y_nm": 1000.0, "x_nm": 0.0}})
    assert abs(float((specimen.drift_nm(np.array(1e4)) - before)[0])) == pytest.approx(
        3.0, rel=0.01
    )


def test_a_detector_that_is_full_says_so() -> None:
    console = console_of(current_pA=900.0)
    done(console, LOADED)
    run = console.run(program(spectrum([[100.0, 100.0]], 1.0)))
    assert run.failure is not None and "detector's end" in run.failure.message
    assert run.arrays["spectra"].data.max() == 4e6
    assert run.entries[-1].sentence == "Blank the beam"


def test_moving_the_stage_moves_the_picture() -> None:
    console = console_of()
    image = {"overview": {"pixels": 100, "dwell_s": 8e-6}}
    first = done(console, LOADED, image).arrays["overview"].data
    moved = {"move_stage": {"y_nm": 20.0, "x_nm": 0.0}}
    second = done(console, moved, image).arrays["overview"].data
    assert np.corrcoef(first[10:].ravel(), second[:-10].ravel())[0, 1] > 0.6
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] < 0.4


@pytest.mark.parametrize(
    "config", [{"world_seed": -1}, {"world_seed": 1.5}, {"current_pA": 0}, {"voltage_kV": 1e3}]
)
def test_impossible_twins_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="stem-twin"):
        StemTwinDriver(**config)


def test_the_truth_is_what_a_perfect_spectrum_would_show() -> None:
    known = plasmon_map(0, "film", 0, 16)
    assert known.peak_eV.shape == known.intensity.shape == (16, 16)
    assert 1.2 < known.peak_eV.min() < known.peak_eV.max() < 3.0
    truth = StemTruth(0, pixels=16)
    goal = Maximize(quantity="plasmon_intensity", over="positions")
    best = np.unravel_index(np.argmax(known.intensity), known.intensity.shape)
    asked = Recommendation(
        goal=goal, position=(int(best[0]), int(best[1])), estimate=Estimate(value=0.0)
    )
    assert truth.score(asked).gain == pytest.approx(1.0)
    with pytest.raises(DesignSpaceError):
        truth.score(asked.model_copy(update={"position": (99, 0)}))
    with pytest.raises(SpecError, match="position"):
        truth.score(asked.model_copy(update={"position": None}))
