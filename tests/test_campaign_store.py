from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support_events import domain_image, loops

from probewise.campaign._store import Hdf5Store
from probewise.workflow import Action, Array, ArrayRef, Axis, StoreError, Target

ACTION = Action(
    id="a00007", step="overview_scan", target=Target(sample="strip-1", site=3), session="s0", seed=5
)

WRITE = """
import sys
import numpy as np
from probewise.campaign._store import Hdf5Store
from probewise.workflow import Action, Array, Axis
store = Hdf5Store(sys.argv[1])
number = 0
while True:
    data = np.full((700, 700), float(number))
    ticks = np.arange(700.0)
    array = Array(data, "pm", (Axis("y", "um", ticks), Axis("x", "um", ticks)))
    ref = store.put(Action(id=f"a{number}", step="scan"), {"image": array})["image"]
    print(ref.model_dump_json(), flush=True)
    number += 1
"""


@pytest.fixture
def store(tmp_path: Path) -> Hdf5Store:
    return Hdf5Store(tmp_path)


def assert_same(first: Array, second: Array) -> None:
    assert first.data.dtype == second.data.dtype
    np.testing.assert_array_equal(first.data, second.data)
    for name in ("unit", "quantity", "kind", "metadata"):
        assert getattr(first, name) == getattr(second, name)
    assert len(first.axes) == len(second.axes)
    for one, two in zip(first.axes, second.axes, strict=True):
        assert (one.name, one.unit, one.kind) == (two.name, two.unit, two.kind)
        np.testing.assert_array_equal(one.values, two.values)


def test_arrays_come_back_as_they_were(store: Hdf5Store) -> None:
    arrays = {"domain_image": domain_image(1), "loops": loops(2, 4)}
    refs = store.put(ACTION, arrays)
    assert {r.file for r in refs.values()} == {"data/a00007-overview_scan.h5"}
    for name, array in arrays.items():
        assert refs[name].shape == array.data.shape and refs[name].unit == "pm"
        assert_same(store.get(refs[name]), array)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    data=hnp.arrays(
        st.sampled_from([np.float64, np.float32, np.int16, np.bool_, np.complex128]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    names=st.lists(
        st.sampled_from(["y", "x", "bias", "a", "metadata", "depth/nm", ""]),
        min_size=3,
        max_size=3,
        unique=True,
    ),
    kind=st.sampled_from(["IMAGE", "UNKNOWN", "of my own"]),
    metadata=st.dictionaries(
        st.text("abc µ/", min_size=1),
        st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
        max_size=3,
    ),
)
def test_any_array_round_trips(
    tmp_path_factory: pytest.TempPathFactory,
    data: np.ndarray[Any, Any],
    names: list[str],
    kind: str,
    metadata: dict[str, float | str],
) -> None:
    store = Hdf5Store(tmp_path_factory.mktemp("run"))
    axes = tuple(
        Axis(name, "V", np.linspace(0.0, 1.0, n), "SPECTRAL")
        for name, n in zip(names, data.shape, strict=False)
    )
    array = Array(data, "pm", axes, "", kind, metadata)
    assert_same(store.get(store.put(ACTION, {"a": array})["a"]), array)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_pynsid_and_sidpy_open_the_file(store: Hdf5Store) -> None:
    hdf_utils = pytest.importorskip("pyNSID.io.hdf_utils")
    image = domain_image(1)
    refs = store.put(ACTION, {"domain_image": image, "loops": loops(2, 4)})
    with h5py.File(store.run_folder / refs["loops"].file) as file:
        mains = hdf_utils.get_all_main(file)
        assert sorted(m.name.rsplit("/", 1)[1] for m in mains) == ["domain_image", "loops"]
        read = hdf_utils.read_h5py_dataset(file[refs["domain_image"].dataset])
        np.testing.assert_allclose(np.asarray(read), image.data)
        assert (read.units, read.quantity, read.data_type.name) == ("pm", "piezoresponse", "IMAGE")
        assert [d.name for d in read._axes.values()] == ["y", "x"]
        assert read.x.units == "um" and read.x.dimension_type.name == "SPATIAL"
        np.testing.assert_allclose(read.x.values, image.axes[1].values)
        assert read.metadata["tip"] == "Pt"
        spectra = hdf_utils.read_h5py_dataset(file[refs["loops"].dataset])
        assert spectra.position.dimension_type.name == "POINT_CLOUD"


def test_a_file_says_where_it_comes_from(store: Hdf5Store) -> None:
    ref = store.put(ACTION, {"domain_image": domain_image(1)})["domain_image"]
    with h5py.File(store.run_folder / ref.file) as file:
        attrs = file["Measurement_000/Channel_000"].attrs
        assert (attrs["action_id"], attrs["step"]) == ("a00007", "overview_scan")
        assert Target.model_validate_json(str(attrs["target"])) == ACTION.target


def test_the_store_travels(store: Hdf5Store) -> None:
    ref = store.put(ACTION, {"domain_image": domain_image(1)})["domain_image"]
    copy = pickle.loads(pickle.dumps(store))
    assert_same(copy.get(ref), domain_image(1))


def test_nothing_to_keep_makes_no_file(store: Hdf5Store) -> None:
    assert store.put(ACTION, {}) == {}
    assert list(store.run_folder.iterdir()) == []


def test_a_second_execution_replaces_the_first(store: Hdf5Store) -> None:
    store.put(ACTION, {"domain_image": domain_image(1)})
    ref = store.put(ACTION, {"domain_image": domain_image(2)})["domain_image"]
    assert_same(store.get(ref), domain_image(2))
    assert len(list((store.run_folder / "data").iterdir())) == 1


def with_bytes(store: Hdf5Store, change: str) -> ArrayRef:
    ref = store.put(ACTION, {"domain_image": domain_image(1)})["domain_image"]
    path = store.run_folder / ref.file
    match change:
        case "missing":
            path.unlink()
        case "torn":
            path.write_bytes(path.read_bytes()[:5000])
        case "foreign":
            path.write_text("composition,value\n0.1,3\n")
        case "dataset":
            ref = ref.model_copy(update={"dataset": "Measurement_000/Channel_000/other"})
        case "group":
            ref = ref.model_copy(update={"dataset": "Measurement_000"})
        case "not-nsid":
            with h5py.File(path, "w") as file:
                file[ref.dataset] = np.zeros(3)
        case "values" | "axis":
            with h5py.File(path, "r+") as file:
                data = file[ref.dataset]
                assert isinstance(data, h5py.Dataset)
                changed = file[ref.dataset if change == "values" else f"{data.parent.name}/x"]
                assert isinstance(changed, h5py.Dataset)
                changed[3] += 1e-9
        case "unit":
            with h5py.File(path, "r+") as file:
                file[ref.dataset].attrs["units"] = "nm"
    return ref


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("missing", "missing"),
        ("torn", "torn or foreign"),
        ("foreign", "torn or foreign"),
        ("dataset", "without dataset"),
        ("group", "without dataset"),
        ("not-nsid", "torn or foreign"),
        ("values", "checksum"),
        ("axis", "checksum"),
        ("unit", "checksum"),
    ],
)
def test_a_file_that_is_not_what_was_stored_is_refused(
    store: Hdf5Store, change: str, said: str
) -> None:
    with pytest.raises(StoreError, match=said):
        store.get(with_bytes(store, change))


