from __future__ import annotations

import base64
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_events import Story, campaign

from probewise.campaign._figures import BeliefView, Picture
from probewise.campaign._figures_graph import place_steps, workflow_picture
from probewise.campaign._figures_image import image_picture
from probewise.campaign._figures_progress import best_picture, spending_picture
from probewise.campaign._figures_space import lines_picture, planes_picture
from probewise.campaign._figures_time import busy_h, gantt_picture, pack
from probewise.campaign._history import History
from probewise.workflow import Design, Space, Step, Target, Workflow

STORY = campaign(strips=2)
HISTORY = History.of(STORY.events, STORY.workflow)
SPACE = STORY.workflow.space


def svg(picture: Picture | None) -> str:
    assert picture is not None and picture.alt and picture.title
    kind, data = picture.source.split(",", 1)
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(data).decode()


def predict(designs: list[Design]) -> tuple[np.ndarray, np.ndarray]:
    unit = SPACE.encode(designs)
    return 40.0 * np.exp(-((unit - 0.5) ** 2).sum(axis=1)), 1.0 + unit[:, 0]


def view(**more: object) -> BeliefView:
    at = SPACE.decode([0.5, 0.5, 0.5])[0]
    measured = [(at, 38.0, 1.0), (SPACE.decode([0.1, 0.9, 0.2])[0], 20.0, 2.0)]
    return BeliefView.through(
        SPACE, at, "switchable_polarization", "uC/cm**2", predict, measured, points=7
    )


@pytest.mark.slow
def test_pictures_of_a_whole_campaign_are_self_contained(tmp_path: Path) -> None:
    story = campaign(tmp_path, strips=2)
    pictures = [
        best_picture(HISTORY, STORY.state, 48.0),
        best_picture(HISTORY, STORY.state, None),
        spending_picture(HISTORY, STORY.state),
        gantt_picture(HISTORY, STORY.state),
        workflow_picture(STORY.workflow, HISTORY),
        lines_picture(view()),
        planes_picture(view()),
        image_picture(tmp_path, story.state)[0],
    ]
    for picture in pictures:
        text = svg(picture)
        assert "http://" not in text.replace("http://www.w3.org", "").replace(
            "http://purl.org", ""
        ).replace("http://creativecommons.org", "")
        assert "<script" not in text


def test_the_same_events_give_the_same_picture() -> None:
    first, second = (gantt_picture(HISTORY, STORY.state) for _ in range(2))
    assert svg(first) == svg(second)


def test_a_run_that_only_began_has_no_curves_but_a_workflow(tmp_path: Path) -> None:
    story = Story()
    history = History.of(story.events, story.workflow)
    assert best_picture(history, story.state, None) is None
    assert spending_picture(history, story.state) is None
    assert gantt_picture(history, story.state) is None
    assert image_picture(tmp_path, story.state) == (None, "")
    svg(workflow_picture(story.workflow, history))


def test_a_run_that_was_cut_off_shows_what_still_runs() -> None:
    story = Story()
    action = story.decide("grow_strip", Target(design=SPACE.decode([0.5] * 3)[0], sample="s"))
    assert action is not None
    story.issue(action)
    story.state.now_h = 3.0
    history = History.of(story.events, story.workflow)
    svg(gantt_picture(history, story.state))
    assert busy_h(history.jobs, 3.0) == 3.0


def test_slices_run_through_the_design_and_agree_with_each_other() -> None:
    cut = view()
    assert set(cut.lines) == set(SPACE.names)
    assert cut.log == (False, False, True)
    for (a, b), plane in cut.planes.items():
        assert plane.mean.shape == plane.std.shape == (len(cut.ticks[a]), len(cut.ticks[b]))
        middle = int(np.argmin(abs(cut.ticks[b] - cut.at[b])))
        np.testing.assert_allclose(plane.mean[:, middle], cut.lines[a].mean)
    assert cut.measured is not None and cut.measured.designs.shape == (2, 3)


def test_one_variable_and_discrete_variables_are_drawn_too() -> None:
    space = Space.model_validate({"variables": [{"name": "n", "values": [1, 2, 5]}]})
    cut = BeliefView.through(
        space, {"n": 2.0}, "y", "1", lambda d: (np.zeros(len(d)), np.zeros(len(d))), points=9
    )
    np.testing.assert_array_equal(cut.ticks["n"], [1, 2, 5])
    svg(lines_picture(cut))
    assert planes_picture(cut) is None


def test_probed_positions_are_drawn_on_an_image_of_their_own_site(tmp_path: Path) -> None:
    story = campaign(tmp_path, strips=2)
    picture, problem = image_picture(tmp_path, story.state)
    assert picture is not None and problem == ""
    probed = {k: len(set(s.probed)) for k, s in story.state.inventory.places.items()}
    most = max(probed, key=lambda k: probed[k])
    assert picture.title.endswith(f"{most[0]}, pad {most[1]}")
    assert f"{probed[most]} positions" in picture.alt


def test_an_image_that_cannot_be_read_gives_way_to_the_next(tmp_path: Path) -> None:
    story = campaign(tmp_path, strips=2)
    chosen, _ = image_picture(tmp_path, story.state)
    places = story.state.inventory.places
    refs = {p[0]: s.arrays["domain_image"][0][1].file for p, s in places.items() if s.probed}
    assert chosen is not None
    first = next(sample for sample in refs if sample in chosen.title)
    (tmp_path / refs.pop(first)).write_bytes(b"torn")
    other, problem = image_picture(tmp_path, story.state)
    assert other is not None and first not in other.title
    assert "torn" in problem
    (tmp_path / refs.popitem()[1]).unlink()
    assert image_picture(tmp_path, story.state)[0] is None


@given(
    st.lists(
        st.tuples(st.floats(0, 50), st.floats(0, 9)).map(lambda t: (t[0], t[0] + t[1])), max_size=25
    )
)
def test_packed_spans_never_overlap_and_use_no_more_lanes_than_needed(
    spans: list[tuple[float, float]],
) -> None:
    lanes = pack(spans)
    for i, (start, end) in enumerate(spans):
        for j in range(i):
            other = spans[j]
            overlap = min(end, other[1]) - max(start, other[0])
            assert lanes[i] != lanes[j] or overlap <= 1e-9
    crowd = max((sum(s <= at < e for s, e in spans) for at, _ in spans), default=0)
    assert max(lanes, default=-1) + 1 <= max(crowd, 1) or any(s == e for s, e in spans)


def test_every_step_stands_in_the_row_of_its_level_right_of_what_it_needs() -> None:
    workflow = STORY.workflow
    places, lines = place_steps(workflow)
    assert len(set(places.values())) == len(workflow.steps)
    for first, second in workflow.graph.edges:
        assert places[first][0] < places[second][0]
    heights = {int(s.level): [places[t.name][1] for t in workflow.steps if t.level == s.level]
               for s in workflow.steps}  # fmt: skip
    order = sorted(heights, reverse=True)
    for upper, lower in pairwise(order):
        assert min(heights[upper]) > max(heights[lower])
    assert sum(lines.values()) >= len(order)


@pytest.mark.parametrize("count", [1, 4])
def test_a_workflow_of_equal_steps_is_placed_without_collision(count: int) -> None:
    steps = tuple(Step(name=f"step_{i}", level=1) for i in range(count))  # type: ignore[arg-type]
    workflow = Workflow(space=SPACE, steps=steps)
    places, lines = place_steps(workflow)
    assert len(set(places.values())) == count and lines[1] == count
    svg(workflow_picture(workflow, History()))
