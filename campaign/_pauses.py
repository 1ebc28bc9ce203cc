"""Python's search for waste, kept from where it only takes time.

A campaign's objects live on: the state keeps every action and every observation, and the libraries
that were imported stay. To look through all of them takes a third of a second at the start, later
more, and comes at any moment.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_waste() -> Iterator[None]:
    """No search at all: for a while in which everything that is made is kept."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextmanager
def without_pauses() -> Iterator[None]:
    """What is there already is not searched any more; only what is made from now on."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
