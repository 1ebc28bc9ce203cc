"""Recordings behind instruments: what was recorded, and no more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support_recordings import write_dm4, write_nsid

from probewise.agents import check_worker, example_job
from probewise.instruments import Microscope, Run, SpmReplay, StemReplay, check_driver
from probewise.instruments._playback import Playback, SpmPlayback, StemPlayback
from probewise.instruments._recording_files import load_recording
from probewise.workflow import SpecError, Step, StoreError, Target, program_from

FOLDER = Path(os.environ.get("PROBEWISE_DATA", Path(__file__).parents[1] / "../shared/data"))
RNG = np.random.default_rng(0)
CUBE = RNG.normal(10.0, 1.0, (16, 12, 6))
NM = [("y", "nm", "SPATIAL", 10.0 * np.arange(16)), ("x", "nm", "SPATIAL", 10.0 * np.arange(12))]
BIAS = ("bias", "V", "SPECTRAL", np.linspace(-3, 3, 6))


@pytest.fixture
def cube(tmp_path: Path) -> str:
    return str(write_nsid(tmp_path / "cube.h5", {"response": (CUBE, [*NM, BIAS])}))


@pytest.fixture
def holed(tmp_path: Path) -> str:
    data = CUBE.copy()
    data[3, 4] = np.nan
    return str(write_nsid(tmp_path / "holed.h5", {"response": (data, [*NM, BIAS])}))


@pytest.fixture
def image(tmp_path: Path) -> str:
    return str(write_nsid(tmp_path / "image.h5", {"height": (CUBE[..., 0], NM)}))


def run(instrument: Microscope, *commands: dict[str, Any]) -> Run:
    stem = instrument.console.driver.technique == "stem"
    away, near = ("blank", []) if stem else ("retract", [{"verb": "approach"}])
    start = [{"verb": away}, {"verb": "load", "sample": "S1"}, *near]
    return instrument.console.run(program_from([*start, *commands]))


@pytest.mark.parametrize("driver", [StemPlayback, SpmPlayback])
@pytest.mark.parametrize("kind", ["cube", "image"])
def test_it_keeps_the_contract_of_drivers(driver, kind, request) -> None:
    recording = load_recording(request.getfixturevalue(kind))
    square = recording.data[:12]  # the conformance suite measures over the whole square
    whole = type(recording)(
        square, recording.y_nm[:12], recording.x_nm, recording.spectral, "response", "1", "test"
    )
    check_driver(lambda: driver(Playback(whole)))


@pytest.mark.parametrize(("kind", "verb"), [(StemReplay, "spectrum"), (SpmReplay, "loop")])
def test_what_was_recorded_at_a_place_comes_back_bit_for_bit(cube, kind, verb) -> None:
    places = [[15.0, 5.0], [95.0, 115.0]]  # middles of the pixels (1, 0) and (9, 11)
    found = run(kind(cube), {"verb": "overview"}, {"verb": verb, "at": places})
    assert found.failure is None
    arrays = found.arrays
    name = "spectra" if verb == "spectrum" else "loops"
    np.testing.assert_array_equal(arrays[name].data, CUBE[[1, 9], [0, 11]])
    np.testing.assert_allclose(arrays["overview"].data, CUBE.mean(axis=-1))
    assert arrays[name].axes[1].unit == "V"


@pytest.mark.parametrize(("kind", "verb"), [(StemReplay, "spectrum"), (SpmReplay, "loop")])
@pytest.mark.parametrize(
    ("file", "at", "first"),
    [
        ("cube", [[15.0, 5.0], [15.0, 130.0]], "(15, 130)"),  # beside: the recording is not square
        ("holed", [[35.0, 45.0]], "(35, 45)"),  # inside, and nothing was recorded there
    ],
)
def test_a_place_that_was_not_recorded_is_said_not_to_be_there(
    request, kind, verb, file, at, first
) -> None:
    instrument = kind(request.getfixturevalue(file))
    found = run(instrument, {"verb": verb, "at": at})
    assert found.failure is not None and found.failure.kind == "missing"
    message = found.failure.message
    assert file in message and f"1 of {len(at)} places" in message and first in message
    assert "allowed: recorded places with y from 0 to 160 nm and x from 0 to 120 nm" in message
    assert not found.arrays, "nothing is given in place of what is missing"
    assert run(instrument, {"verb": verb, "at": [[15.0, 5.0]]}).failure is None


def test_an_image_has_no_spectra(image) -> None:
    instrument = StemReplay(image)
    assert "measure_spectra" not in instrument.procedures()
    found = run(instrument, {"verb": "spectrum", "at": [[5.0, 5.0]]})
    assert found.failure is not None and "no 'spectrum'" in found.failure.message


def step(name: str, **more: Any) -> Step:
    acts_on = "positions" if name.startswith("measure") else "site"
    raw = {"name": name, "level": 3, "acts_on": acts_on, "cost_credits": 2, "latency_h": 0.1}
    return Step.model_validate({**raw, **more})


@pytest.mark.parametrize("kind", [StemReplay, SpmReplay])
def test_what_a_recording_cannot_heed_is_refused_before_the_start(cube, kind) -> None:
    kind(cube).check(step("overview_scan"))
    with pytest.raises(SpecError, match="cannot heed dwell_s=1e-05 of 'overview'"):
        kind(cube).check(step("overview_scan", parameters={"dwell_s": 1e-5}))
    with pytest.raises(SpecError, match="did you mean 'dwell_s'"):
        kind(cube).check(step("overview_scan", parameters={"dwell_us": 10}))


@pytest.mark.parametrize(
    ("kind", "measure"), [(StemReplay, "measure_spectra"), (SpmReplay, "measure_loops")]
)
def test_as_a_worker_it_keeps_the_contract_of_workers(cube, kind, measure) -> None:
    target = Target(sample="S1", site=0)
    program = [{"verb": "blank" if kind is StemReplay else "retract"}]
    jobs = [
        example_job(step("load_sample"), target),
        example_job(step("overview_scan", records="image"), target),
        example_job(
            step(measure, records="spectra", batch=2),
            target.model_copy(update={"positions": ((1, 0), (9, 11))}),
        ),
        example_job(step("run_program", parameters={"program": program}), target),
    ]
    check_worker(lambda: kind(cube), jobs)
    found = kind(cube).perform(jobs[2]).arrays["spectra"]
    np.testing.assert_array_equal(found.data, CUBE[[1, 9], [0, 11]])
    np.testing.assert_array_equal(found.axes[0].values, [1 * 12 + 0, 9 * 12 + 11])


@pytest.mark.slow
def test_a_vendors_file_is_played_back_too(tmp_path) -> None:
    pytest.importorskip("rsciio", reason="the extra 'files' is not installed")
    axes = [(0.0, 10.0, "nm"), (0.0, 10.0, "nm"), (100.0, 0.5, "eV")]
    path = write_dm4(tmp_path / "c.dm4", CUBE, axes)
    found = run(StemReplay(str(path)), {"verb": "spectrum", "at": [[15.0, 5.0]]})
    assert found.failure is None
    np.testing.assert_allclose(found.arrays["spectra"].data, CUBE[None, 1, 0], rtol=1e-6)


def test_a_recording_is_no_twin_and_can_be_replayed(cube) -> None:
    assert not StemReplay.twin and StemReplay.replayable
    assert all("recording" in offer.about for offer in StemReplay(cube).offers())
    with pytest.raises(StoreError):
        StemReplay("nowhere.h5")


@pytest.mark.parametrize(
    ("file", "dataset"),
    [
        ("beps_pto/BEPS_PTO_50x50.h5", ""),
        ("bfo_iv/bfo_iv_final.hf5", ""),
        ("pfm_images/PTO_Funakubo0004.h5", "AmplitudeRetrace"),
    ],
)
def test_published_recordings_keep_the_contract_of_drivers(file, dataset) -> None:
    if not (FOLDER / file).is_file():
        pytest.skip(f"the recording {file} is not here")
    check_driver(lambda: SpmPlayback(Playback(load_recording(FOLDER / file, dataset))))
