"""Programs for processes of their own: a campaign on several nodes, and one whose Ray dies.

``python support_cluster.py WHAT FOLDER`` runs the campaign of :mod:`support_faults` with twins in
``FOLDER/run`` and prints what the test wants to know as JSON on the last line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

import psutil
from support_campaigns import untrack
from support_faults import begin, raw_spec, raw_twin_spec

from probewise.agents import RayRuntime
from probewise.campaign import Campaign
from probewise.workflow import Action, Commitment, Issued, Step, WorkerSpec

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
    last: dict[str, str] = {}
    for count, _ in enumerate(campaign):
        if count == 12:
            before = runtime.nodes()
            cluster.remove_node(lost, allow_graceful=False)
            cluster.add_node(num_cpus=0, resources={"stem": 1, "rig": 1})
        after = runtime.nodes() if campaign.state.stopped is None else {}
        seen = {k: v for k, v in after.items() if v is not None}
        last = seen or last
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


SHIPPED = """
from probewise.workflow import Kind, Offer, Outcome, Worker


class Shipped(Worker):
    kind = Kind.THEORY
    replayable = True

    def offers(self):
        return (Offer(capability="echo"),)

    def perform(self, job):
        return Outcome(notes={"file": __file__})
"""


def wheel_of(folder: Path) -> Path:
    """A wheel with one module, one worker and its entry point."""
    info = "shipped_worker-1.dist-info"
    wheel = folder / "shipped_worker-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as content:
        content.writestr("shipped_worker.py", SHIPPED)
        content.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: shipped\nVersion: 1\n")
        entry = "[probewise.workers]\nshipped = shipped_worker:Shipped\n"
        content.writestr(f"{info}/entry_points.txt", entry)
    return wheel


def shipped(folder: Path) -> dict[str, Any]:
    """The driver has the wheel's content in a folder of its own; the actors get it shipped."""
    wheel = wheel_of(folder)
    own = folder / "installed"
    with zipfile.ZipFile(wheel) as content:
        content.extractall(own)
    spec = WorkerSpec(type="shipped")
    guardian = WorkerSpec(type="limits-guardian", config={"max_cost_credits": 10})
    step = Step.model_validate({"name": "echo", "level": 5, "acts_on": "space"})
    sys.path.append(str(own))
    crew = RayRuntime({"mind": spec}, guardian, ship=[wheel])
    sys.path.remove(str(own))
    crew.start()
    action = Action(id="a1", step="echo")
    held = Issued(hour=0, action=action, worker="mind", commitment=Commitment(credits=2, hours=1))
    sys.path.append(str(own))
    crew.submit(held, step)
    (found,) = crew.collect(everything=True, timeout_s=None)
    return {"file": found.notes.get("file"), "failure": str(found.failure)}


if __name__ == "__main__":
    os.environ.update({k: v for k, v in QUICK.items() if k not in os.environ})
    untrack()
    programs = {"three": on_three_nodes, "lost": node_lost, "head": head_killed, "ship": shipped}
    print(json.dumps(programs[sys.argv[1]](Path(sys.argv[2]))), flush=True)
    os._exit(0)  # a cluster's own end takes long and tells nothing
