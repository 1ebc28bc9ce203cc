"""Nion's simulator as an instrument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from ..workflow import (
    Adjust,
    Axis,
    Blank,
    Chunk,
    Command,
    DesignSpaceError,
    Forecast,
    Frame,
    InstrumentState,
    Load,
    MoveStage,
    Overview,
    PlaceBeam,
    Rectangle,
    Scan,
    SetBeam,
    SetFieldOfView,
    SetFocus,
    SpecError,
    Spectrum,
    Technique,
    geometric_forecast,
    stage_nm,
)
from ._driver import Driver, DriverFault, expected_state
from ._edges import Composition
from ._shadow_focus import focus_of, shadow_slope
from ._stem_frames import image_frame, spectra_frame
from ._usim_scope import RONCHIGRAM_BINNING, UsimScope

Floats = NDArray[np.float64]

_OVERHEAD_s: dict[str, float] = {
    "load": 600.0, "tune": 2.0, "set_focus": 0.2, "set_beam": 30.0, "set_field_of_view": 0.2,
    "blank": 0.1, "move_stage": 1.0, "overview": 0.3, "scan": 0.3, "place_beam": 0.01,
    "spectrum": 0.2,
}  # fmt: skip
_SHADOW_s = 0.5
_BLIND_nm = 0.1
"""At zero defocus the simulated shadow image is undefined; so close to it none is taken."""


@final
class UsimDriver(Driver):
    """Scans, spectra, shadow images and focus of a simulated Nion microscope.

    A specimen consists of flakes whose composition is a function of the design it was made for, so
    that their spectra show its edges. The simulator's own defocus begins at 500 nm; it blurs the
    shadow image (ronchigram), not the scan.

    Parameters
    ----------
    composition
        Amounts of elements as functions of the design.
    energy_offset_eV, dispersion_eV
        Of the spectrometer's 1,024 channels.
    world_seed
        Of the specimens.
    composition_steps
        In how many steps atomic fractions are drawn; a spectrum takes time in proportion.

    Raises
    ------
    SpecError
        If the seed or the steps are no such number.
    WorkerError
        If the extra ``usim`` is not installed.
    """

    technique: ClassVar[Technique] = "stem"
    twin: ClassVar[bool] = True
    tunings: ClassVar[frozenset[str] | None] = frozenset({"focus"})
    verbs: ClassVar[frozenset[str]] = frozenset(_OVERHEAD_s)
    unheeded: ClassVar[Mapping[str, frozenset[str]]] = {
        "tune": frozenset({"side_nm", "pixels", "dwell_s"}),
        "move_stage": frozenset({"z_nm", "tilt_deg"}),
        "spectrum": frozenset({"frames"}),
    }

    def __init__(
        self, composition: Composition, energy_offset_eV: float = 400.0,
        dispersion_eV: float = 0.5, world_seed: int = 0, composition_steps: int = 100,
    ) -> None:  # fmt: skip
        for name, value, least in (
            ("world_seed", world_seed, 0),
            ("composition_steps", composition_steps, 1),
        ):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise SpecError(
                    "Nion uSim",
                    f"{name}={value!r}",
                    f"a whole number from {least} on",
                    "correct it",
                )
        self._scope = UsimScope(composition_steps)
        self._composition, self._world_seed = composition, world_seed
        self._energies = self._scope.spectrometer(energy_offset_eV, dispersion_eV)
        self._rng = np.random.default_rng(world_seed)
        self._told = InstrumentState(technique="stem")

    def state(self) -> InstrumentState:
        scope = self._scope
        y, x = scope.stage_nm
        return self._told.model_copy(
            update={
                "blanked": scope.blanked,
                "stage_y_nm": y,
                "stage_x_nm": x,
                "voltage_kV": scope.control("EHT") * 1e-3,
                "current_pA": scope.control("BeamCurrent") * 1e12,
                "defocus_nm": round(scope.control("C10Control") * 1e9, 6),
            }
        )

    def forecast(self, command: Command, state: InstrumentState) -> Forecast:
        """As by the numbers of the command, with the overheads of an instrument."""
        plain = geometric_forecast(command, state)
        more_s = _OVERHEAD_s.get(command.verb, 0.0)
        if isinstance(command, Adjust):
            shadows_s = command.steps * _SHADOW_s
            electrons = state.electrons_per_s * shadows_s
            dose = electrons / (100.0 * state.frame.area_nm2)
            local = electrons / (25.0 * np.pi * state.probe_nm**2)
            return plain.plus(
                Forecast(
                    seconds=shadows_s + more_s, electrons=electrons, dose_e_per_A2=dose,
                    local_dose_e_per_A2=local,
                )
            )  # fmt: skip
        return plain.plus(Forecast(seconds=more_s))

    def begin(self, seed: int, hours: Mapping[str, float]) -> None:
        self._rng = np.random.default_rng([self._world_seed, seed])

    def _do(self, command: Any) -> Iterator[Chunk]:
        match command:
            case Overview():
                area = self._told.frame
                yield from self._image(area, command.pixels, command.pixels, command.dwell_s)
            case Scan():
                area = command.region or self._told.frame
                yield from self._image(area, command.rows, command.columns, command.dwell_s)
            case Spectrum():
                yield from self._spectra(command)
            case Adjust():
                yield from self._tune(command)
            case _:
                yield Chunk(seconds=self._set(command))
        self._told = expected_state(command, self._told)

    def _set(self, command: Any) -> float:
        """Do what gives no data; how long it takes."""
        scope, seconds = self._scope, _OVERHEAD_s[command.verb]
        match command:
            case Load():
                self._load(command)
            case SetFocus():
                scope.set_control("C10Control", command.defocus_nm * 1e-9)
            case SetBeam(voltage_kV=voltage, current_pA=current):
                if voltage is not None:
                    scope.set_control("EHT", voltage * 1e3)
                if current is not None:
                    scope.set_control("BeamCurrent", current * 1e-12)
            case Blank():
                scope.blank(command.blanked)
            case MoveStage():
                seconds += stage_nm(command, self.state()) / command.speed_nm_per_s
                y, x = scope.stage_nm
                scope.move_stage(
                    y if command.y_nm is None else command.y_nm,
                    x if command.x_nm is None else command.x_nm,
                )
            case SetFieldOfView() | PlaceBeam():
                pass
        return seconds

    def _load(self, command: Load) -> None:
        try:
            fractions = self._composition.fractions(command.design)
        except DesignSpaceError as error:
            message = f"Nion uSim: {error.given}; allowed: {error.allowed}"
            raise DriverFault("refused", message, error.remedy) from error
        text = f"{self._world_seed}/{command.sample}/{command.site}"
        self._scope.load(fractions, [self._world_seed, *text.encode()])

    def _image(self, area: Rectangle, rows: int, columns: int, dwell_s: float) -> Iterator[Chunk]:
        state = self.state()
        middle = state.field_of_view_nm / 2
        centre = (
            area.y_nm + area.height_nm / 2 - middle,
            area.x_nm + area.width_nm / 2 - middle,
        )
        size = (area.height_nm, area.width_nm)
        yield Chunk(seconds=_OVERHEAD_s["scan"])
        with self._scope.lit():
            data = self._scope.image((rows, columns), centre, size, dwell_s, self._rng)
        frame = image_frame(
            rows, columns, area, "count", "annular dark field", None, state, dwell_s
        )
        electrons = state.electrons_per_s * dwell_s * data.size
        yield Chunk(frame, 0, data, dwell_s * data.size, electrons)

    def _spectra(self, command: Spectrum) -> Iterator[Chunk]:
        state = self.state()
        field = state.field_of_view_nm
        frame = spectra_frame(
            len(command.at.points), self._energies, "count", None, state, command.exposure_s
        )
        electrons = state.electrons_per_s * command.exposure_s
        yield Chunk(seconds=_OVERHEAD_s["spectrum"])
        for k, point in enumerate(command.at.points):
            with self._scope.lit():
                data = self._scope.spectrum(
                    point.y_nm / field, point.x_nm / field, field, command.exposure_s, self._rng
                )
            yield Chunk(frame, k, data[None], command.exposure_s, electrons)

    def _tune(self, command: Adjust) -> Iterator[Chunk]:
        """Take shadow images through focus; the defocus around which they are alike is zero."""
        state, scope = self.state(), self._scope
        trials = state.defocus_nm + command.span_nm * np.linspace(-0.5, 0.5, command.steps)
        frame = _shadows(trials)
        slopes = np.empty(command.steps)
        yield Chunk(seconds=_OVERHEAD_s["tune"])
        try:
            for k, defocus in enumerate(trials):
                away = defocus if abs(defocus) >= _BLIND_nm else _BLIND_nm
                scope.set_control("C10Control", away * 1e-9)
                with scope.lit():
                    shadow = scope.ronchigram(_SHADOW_s, state.field_of_view_nm, self._rng)
                slopes[k] = shadow_slope(shadow)
                yield Chunk(frame, k, slopes[k : k + 1], _SHADOW_s,
                            state.electrons_per_s * _SHADOW_s)  # fmt: skip
        finally:
            scope.set_control("C10Control", state.defocus_nm * 1e-9)
        best, seen = focus_of(trials, slopes)
        scope.set_control("C10Control", best * 1e-9)
        yield Chunk(seconds=0.0, signals={"focus_seen": float(seen)})


def _shadows(trials: Floats) -> Frame:
    axis = Axis("defocus", "nm", trials, "spectral")
    metadata = {"binning": float(RONCHIGRAM_BINNING)}
    return Frame("shadow", "1", (axis,), "mean squared slope", "SPECTRUM", metadata)
