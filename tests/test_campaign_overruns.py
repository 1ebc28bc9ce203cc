"""A worker that uses more than was committed for it: charged, told, and no budget lent for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console
from support_campaigns import raw_spec, registered, spec_of

from probewise.campaign import Campaign
from probewise.campaign._explain import explain
from probewise.workflow import Alerted, Decided, Observed


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with registered(tmp_path_factory.mktemp("installed")):
        yield


def dear(policy: str) -> dict[str, Any]:
    raw = raw_spec() | {"policy": policy, "budget": {"credits": 40, "hours": 1000}}
    for worker in raw["workers"].values():
        worker["config"] = worker["config"] | {"overcharge": 5.0}
    return raw


@pytest.mark.parametrize("policy", ["random", "planner", "fixed"])
def test_an_overrun_is_charged_told_and_ends_the_campaign_sooner(policy: str) -> None:
    campaign = Campaign(spec_of(dear(policy)))
    events = list(campaign)
    state, summary = campaign.state, campaign.result().summary
    found = [e.observation for e in events if isinstance(e, Observed)]
    over = sum(o.overrun.get("credits", 0.0) for o in found)
    assert over > 0 and state.stopped is not None
    assert state.spent_credits == pytest.approx(sum(o.cost_credits for o in found))
    assert state.spent_credits - over <= 40 + 1e-9, "no commitment exceeded the budget"
    told = summary["overruns_by_step"].values()
    assert sum(t["beyond"]["credits"] for t in told) == pytest.approx(over)
    alerts = {e.about: e.message for e in events if isinstance(e, Alerted)}
    first = next(o for o in found if o.overrun)
    assert "more than was committed" in alerts[f"overrun/{first.action_id}"]
    number = next(
        e.decision.number
        for e in events
        if isinstance(e, Decided) and any(a.id == first.action_id for a in e.decision.actions)
    )
    terminal = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    terminal.print(explain(events, number))
    assert "beyond what was committed" in terminal.export_text()
