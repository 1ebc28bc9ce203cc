"""A recorded cryo-EM session: holes, a network's predictions, measured resolutions and minutes.

CryoRL's dataset Y1 (Li et al. 2022, https://github.com/IBM/CryoRL-pytorch, Apache-2.0).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from probewise.planner import Hole, MoveCosts

from ._data import VARIABLE, DataMissingError, data_folder

PUBLISHED = MoveCosts(hole_min=1, patch_min=2, square_min=6, grid_min=8)
"""The costs that CryoRL is scored with."""

_FILES = (
    "target_CTF_Y1_train.csv",
    "Y1_2_regress_8bit_res50_train_by_hl.txt",
    "timestamps.csv",
)
_NAME = re.compile(r".*_(?P<grid>\d+gr)_(?P<square>\d+sq_v\d+)_(?P<patch>\d+hl_v\d+)_\d+en-a")


@dataclass(frozen=True)
class Recording:
    """Holes, their measured resolutions in Å by name, and the moves that were timed."""

    holes: tuple[Hole, ...]
    measured_A: dict[str, float]
    measured_costs: MoveCosts
    moves: dict[str, int]


def load_recording() -> Recording:
    """Read the recording from the data folder.

    Raises
    ------
    DataMissingError
        If a file is not there; the message says how to name the folder.
    """
    resolution, prediction, times = (_path(name) for name in _FILES)
    with resolution.open(newline="", encoding="utf-8") as file:
        measured = {row[0]: float(row[3]) for row in csv.reader(file) if row}
    lines = prediction.read_text(encoding="utf-8").splitlines()
    guessed = {name: float(value) for name, value in (line.split() for line in lines if line)}
    holes = tuple(
        Hole(name=name, predicted_A=guessed[name], **_place(name)) for name in sorted(measured)
    )
    costs, moves = _timed(times)
    return Recording(holes, measured, costs, moves)


def _path(name: str) -> Path:
    path = data_folder() / "cryoem" / name
    if not path.is_file():
        raise DataMissingError(f"{path} is missing: give its folder by --data or {VARIABLE}")
    return path


def _place(name: str) -> dict[str, str]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} names no grid, square, patch and hole")
    return match.groupdict()


def _timed(path: Path) -> tuple[MoveCosts, dict[str, int]]:
    """Medians of the time from one image of a hole to the next, by the largest unit that changed.

    The name of a unit that changed stands for the move; how often each was timed comes with it.
    """
    gaps: dict[str, list[float]] = {"hole": [], "patch": [], "square": [], "grid": []}
    for (start, here), (end, there) in pairwise(_images(path)):
        changed = [unit for unit in ("grid", "square", "patch") if here[unit] != there[unit]]
        gaps[changed[0] if changed else "hole"].append((end - start).total_seconds() / 60.0)
    medians = {f"{unit}_min": float(np.median(found)) for unit, found in gaps.items()}
    return MoveCosts(**medians), {unit: len(found) for unit, found in gaps.items()}


def _images(path: Path) -> list[tuple[datetime, dict[str, str]]]:
    """When which hole was imaged, in that order."""

    def read() -> Iterator[tuple[datetime, dict[str, str]]]:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.reader(file):
                if len(row) == 2 and _NAME.fullmatch(row[0]):
                    yield datetime.fromisoformat(row[1]), _place(row[0])

    return sorted(read(), key=lambda image: image[0])
