"""The twin that grows strips."""

from __future__ import annotations

import numpy as np
import pytest
from support_twins import GOOD, job, pad, step

from probewise.matter import grown_design
from probewise.synthesis import PldTwin
from probewise.workflow import Kind, SpecError, Target


def test_it_is_a_replayable_twin_of_the_one_synthesis_step() -> None:
    twin = PldTwin(world_seed=0)
    assert (twin.kind, twin.twin, twin.replayable) == (Kind.SYNTHESIS, True, True)
    assert [offer.capability for offer in twin.offers()] == [step("grow_strip").needs]


def test_a_run_costs_within_its_cap_and_notes_what_was_reached() -> None:
    twin, grow = PldTwin(failure_rate=0.0), step("grow_strip")
    for seed in range(30):
        outcome = twin.perform(job("grow_strip", pad(sample=f"s{seed}"), seed))
        assert outcome.failure is None
        assert not outcome.values
        assert not outcome.arrays
        assert 0 < (outcome.cost_credits or 0) <= grow.cost_credits.cap()
        assert 0 < (outcome.duration_h or 0) <= grow.latency_h.cap()
        _, t_C, p = grown_design(0, f"s{seed}", GOOD)
        assert outcome.notes["pyrometer_C"] == pytest.approx(t_C, abs=5.0)
        assert outcome.notes["gauge_mTorr"] == pytest.approx(p, rel=0.06)


def test_the_same_action_is_the_same_run() -> None:
    first, second = (PldTwin().perform(job("grow_strip", pad(), 7)) for _ in range(2))
    assert first == second


def test_now_and_then_a_run_is_lost_and_still_paid_for() -> None:
    outcomes = [PldTwin().perform(job("grow_strip", pad(), seed)) for seed in range(600)]
    lost = [o for o in outcomes if o.failure is not None]
    assert 0.01 < len(lost) / len(outcomes) < 0.06
    for outcome in lost:
        assert outcome.failure is not None
        assert outcome.failure.kind == "instrument"
        assert outcome.failure.remedy
        assert (outcome.cost_credits or 0) > 200
    assert len({o.failure.message for o in lost if o.failure}) == 2


@pytest.mark.parametrize(
    "target",
    [
        pad({**GOOD, "temperature_C": 900.0}),
        pad({**GOOD, "pressure_mTorr": 0.0}),
        pad({"composition_sm": 0.1}),
        pad({**GOOD, "laser": 1.0}),
        Target(design=GOOD),
    ],
)
def test_what_the_furnace_cannot_do_is_refused_for_nothing(target: Target) -> None:
    outcome = PldTwin().perform(job("grow_strip", target))
    assert outcome.failure is not None
    assert outcome.failure.kind == "refused"
    assert outcome.failure.remedy
    assert (outcome.cost_credits, outcome.duration_h) == (0.0, 0.0)


@pytest.mark.parametrize("config", [{"failure_rate": 1.5}, {"failure_rate": np.nan}])
def test_a_strange_configuration_is_refused(config: dict[str, float]) -> None:
    with pytest.raises(SpecError):
        PldTwin(**config)  # pyright: ignore[reportArgumentType]
