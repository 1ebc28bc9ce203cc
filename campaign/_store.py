"""The store of arrays: HDF5 files in the NSID convention that are either whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

import h5py
import numpy as np
from numpy.typing import NDArray

from ..workflow import Action, Array, ArrayRef, Axis, StoreError

_CHANNEL = "Measurement_000/Channel_000"
_PLAIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,119}$")
_NSID_VERSION = "0.0.7"
"""The version of the NSID file convention (as pyNSID numbers it) that the files follow."""
_SIDPY_KINDS = frozenset(
    "UNKNOWN SPECTRUM LINE_PLOT LINE_PLOT_FAMILY IMAGE IMAGE_MAP IMAGE_STACK SPECTRAL_IMAGE"
    " IMAGE_4D POINT_CLOUD".split()
)


@final
class Hdf5Store:
    """Keeps the arrays of an action in one file, ``data/<action id>-<step>.h5``.

    Each array is an NSID main dataset ``Measurement_000/Channel_000/<name>/<name>`` whose axes are
    dimension scales with ``name, quantity, units, dimension_type``, so pyNSID, sidpy and any HDF5
    viewer open it. A file is written under a temporary name, flushed to the disk and renamed. The
    store holds nothing but the run folder's path, so it may travel to other processes; on a cluster
    the folder must be on a shared file system.
    """

    def __init__(self, run_folder: str | Path) -> None:
        self.run_folder = Path(run_folder).absolute()

    def put(self, action: Action, arrays: Mapping[str, Array]) -> dict[str, ArrayRef]:
        """Write the arrays of an action; all of them or none.

        Raises
        ------
        StoreError
            If a name cannot be one of a file or dataset, axes do not fit the data, the data are no
            numbers, or the disk refuses.
        """
        if not arrays:
            return {}
        relative = f"data/{_plain(action.id, 'action id')}-{_plain(action.step, 'step')}.h5"
        for name, array in arrays.items():
            _check(_plain(name, "array name"), array)
        final_path = self.run_folder / relative
        temporary: Path | None = None
        try:
            final_path.parent.mkdir(exist_ok=True)
            handle, text = tempfile.mkstemp(
                prefix=f".{final_path.name}.", suffix=".part", dir=final_path.parent
            )
            os.close(handle)
            temporary = Path(text)
            _write(temporary, action, arrays)
            temporary.chmod(0o644)
            temporary.replace(final_path)
            _sync(final_path.parent)
        except OSError as error:
            raise StoreError(
                f"store, file {relative!r}",
                f"the disk refused it ({error})",
                "a run folder that can be written, with room left",
                "make room or mend the rights, then resume the run",
            ) from error
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
        return {
            name: ArrayRef(
                file=relative,
                dataset=f"{_CHANNEL}/{name}/{name}",
                sha256=checksum(array),
                shape=tuple(array.data.shape),
                unit=array.unit,
            )
            for name, array in arrays.items()
        }

    def get(self, ref: ArrayRef) -> Array:
        """Read an array back and hold it against its checksum.

        Raises
        ------
        StoreError
            If the file lies outside the run folder, is missing, torn or foreign, or does not hold
            what was stored.
        """
        path = (self.run_folder / ref.file).resolve()
        if not path.is_relative_to(self.run_folder.resolve()):
            raise StoreError(
                f"store, file {ref.file!r}",
                "a path that leaves the run folder",
                f"a file inside {str(self.run_folder)!r}",
                "do not edit the journal; use the run folder as it was written",
            )
        if not path.is_file():
            raise _bad(ref, "missing")
        try:
            with h5py.File(path, "r") as file:
                dataset = file.get(ref.dataset)
                if not isinstance(dataset, h5py.Dataset):
                    raise _bad(ref, f"without dataset {ref.dataset!r}")
                array = _read(dataset)
        except (OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
            raise _bad(ref, f"torn or foreign ({error})") from error
        if checksum(array) != ref.sha256:
            raise _bad(ref, "with other content than was stored (checksum differs)")
        return array


def checksum(array: Array) -> str:
    """SHA-256 over type, shape, unit and bytes of an array and of its axes."""
    digest = hashlib.sha256()
    for data, label in (
        (array.data, array.unit),
        *((axis.values, f"{axis.name} [{axis.unit}]") for axis in array.axes),
    ):
        whole = np.ascontiguousarray(data)
        digest.update(json.dumps([label, whole.dtype.str, list(np.shape(data))]).encode())
        digest.update(whole.tobytes())
    return digest.hexdigest()


def _check(name: str, array: Array) -> None:
    shape = tuple(len(axis.values) for axis in array.axes)
    if array.data.dtype.kind not in "biufc" or shape != array.data.shape:
        raise StoreError(
            f"store, array {name!r}",
            f"data of type {array.data.dtype} and shape {array.data.shape} with axes of {shape}",
            "numbers, and one axis with as many values for each dimension",
            "mend the worker that gives this array",
        )
    if len({axis.name for axis in array.axes}) < len(array.axes):
        raise StoreError(
            f"store, array {name!r}",
            f"axes {[axis.name for axis in array.axes]}",
            "every axis name once",
            "mend the worker that gives this array",
        )


def _write(path: Path, action: Action, arrays: Mapping[str, Array]) -> None:
    with h5py.File(path, "w") as file:
        channel = file.create_group(_CHANNEL)
        _describe(channel, action)
        for name, array in arrays.items():
            _write_main(channel.create_group(name), name, array, source=action.step)
        file.flush()
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _describe(channel: h5py.Group, action: Action) -> None:
    channel.attrs["action_id"] = action.id
    channel.attrs["step"] = action.step
    channel.attrs["seed"] = np.uint64(action.seed) if 0 <= action.seed < 2**64 else str(action.seed)
    channel.attrs["target"] = action.target.model_dump_json()
    channel.attrs["target_label"] = action.target.label
    channel.attrs["parameters"] = json.dumps(action.parameters, default=str)
    channel.attrs["session"] = action.session or ""
    channel.attrs["timestamp"] = datetime.now(UTC).isoformat(timespec="seconds")


def _write_main(group: h5py.Group, name: str, array: Array, source: str) -> None:
    boolean = array.data.dtype.kind == "b"
    main = group.create_dataset(name, data=array.data.astype(np.uint8) if boolean else array.data)
    main.attrs.update(
        {
            "quantity": array.quantity or name,
            "units": array.unit,
            "main_data_name": name,
            "title": name,
            "data_type": array.kind if array.kind in _SIDPY_KINDS else "UNKNOWN",
            "modality": "generic",
            "source": source,
            "pyNSID_version": _NSID_VERSION,
            "stored_quantity": array.quantity,
            "stored_kind": array.kind,
            "boolean": boolean,
        }
    )
    for number, axis in enumerate(array.axes):
        label = axis.name.replace("/", "_")
        if label in {"", ".", "metadata"} or label in group:
            label = f"axis_{number}"
        scale = group.create_dataset(label, data=np.asarray(axis.values))
        scale.attrs.update(
            {
                "name": label,
                "quantity": axis.name,
                "units": axis.unit,
                "dimension_type": axis.kind,
            }
        )
        scale.make_scale(label)
        main.dims[number].label = label
        main.dims[number].attach_scale(scale)
    if array.metadata:
        group.create_group("metadata").attrs.update(array.metadata)


def _read(dataset: h5py.Dataset) -> Array:
    attrs, group = dataset.attrs, dataset.parent
    data: NDArray[Any] = np.asarray(dataset[()])
    axes = []
    for dimension in dataset.dims:
        scale = group[dimension.label]
        axes.append(
            Axis(
                name=str(scale.attrs["quantity"]),
                unit=str(scale.attrs["units"]),
                values=np.asarray(scale[()]),
                kind=str(scale.attrs["dimension_type"]),
            )
        )
    metadata: dict[str, float | str] = {}
    if "metadata" in group:
        metadata = {k: _scalar(v) for k, v in group["metadata"].attrs.items()}
    return Array(
        data=data.astype(bool) if bool(attrs["boolean"]) else data,
        unit=str(attrs["units"]),
        axes=tuple(axes),
        quantity=str(attrs["stored_quantity"]),
        kind=str(attrs["stored_kind"]),
        metadata=metadata,
    )


def _scalar(value: Any) -> float | str:
    return value.item() if isinstance(value, np.generic) else str(value)


def _plain(text: str, what: str) -> str:
    if _PLAIN.match(text) is None:
        raise StoreError(
            "store",
            f"{what} {text!r}",
            "a letter or digit, then letters, digits, '_', '.', '-' (120 at most)",
            "rename it",
        )
    return text


def _bad(ref: ArrayRef, what: str) -> StoreError:
    return StoreError(
        f"store, file {ref.file!r}",
        what,
        "the file as the campaign wrote it",
        "restore the file from a copy of the run folder, or measure again",
    )


def _sync(folder: Path) -> None:
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
