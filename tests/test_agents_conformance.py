"""Every registered worker keeps the contract, on jobs of the built-in campaigns.

The jobs come from walking each campaign's steps once, in order, so that every worker gets the
arrays that the others really give; those of analysts that no built-in campaign has come from
simulated data. The suite itself is checked on workers that break the contract.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from support_analysis import WORKERS as ANALYSTS

from probewise.agents import MemoryStore, Seat, check_worker, example_job, make_worker, worker_types
from probewise.agents._testing import EchoInstrument, NotebookEcho
from probewise.campaign import CampaignSpec, load_spec
from probewise.planner._build import build_action
from probewise.workflow import (
    Account,
    Array,
    Axis,
    Estimate,
    Fate,
    Issued,
    Job,
    Kind,
    Observed,
    Offer,
    Outcome,
    Step,
    Target,
    Worker,
    WorkerError,
    WorkerSpec,
    no_parameters,
)

FOLDER = Path(os.environ.get("PROBEWISE_DATA", Path(__file__).parents[1] / "../shared/data"))
RECORDING = FOLDER / "bfo_iv" / "bfo_iv_final.hf5"
POSITIONS = ((10, 12), (20, 8), (5, 30), (33, 21))
OWN = sorted(n for n, r in worker_types().items() if r.distribution == "probewise")


def walk(spec: CampaignSpec) -> Iterator[tuple[str, Job]]:
    """Every step of a campaign once, on one site: the worker's name and its job."""
    workers = {name: make_worker(w, name) for name, w in spec.workers.items()}
    offers = {o.capability: (name,) for name, w in workers.items() for o in w.offers()}
    state, store = spec.initial_state(offers), MemoryStore()
    graph = spec.workflow.graph
    order = nx.lexicographical_topological_sort(
        graph, key=lambda n: (spec.workflow.step(n).destroys, n)
    )
    target = Target(
        design=spec.workflow.space.decode([[0.45] * spec.workflow.space.dim])[0]
        if spec.workflow.space.dim
        else {},
        sample=next(iter(spec.specimens), None),
        site=0,
    )
    for name in order:
        step = spec.workflow.step(name)
        n = step.positions_per_run
        spots = POSITIONS[:n] if step.acts_on == "positions" else ()
        at = target.model_copy(update={"positions": spots})
        if step.makes is not None:
            at = Target(design=target.design)
        action = build_action(state, step, at)
        target = target.model_copy(update={"sample": target.sample or action.target.sample})
        worker = offers[step.needs][0]
        yield (
            worker,
            Job(action, step, {k: tuple(map(store.get, v)) for k, v in action.inputs.items()}),
        )
        issued = Issued(
            hour=state.now_h, action=action, worker=worker, commitment=state.commitment(action)
        )
        state.apply(issued)
        state.actions_numbered += 1
        observation = Seat(worker, workers[worker], store).perform(issued, step)
        assert observation.failure is None, f"{name}: {observation.failure}"
        state.apply(Observed(hour=observation.end_h, observation=observation))
    for made in workers.values():
        made.close()


@cache
def jobs() -> dict[str, tuple[WorkerSpec, list[Job]]]:
    """Worker type to its specification and jobs, from the built-in campaigns that can run here."""
    specs = [load_spec("sm-bfo")]
    if RECORDING.is_file():
        specs.append(load_spec("bfo-replay", data=RECORDING))
    found: dict[str, tuple[WorkerSpec, list[Job]]] = {}
    for spec in specs:
        for worker, job in walk(spec):
            worker_spec = spec.workers[worker]
            found.setdefault(worker_spec.type, (worker_spec, []))[1].append(job)
        found[spec.guardian.type] = (spec.guardian, [])
    found.update(ANALYSTS)
    return found


@pytest.mark.parametrize("name", OWN)
def test_every_registered_worker_conforms(name: str) -> None:
    if name not in jobs():
        pytest.skip(f"no built-in campaign with a {name} can run here (is {RECORDING} there?)")
    spec, given = jobs()[name]
    check_worker(lambda: make_worker(spec, name), given)


def test_every_step_of_the_campaign_on_the_stem_can_be_done() -> None:
    spec = load_spec("stem-plasmon")
    assert [j.step.name for _, j in walk(spec)] == [s.name for s in spec.workflow.steps]


STEP = Step.model_validate(
    {"name": "echo", "level": 3, "produces": "loudness [V]", "consumes": "trace [V]"}
)
TRACE = Array(np.zeros(4), "V", (Axis("x", "nm", np.arange(4.0)),))
JOB = example_job(STEP, Target(design={"x": 1.0}), {"trace": (TRACE,)})
GOOD = Outcome(values={"loudness": Estimate(value=1.0)}, cost_credits=1.0, duration_h=0.0)


def test_a_good_double_passes() -> None:
    check_worker(EchoInstrument, [JOB])


def test_an_instrument_that_keeps_a_record_passes(tmp_path: Path) -> None:
    check_worker(lambda: NotebookEcho(notebook=str(tmp_path)), [JOB])


class Model(Worker):
    """A worker that keeps the contract; each subclass breaks it in one way."""

    kind = Kind.INSTRUMENT
    replayable = True

    def offers(self) -> tuple[Offer, ...]:
        return (Offer(capability="echo"),)

    def check(self, step: Step) -> None:
        no_parameters(step)

    def perform(self, job: Job) -> Outcome:
        return GOOD


