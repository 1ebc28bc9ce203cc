"""The wire to a DigitalMicrograph array server: five calls over Pyro5, and what can go wrong."""

from __future__ import annotations

import re
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ..workflow import SpecError
from ._driver import DriverFault
from ._extras import extra
from ._incoming import array_from, checked_patience, expect_shape

SERIALIZERS = ("serpent", "msgpack")
"""Formats of the wire that carry data and never code."""

_URI = re.compile(r"PYRO:[A-Za-z0-9_.\-]+@(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9_.\-]+):\d{1,5}")


@final
class ArrayServer:
    """A client of the array server that runs inside DigitalMicrograph.

    Every call has a limit of its own; none is repeated. Arrays come as ``(values, shape, dtype)``,
    the values as nested lists (1.4 s for a mebibyte) or, from servers that have it, as bytes.

    Parameters
    ----------
    uri
        ``PYRO:array.server@host:9091``.
    serializer
        ``serpent``, which every server speaks, or ``msgpack``, which is faster.
    patience_s
        How long an answer may take beyond the time that the measurement itself needs.

    Raises
    ------
    SpecError
        If the address or the serializer is none.
    WorkerError
        If the extra ``dm`` is not installed.
    """

    def __init__(self, uri: str, serializer: str = "serpent", patience_s: float = 20.0) -> None:
        self.who = f"array server {uri}"
        if _URI.fullmatch(uri) is None:
            raise SpecError(
                "array server",
                f"the address {uri!r}",
                "PYRO:array.server@host:port",
                "copy the address that the server prints when it starts",
            )
        if serializer not in SERIALIZERS:
            raise SpecError(
                self.who,
                f"serializer {serializer!r}",
                f"one of {list(SERIALIZERS)}",
                "take one that carries no code",
            )
        self._errors = extra("Pyro5.errors", "dm", self.who)
        self._proxy: Any = extra("Pyro5.api", "dm", self.who).Proxy(uri)
        self._proxy._pyroSerializer = serializer
        self._proxy._pyroMaxRetries = 0
        self._patience_s = checked_patience(self.who, patience_s)
        self._camera_ready = False

    def image(self, size: int, pixel_time_us: float) -> NDArray[np.float64]:
        """A frame of the scan, ``size`` x ``size`` (row, column), in counts."""
        scan_s = size * size * pixel_time_us * 1e-6
        parts = self._call("get_ds", 1.2 * scan_s, size=size, pixelTime=pixel_time_us)
        frame = array_from(self.who, self._plain(parts), axes=2)
        expect_shape(self.who, frame, (size, size))
        return frame

    def place_beam(self, x_px: float, y_px: float, patience_s: float | None = None) -> None:
        """Rest the beam on a pixel of the last frame; ``patience_s`` may be another than usual."""
        wait_s = 0.0 if patience_s is None else min(0.0, patience_s - self._patience_s)
        self._call("set_beam_pos", wait_s, x_px, y_px)

    def spectrum(self, exposure_s: float) -> NDArray[np.float64]:
        """A spectrum at the resting beam, (channels,), in counts."""
        if not self._camera_ready:  # a server has a fresh camera for every connection
            self._call("activate_camera", 0.0)
            self._camera_ready = True
        self._call("acquire_camera", 1.2 * exposure_s, exposure=exposure_s)
        return array_from(self.who, self._plain(self._call("get_eels", 0.0)), axes=1)

    def close(self) -> None:
        """Hang up."""
        self._proxy._pyroClaimOwnership()
        self._proxy._pyroRelease()

    def _call(self, method: str, expected_s: float, *args: Any, **kwargs: Any) -> Any:
        limit_s = expected_s + self._patience_s
        self._proxy._pyroClaimOwnership()  # a worker may be asked from another thread each time
        self._proxy._pyroTimeout = limit_s
        assert self._proxy._pyroSerializer in SERIALIZERS
        try:
            return getattr(self._proxy, method)(*args, **kwargs)
        except self._errors.CommunicationError as error:
            self._camera_ready = False
            self._proxy._pyroRelease()
            raise self._lost(method, limit_s, error) from error
        except self._errors.SerializeError as error:
            raise DriverFault(
                "bad_data",
                f"{self.who}: the answer to {method} cannot be read ({_line(error)}); allowed:"
                f" plain data by {' or '.join(SERIALIZERS)}",
                "try the other serializer",
            ) from error
        except Exception as error:  # what the server raised, made anew here
            raise DriverFault(
                "refused",
                f"{self.who}: {method} is refused: {type(error).__name__}: {_line(error)}",
                "look at DigitalMicrograph's own window, mend what it says, and ask again",
            ) from error

    def _lost(self, method: str, limit_s: float, error: Exception) -> DriverFault:
        if isinstance(error, self._errors.TimeoutError):
            return DriverFault(
                "timeout",
                f"{self.who}: no answer to {method} within {limit_s:.3g} s",
                "look whether DigitalMicrograph is busy or shows a dialog; a longer patience_s"
                " waits longer",
            )
        if not isinstance(error, self._errors.ConnectionClosedError):
            return DriverFault(
                "refused",
                f"{self.who}: cannot be reached ({_line(error)}); nothing was done",
                "start the server, and check the host, the port and the firewall",
            )
        return DriverFault(
            "uncertain",
            f"{self.who}: the connection was lost during {method} ({_line(error)}); it may or may"
            " not have been done",
            "look at the microscope before repeating it",
        )

    def _plain(self, parts: Any) -> Any:
        """Bytes as serpent has them (base 64 in a dictionary) are made bytes again."""
        if isinstance(parts, list | tuple) and parts and isinstance(parts[0], dict):
            try:
                return (extra("serpent", "dm", self.who).tobytes(parts[0]), *parts[1:])
            except (TypeError, ValueError, KeyError) as error:
                raise DriverFault(
                    "bad_data",
                    f"{self.who}: bytes that cannot be decoded ({_line(error)}); allowed: base 64",
                    "try the serializer msgpack",
                ) from error
        return parts


def _line(error: Exception) -> str:
    """The first line of an error's text, not more than 200 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
