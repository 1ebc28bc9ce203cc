"""A double of an asyncroscopy-style Tango microscope: three devices, a specimen, faults to order.

This module needs the extra ``tango`` when it is imported; nothing but a twin's server imports it.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tango import AttrWriteType, DevState
from tango.server import Device, attribute, command, device_property
from tango.test_context import MultiDeviceTestContext

from ._particle_bench import ParticleBench
from ._twin_server import Conduct, parse_faults

SCOPE, SCAN, SPECTRUM = "probewise/tem/twin", "probewise/scan/twin", "probewise/eels/twin"
"""Names of the three devices."""

_BOTH = AttrWriteType.READ_WRITE
_FRAME_OVERHEAD_s = 0.3
_FOCUSED_nm = 0.0


@dataclass
class _Settings:
    """What the devices of one server share."""

    dwell_s: float = 1e-6
    pixels: int = 256
    region: list[float] = field(default_factory=lambda: [0.0, 0.0, 1.0, 1.0])
    exposure_s: float = 0.1


_settings = _Settings()


class ScanTwin(Device):
    """Settings of the scan."""

    dwell_time = attribute(access=_BOTH, dtype=float, unit="s", min_value=1e-9, max_value=10.0)
    imsize = attribute(access=_BOTH, dtype=int, unit="px", min_value=2, max_value=16_384)
    scan_region = attribute(access=_BOTH, dtype=(float,), max_dim_x=4, min_value=0.0, max_value=1.0)

    def init_device(self) -> None:
        super().init_device()
        self.set_state(DevState.ON)

    def read_dwell_time(self) -> float:
        return _settings.dwell_s

    def write_dwell_time(self, value: float) -> None:
        _settings.dwell_s = value

    def read_imsize(self) -> int:
        return _settings.pixels

    def write_imsize(self, value: int) -> None:
        _settings.pixels = value

    def read_scan_region(self) -> list[float]:
        return _settings.region

    def write_scan_region(self, value: Any) -> None:
        region = [float(v) for v in value]
        if len(region) != 4:
            raise ValueError("scan_region must be left, top, width and height")
        _settings.region = region


class SpectrumTwin(Device):
    """Settings of the spectrometer."""

    exposure_time = attribute(access=_BOTH, dtype=float, unit="s", min_value=1e-6, max_value=60.0)

    def init_device(self) -> None:
        super().init_device()
        self.set_state(DevState.ON)

    def read_exposure_time(self) -> float:
        return _settings.exposure_s

    def write_exposure_time(self, value: float) -> None:
        _settings.exposure_s = value


class ScopeTwin(Device):
    """The microscope: acquisitions are written to a folder, and their keys given back."""

    folder: Any = device_property(dtype=str)
    seed: Any = device_property(dtype=int, default_value=0)
    speed: Any = device_property(dtype=float, default_value=1.0)
    faults: Any = device_property(dtype=(str,), default_value=[])

    def init_device(self) -> None:
        super().init_device()
        self._bench = ParticleBench(int(self.seed))
        self._conduct = Conduct(
            float(self.speed), parse_faults([f for f in self.faults if f.strip()])
        )
        self._numbers = itertools.count(1)
        self._beam = (0.5, 0.5)
        self._field_m = 200e-9
        self._stage = [0.0] * 5
        self._defocus_m = 50e-9
        self._blanked = True
        self.set_state(DevState.ON)

    @command(dtype_in=("str",), dtype_out=str)
    def acquire_scanned_image(self, detectors: list[str]) -> str:
        unknown = [d for d in detectors if d.lower() != "haadf"]
        if unknown or not len(detectors):
            raise ValueError(f"no detector {unknown}; there is haadf")
        self._begin(_FRAME_OVERHEAD_s + _settings.pixels**2 * _settings.dwell_s)
        left, top, width, _ = _settings.region
        field_nm = self._field_m * 1e9
        pixels = _settings.pixels + (1 if self._conduct.befalls("shape") else 0)
        image = self._bench.image(
            pixels,
            self._stage[1] * 1e9 + top * field_nm,
            self._stage[0] * 1e9 + left * field_nm,
            width * field_nm,
            0.0 if self._blanked else _settings.dwell_s,
        )
        return self._saved("stem_image", "image/HAADF", image)

    @command(dtype_in=str, dtype_out=str)
    def acquire_spectrum(self, detector: str) -> str:
        if detector.lower() != "eels":
            raise ValueError(f"no detector {detector!r}; there is eels")
        self._begin(_settings.exposure_s)
        x, y = self._beam
        field_nm = self._field_m * 1e9
        spectrum = self._bench.spectrum(
            self._stage[1] * 1e9 + y * field_nm,
            self._stage[0] * 1e9 + x * field_nm,
            0.0 if self._blanked else _settings.exposure_s,
        )
        data = np.stack([spectrum] * 2) if self._conduct.befalls("shape") else spectrum
        return self._saved("spectrum", "spectrum", data)

    @command(dtype_in=("float",))
    def place_beam(self, position: Any) -> None:
        x, y = (float(v) for v in position)
        if not (0.0 <= x <= 1.0 and 0.0 <= y <= 1.0):
            raise ValueError(f"({x:g}, {y:g}) is not within [0, 1]")
        self._beam = (x, y)

    @command
    def blank_beam(self) -> None:
        self._blanked = True

    @command
    def unblank_beam(self) -> None:
        self._blanked = False

    @command(dtype_in=float)
    def set_fov(self, metres: float) -> None:
        if not 0.0 < metres <= 1e-3:
            raise ValueError(f"a field of view of {metres:g} m")
        self._field_m = metres

    @command(dtype_out=float)
    def get_fov(self) -> float:
        return self._field_m

    @command(dtype_in=float)
    def set_defocus(self, metres: float) -> None:
        self._defocus_m = metres

    @command(dtype_out=float)
    def get_defocus(self) -> float:
        return self._defocus_m

    @command
    def auto_focus(self) -> None:
        self._defocus_m = _FOCUSED_nm * 1e-9

    @command(dtype_in=("float",))
    def move_stage(self, position: Any) -> None:
        goal = [float(v) for v in position]
        if len(goal) != 5:
            raise ValueError("move_stage takes x, y, z, alpha and beta")
        self._stage = goal

    @command(dtype_out=("float",))
    def get_stage(self) -> list[float]:
        return self._stage

    @command(dtype_out=float)
    def get_screen_current(self) -> float:
        return self._bench.current_pA

    @command(dtype_out=str)
    def get_parameters(self) -> str:
        return json.dumps({"manufacturer": "probewise twin", "beam_blanked": self._blanked})

    def _begin(self, seconds: float) -> None:
        conduct = self._conduct
        conduct.taken += 1
        if conduct.befalls("refuse"):
            raise RuntimeError("the viewing screen is in: no signal")
        if conduct.befalls("hang"):
            threading.Event().wait(30.0)
        if conduct.befalls("drop") or conduct.gone:
            os._exit(1)
        threading.Event().wait(conduct.pace(seconds))

    def _saved(self, kind: str, dataset: str, expected: Any) -> str:
        path = Path(self.folder) / f"{kind}_{next(self._numbers):06d}.h5"
        counts = self._conduct.counts(expected)
        if self._conduct.befalls("dtype"):
            counts = np.full(counts.shape, b"none")
        with h5py.File(path, "w") as file:
            made = file.create_dataset(dataset, data=counts)
            made.attrs["acquisition_type"] = kind
        return path.name


def tango_twin(
    folder: str | Path, seed: int = 0, speed: float = 1.0, faults: list[str] | None = None,
    host: str = "127.0.0.1", port: int = 0, process: bool = True,
) -> MultiDeviceTestContext:  # fmt: skip
    """A server of the three devices, without a Tango database; starts when entered with ``with``.

    ``get_device_access(SCOPE)`` of what it gives is the address of a device. In a process of its
    own, Tango's timeouts hold; within one process they do not.
    """
    properties = {
        "folder": str(folder),
        "seed": seed,
        "speed": speed,
        "faults": faults or [""],
    }
    devices = [
        {"class": ScopeTwin, "devices": [{"name": SCOPE, "properties": properties}]},
        {"class": ScanTwin, "devices": [{"name": SCAN}]},
        {"class": SpectrumTwin, "devices": [{"name": SPECTRUM}]},
    ]
    return MultiDeviceTestContext(devices, host=host, port=port, process=process, timeout=20)
