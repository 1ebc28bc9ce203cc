"""The twin of the scanning probe microscope behind the instruction set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support_drivers import program
from support_twins import GOOD

from probewise.instruments import Console, Run, SpmTwinDriver, check_driver
from probewise.instruments._spm_resonance import amplitude
from probewise.matter import PIXEL_nm, contact_of, make_pad, response_of


def test_it_keeps_the_contract_of_drivers() -> None:
    check_driver(SpmTwinDriver, sample="s1", design=GOOD)


LOADED = ({"load": {"sample": "s1", "design": GOOD}}, "approach")
TRACK = {"tune": {"what": "dart", "steps": 24, "span_kHz": 10.0}}
PLACES = [[100.0 * k, 1200.0 - 90.0 * k] for k in range(1, 12)]


def done(console: Console, *commands: Any, seed: int = 0) -> Run:
    run = console.run(program(*commands), seed=seed)
    assert run.failure is None, run.failure
    return run


def test_tracking_ends_on_the_resonance_with_equal_amplitudes() -> None:
    run = done(Console(SpmTwinDriver(0)), *LOADED, TRACK)
    resonance, quality = contact_of(make_pad(0, "s1", 0, GOOD))
    middle = resonance[64, 64]
    tracked = run.arrays["tune.tracked_resonance"].data
    assert abs(tracked[-1] - middle) < 0.3 * middle / quality
    below, above = (run.arrays[f"tune.amplitude_{k}"].data for k in ("below", "above"))
    assert abs(below[-1] - above[-1]) < 0.2 * below[-1]


def test_tracking_with_too_weak_a_drive_fails_and_says_so() -> None:
    console = Console(SpmTwinDriver(0))
    weak = {"tune": {"what": "dart", "steps": 24, "span_kHz": 20.0, "drive_V": 1e-4}}
    failures = [console.run(program(*LOADED, weak, "retract"), seed=s).failure for s in range(4)]
    lost = [f for f in failures if f is not None]
    assert lost and all("off the resonance" in f.message for f in lost)


def test_the_amplitude_of_an_oscillator_at_resonance_is_its_quality() -> None:
    assert float(amplitude(300.0, 300.0, 80.0)) == pytest.approx(80.0)
    assert float(amplitude(0.0, 300.0, 80.0)) == pytest.approx(1.0)


def test_with_tracking_an_old_tuning_is_as_quiet_as_a_new_one() -> None:
    console = Console(SpmTwinDriver(0))
    image = {"overview": {"pixels": 128, "dwell_s": 0.01}}
    hours = {"start": 9.0, "tuned": 1.0}

    def roughness(*commands: Any) -> float:
        run = console.run(program(*commands), seed=1, hours=hours)
        assert run.failure is None
        data = next(a for a in run.arrays.values() if a.unit == "pm" and a.data.ndim == 2).data
        return float(np.median(np.abs(np.diff(data, n=2, axis=1))))

    old = roughness(*LOADED, image)
    tracked = console.run(program(TRACK, image), seed=1, hours=hours)
    assert set(tracked.arrays) >= {"overview.piezoresponse", "overview.resonance"}
    assert roughness(image) < 0.5 * old
    resonance = tracked.arrays["overview.resonance"]
    assert resonance.unit == "kHz" and 330.0 < resonance.data.mean() < 370.0


def test_sweeps_hold_the_coefficients_that_are_there() -> None:
    console = Console(SpmTwinDriver(3))
    sweep = {"sweep": {"at": PLACES, "max_V": 4.0, "points": 64}}
    data = done(console, *LOADED, sweep, seed=5).arrays["sweeps"]
    volts = data.axes[1].values
    assert (data.axes[1].unit, data.unit) == ("V", "pm")
    truth = response_of(make_pad(3, "s1", 0, GOOD))
    rows, columns = (np.rint(np.array(PLACES) / 10.0).astype(int)).T
    coefficients = truth.at(rows, columns)
    clean = coefficients @ volts ** np.array([[1.0], [2.0], [3.0]])
    off = np.abs(data.data - clean).mean(axis=1)
    allowed = 2.5 + 0.07 * np.abs(clean).max(axis=1)
    assert np.mean(off < allowed) > 0.8, "most are the cubic, a few are spoilt"
    assert np.ptp(truth.cubic_pm_per_V3) > 0 and truth.quadratic_pm_per_V2.min() > 0


def test_a_path_crosses_what_an_image_shows() -> None:
    console = Console(SpmTwinDriver(0))
    path = {"path": {"through": [[640.0, 0.0], [640.0, 1270.0]], "step_nm": 10.0}}
    run = done(console, *LOADED, {"overview": {"pixels": 128, "dwell_s": 1e-3}}, path)
    line, image = run.arrays["path"], run.arrays["overview"]
    assert len(line.data) == 128 and line.axes[0].unit == "nm"
    assert np.corrcoef(line.data, image.data[64])[0, 1] > 0.95


def test_the_image_moves_with_the_stage_and_forces_cannot_be_set() -> None:
    image = {"overview": {"pixels": 128, "dwell_s": 1e-3}}
    console = Console(SpmTwinDriver(0))
    before = done(console, *LOADED, image, "retract").arrays["overview"].data
    moved = {"move_stage": {"y_nm": 0.0, "x_nm": 20 * PIXEL_nm}}
    after = done(console, moved, "approach", image).arrays["overview"].data
    shifted = np.roll(before, -20, axis=1)
    assert np.corrcoef(after.ravel(), shifted.ravel())[0, 1] > 0.8
    assert np.corrcoef(after.ravel(), before.ravel())[0, 1] < 0.5
    hard = console.run(program("retract", {"approach": {"setpoint_nN": 90}})).failure
    assert hard is not None and "cannot heed setpoint_nN=90" in hard.message


def test_a_design_that_is_none_is_refused_and_named() -> None:
    run = Console(SpmTwinDriver(0)).run(program({"load": {"sample": "s1"}}))
    assert run.failure is not None and run.failure.kind == "refused"
    assert "composition_sm" in run.failure.message
