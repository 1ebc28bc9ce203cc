"""Whether a driver can be moved by a way that passes no guardian: it must not be."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from ..workflow import AnyCommand, Chunk, GuardianError, command_from
from ._angel import Angel
from ._console import Console
from ._driver import Driver
from ._permit import Permit


def check_no_way_round(driver: Driver, command: AnyCommand) -> None:
    """Try every road to the driver that does not pass its angel, the public and the private ones.

    Parameters
    ----------
    driver
        In any state; ``command`` is done on it, once.
    command
        One that its angel allows now.

    Raises
    ------
    AssertionError
        If one of them leads anywhere.
    """
    console = Console(driver)
    angel = console.angel
    _refused(lambda: list(driver._do(command)), "_do without a permit")
    _refused(lambda: list(driver.execute(object())), "execute with no permit")  # type: ignore[arg-type]
    _refused(lambda: Permit(), "a permit made by hand")
    _refused(lambda: list(driver.execute(object.__new__(Permit))), "a forged permit")
    _refused(lambda: type("Lenient", (Permit,), {}), "a subclass of Permit")
    _exchange(driver, angel)
    _permits(driver, angel, command)


def _exchange(driver: Driver, angel: Angel) -> None:
    """Nobody exchanges the parts."""
    technique, twin = driver.technique, driver.twin

    def other(self: Any, *given: Any) -> Iterator[Chunk]:
        yield Chunk()

    _refused(lambda: setattr(driver, "execute", other), "execute exchanged on the driver")
    _refused(lambda: setattr(driver, "_do", other), "_do exchanged on the driver")
    _refused(lambda: setattr(type(driver), "execute", other), "execute exchanged on its class")
    _refused(lambda: type("Free", (type(driver),), {"execute": other}), "execute overridden")
    _refused(lambda: type("Alike", (type(driver),), {"__hash__": lambda self: 1}), "another hash")
    _refused(lambda: type("Equal", (type(driver),), {"__eq__": lambda *_: True}), "equality")
    _refused(lambda: type("Angelic", (Angel,), {}), "a subclass of Angel")
    _refused(lambda: setattr(angel, "limits", None), "limits exchanged")
    _refused(lambda: setattr(angel, "judge", other), "the judgement exchanged")
    before = angel.limits.digest
    object.__setattr__(angel.limits, "max_dwell_s", 1e9)
    assert angel.limits.digest == before, "a way round the guardian: limits that are written on"
    _refused(lambda: Console(driver, Angel(technique, twin)), "a second angel")
    _refused(lambda: Console(driver, object()), "something else for an angel")  # type: ignore[arg-type]
    _refused(
        lambda: Angel(technique, twin).permit(command_from("blank"), driver), "a stranger's permit"
    )


def _permits(driver: Driver, angel: Angel, command: AnyCommand) -> None:
    """A permit is good for one command, on one driver, once."""
    permit, _, _ = angel.permit(command, driver)
    _refused(lambda: copy.copy(permit), "a copied permit")
    _refused(lambda: copy.deepcopy(permit), "a deeply copied permit")
    _refused(lambda: permit.__reduce_ex__(2), "a pickled permit")
    _refused(lambda: setattr(permit, "command", command), "a permit that is written on")
    _refused(lambda: list(driver._do(command)), "_do while a permit lies unused")
    copied = command.model_copy()
    for _ in driver.execute(permit):
        _refused(lambda: list(driver._do(copied)), "_do of another command under a permit")
    angel.settle(permit, 0.0)
    _refused(lambda: list(driver.execute(permit)), "a permit used twice")
    _refused(lambda: list(driver._do(command)), "_do after its permit")


def _refused(way: Callable[[], object], what: str) -> None:
    try:
        way()
    except (GuardianError, AttributeError):
        return
    raise AssertionError(f"a way round the guardian: {what}")
