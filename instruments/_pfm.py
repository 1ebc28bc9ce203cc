"""Twin of a piezoresponse force microscope."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from ..matter import PIXELS, Pad, PIXEL_nm, make_pad, make_world, triangle
from ..workflow import (
    Array,
    Axis,
    DesignSpaceError,
    Job,
    Kind,
    Offer,
    Outcome,
    SpecError,
    Worker,
    WorkerError,
)
from ._pfm_signal import Tuning, image_of, positions_seen, spectra_of, tuning_of
from ._refusal import refusal

_BIAS_POINTS = 128


@final
class PfmTwin(Worker):
    """Images domains and takes local hysteresis loops in the hidden world of a seed.

    Parameters
    ----------
    world_seed
        The seed of the world; the same as for the other twins of the campaign.
    bias_V
        Amplitude of the bias triangle, above 0.

    Raises
    ------
    SpecError
        If a parameter is out of range.
    """

    kind: ClassVar[Kind] = Kind.INSTRUMENT
    twin: ClassVar[bool] = True
    replayable: ClassVar[bool] = True

    def __init__(self, world_seed: int = 0, bias_V: float = 8.0) -> None:
        if not 0.0 < bias_V <= 20.0:
            raise SpecError(
                "worker 'pfm-twin'", f"bias_V={bias_V}", "above 0, up to 20", "lower the bias"
            )
        self._world = make_world(world_seed)
        self._bias_V = triangle(_BIAS_POINTS, bias_V)

    def offers(self) -> tuple[Offer, ...]:
        return (
            Offer(capability="load_sample", about="twin: mount a strip"),
            Offer(capability="tune", about="twin: contact resonance and lever calibration"),
            Offer(capability="overview_scan", about="twin: piezoresponse image of a pad"),
            Offer(capability="measure_loops", about="twin: local switching spectroscopy"),
        )

    def safe(self) -> str:
        return "twin: tip withdrawn, bias off"

    def perform(self, job: Job) -> Outcome:
        """Do what the step needs.

        ``overview_scan`` gives ``domain_image`` in pm, shape (128, 128), axes row and column in nm.
        ``measure_loops`` gives ``loops`` in pm, shape (positions, 128), read at zero bias after
        each pulse; axis ``position`` holds row * 128 + column, axis ``bias`` the pulses in V. Both
        name in their metadata the nominal ``sensitivity_pm_per_uC_per_cm2``.

        Raises
        ------
        WorkerError
            If the step needs what this worker does not offer.
        """
        needs = job.step.needs
        if needs not in {o.capability for o in self.offers()}:
            raise WorkerError(
                "worker 'pfm-twin'",
                f"a step that needs {needs!r}",
                f"one of {[o.capability for o in self.offers()]}",
                "give the step to a worker that offers it",
            )
        if job.action.target.sample is None:
            return refusal("no sample named", "name the sample")
        if needs == "load_sample":
            return self._done(job)
        if needs == "tune":
            return self._done(job, {"contact_resonance_kHz": self._resonance_kHz(job)})
        try:
            pad = self._pad(job)
        except DesignSpaceError as error:
            return refusal(f"{error.given}; allowed: {error.allowed}", error.remedy)
        tuning = tuning_of(self._world, pad.sample, job.action.hours)
        return (
            self._overview(job, pad, tuning)
            if needs == "overview_scan"
            else self._loops(job, pad, tuning)
        )

    def _pad(self, job: Job) -> Pad:
        target = job.action.target
        return make_pad(self._world.seed, target.sample or "", target.site or 0, target.design)

    def _resonance_kHz(self, job: Job) -> float:
        return round(float(job.rng.normal(352.0, 4.0)), 2)

    def _done(self, job: Job, notes: dict[str, float | str] | None = None) -> Outcome:
        credits, hours = job.draw_price()
        return Outcome(cost_credits=credits, duration_h=hours, notes=notes or {})

    def _metadata(self, tuning: Tuning) -> dict[str, float | str]:
        return {
            "sensitivity_pm_per_uC_per_cm2": self._world.sensitivity_pm_cm2_per_uC,
            "hours_since_tuning": tuning.age_h,
            "pixel_nm": PIXEL_nm,
            "n_cols": float(PIXELS),
        }

    def _overview(self, job: Job, pad: Pad, tuning: Tuning) -> Outcome:
        credits, hours = job.draw_price()
        nm = np.arange(PIXELS, dtype=np.float64) * PIXEL_nm
        image = Array(
            data=image_of(pad.pattern, tuning, hours, job.rng),
            unit="pm",
            axes=(Axis("row", "nm", nm, "spatial"), Axis("column", "nm", nm, "spatial")),
            quantity="vertical piezoresponse",
            kind="IMAGE",
            metadata=self._metadata(tuning),
        )
        return Outcome(arrays={"domain_image": image}, cost_credits=credits, duration_h=hours)

    def _loops(self, job: Job, pad: Pad, tuning: Tuning) -> Outcome:
        positions = np.array(job.action.target.positions, dtype=np.intp).reshape(-1, 2)
        if not len(positions):
            return refusal("no positions", "name at least one position (row, column)")
        if positions.min() < 0 or positions.max() >= PIXELS:
            return refusal(
                f"a position outside the image: {positions.tolist()}",
                f"choose rows and columns from 0 to {PIXELS - 1}",
            )
        credits, hours = job.draw_price()
        local = pad.local_loops(positions_seen(positions, tuning), self._bias_V)
        pixel = (positions[:, 0] * PIXELS + positions[:, 1]).astype(np.float64)
        loops = Array(
            data=spectra_of(local, tuning, job.rng),
            unit="pm",
            axes=(
                Axis("position", "1", pixel, "point_cloud"),
                Axis("bias", "V", self._bias_V, "spectral"),
            ),
            quantity="remanent vertical piezoresponse",
            kind="POINT_CLOUD",
            metadata=self._metadata(tuning) | {"readout": "at zero bias after each pulse"},
        )
        return Outcome(arrays={"loops": loops}, cost_credits=credits, duration_h=hours)
