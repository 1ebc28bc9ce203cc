"""The instruction set: what an instrument can be told, as data.

Commands of electron microscopes and of scanning probes share their verbs where they mean the same
(load, tune, overview, scan). Positions are nanometres from the top-left corner of the field of
view.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)

from ._errors import SpecError
from ._model import Name, Record
from ._places import Point, Rectangle, Where
from ._space import Design

Positive = Annotated[float, Field(gt=0)]
Pixels = Annotated[int, Field(ge=2, le=16_384)]


class Command(Record, ABC):
    """Base of all commands. ``verb``, a text, names it in programs and in the journal."""

    verb: Any

    @model_serializer(mode="wrap")
    def _with_verb(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The verb is written even where defaults are left away: it tells what the rest means."""
        return {"verb": self.verb, **plain(self)}

    @abstractmethod
    def sentence(self) -> str:
        """What is to be done, in words."""


class Load(Command):
    """Bring a specimen onto the stage. ``design`` is what it was made for."""

    verb: Literal["load"] = "load"
    sample: str = Field(min_length=1, max_length=80)
    site: int = Field(default=0, ge=0)
    design: Design = {}

    def sentence(self) -> str:
        return f"Load sample {self.sample!r}, site {self.site}"


_TUNED_BY_IMAGES = ("span_nm", "side_nm", "pixels", "dwell_s")
_TUNED_BY_DRIVE = ("span_kHz", "drive_V")


class Adjust(Command):
    """Tune the instrument.

    ``focus``: ``steps`` images of the middle ``side_nm`` of the field of view over ``span_nm`` of
    defocus, the sharpest kept. ``aberrations``: the astigmatism in the same manner.
    ``resonance``: the contact resonance of a lever by a sweep of ``span_kHz``. ``dart``: dual AC
    resonance tracking, two drives ``span_kHz`` apart (Rodriguez et al., Nanotechnology 18, 475504
    (2007)).
    """

    verb: Literal["tune"] = "tune"
    what: Literal["focus", "aberrations", "resonance", "dart"]
    steps: int = Field(default=9, ge=3, le=1000)
    span_nm: Positive = 200.0
    span_kHz: Positive = 20.0
    drive_V: Positive = 1.0
    side_nm: Positive = 60.0
    pixels: Pixels = 128
    dwell_s: Positive = 10e-6

    @model_validator(mode="after")
    def _of_its_kind(self) -> Adjust:
        """What one tuning has no use for is not let pass as if it had."""
        electric = self.what in {"resonance", "dart"}
        strange = _TUNED_BY_IMAGES if electric else _TUNED_BY_DRIVE
        fields = type(self).model_fields
        stray = [n for n in strange if getattr(self, n) != fields[n].default]
        if stray:
            mine = _TUNED_BY_DRIVE if electric else _TUNED_BY_IMAGES
            raise ValueError(f"{stray} mean nothing to {self.what!r}, which has {('steps', *mine)}")
        return self

    def sentence(self) -> str:
        if self.what == "dart":
            return (
                f"Track the resonance with two drives {self.span_kHz:g} kHz apart"
                f" at {self.drive_V:g} V"
            )
        if self.what == "resonance":
            return f"Find the contact resonance in {self.steps} steps over {self.span_kHz:g} kHz"
        images = f"{self.steps} images of {self.pixels} x {self.pixels} pixels"
        return f"Tune the {self.what} by {images} over {self.span_nm:g} nm"


class SetBeam(Command):
    """Set accelerating voltage or probe current; what is None stays."""

    verb: Literal["set_beam"] = "set_beam"
    voltage_kV: Positive | None = None
    current_pA: Positive | None = None

    def sentence(self) -> str:
        said = [f"{self.voltage_kV:g} kV"] if self.voltage_kV is not None else []
        said += [f"{self.current_pA:g} pA"] if self.current_pA is not None else []
        return f"Set the beam to {' and '.join(said) or 'what it is'}"


class SetFocus(Command):
    """Set the defocus."""

    verb: Literal["set_focus"] = "set_focus"
    defocus_nm: float

    def sentence(self) -> str:
        return f"Set the defocus to {self.defocus_nm:g} nm"


class SetFieldOfView(Command):
    """Set the side of the square field of view."""

    verb: Literal["set_field_of_view"] = "set_field_of_view"
    field_of_view_nm: Positive

    def sentence(self) -> str:
        return f"Set the field of view to {self.field_of_view_nm:g} nm"


