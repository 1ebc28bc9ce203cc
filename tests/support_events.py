"""A small campaign as events, without planner, agents or clock."""

from __future__ import annotations

import heapq
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from probewise.campaign._store import Hdf5Store
from probewise.workflow import (
    Action,
    Alternative,
    Array,
    Assessed,
    Axis,
    Budget,
    Decided,
    Decision,
    Design,
    Estimate,
    Event,
    Failure,
    Grant,
    Grid,
    Issued,
    Maximize,
    Observation,
    Observed,
    Quality,
    Recommendation,
    Refused,
    Resumed,
    Started,
    State,
    Stopped,
    Table,
    Target,
    Workflow,
)

GOAL = Maximize(quantity="switchable_polarization")
UNIT = "uC/cm**2"
PLACES = {
    "grow_strip": "furnace",
    "load_sample": "pfm",
    "tune": "pfm",
    "overview_scan": "pfm",
    "measure_loops": "pfm",
    "capacitor_test": "tester",
    "segment_domains": "analyst",
    "check_quality": "analyst",
    "fit_loops": "analyst",
    "simulate_landau": "theorist",
    "refit_theory": "theorist",
}
QUANTITIES = {
    "segment_domains": {"domain_contrast": (12.0, 1.0), "wall_density": (0.2, 0.02)},
    "fit_loops": {"loop_polarization": (35.0, 2.5), "coercive_bias": (3.1, 0.2)},
    "capacitor_test": {"switchable_polarization": (47.0, 1.0)},
}


def scenario() -> dict[str, Any]:
    text = files("probewise.campaign").joinpath("scenarios/sm-bfo.yaml").read_text("utf-8")
    return yaml.safe_load(text)


