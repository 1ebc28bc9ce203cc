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
from ._live_workers import ArrayServerScope, OphydInstrument, TangoScope
from ._microscope import Microscope
from ._permit import Permit
from ._playback_workers import SpmReplay, StemReplay
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
from ._recording import Recording
from ._recording_files import load_recording
from ._run import DryRun, Foreseen, Interrupted, Run
from ._serving import serve_array_server, serve_tango
from ._spm_procedures import spm_procedures
from ._spm_twin import SpmTwinDriver
from ._spm_workers import PfmTwin, SpmTwin
from ._stem_twin import StemTwinDriver
from ._stem_worker import StemTwin
from ._usim_worker import UsimScopeTwin
from ._watchdogs import Alarm, Watchdogs

__all__ = [
    "DETECTORS",
    "Alarm",
    "Angel",
    "ArrayServerScope",
    "Attend",
    "CapacitorTwin",
    "Console",
    "Driver",
    "DriverFault",
    "DryRun",
    "Forbidden",
    "Foreseen",
    "Geometry",
    "Interrupted",
    "IvCube",
    "IvCubeTruth",
    "IvReplay",
    "Judgement",
    "Limits",
    "Microscope",
    "OphydInstrument",
    "Permit",
    "PfmTwin",
    "Procedure",
    "Recording",
    "Run",
    "SpmReplay",
    "SpmTwin",
    "SpmTwinDriver",
    "StemReplay",
    "StemTwin",
    "StemTwinDriver",
    "TangoScope",
    "UsimScopeTwin",
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
    "load_recording",
    "parameters_of",
    "serve_array_server",
    "serve_tango",
    "spm_procedures",
    "stem_procedures",
]
