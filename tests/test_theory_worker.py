from __future__ import annotations

import numpy as np
import pytest

from probewise.theory import NAMES, VARIABLES, LandauTheory, prior_ensemble
from probewise.workflow import Action, Array, Axis, Job, SpecError, Step, WorkerError

SIMULATE = Step.model_validate({"name": "simulate_landau", "level": 5, "acts_on": "space"})
REFIT = Step.model_validate(
    {"name": "learn", "capability": "refit_theory", "level": 5, "acts_on": "space"}
)
Columns = dict[str, tuple[float | str, ...]]
DATA: Columns = {
    "composition_sm": (0.05, 0.10, 0.16, 0.2),
    "temperature_C": (640.0, 650.0, 660.0, 650.0),
    "pressure_mTorr": (15.0, 20.0, 30.0, 20.0),
    "quantity": (
        "loop_polarization",
        "switchable_polarization",
        "loop_polarization",
        "switchable_polarization",
    ),
    "value": (28.0, 33.0, 2.0, 0.5),
    "std": (3.0, 1.0, 3.0, 1.0),
}


def job(step: Step, data: Columns | None = None, stored: np.ndarray | None = None) -> Job:
    action = Action(id="a1", step=step.name, data=data or {}, seed=4)
    arrays = {}
    if stored is not None:
        axes = tuple(Axis(n, "1", np.arange(k)) for n, k in zip("mp", stored.shape, strict=False))
        arrays = {"theory_parameters": (Array(stored, "1", axes),)}
    return Job(action, step, arrays)


def test_offers_what_the_campaign_asks_for() -> None:
    assert {o.capability for o in LandauTheory().offers()} == {"simulate_landau", "refit_theory"}


def test_prediction_covers_the_space_and_is_repeatable() -> None:
    outcome = LandauTheory(members=5).perform(job(SIMULATE))
    grid = outcome.grids["theory_polarization"]
    assert tuple(grid.ticks) == VARIABLES
    assert grid.array().shape == (5, 26, 7, 7)
    assert grid.ticks["composition_sm"][0] == 0 and grid.ticks["composition_sm"][-1] == 0.25
    ratios = np.diff(np.log(grid.ticks["pressure_mTorr"]))
    assert np.allclose(ratios, ratios[0])
    assert np.all(grid.array() >= 0) and grid.array().std(axis=0).max() > 3
    assert all(float(f"{v:.4g}") == v for v in grid.values[0])
    assert LandauTheory(members=5).perform(job(SIMULATE)).grids == outcome.grids
    assert LandauTheory(members=5, seed=1).perform(job(SIMULATE)).grids != outcome.grids
    assert outcome.cost_credits and outcome.cost_credits > 0


def test_fitted_parameters_change_the_prediction() -> None:
    worker = LandauTheory(members=6)
    fit = worker.perform(job(REFIT, DATA))
    parameters = fit.arrays["theory_parameters"]
    assert parameters.data.shape == (6, len(NAMES)) and parameters.unit == "1"
    assert parameters.metadata["parameter_0"] == NAMES[0]
    assert [len(a.values) for a in parameters.axes] == [6, len(NAMES)]
    assert 0 < float(fit.notes["boundary_sm_std"]) < 0.03
    assert 0.08 < float(fit.notes["boundary_sm"]) < 0.18
    predicted = worker.perform(job(SIMULATE, stored=parameters.data))
    prior = worker.perform(job(SIMULATE))
    after, before = (o.grids["theory_polarization"].array() for o in (predicted, prior))
    assert after.std(axis=0).mean() < before.std(axis=0).mean()
    assert predicted.notes["from"] == "fit"


def test_nothing_to_fit_is_a_failure_with_a_remedy() -> None:
    failure = LandauTheory().perform(job(REFIT)).failure
    assert failure is not None and failure.kind == "missing" and failure.remedy


def test_foreign_parameters_are_a_failure() -> None:
    for stored in (np.ones((4, 3)), np.full((2, len(NAMES)), np.nan)):
        failure = LandauTheory().perform(job(SIMULATE, stored=stored)).failure
        assert failure is not None and failure.kind == "invalid"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantity": ("loop_polarization", "x", "x", "x")}, "quantities"),
        ({"value": (1.0, 2.0)}, "lengths"),
        ({"std": (1.0, -1.0, 1.0, 1.0)}, "std"),
        ({"pressure_mTorr": (0.0, 1.0, 1.0, 1.0)}, "pressure"),
        ({"composition_sm": ("a", 0.1, 0.1, 0.1)}, "numbers"),
    ],
)
def test_malformed_columns_say_what_is_wrong(change: Columns, message: str) -> None:
    with pytest.raises(WorkerError, match=message):
        LandauTheory().perform(job(REFIT, DATA | change))


def test_bad_configuration_and_foreign_steps_are_refused() -> None:
    with pytest.raises(SpecError, match="members"):
        LandauTheory(members=1)
    with pytest.raises(SpecError, match="pressure_mTorr"):
        LandauTheory(pressure_low_mTorr=0.0)
    stray = Step.model_validate({"name": "bake", "level": 5, "acts_on": "space"})
    with pytest.raises(WorkerError, match="bake"):
        LandauTheory().perform(job(stray))


def test_stored_prior_gives_the_same_grid_as_no_parameters() -> None:
    worker = LandauTheory(members=4)
    stored = worker.perform(job(SIMULATE, stored=prior_ensemble(4, 0)))
    assert stored.grids == worker.perform(job(SIMULATE)).grids
