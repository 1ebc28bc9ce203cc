"""The twin of the capacitor tester."""

from __future__ import annotations

import numpy as np
import pytest
from support_twins import GOOD, job, pad, step

from probewise.instruments import CapacitorTwin
from probewise.matter import make_pad
from probewise.workflow import Kind, Target

TWIN = CapacitorTwin(world_seed=0)


def test_it_is_a_replayable_twin_of_the_test() -> None:
    assert (TWIN.kind, TWIN.twin, TWIN.replayable) == (Kind.INSTRUMENT, True, True)
    assert [offer.capability for offer in TWIN.offers()] == [step("capacitor_test").needs]


@pytest.mark.slow
def test_readings_scatter_by_their_standard_deviation_about_the_pad_that_was_grown() -> None:
    truth = make_pad(0, "s1", 0, GOOD).switchable_uC_per_cm2
    readings = [
        TWIN.perform(job("capacitor_test", pad(), seed)).values["switchable_polarization"]
        for seed in range(30)
    ]
    assert {r.std for r in readings} == {1.0}
    values = np.array([r.value for r in readings])
    assert values.mean() == pytest.approx(truth, abs=0.5)
    assert values.std() == pytest.approx(1.0, abs=0.3)


def test_the_loop_has_an_axis_in_field_and_is_open() -> None:
    outcome = TWIN.perform(job("capacitor_test", pad()))
    loop = outcome.arrays["pe_loop"]
    (field,) = loop.axes
    assert (field.name, field.unit, loop.unit) == ("field", "kV/cm", "uC/cm**2")
    assert loop.data.shape == field.values.shape
    falling = np.gradient(field.values) < 0
    near = np.abs(field.values) < 40.0
    opening = loop.data[falling & near].mean() - loop.data[~falling & near].mean()
    truth = make_pad(0, "s1", 0, GOOD).switchable_uC_per_cm2
    assert 0.5 * opening == pytest.approx(truth, rel=0.15)
    assert 0 < (outcome.cost_credits or 0) <= step("capacitor_test").cost_credits.cap()


def test_the_same_action_gives_the_same_reading() -> None:
    first, second = (CapacitorTwin().perform(job("capacitor_test", pad(), 3)) for _ in range(2))
    assert first.values == second.values
    np.testing.assert_array_equal(first.arrays["pe_loop"].data, second.arrays["pe_loop"].data)


@pytest.mark.parametrize("target", [Target(design=GOOD), pad({**GOOD, "temperature_C": 20.0})])
def test_a_pad_that_cannot_be_is_refused_for_nothing(target: Target) -> None:
    outcome = TWIN.perform(job("capacitor_test", target))
    assert outcome.failure is not None
    assert outcome.failure.kind == "refused"
    assert outcome.failure.remedy
    assert (outcome.cost_credits, outcome.duration_h) == (0.0, 0.0)
