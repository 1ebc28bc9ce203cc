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
    turn = ["measure_spectra", "watch_stream", "fit_plasmon"]
    count = len(steps[4:]) // 3
    assert count >= 8 and steps[4:] == turn * count
    where = [
        a.target.positions[0]
        for e in campaign.seen
        if isinstance(e, Decided) and e.decision.tier == "session"
        for a in e.decision.actions
        if a.step == "measure_spectra"
    ]
    assert len(set(where)) == count, "the same place twice"
    assert all(0 <= v < 64 for place in where for v in place)


def test_the_answer_is_a_measured_place_and_its_plasmon(campaign: Campaign) -> None:
    answer = campaign.state.recommendation
    assert answer is not None and answer.unit == "eV" and answer.position is not None
    fitted = [o for o in campaign.state.observations if o.tables and "plasmon_energy" in o.values]
    table = fitted[-1].tables["spectra"]
    assert answer.position in table.positions
    found = table.columns["plasmon_energy"][table.positions.index(answer.position)]
    assert answer.estimate.value == pytest.approx(found, abs=0.05)
    score = campaign.score()
    assert score is not None and 0.8 < score.baseline < score.best < 3.6
    assert score.gain > 0.0, "no better than a place taken blindly"


def test_the_watch_judges_every_spectrum_and_doses_add_up(campaign: Campaign) -> None:
    seen = [e.observation for e in campaign.seen if isinstance(e, Observed)]
    judged = [o for o in seen if o.quality is not None]
    assert len(judged) == len([o for o in seen if "spectra" in o.arrays])
    assert {o.quality.verdict for o in judged if o.quality is not None} == {"keep"}
    told = sum(entry.dose_e_per_A2 for o in seen for entry in o.commands if o.dose_e_per_A2)
    largest = campaign.state.largest_dose
    assert largest is not None and largest[0] == pytest.approx(told, rel=1e-6)
