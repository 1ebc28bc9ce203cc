"""Permits: one command, one instrument, one use. Only the guardian angel has them to give.

A permit is an object without content. What it permits stands in a book in this module, under the
identity of the object, so that nothing which is copied, pickled, altered or made by hand permits
anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, final
from weakref import WeakKeyDictionary

from ..workflow import Command, GuardianError

Issuer = Callable[[object, Command], "Permit"]


@final
class Permit:
    """Lets one driver do one command once. It cannot be made, copied or pickled."""

    __slots__ = ("__weakref__",)

    def __new__(cls, *args: object, **kwargs: object) -> Permit:
        raise _forged("a permit made by hand")

    def __init_subclass__(cls) -> None:
        raise _forged("a subclass of Permit")

    def __copy__(self) -> NoReturn:
        raise _forged("a copy of a permit")

    def __deepcopy__(self, memo: Any) -> NoReturn:
        raise _forged("a copy of a permit")

    def __reduce__(self) -> NoReturn:
        raise _forged("a pickled permit")


@dataclass
class _Grant:
    driver: object
    command: Command
    stage: Literal["issued", "open", "spent"] = "issued"


_book: WeakKeyDictionary[Permit, _Grant] = WeakKeyDictionary()
_open: WeakKeyDictionary[Any, _Grant] = WeakKeyDictionary()
_lock = threading.Lock()
_taken = False


def take_issuer() -> Issuer:
    """The right to issue permits, given away once: to the module of the guardian angel.

    Raises
    ------
    GuardianError
        The second time.
    """
    global _taken
    with _lock:
        if _taken:
            raise _forged("a second issuer of permits")
        _taken = True

    def issue(driver: object, command: Command) -> Permit:
        permit = object.__new__(Permit)
        with _lock:
            _book[permit] = _Grant(driver, command)
        return permit

    return issue


@contextmanager
def redeemed(permit: object, driver: Any) -> Iterator[Command]:
    """Use a permit up: within the context, ``driver`` may do the command that is given back.

    Raises
    ------
    GuardianError
        If it is no permit, was used or revoked before, is another driver's, or the driver is busy.
    """
    with _lock:
        grant = _book.get(permit) if type(permit) is Permit else None
        if grant is None:
            raise _forged("no permit, or one that nobody issued")
        if grant.driver is not driver:
            raise _forged("a permit for another driver")
        if grant.stage != "issued":
            raise _forged("a permit that was used or revoked before")
        if driver in _open:
            raise GuardianError(
                f"driver {type(driver).__name__}",
                "a command while another one is being done",
                "one command at a time",
                "wait for the first, or stop it",
            )
        grant.stage = "open"
        _open[driver] = grant
    try:
        yield grant.command
    finally:
        with _lock:
            grant.stage = "spent"
            if _open.get(driver) is grant:
                del _open[driver]


def revoke(permit: Permit) -> None:
    """End a permit: unused it can be used no more, in use its driver is halted at its next step."""
    with _lock:
        grant = _book.get(permit)
        if grant is None:
            return
        grant.stage = "spent"
        if _open.get(grant.driver) is grant:
            del _open[grant.driver]


def require_open(driver: Any, command: object) -> None:
    """Whether a permit for this very command is being used on the driver.

    Raises
    ------
    GuardianError
        If not.
    """
    grant = _open.get(driver)
    if grant is None or grant.command is not command or grant.stage != "open":
        raise _forged(f"{getattr(command, 'verb', command)!r} without a permit for it")


def _forged(given: str) -> GuardianError:
    return GuardianError(
        "guardian angel",
        given,
        "commands given to a Console, which asks the angel for a permit for each",
        "run a program on the instrument's console",
    )
