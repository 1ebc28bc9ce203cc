"""A microscope behind a DigitalMicrograph array server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, final

import numpy as np

from ..workflow import (
    Blank,
    Chunk,
    Command,
    Forecast,
    InstrumentState,
    Load,
    Overview,
    Point,
    Record,
    Spectrum,
    Technique,
    geometric_forecast,
)
from ..workflow._command import Positive
from ..workflow._model import NonNegative
from ._claim import Claim
from ._dm_client import ArrayServer
from ._driver import Driver, DriverFault, expected_state
from ._incoming import expect_shape
from ._mounted import take_word
from ._stem_frames import image_frame, spectra_frame

_REST = -0.05
"""Where the beam rests, in fractions of the field of view: beside its top-left corner."""
_PUT_BACK_s = 3.0
"""So long, at most, the beam's way to its resting place is waited for after spectra."""


class ArrayServerSettings(Record):
    """What the array server does not tell and a person reads off the microscope.

    Attributes
    ----------
    sample
        The specimen that is mounted; empty if people exchange it and say so by approving ``load``.
    readout_s
        How long the beam stays on a place beyond the exposure: it adds to the dose.
    image_full, spectrum_full
        Counts of one pixel or channel at which the detector is full.
    """

    sample: str = ""
    field_of_view_nm: Positive = 200.0
    current_pA: Positive = 50.0
    voltage_kV: Positive = 100.0
    probe_nm: Positive = 1.0
    energy_offset_eV: float = 0.0
    dispersion_eV: Positive = 0.05
    readout_s: NonNegative = 0.1
    image_full: Positive = 65_535.0
    spectrum_full: Positive = 65_535.0 * 200


@final
class ArrayServerDriver(Driver):
    """Frames, beam positions and spectra by the calls of the lecture's array server.

    The protocol has no blanker: ``blank`` rests the beam beside the field of view, on the place of
    a pixel of the last frame that would lie outside, and the beam is not parked but for spectra. It
    has no word for the field of view, the energy axis or the beam current either: these are what
    the settings say.

    Parameters
    ----------
    server
        The client.
    claim
        The sole right to it on this machine.
    settings
        What the server does not tell.
    """

    technique: ClassVar[Technique] = "stem"
    twin: ClassVar[bool] = False
    verbs: ClassVar[frozenset[str]] = frozenset({"load", "blank", "overview", "spectrum"})
    unheeded: ClassVar[Mapping[str, frozenset[str]]] = {"spectrum": frozenset({"frames"})}

    def __init__(self, server: ArrayServer, claim: Claim, settings: ArrayServerSettings) -> None:
        self._server, self._claim, self._settings = server, claim, settings
        self._pixels: int | None = None  # positions count in pixels of the last frame
        self._state = InstrumentState(
            technique="stem",
            field_of_view_nm=settings.field_of_view_nm,
            current_pA=settings.current_pA,
            voltage_kV=settings.voltage_kV,
            probe_nm=settings.probe_nm,
            notes={"blanked": "means that the beam rests beside the field of view"},
        )

    def state(self) -> InstrumentState:
        return self._state

    def forecast(self, command: Command, state: InstrumentState) -> Forecast:
        """As by the numbers of the command; the beam stays on a place while it is read out."""
        plain = geometric_forecast(command, state)
        if not isinstance(command, Spectrum):
            return plain
        longer = 1.0 + self._settings.readout_s / command.exposure_s
        return Forecast(**{name: longer * value for name, value in plain.model_dump().items()})

    def _do(self, command: Any) -> Iterator[Chunk]:
        match command:
            case Load():
                take_word(self._server.who, self._settings.sample, command)
            case Overview():
                yield from self._overview(command)
            case Spectrum():
                yield from self._spectra(command)
            case Blank(blanked=True):
                self._rest()
            case _:
                pass
        self._state = expected_state(command, self._state)

    def close(self) -> None:
        self._server.close()
        self._claim.release()

    def _overview(self, command: Overview) -> Iterator[Chunk]:
        n = command.pixels
        image = self._server.image(n, command.dwell_s * 1e6)
        self._pixels = n
        frame = image_frame(
            n, n, self._state.frame, "count", "annular dark field", self._settings.image_full,
            self._state, command.dwell_s,
        )  # fmt: skip
        electrons = self._state.electrons_per_s * command.dwell_s * n * n
        yield Chunk(frame, 0, image, electrons=electrons)

    def _spectra(self, command: Spectrum) -> Iterator[Chunk]:
        points = command.at.points
        each_s = command.exposure_s + self._settings.readout_s
        electrons = self._state.electrons_per_s * each_s
        frame = None
        try:
            for k, point in enumerate(points):
                self._place(point)
                data = self._server.spectrum(command.exposure_s)
                frame = frame or self._announced(len(points), data.size, command)
                expect_shape(self._server.who, data, frame.shape[1:])
                yield Chunk(frame, k, data[None], electrons=electrons)
        finally:
            self._leave()

    def _announced(self, places: int, channels: int, command: Spectrum) -> Any:
        s = self._settings
        energies = s.energy_offset_eV + s.dispersion_eV * np.arange(channels, dtype=np.float64)
        return spectra_frame(
            places, energies, "count", s.spectrum_full, self._state, command.exposure_s
        )

    def _place(self, point: Point) -> None:
        if self._pixels is None:
            raise DriverFault(
                "refused",
                f"{self._server.who}: no frame was taken yet, and places count in pixels of the"
                " last one; allowed: places after an overview",
                "take an overview first",
            )
        pixel_nm = self._settings.field_of_view_nm / self._pixels
        self._server.place_beam(point.x_nm / pixel_nm - 0.5, point.y_nm / pixel_nm - 0.5)

    def _leave(self) -> None:
        """Rest the beam after spectra. A fault that came before says more than one of this; but if
        the beam may still be where it was, the state says so."""
        try:
            self._rest(_PUT_BACK_s)
        except DriverFault:
            self._state = self._state.model_copy(update={"blanked": False})

    def _rest(self, patience_s: float | None = None) -> None:
        """Put the beam beside the field of view; before the first frame it never was inside."""
        if self._pixels is not None:
            self._server.place_beam(_REST * self._pixels, _REST * self._pixels, patience_s)
