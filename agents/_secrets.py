"""Secrets of workers: named in a campaign's file, kept in the environment of their machine.

A worker's configuration is written into the journal, so no secret may stand in it. Where it says
``$secret:AFM``, the worker is given what the environment variable ``PROBEWISE_SECRET_AFM`` holds in
the process that makes it. Nothing else of the environment can be reached that way, and what was
given out once is blotted out of every message of a failure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from ..workflow import WorkerError

PREFIX = "PROBEWISE_SECRET_"
_REFERENCE = re.compile(r"^\$secret:([A-Z][A-Z0-9_]*)$")
_TELLING = re.compile(r"(?i)(password|passwd|pwd|passphrase|token|secret|api_?key|credential)")
_given: set[str] = set()


def is_bare_secret(key: str, value: object) -> bool:
    """Whether a configuration seems to hold a secret instead of its name."""
    named = isinstance(value, str) and value and _REFERENCE.match(value) is None
    return bool(named and _TELLING.search(key))


def reveal(config: Mapping[str, Any], who: str) -> dict[str, Any]:
    """The configuration with every ``$secret:NAME`` replaced by what the environment holds.

    Raises
    ------
    WorkerError
        If the environment has no such variable.
    """
    return {key: _revealed(value, who) for key, value in config.items()}


def _revealed(value: Any, who: str) -> Any:
    found = _REFERENCE.match(value) if isinstance(value, str) else None
    if found is None:
        return value
    secret = os.environ.get(PREFIX + found[1], "")
    if not secret:
        raise WorkerError(
            who,
            f"{value!r}, and no environment variable {PREFIX}{found[1]}",
            "secrets in the environment of the process that runs the worker",
            f"export {PREFIX}{found[1]} on the worker's machine before the campaign starts",
        )
    _given.add(secret)
    return secret


def hide(text: str) -> str:
    """A text without the secrets that this process has given out."""
    for secret in _given:
        text = text.replace(secret, "***")
    return text
