"""Recordings played back as instruments: what was not recorded is said not to be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, final

import numpy as np

from ..workflow import (
    Axis,
    Chunk,
    Frame,
    InstrumentState,
    Load,
    Overview,
    Point,
    Technique,
)
from ._driver import Driver, DriverFault, expected_state
from ._mounted import take_word
from ._recording import Recording


@final
class Playback:
    """The data of a recording as chunks: nothing is resampled."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.who = f"recording {recording.source}"

    @property
    def size_nm(self) -> float:
        """Side of the smallest square that holds all recorded places."""
        return max(self.recording.height_nm, self.recording.width_nm)

    def image(self) -> Iterator[Chunk]:
        """The image, or the mean over the channels.

        Raises
        ------
        DriverFault
            ``missing``, if pixels were not recorded; what was, is given before.
        """
        r = self.recording
        dy, dx = r.pixel_nm
        y, x = r.y_nm + 0.5 * dy, r.x_nm + 0.5 * dx
        axes = (Axis("y", "nm", y, "spatial"), Axis("x", "nm", x, "spatial"))
        frame = Frame("image", r.unit, axes, r.quantity, "IMAGE", {"recording": r.source})
        yield Chunk(frame, 0, r.image(), seconds=0.0)

    def spectra(self, points: tuple[Point, ...], name: str) -> Iterator[Chunk]:
        """The recorded spectra of the pixels that hold the points.

        Raises
        ------
        DriverFault
            ``missing``, before anything is given, if one of them was not recorded.
        """
        r = self.recording
        if r.spectral is None:
            raise DriverFault(
                "missing",
                f"{self.who}: it holds an image and no spectra; allowed: overview",
                "play back a recording of spectra",
            )
        pixels = [r.pixel_at(p) for p in points]
        absent = [p for p, pixel in zip(points, pixels, strict=True) if pixel is None]
        if absent:
            first = absent[0]
            raise DriverFault(
                "missing",
                f"{self.who}: {len(absent)} of {len(points)} places were not recorded, the first"
                f" ({first.y_nm:g}, {first.x_nm:g}) nm; allowed: {r.extent}",
                "choose recorded places",
            )
        where = np.array(pixels, dtype=np.intp)
        axes = (
            Axis("position", "1", np.arange(len(points), dtype=np.float64), "point_cloud"),
            r.spectral,
        )
        metadata: dict[str, float | str] = {"recording": r.source}
        frame = Frame(name, r.unit, axes, r.quantity, "POINT_CLOUD", metadata)
        yield Chunk(frame, 0, r.data[where[:, 0], where[:, 1]], seconds=0.0)


class _Player(Driver):
    """A recording behind the commands of its technique.

    Class attributes
    ----------------
    takes
        The verb that asks for what was recorded at places, and what that is called.
    """

    twin: ClassVar[bool] = False
    takes: ClassVar[tuple[str, str]]

    def __init__(self, playback: Playback, sample: str = "") -> None:
        self._playback, self._sample = playback, sample
        self._state = InstrumentState(technique=self.technique, field_of_view_nm=playback.size_nm)
        if playback.recording.spectral is None:
            self.verbs = self.verbs - {self.takes[0]}  # type: ignore[misc]

    def state(self) -> InstrumentState:
        return self._state

    def _do(self, command: Any) -> Iterator[Chunk]:
        verb, name = self.takes
        if isinstance(command, Load):
            take_word(self._playback.who, self._sample, command)
        elif isinstance(command, Overview):
            yield from self._playback.image()
        elif command.verb == verb:
            yield from self._playback.spectra(command.at.points, name)
        self._state = expected_state(command, self._state)


@final
class StemPlayback(_Player):
    """A recording of an electron microscope: overview and spectra. Pixels, dwells and exposures are
    those of the recording."""

    technique: ClassVar[Technique] = "stem"
    verbs: ClassVar[frozenset[str]] = frozenset(
        {"load", "blank", "overview", "place_beam", "spectrum"}
    )
    takes: ClassVar[tuple[str, str]] = ("spectrum", "spectra")
    unheeded: ClassVar[Mapping[str, frozenset[str]]] = {
        "overview": frozenset({"pixels", "dwell_s"}),
        "spectrum": frozenset({"exposure_s", "frames"}),
    }


@final
class SpmPlayback(_Player):
    """A recording of a scanning probe: overview and loops. Pixels, dwells and biases are those of
    the recording."""

    technique: ClassVar[Technique] = "spm"
    verbs: ClassVar[frozenset[str]] = frozenset({"load", "approach", "retract", "overview", "loop"})
    takes: ClassVar[tuple[str, str]] = ("loop", "loops")
    unheeded: ClassVar[Mapping[str, frozenset[str]]] = {
        "approach": frozenset({"setpoint_nN"}),
        "retract": frozenset({"height_nm"}),
        "overview": frozenset({"pixels", "dwell_s"}),
        "loop": frozenset({"bias_V", "points", "pulse_s"}),
    }
