"""Tiny campaigns: a hidden peak, a cheap look at it, a dear test of it, samples on request."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import numpy as np

from probewise.campaign import Campaign, CampaignSpec, _campaign
from probewise.campaign._tracking import MlflowSink
from probewise.planner import PlannerSettings, _belief
from probewise.planner._gp import Matern52
from probewise.workflow import (
    Action,
    Array,
    ArrayRef,
    Axis,
    Budget,
    Decided,
    Decision,
    Design,
    Estimate,
    Event,
    Failure,
    Goal,
    Grant,
    Grid,
    Issued,
    Job,
    Kind,
    Maximize,
    Observation,
    Observed,
    Offer,
    Outcome,
    Recommendation,
    Refused,
    Sample,
    Score,
    State,
    Table,
    Target,
    Worker,
    Workflow,
)

DIE_AT = "SUPPORT_CAMPAIGNS_DIE_AT"
"""Environment variable: the id of the action in which a worker kills its own process."""

ENTRY_POINTS = """\
[probewise.workers]
peak-twin = support_campaigns:PeakTwin
peak-device = support_campaigns:PeakDevice
[probewise.truths]
peak = support_campaigns:PeakTruth
"""

_PLANNER = "probewise.planner."

BEST: Design = {"x": 0.3, "y": 0.6}


def height(design: Design) -> float:
    """The truth: 1 at :data:`BEST`, falling to 0."""
    away = sum((design[k] - v) ** 2 for k, v in BEST.items() if k in design)
    return float(np.exp(-6.0 * away))


class PeakTwin(Worker):
    """Measures the peak: what is called ``rough`` with a bias, anything else well.

    ``failure_rate`` is the share of actions that fail, by the action's seed; ``refuses`` names a
    step whose actions it refuses, at no cost. It charges ``overcharge`` times what it should.
    """

    kind = Kind.INSTRUMENT
    twin = True
    replayable = True

    def __init__(
        self,
        *,
        capabilities: str,
        failure_rate: float = 0.0,
        refuses: str = "",
        log: str = "",
        overcharge: float = 1.0,
    ) -> None:
        self._overcharge = overcharge
        self._capabilities = capabilities.split()
        self._failure_rate, self._refuses, self._log = failure_rate, refuses, log

    def offers(self) -> tuple[Offer, ...]:
        return tuple(Offer(capability=c, about="tiny twin") for c in self._capabilities)

    def perform(self, job: Job) -> Outcome:
        if self._log:
            with Path(self._log).open("a") as file:
                file.write(f"{job.action.id}\n")
        if os.environ.get(DIE_AT) == job.action.id:
            os.kill(os.getpid(), signal.SIGKILL)
        if job.step.name == self._refuses:
            return Outcome(failure=Failure(kind="refused", message="out of order"))
        credits, hours = job.draw_price()
        if job.rng.random() < self._failure_rate:
            failure = Failure(kind="instrument", message="it slipped")
            return Outcome(failure=failure, cost_credits=credits, duration_h=hours)
        return Outcome(
            values={p.name: _measured(p.name, job) for p in job.step.produces},
            arrays={p.name: _ramp(p.unit or "1") for p in job.step.records},
            cost_credits=credits * self._overcharge,
            duration_h=hours,
        )


class PeakDevice(PeakTwin):
    """The same, said to be real: nobody may repeat what it may have done."""

    twin = False
    replayable = False


class PeakTruth:
    """Scores a recommended design."""

    def score(self, recommendation: Recommendation) -> Score:
        return Score(true_value=height(recommendation.design), best=1.0, baseline=0.1)


def _measured(name: str, job: Job) -> Estimate:
    std = job.step.noise.get(name, 0.02)
    design = job.action.target.design
    bias = 0.1 * np.sin(9.0 * design["x"]) if name == "rough" else 0.0
    return Estimate(value=height(design) + bias + std * float(job.rng.normal()), std=std)


def _ramp(unit: str) -> Array:
    x = np.arange(3.0)
    return Array(x, unit, (Axis("x", "nm", x, "spatial"),))


def register(folder: Path) -> Path:
    """Metadata, in a folder for ``sys.path``, that registers the workers and the truth above."""
    info = folder / "support_campaigns-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: support-campaigns\nVersion: 0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


@contextmanager
def registered(folder: Path) -> Iterator[Path]:
    """The workers and the truth above, as if installed."""
    sys.path.insert(0, str(register(folder)))
    importlib.invalidate_caches()
    try:
        yield folder
    finally:
        sys.path.remove(str(folder))


SMALL = {
    "DEFAULT_SETTINGS": PlannerSettings(
        worlds=64,
        space_points=16,
        local_points=16,
        libraries=6,
        grid_points=48,
        wide_points=32,
    ),
    "WORLDS": 64,
}

SMALL_PARTS: dict[str, dict[str, int]] = {
    "_leftover": {"_WORLDS": 8},
    "_possible_world": {"_SEARCH": 128},
    "_network_points": {
        "_WIDE": 64,
        "_KEPT": 64,
        "_MIXED": 48,
        "_LOOKED_AT": 384,
        "_NEIGHBOURS": 64,
        "_FINISHABLE": 12,
    },
    "_network_climb": {"_ITERATIONS": 8},
    "_network_options": {"_PROBES": 32, "_VARIANTS": 6, "_REFERENCE": 64},
    "_network_planner": {"_LOOKED_AT": 150},
}
"""Modules of the planner with what :func:`shrink` makes smaller there."""


def kernel(dim: int, variance: float = 1.0) -> Matern52:
    return Matern52(np.full(dim, 0.4 * np.sqrt(max(dim, 1))), variance)


def fix_kernel(put: Callable[[Any, str, Any], None], module: Any) -> None:
    """Let a module use :func:`kernel` before data and after."""
    put(module, "default_kernel", kernel)
    for fit in {"fit_kernel", "likelier_kernel"} & vars(module).keys():
        put(module, fit, lambda x, y, noise, variance=1.0: kernel(x.shape[1], variance))


def shrink(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Few worlds, few points and one kernel: decisions in milliseconds, without torch."""
    found = {n: module for n, module in sys.modules.copy().items() if n.startswith(_PLANNER)}
    for module in found.values():
        for name in vars(module).copy():
            if name.lstrip("_") in SMALL:
                put(module, name, SMALL[name.lstrip("_")])
    for where, sizes in SMALL_PARTS.items():
        for name, size in sizes.items():
            put(found[_PLANNER + where], name, size)
    fix_kernel(put, _belief)


