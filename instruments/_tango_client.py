"""The wire to an asyncroscopy-style Tango microscope: commands, keys, and the files behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import Any, final

import h5py
import numpy as np
from numpy.typing import NDArray

from ..workflow import SpecError
from ._driver import DriverFault
from ._extras import extra
from ._incoming import MAX_VALUES, checked_patience, expect_shape

Floats = NDArray[np.float64]

_PUT_BACK_s = 3.0
_REMEDY = "look at the microscope's server, mend what it says, and ask again"


@final
class TangoMicroscope:
    """A client of a microscope device and of the device that holds its scan settings.

    Acquisitions give back a key. What it names is fetched apart, from the folder in which the
    server writes its HDF5 files: of a key only the last part counts, and only files of that folder
    are opened.

    Parameters
    ----------
    device, scan_device, spectrum_device
        Addresses, such as ``asyncroscopy/tem/default`` (with a Tango database) or
        ``tango://host:8888/test/nodb/tem#dbase=no``.
    data_folder
        Where the server's files are to be seen from here.
    patience_s
        How long an answer may take beyond the time that the measurement itself needs. Tango's own
        3 s are too short for a first acquisition.

    Raises
    ------
    SpecError
        If an address is empty or there is no such folder.
    WorkerError
        If the extra ``tango`` is not installed.
    """

    def __init__(
        self, device: str, scan_device: str, spectrum_device: str, data_folder: str,
        patience_s: float = 60.0,
    ) -> None:  # fmt: skip
        self.who = f"Tango device {device}"
        self._tango = extra("tango", "tango", self.who)
        if not all((device, scan_device, spectrum_device)):
            raise SpecError(
                self.who, "an empty address", "the addresses of three devices", "name them all"
            )
        self.folder = Path(data_folder)
        if not data_folder or not self.folder.is_dir():
            raise SpecError(
                self.who,
                f"data_folder={data_folder!r}",
                "the folder in which the server keeps its acquisitions",
                "mount it here, and name it",
            )
        self._addresses = {"scope": device, "scan": scan_device, "spectrum": spectrum_device}
        self._patience_s = checked_patience(self.who, patience_s)
        self._proxies: dict[str, Any] = {}

    def image(self, detector: str, pixels: int, dwell_s: float, region: Sequence[float]) -> Floats:
        """A square scan in counts, (pixels, pixels); ``region`` is left, top, width, height in
        fractions of the field of view."""
        self.write("scan", "imsize", int(pixels))
        self.write("scan", "dwell_time", float(dwell_s))
        self.write("scan", "scan_region", [float(v) for v in region])
        key = self.call("acquire_scanned_image", [detector], expected_s=pixels**2 * dwell_s)
        data = self._fetch(key, detector, axes=2)
        expect_shape(self.who, data, (pixels, pixels))
        return data

    def spectrum(self, detector: str, exposure_s: float) -> Floats:
        """A spectrum at the resting beam, (channels,)."""
        self.write("spectrum", "exposure_time", float(exposure_s))
        key = self.call("acquire_spectrum", detector, expected_s=exposure_s)
        return self._fetch(key, detector, axes=1)

    def call(self, command: str, argument: Any = None, expected_s: float = 0.0) -> Any:
        """A command of the microscope; given once, whatever comes of it.

        Raises
        ------
        DriverFault
            ``refused`` if the server says no or is not there, ``timeout`` or ``uncertain`` if the
            answer does not come.
        """
        given = () if argument is None else (argument,)
        return self._ask("scope", command, 1.2 * expected_s, "command_inout", command, *given)

    def put_back(self, command: str) -> bool:
        """A command after a fault: waited for some seconds at most, and its own fault left aside,
        because what came before says more. Whether it is known to have been done."""
        shorter_s = min(0.0, _PUT_BACK_s - self._patience_s)
        try:
            self._ask("scope", command, shorter_s, "command_inout", command)
        except DriverFault:
            return False
        return True

    def write(self, device: str, attribute: str, value: Any) -> None:
        """Set an attribute; faults as in :meth:`call`."""
        self._ask(device, attribute, 0.0, "write_attribute", attribute, value)

    def numbers(self, command: str) -> list[float]:
        """What a command gives back, as finite numbers.

        Raises
        ------
        DriverFault
            Also ``bad_data``, if it gives anything else.
        """
        answer = self.call(command)
        try:
            found = [float(v) for v in np.atleast_1d(np.asarray(answer, dtype=np.float64))]
        except (TypeError, ValueError):
            found = [math.nan]
        if not all(map(math.isfinite, found)):
            raise DriverFault(
                "bad_data",
                f"{self.who}: {command} answers {str(answer)[:60]!r}; allowed: finite numbers",
                _REMEDY,
            )
        return found

    def close(self) -> None:
        """Let go of the devices."""
        self._proxies.clear()

    def _ask(self, device: str, what: str, expected_s: float, method: str, *args: Any) -> Any:
        limit_s = expected_s + self._patience_s
        try:
            proxy = self._proxy(device)
            proxy.set_timeout_millis(math.ceil(1000 * limit_s))
            return getattr(proxy, method)(*args)
        except self._tango.DevFailed as error:
            raise self._fault(device, what, limit_s, error) from error

    def _proxy(self, device: str) -> Any:
        if device not in self._proxies:
            made = self._tango.DeviceProxy(self._addresses[device])
            made.set_transparency_reconnection(False)  # a lost command must not be given again
            self._proxies[device] = made
        return self._proxies[device]

    def _fault(self, device: str, what: str, limit_s: float, error: Any) -> DriverFault:
        reasons = [str(e.reason) for e in error.args]
        said = " ".join(str(error.args[0].desc).split())[:200] if error.args else str(error)[:200]
        who = f"{self.who}: {what} of {self._addresses[device]}"
        if "CallTimedout" in said:
            self._proxies.pop(device, None)
            return DriverFault("timeout", f"{who}: no answer within {limit_s:.3g} s", _REMEDY)
        absent = {"API_CantConnectToDevice", "API_ServerNotRunning", "API_DeviceNotExported",
                  "DB_DeviceNotDefined", "API_CantConnectToDatabase"}  # fmt: skip
        if absent & set(reasons):
            self._proxies.pop(device, None)
            return DriverFault(
                "refused",
                f"{who}: cannot be reached ({said}); nothing was done",
                "start the server, and check the address and the port",
            )
        if isinstance(error, self._tango.CommunicationFailed | self._tango.ConnectionFailed):
            self._proxies.pop(device, None)
            return DriverFault(
                "uncertain",
                f"{who}: the connection was lost ({said}); it may or may not have been done",
                "look at the microscope before repeating it",
            )
        return DriverFault("refused", f"{who} is refused: {said}", _REMEDY)

    def _fetch(self, key: Any, detector: str, axes: int) -> Floats:
        """The array that a key names."""
        name = PureWindowsPath(str(key)).name  # the server may run on Windows; / parts there too
        path = self.folder / name
        if not name or path.resolve().parent != self.folder.resolve() or not path.is_file():
            raise DriverFault(
                "missing",
                f"{self.who}: the key {str(key)[:120]!r} names no file of {str(self.folder)!r};"
                " allowed: a file there",
                "mount the folder of the server's acquisitions, or correct data_folder",
            )
        try:
            with h5py.File(path, "r") as file:
                found = _dataset(file, detector, axes)
                if (
                    found is None
                    or (found.size or 0) > MAX_VALUES
                    or found.dtype.kind not in "biuf"
                ):
                    raise OSError(f"no numeric dataset of {axes} axes for {detector!r}")
                return np.asarray(found[()], dtype=np.float64)
        except (OSError, RuntimeError, KeyError) as error:
            raise DriverFault(
                "bad_data",
                f"{self.who}: the acquisition {name!r} cannot be read ({str(error)[:160]});"
                f" allowed: an HDF5 file with the data of {detector!r}",
                "copy the file away and look at it; the server still has it",
            ) from error


def _dataset(file: h5py.File, detector: str, axes: int) -> h5py.Dataset | None:
    """The dataset named after the detector, or the only one with so many axes."""
    fitting: list[h5py.Dataset] = []

    def visit(_name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == axes:
            fitting.append(item)

    file.visititems(visit)
    named = [d for d in fitting if str(d.name).rpartition("/")[2].lower() == detector.lower()]
    chosen = named or fitting
    return chosen[0] if len(chosen) == 1 else None
