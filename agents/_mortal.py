"""Doubles for tests of crashes: one worker of every kind that dies, hangs or stops on demand.

They note in a file what they do, so that a test can count it. Like :mod:`._testing` they live in
the package because an actor's process must be able to import them, and are not registered.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import final

import numpy as np

from ..workflow import Array, Axis, Estimate, Grid, Job, Kind, Offer, Outcome, Worker


class _Mortal(Worker):
    """Does what its steps ask for, from the action's seed; meets its fate once.

    Parameters
    ----------
    capabilities
        Separated by blanks.
    log
        A file; gets a line ``<step> <action id>`` for every action that is performed.
    dies_in
        The step in whose ``dies_at``-th action it meets its fate, if no process has met it before;
        the action is noted in a file beside the log.
    how
        ``kill``: its process is killed; ``stop``: it is stopped for good; ``hang``: it sleeps.
    points
        Length of what it records.
    sleep_s
        Real time that every action takes.
    """

    def __init__(
        self,
        *,
        capabilities: str,
        log: str,
        dies_in: str = "",
        dies_at: int = 2,
        how: str = "kill",
        points: int = 8,
        sleep_s: float = 0.0,
    ) -> None:
        self._capabilities, self._log = capabilities.split(), Path(log)
        self._dies_in, self._dies_at, self._how = dies_in, dies_at, how
        self._points, self._sleep_s = points, sleep_s

    def offers(self) -> tuple[Offer, ...]:
        return tuple(Offer(capability=c, about="mortal double") for c in self._capabilities)

    def perform(self, job: Job) -> Outcome:
        with self._log.open("a") as file:
            file.write(f"{job.step.name} {job.action.id}\n")
        time.sleep(self._sleep_s)
        if job.step.name == self._dies_in:
            self._meet_fate()
        x = np.arange(float(self._points))
        mean = sum(float(a.data.mean()) for arrays in job.arrays.values() for a in arrays)
        value = float(job.rng.normal()) + mean
        credits, hours = job.draw_price()
        ramp = Array(value + x, "V", (Axis("x", "nm", x, "spatial"),))
        ticks = (0.0, 0.5, 1.0)
        grid = Grid(ticks={"x": ticks}, values=(ticks, ticks))
        return Outcome(
            values={p.name: Estimate(value=value, std=0.1) for p in job.step.produces},
            arrays={p.name: ramp for p in job.step.records},
            grids={p.name: grid for p in job.step.predicts},
            cost_credits=credits,
            duration_h=hours,
        )

    def _meet_fate(self) -> None:
        lines = self._log.read_text().splitlines()
        mine = [line for line in lines if line.split()[0] == self._dies_in]
        met = self._log.with_suffix(f".{self._dies_in}")
        if len(mine) < self._dies_at or met.exists():
            return
        met.write_text(mine[-1])
        if self._how == "hang":
            time.sleep(3600)
        os.kill(os.getpid(), signal.SIGSTOP if self._how == "stop" else signal.SIGKILL)


@final
class MortalTwin(_Mortal):
    kind = Kind.INSTRUMENT
    twin = True
    replayable = True


@final
class MortalInstrument(_Mortal):
    kind = Kind.INSTRUMENT


@final
class MortalSynthesis(_Mortal):
    kind = Kind.SYNTHESIS


@final
class MortalAnalysis(_Mortal):
    kind = Kind.ANALYSIS
    replayable = True


@final
class MortalTheory(_Mortal):
    kind = Kind.THEORY
    replayable = True
