"""The watcher of streams: quality, novelty and time left, from the newest arrays of spectra."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from ..workflow import Array, Axis, Estimate, Job, Kind, Offer, Outcome, Worker, WorkerError
from ._analyst import WEIGHT, BadData, failed, inputs, outcome, unknown
from ._stream_quality import Limits
from ._stream_worth import exposure_of, weighed, with_places
from ._watch import Watch, Watched

_WHO = "worker 'stream-watch'"


@final
class StreamWatch(Worker):
    """Watches a stream of spectra, and frames if there are any, and judges the newest array.

    The step consumes spectra (n, channels) or (rows, columns, channels), several arrays in the
    order in which they came; all but the last are what is usual. Images among the inputs (two
    axes that are both spatial) are frames of the same place for the drift, whose time is their
    metadata's ``time_s``, or else their number. Where the action says what the measurement is worth
    (its stake), a bad spectrum is taken again only if that is worth its price, and a promising but
    noisy one is measured longer. Every array is gone through again each time, so
    the answer depends on the inputs alone.

    Parameters
    ----------
    components
        Of the running decomposition.
    saturation_counts
        The detector's largest value; 0 if not known.
    most_spikes, most_gaps
        Shares of channels from which on a spectrum is bad.
    """

    kind: ClassVar[Kind] = Kind.ANALYSIS
    twin: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    def __init__(
        self,
        *,
        components: int = 6,
        saturation_counts: float = 0.0,
        most_spikes: float = 0.02,
        most_gaps: float = 0.02,
    ) -> None:
        if components < 1 or min(saturation_counts, most_spikes, most_gaps) < 0.0:
            raise WorkerError(
                _WHO,
                f"{components} components, limits {saturation_counts}, {most_spikes}, {most_gaps}",
                "at least one component, limits from 0",
                "correct the worker's configuration",
            )
        self._components = components
        self._limits = Limits(most_spikes, most_gaps, saturation_counts or None)

    def offers(self) -> tuple[Offer, ...]:
        about = "quality, novelty and change of the newest spectra; drift of frames"
        return (Offer(capability="watch_stream", about=about, columns=()),)

    def perform(self, job: Job) -> Outcome:
        """Judge the newest spectra; arrays that are no spectra are returned as a failure.

        Raises
        ------
        WorkerError
            If no array is given, or the step needs another capability or quantity.
        """
        if job.step.needs != "watch_stream":
            raise unknown(_WHO, job.step.needs, ["watch_stream"])
        given = [a for arrays in inputs(job, _WHO).values() for a in arrays]
        frames = [a for a in given if _is_frame(a)]
        streams = [a for a in given if not _is_frame(a)]
        if not streams:
            return failed(job, "no spectra among the arrays", "record spectra")
        watch = Watch(components=self._components, limits=self._limits)
        try:
            for number, frame in enumerate(frames):
                watch.frame(frame.data, float(frame.metadata.get("time_s", number)))
            states = [watch.update(_spectra(a), exposure_s=exposure_of(a)) for a in streams]
            return _judged(job, states, streams)
        except BadData as error:
            return failed(job, error.message, error.remedy)
        except ValueError as error:
            return failed(job, str(error), "record spectra alike, of at least 24 channels")


def _is_frame(array: Array) -> bool:
    return len(array.axes) == 2 and all(axis.kind == "spatial" for axis in array.axes)


def _spectra(array: Array) -> np.ndarray:
    data = np.asarray(array.data, dtype=np.float64)
    return data.reshape(-1, data.shape[-1]) if data.ndim else data


def _judged(job: Job, states: list[Watched], streams: list[Array]) -> Outcome:
    state, newest = states[-1], streams[-1]
    quality = with_places(state.quality, newest, state.faults)
    if job.action.stake is not None:
        quality = weighed(job.action.stake, states, streams)
    values: dict[str, Estimate | None] = dict(state.values())
    notes: dict[str, float | str] = {"changed": float(state.changed)}
    if state.drift is not None:
        for axis, shift in zip(("row", "column"), state.drift.shift_px, strict=False):
            values[f"drift_{axis}"] = shift if state.drift.trusted else None
        notes["frames_alike"] = float(state.drift.trusted)
    number = Axis("spectrum", "1", np.arange(float(len(state.weights))))
    if len(newest.axes) == 2:
        number = newest.axes[0]
    mask = Array(
        state.weights,
        "1",
        (number,),
        quantity=WEIGHT,
        metadata={k: v for k, v in newest.metadata.items() if k == "n_cols"},
    )
    arrays = {port.name: mask for port in job.step.records[:1]}
    return outcome(job, _WHO, values, arrays=arrays, quality=quality, notes=notes)
