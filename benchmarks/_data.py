"""Where the recorded data lie that some problems need, and how they are read."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VARIABLE = "PROBEWISE_DATA"
CHECKOUT = Path(__file__).resolve().parents[1]


class DataMissingError(FileNotFoundError):
    """A problem's recording is not on this machine."""


def data_folder() -> Path:
    """``PROBEWISE_DATA``, or ``shared/data`` beside the checkout."""
    return Path(os.environ.get(VARIABLE) or CHECKOUT.parent / "shared" / "data")


def read_table(*parts: str) -> tuple[list[str], NDArray[np.float64]]:
    """Column names and numbers (rows, columns) of a CSV file in the data folder.

    Raises
    ------
    DataMissingError
        If the file is not there; the message says how to name the folder.
    """
    path = data_folder().joinpath(*parts)
    if not path.is_file():
        raise DataMissingError(f"{path} is missing: give its folder by --data or {VARIABLE}")
    with path.open(newline="", encoding="utf-8-sig") as file:
        names, *rows = csv.reader(file)
    return names, np.array([[float(cell) for cell in row] for row in rows if row])
