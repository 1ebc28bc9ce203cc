"""What is wrong with a YAML text, in words that quote nothing of it."""

from __future__ import annotations

import re


def yaml_fault(error: Exception) -> str:
    """The kind of fault and its line. The text may be any file: names in it are left out."""
    said = (str(error).splitlines() or [""])[0]
    plain = re.sub(r"'[^']{2,}'|\"[^\"]{2,}\"", "'...'", said)
    mark = getattr(error, "problem_mark", None)
    return plain if mark is None else f"{plain}, line {mark.line + 1}"
