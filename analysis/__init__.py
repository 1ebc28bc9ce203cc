"""Analysis: images, spectra and streams reduced to quantities with errors."""

from ._atom_images import AtomImage, simulate_atoms
from ._atoms import Atoms, find_columns, fit_atoms
from ._contours import Curve, find_edges, find_walls
from ._drift import Drift, DriftTracker
from ._dwell import Dwell, best_place_to_go_on, dwell_worth, knowledge_gradient
from ._eels_edges import Edge, EdgeSignal, composition, edge_signal, fit_background
from ._fitting import Fit, Noise, estimate_noise, fit_model
from ._image_analysis import ImageAnalysis
from ._image_noise import image_noise
from ._iv_analysis import IvAnalysis
from ._loop_parameters import LoopParameters, Switching, loop_parameters
from ._loss_share import loss_share, reading_of
from ._particles import Particles, find_particles
from ._pfm_analysis import PfmAnalysis
from ._pfm_features import describe, probe_lattice
from ._pfm_image import Domains, find_domains
from ._pfm_loops import LoopFit, fit_loop
from ._pfm_pad import PadFit, fit_pad
from ._pfm_quality import Judgement, judge
from ._pfm_spectra import Batch, read_batch
from ._plasmon import Peak, PlasmonFit, drude, fit_plasmon, lorentz, zero_loss
from ._register import Shift, register
from ._rvae import Encoded, RotationInvariantVae
from ._spectrum_analysis import SpectrumAnalysis
from ._spikes import Despiked, reject_spikes
from ._stream_decomposition import RunningDecomposition
from ._stream_novelty import Cusum, NoveltyScale
from ._stream_progress import Progress
from ._stream_quality import Limits
from ._stream_watch import StreamWatch
from ._sweep import Sweep, fit_sweep
from ._watch import Watch, Watched
from ._worth import DwellWatch, Weighed, judge_dwell, weigh

__all__ = [
    "AtomImage",
    "Atoms",
    "Batch",
    "Curve",
    "Cusum",
    "Despiked",
    "Domains",
    "Drift",
    "DriftTracker",
    "Dwell",
    "DwellWatch",
    "Edge",
    "EdgeSignal",
    "Encoded",
    "Fit",
    "ImageAnalysis",
    "IvAnalysis",
    "Judgement",
    "Limits",
    "LoopFit",
    "LoopParameters",
    "Noise",
    "NoveltyScale",
    "PadFit",
    "Particles",
    "Peak",
    "PfmAnalysis",
    "PlasmonFit",
    "Progress",
    "RotationInvariantVae",
    "RunningDecomposition",
    "Shift",
    "SpectrumAnalysis",
    "StreamWatch",
    "Sweep",
    "Switching",
    "Watch",
    "Watched",
    "Weighed",
    "best_place_to_go_on",
    "composition",
    "describe",
    "drude",
    "dwell_worth",
    "edge_signal",
    "estimate_noise",
    "find_columns",
    "find_domains",
    "find_edges",
    "find_particles",
    "find_walls",
    "fit_atoms",
    "fit_background",
    "fit_loop",
    "fit_model",
    "fit_pad",
    "fit_plasmon",
    "fit_sweep",
    "image_noise",
    "judge",
    "judge_dwell",
    "knowledge_gradient",
    "loop_parameters",
    "lorentz",
    "loss_share",
    "probe_lattice",
    "read_batch",
    "reading_of",
    "register",
    "reject_spikes",
    "simulate_atoms",
    "weigh",
    "zero_loss",
]
