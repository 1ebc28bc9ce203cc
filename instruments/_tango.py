"""A microscope behind an asyncroscopy-style Tango device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, final

import numpy as np

from ..workflow import (
    Adjust,
    Blank,
    Chunk,
    InstrumentState,
    Load,
    MoveStage,
    Overview,
    PlaceBeam,
    Point,
    Record,
    SetFieldOfView,
    SetFocus,
    Spectrum,
    Technique,
)
from ..workflow._command import Positive
from ._claim import Claim
from ._driver import Driver, DriverFault
from ._incoming import expect_shape
from ._mounted import take_word
from ._stem_frames import image_frame, spectra_frame
from ._tango_client import TangoMicroscope

_WHOLE = (0.0, 0.0, 1.0, 1.0)


class TangoSettings(Record):
    """What the devices do not tell.

    Attributes
    ----------
    sample
        The specimen that is mounted; empty if people exchange it and say so by approving ``load``.
    image_detector, spectrum_detector
        Names that the server knows.
    """

    sample: str = ""
    current_pA: Positive = 50.0
    voltage_kV: Positive = 200.0
    probe_nm: Positive = 1.0
    energy_offset_eV: float = 0.0
    dispersion_eV: Positive = 0.05
    image_detector: str = "haadf"
    spectrum_detector: str = "eels"
    image_full: Positive = 65_535.0
    spectrum_full: Positive = 65_535.0 * 200


@final
class TangoDriver(Driver):
    """Images, spectra, stage, focus and blanker by the commands of asyncroscopy.

    The device does not say whether its beam is blanked: until it was blanked from here it counts as
    on, so that nothing moves. What takes data unblanks the beam and blanks it again.

    Parameters
    ----------
    scope
        The client.
    claim
        The sole right to it on this machine.
    settings
        What the devices do not tell.
    """

    technique: ClassVar[Technique] = "stem"
    twin: ClassVar[bool] = False
    tunings: ClassVar[frozenset[str] | None] = frozenset({"focus"})
    verbs: ClassVar[frozenset[str]] = frozenset(
        {"load", "tune", "set_focus", "set_field_of_view", "blank", "move_stage", "overview",
         "place_beam", "spectrum"}
    )  # fmt: skip
    unheeded: ClassVar[Mapping[str, frozenset[str]]] = {
        "tune": frozenset({"steps", "span_nm", "side_nm", "pixels", "dwell_s"}),
        "move_stage": frozenset({"speed_nm_per_s"}),
        "spectrum": frozenset({"frames"}),
    }

    def __init__(self, scope: TangoMicroscope, claim: Claim, settings: TangoSettings) -> None:
        self._scope, self._claim, self._settings = scope, claim, settings
        self._sample: tuple[str | None, int] = (None, 0)
        self._blanked = False
        self._tuned: tuple[str, ...] = ()
        self._beam: Point | None = None

    def state(self) -> InstrumentState:
        """As the devices say: stage, field of view and defocus are read each time."""
        s = self._settings
        x, y, z, alpha = self._stage()[:4]
        beam = self._beam
        return InstrumentState(
            technique="stem",
            sample=self._sample[0],
            site=self._sample[1],
            blanked=self._blanked,
            tuned=self._tuned,
            stage_y_nm=y * 1e9,
            stage_x_nm=x * 1e9,
            stage_z_nm=z * 1e9,
            tilt_deg=alpha,
            field_of_view_nm=self._scope.numbers("get_fov")[0] * 1e9,
            beam_y_nm=None if beam is None else beam.y_nm,
            beam_x_nm=None if beam is None else beam.x_nm,
            voltage_kV=s.voltage_kV,
            current_pA=s.current_pA,
            probe_nm=s.probe_nm,
            defocus_nm=self._scope.numbers("get_defocus")[0] * 1e9,
        )

    def _do(self, command: Any) -> Iterator[Chunk]:
        match command:
            case Load():
                take_word(self._scope.who, self._settings.sample, command)
                self._sample, self._tuned = (command.sample, command.site), ()
            case Adjust():
                self._tune(command)
            case SetFocus():
                self._scope.call("set_defocus", command.defocus_nm * 1e-9)
            case SetFieldOfView():
                self._scope.call("set_fov", command.field_of_view_nm * 1e-9)
            case Blank():
                self._blank(command.blanked)
            case MoveStage():
                self._move(command)
            case PlaceBeam():
                self._place(command.at, self._scope.numbers("get_fov")[0] * 1e9)
            case Overview():
                yield from self._overview(command)
            case Spectrum():
                yield from self._spectra(command)
            case _:
                raise DriverFault("refused", f"{self._scope.who}: no {command.verb!r}")

    def close(self) -> None:
        self._scope.close()
        self._claim.release()

    def _stage(self) -> list[float]:
        """x, y and z in m, alpha and beta in degrees."""
        found = self._scope.numbers("get_stage")
        if len(found) != 5:
            raise DriverFault(
                "bad_data",
                f"{self._scope.who}: get_stage gives {len(found)} numbers; allowed: x, y, z, alpha"
                " and beta",
                "check that the server speaks this version of the protocol",
            )
        return found

    def _move(self, command: MoveStage) -> None:
        x, y, z, alpha, beta = self._stage()
        goal = [
            x if command.x_nm is None else command.x_nm * 1e-9,
            y if command.y_nm is None else command.y_nm * 1e-9,
            z if command.z_nm is None else command.z_nm * 1e-9,
            alpha if command.tilt_deg is None else command.tilt_deg,
            beta,
        ]
        way_nm = 1e9 * float(np.linalg.norm(np.subtract(goal[:3], (x, y, z))))
        self._scope.call("move_stage", goal, expected_s=way_nm / command.speed_nm_per_s)

    def _tune(self, command: Adjust) -> None:
        with self._lit():
            self._scope.call("auto_focus", expected_s=command.steps * command.pixels**2 * 1e-5)
        self._tuned = tuple(dict.fromkeys((*self._tuned, command.what)))

    def _blank(self, blanked: bool) -> None:
        self._scope.call("blank_beam" if blanked else "unblank_beam")
        self._blanked = blanked

    def _place(self, point: Point, field_nm: float) -> None:
        self._scope.call("place_beam", [point.x_nm / field_nm, point.y_nm / field_nm])
        self._beam = point

    def _overview(self, command: Overview) -> Iterator[Chunk]:
        state, n = self.state(), command.pixels
        with self._lit():
            image = self._scope.image(self._settings.image_detector, n, command.dwell_s, _WHOLE)
        self._beam = None
        frame = image_frame(
            n, n, state.frame, "count", self._settings.image_detector, self._settings.image_full,
            state, command.dwell_s,
        )  # fmt: skip
        electrons = state.electrons_per_s * command.dwell_s * n * n
        yield Chunk(frame, 0, image, electrons=electrons)

    def _spectra(self, command: Spectrum) -> Iterator[Chunk]:
        state, frame = self.state(), None
        electrons = state.electrons_per_s * command.exposure_s
        for k, point in enumerate(command.at.points):
            self._place(point, state.field_of_view_nm)
            with self._lit():
                data = self._scope.spectrum(self._settings.spectrum_detector, command.exposure_s)
            frame = frame or self._announced(data.size, command, state)
            expect_shape(self._scope.who, data, frame.shape[1:])
            yield Chunk(frame, k, data[None], electrons=electrons)
        self._beam = None

    def _announced(self, channels: int, command: Spectrum, state: InstrumentState) -> Any:
        s = self._settings
        energies = s.energy_offset_eV + s.dispersion_eV * np.arange(channels, dtype=np.float64)
        return spectra_frame(
            len(command.at.points), energies, "count", s.spectrum_full, state, command.exposure_s
        )

    def _lit(self) -> _Lit:
        return _Lit(self)


class _Lit:
    """The beam on for a while, and blanked again if it was, also after a fault."""

    def __init__(self, driver: TangoDriver) -> None:
        self._driver, self._was_blanked = driver, driver._blanked

    def __enter__(self) -> None:
        if self._was_blanked:
            self._driver._blank(False)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if not self._was_blanked:
            return
        if error is None:
            self._driver._blank(True)
        else:
            self._driver._blanked = self._driver._scope.put_back("blank_beam")
