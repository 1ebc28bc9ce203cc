"""Recordings: NSID and vendors' files, read to one form, and what is wrong with them said."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from support_recordings import write_dm4, write_ibw, write_nsid

from probewise.instruments._incoming import known_unit
from probewise.instruments._recording import Recording, to_nm
from probewise.instruments._recording_files import load_recording
from probewise.workflow import Axis, Point, StoreError

FOLDER = Path(os.environ.get("PROBEWISE_DATA", Path(__file__).parents[1] / "../shared/data"))
CUBE = np.arange(4 * 5 * 6, dtype=np.float64).reshape(4, 5, 6)
NM = [("y", "nm", "SPATIAL", 2.0 * np.arange(4)), ("x", "nm", "SPATIAL", 3.0 * np.arange(5))]
ENERGY = ("E", "eV", "SPECTRAL", 100 + 0.5 * np.arange(6))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (0, 2, 1)])
def test_an_nsid_cube_has_its_spectra_last_wherever_they_are_in_the_file(tmp_path, order) -> None:
    axes = [[*NM, ENERGY][k] for k in order]
    path = write_nsid(tmp_path / "c.h5", {"counts": (CUBE.transpose(order), axes)})
    found = load_recording(path)
    np.testing.assert_array_equal(found.data, CUBE)
    assert found.pixel_nm == (2.0, 3.0) and (found.height_nm, found.width_nm) == (8.0, 15.0)
    assert found.spectral is not None and found.spectral.unit == "eV"
    np.testing.assert_array_equal(found.spectral.values, ENERGY[3])


def test_units_of_length_become_nanometres_and_others_are_refused(tmp_path) -> None:
    metres = [(n, "m", k, 1e-9 * v) for n, _, k, v in NM]
    degrees = [(n, "deg", k, v) for n, _, k, v in NM]
    image = CUBE[..., 0]
    path = write_nsid(tmp_path / "i.h5", {"good": (image, metres), "odd": (image, degrees)})
    assert load_recording(path, "good").pixel_nm == pytest.approx((2.0, 3.0))
    with pytest.raises(StoreError, match="deg") as caught:
        load_recording(path, "odd")
    assert "pixel_nm" in caught.value.remedy
    assert load_recording(path, "odd", pixel_nm=4.0).pixel_nm == (4.0, 4.0)


def test_of_several_datasets_one_must_be_named(tmp_path) -> None:
    path = write_nsid(tmp_path / "i.h5", {"a": (CUBE[..., 0], NM), "b": (CUBE[..., 1], NM)})
    for wrong in ("", "c"):
        with pytest.raises(StoreError) as caught:
            load_recording(path, wrong)
        assert "['a', 'b']" in caught.value.allowed
    np.testing.assert_array_equal(load_recording(path, "b").data, CUBE[..., 1])


def test_a_point_belongs_to_the_pixel_whose_area_holds_it(tmp_path) -> None:
    data = CUBE.copy()
    data[1, 1] = np.nan
    path = write_nsid(tmp_path / "c.h5", {"counts": (data, [*NM, ENERGY])})
    found = load_recording(path)

    def pixel(y: float, x: float) -> tuple[int, int] | None:
        return found.pixel_at(Point(y_nm=y, x_nm=x))

    assert pixel(0, 0) == (0, 0) and pixel(1.9, 2.9) == (0, 0) and pixel(7.9, 14.9) == (3, 4)
    assert pixel(8.0, 0) is None and pixel(-0.1, 0) is None and pixel(0, 15.0) is None
    assert pixel(3.0, 4.0) is None  # nothing was recorded there
    assert "0 to 8 nm" in found.extent and "0 to 15 nm" in found.extent
    assert np.isnan(found.image()[1, 1]) and found.image()[0, 0] == CUBE[0, 0].mean()


@pytest.mark.slow
@pytest.mark.parametrize("moved", [False, True])
def test_a_digital_micrograph_cube_is_the_same(tmp_path, moved) -> None:
    pytest.importorskip("rsciio", reason="the extra 'files' is not installed")
    axes = [(0.0, 2.0, "nm"), (0.0, 3.0, "nm"), (100.0, 0.5, "eV")]
    data = np.moveaxis(CUBE, 2, 0) if moved else CUBE
    path = write_dm4(tmp_path / "c.dm4", data, axes[2:] + axes[:2] if moved else axes)
    found = load_recording(path)
    np.testing.assert_array_equal(found.data, CUBE)
    assert found.pixel_nm == (2.0, 3.0) and found.spectral is not None
    assert found.spectral.values[0] == 100.0 and found.spectral.unit == "eV"


def test_an_emd_file_is_the_same(tmp_path) -> None:
    emd = pytest.importorskip("rsciio.emd", reason="the extra 'files' is not installed")
    axes = [
        {"name": n, "units": u, "offset": float(v[0]), "scale": float(v[1] - v[0]),
         "size": len(v), "navigate": k == "SPATIAL", "index_in_array": i}
        for i, (n, u, k, v) in enumerate([*NM, ENERGY])
    ]  # fmt: skip
    path = tmp_path / "c.emd"
    signal = {"data": CUBE, "axes": axes, "metadata": {"General": {"title": "map"}, "Signal": {}},
              "original_metadata": {}, "tmp_parameters": {}}  # fmt: skip
    emd.file_writer(str(path), signal)
    found = load_recording(path)
    np.testing.assert_array_equal(found.data, CUBE)
    assert found.pixel_nm == (2.0, 3.0) and found.spectral is not None


def test_layers_of_an_igor_wave_are_chosen_by_their_names(tmp_path) -> None:
    pytest.importorskip("igor2", reason="the extra 'files' is not installed")
    height = CUBE[..., 0]
    path = write_ibw(tmp_path / "scan.ibw", {"Height": height, "Phase": height + 90}, 2e-9)
    found = load_recording(path, "Phase")
    np.testing.assert_array_equal(found.data, height + 90)
    assert found.pixel_nm == pytest.approx((2.0, 2.0)) and found.quantity == "Phase"
    with pytest.raises(StoreError, match="several datasets"):
        load_recording(path)


@pytest.mark.parametrize("suffix", [".h5", ".dm4", ".dm3", ".emd", ".bcf", ".ibw"])
def test_what_is_damaged_is_said_to_be(tmp_path, suffix) -> None:
    if suffix != ".h5":
        pytest.importorskip("rsciio", reason="the extra 'files' is not installed")
    path = tmp_path / f"torn{suffix}"
    path.write_bytes(b"\x00\x00\x00\x04 no such file at all" * 20)
    with pytest.raises(StoreError) as caught:
        load_recording(path)
    assert path.name in str(caught.value) and caught.value.remedy


@pytest.mark.parametrize("path", [None, "", "/nowhere/x.h5", "setup.cfg"])
def test_a_path_must_lead_to_a_known_kind_of_file(path) -> None:
    with pytest.raises(StoreError) as caught:
        load_recording(path)
    assert ".dm4" in caught.value.allowed


def test_positions_must_be_regular_and_data_finite() -> None:
    with pytest.raises(StoreError, match="not equally spaced"):
        to_nm(np.array([0.0, 1.0, 3.0]), "nm", None, "here")
    with pytest.raises(StoreError, match="no finite value"):
        Recording(np.full((2, 2), np.nan), np.arange(2.0), np.arange(2.0), None, "q", "1", "x")
    with pytest.raises(StoreError, match="shape"):
        Recording(np.ones((2, 3)), np.arange(2.0), np.arange(2.0), Axis("E", "eV", np.ones(3)),
                  "q", "1", "x")  # fmt: skip


@pytest.mark.parametrize(
    ("file", "dataset", "shape"),
    [
        ("beps_pto/BEPS_PTO_50x50.h5", "", (50, 50, 64)),
        ("bfo_iv/bfo_iv_final.hf5", "", (50, 50, 53)),
        ("pfm_images/PTO_Funakubo0001.h5", "AmplitudeRetrace", (256, 256)),
        ("pfm_images/PZT_thick0006.h5", "HeightRetrace", (256, 256)),
    ],
)
def test_published_recordings_are_read(file, dataset, shape) -> None:
    if not (FOLDER / file).is_file():
        pytest.skip(f"the recording {file} is not here")
    found = load_recording(FOLDER / file, dataset)
    assert found.data.shape == shape and found.pixel_nm[0] > 0


def test_units_that_nobody_can_reckon_with_count_as_none() -> None:
    assert [known_unit(u) for u in ("eV", "counts", "$(V/m)^{0.5}$", "furlong/¿", "")] == [
        "eV", "counts", "1", "1", "",
    ]  # fmt: skip
