"""Analysis: images and spectra reduced to quantities with errors."""

from ._atoms import Atoms, find_columns, fit_atoms
from ._iv_analysis import IvAnalysis
from ._pfm_analysis import PfmAnalysis
from ._pfm_features import describe, probe_lattice
from ._pfm_image import Domains, find_domains
from ._pfm_loops import LoopFit, fit_loop
from ._pfm_pad import PadFit, fit_pad
from ._pfm_quality import Judgement, judge
from ._pfm_spectra import Batch, read_batch

__all__ = [
    "Atoms",
    "Batch",
    "Domains",
    "IvAnalysis",
    "Judgement",
    "LoopFit",
    "PadFit",
    "PfmAnalysis",
    "describe",
    "find_columns",
    "find_domains",
    "fit_atoms",
    "fit_loop",
    "fit_pad",
    "judge",
    "probe_lattice",
    "read_batch",
]
