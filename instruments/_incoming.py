"""Arrays that come in from a network or a file: taken only when they are what they say they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..workflow import ProbewiseError, SpecError, parse_unit
from ._driver import DriverFault

MAX_VALUES = 1 << 26
"""No frame of an instrument is larger than this: 64 million values."""

_KINDS = "biuf"
_ALLOWED = "an array as (values, shape, dtype) with a numeric dtype of at most 8 bytes"


def array_from(who: str, parts: Any, axes: int) -> NDArray[np.float64]:
    """An array from its ``(values, shape, dtype)``.

    Parameters
    ----------
    who
        Where it comes from, in the user's words.
    parts
        Values as nested lists or as bytes in C order, the shape, and the dtype's name.
    axes
        How many axes are expected.

    Returns
    -------
    array
        In double precision, of ``axes`` dimensions; a copy.

    Raises
    ------
    DriverFault
        ``bad_data``, if it is anything else.
    """
    if not isinstance(parts, Sequence) or isinstance(parts, str | bytes) or len(parts) != 3:
        raise _bad(who, f"it is {_kind_of(parts)}")
    values, shape, name = parts
    dtype = _dtype(who, name)
    size = _size(who, shape, axes)
    if isinstance(values, bytes | bytearray | memoryview):
        data = bytes(values)
        if len(data) != size * dtype.itemsize:
            raise _bad(who, f"{len(data)} bytes for shape {tuple(shape)} of {dtype}")
        flat = np.frombuffer(data, dtype)
    else:
        flat = _from_lists(who, values, dtype)
        if flat.size != size:
            raise _bad(who, f"{flat.size} values for shape {tuple(shape)}")
    return flat.reshape(tuple(int(n) for n in shape)).astype(np.float64)


def expect_shape(who: str, data: NDArray[np.float64], shape: tuple[int | None, ...]) -> None:
    """Check a shape; None stands for any length.

    Raises
    ------
    DriverFault
        ``bad_data``, if it is another.
    """
    fits = data.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(data.shape, shape, strict=True)
    )
    if not fits:
        raise DriverFault(
            "bad_data",
            f"{who}: shape {data.shape}; allowed: {shape}",
            "check the settings of the detector, then repeat the command",
        )


def checked_patience(who: str, patience_s: float) -> float:
    """The patience, if it is one.

    Raises
    ------
    SpecError
        If it is no positive number of seconds.
    """
    number = isinstance(patience_s, int | float) and not isinstance(patience_s, bool)
    if not (number and 0.0 < patience_s < math.inf):
        raise SpecError(
            who, f"patience_s={patience_s!r}", "a finite number of seconds above 0", "correct it"
        )
    return float(patience_s)


def known_unit(unit: str) -> str:
    """The unit, or 1 where it is none that can be reckoned with."""
    with suppress(ProbewiseError):
        if "$" not in unit:  # mathematical typesetting
            parse_unit(unit)
            return unit
    return "1"


def _dtype(who: str, name: Any) -> np.dtype[Any]:
    try:
        dtype = np.dtype(name) if isinstance(name, str) and len(name) <= 16 else None
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    if dtype is None or dtype.kind not in _KINDS or dtype.itemsize > 8:
        raise _bad(who, f"the dtype {str(name)[:40]!r}")
    return dtype


def _size(who: str, shape: Any, axes: int) -> int:
    fine = (
        isinstance(shape, Sequence)
        and not isinstance(shape, str | bytes)
        and all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape)
    )
    if not fine or len(shape) != axes:
        raise _bad(who, f"the shape {str(shape)[:60]}", f"{_ALLOWED} and {axes} axes")
    size = math.prod(shape)
    if size > MAX_VALUES:
        raise _bad(who, f"{size} values", f"at most {MAX_VALUES}")
    return size


def _from_lists(who: str, values: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    if not isinstance(values, list | tuple):
        raise _bad(who, f"values as {_kind_of(values)}")
    try:
        plain = np.asarray(values)
        if plain.dtype.kind not in _KINDS:
            raise ValueError(f"values of kind {plain.dtype}")
        return plain.astype(dtype).ravel()
    except (TypeError, ValueError, OverflowError) as error:
        raise _bad(who, f"values that make no array ({error})") from error


def _kind_of(value: Any) -> str:
    return f"a {type(value).__name__}"


def _bad(who: str, given: str, allowed: str = _ALLOWED) -> DriverFault:
    return DriverFault(
        "bad_data",
        f"{who}: {given}; allowed: {allowed}",
        "check that the server and this driver speak the same version of the protocol",
    )
