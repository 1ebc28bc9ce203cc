"""The bridge to ophyd-async: devices by name, points and arrays, and what goes wrong with them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probewise.instruments import Driver, OphydInstrument, Run, check_driver
from probewise.instruments._claim import Claim
from probewise.instruments._ophyd import OphydDriver, OphydSettings, parts_of
from probewise.instruments._ophyd_rig import OphydRig
from probewise.workflow import SpecError, WorkerError, program_from

pytest.importorskip("ophyd_async.core", reason="the extra 'bluesky' is not installed")

import support_ophyd
from support_ophyd import CHANNELS, Bench

PATHS = {"y": "y", "x": "x", "detector": "line", "exposure": "line.acquire_time",
         "shutter": "shutter"}  # fmt: skip
SPECTRUM = {"device": "bench", "key": "bench-line-spectrum", "field_of_view_nm": 8.0, **PATHS}
TOTAL = {**SPECTRUM, "key": "bench-line-total"}
AT = [[2.0, 1.0], [3.0, 5.0], [1.0, 7.0]]
SPECTRA = {"verb": "spectrum", "at": AT, "exposure_s": 0.01}
Make = Callable[..., OphydInstrument]


@pytest.fixture(autouse=True)
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    info = tmp_path / "ophyd_bench-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ophyd-bench\nVersion: 0\n")
    (info / "entry_points.txt").write_text(support_ophyd.ENTRY_POINTS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield
    Bench.made.clear()


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[OphydInstrument] = []

    def instrument(**config: Any) -> OphydInstrument:
        made.append(OphydInstrument(**{"patience_s": 5.0, **config}))
        return made[-1]

    yield instrument
    for each in made:
        each.close()


def run(instrument: OphydInstrument, *commands: dict[str, Any]) -> Run:
    start = [{"verb": "blank"}, {"verb": "load", "sample": "S1"}]
    return instrument.console.run(program_from([*start, *commands]))


def seen(y: float, x: float) -> np.ndarray:
    return 100 * y + x + np.arange(CHANNELS)


def bare_driver() -> Driver:
    parts, needs = parts_of(PATHS)
    settings = OphydSettings(key="bench-line-spectrum", field_of_view_nm=8.0)
    return OphydDriver(OphydRig("bench", parts, needs, 5.0), Claim("bare", "test"), settings)


def test_it_keeps_the_contract_of_drivers() -> None:
    check_driver(bare_driver)


def test_arrays_make_spectra_and_no_images(make) -> None:
    instrument = make(**SPECTRUM)
    assert set(instrument.procedures()) == {"load_sample", "measure_spectra", "run_program"}
    found = run(instrument, SPECTRA)
    assert found.failure is None
    np.testing.assert_allclose(found.arrays["spectra"].data, [seen(y, x) for y, x in AT])
    assert found.arrays["spectra"].unit == "counts"
    assert Bench.made[-1].line.staged == 0


def test_numbers_make_images_row_by_row(make) -> None:
    found = run(make(**TOTAL), {"verb": "overview", "pixels": 4, "dwell_s": 1e-5})
    assert found.failure is None
    middles = (np.arange(4) + 0.5) * 2.0
    expected = [[seen(y, x).sum() for x in middles] for y in middles]
    np.testing.assert_allclose(found.arrays["overview"].data, expected)


def test_the_shutter_is_open_for_the_measurement_alone(make) -> None:
    instrument = make(**SPECTRUM)
    rig = instrument.console.driver._rig  # type: ignore[attr-defined]
    during: list[float] = []
    program = program_from([{"verb": "blank"}, {"verb": "load", "sample": "S"}, SPECTRA])
    instrument.console.run(
        program, watch=lambda command, chunk: during.append(rig.position("shutter"))
    )
    assert during[0] == 1.0  # the driver may be a step ahead of who looks
    assert rig.position("shutter") == 0.0


@pytest.mark.parametrize(
    ("order", "kind", "words"),
    [
        ("hang", "timeout", "did not end in time"),
        ("raise", "instrument", "the shutter is jammed"),
        ("shape", "bad_data", f"({CHANNELS + 1},)"),
        ("nan", "bad_data", "no numbers"),
    ],
)
def test_faults_have_names_and_what_came_before_is_kept(make, order, kind, words) -> None:
    instrument = make(**SPECTRUM, patience_s=0.3)
    Bench.made[-1].orders = ["", "", order]
    found = run(instrument, SPECTRA)
    assert found.failure is not None and found.failure.kind == kind
    assert words in found.failure.message
    np.testing.assert_allclose(found.arrays["spectra"].data[:2], [seen(y, x) for y, x in AT[:2]])
    rig = instrument.console.driver._rig  # type: ignore[attr-defined]
    assert rig.position("shutter") == 0.0 and Bench.made[-1].line.staged == 0
    assert run(instrument, SPECTRA).failure is None, "the next one does not work"


def test_a_place_outside_is_refused_before_anything_moves(make) -> None:
    instrument = make(**SPECTRUM)
    found = run(instrument, {"verb": "spectrum", "at": [[9.0, 1.0]]})
    assert found.failure is not None and found.failure.kind == "refused"
    assert "outside the field of view" in found.failure.message
    assert instrument.console.driver._rig.position("y") == 0.0  # type: ignore[attr-defined]


def test_a_device_has_one_driver_at_a_time(make) -> None:
    first = make(**SPECTRUM)
    with pytest.raises(WorkerError, match="driven by process") as caught:
        make(**SPECTRUM)
    assert caught.value.allowed == "one driver at a time"
    first.close()
    assert run(make(**SPECTRUM), SPECTRA).failure is None


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"device": "bnech"}, WorkerError, "did you mean 'bench'"),
        ({"device": "os:system"}, WorkerError, "is not registered"),
        ({"device": "broken"}, WorkerError, "no such crate"),
        ({"y": "z"}, SpecError, "'line', 'shutter', 'x', 'y'"),
        ({"y": "line"}, SpecError, "not Movable"),
        ({"key": "nothing"}, SpecError, "bench-line-total"),
        ({"axis_nm": "far"}, SpecError, "axis_nm"),
    ],
)
def test_what_is_configured_wrongly_is_said_before_anything_moves(
    make, change, error, words
) -> None:
    with pytest.raises(error) as caught:
        make(**{**SPECTRUM, **change})
    assert words in str(caught.value)
    make(**SPECTRUM)  # and the claim has been given back
