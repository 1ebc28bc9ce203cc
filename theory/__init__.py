"""Theory: what should be, from uncertain parameters that learn from what was measured."""

from ._grid import GRID_SHAPE, VARIABLES, predict_grid, theory_space
from ._landau import (
    boundary_sm,
    growth_quality,
    polarization,
    remanent,
    switched_fraction,
    transition_sm,
)
from ._parameters import NAMES, PARAMETERS, Parameter, from_normal, prior_ensemble, to_normal
from ._refit import Measurements, Posterior, refit
from ._sampler import Samples, sample_posterior
from ._worker import LandauTheory

__all__ = [
    "GRID_SHAPE",
    "NAMES",
    "PARAMETERS",
    "VARIABLES",
    "LandauTheory",
    "Measurements",
    "Parameter",
    "Posterior",
    "Samples",
    "boundary_sm",
    "from_normal",
    "growth_quality",
    "polarization",
    "predict_grid",
    "prior_ensemble",
    "refit",
    "remanent",
    "sample_posterior",
    "switched_fraction",
    "theory_space",
    "to_normal",
    "transition_sm",
]
