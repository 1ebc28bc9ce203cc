"""Records of finished sessions as JSON lines, written whole, read back to go on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._records import end_whole


def records(path: Path) -> list[dict[str, Any]]:
    """All records; a line torn by a crash is left out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Add a record as one line, after whatever a crash left at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        end_whole(file, path)
        file.write(json.dumps(record).encode() + b"\n")
