"""Any ophyd-async device that moves and reads, as an instrument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ..workflow import (
    Axis,
    Blank,
    Chunk,
    Frame,
    InstrumentState,
    Load,
    Overview,
    PlaceBeam,
    Point,
    Record,
    Rectangle,
    Scan,
    SpecError,
    Spectrum,
    Technique,
)
from ..workflow._command import Positive
from ._claim import Claim
from ._driver import Driver, DriverFault, expected_state
from ._incoming import expect_shape, known_unit
from ._mounted import take_word
from ._ophyd_rig import OphydRig
from ._stem_frames import image_frame

Floats = NDArray[np.float64]


class OphydSettings(Record):
    """What a device does not tell.

    Attributes
    ----------
    key
        Which of the detector's readings counts.
    origin_y, origin_x
        Where the top-left corner of the field of view is, in the units of the axes.
    axis_nm
        Nanometres in one unit of an axis.
    shutter_open, shutter_closed
        Values of the shutter, where there is one.
    """

    key: str
    sample: str = ""
    field_of_view_nm: Positive = 1000.0
    axis_nm: Positive = 1.0
    origin_y: float = 0.0
    origin_x: float = 0.0
    shutter_open: float = 1.0
    shutter_closed: float = 0.0


@final
class OphydDriver(Driver):
    """Moves two axes, triggers a detector and reads it, point by point.

    Images are rasters of a detector that gives a number; spectra are what a detector gives, number
    or array, at places. With a shutter, ``blank`` closes it and what takes data opens it meanwhile;
    without one, ``blank`` only notes that nothing is measured. Without an exposure to set, commands
    that name a dwell or an exposure are refused.

    Parameters
    ----------
    rig
        The device with the parts ``y``, ``x``, ``detector`` and, where there are such, ``exposure``
        and ``shutter``.
    claim
        The sole right to it on this machine.
    settings
        What the device does not tell.

    Raises
    ------
    SpecError
        If the detector has no reading of that name.
    """

    technique: ClassVar[Technique] = "stem"
    twin: ClassVar[bool] = False
    verbs: ClassVar[frozenset[str]] = frozenset(
        {"load", "blank", "overview", "scan", "place_beam", "spectrum"}
    )

    unheeded: ClassVar[Mapping[str, frozenset[str]]] = {"spectrum": frozenset({"frames"})}

    def __init__(self, rig: OphydRig, claim: Claim, settings: OphydSettings) -> None:
        self._rig, self._claim, self._settings = rig, claim, settings
        self._told = InstrumentState(
            technique="stem", field_of_view_nm=settings.field_of_view_nm, blanked=False
        )
        described = rig.describe("detector")
        if settings.key not in described:
            raise SpecError(
                rig.who,
                f"key {settings.key!r}",
                f"one of {sorted(described)}",
                "name a reading of the detector",
            )
        self._unit = known_unit(str(described[settings.key].get("units") or "1"))
        if described[settings.key].get("shape"):  # no image can be made of arrays
            self.verbs = self.verbs - {"overview", "scan"}  # type: ignore[misc]
        if "exposure" not in rig.parts:  # the detector has a time of its own
            self.unheeded = {  # type: ignore[misc]
                "overview": frozenset({"dwell_s"}),
                "scan": frozenset({"dwell_s"}),
                "spectrum": frozenset({"exposure_s", "frames"}),
            }

    def state(self) -> InstrumentState:
        return self._told

    def _do(self, command: Any) -> Iterator[Chunk]:
        match command:
            case Load():
                take_word(self._rig.who, self._settings.sample, command)
            case Blank():
                self._shut(command.blanked)
            case PlaceBeam():
                self._go(command.at)
            case Overview():
                n = command.pixels
                yield from self._raster(self._told.frame, n, n, command.dwell_s)
            case Scan():
                area = command.region or self._told.frame
                yield from self._raster(area, command.rows, command.columns, command.dwell_s)
            case Spectrum():
                yield from self._spectra(command)
            case _:
                raise DriverFault("refused", f"{self._rig.who}: no {command.verb!r}")
        self._told = expected_state(command, self._told)

    def close(self) -> None:
        self._rig.close()
        self._claim.release()

    def _raster(self, area: Rectangle, rows: int, columns: int, dwell_s: float) -> Iterator[Chunk]:
        frame = image_frame(
            rows, columns, area, self._unit, self._settings.key, None, self._told, dwell_s, "image"
        )
        frame = self._timed(frame)
        y, x = (axis.values for axis in frame.axes)
        with self._measuring(dwell_s):
            for row in range(rows):
                goals = [self._goal(y[row], v) for v in x]
                line = self._rig.line(goals, "detector", self._settings.key, dwell_s)
                yield Chunk(frame, row, np.array([[self._number(v) for v in line]]))

    def _spectra(self, command: Spectrum) -> Iterator[Chunk]:
        frame: Frame | None = None
        with self._measuring(command.exposure_s):
            for k, point in enumerate(command.at.points):
                self._go(point)
                found = self._rig.measure("detector", self._settings.key, command.exposure_s)
                data = np.atleast_1d(found).ravel()
                frame = frame or self._announced(command, data.size)
                expect_shape(self._rig.who, data, frame.shape[1:])
                yield Chunk(frame, k, data[None])

    def _announced(self, command: Spectrum, channels: int) -> Frame:
        places = np.arange(len(command.at.points), dtype=np.float64)
        axes = (
            Axis("position", "1", places, "point_cloud"),
            Axis("channel", "1", np.arange(channels, dtype=np.float64), "spectral"),
        )
        metadata: dict[str, float | str] = {"exposure_s": command.exposure_s}
        key = self._settings.key
        return self._timed(Frame("readings", self._unit, axes, key, "POINT_CLOUD", metadata))

    def _timed(self, frame: Frame) -> Frame:
        """The frame, without times where the detector has its own."""
        if "exposure" in self._rig.parts:
            return frame
        told = {k: v for k, v in frame.metadata.items() if k not in {"dwell_s", "exposure_s"}}
        return replace(frame, metadata=told)

    def _number(self, data: Floats) -> float:
        if data.size != 1:
            raise DriverFault(
                "bad_data",
                f"{self._rig.who}: {self._settings.key} has shape {data.shape}; allowed: a number",
                "take spectra with it, or name a key that gives a number",
            )
        return float(data.ravel()[0])

    def _goal(self, y_nm: float, x_nm: float) -> dict[str, float]:
        s = self._settings
        return {"y": s.origin_y + y_nm / s.axis_nm, "x": s.origin_x + x_nm / s.axis_nm}

    def _go(self, point: Point) -> None:
        self._rig.move(**self._goal(point.y_nm, point.x_nm))

    def _shut(self, shut: bool) -> None:
        if "shutter" in self._rig.parts:
            s = self._settings
            self._rig.move(shutter=s.shutter_closed if shut else s.shutter_open)

    @contextmanager
    def _measuring(self, seconds: float) -> Iterator[None]:
        """Exposure set, detector ready, shutter open; afterwards all as before."""
        if "exposure" in self._rig.parts:
            self._rig.move(exposure=seconds)
        self._rig.prepare("detector")
        try:
            if self._told.blanked:
                self._shut(False)
            yield
        finally:
            with self._rig.putting_back():
                if self._told.blanked:
                    self._shut(True)
            with self._rig.putting_back():
                self._rig.release("detector")


def parts_of(config: dict[str, str]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Parts by role and what each must be, from a configuration; empty ones are left out."""
    needs = {
        "y": ("Movable",),
        "x": ("Movable",),
        "detector": ("Readable",),
        "exposure": ("Movable",),
        "shutter": ("Movable",),
    }
    parts = {role: config[role] for role in needs if config.get(role) or role == "detector"}
    return parts, {role: needs[role] for role in parts}
