"""Drivers for tests: a small STEM that does as it is told, and what may go wrong with one."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
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
    Estimate,
    Failure,
    Frame,
    InstrumentState,
    Job,
    Kind,
    Offer,
    Outcome,
    Program,
    Technique,
    Worker,
    command_from,
    program_from,
)

SIZE_nm = 200.0
FULL = 1000.0

ENTRY_POINTS = """\
[probewise.workers]
live-stem = support_drivers:LiveStem
brightness = support_drivers:Brightness
"""


def frame_of(rows: int, columns: int, name: str = "haadf") -> Frame:
    y, x = (np.linspace(0.0, SIZE_nm, n) for n in (rows, columns))
    axes = (Axis("y", "nm", y, "spatial"), Axis("x", "nm", x, "spatial"))
    return Frame(name, "count", axes, "annular dark field", "IMAGE", {}, FULL)


class SmallStem(Driver):
    """Gives what is on its list ``scripted`` for an overview, row by row; else a flat image.
    A row takes ``row_s`` of real time; ``log`` is a file that gets a line for every command.

    ``fault`` puts something wrong into images, ``series`` into spectra, ``once`` into the first
    only; ``done`` holds what it was told.
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
        self.once = False
        self.row_s = 0.0
        self.log: Path | None = None
        self.release = threading.Event()
        self.put_back = 0
        self.now = InstrumentState(technique="stem", sample="S1", voltage_kV=100.0, current_pA=40.0)

    def state(self) -> InstrumentState:
        if self.fault == "mute":
            raise DriverFault("instrument", "no state", "look")
        if self.fault == "gone" and self.done:
            raise OSError("the socket is closed")
        if self.fault == "deaf":
            self.release.wait(5.0)
        return self.now

    def close(self) -> None:
        self.release.set()

    def _do(self, command: Any) -> Iterator[Chunk]:
        self.done.append(command.verb)
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{command.verb}\n")
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
            time.sleep(self.row_s)
            row = data[i : i + 1]
            if i == rows // 2:
                row = self._spoilt(row)
            signals = {"feedback_error_nm": 1.0} if self.fault == "feedback" else {}
            more = 3.0 if self.fault == "overdose" else 1.0
            took_s = -1.0 if self.fault == "clock" else command.dwell_s * columns
            yield Chunk(frame, i, row, took_s, electrons * more, signals)
            if self.fault == "short" and i == rows // 2:
                return

    def _spoilt(self, row: np.ndarray) -> Any:
        fault = self.fault
        if self.once and fault != "series":
            self.fault = ""
        match fault:
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
            if self.fault == "series" and i == count // 2:
                self.fault = "" if self.once else self.fault
                raise DriverFault("instrument", "connection lost", "start the server again")
            yield Chunk(frame, i, np.full((1, 32), float(i)), command.exposure_s, each)


class LiveSmallStem(SmallStem):
    """The same, said to be a real instrument."""

    twin = False


class LiveStem(Microscope):
    """A microscope on it, as a campaign would have a real one."""

    twin = False
    replayable = False

    def __init__(
        self, pixels: int = 16, once: str = "", row_s: float = 0.0, log: str = "", **limits: Any
    ) -> None:
        driver = LiveSmallStem(once)
        driver.once, driver.row_s = True, row_s
        driver.log = Path(log) if log else None
        super().__init__(driver, Geometry(pixels, SIZE_nm), **limits)

    def procedures(self) -> Mapping[str, Procedure]:
        return stem_procedures(self.geometry)


def command(verb: str, **fields: Any) -> AnyCommand:
    return command_from({"verb": verb, **fields})


def program(*commands: Any) -> Program:
    return program_from(list(commands))


class Brightness(Worker):
    """The mean of all spectra of a film, as a quantity of its design."""

    kind = Kind.ANALYSIS
    replayable = True

    def offers(self) -> tuple[Offer, ...]:
        return (Offer(capability="reduce"),)

    def perform(self, job: Job) -> Outcome:
        spectra = job.arrays.get("spectra", ())
        if not spectra:
            return Outcome(failure=Failure(kind="missing", message="no spectra"))
        value = float(np.mean(spectra[-1].data))
        return Outcome(values={"brightness": Estimate(value=value, std=0.1)})


def raw_campaign(microscope: str, **changes: Any) -> dict[str, Any]:
    """A campaign of three films under a microscope: load, image with spectra there, reduce."""
    procedure = [{"overview": {"pixels": 32}}, {"detect": {"find": "grid", "count": 4}},
                 {"spectrum": {"at": "detected", "exposure_s": 0.02}}]  # fmt: skip
    steps = [
        {"name": "load_sample", "level": 4, "acts_on": "sample", "mounts": True, "latency_h": 0.5,
         "cost_credits": 2},
        {"name": "look", "level": 3, "acts_on": "site", "requires": "load_sample",
         "capability": "run_program", "records": "spectra [count]", "cost_credits": 3,
         "latency_h": 0.1, "dose_e_per_A2": {"median": 15, "cap_factor": 3},
         "parameters": {"program": procedure}},
        {"name": "reduce", "level": 1, "acts_on": "site", "consumes": "spectra [count]",
         "produces": "brightness [count]", "noise": {"brightness": 0.1}, "cost_credits": 0.1},
    ]  # fmt: skip
    return {
        "name": "films",
        "policy": "random",
        "goal": {"kind": "maximize", "quantity": "brightness"},
        "budget": {"credits": 16, "hours": 20},
        "workflow": {
            "space": [{"name": "x", "low": 0, "high": 1}],
            "steps": steps,
            "priors": {"brightness": {"mean": 100, "std": 100}},
        },
        "specimens": {f"film{i}": {"design": {"x": 0.2 + 0.3 * i}} for i in range(3)},
        "workers": {
            "stem": {"type": microscope, "config": {"pixels": 32}},
            "analyst": {"type": "brightness"},
        },
        "guardian": {"type": "limits-guardian", "config": {"max_cost_credits": 100}},
    } | changes


@contextmanager
def registered(folder: Path) -> Iterator[None]:
    """The workers above, as if installed."""
    info = folder / "support_drivers-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: support-drivers\nVersion: 0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