@pytest.mark.parametrize("file", ["../outside.h5", "/etc/passwd", "data/link.h5"])
def test_no_path_leaves_the_run_folder(tmp_path: Path, file: str) -> None:
    outside = Hdf5Store(tmp_path / "other")
    outside.run_folder.mkdir()
    ref = outside.put(ACTION, {"domain_image": domain_image(1)})["domain_image"]
    run = tmp_path / "run"
    (run / "data").mkdir(parents=True)
    (run / "data" / "link.h5").symlink_to(outside.run_folder / ref.file)
    with pytest.raises(StoreError, match="leaves the run folder"):
        Hdf5Store(run).get(ref.model_copy(update={"file": file}))


def test_names_and_shapes_that_cannot_be_kept_are_refused(store: Hdf5Store) -> None:
    image = domain_image(1)
    with pytest.raises(StoreError, match="action id"):
        store.put(ACTION.model_copy(update={"id": "../a"}), {"image": image})
    with pytest.raises(StoreError, match="array name"):
        store.put(ACTION, {"a/b": image})
    with pytest.raises(StoreError, match="one axis"):
        store.put(ACTION, {"image": Array(image.data, "pm", image.axes[:1])})
    with pytest.raises(StoreError, match="every axis name once"):
        store.put(ACTION, {"image": Array(image.data, "pm", (image.axes[0], image.axes[0]))})
    with pytest.raises(StoreError, match="numbers"):
        texts = np.array(["a"], dtype=object)
        store.put(ACTION, {"image": Array(texts, "pm", (Axis("x", "1", np.zeros(1)),))})
    assert list(store.run_folder.iterdir()) == []


def test_a_disk_that_refuses_is_explained(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="the disk refused"):
        Hdf5Store(tmp_path).put(ACTION, {"image": domain_image(1)})


@pytest.mark.slow
def test_killing_a_writer_leaves_no_torn_file(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    lines = [writer.stdout.readline() for _ in range(3)]
    writer.kill()
    lines += writer.communicate()[0].splitlines()
    store = Hdf5Store(tmp_path)
    for number, line in enumerate(lines):
        assert store.get(ArrayRef.model_validate_json(line)).data[0, 0] == number
    for path in (tmp_path / "data").glob("[!.]*.h5"):
        with h5py.File(path) as file:
            image = file["Measurement_000/Channel_000/image/image"]
            assert isinstance(image, h5py.Dataset) and image.shape == (700, 700)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["os.fsync", "h5py.Group.create_dataset", "h5py.File.flush"])
def test_dying_while_writing_leaves_no_final_file(tmp_path: Path, moment: str) -> None:
    kill = f"import os, h5py\n{moment} = lambda *a, **k: os.kill(os.getpid(), 9)\n"
    died = subprocess.run([sys.executable, "-c", kill + WRITE, str(tmp_path)], check=False)
    assert died.returncode == -9
    names = [p.name for p in (tmp_path / "data").iterdir()]
    assert len(names) == 1 and names[0].endswith(".part")
