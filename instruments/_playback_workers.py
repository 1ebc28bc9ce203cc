"""Recordings as workers of a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

from ..workflow import (
    Approach,
    Blank,
    Command,
    InstrumentState,
    Job,
    Loop,
    Outcome,
    Overview,
    Point,
    Program,
    Retract,
    SpecError,
    Spectrum,
    Where,
    no_parameters,
)
from ._driver import Driver
from ._microscope import Microscope
from ._playback import Playback, SpmPlayback, StemPlayback
from ._procedures import Geometry, Procedure, filled, given_program, load_of
from ._recording_files import load_recording
from ._run import Run


@dataclass(frozen=True)
class _Manner:
    """How a technique goes about it: what keeps the probe away, what brings it near, what it takes
    at places, and the capability for that."""

    away: Command
    near: tuple[Command, ...]
    take: type[Spectrum | Loop]
    capability: str


_STEM = _Manner(Blank(), (), Spectrum, "measure_spectra")
_SPM = _Manner(Retract(), (Approach(),), Loop, "measure_loops")


class _Player(Microscope):
    """What both kinds of recordings share."""

    twin: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    def __init__(
        self, driver: Driver, playback: Playback, manner: _Manner, limits: dict[str, Any]
    ) -> None:
        self._playback, self._manner = playback, manner
        columns = playback.recording.x_nm.size
        super().__init__(driver, Geometry(columns, playback.size_nm, corner=True), **limits)

    def procedures(self) -> Mapping[str, Procedure]:
        """Each loads first, so that it is the same program whatever was before."""

        def load(job: Job, state: InstrumentState) -> Program:
            no_parameters(job.step)
            return self._program(job)

        def overview(job: Job, state: InstrumentState) -> Program:
            image = filled(Overview, job)
            return self._program(job, *self._manner.near, image, self._manner.away)

        def places(job: Job, state: InstrumentState) -> Program:
            take = filled(self._manner.take, job, at=self._points(job))
            return self._program(job, *self._manner.near, take, self._manner.away)

        def given(job: Job, state: InstrumentState) -> Program:
            return given_program(job, state.model_copy(update={"sample": None}))

        known = {
            "load_sample": Procedure("recording: takes no part of the data", load),
            "overview_scan": Procedure(
                "recording: its image, or the mean of its channels", overview
            ),
            "run_program": Procedure("recording: the program that the step gives", given),
        }
        if self._playback.recording.spectral is not None:
            about = "recording: what was recorded at the pixels"
            known[self._manner.capability] = Procedure(about, places)
        return known

    def outcome(self, job: Job, run: Run) -> Outcome:
        """Credits and hours are not recorded: they are drawn from the step's distributions."""
        outcome = super().outcome(job, run)
        nothing = outcome.failure is not None and outcome.failure.kind in {"refused", "missing"}
        credits, hours = (0.0, 0.0) if nothing else job.draw_price()
        return replace(outcome, cost_credits=credits, duration_h=hours)

    def safe(self) -> str:
        return "a recording: nothing moves"

    def _program(self, job: Job, *commands: Command) -> Program:
        begun = (self._manner.away, load_of(job), *commands)
        return Program.model_validate({"name": job.step.name, "commands": begun})

    def _points(self, job: Job) -> Where:
        """The middles of the pixels that the job names.

        Raises
        ------
        SpecError
            If there are none.
        """
        positions = job.action.target.positions
        if not positions:
            raise SpecError("positions", "none", "pixels of the recording", "name at least one")
        dy, dx = self._playback.recording.pixel_nm
        points = [Point(y_nm=(r + 0.5) * dy, x_nm=(c + 0.5) * dx) for r, c in positions]
        return Where(points=tuple(points))


@final
class StemReplay(_Player):
    """A recording of an electron microscope, played back place by place.

    Parameters
    ----------
    path
        NSID HDF5, or with the extra ``files`` dm3, dm4, emd, bcf or ibw.
    dataset
        Which one, by its quantity or name, where the file holds several.
    pixel_nm
        Distance of two pixels, where the file does not tell or tells it wrongly.
    sample
        The only sample that it can be asked for; empty for any.
    **limits
        See :class:`Microscope`.

    Raises
    ------
    StoreError
        If the file is missing, damaged or holds no such recording.
    WorkerError
        If the extra ``files`` is needed and not installed.
    """

    def __init__(
        self, path: str | None = None, dataset: str = "", pixel_nm: float | None = None,
        sample: str = "", **limits: Any,
    ) -> None:  # fmt: skip
        playback = Playback(load_recording(path, dataset, pixel_nm))
        super().__init__(StemPlayback(playback, sample), playback, _STEM, limits)


@final
class SpmReplay(_Player):
    """A recording of a scanning probe, played back place by place; parameters as
    :class:`StemReplay`."""

    def __init__(
        self, path: str | None = None, dataset: str = "", pixel_nm: float | None = None,
        sample: str = "", **limits: Any,
    ) -> None:  # fmt: skip
        playback = Playback(load_recording(path, dataset, pixel_nm))
        super().__init__(SpmPlayback(playback, sample), playback, _SPM, limits)
