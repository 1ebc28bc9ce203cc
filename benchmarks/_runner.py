"""Runs policies on problems over seeds, one line of JSON a finished run; goes on where it ended."""

from __future__ import annotations

import gc
import multiprocessing
import resource
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from ._player import Player, PlayerMaker
from ._problem import Problem, Query
from ._records import Point, Run, append, finished, this_machine

ProblemMaker = Callable[[int], Problem]
"""A seed to a problem: where the worlds are random, every seed has its own."""

T = TypeVar("T")
_SLACK = 1e-9
_FEW = 10_000


@dataclass(frozen=True)
class Suite:
    """Problems and policies by name.

    With ``fresh`` every run has a process of its own, so that its peak of memory is its own too.
    """

    name: str
    problems: Mapping[str, ProblemMaker]
    policies: Mapping[str, PlayerMaker]
    fresh: bool = False


@dataclass(frozen=True)
class Task:
    """One run to do. ``budget`` replaces the problem's own where it is given."""

    problem: str
    policy: str
    seed: int
    budget: float | None = None


def run_all(
    suite: Suite, tasks: Sequence[Task], out: Path, *, workers: int = 1
) -> Iterator[tuple[Task, Run]]:
    """Do what is not yet in ``out``, and append every run to it as soon as it ends.

    A run that dies is a line with its error; the others go on, and the next call tries it again.
    """
    done = finished(out)
    todo = [t for t in tasks if (t.problem, t.policy, t.seed) not in done]
    for task, run in _results(suite, todo, workers):
        append(out, run)
        yield task, run


def _results(suite: Suite, todo: Sequence[Task], workers: int) -> Iterator[tuple[Task, Run]]:
    if workers <= 1 and not suite.fresh:
        for task in todo:
            yield task, run_safely(suite, task)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        max(workers, 1),
        mp_context=context,
        initializer=_one_thread,
        max_tasks_per_child=1 if suite.fresh else None,
    ) as pool:
        futures = {pool.submit(run_safely, suite, task): task for task in todo}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def run_safely(suite: Suite, task: Task) -> Run:
    """One run; what it died of is a value."""
    try:
        return run_one(suite, task)
    except Exception:
        return Run(
            suite=suite.name,
            problem=task.problem,
            policy=task.policy,
            seed=task.seed,
            budget=task.budget or 0.0,
            error=traceback.format_exc(limit=-6),
            machine=this_machine(),
        )


def run_one(suite: Suite, task: Task) -> Run:
    """One policy on one problem with one seed, to the end of the budget or of its interest."""
    problem = suite.problems[task.problem](task.seed)
    if task.budget is not None:
        problem = replace(problem, budget=task.budget)
    gc.collect()
    player = suite.policies[task.policy](problem, task.seed)
    trajectory, steps, order = play(problem, player, task.seed)
    return Run(
        suite=suite.name,
        problem=task.problem,
        policy=task.policy,
        seed=task.seed,
        budget=problem.budget,
        best=problem.best,
        trajectory=tuple(trajectory),
        stopped=player.stopped,
        steps=dict(steps),
        order=tuple(order),
        peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
        machine=this_machine(),
    )


def play(
    problem: Problem, player: Player, seed: int
) -> tuple[list[Point], Counter[str], list[int]]:
    """Initial data, then ask and tell until the budget is spent or the player has enough.

    Processor time is counted for the player alone, not for evaluating the problem.

    Returns
    -------
    tuple
        The trajectory, how often each step was done, and the candidates whose goal was measured.
    """
    rng = np.random.default_rng([seed, 29])
    clock = _Stopwatch()
    steps: Counter[str] = Counter()
    order: list[int] = []
    for design in problem.initial_designs(seed):
        query = Query(tuple(problem.steps), design)
        values = problem.measure(query, rng)
        order += _candidate(problem, query)
        clock.time(lambda q=query, v=values: player.learn(q, v))
    design = clock.time(player.recommend)
    spent = 0.0
    trajectory = [Point(cost=0.0, value=problem.truth(design), seconds=0.0)]
    cheapest = min(node.cost for node in problem.measured)
    while spent + cheapest <= problem.budget + _SLACK:
        free = problem.budget - spent
        query = clock.time(lambda f=free: player.ask(f))
        if query is None or spent + problem.charge(query) > problem.budget + _SLACK:
            break
        seconds = clock.lap()
        spent += problem.charge(query)
        steps.update(query.steps)
        order += _candidate(problem, query)
        values = problem.measure(query, rng)
        clock.time(lambda q=query, v=values: player.tell(q, v))
        design = clock.time(player.recommend)
        trajectory.append(Point(cost=spent, value=problem.truth(design), seconds=seconds))
    return trajectory, steps, order


def _candidate(problem: Problem, query: Query) -> list[int]:
    """The candidate whose goal a query measures, if there is a pool, not too long, and it does."""
    few = 0 < len(problem.space.candidates) <= _FEW
    if not few or problem.chain()[-1] not in query.steps:
        return []
    return [problem.rows[tuple(query.design.values())]]


class _Stopwatch:
    """Adds up the processor time of calls."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def time(self, call: Callable[[], T]) -> T:
        start = time.process_time()
        try:
            return call()
        finally:
            self._seconds += time.process_time() - start

    def lap(self) -> float:
        """Seconds since the last lap."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds
