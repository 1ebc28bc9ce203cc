from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from support_events import Story, campaign

from probewise.campaign._summary import summarize, summary_table, write_summary
from probewise.campaign._wording import amount
from probewise.workflow import Observed, Recommendation, Score

STORY = campaign()
SCORE = Score(true_value=48.0, best=52.5, baseline=12.5)


def shown(summary: dict[str, object]) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(summary_table(summary))
    return console.export_text()


def test_the_summary_has_what_was_promised_and_reads_as_json(tmp_path: Path) -> None:
    summary = summarize(STORY.events, STORY.state, SCORE, 3.5)
    promised = {
        "campaign",
        "seed",
        "goal",
        "recommendation",
        "best_true",
        "regret",
        "cost_credits",
        "elapsed_h",
        "decisions",
        "actions_by_step",
        "actions_by_level",
        "stop_reason",
        "wall_s",
    }
    more = {"policy", "gain", "failures", "failures_by_step", "largest_dose", "overruns_by_step"}
    assert set(summary) == promised | more
    write_summary(tmp_path / "summary.json", summary)
    read = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert read == summary
    assert Recommendation.model_validate(read["recommendation"]) == STORY.state.recommendation


def test_the_summary_counts_what_the_journal_holds() -> None:
    summary = summarize(STORY.events, STORY.state, SCORE, 3.5)
    observed = [e.observation for e in STORY.events if isinstance(e, Observed)]
    assert summary["cost_credits"] == pytest.approx(sum(o.cost_credits for o in observed))
    assert summary["failures"] == sum(o.failure is not None for o in observed) == 1
    ((step, told),) = summary["failures_by_step"].items()
    assert told["count"] == 1
    count = summary["actions_by_step"][step]
    assert f"1 of {count} {step}: " in shown(summary)
    assert summary["actions_by_step"]["grow_strip"] == 4
    assert sum(summary["actions_by_level"].values()) == len(observed)
    assert list(summary["actions_by_level"]) == ["1", "2", "3", "4", "5"]
    assert (summary["regret"], summary["gain"]) == (4.5, pytest.approx(35.5 / 40))
    assert summary["stop_reason"] == "no step is worth its price any more"


def test_without_a_truth_nothing_is_claimed_about_it() -> None:
    summary = summarize(STORY.events, STORY.state, None, 3.5)
    assert summary["best_true"] is summary["regret"] is summary["gain"] is None
    assert "truth" not in shown(summary)


def test_the_table_says_value_unit_truth_and_reason() -> None:
    text = shown(summarize(STORY.events, STORY.state, SCORE, 3.5))
    spent = f"{amount(STORY.state.spent_credits)} credits"
    for part in ("44.6 ± 2.3 µC/cm²", "4.5 µC/cm² from the best", "89 %", spent):
        assert part in text
    assert "no step is worth its price any more" in text


def test_a_run_that_only_began_has_a_summary_too() -> None:
    story = Story()
    summary = summarize(story.events, story.state, None, 0.0)
    assert summary["recommendation"] is None and summary["decisions"] == 0
    assert "interrupted" in shown(summary)


def test_what_was_used_beyond_the_commitments_is_told() -> None:
    at = next(i for i, e in enumerate(STORY.events) if isinstance(e, Observed))
    event = STORY.events[at]
    assert isinstance(event, Observed)
    over = {"overrun_credits": 2.5, "overrun_dose_e_per_A2": 40.0}
    observation = event.observation.model_copy(update={"notes": over})
    events = list(STORY.events)
    events[at] = event.model_copy(update={"observation": observation})
    summary = summarize(events, STORY.state, SCORE, 3.5)
    ((step, told),) = summary["overruns_by_step"].items()
    assert told == {"count": 1, "beyond": {"credits": 2.5, "dose_e_per_A2": 40.0}}
    count = summary["actions_by_step"][step]
    assert f"2.5 credits and 40 e/Å² by 1 of {count} {step}" in shown(summary)
    assert not summarize(STORY.events, STORY.state, SCORE, 3.5)["overruns_by_step"]
