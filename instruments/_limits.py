"""Limits of an instrument, for twins and for live instruments apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from ..workflow import Record, Rectangle, SpecError, Technique
from ..workflow._model import NonNegative

_MOST_BYTES = 100_000


class Forbidden(Record):
    """A rectangle of the specimen, in nanometres of the stage, that nothing may be sent into.

    For a stage at (0, 0) these are the coordinates of the field of view. ``sample`` None means
    every sample.
    """

    area: Rectangle
    sample: str | None = None
    why: str = "forbidden"


class Limits(Record):
    """What an instrument may be told. What no limit allows is refused.

    Attributes
    ----------
    verbs
        Allowed verbs; None for all that the driver has.
    confirm_dwell_s
        Scans with a longer dwell need a person who vouches for them.
    max_local_dose_e_per_A2
        The most that any place of a specimen may get, added up over everything that was done to it.
    max_electrons
        The most electrons that a specimen may get in total.
    max_saturated_share, max_drift_nm, max_brightening, max_feedback_error_nm
        At these the watchdogs bark while data arrive: share of values at the detector's end; shift
        between images of one area; relative rise of the mean between images of one area; distance
        of the tip from its setpoint.
    silence_s
        The longest time (of the wall clock) without data.
    """

    verbs: frozenset[str] | None = None
    max_dwell_s: NonNegative
    confirm_dwell_s: NonNegative
    max_frame_s: NonNegative
    max_exposure_s: NonNegative
    max_points: int = Field(default=10_000, ge=1)
    max_pixels: int = Field(default=16_777_216, ge=4)
    max_local_dose_e_per_A2: NonNegative
    max_electrons: NonNegative
    min_voltage_kV: NonNegative
    max_voltage_kV: NonNegative
    max_current_pA: NonNegative
    max_defocus_nm: NonNegative
    max_focus_step_nm: NonNegative
    max_field_of_view_nm: NonNegative
    max_stage_nm: NonNegative
    max_stage_z_nm: NonNegative
    max_stage_step_nm: NonNegative
    max_stage_speed_nm_per_s: NonNegative
    max_tilt_deg: NonNegative
    max_setpoint_nN: NonNegative
    max_bias_V: NonNegative
    max_drive_V: NonNegative
    max_tip_speed_nm_per_s: NonNegative
    forbidden: tuple[Forbidden, ...] = ()
    max_saturated_share: NonNegative
    max_drift_nm: NonNegative
    max_brightening: NonNegative
    max_feedback_error_nm: NonNegative
    silence_s: float = Field(default=30.0, gt=0)

    @property
    def digest(self) -> str:
        """A short name of exactly these limits, for the log."""
        data = self.model_copy(update={"verbs": None}).model_dump_json()
        verbs = "all" if self.verbs is None else ",".join(sorted(self.verbs))
        return hashlib.sha256(f"{verbs};{data}".encode()).hexdigest()[:12]


_LIVE: dict[Technique, dict[str, Any]] = {
    "stem": {
        "max_dwell_s": 1e-3,
        "confirm_dwell_s": 10e-6,
        "max_frame_s": 600.0,
        "max_exposure_s": 5.0,
        "max_local_dose_e_per_A2": 1e8,
        "max_electrons": 1e12,
        "min_voltage_kV": 30.0,
        "max_voltage_kV": 200.0,
        "max_current_pA": 200.0,
        "max_defocus_nm": 2000.0,
        "max_focus_step_nm": 500.0,
        "max_field_of_view_nm": 20_000.0,
        "max_stage_nm": 500_000.0,
        "max_stage_z_nm": 50_000.0,
        "max_stage_step_nm": 50_000.0,
        "max_stage_speed_nm_per_s": 10_000.0,
        "max_tilt_deg": 20.0,
        "max_setpoint_nN": 0.0,
        "max_bias_V": 0.0,
        "max_drive_V": 0.0,
        "max_tip_speed_nm_per_s": 0.0,
        "max_saturated_share": 0.02,
        "max_drift_nm": 10.0,
        "max_brightening": 0.25,
        "max_feedback_error_nm": 0.0,
    },
    "spm": {
        "max_dwell_s": 1.0,
        "confirm_dwell_s": 0.2,
        "max_frame_s": 3600.0,
        "max_exposure_s": 60.0,
        "max_local_dose_e_per_A2": 0.0,
        "max_electrons": 0.0,
        "min_voltage_kV": 0.0,
        "max_voltage_kV": 0.0,
        "max_current_pA": 0.0,
        "max_defocus_nm": 0.0,
        "max_focus_step_nm": 0.0,
        "max_field_of_view_nm": 90_000.0,
        "max_stage_nm": 10_000_000.0,
        "max_stage_z_nm": 1_000_000.0,
        "max_stage_step_nm": 1_000_000.0,
        "max_stage_speed_nm_per_s": 100_000.0,
        "max_tilt_deg": 0.0,
        "max_setpoint_nN": 200.0,
        "max_bias_V": 10.0,
        "max_drive_V": 5.0,
        "max_tip_speed_nm_per_s": 50_000.0,
        "max_saturated_share": 0.05,
        "max_drift_nm": 200.0,
        "max_brightening": 1.0,
        "max_feedback_error_nm": 20.0,
    },
}
_TWIN: dict[Technique, dict[str, Any]] = {
    "stem": {"max_local_dose_e_per_A2": 1e9, "max_electrons": 1e14, "max_current_pA": 1000.0,
             "max_voltage_kV": 300.0},
    "spm": {"max_bias_V": 20.0, "max_drive_V": 10.0},
}  # fmt: skip
"""Where twins are allowed more: nothing can be broken, and benchmarks want long sessions."""


def default_limits(technique: Technique, twin: bool) -> Limits:
    """The limits of a target for which nobody gave others."""
    return Limits.model_validate(_LIVE[technique] | (_TWIN[technique] if twin else {}))


def limits_from(
    technique: Technique,
    twin: bool,
    given: dict[str, Any],
    file: str | Path | None = None,
    who: str = "limits",
    keys: Iterable[str] = (),
) -> Limits:
    """Default limits with those of a YAML file, and then those ``given``, in their place.

    ``keys`` are what may stand beside limits where these come from.

    Raises
    ------
    SpecError
        If the file is no file of limits, or a limit is unknown or impossible.
    """
    from_file = _from_file(file, who) if file else {}
    base = default_limits(technique, twin).model_dump()
    try:
        return Limits.model_validate(base | from_file | given)
    except ValidationError as error:
        raise unfit_key(who, error, Limits, keys) from error


def _from_file(file: str | Path, who: str) -> dict[str, Any]:
    """What a file of limits holds. Of a file that is none, nothing is told but that it is none: it
    may be anything that this process can read.

    Raises
    ------
    SpecError
        If it is no such file.
    """
    path = Path(file)

    def no_limits(which: str) -> SpecError:
        return SpecError(
            who,
            f"limits_file {str(file)!r}, {which}",
            "a YAML file that maps limits to values, such as 'max_dwell_s: 1.0e-3'",
            "give the path of a file of limits; docs/instruments.md names them",
        )

    if not path.is_file():
        raise no_limits("which is no file")
    if path.stat().st_size > _MOST_BYTES:
        raise no_limits(f"of more than {_MOST_BYTES} bytes")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise no_limits(f"which cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError):
        raise no_limits("which is not YAML") from None  # the reason would quote it
    raw = {} if raw is None else raw
    if not isinstance(raw, dict):
        raise no_limits("which holds no mapping")
    known = sorted(Limits.model_fields)
    stray = [key for key in raw if key not in known]
    near = {key: get_close_matches(str(key), known, n=1, cutoff=0.6) for key in stray}
    meant = ", ".join(f"{key!r} (did you mean {m[0]!r}?)" for key, m in near.items() if m)
    if meant:
        raise no_limits(f"with {meant}")
    if stray:
        raise no_limits(f"of whose {len(raw)} keys {len(stray)} are no limits")
    return raw


def unfit_key(
    who: str, error: ValidationError, kind: type[Record], keys: Iterable[str] = ()
) -> SpecError:
    """What is wrong with the first key of a configuration, with all that are allowed.

    Parameters
    ----------
    who
        Whose configuration it is.
    error
        What ``kind``, which was made of it, says.
    keys
        Further keys of the configuration.
    """
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    known = sorted({*keys, *kind.model_fields})
    if first["type"] == "missing":
        return SpecError(who, f"no {where!r}", f"keys {known}", f"say which {where!r}")
    given = f"{where}={first.get('input')!r:.60} ({first['msg']})"
    if first["type"] != "extra_forbidden":
        return SpecError(who, given, f"for {where!r}: {first['msg']}", "correct its value")
    near = get_close_matches(where, known, n=1, cutoff=0.6)
    remedy = f"did you mean {near[0]!r}?" if near else "correct the key, or remove it"
    return SpecError(who, given, f"keys {known}", remedy)
