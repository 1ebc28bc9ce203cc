"""ophyd-async devices behind plain calls: an event loop in a thread, with a limit on every wait."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ..workflow import SpecError, WorkerError
from ._driver import DriverFault
from ._extras import extra
from ._incoming import checked_patience
from ._loop_thread import LoopThread, Start, awaited

DEVICES = "probewise.ophyd_devices"
"""Entry point group of devices: callables without arguments that give an ophyd-async device."""

_PUT_BACK_s = 3.0


@final
class OphydRig:
    """A registered ophyd-async device and the parts of it that a measurement needs.

    A campaign names a device by its entry point, never by code; parts are named by the device's own
    tree, such as ``axes.y``.

    Parameters
    ----------
    device
        Name under ``probewise.ophyd_devices``.
    parts
        Role to dotted path; an empty path is the device itself.
    needs
        Role to the protocols of bluesky that it must have: ``Movable``, ``Readable``, ...
    patience_s
        How long any single wait may take.

    Raises
    ------
    WorkerError
        If the device is not registered, cannot be made or connected, or the extra ``bluesky`` is
        not installed.
    SpecError
        If a part does not exist, or is not what its role needs.
    """

    def __init__(
        self,
        device: str,
        parts: Mapping[str, str],
        needs: Mapping[str, tuple[str, ...]],
        patience_s: float = 30.0,
    ) -> None:
        self.who = f"ophyd device {device!r}"
        self._protocols = extra("bluesky.protocols", "bluesky", self.who)
        extra("ophyd_async.core", "bluesky", self.who)
        self._patience_s = checked_patience(self.who, patience_s)
        self._loop = LoopThread(self.who, self._patience_s)
        try:
            self._device = self._made(device)
            self.parts = {role: self._part(role, path) for role, path in parts.items()}
            for role, protocols in needs.items():
                self._check(role, parts[role], protocols)
        except BaseException:
            self.close()
            raise

    def has(self, role: str, protocol: str) -> bool:
        """Whether a part keeps a protocol of bluesky."""
        return isinstance(self.parts[role], getattr(self._protocols, protocol))

    def move(self, **goals: float) -> None:
        """Set parts to values, all at once, and wait until they are there; stop them if that fails.

        Raises
        ------
        DriverFault
            If one does not arrive, or refuses.
        """
        try:
            self.wait(lambda: self._together(goals), f"moving to {_said(goals)}")
        except DriverFault:
            with self.putting_back():
                self.halt(*goals)
            raise

    def line(
        self, goals: Sequence[Mapping[str, float]], role: str, key: str, expected_s: float = 0.0
    ) -> list[NDArray[np.float64]]:
        """Move to each of the goals, measure there, go on: one turn of the loop for all of them.

        Every single wait has the limit that it has in :meth:`move` and :meth:`measure`.

        Raises
        ------
        DriverFault
            As :meth:`move` and :meth:`measure`.
        """
        part, each_s = self.parts[role], expected_s + self._patience_s

        async def along() -> list[NDArray[np.float64]]:
            found: list[NDArray[np.float64]] = []
            for goal in goals:
                await asyncio.wait_for(self._together(goal), self._patience_s)
                if self.has(role, "Triggerable"):
                    await asyncio.wait_for(awaited(part.trigger), each_s)
                reading = await asyncio.wait_for(awaited(part.read), self._patience_s)
                found.append(self._value(role, key, reading))
            return found

        try:
            more_s = len(goals) * (each_s + 2.0 * self._patience_s)
            return self.wait(along, f"measuring at {len(goals)} places", more_s)
        except DriverFault:
            with self.putting_back():
                self.halt(*goals[0])
            raise

    async def _together(self, goals: Mapping[str, float]) -> None:
        await asyncio.gather(*(awaited(self.parts[r].set, v) for r, v in goals.items()))

    def halt(self, *roles: str) -> None:
        """Stop whatever of these can be stopped."""

        async def stop() -> None:
            for role in roles:
                if self.has(role, "Stoppable"):
                    done = self.parts[role].stop()
                    if asyncio.iscoroutine(done):
                        await done

        self.wait(stop, f"stopping {', '.join(roles)}")

    def prepare(self, role: str) -> None:
        """Make a part ready, where it knows of that."""
        if self.has(role, "Stageable"):
            self.wait(lambda: self.parts[role].stage(), f"staging {role}")

    def release(self, role: str) -> None:
        """The opposite of :meth:`prepare`."""
        if self.has(role, "Stageable"):
            self.wait(lambda: self.parts[role].unstage(), f"unstaging {role}")

    def measure(self, role: str, key: str, expected_s: float = 0.0) -> NDArray[np.float64]:
        """Trigger a part, where it can be, and read one of its keys: a number or an array.

        Raises
        ------
        DriverFault
            If it says nothing in time, fails, or gives something else.
        """
        part = self.parts[role]
        if self.has(role, "Triggerable"):
            self.wait(lambda: part.trigger(), f"triggering {role}", expected_s)
        reading = self.wait(lambda: part.read(), f"reading {role}")
        return self._value(role, key, reading)

    def position(self, role: str) -> float:
        """Where a part is, by its own reading."""
        part = self.parts[role]
        if self.has(role, "Locatable"):
            return float(self.wait(lambda: part.locate(), f"locating {role}")["readback"])
        reading = self.wait(lambda: part.read(), f"reading {role}")
        return float(self._value(role, next(iter(reading), ""), reading))

    def describe(self, role: str) -> Mapping[str, Any]:
        """The keys of a part, as bluesky has them."""
        return self.wait(lambda: self.parts[role].describe(), f"describing {role}")

    @contextmanager
    def putting_back(self) -> Iterator[None]:
        """What is only to put things back: waited for some seconds at most, and its faults are
        left aside, because what came before says more."""
        self._loop.patience_s = min(self._patience_s, _PUT_BACK_s)
        try:
            with suppress(DriverFault):
                yield
        finally:
            self._loop.patience_s = self._patience_s

    def wait(self, start: Start, what: str, expected_s: float = 0.0) -> Any:
        """The result of something that is awaited in the loop of the device.

        Raises
        ------
        DriverFault
            ``timeout`` if it does not come, ``instrument`` if the device raises.
        """
        return self._loop.wait(start, what, expected_s)

    def close(self) -> None:
        """End the loop; harmless a second time."""
        self._loop.close()

    def _made(self, name: str) -> Any:
        entry = device_entry(name, self.who)
        try:
            factory = entry.load()

            async def make() -> Any:  # devices want the loop that they will live in
                made = factory()
                await made.connect(timeout=self._patience_s)
                return made

            return self.wait(make, "connecting")
        except DriverFault as fault:
            raise WorkerError(
                self.who,
                fault.message.removeprefix(f"{self.who}: "),
                "a device that connects",
                fault.remedy,
            ) from fault
        except Exception as error:
            raise WorkerError(
                self.who,
                f"{entry.value!r} cannot be loaded ({type(error).__name__}: {error})",
                "a callable without arguments that gives an ophyd-async device",
                "correct the entry point, and install its distribution again",
            ) from error

    def _part(self, role: str, path: str) -> Any:
        part = self._device
        for name in filter(None, path.split(".")):
            children = {str(key): child for key, child in part.children()}
            if name not in children:
                raise SpecError(
                    self.who,
                    f"{role}: no part {name!r} in {path!r}",
                    f"one of {sorted(children)}",
                    "name a part by the device's own tree",
                )
            part = children[name]
        return part

    def _check(self, role: str, path: str, protocols: tuple[str, ...]) -> None:
        lacking = [name for name in protocols if not self.has(role, name)]
        if lacking:
            raise SpecError(
                self.who,
                f"{role}={path!r}, which is not {' and '.join(lacking)}",
                f"a part that is {' and '.join(protocols)}",
                "name another part",
            )

    def _value(self, role: str, key: str, reading: Mapping[str, Any]) -> NDArray[np.float64]:
        if key not in reading:
            raise DriverFault(
                "bad_data",
                f"{self.who}: {role} gives no {key!r}; allowed: one of {sorted(reading)}",
                "name one of them as key",
            )
        try:
            return np.asarray(reading[key]["value"], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DriverFault(
                "bad_data",
                f"{self.who}: {key} is {str(reading[key]['value'])[:60]!r}; allowed: numbers",
                "name another key",
            ) from error


def device_entry(name: str, who: str) -> EntryPoint:
    """The registered device of this name.

    Raises
    ------
    WorkerError
        If there is none.
    """
    known = _known_on(tuple(sys.path))
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise WorkerError(
            who,
            f"device {name!r} is not registered",
            f"one of {sorted(known)}",
            (f"did you mean {near[0]!r}? Otherwise " if near else "")
            + f"install a distribution that registers it under {DEVICES!r}",
        )
    return known[name]


@lru_cache(maxsize=8)
def _known_on(path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Looked up again only where the path of imports has changed."""
    return {entry.name: entry for entry in entry_points(group=DEVICES)}


def _said(goals: Mapping[str, float]) -> str:
    return ", ".join(f"{role} = {value:g}" for role, value in goals.items())