class Story:
    """Writes events as a campaign loop would, and folds them into ``state`` as it goes."""

    def __init__(self, store: Hdf5Store | None = None, seed: int = 0) -> None:
        self.spec = scenario()
        self.workflow = Workflow.model_validate(self.spec["workflow"])
        self.store = store
        self.rng = np.random.default_rng(seed)
        self.events: list[Event] = []
        self.hour = 0.0
        self._pending: list[tuple[float, str, Observation]] = []
        self.state = State(
            workflow=self.workflow,
            goal=GOAL,
            budget=Budget.model_validate(self.spec["budget"]),
            capacity={w: s.get("capacity", 1) for w, s in self.spec["workers"].items()},
            offers={step: (worker,) for step, worker in PLACES.items()},
        )
        spec = self.spec | {"workflow": self.workflow.model_dump(mode="json")}
        self._add(Started(spec=spec, version="0"))

    def _add(self, event: Event) -> None:
        self.events.append(event)
        self.state.apply(event)

    def decide(self, step: str, target: Target | None = None, **more: Any) -> Action | None:
        """One decision with one action (none if ``step`` is empty), not yet given to a worker."""
        session = more.pop("session", None)
        actions: tuple[Action, ...] = ()
        if step:
            number = self.state.actions_numbered
            actions = (
                Action(
                    id=f"a{number:05d}",
                    step=step,
                    target=target or Target(),
                    seed=number,
                    session=session,
                ),
            )
        value = float(self.rng.gamma(2.0, 1.5))
        price = self.workflow.step(step).cost_credits.expected() if step else 0.0
        others = [s for s in PLACES if s != step][: int(self.rng.integers(3, 7))]
        decision = Decision(
            number=self.state.decisions,
            kind=more.pop("kind", "act"),
            tier=more.pop("tier", "session" if session else "campaign"),
            actions=actions,
            session=session,
            value=value,
            price_credits=price,
            index=value / max(price, 0.1),
            reason=more.pop("reason", f"{step or 'this'} is worth most per credit"),
            alternatives=tuple(
                Alternative(
                    label=f"{s} elsewhere",
                    step=s,
                    value=value * 0.8**i,
                    price_credits=price + 1 + i,
                    index=value * 0.8**i / (price + 1 + i),
                )
                for i, s in enumerate(others)
            ),
            **more,
        )
        self._add(Decided(hour=self.hour, decision=decision))
        return actions[0] if actions else None

    def issue(self, action: Action, hours: float | None = None, **result: Any) -> None:
        """Give an action to its worker; :meth:`settle` brings the observation."""
        step = self.workflow.step(action.step)
        commitment = self.state.commitment(action)
        worker = PLACES[action.step]
        self._add(Issued(hour=self.hour, action=action, worker=worker, commitment=commitment))
        n = len(action.target.positions) or 1
        end = self.hour + (step.latency_h.draw(self.rng, n) if hours is None else hours)
        failed = result.get("failure") is not None
        observation = Observation(
            action_id=action.id,
            worker=worker,
            cost_credits=step.cost_credits.draw(self.rng, n),
            queued_h=self.hour,
            start_h=self.hour,
            end_h=end,
            values={} if failed else self._values(action),
            arrays={} if failed or self.store is None else self._arrays(action),  # type: ignore[arg-type]
            **result,
        )
        heapq.heappush(self._pending, (end, action.id, observation))

    def settle(self, action: Action | None = None) -> None:
        """Let actions end, in the order of their ends, until ``action`` has, or else all."""
        while self._pending if action is None else action.id in self.state.running:
            end, _, observation = heapq.heappop(self._pending)
            self.hour = max(self.hour, end)
            self._add(Observed(hour=self.hour, observation=observation))

    def do(self, step: str, target: Target | None = None, **more: Any) -> Action:
        """Decide, issue and finish a step; ``result`` goes into the observation."""
        result = more.pop("result", {})
        action = self.decide(step, target, **more)
        assert action is not None
        self.issue(action, **result)
        self.settle(action)
        return action

    def assess(self, value: float, std: float, design: Design) -> None:
        self._add(
            Assessed(
                hour=self.hour,
                credits=self.state.spent_credits,
                recommendation=Recommendation(
                    goal=GOAL, design=design, estimate=Estimate(value=value, std=std), unit=UNIT
                ),
            )
        )

    def refuse(self, action: Action, reason: str) -> None:
        self._add(Refused(hour=self.hour, action_id=action.id, by="guardian", reason=reason))

    def stop(self, reason: str) -> None:
        self._add(Resumed(hour=self.hour))
        self._add(Stopped(hour=self.hour, reason=reason, recommendation=self.state.recommendation))

    def _values(self, action: Action) -> dict[str, Estimate]:
        factor = float(self.rng.normal(1.0, 0.08))
        return {
            name: Estimate(value=mean * factor, std=std)
            for name, (mean, std) in QUANTITIES.get(action.step, {}).items()
        }

    def _arrays(self, action: Action) -> dict[str, Array] | Any:
        assert self.store is not None
        if action.step == "overview_scan":
            return self.store.put(action, {"domain_image": domain_image(action.seed)})
        if action.step == "measure_loops":
            return self.store.put(
                action, {"loops": loops(action.seed, len(action.target.positions))}
            )
        return {}


def domain_image(seed: int, size: int = 64) -> Array:
    """A labyrinth of two domains in pm, shape (size, size), axes in um."""
    rng = np.random.default_rng(seed)
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    field = np.fft.ifft2(
        np.fft.fft2(rng.standard_normal((size, size))) * np.exp(-(((k - 0.08) / 0.02) ** 2))
    )
    ticks = np.linspace(0.0, 2.0, size)
    return Array(
        data=12.0 * np.tanh(60.0 * field.real / field.real.std() / 20.0),
        unit="pm",
        axes=(Axis("y", "um", ticks, "SPATIAL"), Axis("x", "um", ticks, "SPATIAL")),
        quantity="piezoresponse",
        kind="IMAGE",
        metadata={"tip": "Pt", "drive_V": 1.5},
    )


def loops(seed: int, n: int, points: int = 32) -> Array:
    """Hysteresis loops, shape (n, points)."""
    bias = 8.0 * np.sin(np.linspace(0, 2 * np.pi, points))
    rng = np.random.default_rng(seed)
    return Array(
        data=10.0 * np.tanh(bias - 2.0)[None, :] + rng.standard_normal((n, points)),
        unit="pm",
        axes=(
            Axis("position", "1", np.arange(n, dtype=float), "POINT_CLOUD"),
            Axis("bias", "V", bias, "SPECTRAL"),
        ),
        quantity="piezoresponse",
        kind="UNKNOWN",
    )


