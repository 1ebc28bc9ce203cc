"""Tuning an instrument whose optimum drifts: check it, use it, and when to do which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from ..workflow import (
    Action,
    Decision,
    Estimate,
    Recommendation,
    State,
    Step,
    Target,
    Tune,
    Workflow,
)
from ._build import build_action
from ._drift import Drift, Timed, fit_drift, knowledge_gradients, plan_gains, timed_data
from ._gp import Matrix, Vector
from ._node import refit_count
from ._options import failed_too_often, refused_before
from ._prices import Prices

Mode = Literal["drift", "static", "periodic", "random"]
SETTINGS = 128
_NEAR = 36
_PLAN = 5
"""Checks that are thought of together."""


@dataclass(frozen=True)
class _Look:
    """Settings that could be used now: unit controls (N, d), belief, and the leading row."""

    drift: Drift
    x: Matrix
    mean: Vector
    covariance: Matrix

    @property
    def leader(self) -> int:
        return int(np.argmax(self.mean))


@final
class Tuning:
    """Keeps an instrument good at the least cost.

    Each decision compares using the instrument at the believed best setting with measuring the
    quality somewhere: worth * (rise of the best mean that it is expected to bring) * (hours that
    the knowledge stays of use) against its price. Where measuring is itself use, what the setting
    costs in quality meanwhile counts too (online knowledge gradient, Ryzhov, Powell & Frazier
    2012). Knowledge stays of use for memory * (1 - exp(-hours left / memory)).

    Other modes are there to compare with: ``static`` forgets nothing, ``random`` checks settings by
    chance, ``periodic`` forgets everything and tunes anew once in ``memory_h`` hours.
    """

    def __init__(self, workflow: Workflow, goal: Tune, mode: Mode = "drift") -> None:
        self.name = "planner" if mode == "drift" else mode
        self._workflow, self._goal, self._mode = workflow, goal, mode
        self._check = workflow.producer(goal.quantity)
        self._work = None if goal.working is None else workflow.step(goal.working)
        self._kept: tuple[object, Drift] | None = None
        self._fitted: tuple[object, Drift] | None = None

    # -- the protocol of a policy -----------------------------------------------------------------

    def decide(self, state: State) -> Decision:
        if state.running:
            return self._idle(state, "wait", "one instrument does one thing at a time")
        look = self._look(state)
        for step, x, value, reason in self._choices(state, look):
            action = self._action(state, step, x)
            if action is not None:
                return self._act(state, look, action, step, value, reason)
        return self._idle(state, "stop", "neither checking nor using the instrument is affordable")

    def recommend(self, state: State) -> Recommendation:
        look = self._look(state)
        row = look.leader
        (design,) = state.workflow.space.decode(look.x[row])
        std = float(np.sqrt(max(look.covariance[row, row], 0.0)))
        return Recommendation(
            goal=self._goal,
            design=design,
            estimate=Estimate(value=float(look.mean[row]), std=std),
            unit=state.workflow.unit(self._goal.quantity),
        )

    # -- belief -----------------------------------------------------------------------------------

    def drift(self, state: State) -> Drift:
        """The belief after all that counts; hyperparameters are fitted on a schedule."""
        since = self._tuned_since(state)
        data = timed_data(state, self._goal.quantity, since)
        key = (id(state), len(state.observations), since)
        if self._kept is None or self._kept[0] != key:
            prior = self._workflow.priors.get(self._goal.quantity)
            scale = None if prior is None else (prior.mean, prior.std)
            memory = self._goal.memory_h if self._mode == "drift" else np.inf
            fitted = self._last_fit(data, (id(state), since), memory, scale)
            shown = fit_drift(data, data.x.shape[1], memory, scale, fit=False)
            kept = Drift(data, shown.location, shown.scale, fitted.kernel, fitted.memory_h)
            self._kept = (key, kept)
        return self._kept[1]

    def _last_fit(
        self, data: Timed, whose: object, memory: float, scale: tuple[float, float] | None
    ) -> Drift:
        """The belief at the last scheduled refit."""
        due = refit_count(len(data.y))
        if self._fitted is None or self._fitted[0] != (whose, due):
            first = Timed(data.x[:due], data.hours[:due], data.y[:due], data.noise[:due])
            self._fitted = ((whose, due), fit_drift(first, data.x.shape[1], memory, scale))
        return self._fitted[1]

    def _tuned_since(self, state: State) -> float:
        """When the current period began; only the periodic mode forgets what was before."""
        if self._mode != "periodic":
            return -np.inf
        return np.floor(state.now_h / self._goal.memory_h + 1e-9) * self._goal.memory_h - 1e-9

    def _look(self, state: State) -> _Look:
        drift, space = self.drift(state), state.workflow.space
        rng = np.random.default_rng([state.seed, 41, len(state.observations)])
        x = space.sobol(SETTINGS, seed=int(rng.integers(2**31)))
        if len(drift.data.y):
            x = np.concatenate([x, drift.data.x[-16:]])
        for width in (0.1, 0.03):
            mean, _ = drift.at(x, state.now_h)
            best = x[np.argsort(-mean, kind="stable")[:6]]
            near = np.repeat(best, _NEAR // 6, axis=0)
            near = np.clip(near + width * rng.standard_normal(near.shape), 0.0, 1.0)
            x = np.concatenate([x, space.encode(space.decode(near))])
        mean, covariance = drift.at(x, state.now_h)
        return _Look(drift, x, mean, covariance)

    # -- choices ----------------------------------------------------------------------------------

    def _choices(self, state: State, look: _Look) -> list[tuple[Step, Matrix, float, str]]:
        """(step, setting, value in credits, reason), the best first."""
        use = self._work or self._check
        best = look.x[look.leader]
        work = (use, best, 0.0, "use the believed best setting")
        if self._mode == "random":
            return self._by_chance(state, work)
        value, why = self._checking(state, look)
        order = np.argsort(-value, kind="stable")[:8]
        checks = [(self._check, look.x[i], float(value[i]), why) for i in order]
        if self._mode == "periodic":
            tuned = len(look.drift.data.y) >= 2 * state.workflow.space.dim + 3
            return [work, *checks] if tuned else [*checks, work]
        if self._work is None:
            return [*checks, work]
        return [*(c for c in checks if c[2] > 0.0), work]

    def _by_chance(
        self, state: State, work: tuple[Step, Matrix, float, str]
    ) -> list[tuple[Step, Matrix, float, str]]:
        """A random setting every second time, the best one else."""
        rng = np.random.default_rng([state.seed, 43, state.decisions])
        check = (self._check, rng.random(state.workflow.space.dim), 0.0, "a random setting")
        return [check, work] if state.decisions % 2 == 0 else [work, check]

    def _checking(self, state: State, look: _Look) -> tuple[Vector, str]:
        """Credits (N,) that measuring the quality at each setting brings beyond using the best."""
        goal, prices = self._goal, Prices(state)
        price = prices.of(self._check)
        noise = self._noise(look.drift)
        rise = knowledge_gradients(look.mean, look.covariance, noise)
        if self._mode == "periodic":
            rise = rise + 1e-9 * look.mean
        useful = self._useful_h(state, look.drift, price.hours)
        value = goal.worth_credits * useful * rise
        if self._work is None:
            value = value + goal.worth_credits * price.hours * (look.mean - look.mean.max())
        else:
            value = value - price.credits - self._idle_price(state, look, price.hours)
            self._raise_plan(look, value, noise, state, useful)
        return value, f"what it tells stays of use for {useful:.3g} h"

    def _raise_plan(
        self, look: _Look, value: Vector, noise: float, state: State, useful: float
    ) -> None:
        """Value the best first check by a whole plan of checks where that is worth more: what one
        says may change nothing and several together much.
        """
        price = Prices(state).of(self._check)
        each = price.credits + self._idle_price(state, look, price.hours)
        rows, gains = plan_gains(look.mean, look.covariance, noise, _PLAN)
        net = self._goal.worth_credits * useful * gains - each * np.arange(1, _PLAN + 1)
        value[rows[0]] = max(float(value[rows[0]]), float(net.max()))

    def _idle_price(self, state: State, look: _Look, hours: float) -> float:
        """Credits that hours without use cost: the quality missed meanwhile, at least an hour's
        own value.
        """
        missed = self._goal.worth_credits * max(float(look.mean.max()), 0.0)
        return hours * max(missed, state.budget.credits_per_hour)

    def _useful_h(self, state: State, drift: Drift, hours: float) -> float:
        """Hours of use that knowledge has before it fades or the campaign ends."""
        memory = drift.memory_h
        limit = state.budget.hours
        left = np.inf if limit is None else max(limit - state.now_h - hours, 0.0)
        if not np.isfinite(memory):
            return float(left) if np.isfinite(left) else 10.0 * self._goal.memory_h
        return float(memory * -np.expm1(-left / memory))

    def _noise(self, drift: Drift) -> float:
        if len(drift.data.noise):
            return float(np.median(drift.data.noise))
        return self._check.noise.get(self._goal.quantity, 0.0)

    # -- actions ----------------------------------------------------------------------------------

    def _action(self, state: State, step: Step, x: Matrix) -> Action | None:
        (design,) = state.workflow.space.decode(x)
        target = Target(design=design)
        if state.free_worker(step) is None or refused_before(state, step, target):
            return None
        if failed_too_often(state, [step], target):
            return None
        first = state.workflow.open_steps(step, target, state.inventory)[0]
        action = build_action(state, first, target)
        return action if state.affordable(state.commitment(action)) else None

    def _act(
        self, state: State, look: _Look, action: Action, step: Step, value: float, reason: str
    ) -> Decision:
        cost = Prices(state).of(step).at(state.budget.credits_per_hour)
        (x,) = state.workflow.space.encode([action.target.design])[None]
        mean, covariance = look.drift.at(x, state.now_h)
        expected = Estimate(value=float(mean[0]), std=float(np.sqrt(max(covariance[0, 0], 0.0))))
        return Decision(
            number=state.decisions,
            kind="act",
            actions=(action,),
            value=value,
            price_credits=cost,
            index=value / max(cost, 1e-9),
            reason=f"{self.name}: {action.step} on {action.target.label}, {reason}",
            expected={self._goal.quantity: expected},
        )

    def _idle(self, state: State, kind: Literal["wait", "stop"], reason: str) -> Decision:
        return Decision(number=state.decisions, kind=kind, reason=reason)
