"""Analysis of current-field maps: structure around every pixel, high-field current of spectra."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from ..workflow import (
    Array,
    Estimate,
    Job,
    Kind,
    Offer,
    Outcome,
    Worker,
    WorkerError,
)
from ._analyst import done, failed, table
from ._iv_spectra import HighField, high_field
from ._patches import PATCH, contrast, patch_features


@final
class IvAnalysis(Worker):
    """Describes the structure image of a film and reduces the spectra taken on it.

    ``describe_patches`` gives the robust contrast of the image and a table ``features`` with eight
    numbers for every pixel that the image has; ``reduce_spectra`` takes all spectra so far and
    gives the mean high-field log10 current of the good ones and a table ``spectra``, one row a
    position (``log_current``, ``log_current_std``, ``good``).
    """

    kind: ClassVar[Kind] = Kind.ANALYSIS
    twin: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    def offers(self) -> tuple[Offer, ...]:
        return (
            Offer(
                capability="describe_patches",
                about="principal components of the 9 x 9 pixels around every pixel",
                columns=tuple(f"f{k}" for k in range(8)),
            ),
            Offer(
                capability="reduce_spectra",
                about="mean log current of the five highest fields; gaps and spikes are left out",
                columns=("log_current",),
            ),
        )

    def perform(self, job: Job) -> Outcome:
        match job.step.needs:
            case "describe_patches":
                return self._describe(job, job.arrays.get("low_field_image", ()))
            case "reduce_spectra":
                return self._reduce(job, job.arrays.get("iv_spectra", ()))
            case other:
                raise WorkerError(
                    "worker iv-analysis",
                    f"capability {other!r}",
                    f"one of {[o.capability for o in self.offers()]}",
                    "correct the step's name or capability",
                )

    def _describe(self, job: Job, images: tuple[Array, ...]) -> Outcome:
        if not images:
            return failed(job, "no low_field_image", "take an overview scan first", "missing")
        image = images[-1].data
        if image.ndim != 2 or min(image.shape) < PATCH or not np.isfinite(image).any():
            return failed(
                job,
                f"an image of shape {image.shape} with {np.isfinite(image).sum()} finite pixels",
                f"record an image of at least {PATCH} x {PATCH} pixels",
            )
        features = patch_features(image)
        known = np.argwhere(np.isfinite(image))
        rows = known @ [image.shape[1], 1]
        features_table = table(
            known, {f"f{k}": column[rows] for k, column in enumerate(features.T)}, digits=5
        )
        return done(
            job, values={"image_contrast": contrast(image)}, tables={"features": features_table}
        )

    def _reduce(self, job: Job, batches: tuple[Array, ...]) -> Outcome:
        if not batches:
            return failed(job, "no iv_spectra", "measure spectra first", "missing")
        latest = {
            p: s for batch in batches for p, s in zip(_positions(batch), batch.data, strict=True)
        }
        result = high_field(np.stack(list(latest.values())))
        if not result.good.any():
            return failed(
                job,
                f"none of {len(latest)} spectra is whole and free of spikes",
                "measure at other positions",
            )
        columns = {
            "log_current": result.value,
            "log_current_std": result.std,
            "good": result.good.astype(np.float64),
        }
        spectra = table(list(latest), columns, digits=5)
        return done(job, values={"log_current": _mean(result)}, tables={"spectra": spectra})


def _positions(batch: Array) -> list[tuple[int, int]]:
    """Probe positions (row, column) from the running number of the pixels."""
    numbers = batch.axes[0].values.astype(np.int64)
    rows, columns = np.divmod(numbers, int(batch.metadata["n_cols"]))
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _mean(result: HighField) -> Estimate:
    """Mean of the good spectra and its standard error; a single one has its own error."""
    values = result.value[result.good]
    if values.size == 1:
        return Estimate(value=float(values[0]), std=float(result.std[result.good][0]))
    return Estimate(
        value=float(values.mean()), std=float(values.std(ddof=1) / np.sqrt(values.size))
    )
