"""Where on a cluster a process of workers may run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..workflow import Kind, Worker, WorkerError, WorkerSpec

Demand = dict[str, float]
"""Units of Ray's resources that a process holds for life; processors are ``CPU``."""


def demand_of(seated: Iterable[tuple[WorkerSpec, type[Worker]]], joined: bool) -> Demand:
    """What the workers of one process need of the node it runs on.

    What their specs say, added up. Where none says anything: on a cluster of our own, one unit
    named after the kind, of which it has plenty; on a joined one, a processor for analysis and
    theory, nothing for the guardian and for twins, and for a real instrument or synthesis one unit
    named after its kind, which only the node that has it should declare.
    """
    given: Demand = {}
    pairs = list(seated)
    for spec, _ in pairs:
        for name, units in spec.resources.items():
            given[name] = given.get(name, 0.0) + units
    if given:
        return given
    worker = pairs[0][1]
    if not joined:
        return {worker.kind.value: 1.0}
    if worker.kind in {Kind.ANALYSIS, Kind.THEORY}:
        return {"CPU": 1.0}
    return {} if worker.twin or worker.kind is Kind.GUARDIAN else {worker.kind.value: 1.0}


def as_options(demand: Demand) -> dict[str, Any]:
    """The demand as options of an actor; computations are spread over the nodes."""
    custom = {k: v for k, v in demand.items() if k not in {"CPU", "GPU"}}
    options: dict[str, Any] = {"num_cpus": demand.get("CPU", 0.0), "resources": custom}
    if "GPU" in demand:
        options["num_gpus"] = demand["GPU"]
    return options if custom else options | {"scheduling_strategy": "SPREAD"}


def own_resources(specs: Iterable[WorkerSpec]) -> Demand:
    """Custom resources that a cluster of our own must have for these workers, besides the kinds."""
    total: Demand = {}
    for spec in specs:
        for name, units in spec.resources.items():
            if name not in {"CPU", "GPU"}:
                total[name] = total.get(name, 0.0) + units
    return total


def check_demands(demands: Mapping[str, Demand], nodes: Iterable[Mapping[str, float]]) -> None:
    """Whether the nodes have, in all and one by one, what the processes will hold for life.

    Raises
    ------
    WorkerError
        If they have not; such processes would wait in silence.
    """
    each = [dict(node) for node in nodes]
    total: Demand = {}
    for node in each:
        for name, units in node.items():
            total[name] = total.get(name, 0.0) + units
    needed: Demand = {}
    for demand in demands.values():
        for name, units in demand.items():
            needed[name] = needed.get(name, 0.0) + units
    short = {name: units for name, units in needed.items() if units > total.get(name, 0.0)}
    if short:
        have = {name: total.get(name, 0.0) for name in short}
        raise _short(
            [n for n, d in demands.items() if set(d) & set(short)], f"{short} in all", have
        )
    for name, demand in demands.items():
        if not any(all(node.get(k, 0.0) >= v for k, v in demand.items()) for node in each):
            have = [{k: node.get(k, 0.0) for k in demand} for node in each]
            raise _short([name], f"{demand} on one node", have)


def _short(names: list[str], need: str, have: object) -> WorkerError:
    return WorkerError(
        f"workers {names}",
        f"need {need}",
        f"what the cluster's nodes declare: {have}",
        "start a node with --resources, or correct the workers' resources",
    )
