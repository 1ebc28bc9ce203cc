"""Watches an acquisition while it runs: quality, novelty, change, drift, time left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from ..workflow import AnyCommand, Chunk, Estimate, Quality
from ._drift import Drift, DriftTracker
from ._fitting import Noise, estimate_noise
from ._stream_decomposition import RunningDecomposition
from ._stream_novelty import Cusum, NoveltyScale, residual_statistics
from ._stream_progress import Progress
from ._stream_quality import Limits, Screened, screen

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_NOVEL = 3.29
"""Score of a novel spectrum: five false alarms in ten thousand."""
_MOST_BAD = 0.5
_NOISE_SPECTRA = 32
_LEAST_CHANNELS = 24


@dataclass(frozen=True)
class Watched:
    """The state after a chunk of n spectra.

    Attributes
    ----------
    seen
        Spectra so far.
    quality
        Keep, retake or stop, a score from 0 to 1, and the reason.
    weights
        1 for spectra to keep and 0 for bad ones (n,).
    faults
        What is wrong with each, empty where nothing is.
    novelty
        Standard normal scores (n,) of what the decomposition so far does not explain; 0 in the
        beginning, while nothing is usual yet.
    novel
        Which spectra (n,) are novel.
    novel_positions
        Their positions, as given.
    changed
        Whether this chunk gave the alarm that spectra lastingly differ from what was usual.
    drift
        Of the last frame, None without frames.
    remaining_s
        Expected remaining time, None where the total or the clock is not known.
    """

    seen: int
    quality: Quality
    weights: Floats
    faults: tuple[str, ...]
    novelty: Floats
    novel: Bools
    novel_positions: Floats
    changed: bool
    drift: Drift | None
    remaining_s: Estimate | None

    def values(self) -> dict[str, Estimate]:
        """The chunk in numbers: shares of good and of novel spectra with their binomial errors
        (Laplace's rule), the mean novelty with its error, and the time left."""
        n = len(self.weights)
        values = {
            "good_share": _share(float(self.weights.sum()), n),
            "novel_share": _share(float(self.novel.sum()), n),
            "novelty": Estimate(value=float(self.novelty.mean()), std=1.0 / np.sqrt(n)),
        }
        if self.remaining_s is not None:
            values["remaining"] = self.remaining_s
        return values


def _share(hits: float, n: int) -> Estimate:
    p = (hits + 1.0) / (n + 2.0)
    return Estimate(value=hits / n, std=float(np.sqrt(p * (1.0 - p) / (n + 3.0))))


@final
class Watch:
    """Takes in chunks of spectra and says what it sees. No files, no clock of its own.

    Parameters
    ----------
    components
        Of the running decomposition.
    total
        Spectra that the acquisition will have; without it there is no remaining time.
    limits
        From where on a spectrum is bad.
    noise
        Of the detector; by default the median of what the first 32 spectra say themselves.
    between_false_alarms
        Mean number of spectra from one false alarm of change to the next.
    """

    def __init__(
        self,
        *,
        components: int = 6,
        total: int | None = None,
        limits: Limits | None = None,
        noise: Noise | None = None,
        between_false_alarms: float = 5000.0,
    ) -> None:
        self.decomposition = RunningDecomposition(components)
        self._scale = NoveltyScale()
        self._cusum = Cusum(between_false_alarms=between_false_alarms)
        self._limits = limits or Limits()
        self._noise, self._noise_known = noise or Noise(), noise is not None
        self._guesses: list[Noise] = []
        self._usual_rate: float | None = None
        self._progress = Progress(total) if total else None
        self._drift = DriftTracker()
        self._last_drift: Drift | None = None
        self._channels: int | None = None
        self._elapsed_s = 0.0
        self.seen = 0
        self.last: Watched | None = None

    def frame(self, image: Floats, time_s: float) -> Drift:
        """Take in a frame of the place (or the same rows of it again) for the drift.

        Raises
        ------
        ValueError
            If its shape is not that of the first frame, or a side is shorter than eight pixels.
        """
        self._last_drift = self._drift.update(image, time_s)
        return self._last_drift

    def update(
        self,
        spectra: Floats,
        positions: Floats | None = None,
        elapsed_s: float | None = None,
        exposure_s: float = 1.0,
    ) -> Watched:
        """Take in spectra (n, channels) as they came, at positions (n, 2), ``elapsed_s`` after the
        begin. The counts that are usual go with the exposure.

        Raises
        ------
        ValueError
            If the shape is not (n, channels) with at least 24 channels, as many as before, or there
            are not as many positions as spectra.
        """
        data = self._checked(spectra)
        places = np.zeros((len(data), 2)) if positions is None else np.asarray(positions)
        if len(places) != len(data):
            raise ValueError(f"{len(places)} positions for {len(data)} spectra")
        self._learn_noise(data)
        usual = None if self._usual_rate is None else self._usual_rate * exposure_s
        screened = screen(data, self._noise, usual, self._limits)
        good = np.array([not fault for fault in screened.faults], dtype=bool)
        novelty = self._novelty(screened.clean, good)
        novel = novelty > _NOVEL
        alarm = self._cusum.update(novelty[good]) if self._scale.ready else None
        self._learn(screened, good, exposure_s)
        self.seen += len(data)
        remaining = (
            self._progress.update(len(data), elapsed_s)
            if self._progress is not None and elapsed_s is not None
            else None
        )
        return Watched(
            seen=self.seen,
            quality=_quality(screened, good, novel, alarm is not None),
            weights=good.astype(np.float64),
            faults=screened.faults,
            novelty=novelty,
            novel=novel,
            novel_positions=places[novel],
            changed=alarm is not None,
            drift=self._last_drift,
            remaining_s=remaining,
        )

    def __call__(self, command: AnyCommand, chunk: Chunk) -> str | None:
        """As a console's ``watch``: takes in the spectra of a chunk; a reason to stop, or None.

        Chunks without spectra, or with other channels than the first ones, are let pass. ``last``
        holds the state.
        """
        self._elapsed_s += chunk.seconds or 0.0
        if chunk.frame is None or chunk.data is None or chunk.frame.axes[-1].kind != "spectral":
            return None
        data = np.asarray(chunk.data, dtype=np.float64)
        if self._channels not in (None, data.shape[-1]) or data.shape[-1] < _LEAST_CHANNELS:
            return None
        spectra = data.reshape(-1, data.shape[-1])
        exposure_s = chunk.signals.get("exposure_s") or 1.0
        self.last = self.update(spectra, elapsed_s=self._elapsed_s, exposure_s=exposure_s)
        quality = self.last.quality
        return quality.reason if quality.verdict == "stop" else None

    def _checked(self, spectra: Floats) -> Floats:
        data = np.asarray(spectra, dtype=np.float64)
        if data.ndim != 2 or not len(data) or data.shape[1] < _LEAST_CHANNELS:
            raise ValueError(f"spectra of shape {data.shape}, not (n, at least 24 channels)")
        if self._channels not in (None, data.shape[1]):
            raise ValueError(f"{data.shape[1]} channels after {self._channels}")
        self._channels = data.shape[1]
        return data

    def _learn_noise(self, data: Floats) -> None:
        """The median of what the first spectra say; afterwards it is kept, so that it can rise."""
        if self._noise_known:
            return
        whole = data[np.isfinite(data).all(axis=1)]
        self._guesses += [estimate_noise(row) for row in whole]
        if self._guesses:
            gain = float(np.median([g.gain for g in self._guesses]))
            self._noise = Noise(gain, float(np.median([g.floor for g in self._guesses])))
        self._noise_known = len(self._guesses) >= _NOISE_SPECTRA

    def _novelty(self, clean: Floats, good: Bools) -> Floats:
        """Scores against what was learnt before this chunk; bad spectra are not novel."""
        scores = np.zeros(len(clean))
        if not self.decomposition.ready or not good.any():
            return scores
        usable = clean[good]
        statistics = residual_statistics(usable, self.decomposition.rebuilt(usable), self._noise)
        found = self._scale.scores(statistics)
        scores[good] = found
        self._scale.learn(statistics[found <= _NOVEL])
        return scores

    def _learn(self, screened: Screened, good: Bools, exposure_s: float) -> None:
        if good.any():
            usable = screened.clean[good]
            self.decomposition.update(usable)
            rate = float(np.median(usable.sum(axis=1))) / exposure_s
            before = rate if self._usual_rate is None else self._usual_rate
            self._usual_rate = 0.9 * before + 0.1 * rate


def _quality(screened: Screened, good: Bools, novel: Bools, changed: bool) -> Quality:
    score = float(screened.scores.mean())
    bad = [f"{k}: {fault}" for k, fault in enumerate(screened.faults) if fault]
    listed = "; ".join(bad[:5]) + ("; ..." if len(bad) > 5 else "")
    if len(bad) >= 2 and 1.0 - good.mean() > _MOST_BAD:
        reason = f"{len(bad)} of {len(good)} spectra are bad: {listed}"
        return Quality(verdict="stop", score=score, reason=reason)
    if bad:
        return Quality(verdict="retake", score=score, reason=listed)
    if changed:
        reason = (
            "spectra differ lastingly from what was usual: has the place or the optics changed?"
        )
        return Quality(verdict="keep", score=score, reason=reason)
    if novel.any():
        return Quality(verdict="keep", score=score, reason=f"{int(novel.sum())} novel spectra")
    return Quality(verdict="keep", score=score, reason="all spectra are usable")
