from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probewise.analysis import Batch, LoopFit, fit_loop, fit_pad, judge

SENSITIVITY = 0.5


def sweep(points: int = 64, largest_V: float = 8.0) -> np.ndarray:
    """One triangular cycle: up from zero, down through zero, back to zero."""
    phase = np.arange(1, points + 1) / points
    return largest_V * 2 / np.pi * np.arcsin(np.sin(2 * np.pi * phase))


def loop(
    *,
    response: float = 15.0,
    coercive: float = 3.0,
    imprint: float = 0.0,
    noise: float = 1.0,
    seed: int = 0,
    width: float = 0.6,
) -> np.ndarray:
    bias = sweep()
    rising = np.gradient(bias) >= 0
    edge = imprint + np.where(rising, coercive, -coercive)
    clean = response * np.tanh((bias - edge) / width)
    return clean + noise * np.random.default_rng(seed).standard_normal(len(bias))


def batch(*rows: np.ndarray, first: int = 0) -> Batch:
    positions = tuple((first, 8 * k) for k in range(len(rows)))
    return Batch(positions, sweep(), np.array(rows), SENSITIVITY)


def fitted(response: np.ndarray) -> LoopFit:
    fit = fit_loop(sweep(), response)
    assert fit is not None
    return fit


def test_loop_parameters_come_back_with_honest_errors() -> None:
    fits = [fitted(loop(coercive=2.5, imprint=0.4, seed=k)) for k in range(60)]
    scores = [(f.remanence_pm - 15.0) / f.remanence_std_pm for f in fits]
    assert 0.7 < np.sqrt(np.mean(np.square(scores))) < 1.4
    assert np.mean([f.coercive_V for f in fits]) == pytest.approx(2.5, abs=0.05)
    assert np.mean([f.imprint_V for f in fits]) == pytest.approx(0.4, abs=0.05)
    far = [abs(f.coercive_V - 2.5) / f.coercive_std_V for f in fits]
    assert max(far) < 4


def test_closed_loops_have_no_remanence_and_no_coercive_bias() -> None:
    rng = np.random.default_rng(0)
    fits = [fitted(0.3 * sweep() + rng.standard_normal(64)) for _ in range(40)]
    scores = [f.remanence_pm / f.remanence_std_pm for f in fits]
    assert 0.6 < np.sqrt(np.mean(np.square(scores))) < 1.5
    assert sum(f.is_open for f in fits) <= 2


def test_spikes_gaps_offset_and_tilt_do_not_matter() -> None:
    clean = fitted(loop())
    dirty = loop() + 5.0 + 0.4 * sweep()
    dirty[[3, 32, 60]] += [400.0, -300.0, 200.0]
    dirty[[10, 33]] = np.nan
    fit = fitted(dirty)
    assert fit.remanence_pm == pytest.approx(clean.remanence_pm, abs=1.5)
    assert fit.coercive_V == pytest.approx(clean.coercive_V, abs=0.4)


def test_inverted_response_is_negative_remanence() -> None:
    plus, minus = fitted(loop(imprint=1.0)), fitted(-loop(imprint=1.0))
    assert minus.remanence_pm == pytest.approx(-plus.remanence_pm)
    assert minus.coercive_V == pytest.approx(plus.coercive_V)
    assert minus.imprint_V == pytest.approx(plus.imprint_V)


def test_one_branch_or_too_few_points_give_nothing() -> None:
    up = np.linspace(-8, 8, 40)
    assert fit_loop(up, np.tanh(up)) is None
    assert fit_loop(np.abs(sweep()), loop()) is None
    hollow = loop()
    hollow[np.arange(64) % 8 != 0] = np.nan
    assert fit_loop(sweep(), hollow) is None


@settings(max_examples=40, deadline=None)
@given(
    scale=st.floats(1e-9, 1e9),
    seed=st.integers(0, 1000),
    gaps=st.floats(0, 1),
    response=st.floats(0, 20),
)
def test_fits_are_finite_or_nothing(scale: float, seed: int, gaps: float, response: float) -> None:
    rng = np.random.default_rng(seed)
    row = scale * loop(response=response, seed=seed)
    row[rng.random(64) < gaps] = np.nan
    fit = fit_loop(sweep(), row)
    if fit is not None:
        assert np.isfinite(fit.remanence_pm) and 0 <= fit.remanence_std_pm < np.inf
        assert not fit.is_open or (0 <= fit.coercive_V <= 16 and fit.coercive_std_V >= 0)


