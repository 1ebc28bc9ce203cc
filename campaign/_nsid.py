"""Arrays as NSID datasets: what pyNSID and sidpy expect, written with h5py alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
from numpy.typing import NDArray

from ..workflow import Action, Array, Axis

_CHANNEL = "Measurement_000/Channel_000"
_NSID_VERSION = "0.0.7"
"""The version of the NSID file convention (as pyNSID numbers it) that the files follow."""
_SIDPY_KINDS = frozenset(
    [
        "UNKNOWN",
        "SPECTRUM",
        "LINE_PLOT",
        "LINE_PLOT_FAMILY",
        "IMAGE",
        "IMAGE_MAP",
        "IMAGE_STACK",
        "SPECTRAL_IMAGE",
        "IMAGE_4D",
        "POINT_CLOUD",
    ]
)


def dataset_name(name: str) -> str:
    """Where the array ``name`` lies in a file."""
    return f"{_CHANNEL}/{name}/{name}"


def write_arrays(path: Path, action: Action, arrays: Mapping[str, Array]) -> None:
    """Write a new file with the arrays of an action and bring it to the disk."""
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


def read_array(dataset: h5py.Dataset) -> Array:
    """Read an array that :func:`write_arrays` wrote.

    Raises
    ------
    KeyError
        If the dataset is none of ours.
    """
    attrs, group = dataset.attrs, cast(h5py.Group, dataset.parent)
    data: NDArray[Any] = np.asarray(dataset[()])
    axes = []
    for dimension in dataset.dims:
        scale = cast(h5py.Dataset, group[dimension.label])
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
