"""Doubles of instrument servers, started by one call each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from ..workflow import WorkerError
from ._dm_twin import ArrayServerTwin
from ._extras import extra
from ._particle_bench import ParticleBench
from ._twin_server import Conduct, parse_faults


def serve_array_server(
    seed: int = 0, speed: float = 1.0, faults: Sequence[str] = (), host: str = "127.0.0.1",
    port: int = 0, form: Literal["list", "bytes"] = "list", field_of_view_nm: float = 200.0,
) -> ArrayServerTwin:  # fmt: skip
    """A double of the DigitalMicrograph array server, answering in a thread until it is closed.

    Parameters
    ----------
    seed
        Of the specimen, the particles of the STEM twin's world, and of the noise.
    speed
        1 is the pace of an instrument, 0 without any waiting.
    faults
        Such as ``drop:3``: the third frame or spectrum is lost with the connection.
    host, port
        Where it listens; port 0 is any free one.
    form
        Values as nested lists, as the real server has them, or as bytes.
    field_of_view_nm
        Side of what a frame shows.

    Raises
    ------
    SpecError
        If a fault does not read.
    WorkerError
        If the extra ``dm`` is not installed, or the port is taken.
    """
    conduct = Conduct(speed, parse_faults(faults))
    try:
        return ArrayServerTwin(
            ParticleBench(seed), conduct, host, port, form=form, field_of_view_nm=field_of_view_nm
        ).start()
    except OSError as error:
        raise WorkerError(
            "array server twin", f"{host}:{port} ({error})", "an address and port that are free",
            "choose another port, or 0 for any free one",
        ) from error  # fmt: skip


@contextmanager
def serve_tango(
    folder: str | Path, seed: int = 0, speed: float = 1.0, faults: Sequence[str] = (),
    host: str = "127.0.0.1", port: int = 0,
) -> Iterator[dict[str, str]]:  # fmt: skip
    """A double of asyncroscopy's devices in a process of its own, for as long as the context lasts.

    Gives the addresses of ``device``, ``scan_device`` and ``spectrum_device``; acquisitions are
    written to ``folder``. The other parameters as in :func:`serve_array_server`.

    Raises
    ------
    SpecError
        If a fault does not read.
    WorkerError
        If the extra ``tango`` is not installed.
    """
    parse_faults(faults)
    tango = extra("tango", "tango", "Tango twin")
    from . import _tango_twin as twin

    context = twin.tango_twin(folder, seed, speed, list(faults), host, port)
    context.start()
    try:
        yield {
            "device": context.get_device_access(twin.SCOPE),
            "scan_device": context.get_device_access(twin.SCAN),
            "spectrum_device": context.get_device_access(twin.SPECTRUM),
        }
    finally:
        process: Any = context.thread  # a process, since the twin has one of its own
        process.kill()  # it may hang, or have ended by itself
        process.join(5.0)
        with suppress(RuntimeError, tango.DevFailed):
            context.stop()