def _positions(rng: np.random.Generator, n: int) -> tuple[tuple[int, int], ...]:
    return tuple((int(r), int(c)) for r, c in rng.integers(4, 60, (n, 2)))


def _session(story: Story, sample: str, design: Design, number: int) -> None:
    name = f"s{number:03d}"
    grant = Grant(
        session=name, sample=sample, credits=140, hours=6, reservation_rate=0.02 + 0.01 * number
    )
    story.do(
        "load_sample",
        Target(sample=sample, design=design),
        session=name,
        grant=grant,
        tier="campaign",
    )
    story.do("tune", Target(sample=sample), session=name)
    site = Target(sample=sample, site=3)
    story.do("overview_scan", site, session=name)
    story.do("segment_domains", site, session=name, tier="follow-up")
    if number == 1:
        lost = Failure(kind="instrument", message="tip lost contact", remedy="approach again")
        story.do(
            "measure_loops",
            site.model_copy(update={"positions": _positions(story.rng, 4)}),
            session=name,
            result={"failure": lost},
        )
    probed: list[tuple[int, int]] = []
    for turn in range(2 + number % 2):
        positions = _positions(story.rng, 4)
        probed.extend(positions)
        story.do(
            "measure_loops",
            site.model_copy(update={"positions": positions}),
            session=name,
            expected={"loop_polarization": Estimate(value=30.0 + 2 * number, std=8.0)},
        )
        verdict = Quality(
            verdict="keep" if turn else "retake",
            score=0.4 + 0.5 * turn,
            reason="noise on two loops",
        )
        story.do("check_quality", site, session=name, tier="follow-up", result={"quality": verdict})
        table = Table(
            positions=tuple(probed),
            columns={
                "loop_polarization": tuple(float(v) for v in story.rng.normal(35, 5, len(probed)))
            },
        )
        story.do(
            "fit_loops",
            site,
            session=name,
            tier="follow-up",
            result={"tables": {"loops": table}},
            expected={"loop_polarization": Estimate(value=30.0 + 2 * number, std=8.0)},
        )
    story.decide(
        "",
        kind="close",
        session=name,
        reason="the next loop is worth less than the reservation rate",
    )


def campaign(run_folder: Path | None = None, strips: int = 4, seed: int = 0) -> Story:
    """Strips grown, looked at and tested, with theory in between; ended by its own word."""
    story = Story(Hdf5Store(run_folder) if run_folder else None, seed)
    ticks = {
        v.name: tuple(float(t) for t in v.from_unit(np.linspace(0, 1, 4)))
        for v in story.workflow.space.variables
    }
    members = tuple(tuple(float(x) for x in story.rng.normal(20, 5, 64)) for _ in range(3))
    story.do(
        "simulate_landau",
        result={"grids": {"theory_polarization": Grid(ticks=ticks, values=members)}},
    )
    best, std = 20.0, 18.0
    designs = story.workflow.space.decode(story.rng.random((strips, 3)))
    waiting: Action | None = None
    for number, design in enumerate(designs):
        sample = f"strip-{number + 1}"
        story.do("grow_strip", Target(design=design, sample=sample))
        if waiting is not None:
            story.issue(waiting)
        _session(story, sample, design, number)
        story.settle()
        best, std = best + 9.0 * 0.75**number, std * 0.6
        story.assess(best, std, design)
        waiting = story.decide(
            "capacitor_test",
            Target(sample=sample, site=3, design=design),
            expected={"switchable_polarization": Estimate(value=best, std=std)},
        )
    if waiting is not None:
        story.refuse(waiting, "the tester is being calibrated")
    if strips > 1:
        story.do("refit_theory")
    story.assess(best, std, designs[-1] if designs else {})
    story.stop("no step is worth its price any more")
    return story
