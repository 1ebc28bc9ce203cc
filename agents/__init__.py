"""Seats for workers: by name from entry points, in process or as Ray actors, guarded.

Ray is imported only when a :class:`RayRuntime` starts or :func:`map_tasks` runs.
"""

from ._bootstrap import connect, disconnect, map_tasks
from ._conformance import check_worker
from ._example import example_job
from ._finding import Finding
from ._guardian import Guardian, LimitsGuardian
from ._health import SILENT_S, Health, utc_now
from ._inline import InlineRuntime
from ._memory import MemoryStore
from ._offers import expected_offers
from ._ray import RayRuntime
from ._registry import RegisteredWorker, make_truth, make_worker, worker_types
from ._runtime import Runtime
from ._scaffold import new_worker
from ._seat import Seat
from ._secrets import is_bare_secret

__all__ = [
    "SILENT_S",
    "Finding",
    "Guardian",
    "Health",
    "InlineRuntime",
    "LimitsGuardian",
    "MemoryStore",
    "RayRuntime",
    "RegisteredWorker",
    "Runtime",
    "Seat",
    "check_worker",
    "connect",
    "disconnect",
    "example_job",
    "expected_offers",
    "is_bare_secret",
    "make_truth",
    "make_worker",
    "map_tasks",
    "new_worker",
    "utc_now",
    "worker_types",
]
