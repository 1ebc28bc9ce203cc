"""Instruments: an instruction set's guardian, console and drivers; twins and recordings."""

from ._angel import Angel, Judgement
from ._capacitor import CapacitorTwin
from ._conformance import check_driver
from ._console import Attend, Console, Watch
from ._detect import DETECTORS, detect
from ._driver import Driver, DriverFault, expected_state
from ._iv_cube import IvCube, load_iv_cube
from ._iv_replay import IvReplay
from ._iv_truth import IvCubeTruth
from ._limits import Forbidden, Limits, default_limits, limits_from
from ._microscope import Microscope
from ._permit import Permit
from ._procedures import (
    Geometry,
    Procedure,
    arrival,
    filled,
    given_program,
    load_of,
    parameters_of,
    stem_procedures,
)
from ._run import DryRun, Foreseen, Run
from ._spm_procedures import spm_procedures
from ._spm_twin import SpmTwinDriver
from ._spm_workers import PfmTwin, SpmTwin
from ._stem_twin import StemTwinDriver
from ._stem_worker import StemTwin
from ._watchdogs import Alarm, Watchdogs

__all__ = [
    "DETECTORS",
    "Alarm",
    "Angel",
    "Attend",
    "CapacitorTwin",
    "Console",
    "Driver",
    "DriverFault",
    "DryRun",
    "Forbidden",
    "Foreseen",
    "Geometry",
    "IvCube",
    "IvCubeTruth",
    "IvReplay",
    "Judgement",
    "Limits",
    "Microscope",
    "Permit",
    "PfmTwin",
    "Procedure",
    "Run",
    "SpmTwin",
    "SpmTwinDriver",
    "StemTwin",
    "StemTwinDriver",
    "Watch",
    "Watchdogs",
    "arrival",
    "check_driver",
    "default_limits",
    "detect",
    "expected_state",
    "filled",
    "given_program",
    "limits_from",
    "load_iv_cube",
    "load_of",
    "parameters_of",
    "spm_procedures",
    "stem_procedures",
]
