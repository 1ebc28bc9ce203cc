"""A campaign with one worker of every kind, and what must hold for its journal, come what may."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support_campaigns import VARIABLES

from probewise.campaign import Campaign, CampaignSpec, Journal
from probewise.campaign._run_folder import RunFolder
from probewise.campaign._store import Hdf5Store
from probewise.planner._build import build_action
from probewise.workflow import (
    Action,
    ActionState,
    Decided,
    Decision,
    Event,
    Issued,
    Observed,
    Recommendation,
    Resumed,
    State,
    Step,
    Target,
)

SYNTHESIS, INSTRUMENT, ANALYSIS, THEORY = "grow", "look", "reduce", "simulate"

STEPS: list[dict[str, Any]] = [
    {
        "name": "grow",
        "level": 4,
        "makes": {"sites": 1},
        "cost_credits": 10,
        "latency_h": 2,
        "repeat": "irreversible",
    },
    {
        "name": "look",
        "level": 3,
        "acts_on": "site",
        "requires": "grow",
        "records": "trace [V]",
        "cost_credits": 2,
        "latency_h": 0.5,
        "repeat": "irreversible",
    },
    {
        "name": "reduce",
        "level": 1,
        "acts_on": "site",
        "consumes": "trace [V]",
        "produces": "rough [V]",
        "cost_credits": 0.1,
        "latency_h": 0.05,
        "repeat": "idempotent",
    },
    {
        "name": "test",
        "level": 3,
        "acts_on": "site",
        "requires": "look",
        "produces": "height [V]",
        "destroys": True,
        "cost_credits": 8,
        "latency_h": 1,
        "repeat": "irreversible",
    },
    {
        "name": "simulate",
        "level": 5,
        "acts_on": "space",
        "consumes": "rough",
        "predicts": "guess [V]",
        "cost_credits": 0.5,
        "latency_h": 0.3,
        "repeat": "idempotent",
    },
]


def raw_spec(folder: Path, **config: Any) -> dict[str, Any]:
    """Real synthesis and instruments, analysis and theory that may be run again.

    ``config`` goes to every worker, besides the file in which they note what they do.
    """
    given = {"log": str(folder / "performed.txt")} | config
    kinds = {
        "oven": ("mortal-synthesis", "grow"),
        "eye": ("mortal-instrument", "look"),
        "rig": ("mortal-instrument", "test"),
        "desk": ("mortal-analysis", "reduce"),
        "mind": ("mortal-theory", "simulate"),
    }
    return {
        "name": "faults",
        "goal": {"kind": "maximize", "quantity": "height"},
        "budget": {"credits": 150, "hours": 200, "samples": 6},
        "workflow": {"space": VARIABLES, "steps": STEPS},
        "workers": {
            name: {"type": kind, "config": given | {"capabilities": offers}}
            for name, (kind, offers) in kinds.items()
        },
        "guardian": {
            "type": "limits-guardian",
            "config": {"max_cost_credits": 100, "allow_live_irreversible": True},
        },
    }


def raw_twin_spec(folder: Path, **config: Any) -> dict[str, Any]:
    """The same with twins, which may be run again."""
    raw = raw_spec(folder, **config)
    for worker in raw["workers"].values():
        worker["type"] = "mortal-twin"
    return raw


class Rounds:
    """Takes sample after sample through its steps, some at once; a theory now and then.

    A pure function of the state, as every policy is.
    """

    name = "rounds"

    def decide(self, state: State) -> Decision:
        for step, target in self._wanted(state):
            action = build_action(state, step, target)
            free = state.free_worker(step, action.target) is not None
            if free and state.affordable(state.commitment(action)):
                return self._say(state, "act", (action,))
        return self._say(state, "wait" if state.running else "stop")

    def recommend(self, state: State) -> Recommendation | None:
        return None

    def _wanted(self, state: State) -> Iterator[tuple[Step, Target]]:
        flow = state.workflow
        running = {(i.action.step, i.action.target.sample) for i in state.running.values()}
        for sample in state.inventory.samples.values():
            target = Target(design=sample.design, sample=sample.id, site=0)
            for name in ("reduce", "test", "look"):
                step = flow.step(name)
                failures = state.inventory.status((sample.id, 0, ())).failures.get(name, 0)
                chain = flow.open_steps(step, target, state.inventory)
                done = state.inventory.is_done(name, target)
                alive = state.inventory.alive(target) or name == "reduce"
                idle = not any((s.name, sample.id) in running for s in flow.steps)
                if chain == (step,) and not done and alive and idle and failures < 2:
                    yield step, target
        if state.inventory.count > 6 * self._count(state, "simulate") + 5:
            yield flow.step("simulate"), Target()
        number = self._count(state, "grow")
        design = {v.name: (0.37 * (number + 1)) % 1.0 for v in flow.space.variables}
        yield flow.step("grow"), Target(design=design)

    def _count(self, state: State, step: str) -> int:
        return sum(a.step == step for a in state.actions.values())

    def _say(self, state: State, kind: str, actions: tuple[Action, ...] = ()) -> Decision:
        return Decision.model_validate(
            {"number": state.decisions, "kind": kind, "actions": actions, "reason": "next"}
        )


def begin(raw: dict[str, Any], folder: Path, **more: Any) -> Campaign:
    """A new run with :class:`Rounds`."""
    campaign = Campaign(CampaignSpec.model_validate(raw), out=folder, **more)
    campaign._make_policy = lambda state: Rounds()  # type: ignore[method-assign]
    return campaign


def take_up(folder: Path, **more: Any) -> Campaign:
    campaign = Campaign.resume(folder, **more)
    campaign._make_policy = lambda state: Rounds()  # type: ignore[method-assign]
    return campaign


@dataclass(frozen=True)
class Told:
    """What a journal tells, after everything that must hold was checked."""

    events: tuple[Event, ...]
    state: State

    def failed(self) -> dict[str, str]:
        """Step and kind of failure of each action that failed."""
        found = {o.action_id: o.failure.kind for o in self.state.observations if o.failure}
        return {f"{self.state.actions[i].step} {i}": kind for i, kind in found.items()}

    def resumed(self) -> int:
        return sum(isinstance(e, Resumed) for e in self.events)


def check(
    folder: Path, performed: Path | None = None, *, ended: bool = True, arrays: bool = True
) -> Told:
    """Nothing lost, nothing done twice, no limit broken at any time, and an end.

    ``performed`` is the file in which real workers noted what they did; ``arrays`` says whether all
    that was stored is read back.
    """
    with RunFolder.open(folder) as run, Journal(run.journal_path, read_only=True) as journal:
        events = tuple(journal.events())
    from probewise.campaign._campaign import spec_of_run

    state = spec_of_run(folder).initial_state()
    issued, observed = Counter[str](), Counter[str]()
    store, budget = Hdf5Store(folder), state.budget
    for event in events:
        state.apply(event)
        if isinstance(event, Issued):
            issued[event.action.id] += 1
        if isinstance(event, Observed):
            observed[event.observation.action_id] += 1
            assert event.observation.cost_credits <= _held(events, event).commitment.credits + 1e-9
        assert budget.credits is not None and budget.samples is not None
        assert state.spent_credits + state.committed_credits <= budget.credits + 1e-6
        assert state.samples_begun <= budget.samples
    numbers = [e.decision.number for e in events if isinstance(e, Decided)]
    assert numbers == list(range(len(numbers))), "no decision is lost or taken twice"
    assert max(issued.values(), default=0) <= 1 and max(observed.values(), default=0) <= 1
    assert state.spent_credits == pytest.approx(sum(o.cost_credits for o in state.observations))
    if ended:
        assert state.stopped is not None and not state.running and not state.questions
        assert set(issued) == set(observed)
    if performed is not None and performed.exists():
        done = Counter(performed.read_text().split("\n"))
        twice = {line: n for line, n in done.items() if n > 1 and line}
        assert not any(_may_not(line, state) for line in twice), twice
    return Told(events, _checked_arrays(state, store) if arrays else state)


def _held(events: tuple[Event, ...], observed: Observed) -> Issued:
    wanted = observed.observation.action_id
    return next(e for e in events if isinstance(e, Issued) and e.action.id == wanted)


def _may_not(line: str, state: State) -> bool:
    return state.workflow.step(line.split()[0]).repeat == "irreversible"


def _checked_arrays(state: State, store: Hdf5Store) -> State:
    for observation in state.observations:
        for ref in observation.arrays.values():
            store.get(ref)
    return state


def same_course(one: State, other: State) -> None:
    """The same actions with the same ends, whatever happened to the processes."""
    told = [
        [(a.id, a.step, a.target, a.seed, s.states[a.id]) for a in s.actions.values()]
        for s in (one, other)
    ]
    assert told[0] == told[1]
    assert one.observations == other.observations
    assert (one.spent_credits, one.stopped) == (other.spent_credits, other.stopped)


def uncertain(state: State) -> list[str]:
    return [i for i, s in state.states.items() if s == ActionState.UNCERTAIN]


def in_child(work: Callable[[], None], dies_after_s: float | None = None) -> int:
    """Run ``work`` in a forked process, killed after that time; its wait status.

    A fork has everything imported already, so twenty of them take seconds.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:  # a child must never return into pytest
            with suppress(OSError):
                os.write(2, f"child: {type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)
    if dies_after_s is not None:
        until = time.monotonic() + dies_after_s
        while time.monotonic() < until:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return status
            time.sleep(0.002)
        os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


def moments(seed: int, count: int, longest_s: float) -> list[float]:
    """Times after which a process is killed."""
    drawn = random.Random(seed)
    return [drawn.uniform(0.005, longest_s) for _ in range(count)]
