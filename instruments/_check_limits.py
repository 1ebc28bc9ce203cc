"""Which limits a command would break, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..workflow import (
    Adjust,
    Approach,
    Blank,
    Command,
    Detect,
    Forecast,
    InstrumentState,
    Load,
    Loop,
    MoveStage,
    Overview,
    Path,
    PlaceBeam,
    Point,
    Rectangle,
    Retract,
    Scan,
    SetBeam,
    SetFieldOfView,
    SetFocus,
    Spectrum,
    Sweep,
    stage_nm,
    tuned_area,
)
from ._detect import DETECTORS
from ._limits import Limits

_SLACK = 1e-9
_MOST_STEPS = 20_000


def broken_limits(
    command: Command, state: InstrumentState, forecast: Forecast, limits: Limits
) -> Iterator[str]:
    """Every limit that the command would break. A command that is not known here breaks all."""
    yield from _own(command, state, limits)
    yield from _frame(command, forecast, limits)
    if state.technique == "stem" and forecast.electrons > 0:
        yield from _beam(state.voltage_kV, state.current_pA, limits)
    yield from _places(command, state, limits)


def needs_a_person(command: Command, limits: Limits) -> Iterator[str]:
    """Why a person must vouch for the command, if one must."""
    if not isinstance(command, Overview | Scan | Adjust):
        return
    dwell = command.dwell_s
    if dwell > limits.confirm_dwell_s * (1 + _SLACK):
        most = limits.confirm_dwell_s * 1e6
        yield f"a dwell of {dwell * 1e6:.4g} us; above {most:.4g} us a person must vouch for it"


def _own(command: Command, state: InstrumentState, limits: Limits) -> Iterator[str]:
    match command:
        case Overview() | Scan():
            rows = command.pixels if isinstance(command, Overview) else command.rows
            columns = command.pixels if isinstance(command, Overview) else command.columns
            yield from _most("dwell", command.dwell_s, limits.max_dwell_s, "s")
            yield from _most("number of pixels", rows * columns, limits.max_pixels)
        case Adjust():
            yield from _most("dwell", command.dwell_s, limits.max_dwell_s, "s")
            if command.what in {"resonance", "dart"}:
                yield from _most("drive", command.drive_V, limits.max_drive_V, "V")
            else:
                yield from _most("defocus", command.span_nm, limits.max_defocus_nm, "nm")
        case Spectrum():
            yield from _most("exposure", command.exposure_s, limits.max_exposure_s, "s")
        case SetBeam():
            yield from _set_beam(command, limits)
        case SetFocus():
            step = abs(command.defocus_nm - state.defocus_nm)
            yield from _most("defocus", abs(command.defocus_nm), limits.max_defocus_nm, "nm")
            yield from _most("focus step", step, limits.max_focus_step_nm, "nm")
        case SetFieldOfView():
            size = command.field_of_view_nm
            yield from _most("field of view", size, limits.max_field_of_view_nm, "nm")
        case MoveStage():
            yield from _stage(command, state, limits)
        case Approach():
            yield from _most("setpoint", command.setpoint_nN, limits.max_setpoint_nN, "nN")
        case Loop():
            yield from _most("bias", command.bias_V, limits.max_bias_V, "V")
            time_s = command.pulse_s * command.points
            yield from _most("time of one loop", time_s, limits.max_exposure_s, "s")
        case Sweep():
            yield from _most("drive", command.max_V, limits.max_drive_V, "V")
            time_s = command.dwell_s * command.points
            yield from _most("time of one sweep", time_s, limits.max_exposure_s, "s")
        case Path():
            speed = command.speed_nm_per_s
            yield from _most("speed of the tip", speed, limits.max_tip_speed_nm_per_s, "nm/s")
        case Detect():
            if command.find not in DETECTORS:
                yield f"find={command.find!r}; detectors are {sorted(DETECTORS)}"
        case Load() | Blank() | PlaceBeam() | Retract():
            pass
        case _:
            yield f"there are no limits for {command.verb!r}"


def _set_beam(command: SetBeam, limits: Limits) -> Iterator[str]:
    if command.voltage_kV is not None:
        yield from _least("voltage", command.voltage_kV, limits.min_voltage_kV, "kV")
        yield from _most("voltage", command.voltage_kV, limits.max_voltage_kV, "kV")
    if command.current_pA is not None:
        yield from _most("beam current", command.current_pA, limits.max_current_pA, "pA")


def _beam(voltage_kV: float, current_pA: float, limits: Limits) -> Iterator[str]:
    yield from _least("voltage", voltage_kV, limits.min_voltage_kV, "kV")
    yield from _most("voltage", voltage_kV, limits.max_voltage_kV, "kV")
    yield from _most("beam current", current_pA, limits.max_current_pA, "pA")


def _frame(command: Command, forecast: Forecast, limits: Limits) -> Iterator[str]:
    if isinstance(command, Overview | Scan | Adjust | Path | MoveStage):
        yield from _most("frame time", forecast.seconds, limits.max_frame_s, "s")


def _stage(command: MoveStage, state: InstrumentState, limits: Limits) -> Iterator[str]:
    for axis, value in (("y", command.y_nm), ("x", command.x_nm)):
        yield from _most(f"stage {axis}", abs(value or 0.0), limits.max_stage_nm, "nm")
    yield from _most("stage z", abs(command.z_nm or 0.0), limits.max_stage_z_nm, "nm")
    yield from _most("tilt", abs(command.tilt_deg or 0.0), limits.max_tilt_deg, "deg")
    yield from _most("stage step", stage_nm(command, state), limits.max_stage_step_nm, "nm")
    speed = command.speed_nm_per_s
    yield from _most("stage speed", speed, limits.max_stage_speed_nm_per_s, "nm/s")


def _places(command: Command, state: InstrumentState, limits: Limits) -> Iterator[str]:
    """Points outside the field of view, too many of them, and forbidden regions."""
    points, area = _touched(command, state)
    size = state.field_of_view_nm
    outside = [p for p in points if not (0 <= p.y_nm <= size and 0 <= p.x_nm <= size)]
    if outside:
        first = outside[0]
        yield (
            f"{len(outside)} of {len(points)} points lie outside the field of view of {size:g} nm,"
            f" the first at ({first.y_nm:g}, {first.x_nm:g}) nm"
        )
    where = getattr(command, "at", None)
    if where is not None and not isinstance(where, Point) and not points:
        yield "there is no place to measure at: nothing was found, or places are not points yet"
    yield from _most("number of points", len(points), limits.max_points)
    if area is not None and not (
        area.y_nm >= -_SLACK
        and area.x_nm >= -_SLACK
        and area.y_nm + area.height_nm <= size * (1 + _SLACK)
        and area.x_nm + area.width_nm <= size * (1 + _SLACK)
    ):
        yield f"the rectangle reaches out of the field of view of {size:g} nm"
    yield from _forbidden(points, area, state, limits)


def _touched(
    command: Command, state: InstrumentState
) -> tuple[tuple[Point, ...], Rectangle | None]:
    match command:
        case PlaceBeam():
            return (command.at,), None
        case Spectrum() | Loop() | Sweep():
            return command.at.points, None
        case Path():
            return _along(command), None
        case Scan():
            return (), command.region or state.frame
        case Overview():
            return (), state.frame
        case Adjust(what="focus" | "aberrations"):
            return (), tuned_area(command, state)
        case _:
            return (), None


def _along(path: Path) -> tuple[Point, ...]:
    """Corners of a path, and points between them that are at most a step apart."""
    points = [path.through[0]]
    for a, b in zip(path.through, path.through[1:], strict=False):
        dy, dx = b.y_nm - a.y_nm, b.x_nm - a.x_nm
        steps = min(max(1, math.ceil(math.hypot(dy, dx) / path.step_nm)), _MOST_STEPS)
        points += [
            Point(y_nm=a.y_nm + dy * k / steps, x_nm=a.x_nm + dx * k / steps)
            for k in range(1, steps + 1)
        ]
    return tuple(points)


def _forbidden(
    points: tuple[Point, ...], area: Rectangle | None, state: InstrumentState, limits: Limits
) -> Iterator[str]:
    for region in limits.forbidden:
        if region.sample is not None and region.sample != state.sample:
            continue
        bad = region.area.model_copy(
            update={
                "y_nm": region.area.y_nm - state.stage_y_nm,
                "x_nm": region.area.x_nm - state.stage_x_nm,
            }
        )
        if (area is not None and _overlap(area, bad)) or any(_inside(p, bad) for p in points):
            yield f"it meets a region that is {region.why}"


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return (
        a.y_nm < b.y_nm + b.height_nm
        and b.y_nm < a.y_nm + a.height_nm
        and a.x_nm < b.x_nm + b.width_nm
        and b.x_nm < a.x_nm + a.width_nm
    )


def _inside(p: Point, box: Rectangle) -> bool:
    return (
        box.y_nm <= p.y_nm <= box.y_nm + box.height_nm
        and box.x_nm <= p.x_nm <= box.x_nm + box.width_nm
    )


def _most(what: str, value: float, limit: float, unit: str = "") -> Iterator[str]:
    if not value <= limit * (1 + _SLACK):
        yield f"{what} {value:.6g} {unit}".rstrip() + f"; at most {limit:.6g} {unit}".rstrip()


def _least(what: str, value: float, limit: float, unit: str) -> Iterator[str]:
    if not value >= limit * (1 - _SLACK):
        yield f"{what} {value:.6g} {unit}; at least {limit:.6g} {unit}"
