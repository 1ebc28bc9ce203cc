"""AtomAI's ``dklGPR`` as a peer (atomai 0.8.1, Ziatdinov et al. 2022).

AtomAI imports packages at its start that its Gaussian processes do not need; where they are not
installed, empty modules take their place.
"""

from __future__ import annotations

import sys
import types
import warnings
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEEDLESS = ("cv2", "mendeleev", "progressbar", "torchvision", "pandas")
CYCLES = 50
"""Epochs of every training, from new weights."""


class PeerMissingError(ImportError):
    """AtomAI is not installed."""


class _Nothing(types.ModuleType):
    """A module in which everything can be named and nothing works."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Finder(MetaPathFinder, Loader):
    """Finds an empty module for a needless package and all below it."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        known = fullname.partition(".")[0] in NEEDLESS
        return ModuleSpec(fullname, self, is_package=True) if known else None

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        module = _Nothing(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def _dkl() -> Any:
    if not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path.append(_Finder())  # asked after all others: what is installed is used
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from atomai.models import dklGPR  # type: ignore[import-not-found]
    except ImportError as error:
        raise PeerMissingError(f"{error}: pip install --no-deps atomai==0.8.1") from error
    return dklGPR


def posterior(
    patches: NDArray[np.float64],
    rows: NDArray[np.int64],
    values: NDArray[np.float64],
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation (N,) after a training on some rows of patches (N, p)."""
    import torch

    torch.set_num_threads(1)
    flat = (patches - patches.min()) / (np.ptp(patches) or 1.0)
    location, scale = float(values.mean()), float(values.std()) or 1.0
    model = _dkl()(flat.shape[1], embedim=2, precision="double", seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(flat[rows], (values - location) / scale, CYCLES, print_loss=10**6)
        mean, variance = model.predict(flat, batch_size=len(flat))
    std = np.sqrt(np.maximum(variance, 1e-12))
    return location + scale * mean.astype(np.float64), scale * std.astype(np.float64)
