"""Nion's microscope simulator without its application: no window, no thread, noise of our own.

The simulator is ``nionswift-usim`` (GPL-3.0): an optional extra, imported when a scope is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ._edges import EDGES_eV
from ._extras import extra

Floats = NDArray[np.float64]

RONCHIGRAM_BINNING = 4
_WHO = "Nion uSim"
_ONSET_eV = 3.0
_PLASMON_eV = 24.0
_FLAKES = 14
_FLAKES_WITHIN_nm = 90.0
_SCATTERED_PER_LAYER = 0.02
"""Share of the beam that one flake scatters to the dark-field detector."""


@final
class UsimScope:
    """A simulated Nion microscope with a specimen of flakes of one composition.

    The simulator gives expected counts; noise is Poisson's, from the caller's generator. Heights of
    edges follow the atomic fractions and the simulator's own power law, not cross-sections. Its
    scan knows no focus: only the ronchigram does.

    Parameters
    ----------
    composition_steps
        The simulator's edges are all equally high, so that a fraction is drawn as that many of so
        many equal edges; a spectrum takes time in proportion.

    Raises
    ------
    WorkerError
        If the extra ``usim`` is not installed.
    """

    def __init__(self, composition_steps: int = 100) -> None:
        self._steps = composition_steps
        self._lib = SimpleNamespace(
            **{
                name: extra(f"nion.{path}", "usim", _WHO)
                for name, path in {
                    "instrument": "usim_device.InstrumentDevice",
                    "sample": "usim_device.SampleSimulator",
                    "eels": "usim_device.EELSCameraSimulator",
                    "ronchigram": "usim_device.RonchigramCameraSimulator",
                    "geometry": "utils.Geometry",
                    "controller": "instrumentation.stem_controller",
                }.items()
            }
        )
        self._sample: Any = None
        self._loads = 0
        self.values: Any = self._lib.instrument.ValueManager()
        self._instrument = self._make_instrument()
        self._eels = self._camera(self._lib.eels.EELSCameraSimulator, "eels")
        self._ronchigram = self._camera(
            self._lib.ronchigram.RonchigramCameraSimulator, "ronchigram", self._stage_size_nm
        )
        self.blank(True)

    _stage_size_nm = 1000.0

    def load(self, fractions: Mapping[str, float], seed: int | list[int]) -> None:
        """Put a specimen in: flakes at random places, of the given atomic fractions."""
        self._loads += 1
        self._sample = self._make_sample(fractions, np.random.default_rng(seed))

    def control(self, name: str) -> float:
        """The value of a control, in its own unit: ``C10`` in m, ``EHT`` in V."""
        return float(self._instrument.GetVal(name))

    def set_control(self, name: str, value: float) -> None:
        self._instrument.SetVal(name, value)

    @property
    def stage_nm(self) -> tuple[float, float]:
        """Where the stage is (y, x)."""
        position = self.values.stage_position_m
        return float(position.y * 1e9), float(position.x * 1e9)

    def move_stage(self, y_nm: float, x_nm: float) -> None:
        point = self._lib.geometry.FloatPoint(y=y_nm * 1e-9, x=x_nm * 1e-9)
        self.values.stage_position_m = point

    @property
    def blanked(self) -> bool:
        return bool(self.values.is_blanked)

    def blank(self, blanked: bool) -> None:
        self.values.is_blanked = blanked

    @contextmanager
    def lit(self) -> Iterator[None]:
        """The beam on for a while, and then as it was."""
        before = self.blanked
        self.blank(False)
        try:
            yield
        finally:
            self.blank(before)

    def spectrometer(self, offset_eV: float, dispersion_eV: float) -> Floats:
        """Set the spectrometer; the energies of its channels in eV, (channels,)."""
        self.values.energy_offset_eV = offset_eV
        self.values.energy_per_channel_eV = dispersion_eV
        return offset_eV + dispersion_eV * np.arange(self._area("eels").width, dtype=np.float64)

    def image(
        self, shape: tuple[int, int], centre_nm: tuple[float, float], size_nm: tuple[float, float],
        dwell_s: float, rng: np.random.Generator,
    ) -> Floats:  # fmt: skip
        """Dark-field image in electrons, of ``shape``, over a rectangle (heights, widths, y, x).

        ``centre_nm`` counts from the middle of the field of view.
        """
        g = self._lib.geometry
        layers = np.zeros(shape, dtype=np.float32)
        if self._sample is not None:
            self._sample.plot_features(
                layers,
                self.values.actual_offset_m,
                g.FloatSize(*size_nm),
                g.FloatPoint(),
                g.FloatPoint(*centre_nm),
                g.IntSize(*shape),
            )
        beam = 0.0 if self.blanked else self._electrons(dwell_s)
        return rng.poisson(beam * _SCATTERED_PER_LAYER * layers.astype(np.float64)).astype(float)

    def spectrum(
        self, y: float, x: float, field_nm: float, exposure_s: float, rng: np.random.Generator
    ) -> Floats:
        """Energy-loss spectrum in electrons, (channels,), at fractions of the field of view.

        The simulated spectrometer does not know of the blanker; a blanked beam is dark here.
        """
        if self.blanked:
            return np.zeros(self._area("eels").width)
        self._eels.noise.enabled = False  # it cannot be seeded
        frame = self._frame(self._eels, "eels", 1, exposure_s, field_nm, (y, x))
        expected = frame.sum(axis=0) / self._instrument.counts_per_electron
        return rng.poisson(np.maximum(expected, 0.0)).astype(float)

    def ronchigram(self, exposure_s: float, field_nm: float, rng: np.random.Generator) -> Floats:
        """Shadow image in electrons at the middle of the field of view, binned fourfold."""
        self._ronchigram.noise.enabled = False
        frame = self._frame(
            self._ronchigram, "ronchigram", RONCHIGRAM_BINNING, exposure_s, field_nm, (0.5, 0.5)
        )
        expected = frame / self._instrument.counts_per_electron / RONCHIGRAM_BINNING**2
        return rng.poisson(np.nan_to_num(np.maximum(expected, 0.0))).astype(float)

    def _electrons(self, seconds: float) -> float:
        return self.control("BeamCurrent") / 1.602176634e-19 * seconds

    def _frame(
        self, camera: Any, kind: str, binning: int, exposure_s: float, field_nm: float,
        at: tuple[float, float],
    ) -> Floats:  # fmt: skip
        g = self._lib.geometry
        context = self._lib.controller.ScanContext(
            g.IntSize(256, 256), g.FloatPoint(), field_nm, 0.0
        )
        frame = camera.get_frame_data(
            self._area(kind), g.IntSize(binning, binning), exposure_s, context, g.FloatPoint(*at)
        )
        return np.asarray(frame.data, dtype=np.float64)

    def _area(self, kind: str) -> Any:
        return self._lib.geometry.IntRect.from_tlbr(*self._instrument.camera_readout_area(kind))

    def _camera(self, simulator: Any, kind: str, *more: Any) -> Any:
        size = self._lib.geometry.IntSize.make(self._instrument.camera_sensor_dimensions(kind))
        return simulator(self._instrument, size, self._instrument.counts_per_electron, *more)

    def _make_instrument(self) -> Any:
        scope, lib = self, self._lib

        class Parked:
            """A scan unit that leaves the probe where it was put."""

            scan_device = SimpleNamespace()

        class Stand:
            """What the cameras ask for the specimen."""

            @property
            def sample(self) -> Any:
                return scope._sample or scope._make_sample({}, np.random.default_rng(0))

        class Instrument(lib.instrument.Instrument):
            @property
            def scan_controller(self) -> Any:
                return Parked

        axes = lib.instrument.AxisManager()
        return Instrument("probewise_usim", self.values, axes, Stand())

    def _make_sample(self, fractions: Mapping[str, float], rng: np.random.Generator) -> Any:
        lib, title = self._lib, f"specimen {self._loads}"
        edges = [
            (energy, _ONSET_eV)
            for element, fraction in fractions.items()
            for energy in EDGES_eV[element]
            for _ in range(round(self._steps * fraction))
        ]
        flakes = [self._flake(edges, rng) for _ in range(_FLAKES if fractions else 0)]

        class Flakes(lib.sample.Sample):
            @property
            def title(self) -> str:
                return title

            @property
            def features(self) -> list[Any]:
                return flakes

            def plot_features(
                self, data: Any, offset_m: Any, fov_size_nm: Any, extra_nm: Any, center_nm: Any,
                used_size: Any,
            ) -> None:  # fmt: skip
                for flake in flakes:
                    flake.plot(data, offset_m, fov_size_nm + extra_nm, center_nm, used_size)

        return Flakes()

    def _flake(self, edges: list[tuple[int, float]], rng: np.random.Generator) -> Any:
        g = self._lib.geometry
        y, x = rng.uniform(-_FLAKES_WITHIN_nm, _FLAKES_WITHIN_nm, 2)
        height, width = rng.uniform(15.0, 60.0, 2)
        return self._lib.sample.FlakeFeature(
            g.FloatPoint(y=y * 1e-9, x=x * 1e-9),
            g.FloatSize(height=height * 1e-9, width=width * 1e-9),
            edges,
            _PLASMON_eV,
            4,
        )
