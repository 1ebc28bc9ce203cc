"""The hash chain of the journal: every row is bound to all rows before it."""

from __future__ import annotations

import hashlib


def genesis(run_id: str) -> str:
    """The link before the first row: it binds the chain to the run's name."""
    return hashlib.sha256(f"probewise journal\n{run_id}".encode()).hexdigest()


def link(previous: str, seq: int, hour: float, wall: str, kind: str, body: str) -> str:
    """SHA-256 (hex) over the previous link and everything that a row says.

    Lines cannot be shifted between fields: all but the body are free of line ends, and the body
    comes last.
    """
    content = f"{previous}\n{seq}\n{hour!r}\n{wall}\n{kind}\n{body}"
    return hashlib.sha256(content.encode()).hexdigest()
