"""Watching a stream: novelty, change, quality, progress; and whether to go on at a place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probewise.analysis import (
    Cusum,
    DriftTracker,
    Limits,
    Noise,
    Progress,
    RunningDecomposition,
    Watch,
    best_place_to_go_on,
    dwell_worth,
    knowledge_gradient,
    register,
)
from probewise.workflow import Axis, Blank, Chunk, Estimate, Frame

CHANNELS = np.arange(256.0)


def stream(n: int, seed: int = 0) -> np.ndarray:
    """Expected counts of mixtures of three bands behind a zero loss."""
    rng = np.random.default_rng(seed)
    base = 2000 * np.exp(-0.5 * ((CHANNELS - 20) / 4) ** 2) + 50 * np.exp(-CHANNELS / 100)
    bands = [
        60 * np.exp(-0.5 * ((CHANNELS - c) / w) ** 2) for c, w in ((75, 8), (125, 12), (175, 10))
    ]
    return base + rng.dirichlet([1, 1, 1], n) @ np.array(bands)


def counted(expected: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, 1]).poisson(expected).astype(float)


def test_novel_spectra_are_found_and_named_by_position() -> None:
    expected = stream(300)
    expected[250] += 25 * np.exp(-0.5 * ((CHANNELS - 220) / 5) ** 2)
    data, watch, novel = counted(expected), Watch(), []
    for k in range(0, 300, 10):
        places = np.column_stack([np.arange(k, k + 10.0), np.zeros(10)])
        state = watch.update(data[k : k + 10], places)
        assert state.quality.verdict == "keep", state.quality.reason
        novel += state.novel_positions[:, 0].tolist()
    assert 250.0 in novel and len(novel) <= 2


def test_a_lasting_change_gives_one_alarm_and_then_becomes_usual() -> None:
    expected = stream(400)
    expected[200:] += 4 * np.exp(-0.5 * ((CHANNELS - 220) / 12) ** 2)
    data, watch = counted(expected), Watch(between_false_alarms=20_000)
    alarms = [k for k in range(0, 400, 5) if watch.update(data[k : k + 5]).changed]
    assert alarms and 200 <= alarms[0] <= 220 and alarms[-1] <= 300


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda row: np.where(np.arange(256) % 9 == 5, row + 3000, row), "spikes"),
        (lambda row: np.where(np.arange(256) > 200, np.nan, row), "missing"),
        (lambda row: np.minimum(row, 900.0), "saturated"),
        (lambda row: np.zeros(256), "same value"),
        (lambda row: 0.01 * row, "usual counts"),
        (lambda row: row + 40 * np.random.default_rng(5).standard_normal(256), "noise"),
    ],
)
def test_each_fault_is_named_and_retaken(spoil, word: str) -> None:
    data, watch = counted(stream(60)), Watch(noise=Noise())
    watch.update(data[:40])
    data[45] = spoil(data[45])
    state = watch.update(data[40:60])
    assert state.quality.verdict == "retake" and word in state.faults[5]
    assert state.weights.sum() == 19 and not state.novel[5]


def test_mostly_bad_spectra_stop() -> None:
    data = counted(stream(20))
    data[:15] = np.nan
    state = Watch().update(data)
    assert state.quality.verdict == "stop" and state.quality.score < 0.3


def test_saturation_by_the_detectors_limit() -> None:
    data, limits = counted(stream(10)), Limits(saturation_counts=1500.0)
    assert all("saturated" in f for f in Watch(limits=limits).update(data).faults)


def test_wrong_shapes_are_refused_and_nothing_is_learnt() -> None:
    watch = Watch()
    watch.update(counted(stream(10)))
    for wrong in (np.zeros(256), np.zeros((3, 200)), np.zeros((0, 256)), np.zeros((2, 10))):
        with pytest.raises(ValueError, match="channels"):
            watch.update(wrong)
    with pytest.raises(ValueError, match="positions"):
        watch.update(counted(stream(3)), np.zeros((2, 2)))
    assert watch.seen == 10


def test_values_carry_the_time_left() -> None:
    watch, data = Watch(total=100), counted(stream(50))
    chunks = data.reshape(5, 10, -1)
    states = [watch.update(c, elapsed_s=2.0 * (k + 1)) for k, c in enumerate(chunks)]
    values = states[-1].values()
    assert values["remaining"].value == pytest.approx(10.0)
    assert values["good_share"].value == 1.0 > values["good_share"].std > 0


@pytest.mark.parametrize("kind", ["pca", "nmf"])
def test_a_running_decomposition_rebuilds_what_it_has_seen(kind) -> None:
    expected = stream(200)
    running = RunningDecomposition(4, kind=kind)
    with pytest.raises(ValueError, match="first batch"):
        running.scores(expected[:1])
    for k in range(0, 200, 7):
        running.update(counted(expected)[k : k + 7])
    left = running.rebuilt(expected) - expected
    assert running.seen == 200
    assert np.sqrt(np.mean(left**2)) < (1.5 if kind == "pca" else 15.0)
    assert kind == "pca" or (running.parts >= 0).all()


def test_cusum_keeps_its_promise_of_false_alarms() -> None:
    rng, chart = np.random.default_rng(0), Cusum(between_false_alarms=200.0)
    alarms = sum(chart.update(rng.standard_normal(1)) is not None for _ in range(20_000))
    assert 60 <= alarms <= 160
    assert chart.limit < Cusum(between_false_alarms=2000.0).limit
    assert Cusum(between_false_alarms=2000.0).update(np.full(20, 1.5)) is not None


def test_other_places_are_not_taken_for_drift() -> None:
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((3, 32, 32))
    tracker = DriftTracker()
    tracker.update(frames[0], 0.0)
    found = tracker.update(frames[1], 1.0)
    assert not found.trusted and found.velocity_px_per_s is None
    assert tracker.update(frames[0], 2.0).trusted
    with pytest.raises(ValueError, match="shapes"):
        register(frames[0], frames[0][:20])


def test_progress_ends_at_zero() -> None:
    progress = Progress(4)
    assert [progress.update(1, t) for t in (1.0, 2.0, 3.0)] == [None, None, None]
    assert progress.update(1, 4.0) == Estimate(value=0.0)


GAIN = st.floats(-3, 3)


@given(GAIN, GAIN, st.floats(0.1, 3), st.floats(0.1, 3))
def test_knowledge_gradient_is_the_mean_gain_of_the_maximum(
    mean: float, rival: float, std: float, noise: float
) -> None:
    """E max(posterior mean, rival) - max(mean, rival), by quadrature."""
    spread = std**2 / np.hypot(std, noise)
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    after = np.maximum(mean + spread * nodes, rival)
    expected = float(weights @ after / weights.sum()) - max(mean, rival)
    found = float(knowledge_gradient(Estimate(value=mean, std=std), rival, noise))
    assert found == pytest.approx(expected, abs=0.02 * spread)


@given(st.floats(0.01, 10), st.floats(0.01, 10))
def test_more_precise_data_are_worth_more(first: float, second: float) -> None:
    low, high = sorted([first, second])
    gain = knowledge_gradient(Estimate(value=0.5, std=1.0), 0.0, np.array([low, high]))
    assert gain[0] >= gain[1] >= 0.0


def test_dwell_follows_price_and_doubt() -> None:
    believed = Estimate(value=1.0, std=0.5)
    cheap, dear = (dwell_worth(believed, 1.1, 0.5, price) for price in (0.001, 0.05))
    assert cheap.worth_it and cheap.more_s > dear.more_s
    assert not dwell_worth(believed, 1.1, 0.5, 100.0).worth_it
    assert not dwell_worth(Estimate(value=1.0, std=0.01), 1.5, 0.5, 0.001).worth_it
    assert not dwell_worth(believed, 1.1, 0.5, 0.001, overhead=10.0).worth_it
    assert "stop" in dwell_worth(believed, 1.1, 0.5, 100.0).reason
    with pytest.raises(ValueError, match="price"):
        dwell_worth(believed, 1.1, 0.5, -1.0)


def test_little_time_may_be_worth_nothing_although_much_is() -> None:
    believed = Estimate(value=0.0, std=1.0)
    short, long = (
        dwell_worth(believed, 2.0, 30.0, 1e-7, longest_s=longest) for longest in (0.1, 10_000.0)
    )
    assert not short.worth_it and long.worth_it


def test_the_most_doubtful_rival_is_looked_at_again() -> None:
    places = [Estimate(value=v, std=s) for v, s in ((1.0, 0.01), (0.9, 0.5), (0.0, 0.5))]
    found = best_place_to_go_on(places, 0.3, 0.001)
    assert found is not None and found[0] == 1
    sure = [Estimate(value=v, std=1e-6) for v in (1.0, 0.5)]
    assert (
        best_place_to_go_on(sure, 0.3, 0.001) is None
        and best_place_to_go_on(sure[:1], 1, 1) is None
    )


def test_a_console_is_told_to_stop_when_most_spectra_are_bad() -> None:
    watch, blank = Watch(), Blank()
    axes = (
        Axis("position", "1", np.arange(40.0), "point_cloud"),
        Axis("energy_loss", "eV", CHANNELS, "spectral"),
    )
    frame = Frame("spectra", "count", axes)
    data = counted(stream(40))
    assert watch(blank, Chunk()) is None
    assert watch(blank, Chunk(frame, 0, data[:20], seconds=1.0)) is None
    data[20:35] = np.nan
    reason = watch(blank, Chunk(frame, 20, data[20:], seconds=1.0))
    assert reason is not None and "15 of 20" in reason and watch.last is not None
    other = Frame("trace", "V", (Axis("bias", "V", np.arange(9.0), "spectral"),))
    assert watch(blank, Chunk(other, 0, np.zeros(9))) is None and watch.seen == 40
