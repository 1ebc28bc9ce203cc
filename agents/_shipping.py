"""Workers' code for nodes on which it is not installed: the content of wheels.

Ray would install a wheel with everything it depends on. Here its content is handed over as it is,
metadata included, so that entry points are found; what it depends on must be on the nodes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from ..workflow import WorkerError


def unpack_wheels(wheels: Sequence[Path], folder: Path) -> list[str]:
    """Unpack wheels; the packages, modules and metadata in them, as Ray's ``py_modules``.

    Raises
    ------
    WorkerError
        If a file is no wheel, or holds compiled code for one machine only.
    """
    entries: list[str] = []
    for number, wheel in enumerate(wheels):
        place = folder / str(number)
        place.mkdir(parents=True, exist_ok=True)
        if not (wheel.name.endswith("-none-any.whl") and zipfile.is_zipfile(wheel)):
            raise WorkerError(
                f"wheel {str(wheel)!r}",
                "no wheel of pure Python" if wheel.is_file() else "no such file",
                "a file *-none-any.whl",
                "build it with 'python -m pip wheel --no-deps', or install it on every node",
            )
        with zipfile.ZipFile(wheel) as content:
            content.extractall(place)
        found = [p for p in sorted(place.iterdir()) if p.is_dir() or p.suffix == ".py"]
        entries += [str(p) for p in found]
    return entries
