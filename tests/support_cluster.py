"""Programs for processes of their own: a campaign on several nodes, and one whose Ray dies.

``python support_cluster.py WHAT FOLDER`` runs the campaign of :mod:`support_faults` with twins in
``FOLDER/run`` and prints what the test wants to know as JSON on the last line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from support_faults import begin, quiet, raw_spec, raw_twin_spec

from probewise.agents import RayRuntime
from probewise.campaign import Campaign

PINNED = {"eye": {"stem": 1.0}, "rig": {"rig": 1.0}, "oven": {"furnace": 1.0}}
CORES = {"desk": {"CPU": 1.0}, "mind": {"CPU": 1.0}}
QUICK = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "4",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "3",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""A lost node is seen within seconds, a lost head too."""


def pinned(raw: dict[str, Any]) -> dict[str, Any]:
    for name, worker in raw["workers"].items():
        worker["resources"] = (PINNED | CORES)[name]
        worker["timeout_s"] = 60
    return raw | {"budget": {"credits": 90, "hours": 200, "samples": 4}}


def three_nodes(head: dict[str, Any] | None = None) -> Any:
    """A head without processors, one node with the instruments, one with the cores."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0} | (head or {}))
    cluster.add_node(num_cpus=0, resources={"stem": 1, "rig": 1})
    cluster.add_node(num_cpus=4, resources={"furnace": 1})
    cluster.wait_for_nodes()
    return cluster


def watched(campaign: Campaign) -> RayRuntime:
    """The campaign's runtime, made beforehand so that it can be asked."""
    runtime = campaign._runtime()
    campaign._runtime = lambda: runtime  # type: ignore[method-assign]
    assert isinstance(runtime, RayRuntime)
    return runtime


def on_three_nodes(folder: Path) -> dict[str, Any]:
    cluster = three_nodes()
    campaign = begin(
        pinned(raw_twin_spec(folder)), folder / "run", runtime="ray", address=cluster.address
    )
    runtime = watched(campaign)
    nodes: dict[str, str | None] = {}
    for _ in campaign:
        nodes = nodes or runtime.nodes()
    return {"nodes": nodes}


def node_lost(folder: Path) -> dict[str, Any]:
    """The instruments' node is killed in mid-campaign; another joins a little later."""
    cluster = three_nodes()
    lost = next(n for n in cluster.worker_nodes if "stem" in str(n._ray_params.resources))
    campaign = begin(
        pinned(raw_spec(folder)), folder / "run", runtime="ray", address=cluster.address
    )
    runtime = watched(campaign)
    before: dict[str, str | None] = {}
    for count, _ in enumerate(campaign):
        if count == 12:
            before = runtime.nodes()
            cluster.remove_node(lost, allow_graceful=False)
            cluster.add_node(num_cpus=0, resources={"stem": 1, "rig": 1})
        after = runtime.nodes() if campaign.state.stopped is None else {}
        seen = {k: v for k, v in after.items() if v is not None}
        if seen:
            last = seen
    return {"before": before, "after": last}


def head_killed(folder: Path) -> dict[str, Any]:
    """The global control service of a cluster of our own is killed: Ray ends this process."""
    campaign = begin(raw_twin_spec(folder, sleep_s=0.3), folder / "run", runtime="ray")
    for count, _ in enumerate(campaign):
        if count == 12:
            for process in psutil.Process().children(recursive=True):
                if process.name() == "gcs_server":
                    os.kill(process.pid, signal.SIGKILL)
    return {"ended": campaign.state.stopped}


if __name__ == "__main__":
    os.environ.update({k: v for k, v in QUICK.items() if k not in os.environ})
    quiet(pytest.MonkeyPatch())
    programs = {"three": on_three_nodes, "lost": node_lost, "head": head_killed}
    print(json.dumps(programs[sys.argv[1]](Path(sys.argv[2]))), flush=True)
    os._exit(0)  # a cluster's own end takes long and tells nothing
