"""The recorder: events are on the disk before anything acts on them or anybody sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import final

from ..workflow import Clock, Event, State

Write = Callable[..., object]
"""Makes events durable: ``write(*events)`` returns when they are on the disk."""


@final
class Recorder:
    """Writes what happens and takes it into the state.

    Parameters
    ----------
    state
        The fold over the journal so far; updated in place.
    write
        The journal.
    clock
        Whose time it is.
    """

    def __init__(self, state: State, write: Write, clock: Clock) -> None:
        self.state = state
        self.taken_in = 0
        """How many events the state has taken in here."""
        self._write, self._clock = write, clock
        self._held: list[Event] = []

    def hour(self) -> float:
        """Now; never before what was written last."""
        return max(self._clock.now_h(), self.state.now_h)

    def record(self, *events: Event) -> Iterator[Event]:
        """All of them are on the disk and in the state before the first is shown to anybody."""
        yield from self.show()
        if events:
            self._write(*events)
        self._apply(events)
        yield from events

    def hold(self, *events: Event) -> None:
        """Take them into the state, for what is decided next; :meth:`show` writes them."""
        self._apply(events)
        self._held += events

    def show(self) -> Iterator[Event]:
        """Write what is held, in one transaction; then show it."""
        held, self._held = self._held, []
        if held:
            self._write(*held)
        yield from held

    def _apply(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self.state.apply(event)
        self.taken_in += len(events)
