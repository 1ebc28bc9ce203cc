"""The store of arrays: HDF5 files in the NSID convention that are either whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import final

import h5py
import numpy as np

from ..workflow import Action, Array, ArrayRef, DiskError, StoreError
from ._nsid import dataset_name, read_array, write_arrays

_PLAIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,119}$")


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
            If a name cannot be one of a file or dataset, axes do not fit the data, or the data are
            no numbers.
        DiskError
            If the disk refuses.
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
            write_arrays(temporary, action, arrays)
            temporary.chmod(0o644)
            temporary.replace(final_path)
            _sync(final_path.parent)
        except (OSError, RuntimeError) as error:  # HDF5 tells of a full disk by either
            raise DiskError(
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
                dataset=dataset_name(name),
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
                array = read_array(dataset)
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
