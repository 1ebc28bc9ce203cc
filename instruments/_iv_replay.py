"""A recorded conductive-AFM experiment, played back pixel by pixel."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from ..workflow import (
    Array,
    Axis,
    Failure,
    Job,
    Kind,
    Offer,
    Outcome,
    Step,
    Worker,
    WorkerError,
    no_parameters,
)
from ._iv_cube import IvCube, load_iv_cube

_FIELD_UNIT = "V**0.5/m**0.5"


@final
class IvReplay(Worker):
    """Hands out spectra of a recording when they are asked for; nothing is simulated.

    It is a *recording*, not a live instrument: measuring a pixel twice gives the same spectrum, and
    the overview image is a range of planes of the same cube. Credits and hours are not recorded;
    they are drawn from the step's distributions.

    Parameters
    ----------
    path
        NSID HDF5 file with one 3-D main dataset (row, column, field) of log10 current density.

    Raises
    ------
    StoreError
        If the file is missing, foreign, damaged or of another shape.
    """

    kind: ClassVar[Kind] = Kind.INSTRUMENT
    twin: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    def __init__(self, path: str | None = None) -> None:
        self._cube: IvCube = load_iv_cube(path)

    def offers(self) -> tuple[Offer, ...]:
        return (
            Offer(capability="load_sample", about="recording: takes no part of the data"),
            Offer(
                capability="overview_scan",
                about="recording: low-field current, the mean of channels 26 to 30 of the cube",
            ),
            Offer(
                capability="measure_spectra",
                about="recording: current-field spectra of a BiFeO3 film at the chosen pixels",
            ),
        )

    def safe(self) -> str:
        return "a recording: nothing moves"

    def check(self, step: Step) -> None:
        no_parameters(step)

    def perform(self, job: Job) -> Outcome:
        match job.step.needs:
            case "load_sample":
                return self._priced(job, {})
            case "overview_scan":
                return self._priced(job, {"low_field_image": self._image()})
            case "measure_spectra":
                return self._spectra(job)
            case other:
                raise WorkerError(
                    "worker iv-replay",
                    f"capability {other!r}",
                    f"one of {[o.capability for o in self.offers()]}",
                    "correct the step's name or capability",
                )

    def _image(self) -> Array:
        rows, columns = self._cube.shape
        axes = (
            Axis("row", "px", np.arange(rows, dtype=np.float64), "spatial"),
            Axis("column", "px", np.arange(columns, dtype=np.float64), "spatial"),
        )
        return Array(
            self._cube.low_field_image.copy(), "1", axes, "log current at low field", "IMAGE"
        )

    def _spectra(self, job: Job) -> Outcome:
        positions = job.action.target.positions
        missing = [p for p in positions if not self._has(p)]
        if missing or not positions:
            rows, columns = self._cube.shape
            return Outcome(
                cost_credits=0.0,
                duration_h=0.0,
                failure=Failure(
                    kind="refused",
                    message=f"positions {missing} are not in the recording"
                    if positions
                    else "no position was given",
                    remedy=f"choose recorded pixels in rows 0 to {rows - 1} and columns 0 to "
                    f"{columns - 1}",
                ),
            )
        columns = self._cube.shape[1]
        where = np.asarray(positions, dtype=np.int64)
        axes = (
            Axis("position", "1", (where @ [columns, 1]).astype(np.float64), "point_cloud"),
            Axis("sqrt_field", _FIELD_UNIT, self._cube.field_axis.copy(), "spectral"),
        )
        data = self._cube.log_current[where[:, 0], where[:, 1]]
        spectra = Array(data, "1", axes, "log current", "POINT_CLOUD", {"n_cols": float(columns)})
        return self._priced(job, {"iv_spectra": spectra})

    def _has(self, position: tuple[int, int]) -> bool:
        row, column = position
        rows, columns = self._cube.shape
        inside = 0 <= row < rows and 0 <= column < columns
        return inside and bool(self._cube.recorded[row, column])

    @staticmethod
    def _priced(job: Job, arrays: dict[str, Array]) -> Outcome:
        credits, hours = job.draw_price()
        return Outcome(arrays=arrays, cost_credits=credits, duration_h=hours)
