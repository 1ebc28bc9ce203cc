"""The only module that starts, joins and leaves Ray. It imports Ray when it is first needed.

Ray reads its environment when it is imported, so everything is set here before: sockets on the
loopback interface only, a secret token for every connection, no usage reports, no meddling with
accelerators. The first two do not apply to a cluster that is joined by its address: there, the
environment is the user's.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ..workflow import Kind, WorkerError
from ._shipping import unpack_wheels

_ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
}
_LOCAL_ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_worker_niceness": "0",  # Ray's own is 15: any other program would hold up an instrument
    "RAY_AUTH_MODE": "token",
}
_OBJECT_STORE_BYTES = 200_000_000
_UNITS_PER_KIND = 1000.0

Item = TypeVar("Item")
Result = TypeVar("Result")


def import_ray(local: bool = True) -> Any:
    """The ``ray`` module, with its environment set beforehand where the user has not set it."""
    if "ray" not in sys.modules:
        for name, value in (_ENVIRONMENT | (_LOCAL_ENVIRONMENT if local else {})).items():
            os.environ.setdefault(name, value)
        given = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ)
        if local and os.environ["RAY_AUTH_MODE"] == "token" and not given:
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    import ray

    return ray


def connect(
    address: str | None = None,
    num_cpus: int = 2,
    resources: Mapping[str, float] | None = None,
    ship: Sequence[Path] = (),
) -> bool:
    """Be connected to Ray: to the cluster at ``address``, or to a fresh one on this machine.

    Parameters
    ----------
    address
        A cluster, as ``ray.init`` takes it; None starts one that ends with this process.
    num_cpus
        Processors of a fresh cluster.
    resources
        Custom resources of a fresh cluster, besides 1000 units of every kind of worker.
    ship
        Wheels that every process of this connection shall be able to import.

    Returns
    -------
    bool
        True if this call connected; whoever connected calls :func:`disconnect`.

    Raises
    ------
    WorkerError
        If Ray does not start, the cluster cannot be reached, or what is to be shipped is no wheel.
    """
    ray = import_ray(local=address is None)
    if ray.is_initialized():
        return False
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if ship:
        quiet["runtime_env"] = {"py_modules": unpack_wheels(ship, Path(_home().name) / "shipped")}
    try:
        with _own_way_to_end():
            if address is not None:
                ray.init(address=address, **quiet)
            else:
                _start_local(ray, num_cpus, dict(resources or {}), quiet)
    except Exception as error:
        raise WorkerError(
            "Ray",
            f"address {address!r} ({type(error).__name__}: {str(error)[:300]})",
            "a running cluster of the same Ray and Python versions, or None for this machine",
            "check the address and RAY_AUTH_TOKEN, or run without an address",
        ) from error
    return True


@contextmanager
def _own_way_to_end() -> Iterator[None]:
    """Ray takes SIGTERM for itself and ends the process at once; whoever asked to hear of it
    before, to make instruments safe, hears of it again."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if callable(before) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _start_local(
    ray: Any, num_cpus: int, resources: dict[str, float], quiet: dict[str, Any]
) -> None:
    """Ray's processes inherit this environment; ours gets its thread setting back."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        ray.init(
            num_cpus=num_cpus,
            num_gpus=0,
            resources={kind.value: _UNITS_PER_KIND for kind in Kind} | resources,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            _temp_dir=_home().name,
            **quiet,
        )
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


@cache
def _home() -> tempfile.TemporaryDirectory[str]:
    """Where a fresh cluster keeps its sockets: a short path, for theirs may have 107 bytes."""
    short = "/tmp" if os.path.isdir("/tmp") else None
    return tempfile.TemporaryDirectory(prefix="pw", dir=short, ignore_cleanup_errors=True)


def disconnect() -> None:
    """Leave Ray; a cluster started by :func:`connect` on this machine ends, with its files."""
    if "ray" in sys.modules:
        import_ray().shutdown()
    if _home.cache_info().currsize:
        _home().cleanup()
        _home.cache_clear()


def map_tasks(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    parallel: int,
    address: str | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Run a function over items as Ray tasks, each a process with one thread.

    Parameters
    ----------
    function
        A function of an importable module.
    items
        Its arguments; like the results, they must pickle.
    parallel
        How many run at once, at most.
    address
        A cluster; None uses the one that is connected, or starts one on this machine.

    Yields
    ------
    tuple
        Item and result, in the order in which they are finished.

    Raises
    ------
    WorkerError
        If a task's process dies. An error of the function itself is raised as it is.
    """
    started = connect(address, num_cpus=parallel)
    ray = import_ray()
    task = ray.remote(num_cpus=1, max_retries=1)(_apply)
    waiting = list(reversed(items))
    running: dict[Any, Item] = {}
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                item = waiting.pop()
                running[task.remote(function, item)] = item
            (ready, *_), _ = ray.wait(list(running))
            item = running.pop(ready)
            yield item, _result(ray, ready, item)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        if started:
            disconnect()


def _apply(function: Callable[[Item], Result], item: Item) -> Result:
    return function(item)


def _result(ray: Any, reference: Any, item: object) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise WorkerError(
            "parallel task",
            f"item {str(item)[:200]} ({type(error).__name__})",
            "a task whose process lives to its end",
            "give it more memory, or run fewer in parallel",
        ) from error
