"""The analyst of spectra, loops and sweeps."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar, final

import numpy as np
from numpy.typing import NDArray

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
from ._analyst import (
    WEIGHT,
    BadData,
    Curves,
    combine_all,
    failed,
    good_ones,
    in_eV,
    inputs,
    outcome,
    read_curves,
    table,
    unknown,
)
from ._edge_list import parse_edges
from ._eels_edges import composition, edge_signal
from ._loop_parameters import loop_parameters
from ._loop_table import SWITCHING, loop_columns, loop_values
from ._loss_share import loss_share
from ._plasmon import PlasmonFit, fit_plasmon
from ._spikes import reject_spikes
from ._sweep import Sweep, fit_sweep

T = TypeVar("T")

_WHO = "worker 'spectrum-analysis'"
_REMEMBERED = 512
_ABOUT = {
    "reject_spikes": "spikes and gaps replaced in spectra or loops; their share",
    "fit_plasmon": "energy, width, area of the strongest plasmon peak above the zero-loss tail",
    "integrate_loss": "share of the electrons that lost between 0.8 and 3.6 eV to plasmons",
    "fit_edges": "signals of core-loss edges above the background; atomic fractions",
    "loop_parameters": "areas, coercive fields, imprint, nucleation biases of switching loops",
    "fit_sweep": "linear, quadratic, cubic response of V_AC sweeps",
}


@final
class SpectrumAnalysis(Worker):
    """Reduces curves at probe positions to quantities with errors: means over all positions.

    A step names what it wants of a capability's quantities; tables hold them position by
    position. Arrays are (n, m), one row for each position number, or (rows, columns, m). Spectra in
    counts that were taken at a position one after another are added up.

    Parameters
    ----------
    edges
        For ``fit_edges``: name, onset, integration window, background window (eV) and partial
        cross-section of each edge, such as ``"C 284 50 50 1.0; O 532 50 50 0.21"``.
    peaks
        For ``fit_plasmon``: how many peaks, 0 for as many as the data speak for.
    peak_shape
        ``lorentz`` or ``drude``.
    window_low_eV, window_high_eV
        For ``fit_plasmon``: the losses to be fitted; 0 and 0 for all beyond the zero loss.
    cyclic, usual_spans
        For ``reject_spikes``: as ``cyclic`` and ``ensemble`` of ``reject_spikes``; 0 for none.
    sweep_offset
        For ``fit_sweep``: whether the response has a background at zero amplitude.
    """

    kind: ClassVar[Kind] = Kind.ANALYSIS
    twin: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    def __init__(
        self,
        *,
        edges: str = "",
        peaks: int = 0,
        peak_shape: str = "lorentz",
        window_low_eV: float = 0.0,
        window_high_eV: float = 0.0,
        cyclic: bool = False,
        usual_spans: float = 0.0,
        sweep_offset: bool = False,
    ) -> None:
        self._edges = parse_edges(edges, _WHO)
        if peak_shape not in ("lorentz", "drude") or not 0 <= peaks <= 4:
            raise WorkerError(
                _WHO,
                f"{peaks} peaks of shape {peak_shape!r}",
                "0 to 4 peaks, shape 'lorentz' or 'drude'",
                "correct the worker's configuration",
            )
        self._peaks, self._shape = peaks or None, peak_shape
        self._window = (window_low_eV, window_high_eV) if window_high_eV > 0.0 else None
        self._fits: OrderedDict[bytes, PlasmonFit] = OrderedDict()
        self._cyclic, self._usual_spans = cyclic, usual_spans or None
        self._sweep_offset = sweep_offset

    def offers(self) -> tuple[Offer, ...]:
        return tuple(
            Offer(capability=name, about=about, columns=self._columns(name))
            for name, about in _ABOUT.items()
        )

    def _columns(self, capability: str) -> tuple[str, ...]:
        edges = [e.name for e in self._edges]
        known = {
            "reject_spikes": (),
            "fit_plasmon": ("plasmon_energy", "plasmon_width", "plasmon_area"),
            "integrate_loss": ("loss_share",),
            "fit_edges": tuple(f"{what}_{e}" for what in ("signal", "fraction") for e in edges),
            "loop_parameters": ("loop_area", "open", *SWITCHING),
            "fit_sweep": ("response_A", "response_B", "response_C"),
        }
        return known[capability]

    def perform(self, job: Job) -> Outcome:
        """Analyse; data that cannot be analysed are returned as a failure.

        Raises
        ------
        WorkerError
            If no array is given, or the step needs another capability or quantity.
        """
        does: dict[str, Callable[[Job], Outcome]] = {
            "reject_spikes": self._reject,
            "fit_plasmon": self._plasmon,
            "integrate_loss": self._integrate,
            "fit_edges": self._fit_edges,
            "loop_parameters": self._loops,
            "fit_sweep": self._sweep,
        }
        if job.step.needs not in does:
            raise unknown(_WHO, job.step.needs, list(does))
        try:
            return does[job.step.needs](job)
        except BadData as error:
            return failed(job, error.message, error.remedy)

    def _reject(self, job: Job) -> Outcome:
        """The first array without spikes, recorded under the name that the step gives it."""
        array = next(iter(inputs(job, _WHO).values()))[-1]
        data = np.asarray(array.data, dtype=np.float64)
        if data.ndim < 1 or data.shape[-1] < 12:
            raise BadData(f"spectra of shape {data.shape}", "record at least 12 channels")
        result = reject_spikes(
            data.reshape(-1, data.shape[-1]), cyclic=self._cyclic, ensemble=self._usual_spans
        )
        n = result.spikes.size
        p = (result.spikes.sum() + 1.0) / (n + 2.0)
        clean = Array(
            result.clean.reshape(data.shape),
            array.unit,
            array.axes,
            array.quantity,
            array.kind,
            array.metadata,
        )
        return outcome(
            job,
            _WHO,
            {"spike_share": Estimate(value=result.share, std=float(np.sqrt(p * (1 - p) / n)))},
            arrays={port.name: clean for port in job.step.records[:1]},
            notes={
                "spectra_with_spikes": float(result.hit.sum()),
                "spectra_lost": float(result.lost.sum()),
            },
        )

    def _plasmon(self, job: Job) -> Outcome:
        curves = _curves(job)
        energy = in_eV(curves)

        def one(row: NDArray[np.float64]) -> PlasmonFit:
            return self._fit_once(energy, row)

        fits, faults = _each(curves, one)
        rows = {p: f.strongest for p, f in fits.items() if f.strongest is not None}
        if not rows:
            raise BadData(faults or "no plasmon peak above the tail", "measure longer or elsewhere")
        found = {
            "plasmon_energy": [r.energy_eV for r in rows.values()],
            "plasmon_width": [r.width_eV for r in rows.values()],
            "plasmon_area": [r.area_counts_eV for r in rows.values()],
        }
        misfit = float(np.median([f.misfit for f in fits.values()]))
        units = {"plasmon_energy": "eV", "plasmon_width": "eV"}
        return _given(job, list(rows), found, faults, {"misfit": misfit}, units=units)

    def _integrate(self, job: Job) -> Outcome:
        curves = _curves(job)
        energy = in_eV(curves)
        found, faults = _each(curves, lambda row: loss_share(energy, row))
        if not found:
            raise BadData(faults, "record losses from zero to 4.5 eV")
        return _given(job, list(found), {"loss_share": list(found.values())}, faults, {})

    def _fit_once(self, energy: NDArray[np.float64], row: NDArray[np.float64]) -> PlasmonFit:
        """The fit of a spectrum; a step over all spectra so far meets most of them again."""
        key = energy.tobytes() + row.tobytes()
        if key not in self._fits:
            shape = "drude" if self._shape == "drude" else "lorentz"
            self._fits[key] = fit_plasmon(
                energy, row, peaks=self._peaks, shape=shape, window_eV=self._window
            )
        self._fits.move_to_end(key)
        while len(self._fits) > _REMEMBERED:
            self._fits.popitem(last=False)
        return self._fits[key]

    def _fit_edges(self, job: Job) -> Outcome:
        if not self._edges:
            raise WorkerError(
                _WHO,
                "no edges",
                "edges in the worker's configuration, such as 'C 284 50 50 1.0'",
                "say which edges to integrate",
            )
        curves = _curves(job)
        energy = in_eV(curves)
        fits, faults = _each(curves, lambda row: [edge_signal(energy, row, e) for e in self._edges])
        if not fits:
            raise BadData(faults, "record the windows of all edges")
        found = {
            f"signal_{e.name}": [f[k].signal_counts for f in fits.values()]
            for k, e in enumerate(self._edges)
        }
        whole = [f for f in fits.values() if sum(s.signal_counts.value for s in f) > 0.0]
        if len(self._edges) > 1 and len(whole) == len(fits):
            shares = [composition(f) for f in whole]
            found |= {f"fraction_{e.name}": [s[e.name] for s in shares] for e in self._edges}
        return _given(job, list(fits), found, faults, {})

    def _loops(self, job: Job) -> Outcome:
        """Arrays whose name contains ``on_field`` give quantities with that prefix."""
        values: dict[str, Estimate | None] = {}
        tables, notes, units = {}, {}, {}
        for name, arrays in inputs(job, _WHO).items():
            prefix = "on_field_" if "on_field" in name else ""
            if f"{prefix}loop_area" in values:
                continue
            curves = read_curves(arrays)
            rows = {
                p: r
                for p, row in zip(curves.positions, curves.data, strict=True)
                if (r := loop_parameters(curves.x, row)) is not None
            }
            if not rows:
                raise BadData(f"none of {len(curves.data)} loops is usable", "take the loops again")
            values |= {prefix + k: v for k, v in loop_values(list(rows.values())).items()}
            tables[prefix + "loops"] = table(list(rows), loop_columns(list(rows.values())))
            units |= {prefix + k: curves.unit for k in SWITCHING if k != "remanence"}
            notes[prefix + "open_loops"] = float(
                sum(r.switching is not None for r in rows.values())
            )
        return outcome(job, _WHO, values, tables=tables, notes=notes, units=units)

    def _sweep(self, job: Job) -> Outcome:
        curves = _curves(job)

        def one(row: NDArray[np.float64]) -> Sweep:
            return fit_sweep(curves.x, row, offset=self._sweep_offset)

        fits, faults = _each(curves, one)
        if not fits:
            raise BadData(faults, "sweep over at least six amplitudes")
        found = {f"response_{k}": [getattr(f, k) for f in fits.values()] for k in ("A", "B", "C")}
        ratios = combine_all([f.ratio for f in fits.values() if f.ratio is not None])
        further, units = {"response_A_over_B": ratios}, {"response_A_over_B": curves.unit}
        return _given(job, list(fits), found, faults, {}, further, units)


def _curves(job: Job) -> Curves:
    """The curves of the first array, without those that weights beside it say are bad."""
    given = inputs(job, _WHO)
    weights = [a for arrays in given.values() for a in arrays if a.quantity == WEIGHT]
    arrays = [a for a in next(iter(given.values())) if a.quantity != WEIGHT]
    if not arrays:
        raise BadData("weights alone", "let the step consume the curves first")
    good = good_ones(arrays, weights)
    if not good:
        raise BadData("weights of 0 for all curves", "see what the watch says, and take them again")
    return read_curves(good)


def _each(
    curves: Curves, one: Callable[[NDArray[np.float64]], T]
) -> tuple[dict[tuple[int, int], T], str]:
    """What each curve gives, by position; and why some gave nothing."""
    found, faults = {}, []
    for position, row in zip(curves.positions, curves.data, strict=True):
        try:
            if not np.isfinite(row).all():
                raise ValueError("values are missing: reject spikes first")
            found[position] = one(row)
        except ValueError as error:
            faults.append(f"{position}: {error}")
    return found, "; ".join(faults[:5]) + ("; ..." if len(faults) > 5 else "")


def _given(
    job: Job,
    positions: Sequence[tuple[int, int]],
    found: dict[str, list[Estimate]],
    faults: str,
    notes: dict[str, float | str],
    further: dict[str, Estimate | None] | None = None,
    units: dict[str, str] | None = None,
) -> Outcome:
    """Means over positions, and a table with each position's values and errors."""
    columns = {k: [e.value for e in column] for k, column in found.items()}
    columns |= {f"{k}_std": [e.std for e in column] for k, column in found.items()}
    values = {k: combine_all(column) for k, column in found.items()} | (further or {})
    if faults:
        notes = notes | {"left_out": faults}
    tables = {"spectra": table(positions, columns)}
    return outcome(job, _WHO, values, tables=tables, notes=notes, units=units)
