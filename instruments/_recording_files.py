"""Recordings from files: NSID, and those of vendors through the libraries that know them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..workflow import Axis, ProbewiseError, StoreError, parse_unit
from ._extras import extra
from ._incoming import known_unit
from ._recording import Recording, to_nm

_REMEDY = "give the path of such a file"


@dataclass(frozen=True)
class _Found:
    """A dataset of a file: its data come when asked for. ``axes`` are (name, unit, values)."""

    name: str
    quantity: str
    unit: str
    axes: tuple[tuple[str, str, NDArray[np.float64]], ...]
    read: Callable[[], Any]


def load_recording(
    path: str | Path | None, dataset: str = "", pixel_nm: float | None = None
) -> Recording:
    """Read an image or a cube of spectra.

    Parameters
    ----------
    path
        NSID HDF5 (``.h5``, ``.hf5``, ``.hdf5``), or with the extra ``files`` ``.dm3``, ``.dm4``,
        ``.emd``, ``.bcf`` (RosettaSciIO) and ``.ibw`` (igor2).
    dataset
        Which one, by its quantity or name, where the file holds several.
    pixel_nm
        Distance of two pixels, where the file does not tell or tells it wrongly.

    Raises
    ------
    StoreError
        If there is no such file, it is damaged, or it holds no such recording.
    WorkerError
        If the extra ``files`` is needed and not installed.
    """
    readers = _readers()
    if not path or not Path(path).is_file():
        given = f"no file at {str(path)!r}" if path else "no path"
        raise StoreError("recording", given, f"a file of one of {sorted(readers)}", _REMEDY)
    path = Path(path)
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise StoreError("recording", f"{path.name!r}", f"one of {sorted(readers)}", _REMEDY)
    try:
        return _recording(path, _chosen(path, reader(path), dataset), pixel_nm)
    except ProbewiseError:
        raise
    except Exception as error:  # what a reader of a foreign format may come upon has no limits
        raise StoreError(
            "recording",
            f"{path.name!r} cannot be read ({type(error).__name__})",  # more may quote the file
            f"a whole file of the format {path.suffix}",
            "copy it again from where it was recorded",
        ) from error


def _readers() -> Mapping[str, Callable[[Path], list[_Found]]]:
    rsciio = {
        ".dm3": "digitalmicrograph",
        ".dm4": "digitalmicrograph",
        ".emd": "emd",
        ".bcf": "bruker",
    }
    readers: dict[str, Callable[[Path], list[_Found]]] = dict.fromkeys(
        (".h5", ".hf5", ".hdf5"), _nsid
    )
    readers |= {suffix: _rosetta(module) for suffix, module in rsciio.items()}
    return readers | {".ibw": _igor}


def _nsid(path: Path) -> list[_Found]:
    """Main datasets: two or three dimensions, each with a dimension scale of its length."""
    found: list[_Found] = []

    def visit(name: str, item: object) -> None:
        if not isinstance(item, h5py.Dataset) or item.ndim not in (2, 3):
            return
        axes = []
        for dimension, length in zip(item.dims, item.shape, strict=True):
            scales = list(dimension.values())
            if not scales or scales[0].shape != (length,) or scales[0].dtype.kind not in "iuf":
                return
            scale = scales[0]
            kind = str(scale.attrs.get("dimension_type", ""))
            title = f"{scale.attrs.get('name', 'axis')}|{kind}"
            values = scale[()].astype(np.float64)
            axes.append((title, str(scale.attrs.get("units", "1")), values))
        quantity = str(item.attrs.get("quantity", ""))
        unit = str(item.attrs.get("units", "1"))
        found.append(_Found(name, quantity, unit, tuple(axes), lambda: _values(path, name)))

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found


def _values(path: Path, name: str) -> NDArray[np.float64]:
    with h5py.File(path, "r") as file:
        item = file[name]
        assert isinstance(item, h5py.Dataset)
        return np.asarray(item[()], dtype=np.float64)


def _rosetta(module: str) -> Callable[[Path], list[_Found]]:
    def read(path: Path) -> list[_Found]:
        reader = extra(f"rsciio.{module}", "files", f"recording {path.name!r}")
        return [f for f in map(_from_rosetta, reader.file_reader(str(path))) if f is not None]

    return read


def _from_rosetta(signal: dict[str, Any]) -> _Found | None:
    data = signal["data"]
    if np.ndim(data) not in (2, 3) or np.asarray(data).dtype.kind not in "iuf":
        return None
    axes = tuple(
        (str(a.get("name") or "axis"), str(a.get("units") or "1"),
         float(a["offset"]) + float(a["scale"]) * np.arange(int(a["size"]), dtype=np.float64))
        for a in signal["axes"]
    )  # fmt: skip
    metadata = signal.get("metadata", {})
    title = str(metadata.get("General", {}).get("title") or "signal")
    quantity = str(metadata.get("Signal", {}).get("quantity") or "counts")
    return _Found(title, quantity, "1", axes, lambda: data)


def _igor(path: Path) -> list[_Found]:
    """Layers of an Igor binary wave as scanning probes write it: (column, line, layer)."""
    wave = extra("igor2.binarywave", "files", f"recording {path.name!r}").load(str(path))["wave"]
    header, data = wave["wave_header"], np.asarray(wave["wData"], dtype=np.float64)
    if data.ndim not in (2, 3):
        return []
    data = data[:, :, None] if data.ndim == 2 else data
    offsets, steps = header["sfB"], header["sfA"]
    unit = _text(header.get("dimUnits", "m")) or "m"
    axes = tuple(
        (name, unit, float(offsets[k]) + float(steps[k]) * np.arange(data.shape[k]))
        for name, k in (("y", 1), ("x", 0))
    )
    labels = [_text(label) for label in (wave.get("labels") or [[], [], []])[2]]
    names = [label for label in labels if label] or [f"layer{k}" for k in range(data.shape[2])]
    value_unit = _text(header.get("dataUnits", "")) or "1"
    return [
        _Found(name, name, value_unit, axes, lambda k=k: data[:, :, k].T)
        for k, name in enumerate(names[: data.shape[2]])
    ]


def _text(raw: Any) -> str:
    """Text from what Igor keeps: bytes, or an array of single bytes, one unit for each axis."""
    if isinstance(raw, np.ndarray):
        raw = b"".join(raw.ravel()[:4].tolist()) if raw.dtype.kind == "S" else b""
    text = raw.decode("latin-1") if isinstance(raw, bytes) else str(raw)
    return text.strip("\x00 ").split("\x00")[0]


def _chosen(path: Path, found: list[_Found], dataset: str) -> _Found:
    who = f"recording {path.name!r}"
    if not found:
        raise StoreError(
            who,
            "no dataset with two or three dimensions and an axis for each",
            "an image, or a spectrum at every pixel",
            _REMEDY,
        )
    matching = [f for f in found if dataset in (f.name, f.quantity)] if dataset else found
    if len(matching) != 1:
        names = sorted({f.quantity or f.name for f in found})
        raise StoreError(
            who,
            f"dataset {dataset!r}: {len(matching)} of that name" if dataset else "several datasets",
            f"one of {names}",
            "name one of them as dataset",
        )
    return matching[0]


def _recording(path: Path, chosen: _Found, pixel_nm: float | None) -> Recording:
    who = f"recording {path.name!r}, {chosen.quantity or chosen.name!r}"
    order = _order(chosen)
    data = np.moveaxis(np.asarray(chosen.read(), dtype=np.float64), order, range(len(order)))
    data[~np.isfinite(data)] = np.nan
    rows, columns, *rest = (chosen.axes[k] for k in order)
    return Recording(
        data=data,
        y_nm=to_nm(rows[2], rows[1], pixel_nm, who),
        x_nm=to_nm(columns[2], columns[1], pixel_nm, who),
        spectral=_spectral(rest[0]) if rest else None,
        quantity=chosen.quantity or chosen.name,
        unit=known_unit(chosen.unit),
        source=f"{path.name}:{chosen.name}",
    )


def _order(chosen: _Found) -> list[int]:
    """The two axes of positions in their order, then the one of channels."""
    if len(chosen.axes) == 2:
        return [0, 1]
    marked = [k for k, axis in enumerate(chosen.axes) if axis[0].upper().endswith("|SPECTRAL")]
    other = [k for k, axis in enumerate(chosen.axes) if not _is_length(axis[1])]
    last = next((found[0] for found in (marked, other) if len(found) == 1), 2)
    return [*(k for k in range(3) if k != last), last]


def _spectral(axis: tuple[str, str, NDArray[np.float64]]) -> Axis:
    return Axis(axis[0].partition("|")[0], known_unit(axis[1]), axis[2], "spectral")


def _is_length(unit: str) -> bool:
    with suppress(Exception):  # pint has many words for what is none
        return bool((1.0 * parse_unit(unit)).check("[length]"))
    return False
