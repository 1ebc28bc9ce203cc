"""Who measures on a scene, until its instrument minutes are over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import final

import numpy as np
from numpy.typing import NDArray

from probewise.planner import StructureProperty
from probewise.planner._session_prices import shortest_path
from probewise.workflow import Wishes

from . import _dklgpr
from ._sp_problems import QUANTITY, Scene

Array = NDArray[np.float64]
BATCH = 8
START = 8
SHARES = (0.25, 0.5, 1.0)
"""Looks are taken when so much of the budget is spent."""


@dataclass
class Log:
    """What was measured, and the looks taken on the way."""

    scene: Scene
    rows: list[int] = field(default_factory=list)
    minutes: float = 0.0
    seconds: list[float] = field(default_factory=list)
    looks: list[dict[str, float]] = field(default_factory=list)

    def measure(self, row: int, dwell_s: float, rng: np.random.Generator) -> float:
        """The property with noise; the way from the last place is paid."""
        scene = self.scene
        places = scene.positions
        apart = np.hypot(*(places[row] - places[self.rows[-1]])) if self.rows else 0.0
        self.minutes += float(scene.prices.minutes(float(apart), dwell_s))
        self.rows.append(row)
        noise = scene.prices.noise(dwell_s)
        return float(scene.truth[row] + noise * rng.standard_normal())

    def look_if_due(self, mean: Callable[[], tuple[Array, int]]) -> None:
        """Note how good map and answer are, at the first batch beyond each share of the budget."""
        if self.minutes < SHARES[len(self.looks)] * self.scene.budget_min:
            return
        predicted, answer = mean()
        truth, known = self.scene.truth, np.unique(self.rows)
        rest = np.setdiff1d(np.arange(len(truth)), known)
        error = np.mean((truth[rest] - predicted[rest]) ** 2) / np.var(truth[rest])
        typical, best, robust = float(np.median(truth)), float(truth.max()), self.scene.robust
        look = {
            "minutes": self.minutes,
            "measured": float(len(known)),
            "r2": 1.0 - float(error),
            "regret": (best - float(truth[answer])) / (best - typical),
            "robust_regret": max(robust - float(truth[answer]), 0.0) / (robust - typical),
            "maximum": float(truth[known].max()),
            "needle": float(truth[known].max() >= best),
        }
        while len(self.looks) < len(SHARES) and (
            self.minutes >= SHARES[len(self.looks)] * self.scene.budget_min
        ):
            self.looks.append(look)

    @property
    def over(self) -> bool:
        return len(self.looks) == len(SHARES)


def play(scene: Scene, policy: str, seed: int) -> Log:
    """One session of one policy."""
    if policy == "dklgpr":
        return _Peer(scene, seed).play()
    wishes = Wishes(maximize=0.0, explore=1.0) if policy == "session-explore" else Wishes()
    models = ("place",) if policy == "xy-gp" else ("place", "structure", "deep", "trees")
    session = StructureProperty(
        scene.positions,
        scene.patches,
        QUANTITY,
        scene.prices,
        wishes=wishes,
        models=models,
        seed=seed,
    )
    return _ours(scene, session, seed, random=policy == "random")


def _ours(scene: Scene, session: StructureProperty, seed: int, *, random: bool) -> Log:
    log, rng = Log(scene), np.random.default_rng([seed, 61])
    index = {tuple(p): i for i, p in enumerate(scene.positions.tolist())}
    while not log.over:
        began = time.process_time()
        if random:
            visits = _at_random(log, rng)
        else:
            visits = [(index[v.position], v.dwell_s) for v in session.suggest(BATCH)]
        log.seconds.append(time.process_time() - began)
        for row, dwell in visits:
            place = (int(scene.positions[row, 0]), int(scene.positions[row, 1]))
            reading = (log.measure(row, dwell, rng), scene.prices.noise(dwell))
            told = {QUANTITY: reading}
            session.learn(place, told) if random else session.ingest(place, told)
        log.look_if_due(lambda: (session.map()[0], index[session.best()[0]]))
    return log


def _at_random(log: Log, rng: np.random.Generator) -> list[tuple[int, float]]:
    """A batch along a short path, with the middle dwell."""
    left = np.setdiff1d(np.arange(len(log.scene.truth)), log.rows)
    return along(log, rng.choice(left, BATCH, replace=False))


def along(log: Log, rows: NDArray[np.int64]) -> list[tuple[int, float]]:
    """Rows in the order of a short path, with the middle dwell."""
    places = [(int(r), int(c)) for r, c in log.scene.positions[rows]]
    last = log.scene.positions[log.rows[-1]] if log.rows else None
    start = None if last is None else (int(last[0]), int(last[1]))
    dwells = log.scene.prices.dwells_s
    return [(int(rows[i]), dwells[len(dwells) // 2]) for i in shortest_path(start, places)]


@final
class _Peer:
    """AtomAI's deep kernel learning: trained anew for every batch, which are the places with the
    largest expected improvement; the middle dwell.
    """

    def __init__(self, scene: Scene, seed: int) -> None:
        self._log, self._seed = Log(scene), seed
        self._rng = np.random.default_rng([seed, 61])
        self._values: list[float] = []

    def play(self) -> Log:
        log = self._log
        self._measure(_at_random(log, self._rng))
        while not log.over:
            began = time.process_time()
            rows = np.array(log.rows, dtype=np.int64)
            values = np.array(self._values)
            mean, std = _dklgpr.posterior(log.scene.patches, rows, values, self._seed)
            gain = _improvement(mean, std, float(values.max()))
            gain[rows] = -np.inf
            chosen = np.argsort(-gain, kind="stable")[:BATCH]
            log.seconds.append(time.process_time() - began)
            answer = int(rows[np.argmax(mean[rows])])
            log.look_if_due(partial(_given, mean, answer))
            if not log.over:
                self._measure(along(log, chosen))
        return log

    def _measure(self, visits: list[tuple[int, float]]) -> None:
        for row, dwell in visits:
            self._values.append(self._log.measure(row, dwell, self._rng))


def _given(mean: Array, answer: int) -> tuple[Array, int]:
    return mean, answer


def _improvement(mean: Array, std: Array, best: float) -> Array:
    from scipy.stats import norm

    z = (mean - best) / std
    return std * (z * norm.cdf(z) + norm.pdf(z))
