"""Budgets are hard: never over, never leaked, whatever a policy asks for and whatever fails.

A policy that asks for anything at random, over two tiers and with much in flight; workers that
charge too much, fail, are lost, and a process that crashes now and then. Beside the state run two
sets of accounts, kept by double entry from the events alone: one of what was used, which the state
agrees with; and one in which nobody uses more than was committed for it. In that one nothing is
ever overdrawn, so that a budget is exceeded by overruns alone, and by no more than these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_campaigns import raw_library_spec, raw_spec, registered, spec_of

from probewise.agents import Finding, Health
from probewise.agents._mortal import MortalInstrument
from probewise.agents._settle import settle
from probewise.campaign import CampaignSpec
from probewise.campaign._loop import Loop
from probewise.workflow import (
    Action,
    Commitment,
    Decided,
    Decision,
    Estimate,
    Event,
    Failure,
    Fate,
    Grant,
    Issued,
    Observation,
    Observed,
    Offer,
    Outcome,
    Recommendation,
    State,
    Step,
    Target,
    Verdict,
    VirtualClock,
)

STEPS_IN_ALL, RUNS, MOST_IN_ONE = 10_000, 40, 1_000
_done: list[int] = []


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with registered(tmp_path_factory.mktemp("installed")):
        yield


class Reckless:
    """Asks for anything, affordable or not, grants more than there is, closes what still runs."""

    name = "reckless"

    def __init__(self, seed: int, most: int) -> None:
        self.seed, self.most = seed, most

    def decide(self, state: State) -> Decision:
        rng = np.random.default_rng([self.seed, state.decisions, len(state.observations)])
        if state.actions_numbered >= self.most or state.decisions >= 3 * self.most:
            return self._say(state, "stop")
        if state.running and rng.random() < 0.3:
            return self._say(state, "wait")
        if state.open and rng.random() < 0.05 * len(state.open):
            return self._say(state, "close", session=str(rng.choice(sorted(state.open))))
        actions, grant = self._some(state, rng)
        if not actions:
            return self._say(state, "wait" if state.running else "stop")
        return self._say(state, "act", actions=actions, grant=grant)

    def _some(
        self, state: State, rng: np.random.Generator
    ) -> tuple[tuple[Action, ...], Grant | None]:
        """One to three actions for free workers, each in any session or in none."""
        ahead, actions, grant = state.ahead(), [], None
        sessions: list[str | None] = [None, *list(state.sessions)[-6:]]
        if rng.random() < 0.15:
            name = f"s{state.decisions:05d}"
            credits = float(rng.choice([5.0, 40.0, 1e6]))
            grant = Grant(session=name, sample="S", credits=credits, hours=1, reservation_rate=0)
            sessions = [name]
        for _ in range(int(rng.integers(1, 4))):
            step = state.workflow.steps[int(rng.integers(len(state.workflow.steps)))]
            number = state.actions_numbered + len(actions)
            target = Target(design={"x": 0.5, "y": 0.5}, sample=f"S{number}", site=0)
            worker = ahead.free_worker(step, target)
            if worker is None:
                continue
            session = sessions[int(rng.integers(len(sessions)))]
            action = Action(
                id=f"a{number:06d}", step=step.name, target=target, seed=number, session=session
            )
            commitment = state.commitment(action)
            held = Issued(hour=0, action=action, worker=worker, commitment=commitment)
            ahead.hold(held)
            actions.append(action)
        return tuple(actions), grant

    def _say(self, state: State, kind: str, **more: Any) -> Decision:
        given = {"number": state.decisions, "kind": kind, "reason": "at random"} | more
        return Decision.model_validate(given)

    def recommend(self, state: State) -> Recommendation | None:
        return None


class Chancy:
    """Workers that charge anything and fail in every way; what runs is lost in a crash."""

    def __init__(self, seed: int, failing: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.failing = failing
        self.done: list[Observation] = []

    def start(self) -> dict[str, tuple[Offer, ...]]:
        return {}

    def check(self, steps: Sequence[Step]) -> None: ...

    def review(
        self, action: Action, step: Step, commitment: Commitment, worker: str | None = None
    ) -> Verdict:
        return Verdict(allowed=bool(self.rng.random() < 0.95), reason="now and then")

    def submit(self, issued: Issued, step: Step) -> None:
        self.done.append(self._observed(issued, step))

    def _observed(self, issued: Issued, step: Step) -> Observation:
        price = float(self.rng.exponential(issued.commitment.credits + 0.1))
        hours = float(self.rng.uniform(0, issued.commitment.hours))
        cost = None if self.rng.random() < 0.2 else price
        values = {p.name: Estimate(value=0.0, std=1.0) for p in step.produces}
        outcome = Outcome(values=values, cost_credits=cost, duration_h=hours)
        if self.rng.random() < self.failing:
            kinds = ["instrument", "crashed", "timeout", "refused", "missing", "uncertain"]
            kind: Any = kinds[int(self.rng.integers(len(kinds)))]
            failure = Failure(kind=kind, message="by chance")
            outcome = Outcome(failure=failure, cost_credits=cost, duration_h=hours)
        return settle(issued, step, MortalInstrument, outcome, hours)

    def inquire(self, issued: Issued, step: Step) -> Finding:
        fate = list(Fate)[int(self.rng.integers(4))]
        found = fate in {Fate.DONE, Fate.DONE_WITHOUT_RESULT}
        observation = self._observed(issued, step) if found else None
        return Finding(fate=fate, by="worker", observation=observation)

    def collect(self, everything: bool, timeout_s: float | None) -> list[Observation]:
        done, self.done = self.done, []
        return done

    def secure(self) -> dict[str, str]:
        return {}

    def halt(self) -> None: ...

    def health(self) -> dict[str, Health]:
        return {}

    def close(self) -> None: ...


class Accounts:
    """Where every credit is, by double entry: each event moves credits, none appear or vanish.

    ``honest`` counts an action that used more than its commitment as if it had used that.
    """

    def __init__(self, budget: float, honest: bool = False) -> None:
        self.budget, self.honest, self.overrun = budget, honest, 0.0
        self.free, self.spent = budget, 0.0
        self.granted: dict[str, float] = {}
        self.returned: dict[str, float] = {}
        self.grants: dict[str, float] = {}
        self.committed: dict[str, tuple[float, str | None]] = {}
        self.spent_in: dict[str, float] = {}

    def take(self, event: Event) -> None:
        match event:
            case Decided():
                self._decided(event.decision)
            case Issued():
                session, held = event.action.session, event.commitment.credits
                self._move(session, -held)
                self.committed[event.action.id] = (held, session)
            case Observed():
                held, session = self.committed.pop(event.observation.action_id)
                cost = event.observation.cost_credits
                over = max(0.0, cost - held)
                told = event.observation.overrun.get("credits", 0.0)
                assert told == pytest.approx(over, abs=1e-6), "an overrun that is not told"
                self.overrun += over
                cost -= over if self.honest else 0.0
                self.spent += cost
                if session is not None:
                    self.spent_in[session] = self.spent_in.get(session, 0.0) + cost
                self._move(session, held - cost)
            case _:
                pass

    def _decided(self, decision: Decision) -> None:
        if decision.grant is not None:
            name, credits = decision.grant.session, decision.grant.credits
            self.free -= credits
            self.granted[name] = self.grants[name] = credits
        if decision.kind == "close" and decision.session is not None:
            left = self.granted.pop(decision.session)
            self.free += left
            self.returned[decision.session] = left

    def _move(self, session: str | None, credits: float) -> None:
        if session in self.granted:
            self.granted[session] += credits
        else:
            self.free += credits
            if session is not None:  # of a session that was closed meanwhile
                self.returned[session] += credits

    def check(self, state: State) -> None:
        held = sum(c for c, _ in self.committed.values())
        near = pytest.approx
        total = self.free + sum(self.granted.values())
        assert total + held + self.spent == near(self.budget)
        assert state.committed_credits == near(held, abs=1e-6)
        if self.honest:
            assert min([self.free, *self.granted.values()]) >= -1e-6, "nothing is given out twice"
            assert state.spent_credits + held <= self.budget + self.overrun + 1e-6
            return
        assert state.spent_credits == near(self.spent, abs=1e-6)
        assert state.free_credits == near(max(0.0, total), abs=1e-6)
        for name, credits in self.granted.items():
            assert state.session_free(name) == near(max(0.0, credits), abs=1e-6)
        left = sum(max(0.0, credits) for credits in self.granted.values())
        assert state.granted_credits == near(left, abs=1e-6)
        assert state.ungranted_credits == near(max(0.0, state.free_credits - left), abs=1e-6)

    def check_grants(self) -> None:
        """The sum of grants is what was spent, is committed, is left and was returned."""
        for name, grant in self.grants.items():
            committed = sum(c for c, s in self.committed.values() if s == name)
            parts = (
                self.spent_in.get(name, 0.0),
                committed,
                self.granted.get(name, 0.0),
                self.returned.get(name, 0.0),
            )
            assert sum(parts) == pytest.approx(grant)


amounts = st.fixed_dictionaries(
    {"median": st.floats(0.5, 12), "log_std": st.floats(0, 0.5), "cap_factor": st.floats(1, 3)}
)


def priced(draw: st.DrawFn, step: dict[str, Any]) -> dict[str, Any]:
    """Any amount; of a step on designs it may depend on them."""
    amount = draw(amounts)
    if step.get("acts_on", "design") == "design":
        amount |= {"per_unit": {"x": draw(st.floats(-0.5, 5))}}
    return amount


@st.composite
def specs(draw: st.DrawFn) -> CampaignSpec:
    """Small workflows with any prices, limits and capacities."""
    raw = raw_library_spec() if draw(st.booleans()) else raw_spec()
    steps = [
        step
        | {kind: priced(draw, step) for kind in ("cost_credits", "latency_h")}
        | {"mounts": False}
        for step in raw["workflow"]["steps"]
    ]
    raw["workflow"] = raw["workflow"] | {"steps": steps}
    for worker in raw["workers"].values():
        worker["capacity"] = draw(st.integers(1, 4))
    raw["budget"] = {
        "credits": draw(st.sampled_from([100.0, 1e4, 1e5])),
        "hours": draw(st.none() | st.floats(100, 10_000)),
        "samples": draw(st.none() | st.integers(1, 400)),
    }
    return spec_of(raw)


class Run:
    """A campaign that crashes now and then and is taken up from what was written."""

    def __init__(self, spec: CampaignSpec, seed: int, failing: float, most: int) -> None:
        self.spec, self.seed, self.failing = spec, seed, failing
        self.policy = Reckless(seed, most)
        self.written: list[Event] = []
        self.rng = np.random.default_rng([seed, 7])
        self.legs = 0

    def fold(self) -> State:
        names = {s.needs: tuple(self.spec.workers) for s in self.spec.workflow.steps}
        state = self.spec.initial_state(names)
        for event in self.written:
            state.apply(event)
        return state

    def go(self) -> tuple[State, Accounts]:
        while True:
            self.legs += 1
            state = self.fold()
            runtime = Chancy(self.seed + self.legs, self.failing)
            clock = VirtualClock(state.now_h)
            loop = Loop(state, self.policy, runtime, clock, self._write, self.spec)
            lives = int(self.rng.integers(20, 400)) if self.legs < 6 else None
            if self._leg(loop, lives):
                return state, self.audit(state)

    def _write(self, *events: Event) -> None:
        self.written.extend(events)

    def _leg(self, loop: Loop, lives: int | None) -> bool:
        """Whether it came to its end before its process died."""
        count = 0
        for source in (loop.take_up(None), loop.events()):
            for _ in source:
                count += 1
                if count == lives:
                    return False
        return True

    def audit(self, end: State) -> Accounts:
        """Fold once more, with the accounts beside; everything is checked after every write."""
        assert self.spec.budget.credits is not None
        names = {s.needs: tuple(self.spec.workers) for s in self.spec.workflow.steps}
        state, accounts = self.spec.initial_state(names), Accounts(self.spec.budget.credits)
        honest = Accounts(self.spec.budget.credits, honest=True)
        limits = self.spec.budget
        for event in self.written:
            state.apply(event)
            accounts.take(event)
            honest.take(event)
            accounts.check(state)
            honest.check(state)
            assert limits.samples is None or state.samples_begun <= limits.samples
            assert limits.hours is None or state.now_h <= limits.hours + 1e-6
            for worker, capacity in state.capacity.items():
                assert state.load_of(worker) <= capacity
                assert state.load_of(worker) == sum(
                    i.worker == worker for i in state.running.values()
                )
        accounts.check_grants()
        honest.check_grants()
        assert state.spent_credits == end.spent_credits and not state.running and state.stopped
        assert not accounts.committed and not accounts.granted
        return accounts


@pytest.mark.slow
@settings(max_examples=RUNS)
@given(specs(), st.integers(0, 2**31), st.sampled_from([0.0, 0.2, 0.7]))
def test_no_credit_is_spent_twice_or_lost(spec: CampaignSpec, seed: int, failing: float) -> None:
    run = Run(spec, seed, failing, most=MOST_IN_ONE)
    state, _ = run.go()
    _done.append(state.actions_numbered)


@pytest.mark.slow
def test_ten_thousand_steps_were_asked_for() -> None:
    assert sum(_done) >= STEPS_IN_ALL, f"{sum(_done)} steps in {len(_done)} campaigns"
