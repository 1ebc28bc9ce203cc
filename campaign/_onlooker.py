"""What a person sees of spectra while an instrument takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from ..analysis import Watch, Watched
from ..workflow import Chunk, Command, Where, pretty_seconds


@final
class Onlooker:
    """Watches the spectra of every command as they arrive, says what it sees, ends what is bad.

    To be a console's ``watch``. Every command is a stream of its own with a :class:`Watch`; the
    places of the command are its total, from which the remaining time follows.

    Parameters
    ----------
    say
        Takes a line: after every chunk that has spectra.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._command: Command | None = None
        self._watch, self._total = Watch(), 0

    def __call__(self, command: Command, chunk: Chunk) -> str | None:
        """A reason to end the program, or None."""
        if command is not self._command:
            where = getattr(command, "at", None)
            places = len(where.resolve({})) if isinstance(where, Where) else 0
            self._total = places * getattr(command, "frames", 1)
            self._command, self._watch = command, Watch(total=self._total or None)
        before = self._watch.last
        reason = self._watch(command, chunk)  # type: ignore[arg-type]
        state = self._watch.last
        if state is not None and state is not before:
            self._say(f"{command.verb} {_line(state, self._total)}")
        return reason


def _line(state: Watched, total: int) -> str:
    """Such as ``12 of 40: keep, all spectra are usable; 1.3 ± 0.1 s left``."""
    said = f"{state.seen} of {total}: {state.quality.verdict}, {state.quality.reason}"
    left = state.remaining_s
    if left is not None and state.seen < total:
        said += f"; {pretty_seconds(left.value)} ± {pretty_seconds(left.std)} left"
    return said
