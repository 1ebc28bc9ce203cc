"""The guardian angel: judges every command before an instrument sees it. Default deny."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, final
from weakref import WeakKeyDictionary

from ..workflow import (
    COMMANDS,
    Adjust,
    Blank,
    Command,
    Detect,
    Forecast,
    GuardianError,
    InstrumentState,
    Technique,
    exposures,
    geometric_forecast,
)
from ._check_limits import broken_limits, needs_a_person
from ._dose import Charge, DoseBook
from ._driver import Driver
from ._interlocks import broken_interlocks
from ._limits import Limits, default_limits
from ._permit import Permit, take_issuer
from ._stream import within

_issue = take_issuer()


@dataclass(frozen=True)
class Judgement:
    """What the angel says of a command, why, and what the command would cost.

    ``confirm``: allowed if a person vouches for it.
    """

    verdict: Literal["allowed", "confirm", "refused"]
    reason: str
    forecast: Forecast


@final
class Angel:
    """Judges commands by limits, interlocks and the doses given before; issues permits.

    An angel is made for one target: a technique, twin or live. It cannot be subclassed, its parts
    cannot be exchanged, and a driver that has met one angel takes permits of no other.

    Parameters
    ----------
    technique, twin
        The target. Limits of a twin are not those of a live instrument.
    limits
        By default those of the target.

    Raises
    ------
    GuardianError
        If somebody subclasses it or exchanges its parts.
    """

    __slots__ = ("__weakref__", "_book", "_limits", "_lock", "_settled", "technique", "twin")

    technique: Technique
    twin: bool
    _book: DoseBook
    _limits: Limits
    _lock: threading.Lock
    _settled: WeakKeyDictionary[Permit, Charge]

    def __init__(self, technique: Technique, twin: bool, limits: Limits | None = None) -> None:
        put = object.__setattr__
        put(self, "technique", technique)
        put(self, "twin", twin)
        given = limits or default_limits(technique, twin)
        put(self, "_limits", given.model_copy(deep=True))
        put(self, "_book", DoseBook())
        put(self, "_settled", WeakKeyDictionary())
        put(self, "_lock", threading.Lock())

    def __init_subclass__(cls) -> None:
        raise _no("a subclass of Angel", "Angel with other Limits")

    def __setattr__(self, name: str, value: Any) -> None:
        raise _no(f"another {name!r} of an angel", "limits given when the angel is made")

    def __delattr__(self, name: str) -> None:
        raise _no(f"an angel without {name!r}", "an angel as it was made")

    @property
    def limits(self) -> Limits:
        """A copy: writing on it changes nothing."""
        return self._limits.model_copy(deep=True)

    def judge(
        self,
        command: Command,
        state: InstrumentState,
        driver: Driver,
        book: DoseBook | None = None,
    ) -> Judgement:
        """What is to be said of a command in a state. Nothing is booked, and no permit given.

        Parameters
        ----------
        command
            Its places must be points.
        state
            Of the instrument; in a dry run the one that is expected.
        driver
            Whose command it would be.
        book
            Doses given before; by default those that were really given.
        """
        forecast = Forecast()
        foreign = list(self._foreign(command, state, driver))
        if foreign:
            return Judgement("refused", "; ".join(foreign), forecast)
        objections: list[str] = []
        try:
            forecast = self.forecast(command, state, driver)
        except Exception as error:
            objections.append(f"the driver cannot say what it costs ({error})")
        if not objections:
            objections += broken_interlocks(command, state)
            objections += broken_limits(command, state, forecast, self._limits)
            objections += self._doses(command, state, forecast, book or self._book)
        if objections and not _makes_safe(command, state):
            return Judgement("refused", "; ".join(objections), forecast)
        doubts = list(needs_a_person(command, self._limits))
        if doubts:
            return Judgement("confirm", "; ".join(doubts), forecast)
        return Judgement("allowed", "within all limits", forecast)

    def forecast(self, command: Command, state: InstrumentState, driver: Driver) -> Forecast:
        """The driver's forecast, raised to what follows from the command's own numbers."""
        least = geometric_forecast(command, state)
        said = driver.forecast(command.model_copy(deep=True), state.model_copy(deep=True))
        return Forecast(
            **{
                name: max(getattr(least, name), getattr(said, name))
                for name in type(least).model_fields
            }
        )

    def permit(
        self, command: Command, driver: Driver, vouched: str = ""
    ) -> tuple[Permit, Judgement, InstrumentState]:
        """A permit for one command, once, with the judgement and the state that it was given on.

        What is judged and done is a copy, which nobody else can write on meanwhile.
        Its dose is booked in full until :meth:`settle`.

        Parameters
        ----------
        command
            Its places must be points.
        driver
            The one that will do it. The angel asks it for its state.
        vouched
            The person who vouches for what needs one.

        Raises
        ------
        GuardianError
            If the command is refused, or needs a person and none is named.
        DriverFault
            If the instrument does not tell its state.
        """
        if isinstance(command, Detect):
            raise _no("a permit to detect", "detect on the console: no driver does it")
        meet(driver, self)
        command = command.model_copy(deep=True) if isinstance(command, Command) else command
        state = self._state_for(command, driver)
        with self._lock:
            said = self.judge(command, state, driver)
            if said.verdict == "refused" or (said.verdict == "confirm" and not vouched):
                remedy = "name who vouches for it" if said.verdict == "confirm" else "change it"
                raise GuardianError(
                    f"guardian angel, {command.sentence()!r}", said.reason,
                    f"what the limits {self._limits.digest} allow", remedy,
                )  # fmt: skip
            permit = _issue(driver, command)
            self._settled[permit] = self._book.charge(state, exposures(command, state))
            return permit, said, state

    def state(self, driver: Driver) -> InstrumentState:
        """The state that the driver tells, if it tells it in time.

        Raises
        ------
        DriverFault
            If it does not.
        """
        said = within(self._limits.silence_s, driver.state, "state")
        return said.model_copy(deep=True) if isinstance(said, InstrumentState) else said

    def _state_for(self, command: Command, driver: Driver) -> InstrumentState:
        """The state; what makes safe is tried even on an instrument that does not tell it."""
        try:
            return self.state(driver)
        except Exception:
            unknown = InstrumentState(technique=self.technique)
            if _makes_safe(command, unknown):
                return unknown
            raise

    def doses(self) -> DoseBook:
        """A copy of the dose book, to rehearse with."""
        with self._lock:
            return self._book.copy()

    def settle(self, permit: Permit, electrons: float) -> None:
        """Book what really fell onto the specimen under a permit."""
        with self._lock:
            charge = self._settled.pop(permit, None)
            if charge is not None:
                charge.settle(electrons)

    def _foreign(self, command: Command, state: InstrumentState, driver: Driver) -> Iterator[str]:
        """Default deny: whatever is not of this target, and not in the instruction set."""
        if COMMANDS.get(getattr(command, "verb", "")) is not type(command):
            yield f"{command!r:.80} is no command of the instruction set"
        elif command.verb not in driver.verbs and not isinstance(command, Detect):
            yield f"the driver has no {command.verb!r}; it has {sorted(driver.verbs)}"
        elif isinstance(command, Adjust) and command.what not in (driver.tunings or {command.what}):
            tunings = sorted(driver.tunings or ())
            yield f"the driver cannot tune {command.what!r}; it tunes {tunings}"
        elif set_in_vain := _set_in_vain(command, driver):
            yield (
                f"the driver cannot heed {set_in_vain} of {command.verb!r}: the instrument does"
                " that in its own way; leave it out"
            )
        elif self._limits.verbs is not None and command.verb not in self._limits.verbs:
            yield f"{command.verb!r} is not among the allowed {sorted(self._limits.verbs)}"
        if (driver.technique, driver.twin) != (self.technique, self.twin):
            yield f"these limits are for {_target(self)}; the driver is for {_target(driver)}"
        if state.technique != self.technique:
            yield f"the instrument says that it is a {state.technique}"

    def _doses(
        self, command: Command, state: InstrumentState, forecast: Forecast, book: DoseBook
    ) -> Iterator[str]:
        put = exposures(command, state)
        peak = max(book.peak_after(state, put), forecast.local_dose_e_per_A2)
        if peak > self._limits.max_local_dose_e_per_A2:
            yield (
                f"a place would have got {peak:.3g} e/A2; the limit is"
                f" {self._limits.max_local_dose_e_per_A2:.3g}"
            )
        total = book.electrons(state) + forecast.electrons
        if total > self._limits.max_electrons:
            yield (
                f"the specimen would have got {total:.3g} electrons; the limit is"
                f" {self._limits.max_electrons:.3g}"
            )


_met: WeakKeyDictionary[Driver, Angel] = WeakKeyDictionary()


def meet(driver: Driver, angel: Angel) -> None:
    """Bind a driver to its angel, for good.

    Raises
    ------
    GuardianError
        If it is none, or the driver is bound to another.
    """
    if type(angel) is not Angel:
        raise _no(f"{type(angel).__name__} in the place of an angel", "an Angel")
    if _met.setdefault(driver, angel) is not angel:
        raise _no("a second angel for a driver", "the angel that it met first")


def _makes_safe(command: Command, state: InstrumentState) -> bool:
    """What brings an instrument into safety is never refused to it by its state."""
    if state.technique == "stem":
        return isinstance(command, Blank) and command.blanked
    return command.verb == "retract"


def _set_in_vain(command: Command, driver: Driver) -> str:
    """Fields that say something else than usual, and of which the driver makes nothing."""
    fields = type(command).model_fields
    names = sorted(driver.unheeded.get(command.verb, frozenset()) & fields.keys())
    given = {name: getattr(command, name) for name in names}
    return ", ".join(f"{n}={v!r}" for n, v in given.items() if v != fields[n].default)


def _target(what: Angel | Driver) -> str:
    return f"a {'twin' if what.twin else 'live'} {what.technique}"


def _no(given: str, allowed: str) -> GuardianError:
    return GuardianError("guardian angel", given, allowed, "leave the angel as it is")
