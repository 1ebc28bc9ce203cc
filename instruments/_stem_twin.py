"""Twin of a scanning transmission electron microscope with a spectrometer, in numpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ..workflow import (
    Adjust,
    Axis,
    Chunk,
    Command,
    Forecast,
    Frame,
    InstrumentState,
    Load,
    MoveStage,
    Overview,
    Rectangle,
    Scan,
    SpecError,
    Spectrum,
    Technique,
    geometric_forecast,
    stage_nm,
    tuned_area,
)
from ._driver import Driver, DriverFault, expected_state
from ._stem_optics import Optics, blurred, sharpness, vertex
from ._stem_specimen import Specimen
from ._stem_spectra import CHANNELS, FULL_COUNTS, ENERGY_eV, counts_of

Floats = NDArray[np.float64]

IMAGE_FULL = 65_535.0
"""Counts of one pixel at which the image detector is full."""
_EFFICIENCY_PER_nm = 0.012
"""Share of the electrons that a nanometre of gold scatters into the annular detector."""
_FLYBACK = 1.05
_OVERHEAD_s: dict[str, float] = {
    "load": 600.0, "tune": 5.0, "set_beam": 60.0, "set_focus": 0.5, "set_field_of_view": 0.5,
    "blank": 0.1, "move_stage": 2.0, "overview": 0.5, "scan": 0.5, "place_beam": 0.01,
    "spectrum": 0.2,
}  # fmt: skip
_BEAM_MOVE_s = 0.005
_ROWS_AT_ONCE = 32
_SPECTRA_AT_ONCE = 16
_LEAST_SIGNAL = 10.0
"""Least sharpness to tune on, in units of what counting noise alone makes it vary by."""


@final
class StemTwinDriver(Driver):
    """A STEM whose specimen is a hidden scene of plasmonic particles.

    Images come from a high-angle annular detector, spectra from the low-loss range. It has a clock
    of its own, which runs by what commands last. The specimen is flat: its height and tilt cannot
    be set.

    Parameters
    ----------
    world_seed
        The seed of the world: scenes, drift, and how badly the column is tuned at first.
    current_pA, voltage_kV
        What the beam is set to at first.

    Raises
    ------
    SpecError
        If a parameter is out of range.
    """

    technique: ClassVar[Technique] = "stem"
    twin: ClassVar[bool] = True
    verbs: ClassVar[frozenset[str]] = frozenset(_OVERHEAD_s)
    unheeded: ClassVar[Mapping[str, frozenset[str]]] = {
        "move_stage": frozenset({"z_nm", "tilt_deg"})
    }

    def __init__(
        self, world_seed: int = 0, current_pA: float = 40.0, voltage_kV: float = 100.0
    ) -> None:
        good_seed = isinstance(world_seed, int) and not isinstance(world_seed, bool)
        if not (
            good_seed and world_seed >= 0 and 0 < current_pA <= 1000 and 30 <= voltage_kV <= 300
        ):
            raise SpecError(
                "stem-twin",
                f"world_seed={world_seed!r}, current_pA={current_pA!r}, voltage_kV={voltage_kV!r}",
                "a seed from 0 on, up to 1000 pA, 30 to 300 kV",
                "correct the configuration",
            )
        self._world_seed = world_seed
        self._optics = Optics(np.random.default_rng([world_seed, 0x57E]), voltage_kV, current_pA)
        self._rng = np.random.default_rng([world_seed, 0xDA7A])
        self._specimen: Specimen | None = None
        self._specimens: dict[tuple[str, int], Specimen] = {}
        self._clock_s = 0.0
        self._state = InstrumentState(
            technique="stem", voltage_kV=voltage_kV, current_pA=current_pA
        )

    @property
    def specimen(self) -> Specimen | None:
        """What is loaded; for the scoring of twins only."""
        return self._specimen

    def begin(self, seed: int, hours: Mapping[str, float]) -> None:
        self._rng = np.random.default_rng([self._world_seed, seed, 0xDA7A])

    def state(self) -> InstrumentState:
        return self._state.model_copy(
            update={
                "probe_nm": self._optics.probe_nm,
                "notes": {"clock_s": round(self._clock_s, 6)},
            }
        )

    def forecast(self, command: Command, state: InstrumentState) -> Forecast:
        least = geometric_forecast(command, state)
        seconds = least.seconds + _OVERHEAD_s.get(command.verb, 0.0)
        if isinstance(command, Overview | Scan | Adjust):
            seconds += (_FLYBACK - 1.0) * least.seconds
        if isinstance(command, Spectrum):
            seconds += _BEAM_MOVE_s * len(command.at.points)
        return least.model_copy(update={"seconds": seconds})

    def _do(self, command: Any) -> Iterator[Chunk]:
        match command:
            case Overview():
                whole = self._state.frame
                yield from self._image(whole, command.pixels, command.pixels, command.dwell_s)
            case Scan():
                area = command.region or self._state.frame
                yield from self._image(area, command.rows, command.columns, command.dwell_s)
            case Spectrum():
                yield from self._spectra(command)
            case Adjust():
                yield from self._tune(command)
            case Load():
                yield self._wait("load")
                fresh = Specimen(command, self._world_seed, self._clock_s)
                self._specimen = self._specimens.setdefault((command.sample, command.site), fresh)
            case MoveStage():
                yield self._move(command)
            case _:
                yield self._wait(command.verb)
        self._state = expected_state(command, self._state)
        self._optics.voltage_kV = self._state.voltage_kV
        self._optics.current_pA = self._state.current_pA
        self._optics.defocus_nm = self._state.defocus_nm

    def _wait(self, verb: str, more_s: float = 0.0) -> Chunk:
        return Chunk(seconds=self._pass(_OVERHEAD_s[verb] + more_s))

    def _pass(self, seconds: float) -> float:
        self._clock_s += seconds
        self._optics.age(seconds)
        return seconds

    def _there(self) -> Specimen:
        if self._specimen is None:
            raise DriverFault("refused", "no sample is loaded", "load one")
        return self._specimen

    def _move(self, command: MoveStage) -> Chunk:
        before = np.array([self._state.stage_y_nm, self._state.stage_x_nm])
        done = self._wait("move_stage", stage_nm(command, self._state) / command.speed_nm_per_s)
        after = expected_state(command, self._state)
        if self._specimen is not None:
            way = np.array([after.stage_y_nm, after.stage_x_nm]) - before
            self._specimen.stage_moved(way, self._clock_s)
        return done

    def _axes(self, area: Rectangle, rows: int, columns: int) -> tuple[Floats, Floats]:
        """Centres of the pixels, in nanometres of the field of view."""
        y = area.y_nm + (np.arange(rows) + 0.5) * area.height_nm / rows
        x = area.x_nm + (np.arange(columns) + 0.5) * area.width_nm / columns
        return y, x

    def _image(self, area: Rectangle, rows: int, columns: int, dwell_s: float) -> Iterator[Chunk]:
        specimen = self._there()
        y, x = self._axes(area, rows, columns)
        frame = Frame(
            "haadf", "count",
            (Axis("y", "nm", y, "spatial"), Axis("x", "nm", x, "spatial")),
            "annular dark field", "IMAGE",
            {"dwell_s": dwell_s, "current_pA": self._state.current_pA,
             "voltage_kV": self._state.voltage_kV},
            IMAGE_FULL,
        )  # fmt: skip
        yield self._wait("overview")
        row_s = dwell_s * columns * _FLYBACK
        clean = self._clean_image(specimen, area, y, x, row_s)
        per_pixel = self._state.electrons_per_s * dwell_s
        for start in range(0, rows, _ROWS_AT_ONCE):
            part = clean[start : start + _ROWS_AT_ONCE] * per_pixel
            data = np.minimum(self._rng.poisson(part), IMAGE_FULL).astype(np.float64)
            electrons = per_pixel * data.size
            self._expose(specimen, area, y, start, len(data), electrons)
            yield Chunk(frame, start, data, self._pass(row_s * len(data)), electrons)

    def _clean_image(
        self, specimen: Specimen, area: Rectangle, y: Floats, x: Floats, row_s: float
    ) -> Floats:
        """Share of the electrons that reach the detector, (rows, columns), row after row."""
        drift = specimen.drift_nm(self._clock_s + row_s * np.arange(float(len(y))))
        mean_x = float(drift[:, 1].mean())
        ys = y + self._state.stage_y_nm + drift[:, 0]
        xs = x + self._state.stage_x_nm + mean_x
        pixel = (area.height_nm / len(y), area.width_nm / len(x))
        seen = blurred(specimen.scattering(ys, xs), pixel, self._optics.covariance_nm2())
        return np.clip(_EFFICIENCY_PER_nm * seen, 0.0, 0.9)

    def _expose(
        self,
        specimen: Specimen,
        area: Rectangle,
        y: Floats,
        start: int,
        rows: int,
        electrons: float,
    ) -> None:
        height = area.height_nm / len(y)
        drift = specimen.drift_nm(np.array(self._clock_s))
        top = area.y_nm + start * height + self._state.stage_y_nm + float(drift[0])
        left = area.x_nm + self._state.stage_x_nm + float(drift[1])
        box = (top, left, top + rows * height, left + area.width_nm)
        specimen.expose_area(box, electrons)

    def _spectra(self, command: Spectrum) -> Iterator[Chunk]:
        specimen = self._there()
        points = np.array([(p.y_nm, p.x_nm) for p in command.at.points], dtype=np.float64)
        if not len(points):
            raise DriverFault("refused", "no place was given", "name places")
        frame = Frame(
            "eels", "count",
            (Axis("position", "1", np.arange(len(points), dtype=np.float64), "point_cloud"),
             Axis("energy_loss", "eV", ENERGY_eV, "spectral")),
            "electron energy loss", "POINT_CLOUD",
            {"exposure_s": command.exposure_s, "current_pA": self._state.current_pA,
             "voltage_kV": self._state.voltage_kV},
            FULL_COUNTS * command.frames,
        )  # fmt: skip
        yield self._wait("spectrum")
        if command.frames > 1:
            yield from self._in_frames(command, specimen, points, frame)
            return
        electrons = self._state.electrons_per_s * command.exposure_s
        probe_nm = self._optics.probe_nm
        stage = np.array([self._state.stage_y_nm, self._state.stage_x_nm])
        each_s = command.exposure_s + _BEAM_MOVE_s
        for start in range(0, len(points), _SPECTRA_AT_ONCE):
            there = points[start : start + _SPECTRA_AT_ONCE] + stage
            there = there + specimen.drift_nm(self._clock_s + each_s * np.arange(float(len(there))))
            data = np.empty((len(there), CHANNELS))
            data[:] = counts_of(
                specimen, there, electrons, self._state.voltage_kV, probe_nm, self._rng
            )
            for y, x in there:
                specimen.expose_spot(float(y), float(x), electrons, probe_nm)
            yield Chunk(frame, start, data, self._pass(each_s * len(there)), electrons * len(there))

    def _in_frames(
        self, command: Spectrum, specimen: Specimen, points: Floats, frame: Frame
    ) -> Iterator[Chunk]:
        """One place after another, each read out several times; every part holds the sum so far. A
        channel that was full in any of them stays at the detector's end."""
        each_s = command.exposure_s / command.frames
        electrons = self._state.electrons_per_s * each_s
        probe_nm = self._optics.probe_nm
        stage = np.array([self._state.stage_y_nm, self._state.stage_x_nm])
        for place, point in enumerate(points):
            total, full = np.zeros((1, CHANNELS)), np.zeros((1, CHANNELS), dtype=bool)
            for number in range(command.frames):
                there = point + stage + specimen.drift_nm(np.array([self._clock_s]))
                counts = counts_of(
                    specimen, there, electrons, self._state.voltage_kV, probe_nm, self._rng
                )
                total, full = total + counts, full | (counts >= FULL_COUNTS)
                specimen.expose_spot(float(there[0, 0]), float(there[0, 1]), electrons, probe_nm)
                yield Chunk(
                    frame, place, np.where(full, FULL_COUNTS * command.frames, total),
                    self._pass(each_s + (_BEAM_MOVE_s if number == 0 else 0.0)), electrons,
                    {"exposure_s": each_s * (number + 1)},
                )  # fmt: skip

    def _tune(self, command: Adjust) -> Iterator[Chunk]:
        """Take the sharpest of a series of images; what is left over depends on their noise."""
        specimen = self._there()
        yield self._wait("tune")
        if command.what == "focus":
            trials = np.linspace(-0.5, 0.5, command.steps) * command.span_nm
            chunk, images = self._series(command, specimen, [(t, np.zeros(2)) for t in trials])
            yield chunk
            self._optics.error_nm += _best(trials, images)
            return
        half = command.steps // 2
        for axis, count in ((0, half), (1, command.steps - half)):
            trials = np.linspace(-0.5, 0.5, count) * command.span_nm
            unit = np.eye(2)[axis]
            chunk, images = self._series(command, specimen, [(0.0, t * unit) for t in trials])
            yield chunk
            best = _best(trials, images) * unit
            self._optics.astigmatism_nm = self._optics.astigmatism_nm + best

    def _series(
        self, command: Adjust, specimen: Specimen, trials: list[tuple[float, Floats]]
    ) -> tuple[Chunk, list[Floats]]:
        """An image for each trial correction (defocus, astigmatism), and what they cost."""
        area, n = tuned_area(command, self._state), command.pixels
        y, x = self._axes(area, n, n)
        drift = specimen.drift_nm(np.array(self._clock_s))
        ys = y + self._state.stage_y_nm + drift[0]
        xs = x + self._state.stage_x_nm + drift[1]
        scene = specimen.scattering(ys, xs)
        electrons = self._state.electrons_per_s * command.dwell_s
        pixel = (area.height_nm / n, area.width_nm / n)
        images = []
        for defocus, astigmatism in trials:
            seen = blurred(scene, pixel, self._optics.covariance_nm2(defocus, astigmatism))
            mean = np.clip(_EFFICIENCY_PER_nm * seen, 0.0, 0.9) * electrons
            images.append(self._rng.poisson(mean).astype(np.float64))
        given = electrons * n * n * len(trials)
        self._expose(specimen, area, y, 0, n, given)
        seconds = self._pass(command.dwell_s * n * n * len(trials) * _FLYBACK)
        return Chunk(seconds=seconds, electrons=given), images


def _best(trials: Floats, images: list[Floats]) -> float:
    """The correction that makes the sharpest image.

    Raises
    ------
    DriverFault
        If nothing stands out of the noise of the images: there is nothing to tune on.
    """
    sharp = np.array([sharpness(image) for image in images])
    noise = 2.0 / (max(float(np.mean(images)), 1e-12) * np.sqrt(images[0].size))
    if float(sharp.max()) < _LEAST_SIGNAL * noise:
        raise DriverFault(
            "bad_data", "nothing in the images to tune on", "tune where there are particles"
        )
    return vertex(trials, sharp)
