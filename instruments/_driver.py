"""Drivers: what speaks to one microscope. Nothing reaches them but by the guardian's permit."""

from __future__ import annotations

from abc import ABC, ABCMeta, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal
from weakref import WeakSet

from ..workflow import (
    Chunk,
    Command,
    Failure,
    Forecast,
    GuardianError,
    InstrumentState,
    Technique,
    geometric_forecast,
)
from ._permit import Permit, redeemed, require_open

FaultKind = Literal["bad_data", "instrument", "timeout", "refused", "missing", "uncertain"]

_guarded: WeakSet[Callable[..., Any]] = WeakSet()
_SEALED = ("execute", "__eq__", "__hash__")
"""What no driver has of its own; the angel and its permits know a driver by its identity."""


class DriverFault(Exception):
    """A fault of the instrument, raised by a driver; it becomes a failure of the action.

    ``refused`` if nothing was done, ``bad_data`` if what came is no good, ``timeout`` for silence,
    ``uncertain`` if nobody knows whether it was done, else ``instrument``.
    """

    def __init__(self, kind: FaultKind, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.kind: FaultKind = kind
        self.message, self.remedy = message, remedy

    @property
    def failure(self) -> Failure:
        return Failure(kind=self.kind, message=self.message, remedy=self.remedy)


class _Sealed(ABCMeta):
    """Wraps ``_do`` of every driver class, whenever it is set; nobody sets what is sealed."""

    def __setattr__(cls, name: str, value: Any) -> None:
        if name in _SEALED:
            raise _sealed(cls.__name__, name)
        super().__setattr__(name, _behind_permit(value) if name == "_do" else value)

    def __delattr__(cls, name: str) -> None:
        if name in (*_SEALED, "_do"):
            raise _sealed(cls.__name__, name)
        super().__delattr__(name)


class Driver(ABC, metaclass=_Sealed):
    """Base of all drivers.

    A driver does commands and gives the data while they arrive. It judges nothing: limits,
    interlocks and watchdogs are the guardian's and the console's, the same for every driver.

    Class attributes
    ----------------
    technique
        ``stem`` or ``spm``.
    twin
        Whether it simulates an instrument. Twins keep a clock of their own.
    verbs
        Verbs of the commands that it can do; others never reach it.
    tunings
        What it can ``tune``; None for all that its technique has.
    unheeded
        By verb, fields that it has no use for: a command that sets one of them is refused.

    Subclasses implement :meth:`state` and :meth:`_do`. They cannot override :meth:`execute`, and
    ``_do`` runs under a permit only, whoever calls it.
    """

    technique: ClassVar[Technique]
    twin: ClassVar[bool]
    verbs: ClassVar[frozenset[str]]
    tunings: ClassVar[frozenset[str] | None] = None
    unheeded: ClassVar[Mapping[str, frozenset[str]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in _SEALED:
            if getattr(cls, name) is not Driver.__dict__[name]:
                raise _sealed(cls.__name__, name)
        do = cls._do
        if do not in _guarded and not getattr(do, "__isabstractmethod__", False):
            cls._do = do  # wrapped by the metaclass

    def __setattr__(self, name: str, value: Any) -> None:
        if name in (*_SEALED, "_do"):
            raise _sealed(type(self).__name__, name)
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return object.__hash__(self)

    @abstractmethod
    def state(self) -> InstrumentState:
        """The state now, as the instrument says; reading it moves nothing.

        Raises
        ------
        DriverFault
            If the instrument does not say.
        """

    @abstractmethod
    def _do(self, command: Any) -> Iterator[Chunk]:
        """Do a command and yield its data as they arrive; the places of a command are points.

        Whoever stops it closes the generator: put what must be put back into ``finally``.

        Raises
        ------
        DriverFault
            If the instrument refuses, fails or says nothing.
        """

    def forecast(self, command: Command, state: InstrumentState) -> Forecast:
        """What the command will cost from ``state`` on. Nothing is touched.

        The guardian never believes a forecast below what follows from the command's own numbers.
        """
        return geometric_forecast(command, state)

    def after(self, command: Command, state: InstrumentState) -> InstrumentState:
        """The state that the command will leave, for dry runs. Nothing is touched."""
        return expected_state(command, state)

    def begin(self, seed: int, hours: Mapping[str, float]) -> None:
        """Told before every program: the seed of all chance, and the campaign's hours.

        For twins; an instrument has no use for it.
        """

    def close(self) -> None:
        """Let go of the instrument. May be called twice."""

    def execute(self, permit: Permit) -> Iterator[Chunk]:
        """Do what a permit permits and yield the data as they arrive.

        Raises
        ------
        GuardianError
            If it is no valid, unused permit for this driver.
        DriverFault
            As :meth:`_do`.
        """
        do = type(self)._do
        if do not in _guarded:
            raise _sealed(type(self).__name__, "_do")
        with redeemed(permit, self) as command:
            yield from do(self, command)


def expected_state(command: Command, state: InstrumentState) -> InstrumentState:
    """The state that a command leaves on any instrument that does as it is told."""
    change: dict[str, Any]
    match command.verb:
        case "load":
            change = {"sample": _of(command, "sample"), "site": _of(command, "site"), "tuned": ()}
        case "tune":
            change = {"tuned": tuple(dict.fromkeys((*state.tuned, _of(command, "what"))))}
        case "set_beam":
            change = {k: v for k in ("voltage_kV", "current_pA") if (v := _of(command, k))}
        case "set_focus":
            change = {"defocus_nm": _of(command, "defocus_nm")}
        case "set_field_of_view":
            change = {"field_of_view_nm": _of(command, "field_of_view_nm")}
        case "blank":
            change = {"blanked": _of(command, "blanked")}
        case "place_beam":
            at = _of(command, "at")
            change = {"beam_y_nm": at.y_nm, "beam_x_nm": at.x_nm}
        case "move_stage":
            moved = {f"stage_{axis}_nm": _of(command, f"{axis}_nm") for axis in "yxz"}
            moved["tilt_deg"] = _of(command, "tilt_deg")
            change = {k: v for k, v in moved.items() if v is not None}
        case "approach":
            change = {"engaged": True}
        case "retract":
            change = {"engaged": False}
        case "overview" | "scan" | "spectrum":
            change = {"beam_y_nm": None, "beam_x_nm": None}
        case _:
            change = {}
    return state.model_copy(update=change)


def _of(command: Command, name: str) -> Any:
    return getattr(command, name)


def _behind_permit(do: Any) -> Any:
    """``do``, so that each of its steps needs a permit for its very command."""
    if do in _guarded or getattr(do, "__isabstractmethod__", False):
        return do

    def _do(self: Driver, command: Command) -> Iterator[Chunk]:
        require_open(self, command)
        parts = iter(do(self, command))
        try:
            while True:
                require_open(self, command)
                try:
                    chunk = next(parts)
                except StopIteration:
                    return
                yield chunk
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    _do.__doc__, _do.__qualname__ = do.__doc__, getattr(do, "__qualname__", "_do")
    _guarded.add(_do)
    return _do


def _sealed(who: str, name: str) -> GuardianError:
    return GuardianError(
        f"driver {who}",
        f"another {name!r}",
        "the one of Driver; a driver implements state and _do, once, in its class",
        f"put what you need into _do, and leave {name!r} alone",
    )
