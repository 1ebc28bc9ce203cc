"""The analyst of piezoresponse microscopy."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from ..workflow import (
    Array,
    Axis,
    Estimate,
    Job,
    Kind,
    Offer,
    Outcome,
    Quality,
    Worker,
    WorkerError,
)
from ._analyst import done, failed, table
from ._pfm_features import COMPONENTS, describe, probe_lattice
from ._pfm_image import fault, find_domains
from ._pfm_pad import fit_pad
from ._pfm_quality import judge
from ._pfm_spectra import Batch, read_batch, read_masks

_WHO = "worker 'pfm-analysis'"
_ABOUT = {
    "segment_domains": "domain contrast, walls and local structure of a piezoresponse image",
    "check_quality": "spikes, gaps, clipping, noise and lost contact in the newest loops",
    "fit_loops": "remanent polarization and coercive bias of all good loops of a pad",
}
_SCATTER = {"loop_polarization": 5.0, "coercive_bias": 0.3}
"""Scatter between positions where the step does not say: uC/cm**2 and V."""


_COLUMNS = {
    "segment_domains": (*(f"f{k}" for k in range(COMPONENTS)), "wall"),
    "fit_loops": ("loop_polarization", "coercive_bias"),
}


@final
class PfmAnalysis(Worker):
    """Reduces piezoresponse images and hysteresis loops to quantities with errors."""

    kind: ClassVar[Kind] = Kind.ANALYSIS
    twin: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    def offers(self) -> tuple[Offer, ...]:
        return tuple(
            Offer(capability=name, about=about, columns=_COLUMNS.get(name, ()))
            for name, about in _ABOUT.items()
        )

    def perform(self, job: Job) -> Outcome:
        """Analyse; data that cannot be analysed are returned as a failure.

        Raises
        ------
        WorkerError
            If an input is missing or the step needs another capability.
        """
        match job.step.needs:
            case "segment_domains":
                return _segment(job)
            case "check_quality":
                return _check(job)
            case "fit_loops":
                return _fit(job)
            case other:
                raise WorkerError(
                    _WHO,
                    f"capability {other!r}",
                    f"one of {list(_ABOUT)}",
                    "give the step to a worker that offers it",
                )


def _segment(job: Job) -> Outcome:
    image = np.asarray(_needed(job, "domain_image")[-1].data, dtype=np.float64)
    if complaint := fault(image):
        return failed(job, f"domain_image: {complaint}", "tune, then scan the pad again")
    domains = find_domains(image)
    positions = probe_lattice(image.shape)
    return done(
        job,
        values={
            "domain_contrast": Estimate(value=domains.contrast_pm, std=domains.contrast_std_pm),
            "wall_density": Estimate(value=domains.wall_density, std=domains.wall_density_std),
        },
        tables={"features": table(positions.tolist(), describe(domains, positions), digits=5)},
        notes={"noise_pm": domains.noise_pm, "offset_pm": domains.offset_pm},
    )


def _check(job: Job) -> Outcome:
    *earlier, newest = (read_batch(array) for array in _needed(job, "loops"))
    if isinstance(newest, str):
        return failed(job, newest, "take the loops again with a full bias cycle")
    result = judge(newest, [b for b in earlier if isinstance(b, Batch)])
    source = job.arrays["loops"][-1]
    mask = Array(
        data=result.weights,
        unit="1",
        axes=(Axis("position", "1", source.axes[0].values, source.axes[0].kind),),
        quantity="weight of a loop",
        metadata={k: v for k, v in source.metadata.items() if k == "n_cols"},
    )
    score = float(result.scores.mean())
    bad = tuple(p for p, fault in zip(newest.positions, result.faults, strict=True) if fault)
    quality = Quality(verdict=result.verdict, score=score, reason=result.reason, again=bad)
    return done(job, arrays={"loop_mask": mask}, quality=quality)


def _fit(job: Job) -> Outcome:
    read = [read_batch(array) for array in _needed(job, "loops")]
    batches = [b for b in read if isinstance(b, Batch)]
    complaints = [b for b in read if isinstance(b, str)]
    if not batches:
        return failed(job, "; ".join(complaints), "take the loops again with a full bias cycle")
    pad = fit_pad(batches, read_masks(_needed(job, "loop_mask")))
    if not any(pad.good):
        return failed(
            job,
            f"none of {len(pad.good)} loops is usable",
            "tune, then measure loops again, also at other positions",
        )
    scatter = _SCATTER | {k: v for k, v in job.step.noise.items() if k in _SCATTER and v > 0}
    opened = [f.imprint_V for f in pad.fits if f is not None and f.is_open]
    notes: dict[str, float | str] = {
        "good_loops": float(sum(pad.good)),
        "open_loops": float(len(opened)),
    }
    if opened:
        notes["imprint_V"] = float(np.mean(opened))
    if complaints:
        notes["left_out"] = "; ".join(complaints)
    return done(
        job,
        values={
            "loop_polarization": pad.polarization(scatter["loop_polarization"]),
            "coercive_bias": pad.coercive_bias(scatter["coercive_bias"]),
        },
        tables={"loops": table(pad.positions, pad.columns(), digits=5)},
        notes=notes,
    )


def _needed(job: Job, name: str) -> tuple[Array, ...]:
    arrays = job.arrays.get(name, ())
    if not arrays:
        raise WorkerError(
            f"{_WHO}, step {job.step.name!r}",
            f"no array {name!r}",
            f"at least one; given are {sorted(job.arrays)}",
            f"let the step consume {name!r} and do first the step that records it",
        )
    return arrays
