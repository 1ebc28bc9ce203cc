"""The station keeps the contract of a probewise worker, and measures what is there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from four_point_probe import FourPointProbe, sheet_resistance
from four_point_probe._coupons import sheet_conductance_S

from probewise.agents import check_worker, example_job, worker_types
from probewise.workflow import Job, Target, WorkerError, Workflow

CAMPAIGN = yaml.safe_load((Path(__file__).parents[1] / "campaign.yaml").read_text())
WORKFLOW = Workflow.model_validate(CAMPAIGN["workflow"])


def job(step: str, anneal_C: float = 320.0, oxygen_pct: float = 1.0) -> Job:
    target = Target(design={"anneal_C": anneal_C, "oxygen_pct": oxygen_pct})
    return example_job(WORKFLOW.step(step), target)


def test_keeps_the_contract_in_the_steps_of_its_campaign() -> None:
    check_worker(FourPointProbe, [job(step.name) for step in WORKFLOW.steps])


def test_is_registered_as_the_campaign_names_it() -> None:
    types = {worker["type"] for worker in CAMPAIGN["workers"].values()}
    assert types == {"four-point-probe"}
    assert worker_types()["four-point-probe"].distribution == "four-point-probe"


def test_four_contacts_find_the_sheet_conductance() -> None:
    found = FourPointProbe(world_seed=3).perform(job("sweep")).values["sheet_conductance"]
    true_mS = 1e3 * sheet_conductance_S(320.0, 1.0, world_seed=3)
    assert abs(found.value - true_mS) < 5 * found.std < 0.05 * true_mS


def test_two_contacts_see_less_for_their_own_resistance_is_in_it() -> None:
    quick = FourPointProbe().perform(job("touch")).values["quick_conductance"]
    assert quick.value < 0.98e3 * sheet_conductance_S(320.0, 1.0, world_seed=0)


def test_a_wide_film_has_the_textbook_factor() -> None:
    assert sheet_resistance(1.0, 1e6, 1.0) == pytest.approx(math.pi / math.log(2.0))


def test_a_coupon_that_is_not_there_is_refused() -> None:
    failure = FourPointProbe().perform(job("sweep", anneal_C=2000.0)).failure
    assert failure is not None and failure.kind == "refused"


@pytest.mark.parametrize("config", [{"points": 5}, {"current_mA": 20.0}, {"spacing_mm": 5.0}])
def test_refuses_a_bad_config(config: dict[str, Any]) -> None:
    with pytest.raises(WorkerError):
        FourPointProbe(**config)
