"""Analysis: images and spectra reduced to quantities with errors."""

from ._iv_analysis import IvAnalysis

__all__ = [
    "IvAnalysis",
]