class Trusting(Model):
    def check(self, step: Step) -> None:
        pass


class Timid(Model):
    def check(self, step: Step) -> None:
        raise WorkerError(f"step {step.name!r}", "this", "something else", "ask another")


class Curt(Model):
    def check(self, step: Step) -> None:
        if step.parameters:
            raise WorkerError("me", "parameters", "none", "remove them")


class Nodding(Model):
    def check(self, step: Step) -> Any:
        return True


class Clumsy(Model):
    def check(self, step: Step) -> None:
        step.parameters["dwell_s"]


class Twice(Model):
    def offers(self) -> tuple[Offer, ...]:
        return (Offer(capability="echo"), Offer(capability="echo"))


class Listed(Model):
    def offers(self) -> Any:
        return [Offer(capability="echo")]


class Silent(Model):
    def offers(self) -> tuple[Offer, ...]:
        return ()


class More(Model):
    def offers(self) -> tuple[Offer, ...]:
        return (Offer(capability="echo"), Offer(capability="sing"))


class Empty(Model):
    def perform(self, job: Job) -> Outcome:
        return Outcome()


class Greedy(Model):
    def perform(self, job: Job) -> Outcome:
        return Outcome(values=GOOD.values, cost_credits=100.0, duration_h=0.0)


class Random(Model):
    def perform(self, job: Job) -> Outcome:
        value = float(np.random.default_rng().normal())
        return Outcome(values={"loudness": Estimate(value=value)}, cost_credits=1.0, duration_h=0.0)


class Remembering(Model):
    """Gives what its first job asked for, for ever: a fresh one would answer otherwise."""

    def __init__(self) -> None:
        self.seen = 0

    def perform(self, job: Job) -> Outcome:
        self.seen += 1
        values = {"loudness": Estimate(value=float(min(self.seen, 2)))}
        return Outcome(values=values, cost_credits=1.0, duration_h=0.0)


class Writing(Model):
    def perform(self, job: Job) -> Outcome:
        job.arrays["trace"][0].data[:] = 7.0
        return GOOD


class Meddling(Model):
    def perform(self, job: Job) -> Outcome:
        job.action.parameters["gain"] = 3
        return GOOD


class Fragile(Model):
    def perform(self, job: Job) -> Outcome:
        job.arrays["trace"]
        return GOOD


class Spoiled(Model):
    """A strange target leaves it unable to work."""

    def __init__(self) -> None:
        self.spoiled = False

    def perform(self, job: Job) -> Outcome:
        self.spoiled = self.spoiled or "x" not in job.action.target.design
        usual = job.arrays and job.action.target.design == {"x": 1.0}
        return Outcome() if self.spoiled and usual else GOOD


class OnceClosed(Model):
    closed = False

    def close(self) -> None:
        assert not self.closed, "closed twice"
        self.closed = True


class Boasting(Model):
    def account(self, action_id: str) -> Account:
        return Account(Fate.DONE, GOOD)


class Denying(Model):
    replayable = False

    def account(self, action_id: str) -> Account:
        return Account(Fate.NOT_DONE)


class Vague(Model):
    replayable = False

    def account(self, action_id: str) -> Account:
        return Account(Fate.DONE if action_id == JOB.action.id else Fate.UNKNOWN)


class Mute(Model):
    def account(self, action_id: str) -> Any:
        return "perhaps"


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        (Boasting, "of an action that never was"),
        (Denying, "says that it was not"),
        (Vague, "says that it was done, but"),
        (Mute, "gives str, not Account"),
        (Trusting, "accepts a parameter 'no_such_parameter'"),
        (Timid, "refuses what it is to do"),
        (Curt, "does not name the step"),
        (Nodding, "the answer True"),
        (Clumsy, "KeyError"),
        (Twice, "offered twice"),
        (Listed, "must be a tuple"),
        (Silent, "at least one capability"),
        (More, "sing"),
        (Empty, "missing values"),
        (Greedy, "more than the step's cap"),
        (Random, "the same worker gives other"),
        (Remembering, "a fresh worker gives other"),
        (Writing, "read-only"),
        (Meddling, "changed its job"),
        (Fragile, "KeyError"),
        (Spoiled, "after strange targets"),
        (OnceClosed, "closed twice"),
    ],
)
def test_the_suite_finds_every_breach(worker: type[Model], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_worker(worker, [JOB])


def test_the_model_itself_passes() -> None:
    check_worker(Model, [JOB])


def test_a_local_class_cannot_become_an_actor() -> None:
    class Local(Model):
        pass

    with pytest.raises((AssertionError, AttributeError, ImportError), match="Local"):
        check_worker(Local, [JOB])


def test_a_real_instrument_does_the_irreversible_once() -> None:
    once = STEP.model_copy(update={"repeat": "irreversible"})
    calls: list[str] = []

    def make() -> Worker:
        made = Real()
        made.calls = calls
        return made

    check_worker(make, [example_job(once, Target(design={"x": 1.0}))])
    assert calls == ["example-echo"]


class Real(Model):
    replayable = False
    calls: list[str]

    def perform(self, job: Job) -> Outcome:
        self.calls.append(job.action.id)
        return GOOD
