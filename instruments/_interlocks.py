"""Interlocks: what must be so on the instrument before a command may be given."""

from __future__ import annotations

from collections.abc import Iterator

from ..workflow import Adjust, Blank, Command, InstrumentState, SetBeam

_TAKES_DATA = frozenset({"overview", "scan", "spectrum", "loop", "sweep", "path"})
_IN_CONTACT = frozenset({"overview", "scan", "loop", "sweep", "path"})
_STEM = frozenset({"set_beam", "set_focus", "blank", "place_beam", "spectrum"})
_SPM = frozenset({"approach", "retract", "loop", "sweep", "path"})


def broken_interlocks(command: Command, state: InstrumentState) -> Iterator[str]:
    """Every interlock that the command would break in this state, in words, with the remedy."""
    verb = command.verb
    if verb in (_SPM if state.technique == "stem" else _STEM):
        yield f"{verb!r} is no command of this technique ({state.technique})"
        return
    needs_sample = verb in _TAKES_DATA or verb in {"tune", "approach", "place_beam"}
    if needs_sample and state.sample is None:
        yield "no sample is loaded: load one first"
    if (needs_sample or verb == "blank") and not state.settled and not _is_safe(command):
        yield "the stage has not settled: wait"
    yield from _stem(command, state) if state.technique == "stem" else _spm(command, state)


def _is_safe(command: Command) -> bool:
    return command.verb == "retract" or (isinstance(command, Blank) and command.blanked)


def _stem(command: Command, state: InstrumentState) -> Iterator[str]:
    parked = state.beam_y_nm is not None
    if command.verb in {"load", "move_stage"} and not state.blanked:
        yield "the beam is on: blank it before anything moves"
    if isinstance(command, SetBeam) and command.voltage_kV is not None and not state.blanked:
        yield "the beam is on: blank it before the voltage changes"
    if isinstance(command, Blank) and not command.blanked and parked:
        yield "the beam is parked: it would burn one place without end; take a spectrum there"
    if command.verb == "place_beam" and not state.blanked:
        yield "the beam is on: blank it before it is parked, or take a spectrum there"
    if isinstance(command, Adjust) and command.what not in {"focus", "aberrations"}:
        yield f"an electron microscope has no {command.what}: tune focus or aberrations"


def _spm(command: Command, state: InstrumentState) -> Iterator[str]:
    if command.verb in {"load", "move_stage"} and state.engaged:
        yield "the tip is in contact: retract it before anything moves"
    if command.verb in _IN_CONTACT and not state.engaged:
        yield "the tip is not in contact: approach first"
    if isinstance(command, Adjust):
        if command.what not in {"resonance", "dart"}:
            yield f"a scanning probe has no {command.what}: tune resonance or dart"
        elif not state.engaged:
            yield "the tip is not in contact: approach first, the resonance is the contact's"
