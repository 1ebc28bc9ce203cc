"""How much a campaign's machinery bears: actions a second, latencies, memory, time to resume.

``python -m benchmarks.load`` from the checkout runs both parts; ``--help`` shows the sizes. The
planner is a stub, so the figures are those of journal, store, tracking, guardian and actors alone.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks._load_crew import STEP, Stub
from probewise.agents import Finding, Health, InlineRuntime, MemoryStore, RayRuntime, Runtime
from probewise.campaign import Campaign, CampaignSpec, Journal
from probewise.campaign._loop import Loop
from probewise.campaign._pauses import without_pauses
from probewise.campaign._run_folder import RunFolder
from probewise.campaign._store import Hdf5Store
from probewise.campaign._tracking import MlflowSink
from probewise.workflow import (
    Action,
    Commitment,
    Event,
    Issued,
    Observation,
    Offer,
    RealClock,
    Started,
    Step,
    Verdict,
    VirtualClock,
)

_CLERK = "[probewise.workers]\nclerk = benchmarks._load_crew:Clerk\n"


def spec_of(
    workers: int, hosts: int, clock: str, work_s: float, records: bool = True
) -> CampaignSpec:
    step = STEP | ({} if records else {"records": []})
    return CampaignSpec.model_validate(
        {
            "name": "load",
            "clock": clock,
            "policy": "random",
            "goal": {"kind": "maximize", "quantity": "signal"},
            "budget": {"credits": 1e9},
            "workflow": {"space": [{"name": "x", "low": 0, "high": 1}], "steps": [step]},
            "workers": {
                f"w{i:03d}": {
                    "type": "clerk",
                    "config": {"work_s": work_s},
                    "host": f"h{i % hosts}",
                }
                for i in range(workers)
            },
            "guardian": {"type": "limits-guardian", "config": {"max_cost_credits": 100}},
        }
    )


class Timed:
    """A runtime that notes how long after a result its worker gets the next action."""

    def __init__(self, inner: Runtime) -> None:
        self.inner = inner
        self.in_driver_s: list[float] = []
        self.in_all_s: list[float] = []
        self._came: dict[str, tuple[float, float]] = {}

    def start(self) -> dict[str, tuple[Offer, ...]]:
        return self.inner.start()

    def check(self, steps: Sequence[Step]) -> None:
        self.inner.check(steps)

    def review(
        self, action: Action, step: Step, commitment: Commitment, worker: str | None = None
    ) -> Verdict:
        return self.inner.review(action, step, commitment, worker)

    def submit(self, issued: Issued, step: Step) -> None:
        came = self._came.pop(issued.worker, None)
        self.inner.submit(issued, step)
        if came is not None:
            now = time.monotonic()
            self.in_driver_s.append(now - came[0])
            self.in_all_s.append(now - came[1])

    def inquire(self, issued: Issued, step: Step) -> Finding:
        return self.inner.inquire(issued, step)

    def collect(self, everything: bool, timeout_s: float | None) -> list[Observation]:
        found = self.inner.collect(everything, timeout_s)
        now = time.monotonic()
        for observation in found:
            self._came[observation.worker] = (now, float(observation.notes["ready_s"]))
        return found

    def secure(self) -> dict[str, str]:
        return self.inner.secure()

    def halt(self) -> None:
        self.inner.halt()

    def health(self) -> dict[str, Health]:
        return self.inner.health()

    def close(self) -> None:
        self.inner.close()


@contextmanager
def registered(folder: Path) -> Iterator[None]:
    """The load's worker as if installed, for this process and the actors'."""
    info = folder / "probewise_load-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probewise-load\nVersion: 0\n")
    (info / "entry_points.txt").write_text(_CLERK)
    root = str(Path(__file__).parents[1])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), root, before]))
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(folder))


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Milliseconds."""
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return {"p50_ms": round(float(p50), 1), "p99_ms": round(float(p99), 1)}


