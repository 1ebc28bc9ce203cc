"""Libraries that only one driver needs: imported when it is made, with a clear word if absent."""

from __future__ import annotations

import importlib
from typing import Any

from ..workflow import WorkerError


def extra(module: str, name: str, who: str) -> Any:
    """The module of an optional extra.

    Parameters
    ----------
    module
        What to import, such as ``Pyro5.api``.
    name
        The extra of this distribution that installs it.
    who
        The part that needs it, in the user's words.

    Raises
    ------
    WorkerError
        If it is not installed or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise WorkerError(
            who,
            f"the module {module.partition('.')[0]!r} cannot be imported ({error})",
            f"an environment with the extra {name!r}",
            f"pip install 'probewise[{name}]'",
        ) from error
