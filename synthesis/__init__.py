"""Workers that make samples."""

from ._pld import PldTwin

__all__ = ["PldTwin"]