class Blank(Command):
    """Blank or unblank the beam."""

    verb: Literal["blank"] = "blank"
    blanked: bool = True

    def sentence(self) -> str:
        return "Blank the beam" if self.blanked else "Unblank the beam"


class MoveStage(Command):
    """Move the stage to an absolute place; what is None stays."""

    verb: Literal["move_stage"] = "move_stage"
    y_nm: float | None = None
    x_nm: float | None = None
    z_nm: float | None = None
    tilt_deg: float | None = None
    speed_nm_per_s: Positive = 1000.0

    def sentence(self) -> str:
        axes = {"y": self.y_nm, "x": self.x_nm, "z": self.z_nm}
        said = [f"{name} = {v:g} nm" for name, v in axes.items() if v is not None]
        said += [f"tilt = {self.tilt_deg:g} deg"] if self.tilt_deg is not None else []
        goal = ", ".join(said) or "where it is"
        return f"Move the stage to {goal} at {self.speed_nm_per_s:g} nm/s"


class Overview(Command):
    """Image the whole field of view; ``name`` is what the image is called."""

    verb: Literal["overview"] = "overview"
    pixels: Pixels = 256
    dwell_s: Positive = 2e-6
    name: Name = "overview"

    def sentence(self) -> str:
        return (
            f"Image the whole field of view, {self.pixels} x {self.pixels} pixels,"
            f" {pretty_seconds(self.dwell_s)} a pixel"
        )


class Scan(Command):
    """Image a rectangle; None is the whole field of view."""

    verb: Literal["scan"] = "scan"
    rows: Pixels = 256
    columns: Pixels = 256
    region: Rectangle | None = None
    dwell_s: Positive = 10e-6
    name: Name = "scan"

    def sentence(self) -> str:
        where = "the field of view"
        if self.region is not None:
            r = self.region
            where = f"{r.height_nm:g} x {r.width_nm:g} nm at ({r.y_nm:g}, {r.x_nm:g}) nm"
        return (
            f"Scan {self.rows} x {self.columns} pixels over {where},"
            f" {pretty_seconds(self.dwell_s)} a pixel"
        )


class PlaceBeam(Command):
    """Park the probe at a point."""

    verb: Literal["place_beam"] = "place_beam"
    at: Point

    def sentence(self) -> str:
        return f"Place the beam at ({self.at.y_nm:g}, {self.at.x_nm:g}) nm"


class Spectrum(Command):
    """Electron energy-loss spectra at places, one after another.

    With several ``frames`` each is read out so many times within its exposure, and added up:
    whoever watches can end it early. An instrument that cannot do so refuses it.
    """

    verb: Literal["spectrum"] = "spectrum"
    at: Where
    exposure_s: Positive = 0.05
    frames: int = Field(default=1, ge=1, le=1000)
    name: Name = "spectra"

    def sentence(self) -> str:
        parts = f" in {self.frames} frames" if self.frames > 1 else ""
        return f"Take spectra {self.at.sentence}, {pretty_seconds(self.exposure_s)} each{parts}"


class Approach(Command):
    """Bring the tip into contact."""

    verb: Literal["approach"] = "approach"
    setpoint_nN: Positive = 50.0

    def sentence(self) -> str:
        return f"Approach the tip to {self.setpoint_nN:g} nN"


class Retract(Command):
    """Withdraw the tip, bias off."""

    verb: Literal["retract"] = "retract"
    height_nm: Positive = 10_000.0

    def sentence(self) -> str:
        return f"Retract the tip by {self.height_nm:g} nm, bias off"


class Loop(Command):
    """Hysteresis loops at places: pulses of a triangular wave, read at zero bias after each."""

    verb: Literal["loop"] = "loop"
    at: Where
    bias_V: Positive = 8.0
    points: int = Field(default=128, ge=8, le=4096)
    pulse_s: Positive = 0.05
    name: Name = "loops"

    def sentence(self) -> str:
        return (
            f"Take hysteresis loops {self.at.sentence}: {self.points} pulses up to"
            f" {self.bias_V:g} V, {pretty_seconds(self.pulse_s)} each"
        )


