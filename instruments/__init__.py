"""Instruments: recordings played back, and twins of microscopes and testers."""

from ._capacitor import CapacitorTwin
from ._iv_cube import IvCube, load_iv_cube
from ._iv_replay import IvReplay
from ._iv_truth import IvCubeTruth
from ._pfm import PfmTwin

__all__ = [
    "CapacitorTwin",
    "IvCube",
    "IvCubeTruth",
    "IvReplay",
    "PfmTwin",
    "load_iv_cube",
]
