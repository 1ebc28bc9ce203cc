"""Small files of vendors' formats, written byte by byte: images and cubes for replays."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def write_nsid(
    path: Path, arrays: dict[str, tuple[np.ndarray, list[tuple[str, str, str, Any]]]]
) -> Path:
    """Main datasets by quantity; axes are (name, unit, dimension type, values)."""
    with h5py.File(path, "w") as file:
        for number, (quantity, (data, axes)) in enumerate(arrays.items()):
            group = file.create_group(f"Measurement_000/Channel_{number:03d}/data")
            main = group.create_dataset("data", data=data)
            main.attrs["quantity"] = quantity
            main.attrs["units"] = "nm"
            for k, (name, unit, kind, values) in enumerate(axes):
                scale = group.create_dataset(name, data=np.asarray(values, dtype=float))
                scale.attrs.update({"name": name, "units": unit, "dimension_type": kind})
                scale.make_scale(name)
                main.dims[k].attach_scale(scale)
    return path


def write_dm4(path: Path, data: np.ndarray, axes: list[tuple[float, float, str]]) -> Path:
    """A DigitalMicrograph file with one image of float32; axes are (origin, scale, unit) for each
    axis of ``data``."""
    dims = list(reversed(axes))  # DigitalMicrograph counts x first
    calibrations = [
        ("", {"Origin": -origin / scale, "Scale": scale, "Units": unit})
        for origin, scale, unit in dims
    ]
    image = {
        "ImageData": {
            "Calibrations": {
                "Brightness": {"Origin": 0.0, "Scale": 1.0, "Units": "counts"},
                "Dimension": calibrations,
            },
            "Data": data.astype("<f4"),
            "DataType": 2,
            "Dimensions": [("", int(n)) for n in reversed(data.shape)],
            "PixelDepth": 4,
        },
        "ImageTags": {"made by": "test"},
        "Name": "image",
        "UniqueID": [("", 1)],
    }
    body = _group({"ImageList": [("", image)]}, root=True)
    path.write_bytes(struct.pack(">iqi", 4, len(body), 1) + body)
    return path


def _group(items: Any, root: bool = False) -> bytes:
    pairs = items.items() if isinstance(items, dict) else items
    tags = b"".join(_tag(name, value) for name, value in pairs)
    count = len(items)
    head = struct.pack(">bb", 0, 0) if root else struct.pack(">bbq", 0, 0, 0)
    return head + struct.pack(">q", count) + tags


def _tag(name: str, value: Any) -> bytes:
    is_group = isinstance(value, dict) or (
        isinstance(value, list) and all(isinstance(v, tuple) for v in value)
    )
    raw = name.encode()
    head = struct.pack(">bh", 20 if is_group else 21, len(raw)) + raw
    if is_group:
        return head + _group(value)
    return head + struct.pack(">q", 0) + b"%%%%" + _value(value)


def _value(value: Any) -> bytes:
    if isinstance(value, np.ndarray):
        return struct.pack(">qqqq", 3, 20, 6, value.size) + value.tobytes()
    if isinstance(value, str):
        units = value.encode("utf-16-le")
        return struct.pack(">qqqq", 3, 20, 4, len(value)) + units
    if isinstance(value, float):
        return struct.pack(">qq", 1, 7) + struct.pack("<d", value)
    return struct.pack(">qq", 1, 5) + struct.pack("<I", value)


def write_ibw(path: Path, layers: dict[str, np.ndarray], pixel_m: float) -> Path:
    """An Igor binary wave of version 5 as scanning probes write it: (column, line, layer), with a
    name for each layer."""
    data = np.stack([layer.T for layer in layers.values()], axis=-1).astype("<f4")
    dims = (*data.shape, 0)
    labels = b"".join(name.encode().ljust(32, b"\0") for name in ("", *layers))
    wave = struct.pack("<IIIihh6xh32sii", 0, 0, 0, data.size, 2, 0, 1, b"wave", 0, 0)
    wave += struct.pack("<4i4d4d", *dims, pixel_m, pixel_m, 1.0, 1.0, *[0.0] * 4)
    wave += struct.pack("<4s4s4s4s4s", b"m", b"m", b"m", b"", b"")
    wave += bytes(320 - len(wave))
    sizes = (len(wave) + data.nbytes, *[0] * 9, len(labels), *[0] * 4)
    plain = struct.pack("<hh15i", 5, 0, *sizes)
    missing = -int(np.frombuffer(plain + wave, "<i2").sum(dtype=np.int64)) % 65_536
    header = plain[:2] + struct.pack("<H", missing) + plain[4:]
    path.write_bytes(header + wave + data.tobytes(order="F") + labels)
    return path
