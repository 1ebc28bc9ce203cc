"""The points that a view looks at: spread, near the best, on a line, on samples, in reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..workflow import (
    Design,
    Goal,
    LocateBoundary,
    Maximize,
    State,
)
from ._end import End
from ._gp import Matrix
from ._settings import PlannerSettings

_LINE_POINTS = 41
Site = tuple[str, int]


def refined(end: End, base: Matrix, seed: int, count: int) -> Matrix:
    """The best believed point first, then points around the best few; ``count`` in all."""
    rng = np.random.default_rng([seed, 99])
    space = end.belief.workflow.space
    wide = np.concatenate([base, space.sobol(1024, seed=seed % 2**31)])
    best = wide[np.argsort(-end.mean(wide), kind="stable")[:8]]
    for width in (0.08, 0.03, 0.012):
        near = np.repeat(best, 24, axis=0)
        near = np.clip(near + width * rng.standard_normal(near.shape), 0.0, 1.0)
        near = space.encode(space.decode(near))
        near = np.concatenate([best, near])
        best = near[np.argsort(-end.mean(near), kind="stable")[:8]]
    around = np.repeat(best[:1], count - len(best), axis=0)
    around = np.clip(around + 0.06 * rng.standard_normal(around.shape), 0.0, 1.0)
    return np.concatenate([best, space.encode(space.decode(around))])


def line_through(state: State, goal: Goal, top: Matrix) -> Matrix:
    """Points along the goal's variable through ``top``; none for other goals."""
    if not isinstance(goal, LocateBoundary):
        return np.zeros((0, state.workflow.space.dim))
    line = np.repeat(top[None, :], _LINE_POINTS, axis=0)
    line[:, state.workflow.space.names.index(goal.variable)] = np.linspace(0, 1, _LINE_POINTS)
    return line


def known_sites(state: State) -> tuple[list[Site], Matrix, list[Design]]:
    """Sites of samples that exist or are being made."""
    space = state.workflow.space
    found: dict[Site, Design] = {}
    for sample in state.inventory.samples.values():
        found.update({(sample.id, i): d for i, d in enumerate(sample.sites)})
    for issued in state.running.values():
        step = state.workflow.step(issued.action.step)
        if step.makes is not None and issued.action.target.sample is not None:
            sites = step.makes.designs(issued.action.target.design, space)
            found.update({(issued.action.target.sample, i): d for i, d in enumerate(sites)})
    designs = list(found.values())
    x = space.encode(designs) if designs else np.zeros((0, space.dim))
    return list(found), x, designs


def measured_designs(state: State) -> list[Design]:
    """Designs without a sample at which something was measured or is being measured."""
    seen: dict[tuple[float, ...], Design] = {}
    for action in state.actions.values():
        if state.workflow.step(action.step).acts_on == "design" and action.target.sample is None:
            seen[tuple(action.target.design.values())] = action.target.design
    return list(seen.values())


def library_candidates(
    state: State,
    end: End,
    pool: Matrix,
    settings: PlannerSettings,
) -> tuple[list[tuple[Design, NDArray[np.int64]]], Matrix]:
    """Samples worth thinking of: around the optima of sampled worlds (Thompson 1933), which are
    where the best may be; where all of the space matters, spread over it too.
    """
    maker = next((s for s in state.workflow.steps if s.makes is not None), None)
    space = state.workflow.space
    if maker is None or maker.makes is None:
        return [], np.zeros((0, space.dim))
    worlds = end.worlds(pool, settings.worlds)
    optima = worlds.values[worlds.goal].argmax(1)
    found, counts = np.unique(optima, return_counts=True)
    spread = 0 if isinstance(end.goal, Maximize) else settings.libraries // 2
    likely = found[np.argsort(-counts, kind="stable")][: settings.libraries - spread]
    centres = [pool[settings.space_points], *pool[likely]]
    centres += list(space.sobol(spread, seed=state.seed + 1)) if spread else []
    rows: list[tuple[Design, NDArray[np.int64]]] = []
    blocks: list[Matrix] = []
    for centre in centres:
        design = space.decode(centre)[0]
        sites = space.encode(maker.makes.designs(design, space))
        rows.append((design, np.arange(len(sites)) + sum(len(b) for b in blocks)))
        blocks.append(sites)
    return rows, np.concatenate(blocks)
