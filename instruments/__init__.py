"""Instruments: recordings played back, and twins of microscopes and testers."""

from ._iv_cube import IvCube, load_iv_cube
from ._iv_replay import IvReplay
from ._iv_truth import IvCubeTruth

__all__ = [
    "IvCube",
    "IvCubeTruth",
    "IvReplay",
    "load_iv_cube",
]
