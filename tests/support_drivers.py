"""Drivers for tests: a small STEM that does as it is told, and what may go wrong with one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from probewise.instruments import (
    Driver,
    DriverFault,
    Geometry,
    Microscope,
    Procedure,
    expected_state,
    stem_procedures,
)
from probewise.workflow import (
    AnyCommand,
    Axis,
    Chunk,
    Frame,
    InstrumentState,
    Program,
    Technique,
    command_from,
    program_from,
)

SIZE_nm = 200.0
FULL = 1000.0

ENTRY_POINTS = """\
[probewise.workers]
live-stem = support_drivers:LiveStem
"""


def frame_of(rows: int, columns: int, name: str = "haadf") -> Frame:
    y, x = (np.linspace(0.0, SIZE_nm, n) for n in (rows, columns))
    axes = (Axis("y", "nm", y, "spatial"), Axis("x", "nm", x, "spatial"))
    return Frame(name, "count", axes, "annular dark field", "IMAGE", {}, FULL)


class SmallStem(Driver):
    """Gives what is on its list ``scripted`` for an overview, row by row; else a flat image.

    ``fault`` puts something wrong into the next measurement; ``done`` holds what it was told.
    """

    technique: ClassVar[Technique] = "stem"
    twin: ClassVar[bool] = True
    verbs: ClassVar[frozenset[str]] = frozenset(
        {"load", "overview", "scan", "spectrum", "blank", "move_stage", "place_beam", "set_beam",
         "set_focus", "set_field_of_view", "tune"}
    )  # fmt: skip

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.done: list[str] = []
        self.scripted: list[np.ndarray] = []
        self.closed = False
        self.release = threading.Event()
        self.put_back = 0
        self.now = InstrumentState(technique="stem", sample="S1", voltage_kV=100.0, current_pA=40.0)

    def state(self) -> InstrumentState:
        if self.fault == "mute":
            raise DriverFault("instrument", "no state", "look")
        if self.fault == "deaf":
            self.release.wait(5.0)
        return self.now

    def close(self) -> None:
        self.closed = True
        self.release.set()

    def _do(self, command: Any) -> Iterator[Chunk]:
        self.done.append(command.verb)
        try:
            if command.verb in {"overview", "scan"}:
                yield from self._image(command)
            elif command.verb == "spectrum":
                yield from self._spectra(command)
            else:
                yield Chunk(seconds=0.1)
        finally:
            self.put_back += 1
        self.now = expected_state(command, self.now)

    def _image(self, command: Any) -> Iterator[Chunk]:
        rows = command.pixels if command.verb == "overview" else command.rows
        columns = command.pixels if command.verb == "overview" else command.columns
        data = self.scripted.pop(0) if self.scripted else np.full((rows, columns), 10.0)
        frame = frame_of(rows, columns)
        electrons = self.now.electrons_per_s * command.dwell_s * columns
        for i in range(rows):
            row = data[i : i + 1]
            if i == rows // 2:
                row = self._spoilt(row)
            signals = {"feedback_error_nm": 1.0} if self.fault == "feedback" else {}
            more = 3.0 if self.fault == "overdose" else 1.0
            yield Chunk(frame, i, row, command.dwell_s * columns, electrons * more, signals)
            if self.fault == "short" and i == rows // 2:
                return

    def _spoilt(self, row: np.ndarray) -> Any:
        match self.fault:
            case "shape":
                return row[:, :-1]
            case "dtype":
                return row.astype(str)
            case "nan":
                return np.full_like(row, np.nan)
            case "saturated":
                return np.full_like(row, FULL)
            case "silent":
                self.release.wait(5.0)
            case "lost":
                raise DriverFault("instrument", "connection lost", "start the server again")
            case "bug":
                raise ZeroDivisionError("a bug")
            case "slow":
                time.sleep(0.05)
            case _:
                pass
        return row

    def _spectra(self, command: Any) -> Iterator[Chunk]:
        count = len(command.at.points)
        axes = (
            Axis("position", "1", np.arange(float(count)), "point_cloud"),
            Axis("energy_loss", "eV", np.linspace(0.0, 4.0, 32), "spectral"),
        )
        frame = Frame("eels", "count", axes, "electron energy loss", "POINT_CLOUD")
        each = self.now.electrons_per_s * command.exposure_s
        for i in range(count):
            yield Chunk(frame, i, np.full((1, 32), float(i)), command.exposure_s, each)


class LiveSmallStem(SmallStem):
    """The same, said to be a real instrument."""

    twin = False


class LiveStem(Microscope):
    """A microscope on it, as a campaign would have a real one."""

    twin = False
    replayable = False

    def __init__(self, pixels: int = 16, **limits: Any) -> None:
        super().__init__(LiveSmallStem(), Geometry(pixels, SIZE_nm), **limits)

    def procedures(self) -> Mapping[str, Procedure]:
        return stem_procedures(self.geometry)


def command(verb: str, **fields: Any) -> AnyCommand:
    return command_from({"verb": verb, **fields})


def program(*commands: Any) -> Program:
    return program_from(list(commands))
