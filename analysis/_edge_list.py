"""Edges as they are written in a worker's configuration."""

from __future__ import annotations

from ..workflow import WorkerError
from ._eels_edges import Edge


def parse_edges(text: str, who: str) -> tuple[Edge, ...]:
    """Edges from ``"C 284 50 50 1.0; O 532"``: name, onset, windows in eV, cross-section.

    Raises
    ------
    WorkerError
        If it is not written so.
    """
    names = ("onset_eV", "window_eV", "background_eV", "cross_section")
    found = []
    for part in filter(None, (p.split() for p in text.split(";"))):
        try:
            numbers = dict(zip(names, map(float, part[1:]), strict=False))
            found.append(Edge.model_validate({"name": part[0], **numbers}))
        except ValueError as error:
            raise WorkerError(
                who,
                f"edge {' '.join(part)!r} ({error})",
                "name, onset and windows in eV, cross-section, all above 0",
                "write it as in 'C 284 50 50 1.0; O 532 50 50 0.21'",
            ) from error
    return tuple(found)