def test_fit_scales_with_the_response() -> None:
    one, thousand = fitted(loop()), fitted(1000 * loop())
    assert thousand.remanence_pm == pytest.approx(1000 * one.remanence_pm, rel=1e-3)
    assert thousand.coercive_V == pytest.approx(one.coercive_V)


@pytest.mark.slow
@pytest.mark.parametrize("scatter", [2.5, 5.0, 8.0])
@pytest.mark.parametrize("count", [1, 4])
def test_pad_mean_has_an_error_that_few_loops_can_support(scatter: float, count: int) -> None:
    rng = np.random.default_rng(count)
    scores = []
    for _ in range(30):
        local = SENSITIVITY * (30 + scatter * rng.standard_normal(count))
        rows = [loop(response=a, noise=0.3, seed=int(a * 1e6)) for a in local]
        estimate = fit_pad([batch(*rows)], {}).polarization(prior_scatter=5.0)
        scores.append((estimate.value - 30) / estimate.std)
    assert 0.35 < np.sqrt(np.mean(np.square(scores))) < 1.9


def test_masks_and_later_loops_decide_what_counts() -> None:
    first = batch(loop(), loop(response=200.0))
    weights = {(0, 0): 1.0, (0, 8): 0.0}
    masked = fit_pad([first], weights)
    assert masked.good == (True, False)
    assert masked.polarization(5.0).value == pytest.approx(30, abs=2)
    again = Batch(((0, 8),), sweep(), loop(seed=3)[None], SENSITIVITY)
    pad = fit_pad([first, again], weights | {(0, 8): 1.0})
    assert pad.positions == ((0, 0), (0, 8)) and pad.good == (True, True)
    assert pad.polarization(5.0).value == pytest.approx(30, abs=2)
    columns = masked.columns()
    assert list(columns["good"]) == [1.0, 0.0] and columns["loop_polarization_std"][1] > 100


def test_coercive_bias_of_closed_loops_is_anything_within_the_sweep() -> None:
    rng = np.random.default_rng(0)
    pad = fit_pad([batch(rng.standard_normal(64))], {})
    estimate = pad.coercive_bias(0.3)
    assert estimate.value == pytest.approx(4, abs=0.1) and estimate.std > 2


def test_good_loops_are_kept_and_bad_ones_named() -> None:
    good = [loop(seed=k) for k in range(3)]
    assert judge(batch(*good)).verdict == "keep"
    bad = good[1].copy()
    bad[::8] += 300
    result = judge(batch(good[0], bad, good[2], loop(seed=9)))
    assert result.verdict == "retake" and list(result.weights) == [1, 0, 1, 1]
    assert "(0, 8)" in result.reason and "spikes" in result.reason
    assert result.scores[1] == 0 and min(result.scores[[0, 2, 3]]) > 0.9


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda y: np.clip(y, -8, 8), "clipped"),
        (lambda y: np.where(np.arange(64) < 20, np.nan, y), "missing"),
        (lambda y: np.full(64, 3.0), "constant"),
        (lambda y: np.where(np.arange(64) < 28, y, loop(response=0.0, seed=5)), "contact"),
        (lambda y: 3 * loop(response=0.0, seed=5), "noise"),
    ],
)
def test_each_fault_is_recognized(spoil, word: str) -> None:
    result = judge(batch(spoil(loop(noise=1.0)), loop(seed=1), loop(seed=2)))
    assert result.weights[0] == 0 and word in result.faults[0] and result.verdict == "retake"


def test_mostly_bad_loops_stop_the_session() -> None:
    dead = np.full(64, np.nan)
    assert judge(batch(dead, dead, loop())).verdict == "stop"
    assert judge(batch(dead)).verdict == "retake"


def test_closed_loops_are_no_fault_unless_loops_opened_before() -> None:
    rng = np.random.default_rng(0)
    silent = batch(*rng.standard_normal((4, 64)), first=16)
    alone = judge(silent)
    assert alone.verdict == "keep" and alone.weights.all() and "no loop opens" in alone.reason
    before = batch(*(loop(seed=k) for k in range(4)))
    lost = judge(silent, [before])
    assert lost.verdict == "stop" and not lost.weights.any() and "contact" in lost.reason
    mixed = batch(silent.response_pm[0], loop(seed=7), first=16)
    assert judge(mixed, [before]).weights.all()


def test_rising_noise_stops_the_session() -> None:
    before = batch(*(loop(seed=k) for k in range(4)))
    worse = judge(batch(*(loop(seed=9 + k, noise=2.6) for k in range(4)), first=16), [before])
    assert worse.verdict == "stop" and "noise" in worse.reason
    same = judge(batch(*(loop(seed=9 + k) for k in range(4)), first=16), [before])
    assert same.verdict == "keep"
