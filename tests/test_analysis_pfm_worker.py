from __future__ import annotations

import numpy as np
import pytest

from probewise.analysis import PfmAnalysis
from probewise.workflow import Action, Array, Axis, Job, Outcome, Step, Target, WorkerError

SENSITIVITY = "sensitivity_pm_per_uC_per_cm2"
PHASE = np.arange(1, 65) / 64
BIAS = 16 / np.pi * np.arcsin(np.sin(2 * np.pi * PHASE))


def step(name: str, **noise: float) -> Step:
    fields = {"name": name, "level": 1, "acts_on": "site", "cost_credits": 0.3}
    if noise:
        fields |= {"noise": noise, "produces": [f"{k} [1]" for k in noise]}
    return Step.model_validate(fields)


def job(kind: Step, **arrays: tuple[Array, ...]) -> Job:
    action = Action(id="a1", step=kind.name, target=Target(sample="s1", site=0), seed=3)
    return Job(action, kind, arrays)


def image(data: np.ndarray) -> Array:
    axes = tuple(Axis(n, "px", np.arange(k)) for n, k in zip("yx", data.shape, strict=False))
    return Array(data, "pm", axes)


def loops(
    numbers: list[int], response: float = 15.0, seed: int = 0, bias: np.ndarray = BIAS
) -> Array:
    rng = np.random.default_rng(seed)
    edge = np.where(np.gradient(bias) >= 0, 3.0, -3.0)
    clean = response * np.tanh((bias - edge) / 0.6)
    data = clean + 0.5 * rng.standard_normal((len(numbers), len(bias)))
    axes = (Axis("position", "1", np.array(numbers, float)), Axis("bias", "V", bias, "spectral"))
    return Array(data, "pm", axes, metadata={SENSITIVITY: 0.5})


def mask(numbers: list[int], weights: list[float]) -> Array:
    return Array(np.array(weights), "1", (Axis("position", "1", np.array(numbers, float)),))


def perform(kind: str, **arrays: tuple[Array, ...]) -> Outcome:
    return PfmAnalysis().perform(job(step(kind), **arrays))


def test_offers_what_the_campaign_asks_for() -> None:
    offered = {o.capability for o in PfmAnalysis().offers()}
    assert offered == {"segment_domains", "check_quality", "fit_loops"}


def test_the_last_image_counts_and_features_come_with_it() -> None:
    sign = np.sign(np.sin(np.arange(128) / 6 + 0.1))[None, :] * np.ones((128, 1))
    noise = np.random.default_rng(0).standard_normal((128, 128))
    outcome = perform("segment_domains", domain_image=(image(noise), image(14 * sign + noise)))
    contrast = outcome.values["domain_contrast"]
    assert contrast.value == pytest.approx(14, abs=4 * contrast.std) and 0 < contrast.std < 1
    assert 0 < outcome.values["wall_density"].value < 0.2
    table = outcome.tables["features"]
    assert set(table.columns) == {"f0", "f1", "f2", "f3", "f4", "f5", "wall"}
    assert all(float(f"{v:.5g}") == v for column in table.columns.values() for v in column)
    assert outcome.cost_credits is not None and 0.2 < outcome.cost_credits < 0.5


def test_useless_image_is_a_failure_with_a_remedy() -> None:
    failure = perform("segment_domains", domain_image=(image(np.zeros((128, 128))),)).failure
    assert failure is not None and failure.kind == "bad_data" and "scan" in failure.remedy


def test_mask_has_the_positions_of_the_newest_loops() -> None:
    newest = loops([130, 1044], seed=1)
    newest.data[1, 5:40] = np.nan
    outcome = perform("check_quality", loops=(loops([0, 8]), newest))
    found = outcome.arrays["loop_mask"]
    assert found.unit == "1" and list(found.data) == [1, 0]
    assert list(found.axes[0].values) == [130, 1044]
    assert outcome.quality is not None and outcome.quality.verdict == "retake"
    assert "(8, 20)" in outcome.quality.reason and outcome.quality.score < 0.6


def test_pad_values_come_from_all_batches_and_their_masks() -> None:
    spoiled = loops([16, 24], response=80.0, seed=2)
    outcome = perform(
        "fit_loops",
        loops=(loops([0, 8]), spoiled, loops([300], seed=4)),
        loop_mask=(mask([0, 8], [1, 1]), mask([16, 24], [0, 0]), mask([300], [1])),
    )
    polarization = outcome.values["loop_polarization"]
    assert polarization.value == pytest.approx(30, abs=1)
    assert 1.5 < polarization.std < 5
    assert outcome.values["coercive_bias"].value == pytest.approx(3, abs=0.3)
    table = outcome.tables["loops"]
    assert table.positions == ((0, 0), (0, 8), (0, 16), (0, 24), (2, 44))
    assert table.columns["good"] == (1, 1, 0, 0, 1)
    assert set(table.columns) == {
        "loop_polarization",
        "loop_polarization_std",
        "coercive_bias",
        "good",
    }
    assert outcome.notes["open_loops"] == 3


def test_scatter_of_the_step_is_the_prior_scatter() -> None:
    arrays = {"loops": (loops([0]),), "loop_mask": (mask([0], [1]),)}
    stds = [
        PfmAnalysis()
        .perform(job(step("fit_loops", loop_polarization=s, coercive_bias=0.3), **arrays))
        .values["loop_polarization"]
        .std
        for s in (2.0, 8.0)
    ]
    assert stds[0] == pytest.approx(2, rel=0.1) and stds[1] == pytest.approx(8, rel=0.1)


@pytest.mark.parametrize(
    "bad",
    [
        loops([0, 8], bias=np.linspace(-8, 8, 64)),
        Array(np.zeros(64), "pm", (Axis("bias", "V", BIAS),), metadata={SENSITIVITY: 0.5}),
        Array(loops([0]).data, "pm", loops([0]).axes),
    ],
    ids=["one branch", "one dimension", "no sensitivity"],
)
def test_malformed_loops_are_a_failure(bad: Array) -> None:
    for kind in ("check_quality", "fit_loops"):
        outcome = perform(kind, loops=(bad,), loop_mask=(mask([0], [1]),))
        assert outcome.failure is not None and outcome.failure.kind == "bad_data"


def test_no_good_loop_is_a_failure_with_a_remedy() -> None:
    outcome = perform("fit_loops", loops=(loops([0, 8]),), loop_mask=(mask([0, 8], [0, 0]),))
    assert outcome.failure is not None and "tune" in outcome.failure.remedy
    hollow = loops([0])
    hollow.data[:] = np.nan
    outcome = perform("fit_loops", loops=(hollow,), loop_mask=(mask([0], [1]),))
    assert outcome.failure is not None and outcome.failure.kind == "bad_data"


def test_a_malformed_batch_among_good_ones_is_left_out() -> None:
    odd = loops([9], bias=np.linspace(-8, 8, 64))
    outcome = perform("fit_loops", loops=(odd, loops([0])), loop_mask=(mask([0], [1]),))
    assert outcome.failure is None and "branches" in str(outcome.notes["left_out"])


@pytest.mark.parametrize("kind", ["segment_domains", "check_quality", "fit_loops", "bake"])
def test_missing_inputs_and_foreign_steps_are_refused(kind: str) -> None:
    with pytest.raises(WorkerError):
        perform(kind)


def test_same_action_same_outcome() -> None:
    arrays = {"loops": (loops([0, 8]),), "loop_mask": (mask([0, 8], [1, 1]),)}
    assert perform("fit_loops", **arrays) == perform("fit_loops", **arrays)
