from __future__ import annotations

import io

from rich.console import Console
from support_events import Story, campaign

from probewise.campaign._live import LiveView, draw
from probewise.workflow import State, Target

STORY = campaign()


def at(count: int) -> State:
    """The state after so many events."""
    story = Story()
    for event in STORY.events[1:count]:
        story.state.apply(event)
    return story.state


def panel(state: State, width: int = 120) -> str:
    view = LiveView("sm-bfo", Console(file=io.StringIO()))
    view.update(state)
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(draw(view._shown, "sm-bfo"))
    return console.export_text()


def busy() -> Story:
    story = Story()
    design = story.workflow.space.decode([0.5, 0.5, 0.5])[0]
    action = story.decide("grow_strip", Target(design=design, sample="strip-1"))
    assert action is not None
    story.issue(action)
    return story


def test_all_levels_and_agents_are_there_from_the_highest_down() -> None:
    text = panel(Story().state)
    titles = ["5 theory", "4 samples", "3 microscopy", "2 real-time", "1 analysis"]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    for worker in ("furnace", "pfm", "tester", "analyst", "theorist"):
        assert worker in text
    assert "nothing yet" in text


def test_a_busy_agent_shows_step_target_and_time_and_is_elsewhere_for_other_levels() -> None:
    story = busy()
    story.state.now_h = 2.0
    text = panel(story.state)
    line = next(row for row in text.splitlines() if "furnace" in row)
    assert "grow_strip" in line and "strip-1" in line and "2 h" in line
    story = Story()
    action = story.decide("tune", Target(sample="strip-1"))
    assert action is not None
    story.issue(action)
    rows = [row for row in panel(story.state).splitlines() if "pfm" in row]
    assert len(rows) == 2 and "at level 3" in rows[0] and "tune" in rows[1]


def test_budget_best_session_and_reason_are_there() -> None:
    state = at(100)
    text = panel(state)
    for part in ("of 5\xa0000", "of 200", "of 20", "± 6.5 µC/cm²", "s002 on strip-3", "per credit"):
        assert part in text
    assert state.last_decision is not None
    assert state.last_decision.reason in text


def test_it_fits_a_narrow_terminal() -> None:
    assert all(len(row) <= 60 for row in panel(at(100), width=60).splitlines())


def test_without_a_terminal_it_writes_a_line_now_and_then() -> None:
    out = io.StringIO()
    with LiveView("sm-bfo", Console(file=out, width=40), line_every_s=3600) as view:
        story = Story()
        for event in STORY.events[1:59]:
            story.state.apply(event)
            view.update(story.state)
        assert len(out.getvalue().splitlines()) == 1
    lines = out.getvalue().splitlines()
    assert len(lines) == 2 and "\x1b" not in out.getvalue()
    assert "best 29 ± 11 µC/cm²" in lines[1]


def test_a_view_that_was_never_updated_is_silent() -> None:
    out = io.StringIO()
    with LiveView("sm-bfo", Console(file=out)):
        pass
    assert out.getvalue() == ""


def test_on_a_terminal_it_ends_with_the_last_state() -> None:
    out = io.StringIO()
    with LiveView("sm-bfo", Console(file=out, force_terminal=True, width=120)) as view:
        view.say("a word [in brackets]")
        view.update(STORY.state)
    assert "a word [in brackets]" in out.getvalue()
    assert "no step is worth its price any more" in out.getvalue()


def test_what_is_shown_does_not_change_with_the_state() -> None:
    story = busy()
    view = LiveView("sm-bfo", Console(file=io.StringIO()))
    view.update(story.state)
    before = view._shown
    story.settle()
    assert any(agent.doing == "grow_strip" for agent in before.agents)
