"""What a place is worth decides how long it is looked at: dull ones are cut short, promising noisy
ones measured longer, bad ones taken again only if that is worth its price."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support_analysis import job as job_of
from support_drivers import program

from probewise.analysis import (
    DwellWatch,
    SpectrumAnalysis,
    StreamWatch,
    judge_dwell,
    loss_share,
    reading_of,
    weigh,
)
from probewise.instruments import Console, Run, StemTwin, StemTwinDriver
from probewise.workflow import (
    Action,
    Array,
    Axis,
    Estimate,
    Job,
    Outcome,
    SpecError,
    Stake,
    Step,
    Target,
)

ENERGY = np.linspace(-0.5, 4.615, 1024)
RATE = 2e6
"""Electrons counted in a second."""


def stake(**changes: Any) -> Stake:
    """A place of which little is known, against a best one of 4 per mille."""
    usual = {
        "quantity": "loss_share",
        "believed": (3e-3,),
        "believed_std": (1e-3,),
        "rival": 4e-3,
        "credits_per_unit": 1e5,
        "credits_per_s": 20.0,
        "overhead_credits": 0.3,
        "longest_s": 0.2,
    }
    return Stake.model_validate(usual | changes)


def counts(
    share: float, exposure_s: float, seed: int = 0, background: np.ndarray | float = 0.0
) -> np.ndarray:
    """A spectrum in which so large a share of the electrons lost between 0.8 and 3.6 eV, over a
    background of so many counts in a second."""
    zero = np.exp(-0.5 * (ENERGY / 0.04) ** 2)
    lost = 1.0 / (1.0 + ((ENERGY - 2.2) / 0.1) ** 2) * ((ENERGY > 0.8) & (ENERGY < 3.6))
    mean = RATE * exposure_s * ((1 - share) * zero / zero.sum() + share * lost / lost.sum())
    mean = mean + background * exposure_s
    return np.random.default_rng(seed).poisson(mean).astype(np.float64)


def spectra(
    *shares: float, exposure_s: float = 0.01, first: int = 0, spoil: tuple[int, ...] = ()
) -> Array:
    data = np.array([counts(s, exposure_s, first + k) for k, s in enumerate(shares)])
    for k in spoil:
        data[k] = 3.0
    numbers = np.arange(first, first + len(shares), dtype=np.float64)
    axes = (
        Axis("position", "1", numbers, "point_cloud"),
        Axis("energy_loss", "eV", ENERGY, "spectral"),
    )
    metadata: dict[str, float | str] = {"n_cols": 64.0, "exposure_s": exposure_s}
    return Array(data, "count", axes, "electron energy loss", "POINT_CLOUD", metadata)


def judged(newest: Array, of: Stake | None, *earlier: Array) -> Outcome:
    asked = job_of("watch_stream", "good_share", *earlier, newest, records="weights")
    action = asked.action.model_copy(update={"stake": of})
    return StreamWatch().perform(Job(action, asked.step, asked.arrays))


USUAL = spectra(*[2e-3] * 40, first=100)


def test_the_share_that_lost_energy_is_right_within_its_error() -> None:
    z = []
    for seed in range(60):
        found = loss_share(ENERGY, counts(3e-3, 0.01, seed))
        z.append((found.value - 3e-3) / found.std)
    assert abs(np.mean(z)) < 0.45 and 0.75 < np.std(z) < 1.3
    shifted = loss_share(ENERGY + 0.3, counts(3e-3, 1.0))
    assert shifted.value == pytest.approx(3e-3, rel=0.01), "the zero of the scale is found"
    for bad in (np.zeros(1024), counts(3e-3, 1.0)[:200]):
        with pytest.raises(ValueError, match="channels"):
            loss_share(ENERGY[: len(bad)], bad)


def test_the_tail_of_the_zero_loss_and_the_support_are_taken_off() -> None:
    loss = np.clip(ENERGY, 0.0, None)
    support = 0.005 * RATE * (4e-4 / (loss**2 + 0.01) * (loss > 0.0) + 4e-5 * loss)
    z = []
    for seed in range(60):
        found = loss_share(ENERGY, counts(3e-3, 0.05, seed, support))
        z.append((found.value - 3e-3) / found.std)
    assert abs(np.mean(z)) < 0.5 and 0.7 < np.std(z) < 1.3
    nothing = loss_share(ENERGY, counts(0.0, 10.0, 1, support))
    assert abs(nothing.value) < 4 * nothing.std < 1e-4


def test_a_reading_is_of_what_is_sought_or_none() -> None:
    row = counts(5e-3, 1.0)
    assert reading_of("loss_share", ENERGY, row) == loss_share(ENERGY, row)
    assert reading_of("loop_area", ENERGY, row) is None
    assert reading_of("loss_share", ENERGY, np.zeros(1024)) is None
    energy = reading_of("plasmon_energy", ENERGY, row)
    assert energy is not None and energy.value == pytest.approx(2.2, abs=0.05)


def test_words_say_how_a_place_stands() -> None:
    dull = weigh(stake(), 0, Estimate(value=1e-3, std=1e-4), 1e-5, 0.2)
    good = weigh(stake(), 0, Estimate(value=6e-3, std=1e-5), 1e-5, 0.2)
    open_ = weigh(stake(), 0, Estimate(value=4e-3, std=8e-4), 1e-5, 0.2)
    assert [w.reason.split(":")[0] for w in (dull, good, open_)] == [
        "dull", "known well enough", "promising",
    ]  # fmt: skip
    assert open_.dwell.worth_it and open_.dwell.more_s <= 0.2 and "credits" in open_.reason
    assert open_.believed.std < 8e-4, "what was believed before counts"


def test_a_dull_spectrum_is_kept_as_it_is_and_a_promising_noisy_one_is_measured_longer() -> None:
    dull = judged(spectra(1e-3), stake(), USUAL).quality
    assert dull is not None and (dull.verdict, dull.again) == ("keep", ())
    assert "dull" in dull.reason
    noisy = judged(spectra(4e-3, exposure_s=0.001), stake(), USUAL).quality
    assert noisy is not None and noisy.verdict == "retake" and noisy.again == ((0, 0),)
    assert noisy.dwell_s is not None and 0.001 < noisy.dwell_s <= 0.2
    assert "promising" in noisy.reason and "go on for" in noisy.reason
    short = judged(spectra(4e-3, exposure_s=0.001), stake(longest_s=0.004), USUAL).quality
    assert short is not None and (short.dwell_s or 0.0) <= 0.004
    dear = judged(spectra(4e-3, exposure_s=0.001), stake(credits_per_s=1e6), USUAL).quality
    assert dear is not None and dear.verdict == "keep"


def test_a_bad_spectrum_is_taken_again_only_if_that_is_worth_its_price() -> None:
    newest = spectra(4e-3, spoil=(0,))
    plain = judged(newest, None, USUAL).quality
    assert plain is not None and plain.verdict == "retake"
    assert plain.again == ((0, 0),) and plain.dwell_s is None, "nobody said what it is worth"
    worth = judged(newest, stake(), USUAL).quality
    assert worth is not None and worth.verdict == "retake" and worth.again == ((0, 0),)
    assert worth.dwell_s is not None and "same value" in worth.reason
    dull = judged(newest, stake(believed=(1e-3,), believed_std=(1e-4,)), USUAL)
    assert dull.quality is not None and dull.quality.verdict == "keep"
    assert "dull" in dull.quality.reason and dull.arrays["weights"].data.sum() == 0.0


def test_what_was_measured_before_at_a_place_counts() -> None:
    before = spectra(4e-3, exposure_s=0.2)
    again = judged(spectra(4e-3, exposure_s=0.001), stake(), USUAL, before).quality
    assert again is not None and again.verdict == "keep", "the longer one told enough"


def test_a_short_exposure_is_not_taken_for_a_blanked_beam() -> None:
    outcome = judged(spectra(2e-3, exposure_s=0.0002), None, USUAL)
    assert outcome.quality is not None and outcome.quality.verdict == "keep"
    blanked = judged(spectra(2e-3, exposure_s=0.0002), None, USUAL)
    assert blanked.arrays["weights"].data.sum() == 1.0


def test_counts_of_a_place_that_was_measured_again_are_added_up() -> None:
    first, bad, second = (
        spectra(3e-3, exposure_s=0.01),
        spectra(3e-3, exposure_s=0.01, spoil=(0,)),
        spectra(3e-3, exposure_s=0.03),
    )
    alone = SpectrumAnalysis().perform(job_of("integrate_loss", "loss_share", first))
    both = SpectrumAnalysis().perform(job_of("integrate_loss", "loss_share", first, second))
    ratio = both.values["loss_share"].std / alone.values["loss_share"].std
    assert ratio == pytest.approx(0.5, rel=0.1)
    weights = [judged(a, None, USUAL).arrays["weights"] for a in (first, bad, second)]
    asked = job_of("integrate_loss", "loss_share", first, bad, second)
    arrays = {"given": asked.arrays["given"], "weights": tuple(weights)}
    without = SpectrumAnalysis().perform(Job(asked.action, asked.step, arrays))
    assert without.values == both.values, "the bad one in between is left out"


LOAD = {"load": {"sample": "film"}}
SPECTRUM = {"spectrum": {"at": [[100.0, 100.0]], "exposure_s": 0.04, "frames": 8}}


def look(of: Stake | None) -> Run:
    console = Console(StemTwinDriver(1, current_pA=20.0))
    console.run(program(LOAD), seed=1)
    return console.run(program(SPECTRUM), seed=2, watch=None if of is None else DwellWatch(of))


def test_a_dull_spectrum_is_stopped_early_and_a_promising_one_is_not() -> None:
    whole = look(None)
    (array,) = whole.arrays.values()
    here = loss_share(ENERGY, array.data[0])
    assert array.metadata["exposure_s"] == pytest.approx(0.04)
    dull = look(stake(rival=here.value + 20 * here.std))
    assert "dull" in dull.stopped and "of 0.04 s" in dull.stopped
    (cut,) = dull.arrays.values()
    reached = float(cut.metadata["exposure_s"])
    assert 0.0 < reached < 0.02 and np.isfinite(cut.data).all()
    share = dull.spent.electrons / whole.spent.electrons
    assert share == pytest.approx(reached / 0.04), "no dose for what was not measured"
    promising = look(stake(rival=here.value, credits_per_unit=1e7, credits_per_s=1e-3))
    assert promising.stopped == "" and promising.spent.electrons == whole.spent.electrons


def test_frames_add_up_to_the_spectrum_and_its_dose() -> None:
    console = Console(StemTwinDriver(1, current_pA=20.0))
    console.run(program(LOAD), seed=1)
    once = console.run(program({"spectrum": SPECTRUM["spectrum"] | {"frames": 1}}), seed=2)
    parts = look(None)
    (a,), (b,) = once.arrays.values(), parts.arrays.values()
    assert a.data.shape == b.data.shape
    assert b.data.sum() == pytest.approx(a.data.sum(), rel=0.01)
    assert parts.spent.electrons == pytest.approx(once.spent.electrons)


def measurement(of: Stake | None, exposure_s: float = 0.04) -> Job:
    step = Step.model_validate(
        {
            "name": "measure_spectra", "level": 3, "acts_on": "positions", "records": "spectra",
            "parameters": {"exposure_s": exposure_s, "frames": 8}, "dwell": "exposure_s",
            "cost_credits": {"median": 0.1, "per_s": 20, "log_std": 0},
            "dose_e_per_A2": {"median": 0.1, "per_s": 31},
        }
    )  # fmt: skip
    target = Target(sample="film", site=0, positions=((32, 32),))
    return Job(Action(id="a1", step="measure_spectra", target=target, stake=of), step)


def test_a_worker_with_a_judge_stops_early_charges_less_and_says_why() -> None:
    low = stake(believed=(1e-3,), rival=0.02)
    plain, judge = (
        StemTwin(world_seed=1, pixels=64, current_pA=20.0, judge=name) for name in ("", "dwell")
    )
    whole, cut = plain.perform(measurement(low)), judge.perform(measurement(low))
    assert whole.failure is None and not whole.notes
    assert cut.failure is None and "dull" in str(cut.notes["stopped_early"])
    assert (cut.cost_credits or 0.0) < 0.5 * (whole.cost_credits or 0.0)
    assert (cut.dose_e_per_A2 or 0.0) < 0.5 * (whole.dose_e_per_A2 or 0.0)
    assert any(entry.outcome == "stopped" and "dull" in entry.reason for entry in cut.commands)
    unweighed = judge.perform(measurement(None))
    assert not unweighed.notes, "without a stake nothing is cut short"


def test_a_judge_cannot_get_round_the_limits() -> None:
    rich = stake(rival=3e-3, credits_per_unit=1e9, credits_per_s=0.0)
    worker = StemTwin(world_seed=1, pixels=64, current_pA=20.0, judge="dwell", max_exposure_s=0.02)
    refused = worker.perform(measurement(rich))
    assert refused.failure is not None and refused.failure.kind == "refused"


def test_a_judge_has_a_registered_name_and_looks_at_jobs_with_a_stake() -> None:
    with pytest.raises(SpecError, match="judge='nobody'") as caught:
        StemTwin(judge="nobody")
    assert "dwell" in str(caught.value.allowed)
    assert judge_dwell(measurement(None)) is None
    assert isinstance(judge_dwell(measurement(stake())), DwellWatch)
