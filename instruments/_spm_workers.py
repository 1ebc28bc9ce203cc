"""The twin of the scanning probe microscope as workers: at the bench, and in a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, final

from ..matter import PIXELS
from ..workflow import InstrumentState, Job, Outcome, Program, SpecError
from ._microscope import Microscope
from ._procedures import Geometry, Procedure
from ._run import Run
from ._spm_procedures import always_load, spm_procedures
from ._spm_twin import FIELD_nm, SpmTwinDriver

_GEOMETRY = Geometry(PIXELS, FIELD_nm, corner=True)
_PRICED = ("load_sample", "tune", "overview_scan", "measure_loops")


def _check_bias(who: str, bias_V: float) -> None:
    if not 0.0 < bias_V <= 20.0:
        raise SpecError(who, f"bias_V={bias_V}", "above 0, up to 20", "lower the bias")


@final
class SpmTwin(Microscope):
    """The microscope at the bench: a clock of its own, tracking, sweeps, programs.

    Parameters
    ----------
    world_seed
        The seed of the world.
    bias_V
        Amplitude of the bias triangle of loops.
    **limits
        See :class:`Microscope`.

    Raises
    ------
    SpecError
        If a parameter or limit is out of range.
    """

    twin: ClassVar[bool] = True
    replayable: ClassVar[bool] = False

    def __init__(self, world_seed: int = 0, bias_V: float = 8.0, **limits: Any) -> None:
        _check_bias("worker 'spm-twin'", bias_V)
        super().__init__(SpmTwinDriver(world_seed), _GEOMETRY, **limits)
        self._bias_V = bias_V

    def procedures(self) -> Mapping[str, Procedure]:
        return spm_procedures(self.geometry, self._bias_V)


@final
class PfmTwin(Microscope):
    """The microscope in a campaign, which says what time it is and how long steps last.

    Every action brings its site under the tip anew, so that it depends on nothing that was before:
    the worker is replayable. Steps last as long as their distributions say; an overview scans for
    all of that time.

    Parameters
    ----------
    world_seed
        The seed of the world; the same as for the other twins of the campaign.
    bias_V
        Amplitude of the bias triangle, above 0.
    **limits
        See :class:`Microscope`.

    Raises
    ------
    SpecError
        If a parameter or limit is out of range.
    """

    twin: ClassVar[bool] = True
    replayable: ClassVar[bool] = True

    def __init__(self, world_seed: int = 0, bias_V: float = 8.0, **limits: Any) -> None:
        _check_bias("worker 'pfm-twin'", bias_V)
        super().__init__(SpmTwinDriver(world_seed), _GEOMETRY, **limits)
        known = spm_procedures(self.geometry, bias_V, always_load)
        self._procedures = {name: known[name] for name in _PRICED}
        overview = known["overview_scan"]

        def unhurried(job: Job, state: InstrumentState) -> Program:
            """The overview, its dwell such that the frame lasts as long as the step."""
            dwell_s = job.draw_price()[1] * 3600.0 / PIXELS**2
            step = job.step.model_copy(
                update={"parameters": {"dwell_s": dwell_s, **job.step.parameters}}
            )
            return overview.build(replace(job, step=step), state)

        self._procedures["overview_scan"] = replace(overview, build=unhurried)

    def procedures(self) -> Mapping[str, Procedure]:
        return self._procedures

    def hours(self, job: Job) -> Mapping[str, float]:
        """Always with a start, so that the driver's own clock does not count."""
        return {"start": job.action.hours.get("tuned", 0.0), **job.action.hours}

    def price(self, job: Job, run: Run) -> tuple[float | None, float | None]:
        return job.draw_price()

    def outcome(self, job: Job, run: Run) -> Outcome:
        found = super().outcome(job, run)
        tuned = run.readings.get("tune")
        if tuned is None or "contact_resonance_kHz" not in tuned.signals:
            return found
        signal = tuned.signals["contact_resonance_kHz"]
        return replace(found, notes={**found.notes, "contact_resonance_kHz": signal})