def untrack(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Runs are told to no MLflow: its database takes seconds to make."""
    sink = create_autospec(MlflowSink)
    sink.return_value.finish.return_value = None
    put(_campaign, "MlflowSink", sink)


VARIABLES: list[dict[str, Any]] = [
    {"name": "x", "low": 0, "high": 1},
    {"name": "y", "low": 0, "high": 1},
]
PRIOR = {"mean": 0.3, "std": 0.4}

LOOK: dict[str, Any] = {
    "name": "look",
    "level": 3,
    "produces": "rough [V]",
    "noise": {"rough": 0.05},
    "cost_credits": 1,
    "latency_h": 0.2,
}
TEST: dict[str, Any] = {
    "name": "test",
    "level": 4,
    "produces": "height [V]",
    "noise": {"height": 0.02},
    "cost_credits": 8,
    "latency_h": 1,
}
GROW: dict[str, Any] = {
    "name": "grow",
    "level": 4,
    "makes": {"sites": 3, "gradient": {"x": 0.2}},
    "cost_credits": 10,
    "latency_h": 2,
    "repeat": "irreversible",
}
LOAD: dict[str, Any] = {
    "name": "load",
    "level": 4,
    "acts_on": "sample",
    "requires": "grow",
    "mounts": True,
    "cost_credits": 2,
    "latency_h": 0.3,
}


def raw_spec(**changes: Any) -> dict[str, Any]:
    """Two sources of one property, over designs; as YAML would give it."""
    return {
        "name": "peak",
        "policy": "random",
        "truth": "peak",
        "goal": {"kind": "maximize", "quantity": "height"},
        "budget": {"credits": 60, "hours": 50},
        "workflow": {
            "space": VARIABLES,
            "steps": [LOOK, TEST],
            "sources": {"height": ["rough"]},
            "priors": {"height": PRIOR, "rough": PRIOR},
        },
        "workers": {
            "eye": {"type": "peak-twin", "config": {"capabilities": "look"}},
            "rig": {"type": "peak-twin", "config": {"capabilities": "test"}},
        },
        "guardian": {"type": "limits-guardian", "config": {"max_cost_credits": 100}},
    } | changes


def raw_library_spec(**changes: Any) -> dict[str, Any]:
    """The same with samples that are grown, loaded, looked at site by site and tested to pieces."""
    steps = [
        GROW,
        LOAD,
        LOOK | {"acts_on": "site", "requires": "load"},
        TEST | {"acts_on": "site", "requires": "grow", "destroys": True},
    ]
    workers = {
        "oven": {"type": "peak-twin", "config": {"capabilities": "grow"}},
        "eye": {"type": "peak-twin", "config": {"capabilities": "load look"}},
        "rig": {"type": "peak-twin", "config": {"capabilities": "test"}},
    }
    raw = raw_spec(workers=workers, budget={"credits": 130, "hours": 60})
    raw["workflow"] = raw["workflow"] | {"steps": steps}
    return raw | changes


def spec_of(raw: Mapping[str, Any]) -> CampaignSpec:
    return CampaignSpec.model_validate(raw)


def run_in_memory(raw: Mapping[str, Any]) -> Campaign:
    campaign = Campaign(spec_of(raw))
    campaign.run()
    return campaign


def kinds(events: Iterable[Event]) -> list[str]:
    return [e.kind for e in events]


def workflow(*steps: Mapping[str, Any], **more: Any) -> Workflow:
    """Steps over :data:`VARIABLES`."""
    return Workflow.model_validate({"space": VARIABLES, "steps": steps, **more})


DESIGNS = Workflow.model_validate(raw_spec()["workflow"])
"""Two sources of one property at any design."""
SAMPLES = Workflow.model_validate(raw_library_spec()["workflow"])
"""The same on samples that must be grown and loaded."""


class Bench:
    """A state in which steps are done one after the other, without agents or clock."""

    def __init__(
        self, flow: Workflow, goal: Goal | None = None, *, seed: int = 0, **budget: Any
    ) -> None:
        self.state = State(
            flow,
            goal or Maximize(quantity="height"),
            Budget(**budget),
            seed=seed,
            capacity={s.needs: 1 for s in flow.steps},
            offers={s.needs: (s.needs,) for s in flow.steps},
        )

    def place(self, sample: str, *sites: Design) -> None:
        """A specimen that was there before."""
        self.state.inventory.samples[sample] = Sample(sample, sites[0], sites)

    def begin(
        self,
        step: str,
        target: Target,
        session: str | None = None,
        grant: Grant | None = None,
        issue: bool = True,
    ) -> Action:
        state = self.state
        number = state.actions_numbered
        action = Action(id=f"a{number:05d}", step=step, target=target, session=session)
        decision = Decision(
            number=state.decisions,
            kind="act",
            actions=(action,),
            grant=grant,
            session=session,
            reason="told to",
        )
        state.apply(Decided(hour=state.now_h, decision=decision))
        if issue:
            worker, held = state.workflow.step(step).needs, state.commitment(action)
            issued = Issued(hour=state.now_h, action=action, worker=worker, commitment=held)
            state.apply(issued)
        return action

    def end(
        self,
        action: Action,
        values: Mapping[str, tuple[float, float]] | None = None,
        *,
        failure: str | None = None,
        cost_credits: float | None = None,
        hours: float | None = None,
        grids: Mapping[str, Grid] | None = None,
        tables: Mapping[str, Table] | None = None,
    ) -> None:
        step = self.state.workflow.step(action.step)
        start = self.state.running[action.id].hour
        took = step.latency_h.typical() if hours is None else hours
        ref = ArrayRef(file=action.id, dataset="d", sha256="", shape=(1,))
        observation = Observation(
            action_id=action.id,
            worker=step.needs,
            values={k: Estimate(value=v, std=s) for k, (v, s) in (values or {}).items()},
            arrays={} if failure else {p.name: ref for p in step.records},
            grids=dict(grids or {}),
            tables=dict(tables or {}),
            cost_credits=step.cost_credits.typical() if cost_credits is None else cost_credits,
            start_h=start,
            queued_h=start,
            end_h=start + took,
            failure=Failure(kind="instrument", message=failure) if failure else None,
        )
        self.state.apply(Observed(hour=start + took, observation=observation))

    def do(
        self, step: str, target: Target, values: Mapping[str, tuple[float, float]] | None = None
    ) -> None:
        """Begin and end a step that works."""
        self.end(self.begin(step, target), values)

    def fail(self, step: str, target: Target, times: int = 1) -> None:
        for _ in range(times):
            self.end(self.begin(step, target), failure="it slipped")

    def refuse(self, step: str, target: Target) -> None:
        action = self.begin(step, target, issue=False)
        self.state.apply(Refused(hour=0, action_id=action.id, by="guardian", reason="too dear"))
