"""Watches the stream of hysteresis loops: which to keep, which to take again, when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ._pfm_spectra import Batch, noise_of, spikes_of

Floats = NDArray[np.float64]

MOST_BAD_POINTS = 0.08
"""Largest share of spikes and gaps that the fit copes with."""
_CLIPPED = 0.06
_NOISY = 1.6
_FALLING = 2.0
_SIGNAL = 3.0
_USUAL_SHARE = 0.8
_ENOUGH = 3


@dataclass(frozen=True)
class Judgement:
    """The quality of a batch.

    ``weights`` (n,) are 1 for spectra to keep and 0 for the others, ``scores`` (n,) the share of
    usable points, 0 for bad spectra; ``faults`` (n,) say what is wrong, empty where nothing is.
    """

    weights: Floats
    scores: Floats
    faults: tuple[str, ...]
    verdict: Literal["keep", "retake", "stop"]
    reason: str


def judge(batch: Batch, earlier: Sequence[Batch] = ()) -> Judgement:
    """Judge a batch by itself and against earlier batches of the same pad.

    A loop that does not open is no fault: a non-polar place looks like that. If loops opened before
    and none does now, the tip has lost contact. Retake says that a minority is bad; stop that most
    are, that contact is lost, or that the noise has doubled, and the tip needs tuning.
    """
    before = [row for b in earlier for row in b.response_pm]
    mates = [*batch.response_pm]
    if len(mates) < _ENOUGH:
        mates += [row for b in earlier[-1:] for row in b.response_pm]
    faults = [_fault(row, _median_noise(mates)) for row in batch.response_pm]
    lost = _contact_lost(batch, before)
    if lost:
        faults = [fault or "no response" for fault in faults]
    bad_points = np.array([spikes_of(row).mean() for row in batch.response_pm])
    weights = np.array([0.0 if fault else 1.0 for fault in faults])
    verdict, reason = _verdict(batch, faults, lost, _median_noise(before))
    return Judgement(weights, weights * (1.0 - bad_points), tuple(faults), verdict, reason)


def has_signal(response: Floats, strength: float = _SIGNAL) -> bool:
    """Whether a loop shows more than white noise: its neighbouring points are alike.

    Their correlation must exceed ``strength`` standard deviations of that of noise.
    """
    y = response[~spikes_of(response)]
    if len(y) < 4 or np.ptp(y) == 0.0:
        return False
    y = y - y.mean()
    alike = float(np.sum(y[1:] * y[:-1]) / np.sum(y * y))
    return alike > strength / np.sqrt(len(y))


def goes_silent(response: Floats) -> bool:
    """Whether the first half of a cycle has a clear signal and the second none.

    The bias goes through both signs, so a place that answers to one answers to the other.
    """
    half = len(response) // 2
    return has_signal(response[:half], _SIGNAL + 1.0) and not has_signal(
        response[half:], _SIGNAL - 1.0
    )


def _median_noise(rows: Sequence[Floats]) -> float:
    return float(np.median([noise_of(row) for row in rows])) if rows else 0.0


def _fault(response: Floats, usual_noise: float) -> str:
    known = response[np.isfinite(response)]
    if len(known) < (1.0 - MOST_BAD_POINTS) * len(response):
        return f"{len(response) - len(known)} points missing"
    if np.ptp(known) == 0.0:
        return "constant signal"
    stuck = max(int(np.sum(known == known.max())), int(np.sum(known == known.min())))
    if stuck >= max(4, _CLIPPED * len(known)):
        return f"clipped at {stuck} points"
    spikes = spikes_of(response)
    if spikes.mean() > MOST_BAD_POINTS:
        return f"{int(spikes.sum())} spikes"
    noise = noise_of(response)
    if usual_noise > 0.0 and noise > _NOISY * usual_noise:
        return f"noise {noise:.2g} pm, usually {usual_noise:.2g}"
    return "contact lost on the way" if goes_silent(response) else ""


def _contact_lost(batch: Batch, before: Sequence[Floats]) -> bool:
    """Whether nearly all loops had a signal before, and none of at least two has one now."""
    if len(batch.response_pm) < 2 or not before:
        return False
    usual = float(np.mean([has_signal(row) for row in before]))
    return usual >= _USUAL_SHARE and not any(has_signal(row) for row in batch.response_pm)


def _verdict(
    batch: Batch, faults: Sequence[str], lost: bool, usual_noise: float
) -> tuple[Literal["keep", "retake", "stop"], str]:
    bad = [(p, f) for p, f in zip(batch.positions, faults, strict=True) if f]
    listed = "; ".join(f"{position}: {fault}" for position, fault in bad)
    if lost:
        return "stop", f"contact lost, retune: {listed}"
    if len(bad) >= 2 and len(bad) > 0.5 * len(faults):
        return "stop", f"{len(bad)} of {len(faults)} loops are bad, retune: {listed}"
    noise = _median_noise([*batch.response_pm])
    if usual_noise > 0.0 and noise > _FALLING * usual_noise:
        return "stop", f"noise rose from {usual_noise:.2g} to {noise:.2g} pm, retune"
    if bad:
        return "retake", listed
    if not any(has_signal(row) for row in batch.response_pm):
        return "keep", "no loop opens: a non-polar place, or no contact"
    return "keep", "all loops are usable"
