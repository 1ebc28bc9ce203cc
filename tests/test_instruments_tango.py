"""A microscope behind Tango devices: contract, keys and files, faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from probewise.instruments import (
    Driver,
    DriverFault,
    Run,
    TangoScope,
    check_driver,
    serve_tango,
)
from probewise.instruments._claim import Claim
from probewise.instruments._tango import TangoDriver, TangoSettings
from probewise.instruments._tango_client import TangoMicroscope
from probewise.workflow import SpecError, WorkerError, program_from

pytest.importorskip("tango", reason="the extra 'tango' is not installed")

OVERVIEW = {"verb": "overview", "pixels": 32, "dwell_s": 5e-6}
AT = [[20.0, 30.0], [100.0, 50.0], [150.0, 160.0]]
SPECTRA = {"verb": "spectrum", "at": AT, "exposure_s": 0.01}
Scope = Callable[..., TangoScope]


@pytest.fixture
def scope(tmp_path: Path) -> Iterator[Scope]:
    """A worker with a server of its own; ``faults`` are the server's."""
    with ExitStack() as stack:

        def make(*faults: str, **config: Any) -> TangoScope:
            devices = stack.enter_context(serve_tango(tmp_path, speed=0, faults=faults))
            made = TangoScope(**devices, data_folder=str(tmp_path), **config)
            stack.callback(made.close)
            return made

        yield make


def run(instrument: TangoScope, *commands: dict[str, Any]) -> Run:
    start = [{"verb": "blank"}, {"verb": "load", "sample": "S1"}]
    return instrument.console.run(program_from([*start, *commands]))


@pytest.mark.slow
def test_it_keeps_the_contract_of_drivers(tmp_path) -> None:
    with serve_tango(tmp_path, speed=0) as devices:

        def make() -> Driver:
            client = TangoMicroscope(**devices, data_folder=str(tmp_path), patience_s=20.0)
            return TangoDriver(client, Claim("tango-test", "test"), TangoSettings())

        check_driver(make)


def test_keys_lead_to_the_pixels_and_the_state_is_the_devices_own(scope, tmp_path) -> None:
    instrument = scope()
    found = run(
        instrument,
        {"verb": "tune", "what": "focus"},
        {"verb": "move_stage", "y_nm": 40.0, "x_nm": -30.0},
        {"verb": "set_field_of_view", "field_of_view_nm": 300.0},
        OVERVIEW,
        SPECTRA,
    )
    assert found.failure is None
    state = instrument.console.state()
    assert (state.stage_y_nm, state.stage_x_nm) == pytest.approx((40.0, -30.0))
    assert state.field_of_view_nm == pytest.approx(300.0) and state.defocus_nm == 0.0
    assert state.blanked and state.tuned == ("focus",)
    files = sorted(tmp_path.glob("*.h5"))
    assert len(files) == 1 + len(AT)
    with h5py.File(next(f for f in files if "image" in f.name)) as file:
        stored = np.asarray(file["image/HAADF"])
    np.testing.assert_array_equal(found.arrays["overview"].data, stored)
    assert found.arrays["overview"].data.sum() > 0, "the beam was blanked while it was measured"


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("refuse", "refused", "viewing screen is in"),
        ("hang", "timeout", "no answer within"),
        ("shape", "bad_data", "allowed"),
        ("dtype", "bad_data", "no numeric dataset"),
        ("nan", "bad_data", "no numbers"),
        ("saturate", "bad_data", "detector's end"),
    ],
)
@pytest.mark.parametrize("number", [1, 3], ids=["frame", "spectrum"])
def test_a_fault_ends_the_program_and_keeps_what_came(scope, fault, kind, words, number) -> None:
    patience_s = 0.5 if fault == "hang" else 10.0
    found = run(scope(f"{fault}:{number}", patience_s=patience_s), OVERVIEW, SPECTRA)
    assert found.failure is not None and found.failure.kind == kind, found.failure
    assert words in found.failure.message
    if number == 3:
        assert np.isfinite(found.arrays["overview"].data).all()
        assert np.isfinite(found.arrays["spectra"].data[0]).all()


def test_a_server_that_dies_in_the_middle_leaves_it_uncertain(scope) -> None:
    instrument = scope("drop:2")
    found = run(instrument, OVERVIEW, SPECTRA)
    assert found.failure is not None and found.failure.kind == "uncertain"
    assert "may or may not have been done" in found.failure.message
    assert np.isfinite(found.arrays["overview"].data).all()
    after = run(instrument, OVERVIEW)
    assert after.failure is not None and "cannot be reached" in after.failure.message


def test_a_second_driver_is_refused_and_a_busy_server_queues(scope, tmp_path) -> None:
    instrument = scope()
    client = instrument.console.driver._scope  # type: ignore[attr-defined]
    with pytest.raises(WorkerError, match="driven by process"):
        Claim(client._addresses["scope"], "another driver")
    other = TangoMicroscope(
        client._addresses["scope"], client._addresses["scan"], client._addresses["spectrum"],
        str(tmp_path),
    )  # fmt: skip
    assert other.numbers("get_fov") == client.numbers("get_fov")


@pytest.mark.parametrize("key", ["", "..", "../secret.h5", "/etc/passwd", "C:\\x\\gone.h5"])
def test_a_key_leads_nowhere_but_into_the_folder(scope, tmp_path, key) -> None:
    (tmp_path.parent / "secret.h5").write_bytes(b"")
    client = scope().console.driver._scope  # type: ignore[attr-defined]
    with pytest.raises(DriverFault) as caught:
        client._fetch(key, "haadf", 2)
    assert caught.value.kind == "missing" and "data_folder" in caught.value.remedy


def test_a_link_out_of_the_folder_is_not_followed(scope, tmp_path) -> None:
    outside = tmp_path.parent / "outside.h5"
    with h5py.File(outside, "w") as file:
        file["image/HAADF"] = np.ones((4, 4))
    (tmp_path / "link.h5").symlink_to(outside)
    client = scope().console.driver._scope  # type: ignore[attr-defined]
    with pytest.raises(DriverFault, match="names no file"):
        client._fetch("link.h5", "haadf", 2)


def test_wrong_settings_are_refused(tmp_path) -> None:
    with pytest.raises(SpecError, match="data_folder"):
        TangoScope("a/b/c", "a/b/d", "a/b/e", data_folder=str(tmp_path / "nothing"))
    with pytest.raises(SpecError, match="empty address"):
        TangoScope("a/b/c", "", "a/b/e", data_folder=str(tmp_path))
