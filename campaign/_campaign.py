"""A campaign, from Python: load it, run it, look at every event, take it up again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import yaml

from .. import __version__
from ..agents import (
    InlineRuntime,
    MemoryStore,
    RayRuntime,
    Runtime,
    make_truth,
    worker_types,
)
from ..planner import make_policy
from ..workflow import (
    Event,
    Policy,
    RealClock,
    Recommendation,
    Resumed,
    Score,
    Started,
    State,
    StoreError,
    Truth,
    VirtualClock,
)
from ._journal import Journal, replay
from ._loop import Loop, offers_by_capability
from ._run_folder import RunFolder, write_atomically
from ._spec import CampaignSpec, load_spec, spec_from_dict
from ._store import Hdf5Store
from ._summary import summarize
from ._tracking import MlflowSink

RuntimeName = Literal["ray", "inline"]


@dataclass(frozen=True)
class Result:
    """What a campaign came to. ``summary`` has the keys of ``summary.json``."""

    summary: dict[str, Any]
    recommendation: Recommendation | None
    state: State
    folder: Path | None


@final
class Campaign:
    """One campaign, in memory or in a run folder.

    Parameters
    ----------
    spec
        What is to be done (see :meth:`load`).
    out
        A new run folder for journal, arrays, tracking and report; None keeps everything in memory.
    runtime
        ``inline`` (all workers in this process) or ``ray`` (one actor each; needs ``out``).
    address
        A Ray cluster; None starts one on this machine.
    tracking_uri
        MLflow's; None means a database in the run folder.
    """

    def __init__(
        self,
        spec: CampaignSpec,
        *,
        out: str | Path | None = None,
        runtime: RuntimeName = "inline",
        address: str | None = None,
        tracking_uri: str | None = None,
    ) -> None:
        self.spec = spec
        self.state: State = spec.initial_state()
        self.policy: Policy = make_policy(spec.policy, spec.workflow, spec.goal)
        self.tracking_problem: str | None = None
        self._runtime_name: RuntimeName = runtime
        self._address = address
        self._tracking_uri = tracking_uri
        self._out = None if out is None else Path(out)
        self._resume = False
        self._seen: list[Event] = []
        self._wall_s = 0.0

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        seed: int | None = None,
        data: str | Path | None = None,
        policy: str | None = None,
        goal: str | None = None,
        budget: dict[str, float] | None = None,
        out: str | Path | None = None,
        runtime: RuntimeName = "inline",
        address: str | None = None,
        tracking_uri: str | None = None,
    ) -> Campaign:
        """A built-in campaign by name, or one from a YAML file (see :func:`load_spec`)."""
        spec = load_spec(source, seed=seed, data=data, policy=policy, goal=goal, budget=budget)
        return cls(
            spec, out=out, runtime=runtime, address=address, tracking_uri=tracking_uri
        )

    @classmethod
    def resume(
        cls,
        run: str | Path,
        *,
        runtime: RuntimeName = "inline",
        address: str | None = None,
        tracking_uri: str | None = None,
    ) -> Campaign:
        """Take up a run that was interrupted; the journal decides where it goes on.

        Raises
        ------
        RunFolderError
            If there is no run, or another process works on it.
        StoreError
            If its journal is damaged.
        """
        spec = spec_of_run(run)
        campaign = cls(
            spec, out=run, runtime=runtime, address=address, tracking_uri=tracking_uri
        )
        campaign._resume = True
        return campaign

    # -- running ----------------------------------------------------------------------------------

    def run(self) -> Result:
        """Run to the end and return what came of it."""
        for _ in self:
            pass
        return self.result()

    def __iter__(self) -> Iterator[Event]:
        """Run, yielding every event when it is safe. Breaking off leaves a run that can be resumed."""
        began = time.monotonic()
        with ExitStack() as stack:
            write, store, sink = self._open(stack)
            runtime = self._runtime(store)
            stack.callback(runtime.close)
            offers = {w: tuple(o.capability for o in given) for w, given in runtime.start().items()}
            self.state.offers = offers_by_capability(offers, self.spec.workflow.steps)
            for event in self._live(runtime, write):
                self._seen.append(event)
                if sink is not None:
                    sink.feed(event)
                self._wall_s = time.monotonic() - began
                yield event

    def _live(self, runtime: Runtime, write: Any) -> Iterator[Event]:
        clock = (
            VirtualClock(self.state.now_h)
            if self.spec.clock == "virtual"
            else RealClock(self.state.now_h)
        )
        loop = Loop(self.state, self.policy, runtime, clock, write)
        if not self._seen:
            first = Started(spec=self.spec.model_dump(mode="json"), version=__version__)
            write(first)
            yield first
        else:
            again = Resumed(hour=self.state.now_h)
            write(again)
            yield again
            yield from loop.reissue(self._replayable)
        yield from loop.events()

    def _open(self, stack: ExitStack) -> tuple[Any, Hdf5Store | MemoryStore, MlflowSink | None]:
        """Folder, journal, store and tracking; on resuming, the state so far."""
        if self._out is None:
            return (lambda *events: None), MemoryStore(), None
        folder = RunFolder.open(self._out) if self._resume else RunFolder.create(self._out)
        stack.enter_context(folder)
        if not self._resume:
            text = yaml.safe_dump(self.spec.model_dump(mode="json"), sort_keys=False)
            write_atomically(folder.spec_path, text)
        journal = stack.enter_context(Journal(folder.journal_path))
        sink = MlflowSink(self._tracking_uri, self._out, self.spec.name, journal.run_id)
        if self._resume:
            self._seen = list(journal.events())
            replay(self.state, self._seen)
            sink.feed(*self._seen)
        self._sink = sink
        self._resume = True
        return journal.append, Hdf5Store(self._out), sink

    def _runtime(self, store: Hdf5Store | MemoryStore) -> Runtime:
        spec = self.spec
        if self._runtime_name == "inline" or isinstance(store, MemoryStore):
            return InlineRuntime(spec.workers, spec.guardian, store)
        return RayRuntime(spec.workers, spec.guardian, store, address=self._address)

    def _replayable(self, worker: str) -> bool:
        return worker_types()[self.spec.workers[worker].type].load().replayable

    # -- looking ----------------------------------------------------------------------------------

    @property
    def seen(self) -> tuple[Event, ...]:
        """All events of this run so far, those before a resumption included."""
        return tuple(self._seen)

    def truth(self) -> Truth | None:
        """The truth that scores this campaign, if its twins or recording have one."""
        return truth_of(self.spec)

    def score(self) -> Score | None:
        """The recommendation so far held against the truth."""
        truth = self.truth()
        recommendation = self.state.recommendation
        return None if truth is None or recommendation is None else truth.score(recommendation)

    def result(self) -> Result:
        """Summary and recommendation so far."""
        summary = summarize(self._seen, self.state, self.score(), self._wall_s)
        return Result(summary, self.state.recommendation, self.state, self._out)

    def finish_tracking(self, report: Path | None, summary: dict[str, Any]) -> str | None:
        """Track report and summary and end the tracked runs; what was wrong with tracking, if anything."""
        sink = getattr(self, "_sink", None)
        if sink is None:
            return None
        status = "FINISHED" if self.state.stopped is not None else "KILLED"
        self.tracking_problem = sink.finish(report, summary, status=status)
        return self.tracking_problem


def truth_of(spec: CampaignSpec) -> Truth | None:
    """The truth of a campaign; its configuration is what the twins were given."""
    if spec.truth is None:
        return None
    shared = {"world_seed": None, "path": None}
    for worker in spec.workers.values():
        shared.update({k: v for k, v in worker.config.items() if k in shared})
    return make_truth(spec.truth, **{k: v for k, v in shared.items() if v is not None})


def spec_of_run(run: str | Path) -> CampaignSpec:
    """The specification that a run was started with, from its journal.

    Raises
    ------
    StoreError
        If the journal does not begin with it.
    """
    folder = RunFolder.read(run)
    with Journal(folder.journal_path, read_only=True) as journal:
        first = next(iter(journal.events()), None)
    if not isinstance(first, Started):
        raise StoreError(
            f"run {str(run)!r}",
            "a journal without a beginning",
            "a journal whose first event is 'started'",
            "start the campaign again in a new folder",
        )
    return spec_from_dict(first.spec, str(run))