def run_live(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Real clock, actors, journal, store and tracking: the whole way of every action."""
    spec = spec_of(args.workers, args.hosts, "real", args.work_s)
    process, memory = psutil.Process(), []
    with ExitStack() as stack:
        run = stack.enter_context(RunFolder.create(folder))
        journal = stack.enter_context(Journal(run.journal_path))
        sink = MlflowSink(None, folder, spec.name, journal.run_id)
        store = Hdf5Store(folder)
        inner = RayRuntime(spec.workers, spec.guardian, store, ready_timeout_s=600)
        runtime = Timed(inner)
        stack.callback(runtime.close)
        offers = runtime.start()
        state = spec.initial_state({"act": tuple(offers)})
        loop = Loop(state, Stub(args.actions), runtime, RealClock(), journal.append, spec)
        stack.enter_context(without_pauses())
        began, cpu = time.monotonic(), time.thread_time()
        first = Started(spec=spec.model_dump(mode="json"), version="load")
        journal.append(first)
        sink.feed(first)
        done = 0
        for event in loop.events():
            sink.feed(event)
            if event.kind == "observed":
                done += 1
                if done % max(args.actions // 20, 1) == 0:
                    memory.append(process.memory_info().rss / 1e6)
        elapsed_s, cpu_s = time.monotonic() - began, time.thread_time() - cpu
        problem = sink.finish(None, {}, timeout_s=300)
        size = sum(p.stat().st_size for p in folder.glob("journal.sqlite*"))
    warm = min(args.workers, len(runtime.in_driver_s) // 2)  # the first results come all at once
    failures = [f"{o.action_id}: {o.failure.message}" for o in state.observations if o.failure]
    return {
        "actions": done,
        "failures": failures[:5],
        "actions_per_s": round(done / elapsed_s, 1),
        "offered_per_s": round(args.workers / args.work_s, 1) if args.work_s else None,
        "driver_cpu_ms_per_action": round(1e3 * cpu_s / done, 1),
        "result_in_driver_to_next_dispatch": percentiles(runtime.in_driver_s[warm:]),
        "result_at_worker_to_next_dispatch": percentiles(runtime.in_all_s[warm:]),
        "driver_rss_MB_at_5_50_100_percent": [round(memory[i]) for i in (0, len(memory) // 2, -1)],
        "driver_kB_per_action": round(
            1e3 * (memory[-1] - memory[len(memory) // 4]) / (0.75 * args.actions), 1
        ),
        "journal_bytes_per_action": round(size / done),
        "tracking": problem or "complete",
    }


def write_long(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """A long virtual campaign, journalled in large portions so that writing it takes minutes."""
    spec = spec_of(args.workers, args.hosts, "virtual", 0.0, records=False)
    with RunFolder.create(folder) as run, Journal(run.journal_path) as journal:
        runtime = InlineRuntime(spec.workers, spec.guardian, MemoryStore())
        runtime.start()
        state = spec.initial_state({"act": tuple(spec.workers)})
        waiting: list[Event] = [Started(spec=spec.model_dump(mode="json"), version="load")]

        def write(*events: Event) -> None:
            waiting.extend(events)
            if len(waiting) >= 5000:
                journal.append(*waiting)
                waiting.clear()

        loop = Loop(state, Stub(args.long), runtime, VirtualClock(), write, spec)
        began, seen = time.monotonic(), 0
        for event in loop.events():
            seen += event.kind == "observed"
            if seen >= args.long - args.workers // 2:  # some are in flight, as after a crash
                break
        journal.append(*waiting)
        elapsed_s = time.monotonic() - began
        runtime.close()
    size = sum(p.stat().st_size for p in folder.glob("journal.sqlite*"))
    return {
        "actions": seen,
        "virtual_h": round(state.now_h, 1),
        "loop_and_stub_actions_per_s": round(seen / elapsed_s),
        "journal_MB": round(size / 1e6),
    }


def resume_long(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """From nothing to the first decision after the resumption."""
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    began, cpu = time.monotonic(), time.process_time()
    campaign = Campaign.resume(folder)
    campaign._make_policy = lambda state: Stub(args.long)  # type: ignore[method-assign]
    for event in campaign:
        if event.kind in {"decided", "observed"}:
            break
    elapsed_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
    return {
        "cpu_seconds": round(cpu_s, 1),
        "seconds_to_first_event": round(elapsed_s, 1),
        "observations": len(campaign.state.observations),
        "state_MB": round((process.memory_info().rss - before) / 1e6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="The load that a campaign bears.")
    parser.add_argument("--workers", type=int, default=200, help="logical workers")
    parser.add_argument("--hosts", type=int, default=4, help="actors that they live in")
    parser.add_argument("--actions", type=int, default=10_000, help="actions of the live part")
    parser.add_argument("--work-s", type=float, default=4.0, help="mean time an action takes")
    parser.add_argument("--long", type=int, default=100_000, help="actions of the long campaign")
    parser.add_argument("--only", choices=["live", "resume"], help="one part alone")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        with registered(folder / "installed"):
            found: dict[str, Any] = {
                "machine": f"{platform.machine()}, {os.cpu_count()} cores,"
                f" load {os.getloadavg()[0]:.1f}"
            }
            if args.only != "resume":
                found["live"] = run_live(args, folder / "live")
            if args.only != "live":
                found["long"] = write_long(args, folder / "long")
                found["resume"] = resume_long(args, folder / "long")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
