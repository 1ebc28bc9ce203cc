"""Twin of a scanning probe microscope with piezoresponse, on the films of the hidden world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ..matter import (
    PIXELS,
    Pad,
    PIXEL_nm,
    contact_of,
    make_pad,
    make_world,
    response_of,
    triangle,
)
from ..workflow import (
    Adjust,
    Axis,
    Chunk,
    Command,
    Forecast,
    Frame,
    InstrumentState,
    Load,
    Loop,
    Overview,
    Path,
    Point,
    Rectangle,
    Scan,
    Sweep,
    Technique,
    geometric_forecast,
    path_nm,
)
from ._driver import Driver, DriverFault, expected_state
from ._spm_resonance import amplitude, track
from ._spm_signal import ScanGrid, Tuning, image_of, line_of, positions_seen, spectra_of, tuning_of

Floats = NDArray[np.float64]

FIELD_nm = PIXELS * PIXEL_nm
"""Side of the field of view: a whole pad."""
_OVERHEAD_s: dict[str, float] = {
    "load": 300.0, "tune": 20.0, "approach": 30.0, "retract": 2.0, "overview": 1.0, "scan": 1.0,
    "loop": 0.5, "sweep": 0.5, "path": 0.5, "move_stage": 10.0,
}  # fmt: skip
_MOVE_s = 0.2
_ROWS_AT_ONCE = 16
_RESPONSE_pm = 1.0
_RESONANCE_NOISE_kHz = 0.1


@final
class SpmTwinDriver(Driver):
    """A piezoresponse force microscope in the hidden world of a seed.

    A load names the design that the sample was made for; the field of view is one pad, which goes
    on periodically where the stage moves. Forces are not simulated, so that none can be set. Images
    are signed responses at a drive of 1 V; with the resonance tracked (``tune: dart``) they come
    with its map, and their noise does not grow with the time since tuning.

    Parameters
    ----------
    world_seed
        The seed of the world; the same as for the other twins of a campaign.

    Raises
    ------
    SpecError
        If the seed is not a non-negative integer.
    """

    technique: ClassVar[Technique] = "spm"
    twin: ClassVar[bool] = True
    verbs: ClassVar[frozenset[str]] = frozenset(_OVERHEAD_s)
    unheeded: ClassVar[Mapping[str, frozenset[str]]] = {
        "approach": frozenset({"setpoint_nN"}),
        "retract": frozenset({"height_nm"}),
        "move_stage": frozenset({"z_nm", "tilt_deg"}),
    }

    def __init__(self, world_seed: int = 0) -> None:
        self._world = make_world(world_seed)
        self._rng = np.random.default_rng([world_seed, 0x5B3])
        self._pad: Pad | None = None
        self._clock_h = 0.0
        self._tuned_h = 0.0
        self._hours: Mapping[str, float] | None = None
        self._state = InstrumentState(technique="spm", field_of_view_nm=FIELD_nm)

    def begin(self, seed: int, hours: Mapping[str, float]) -> None:
        """With ``start`` in ``hours``, the campaign says what time it is, and since when the lever
        is tuned; else the twin's own clock does."""
        self._rng = np.random.default_rng(seed)
        self._hours = hours if "start" in hours else None

    def state(self) -> InstrumentState:
        return self._state.model_copy(update={"notes": {"clock_h": round(self._clock_h, 9)}})

    def forecast(self, command: Command, state: InstrumentState) -> Forecast:
        least = geometric_forecast(command, state)
        seconds = least.seconds + _OVERHEAD_s.get(command.verb, 0.0)
        if isinstance(command, Loop | Sweep):
            seconds += _MOVE_s * len(command.at.points)
        return least.model_copy(update={"seconds": seconds})

    def _do(self, command: Any) -> Iterator[Chunk]:
        yield Chunk(seconds=self._pass(_OVERHEAD_s[command.verb]))
        match command:
            case Load():
                self._pad = make_pad(self._world.seed, command.sample, command.site, command.design)
            case Overview():
                whole = self._state.frame
                yield from self._image(whole, command.pixels, command.pixels, command.dwell_s)
            case Scan():
                area = command.region or self._state.frame
                yield from self._image(area, command.rows, command.columns, command.dwell_s)
            case Adjust(what="dart"):
                yield from self._dart(command)
            case Adjust():
                yield from self._resonance(command)
            case Loop():
                yield from self._loops(command)
            case Sweep():
                yield from self._sweeps(command)
            case Path():
                yield from self._path(command)
            case _:
                pass
        self._state = expected_state(command, self._state)

    def _pass(self, seconds: float) -> float:
        self._clock_h += seconds / 3600.0
        return seconds

    def _there(self) -> Pad:
        if self._pad is None:
            raise DriverFault("refused", "no sample is loaded", "load one")
        return self._pad

    def _tuning(self) -> Tuning:
        own = {"start": self._clock_h, "tuned": self._tuned_h}
        hours = own if self._hours is None else self._hours
        return tuning_of(self._world, self._there().sample, hours, "dart" in self._state.tuned)

    def _metadata(self, tuning: Tuning) -> dict[str, float | str]:
        return {
            "sensitivity_pm_per_uC_per_cm2": self._world.sensitivity_pm_cm2_per_uC,
            "hours_since_tuning": tuning.age_h,
            "pixel_nm": PIXEL_nm,
            "n_cols": float(PIXELS),
        }

    def _image(self, area: Rectangle, rows: int, columns: int, dwell_s: float) -> Iterator[Chunk]:
        pad, tuning = self._there(), self._tuning()
        y = area.y_nm + np.arange(rows) * area.height_nm / rows
        x = area.x_nm + np.arange(columns) * area.width_nm / columns
        scan_h = dwell_s * rows * columns / 3600.0
        stage = self._stage_px()
        grid = ScanGrid(y / PIXEL_nm + stage[0], x / PIXEL_nm + stage[1], scan_h)
        axes = (Axis("row", "nm", y, "spatial"), Axis("column", "nm", x, "spatial"))
        metadata = self._metadata(tuning)
        found = {"piezoresponse": image_of(pad.pattern, tuning, grid, self._rng)}
        frames = {
            "piezoresponse": Frame(
                "piezoresponse", "pm", axes, "vertical piezoresponse", "IMAGE", metadata
            )
        }
        if tuning.tracked:
            found["resonance"] = self._resonance_map(pad, tuning, grid)
            frames["resonance"] = Frame(
                "resonance", "kHz", axes, "contact resonance", "IMAGE", metadata
            )
        for start in range(0, rows, _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            for i, (name, data) in enumerate(found.items()):
                took_s = 0.0 if i else self._pass(dwell_s * columns * len(data[part]))
                yield Chunk(frames[name], start, data[part], took_s)

    def _resonance_map(self, pad: Pad, tuning: Tuning, grid: ScanGrid) -> Floats:
        """What the tracking follows, with its noise."""
        resonance, _ = contact_of(pad)
        r, c = grid.where(tuning)
        seen = resonance[np.rint(r).astype(np.intp) % PIXELS, np.rint(c).astype(np.intp) % PIXELS]
        return seen + self._rng.normal(0.0, _RESONANCE_NOISE_kHz, seen.shape)

    def _resonance(self, command: Adjust) -> Iterator[Chunk]:
        """A sweep through the contact resonance; the lever counts as tuned from now on."""
        resonance_kHz = round(float(self._rng.normal(352.0, 4.0)), 2)
        _, quality = contact_of(self._there())
        f = resonance_kHz + np.linspace(-0.5, 0.5, command.steps) * command.span_kHz
        swept = command.drive_V * _RESPONSE_pm * amplitude(f, resonance_kHz, quality)
        frame = Frame(
            "resonance_sweep", "pm", (Axis("frequency", "kHz", f, "spectral"),), "amplitude",
            "SPECTRUM",
        )  # fmt: skip
        data = swept + self._rng.normal(0.0, 0.5, swept.shape)
        yield Chunk(frame, 0, data, 0.0, signals={"contact_resonance_kHz": resonance_kHz})
        self._tuned_h = self._clock_h

    def _dart(self, command: Adjust) -> Iterator[Chunk]:
        """Two drives find the resonance and follow it from then on."""
        resonance, quality = contact_of(self._there())
        middle = resonance[PIXELS // 2, PIXELS // 2]
        start = float(middle + self._rng.uniform(-0.25, 0.25) * command.span_kHz)
        found = track(
            start, float(middle), quality, command.span_kHz, command.drive_V * _RESPONSE_pm, 0.05,
            command.steps, self._rng,
        )  # fmt: skip
        steps = np.arange(command.steps, dtype=np.float64)
        axis = (Axis("step", "1", steps, "temporal"),)
        shown = {
            "tracked_resonance": (found.middle_kHz, "kHz", "frequency"),
            "amplitude_below": (found.below_pm, "pm", "amplitude"),
            "amplitude_above": (found.above_pm, "pm", "amplitude"),
        }
        signals = {"contact_resonance_kHz": found.resonance_kHz}
        for name, (data, unit, quantity) in shown.items():
            frame = Frame(name, unit, axis, quantity, "SPECTRUM")
            yield Chunk(frame, 0, data, 0.0, signals=signals)
        off_kHz = abs(found.resonance_kHz - float(middle))
        if off_kHz > float(middle) / quality:
            raise DriverFault(
                "bad_data",
                f"the tracking is {off_kHz:.2g} kHz off the resonance",
                "take more steps, or drives closer together",
            )
        self._tuned_h = self._clock_h

    def _loops(self, command: Loop) -> Iterator[Chunk]:
        pad, tuning = self._there(), self._tuning()
        bias_V = triangle(command.points, command.bias_V)
        local = pad.local_loops(positions_seen(self._pixels(command.at.points), tuning), bias_V)
        data = spectra_of(tuning.sensitivity * local, tuning, self._rng)
        frame = Frame(
            "loops", "pm",
            (_positions(len(data)), Axis("bias", "V", bias_V, "spectral")),
            "remanent vertical piezoresponse", "POINT_CLOUD",
            self._metadata(tuning) | {"readout": "at zero bias after each pulse"},
        )  # fmt: skip
        yield from self._one_by_one(frame, data, command.pulse_s * command.points)

    def _sweeps(self, command: Sweep) -> Iterator[Chunk]:
        """Response against the drive: A V + B V^2 + C V^3, calibrated as badly as all the rest."""
        pad, tuning = self._there(), self._tuning()
        drive_V = np.linspace(0.0, command.max_V, command.points + 1)[1:]
        there = positions_seen(self._pixels(command.at.points), tuning)
        coefficients = response_of(pad).at(there[:, 0], there[:, 1])
        powers = drive_V[None, :] ** np.array([[1.0], [2.0], [3.0]])
        gain = tuning.sensitivity / self._world.sensitivity_pm_cm2_per_uC
        data = spectra_of(gain * (coefficients @ powers), tuning, self._rng)
        frame = Frame(
            "sweeps", "pm",
            (_positions(len(data)), Axis("drive", "V", drive_V, "spectral")),
            "vertical response", "POINT_CLOUD", self._metadata(tuning),
        )  # fmt: skip
        yield from self._one_by_one(frame, data, command.dwell_s * command.points)

    def _one_by_one(self, frame: Frame, data: Floats, seconds: float) -> Iterator[Chunk]:
        for i, row in enumerate(data):
            yield Chunk(frame, i, row[None, :], self._pass(seconds + _MOVE_s))

    def _path(self, command: Path) -> Iterator[Chunk]:
        """The response along the way; the noise of a pixel of an image at every step."""
        pad, tuning = self._there(), self._tuning()
        length = path_nm(command)
        count = max(2, int(length / command.step_nm) + 1)
        way = np.linspace(0.0, length, count)
        corners = np.array([(p.y_nm, p.x_nm) for p in command.through])
        marks = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
        stage = self._stage_px()
        y, x = (np.interp(way, marks, corners[:, k]) / PIXEL_nm + stage[k] for k in (0, 1))
        line = line_of(pad.pattern, tuning, y, x, self._rng)
        frame = Frame(
            "path", "pm", (Axis("distance", "nm", way, "spatial"),), "vertical piezoresponse",
            "SPECTRUM", self._metadata(tuning),
        )  # fmt: skip
        yield Chunk(frame, 0, line, self._pass(length / command.speed_nm_per_s))

    def _stage_px(self) -> Floats:
        """Where the field of view begins on the pad, in its pixels; beyond its rim it repeats."""
        return np.array([self._state.stage_y_nm, self._state.stage_x_nm]) / PIXEL_nm

    def _pixels(self, points: tuple[Point, ...]) -> NDArray[np.intp]:
        """Pixels of the pad (n, 2) under points."""
        places = np.array([(p.y_nm, p.x_nm) for p in points], dtype=np.float64).reshape(-1, 2)
        if not len(places):
            raise DriverFault("refused", "no place was given", "name places")
        return np.rint(places / PIXEL_nm + self._stage_px()).astype(np.intp)


def _positions(count: int) -> Axis:
    return Axis("position", "1", np.arange(count, dtype=np.float64), "point_cloud")
