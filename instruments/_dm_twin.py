"""A double of the DigitalMicrograph array server: the same calls, the same answers, our specimen.

It behaves as the real one is known to: arrays as nested lists, frames that take their time, a fresh
camera for every connection, errors of the camera as they come. Faults can be ordered.
"""

from __future__ import annotations

import threading
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from ._extras import extra
from ._twin_server import Bench, Conduct

_FRAME_OVERHEAD_s = 0.5
_EXPOSURE_OVERHEAD_s = 0.05


@final
class ArrayServerTwin:
    """Serves a bench until it is closed.

    Parameters
    ----------
    bench
        The specimen.
    conduct
        Its pace and its faults.
    host, port
        Where it listens; port 0 is any free one.
    form
        Values as nested lists, as the real server has them, or as bytes.
    exclusive
        Let in one client at a time. The real server lets in anybody.
    field_of_view_nm
        Side of what a frame shows; set at the microscope, the protocol has no word for it.

    Raises
    ------
    WorkerError
        If the extra ``dm`` is not installed.
    """

    def __init__(
        self, bench: Bench, conduct: Conduct | None = None, host: str = "127.0.0.1", port: int = 0,
        *, form: Literal["list", "bytes"] = "list", exclusive: bool = True,
        field_of_view_nm: float = 200.0,
    ) -> None:  # fmt: skip
        api = extra("Pyro5.api", "dm", "array server twin")
        self.bench, self.conduct = bench, conduct or Conduct()
        self.form, self.field_of_view_nm = form, field_of_view_nm
        self.closing = threading.Event()
        self._exclusive = exclusive
        self._lock = threading.Lock()
        self._owner: Any = None
        self._daemon = api.Daemon(host=host, port=port)
        self._daemon.clientDisconnect = self.dismiss
        api.expose(ArrayServerSession)
        own = type("ArrayServer", (ArrayServerSession,), {})  # Pyro notes on it how it is made
        served = api.behavior("session", lambda made: made(self, api))(own)
        self.uri = str(self._daemon.register(served, objectId="array.server"))

    def serve(self) -> None:
        """Answer until :meth:`close`."""
        self._daemon.requestLoop(lambda: not self.closing.is_set())

    def start(self) -> ArrayServerTwin:
        """Answer in a thread of its own."""
        threading.Thread(target=self.serve, daemon=True, name="array-server-twin").start()
        return self

    def close(self) -> None:
        """End it; calls that hang are let go."""
        self.closing.set()
        self._daemon.close()

    def admit(self, connection: Any) -> None:
        """Let a client in, or say why not."""
        if self.conduct.gone:
            connection.sock.close()
        with self._lock:
            if not self._exclusive or self._owner in (None, connection):
                self._owner = connection
                return
        raise RuntimeError("array server twin: another client is at the microscope; one at a time")

    def dismiss(self, connection: Any) -> None:
        """A client has gone, or may be taken for gone."""
        with self._lock:
            if self._owner is connection:
                self._owner = None

    def wait(self, seconds: float) -> None:
        """Let so much of the instrument's time pass."""
        self.closing.wait(self.conduct.pace(seconds))


class ArrayServerSession:
    """What one connection sees: the calls of the real server, by its names."""

    def __init__(self, twin: ArrayServerTwin, api: Any) -> None:
        self._twin, self._api = twin, api
        self._beam_px = (0.0, 0.0)
        self._size = 1
        self._camera = False
        self._counts: NDArray[np.float64] | None = None

    def get_ds(
        self, size: int = 256, pixelTime: float = 10, return_params: bool = False,
        front_image: bool = False,
    ) -> tuple[Any, ...]:  # fmt: skip
        self._begin()
        self._size = int(size)
        dwell_s = float(pixelTime) * 1e-6
        self._twin.wait(_FRAME_OVERHEAD_s + size * size * dwell_s)
        side_nm = self._twin.field_of_view_nm
        return self._sent(self._twin.bench.image(self._size, 0.0, 0.0, side_nm, dwell_s), "uint32")

    def set_beam_pos(self, x: float, y: float) -> None:
        self._twin.admit(self._connection)
        self._beam_px = (float(y), float(x))

    def get_beam_pos(self) -> tuple[float, float]:
        return self._beam_px[1], self._beam_px[0]

    def activate_camera(self) -> None:
        self._twin.admit(self._connection)
        self._camera = True

    def acquire_camera(self, exposure: float) -> None:
        self._begin()
        if not self._camera:
            raise AttributeError("'ArrayServer' object has no attribute 'cam'")
        self._twin.wait(_EXPOSURE_OVERHEAD_s + exposure)
        pixel_nm = self._twin.field_of_view_nm / self._size
        y_nm, x_nm = ((v + 0.5) * pixel_nm for v in self._beam_px)
        self._counts = self._twin.bench.spectrum(y_nm, x_nm, float(exposure))

    def get_eels(self, dummy: bool = False) -> tuple[Any, ...]:
        self._twin.admit(self._connection)
        if self._counts is None:
            raise AttributeError("'ArrayServer' object has no attribute 'dmImgData'")
        return self._sent(self._counts, "float32")

    @property
    def _connection(self) -> Any:
        return self._api.current_context.client

    def _begin(self) -> None:
        """A frame or spectrum begins, and may come to grief."""
        twin, conduct = self._twin, self._twin.conduct
        twin.admit(self._connection)
        conduct.taken += 1
        if conduct.befalls("refuse"):
            raise RuntimeError("the viewing screen is in: no signal")
        if conduct.befalls("hang"):
            twin.dismiss(self._connection)
            twin.closing.wait()
        if conduct.befalls("drop") or conduct.gone:
            self._connection.sock.close()

    def _sent(self, expected: NDArray[np.float64], dtype: str) -> tuple[Any, ...]:
        conduct = self._twin.conduct
        array = conduct.counts(expected).astype("float32" if conduct.befalls("nan") else dtype)
        shape = tuple(n + 1 for n in array.shape) if conduct.befalls("shape") else array.shape
        name = "object" if conduct.befalls("dtype") else str(array.dtype)
        values = array.tobytes() if self._twin.form == "bytes" else array.tolist()
        return values, shape, name
