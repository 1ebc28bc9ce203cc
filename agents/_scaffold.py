"""A new worker from a template: one file and its conformance test, both sound as they stand."""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import Any

from ..workflow import Kind, WorkerError

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_LEVELS = {Kind.INSTRUMENT: 3, Kind.ANALYSIS: 1, Kind.THEORY: 5, Kind.SYNTHESIS: 4}


def new_worker(name: str, kind: str, folder: Path | str = ".") -> list[Path]:
    """Write ``<name>.py`` with one worker, and ``test_<name>.py`` with its conformance test.

    Parameters
    ----------
    name
        Small letters and digits, parts joined by ``_`` or ``-``; names the files, the class, the
        worker type and its first step.
    kind
        ``instrument``, ``analysis``, ``theory`` or ``synthesis``.
    folder
        Where the files go; made if it is not there.

    Returns
    -------
    list of Path
        The worker's file and its test.

    Raises
    ------
    WorkerError
        If the name or kind cannot be used, or a file of that name exists.
    """
    who = f"new worker {name!r}"
    module = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(module) or len(name) > 60:
        raise WorkerError(
            who,
            "that name",
            "small letters and digits, starting with a letter, parts joined by _ or -",
            "choose a name such as my_afm",
        )
    if kind not in _LEVELS:
        raise WorkerError(
            who,
            f"kind {kind!r}",
            f"one of {[k.value for k in _LEVELS]}",
            "choose one of them; a guardian is written by hand as a subclass of Guardian",
        )
    folder = Path(folder)
    paths = [folder / f"{module}.py", folder / f"test_{module}.py"]
    there = [str(p) for p in paths if p.exists()]
    if there:
        raise WorkerError(
            who, f"{there} exist", "files that are not there yet", "choose another name or folder"
        )
    words = {
        "module": module,
        "type": module.replace("_", "-"),
        "class_name": "".join(part.capitalize() for part in module.split("_")),
        "kind": Kind(kind).value,
        "level": _LEVELS[Kind(kind)],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for path, template in zip(paths, ("worker.py.j2", "test_worker.py.j2"), strict=True):
        path.write_text(_render(template, words), encoding="utf-8")
    return paths


def _render(template: str, words: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__ or "probewise.agents"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(words)
