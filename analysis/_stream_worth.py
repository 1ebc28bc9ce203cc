"""What to do with the newest spectra, by what they are worth: keep, take again, measure longer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..workflow import Array, Estimate, Quality, Stake
from ._analyst import BadData, Curves, in_eV, positions_of
from ._loss_share import reading_of
from ._watch import Watched
from ._worth import Weighed, weigh

_LOOKED_AT = 8
"""So many of the last good spectra tell what noise is usual."""


def with_places(quality: Quality, newest: Array, faults: Sequence[str]) -> Quality:
    """A verdict with the positions of the bad spectra, which may be taken again."""
    places = positions_of(newest, len(faults))
    again = tuple(p for p, fault in zip(places, faults, strict=True) if fault)
    return quality.model_copy(update={"again": again})


def weighed(stake: Stake, states: Sequence[Watched], streams: Sequence[Array]) -> Quality:
    """The verdict over the newest of several arrays of spectra, with the value of more of them.

    A bad spectrum is taken again if knowing the place is worth a second measurement; a good one is
    followed by a longer one if its place is promising and its noise hides how good it is.
    """
    state, newest = states[-1], streams[-1]
    plain = with_places(state.quality, newest, state.faults)
    places = positions_of(newest, len(state.faults))
    if plain.verdict == "stop" or len(places) != len(stake.believed):
        return plain
    known = _known(stake, states, streams)
    usual = [e.std * np.sqrt(seconds) for e, seconds in list(known.values())[-_LOOKED_AT:]]
    again: dict[tuple[int, int], float] = {}
    said = []
    for k, (place, fault) in enumerate(zip(places, state.faults, strict=True)):
        reading, seconds = known.get(place, (None, 0.0))
        noise = float(np.median(usual)) if usual else 0.0
        if reading is not None:
            noise = reading.std * float(np.sqrt(seconds))
        elif not fault:
            continue  # nothing here can be read off
        found = _weighed_at(stake, k, reading, noise, newest)
        if found is None:
            continue
        if found.dwell.worth_it:
            again[place] = found.dwell.more_s
        said.append(f"{place}: {fault + '; ' if fault else ''}{found.reason}")
    reason = "; ".join(said) or plain.reason
    if not again:
        return Quality(verdict="keep", score=plain.score, reason=reason)
    dwell = min(float(f"{max(again.values()):.3g}"), max(again.values()))
    return Quality(
        verdict="retake", score=plain.score, reason=reason, again=tuple(again), dwell_s=dwell
    )


def _weighed_at(
    stake: Stake, place: int, reading: Estimate | None, noise_1s: float, newest: Array
) -> Weighed | None:
    """Of one place; None where a good spectrum cannot be followed by a longer one."""
    longest = stake.longest_s
    if longest <= 0.0:
        if reading is not None:
            return None
        longest = exposure_of(newest)
    return weigh(stake, place, reading, noise_1s, longest, stake.overhead_credits)


def _known(
    stake: Stake, states: Sequence[Watched], streams: Sequence[Array]
) -> dict[tuple[int, int], tuple[Estimate, float]]:
    """What the good spectra of each place say together, and their seconds, in the order in which
    places were last measured."""
    pairs = [
        (place, array, row)
        for state, array in zip(states, streams, strict=True)
        for row, place in enumerate(positions_of(array, len(state.weights)))
        if state.weights[row]
    ]
    last = list(dict.fromkeys(place for place, _, _ in reversed(pairs)))[:_LOOKED_AT][::-1]
    found = {}
    for place in last:
        of = [(array, row) for where, array, row in pairs if where == place]
        counts = sum(np.asarray(a.data, np.float64).reshape(-1, a.data.shape[-1])[r] for a, r in of)
        reading = reading_of(stake.quantity, _energy(of[-1][0]), np.asarray(counts))
        if reading is not None:
            found[place] = reading, sum(exposure_of(a) for a, _ in of)
    return found


def exposure_of(array: Array) -> float:
    """Seconds of each spectrum of an array; 1 where it does not say."""
    told = array.metadata.get("exposure_s", 1.0)
    return float(told) if isinstance(told, int | float) and told > 0 else 1.0


def _energy(array: Array) -> np.ndarray:
    axis = array.axes[-1]
    try:
        x = np.asarray(axis.values, dtype=np.float64)
        return in_eV(Curves(np.zeros((0, len(x))), x, axis.unit, (), array.unit))
    except BadData:
        return np.zeros(len(axis.values))
