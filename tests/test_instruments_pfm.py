"""The twin of the piezoresponse microscope."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from support_twins import GOOD, job, pad, step

from probewise.instruments import PfmTwin
from probewise.matter import make_pad, make_world, triangle
from probewise.workflow import Array, Job, Kind, Outcome, SpecError, Target, WorkerError

FRESH = {"start": 1.0, "tuned": 1.0}
POSITIONS = tuple((int(r), int(c)) for r, c in np.random.default_rng(0).integers(0, 128, (16, 2)))
TWIN = PfmTwin(world_seed=0)


def image(hours: dict[str, float] | None = None, seed: int = 0, sample: str = "s1") -> Array:
    wanted = job("overview_scan", pad(sample=sample), seed, hours or FRESH)
    return TWIN.perform(wanted).arrays["domain_image"]


def probe(
    positions: tuple[tuple[int, int], ...] = POSITIONS,
    seed: int = 0,
    hours: dict[str, float] | None = None,
    twin: PfmTwin = TWIN,
) -> Outcome:
    target = pad().model_copy(update={"positions": positions})
    return twin.perform(job("measure_loops", target, seed, hours or FRESH))


def roughness(data: NDArray[np.float64]) -> float:
    """Noise of an image from neighbours along its rows, which domains hardly enter."""
    return float(np.median(np.abs(np.diff(data, n=2, axis=1))) / 0.6745 / np.sqrt(6))


def test_it_is_a_replayable_twin_of_the_microscope_steps() -> None:
    assert (TWIN.kind, TWIN.twin, TWIN.replayable) == (Kind.INSTRUMENT, True, True)
    names = ("load_sample", "tune", "overview_scan", "measure_loops")
    assert tuple(offer.capability for offer in TWIN.offers()) == names
    assert {step(name).needs for name in names} == set(names)


@pytest.mark.parametrize("name", ["load_sample", "tune"])
def test_steps_without_data_cost_and_give_nothing_else(name: str) -> None:
    outcome = TWIN.perform(job(name, pad()))
    assert outcome.failure is None
    assert not outcome.values
    assert not outcome.arrays
    assert 0 < (outcome.cost_credits or 0) <= step(name).cost_credits.cap()


def test_an_image_has_axes_units_and_calibration() -> None:
    found = image()
    assert found.data.shape == (128, 128)
    assert found.unit == "pm"
    assert [(a.name, a.unit, a.kind) for a in found.axes] == [
        ("row", "nm", "spatial"),
        ("column", "nm", "spatial"),
    ]
    assert found.metadata["sensitivity_pm_per_uC_per_cm2"] == pytest.approx(0.47, abs=0.06)


@pytest.mark.slow
def test_an_image_is_the_pattern_times_a_sensitivity_that_is_a_little_off() -> None:
    world = make_world(0)
    ratios = []
    for i in range(8):
        found = image(sample=f"s{i}")
        pattern = make_pad(0, f"s{i}", 0, GOOD).pattern
        inside = np.abs(pattern) > 0.6 * np.abs(pattern).max()
        centred = found.data - found.data.mean()
        slope = np.polyfit(pattern[inside], centred[inside], 1)[0]
        ratios.append(slope / world.sensitivity_pm_cm2_per_uC)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.04)
    assert 0.005 < np.std(ratios) < 0.06


def test_noise_and_drift_grow_with_the_time_since_tuning() -> None:
    fresh, old = image(), image({"start": 7.0, "tuned": 1.0})
    assert roughness(old.data) > 1.8 * roughness(fresh.data)
    pattern = make_pad(0, "s1", 0, GOOD).pattern

    def likeness(found: Array) -> float:
        return float(np.corrcoef(found.data.ravel(), pattern.ravel())[0, 1])

    assert likeness(fresh) > 0.98
    assert likeness(old) < likeness(fresh) - 0.02


def test_the_same_action_gives_the_same_data_and_another_seed_other_noise() -> None:
    np.testing.assert_array_equal(image().data, image().data)
    assert np.abs(image().data - image(seed=1).data).max() > 0.5
    first, second = probe(), probe(twin=PfmTwin(world_seed=0))
    np.testing.assert_array_equal(first.arrays["loops"].data, second.arrays["loops"].data)
    assert (first.cost_credits, first.duration_h) == (second.cost_credits, second.duration_h)


def test_loops_name_their_positions_and_pulses() -> None:
    loops = probe().arrays["loops"]
    position, bias = loops.axes
    assert (position.name, position.unit, loops.unit) == ("position", "1", "pm")
    assert position.values.tolist() == [128 * r + c for r, c in POSITIONS]
    assert (bias.name, bias.unit, bias.kind) == ("bias", "V", "spectral")
    np.testing.assert_allclose(bias.values, triangle(128, 8.0))
    assert loops.data.shape == (len(POSITIONS), 128)


@pytest.mark.slow
def test_most_loops_are_the_local_polarization_and_a_few_are_bad() -> None:
    grown = make_pad(0, "s1", 0, GOOD)
    local = grown.local_loops(np.array(POSITIONS), triangle(128, 8.0))
    nominal = make_world(0).sensitivity_pm_cm2_per_uC
    good = total = 0
    for seed in range(15):
        data = probe(seed=seed).arrays["loops"].data
        rest = np.abs(data - nominal * local)
        good += int(np.sum((rest.mean(axis=1) < 2.5) & (rest.max(axis=1) < 12.0)))
        total += len(data)
    assert 0.90 < good / total < 0.995


def test_more_positions_cost_more() -> None:
    many, few = probe(POSITIONS), probe(POSITIONS[:2])
    assert many.cost_credits is not None
    assert few.cost_credits is not None
    assert many.cost_credits > 4 * few.cost_credits


@pytest.mark.parametrize(
    "target",
    [
        pad().model_copy(update={"positions": ((0, 0), (5, 128))}),
        pad().model_copy(update={"positions": ((-1, 4),)}),
        pad(),
        pad({**GOOD, "composition_sm": 0.5}).model_copy(update={"positions": ((1, 1),)}),
        Target(design=GOOD, positions=((1, 1),)),
    ],
)
def test_what_cannot_be_probed_is_refused_for_nothing(target: Target) -> None:
    outcome = TWIN.perform(job("measure_loops", target, hours=FRESH))
    assert outcome.failure is not None
    assert outcome.failure.kind == "refused"
    assert outcome.failure.remedy
    assert not outcome.arrays
    assert (outcome.cost_credits, outcome.duration_h) == (0.0, 0.0)


def test_a_step_of_another_worker_is_an_error() -> None:
    wrong = job("grow_strip", pad())
    with pytest.raises(WorkerError, match="grow_strip"):
        TWIN.perform(Job(wrong.action, step("grow_strip")))


@pytest.mark.parametrize("bias_V", [0.0, -8.0, 200.0, float("nan")])
def test_a_strange_bias_is_refused(bias_V: float) -> None:
    with pytest.raises(SpecError):
        PfmTwin(bias_V=bias_V)
