"""Specimens that a person puts in: the instrument cannot, and takes the person's word."""

from __future__ import annotations

from ..workflow import Load
from ._driver import DriverFault


def take_word(who: str, mounted: str, command: Load) -> None:
    """Accept ``load`` as the word of whoever gave or approved it; nothing moves.

    Parameters
    ----------
    who
        The instrument, in the user's words.
    mounted
        The one specimen that the configuration names; empty if people exchange specimens.

    Raises
    ------
    DriverFault
        ``refused``, if another specimen is mounted.
    """
    if mounted and command.sample != mounted:
        raise DriverFault(
            "refused",
            f"{who}: {command.sample!r} is to be loaded, and {mounted!r} is mounted; allowed:"
            f" {mounted!r}",
            "exchange the specimen by hand and correct 'sample' in the config",
        )