class Sweep(Command):
    """Response against the amplitude of the driving voltage (V_AC) at places."""

    verb: Literal["sweep"] = "sweep"
    at: Where
    max_V: Positive = 5.0
    points: int = Field(default=64, ge=4, le=4096)
    dwell_s: Positive = 0.02
    name: Name = "sweeps"

    def sentence(self) -> str:
        return (
            f"Sweep the drive to {self.max_V:g} V in {self.points} steps {self.at.sentence},"
            f" {pretty_seconds(self.dwell_s)} a step"
        )


class Path(Command):
    """Draw the tip along straight lines from point to point and record every ``step_nm``."""

    verb: Literal["path"] = "path"
    through: tuple[Point, ...] = Field(min_length=2, max_length=10_000)
    speed_nm_per_s: Positive = 1000.0
    step_nm: Positive = 10.0
    name: Name = "path"

    def sentence(self) -> str:
        return (
            f"Draw the tip through {len(self.through)} points at {self.speed_nm_per_s:g} nm/s,"
            f" reading every {self.step_nm:g} nm"
        )


class Detect(Command):
    """Find places in an image that was taken before; the instrument is not touched.

    ``find`` names a detector: ``edges``, ``particles``, ``brightest`` or ``grid``. The places are
    called ``name`` in later commands. ``count`` is the most of them.
    """

    verb: Literal["detect"] = "detect"
    find: Name
    image: Name = "overview"
    count: int = Field(default=16, ge=1, le=10_000)
    apart_nm: Positive = 5.0
    name: Name = "detected"

    def sentence(self) -> str:
        return (
            f"Find up to {self.count} {self.find} in {self.image!r}, at least"
            f" {self.apart_nm:g} nm apart, and call them {self.name!r}"
        )


AnyCommand = Annotated[
    Load
    | Adjust
    | SetBeam
    | SetFocus
    | SetFieldOfView
    | Blank
    | MoveStage
    | Overview
    | Scan
    | PlaceBeam
    | Spectrum
    | Approach
    | Retract
    | Loop
    | Sweep
    | Path
    | Detect,
    Field(discriminator="verb"),
]

COMMANDS: dict[str, type[Command]] = {
    str(kind.model_fields["verb"].default): kind
    for kind in (
        Load, Adjust, SetBeam, SetFocus, SetFieldOfView, Blank, MoveStage, Overview, Scan,
        PlaceBeam, Spectrum, Approach, Retract, Loop, Sweep, Path, Detect,
    )
}  # fmt: skip
"""Every verb with its command."""

_adapter: TypeAdapter[AnyCommand] = TypeAdapter(AnyCommand)


def command_from(raw: object, who: str = "command") -> AnyCommand:
    """A command from plain data: ``{"verb": "scan", "rows": 64}``, ``{"scan": {"rows": 64}}`` or,
    where all fields have defaults, the text ``"scan"``.

    Raises
    ------
    SpecError
        If there is no such verb, or a field is unknown, missing or out of range.
    """
    data = {"verb": raw} if isinstance(raw, str) else raw
    if isinstance(data, dict) and len(data) == 1 and "verb" not in data:
        ((verb, fields),) = data.items()
        data = {"verb": verb} | (fields if isinstance(fields, dict) else {})
        if fields is not None and not isinstance(fields, dict):
            data = {"verb": verb, "fields": fields}
    try:
        return _adapter.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"]) or "the whole"
        verb = data.get("verb") if isinstance(data, dict) else None
        kind = COMMANDS.get(verb) if isinstance(verb, str) else None
        if kind is None:
            raise SpecError(
                who, _unknown_verb(verb), f"a mapping with verb: one of {sorted(COMMANDS)}",
                "correct the command",
            ) from None  # fmt: skip
        raise SpecError(
            who,
            f"{where}: {str(first.get('input'))[:80]!r}",
            f"{first['msg']}; fields of {verb!r}: {sorted(kind.model_fields)}",
            "correct the command",
        ) from error
    except SpecError as error:  # of a place, which does not know whose it is
        raise SpecError(f"{who}, {error.who}", error.given, error.allowed, error.remedy) from error


def _unknown_verb(verb: object) -> str:
    """What was given for a verb, if it may have been meant for one: else it may be a line of any
    file."""
    near = get_close_matches(verb, sorted(COMMANDS), n=1) if isinstance(verb, str) else []
    return f"verb {verb!r}: did you mean {near[0]!r}?" if near else "something that names no verb"


def pretty_seconds(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("min", 60.0)):
        if seconds < 1000 * size or (unit == "s" and seconds < 120):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 3600:.3g} h"
