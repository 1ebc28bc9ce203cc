"""A campaign, from Python: load it, run it, look at every event, take it up again."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
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
)
from ..planner import Rehearsed, make_policy
from ..workflow import (
    Alerted,
    Event,
    Order,
    Policy,
    RealClock,
    Recommendation,
    Resumed,
    Score,
    Secured,
    SpecError,
    Started,
    State,
    StoreError,
    Truth,
    VirtualClock,
)
from ._alerts import alerts_after
from ._check_rewards import check_rewards
from ._decider import Watch
from ._inbox import FolderInbox, MemoryInbox, new_message
from ._journal import Journal
from ._judge import judged
from ._live_autonomy import with_live_autonomy
from ._load_spec import load_spec
from ._loop import Loop
from ._offers import offers_by_capability
from ._pauses import without_pauses, without_waste
from ._play import play_on_ray
from ._recorder import Write
from ._run_folder import JOURNAL, LEDGERS, RunFolder, write_atomically
from ._signals import undisturbed
from ._spec import CampaignSpec, spec_from_dict
from ._store import Hdf5Store
from ._summary import summarize
from ._tracking import MlflowSink

RuntimeName = Literal["ray", "inline"]

Observer = Callable[[Event, State], None]
"""Is shown every event that is safe, with the state after it; must neither block nor raise."""


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
        ship: Sequence[str | Path] = (),
    ) -> None:
        self.spec = spec = with_live_autonomy(spec)
        self.state: State = spec.initial_state()
        make_policy(spec.policy, spec.workflow, spec.goal)  # refuses what no policy can pursue
        self.tracking_problem: str | None = None
        self.observers: list[Observer] = []
        self.secured: dict[str, str] = {}
        """What instruments answered when they were asked to be safe at Ctrl-C."""
        self.watch: Watch = lambda what, seconds: None
        self._runtime_name: RuntimeName = runtime
        self._address = address
        self._ship = tuple(Path(wheel).absolute() for wheel in ship)
        self._tracking_uri = tracking_uri
        self._out = None if out is None else Path(out)
        self._resume = False
        self._seen: list[Event] = []  # of a campaign in memory
        self._last: Event | None = None
        self._memory = MemoryStore()
        self._inbox: MemoryInbox | FolderInbox = MemoryInbox()
        self._sink: MlflowSink | None = None
        self._wall_s = 0.0
        if runtime == "ray" and out is None:
            raise SpecError(
                f"campaign {spec.name!r}",
                "runtime 'ray' and no run folder",
                "a run folder, which all processes share, or runtime 'inline'",
                "give a folder as 'out'",
            )

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
        ship: Sequence[str | Path] = (),
    ) -> Campaign:
        """A built-in campaign by name, or one from a YAML file (see :func:`load_spec`)."""
        spec = load_spec(source, seed=seed, data=data, policy=policy, goal=goal, budget=budget)
        return cls(
            spec, out=out, runtime=runtime, address=address, tracking_uri=tracking_uri, ship=ship
        )

    @classmethod
    def resume(
        cls,
        run: str | Path,
        *,
        runtime: RuntimeName = "inline",
        address: str | None = None,
        tracking_uri: str | None = None,
        ship: Sequence[str | Path] = (),
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
            spec, out=run, runtime=runtime, address=address, tracking_uri=tracking_uri, ship=ship
        )
        campaign._resume = True
        return campaign

    # -- running ----------------------------------------------------------------------------------

    def run(self) -> Result:
        """Run to the end and return what came of it."""
        for _ in self:
            pass
        return self.result()

    def __iter__(self) -> Generator[Event, None, None]:
        """Run, yielding every event when it is safe.

        Breaking off leaves a campaign that goes on when it is iterated again, or resumed. At Ctrl-C
        what runs is ended, and every instrument and synthesis is asked to be safe.
        """
        began = time.monotonic()
        runtime = self._runtime()
        with ExitStack() as stack:
            stack.callback(runtime.close)
            if self._out is not None and not self._resume:
                RunFolder.check_new(self._out)
                self._begun(runtime)  # before the folder is made: what cannot start leaves nothing
            write = self._open(stack)
            if self._runtime_name == "ray":
                stack.enter_context(without_pauses())
            try:
                for event in self._live(runtime, write):
                    if self._sink is not None:
                        self._sink.feed(event)
                    for observer in self.observers:
                        observer(event, self.state)
                    self._wall_s = time.monotonic() - began
                    yield event
            except KeyboardInterrupt:
                with undisturbed():
                    self._leave_safe(runtime, write)
                raise

    def _live(self, runtime: Runtime, write: Write) -> Iterator[Event]:
        if self.state.stopped is not None:
            return
        before = self._last
        offers = self._begun(runtime)
        first = Started(spec=self.spec.model_dump(mode="json"), version=__version__, offers=offers)
        event = first if before is None else Resumed(hour=self.state.now_h, offers=offers)
        write(event)
        self.state.apply(event)
        yield event
        clock = (VirtualClock if self.spec.clock == "virtual" else RealClock)(self.state.now_h)
        loop = Loop(
            self.state,
            self._make_policy(self.state),
            runtime,
            clock,
            write,
            self.spec,
            self._inbox,
            self.watch,
            self._make_policy,
        )
        yield from self._alerted(chain(loop.take_up(before), loop.events()), write)

    def _leave_safe(self, runtime: Runtime, write: Write) -> None:
        """End what runs and make safe what moves; what came of it stands in the journal."""
        runtime.halt()
        self.secured = runtime.secure()
        if not self.secured:
            return
        done = Secured(hour=self.state.now_h, answers=self.secured)
        for event in (done, *alerts_after(self.state, done)):
            write(event)
            self.state.apply(event)

    def _begun(self, runtime: Runtime) -> dict[str, tuple[str, ...]]:
        """Start the workers and put to each the steps it may be given; capability to workers."""
        steps = self.spec.workflow.steps
        found = runtime.start()
        given = {w: tuple(o.capability for o in offered) for w, offered in found.items()}
        offers = offers_by_capability(given, steps)
        check_rewards(self.spec.workflow, self.state.goal, self.state.wishes, found)
        runtime.check(steps)
        return offers

    def _alerted(self, events: Iterator[Event], write: Write) -> Iterator[Event]:
        """The same, each followed by what people should know of it."""
        for event in events:
            yield event
            for alert in alerts_after(self.state, event):
                write(alert)
                self.state.apply(alert)
                yield alert

    def order(self, order: Order, who: str | None = None) -> str:
        """Tell the running campaign something; it is heeded before its next decision.

        Returns the order's id, with which it stands in the journal.
        """
        message = new_message(order, who, via="python")
        self._inbox.send(message)
        return message.id

    def _open(self, stack: ExitStack) -> Write:
        """What makes events durable. Going on, the state is folded again from the events so far."""
        append = None if self._out is None else self._open_folder(stack, self._out)
        if append is not None:
            return append
        self._fold(self._seen)
        return lambda *events: self._seen.extend(events)

    def _fold(self, events: Iterable[Event]) -> None:
        """The state after all events so far. All of it lives on: no search for what does not."""
        state, last = self.spec.initial_state(), None
        with without_waste():
            for event in events:
                state.apply(event)
                last = last if isinstance(event, Resumed | Alerted) else event
        if last is not None:
            self.state, self._last = state, last

    def _open_folder(self, stack: ExitStack, out: Path) -> Write:
        """Folder, journal and tracking; resuming, the events so far."""
        folder = stack.enter_context(RunFolder.open(out) if self._resume else RunFolder.create(out))
        if not self._resume:
            text = yaml.safe_dump(self.spec.model_dump(mode="json"), sort_keys=False)
            write_atomically(folder.spec_path, text)
        journal = stack.enter_context(Journal(folder.journal_path))
        self._sink = MlflowSink(self._tracking_uri, out, self.spec.name, journal.run_id)
        self._inbox = FolderInbox(folder.control_path, lambda: journal.head)
        if self._resume:
            self._fold(journal.events())
            self._sink.feed_from(_first_events(out / JOURNAL, journal.append()))
        self._resume = True
        return journal.append

    def _runtime(self) -> Runtime:
        spec = self.spec
        store = self._memory if self._out is None else Hdf5Store(self._out)
        ledgers = None if self._out is None else self._out.absolute() / LEDGERS
        if self._runtime_name == "inline":
            return InlineRuntime(spec.workers, spec.guardian, store, ledgers)
        return RayRuntime(spec.workers, spec.guardian, store, ledgers, self._address, self._ship)

    def _make_policy(self, state: State) -> Policy:
        """The policy that a state asks for; on Ray its rehearsals are tasks."""
        policy = make_policy(
            state.policy, state.workflow, state.goal, self.spec.settings(state.goal)
        )
        if self._runtime_name == "ray" and isinstance(policy, Rehearsed):
            policy.play = partial(play_on_ray, address=self._address)
        return policy

    # -- looking ----------------------------------------------------------------------------------

    @property
    def seen(self) -> tuple[Event, ...]:
        """All events of this run so far, those before a resumption included."""
        if self._out is None:
            return tuple(self._seen)
        if not (self._out / JOURNAL).is_file():
            return ()
        with Journal(self._out / JOURNAL, read_only=True) as journal:
            return tuple(journal.events())

    def truth(self) -> Truth | None:
        """The truth that scores this campaign, if its twins or recording have one."""
        return truth_of(self.spec)

    def score(self) -> Score | None:
        """The recommendation so far held against the truth."""
        truth = self.truth()
        recommendation = self.state.recommendation
        return None if truth is None or recommendation is None else judged(truth, recommendation)

    def result(self) -> Result:
        """Summary and recommendation so far."""
        summary = summarize(self.seen, self.state, self.score(), self._wall_s)
        return Result(summary, self.state.recommendation, self.state, self._out)

    def finish_tracking(self, report: Path | None, summary: dict[str, Any]) -> str | None:
        """Track report and summary and end the tracked runs; what was wrong, if anything."""
        if self._sink is None:
            return None
        status = "FINISHED" if self.state.stopped is not None else "KILLED"
        self.tracking_problem = self._sink.finish(report, summary, status=status)
        return self.tracking_problem


def _first_events(path: Path, count: int) -> Iterator[Event]:
    """The first ``count`` events of a journal that another thread goes on writing."""
    with Journal(path, read_only=True) as journal:
        yield from islice(journal.events(), count)


def truth_of(spec: CampaignSpec) -> Truth | None:
    """The truth of a campaign; its configuration is what the twins were given."""
    if spec.truth is None:
        return None
    shared = ("world_seed", "path", "pixels", "field_of_view_nm")
    given = {k: v for w in spec.workers.values() for k, v in w.config.items() if k in shared}
    return make_truth(spec.truth, **{k: v for k, v in given.items() if v is not None})


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
