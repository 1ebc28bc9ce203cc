from __future__ import annotations

import pytest
from rich.console import Console
from support_events import Story, campaign

from probewise.campaign._explain import explain, z_score
from probewise.workflow import Decided, Decision, Estimate, SpecError

STORY = campaign()
DECISIONS = [e.decision for e in STORY.events if isinstance(e, Decided)]


def shown(k: int, story: Story = STORY) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(explain(story.events, k))
    return console.export_text()


def first(step: str, number: int = 0) -> Decision:
    found = [d for d in DECISIONS if d.actions and d.actions[0].step == step]
    return found[number]


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda d: str(d.number))
def test_every_decision_is_explained_with_its_reason(decision: Decision) -> None:
    text = " ".join(shown(decision.number).split())
    assert f"Decision {decision.number} of the {decision.tier} tier" in text
    assert decision.reason in text
    assert f"{decision.index:.3g}" in text


def test_alternatives_are_the_five_best() -> None:
    decision = next(d for d in DECISIONS if len(d.alternatives) == 6)
    text = shown(decision.number)
    ranked = sorted(decision.alternatives, key=lambda a: -a.index)
    assert all(a.label in text for a in ranked[:5])
    assert ranked[5].label not in text and "1 more" in text


def test_expectation_and_result_are_compared_in_standard_deviations() -> None:
    assert z_score(Estimate(value=1, std=3), Estimate(value=11, std=4)) == 2.0
    assert z_score(Estimate(value=1), Estimate(value=1)) is None
    decision = first("capacitor_test")
    came = STORY.state.inventory.value("switchable_polarization", decision.actions[0].target)
    assert came is not None
    z = z_score(decision.expected["switchable_polarization"], came)
    assert f"{z:+.1f}" in shown(decision.number)
    assert "µC/cm²" in shown(decision.number)


def test_a_value_that_a_later_step_found_is_named_as_such() -> None:
    assert "found by a later step" in shown(first("measure_loops").number)
    assert "found by a later step" not in shown(first("capacitor_test").number)


def test_grants_failures_refusals_and_verdicts_are_told() -> None:
    assert "0.02 per credit" in shown(first("load_sample").number)
    failed = [t for d in DECISIONS if "tip lost contact" in (t := shown(d.number))]
    assert len(failed) == 1 and "failed for" in failed[0]
    assert "refused by guardian: the tester is being calibrated" in shown(
        first("capacitor_test", -1).number
    )
    assert "quality: keep" in shown(first("check_quality", 1).number)


def test_an_action_that_still_runs_is_no_failure() -> None:
    story = Story()
    action = story.decide("simulate_landau")
    assert action is not None
    story.issue(action)
    assert "still running" in shown(0, story)


@pytest.mark.parametrize("k", [-1, len(DECISIONS), 10**6])
def test_a_number_out_of_range_names_the_range(k: int) -> None:
    with pytest.raises(SpecError, match=f"Allowed: 0 to {len(DECISIONS) - 1}"):
        explain(STORY.events, k)


def test_a_run_without_decisions_says_so() -> None:
    with pytest.raises(SpecError, match="nothing was decided yet"):
        explain(Story().events, 0)
