"""The built-in campaign on the twin of an electron microscope: overview, spectra where the planner
wants them, each watched and fitted."""

from __future__ import annotations

import pytest

from probewise.campaign import Campaign
from probewise.workflow import Decided, Issued, Observed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def campaign() -> Campaign:
    campaign = Campaign.load("stem-plasmon", seed=1, budget={"credits": 38})
    campaign.run()
    return campaign


def test_spectra_are_taken_where_the_session_wants_them(campaign: Campaign) -> None:
    assert not [o for o in campaign.state.observations if o.failure is not None]
    steps = [e.action.step for e in campaign.seen if isinstance(e, Issued)]
    assert steps[:4] == ["load_sample", "tune", "overview_scan", "describe_patches"]
    turn = ["measure_spectra", "watch_stream", "integrate_loss"]
    count = len(steps[4:]) // 3
    assert count >= 8 and steps[4:] == turn * count
    where = [
        a.target.positions[0]
        for e in campaign.seen
        if isinstance(e, Decided) and e.decision.tier == "session"
        for a in e.decision.actions
        if a.step == "measure_spectra"
    ]
    asked_again = {
        p
        for e in campaign.seen
        if isinstance(e, Observed) and e.observation.quality is not None
        for p in e.observation.quality.again
    }
    assert {p for p in where if where.count(p) > 1} <= asked_again, "twice, and nobody asked for it"
    assert all(0 <= v < 64 for place in where for v in place)


def test_the_answer_is_a_measured_place_and_its_loss(campaign: Campaign) -> None:
    answer = campaign.state.recommendation
    assert answer is not None and answer.unit == "1" and answer.position is not None
    fitted = [o for o in campaign.state.observations if o.tables and "loss_share" in o.values]
    table = fitted[-1].tables["spectra"]
    assert answer.position in table.positions
    found = table.columns["loss_share"][table.positions.index(answer.position)]
    assert answer.estimate.value == pytest.approx(found, rel=0.15)
    score = campaign.score()
    assert score is not None and 0.0 < score.baseline < score.best < 0.02
    assert score.gain > 0.0, "no better than a place taken blindly"


def test_the_watch_judges_every_spectrum_and_doses_add_up(campaign: Campaign) -> None:
    seen = [e.observation for e in campaign.seen if isinstance(e, Observed)]
    judged = [o for o in seen if o.quality is not None]
    assert len(judged) == len([o for o in seen if "spectra" in o.arrays])
    verdicts = {o.quality.verdict for o in judged if o.quality is not None}
    assert verdicts <= {"keep", "retake"}
    cut = [str(o.notes["stopped_early"]) for o in seen if "stopped_early" in o.notes]
    assert cut and all("loss_share" in reason and "best place known" in reason for reason in cut)
    weighed = [o.quality.reason for o in judged[8:] if o.quality is not None]
    assert all("best place known" in reason for reason in weighed), "from the ninth place on"
    told = sum(entry.dose_e_per_A2 for o in seen for entry in o.commands if o.dose_e_per_A2)
    largest = campaign.state.largest_dose
    assert largest is not None and largest[0] == pytest.approx(told, rel=1e-6)
