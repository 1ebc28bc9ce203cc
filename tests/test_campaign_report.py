from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from support_events import Story, campaign

from probewise.campaign._figures import BeliefView
from probewise.campaign._history import History
from probewise.campaign._report import write_report
from probewise.campaign._report_tables import chosen, decision_rows
from probewise.campaign._summary import summarize
from probewise.workflow import (
    Assessed,
    Decided,
    Design,
    Discriminate,
    Estimate,
    Explore,
    Failure,
    FeasibleRegion,
    FrontPoint,
    Goal,
    Limit,
    LocateBoundary,
    Maximize,
    Pareto,
    Recommendation,
    Score,
    Target,
    Tune,
)

SCORE = Score(true_value=48.0, best=52.5, baseline=12.5)
TWINS = {"furnace": True, "pfm": True, "analyst": False}


class Page(HTMLParser):
    """Tags, addresses and text of a page; checks that tags are closed in order."""

    VOID = {"meta", "img", "br", "link"}

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.addresses += [v or "" for k, v in attrs if k in {"src", "href", "srcset", "action"}]
        if tag == "img":
            self.images.append(given)
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def report(
    folder: Path,
    story: Story,
    score: Score | None = SCORE,
    belief: BeliefView | None = None,
    twins: Mapping[str, bool] | None = None,
    notes: tuple[str, ...] = (),
) -> Page:
    summary = summarize(story.events, story.state, score, 1.0)
    path = write_report(
        folder, story.events, story.state, summary, belief, twins=twins, notes=notes
    )
    assert path == folder / "report.html"
    return Page(path.read_text("utf-8"))


def belief(story: Story) -> BeliefView:
    def predict(designs: list[Design]) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(len(designs), dtype=float), np.ones(len(designs))

    space = story.workflow.space
    at = space.decode([0.5] * 3)[0]
    return BeliefView.through(space, at, "switchable_polarization", "uC/cm**2", predict, points=5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("run")
    story = campaign(folder, strips=2)
    notes = ("image and spectra <come> from one cube",)
    return report(folder, story, belief=belief(story), twins=TWINS, notes=notes)


def test_the_page_needs_nothing_from_outside_and_no_script(whole: Page) -> None:
    assert "script" not in whole.tags and "link" not in whole.tags
    assert len(whole.addresses) == 7
    assert all(a.startswith("data:image/svg+xml;base64,") for a in whole.addresses)


def test_every_picture_has_words_instead_of_it(whole: Page) -> None:
    assert all(len(i["alt"] or "") > 20 for i in whole.images)


def test_the_head_says_what_is_twin_and_what_is_not(whole: Page) -> None:
    assert "Twins, whose data are simulated: furnace, pfm." in whole.text
    assert "Not twins (instruments, recordings, computations): analyst." in whole.text
    assert "image and spectra <come> from one cube" in whole.text


def test_answer_price_truth_and_reason_are_told(whole: Page) -> None:
    for part in (
        "Goal: maximize switchable_polarization.",
        "because no step is worth its price any more",
        "± 6.5 µC/cm²",
        "temperature_C =",
        "48 µC/cm²",
        "4.5 µC/cm²",
        "of 5\xa0000",
    ):
        assert part in whole.text or part.replace("\xa0", " ") in whole.text, part


def test_sessions_decisions_failures_and_verdicts_are_listed(whole: Page) -> None:
    for part in (
        "s000",
        "the next loop is worth less than the reservation rate",
        "capacitor_test on strip-2 pad 3",
        "tip lost contact",
        "the tester is being calibrated",
        "retake",
        "probewise explain",
    ):
        assert part in whole.text, part


def test_a_run_that_only_began_is_reported(tmp_path: Path) -> None:
    page = report(tmp_path, Story(), score=None)
    for part in ("has not ended", "none yet", "No session was opened", "Nothing failed"):
        assert part in page.text
    assert len(page.images) == 1
    assert "truth" not in page.text.lower()


@pytest.mark.slow
def test_a_run_that_was_cut_off_anywhere_is_reported(tmp_path: Path) -> None:
    story = campaign(strips=1)
    for count in range(2, len(story.events), 7):
        part = Story()
        part.events = story.events[:count]
        for event in part.events[1:]:
            part.state.apply(event)
        page = report(tmp_path, part, score=None)
        assert "has not ended" in page.text


def test_arrays_that_are_gone_are_named_and_do_no_harm(tmp_path: Path) -> None:
    story = campaign(tmp_path, strips=1)
    for path in (tmp_path / "data").glob("*-overview_scan.h5"):
        path.unlink()
    assert "could not be read" in report(tmp_path, story).text


@pytest.mark.slow
def test_words_from_outside_stay_words(tmp_path: Path) -> None:
    story = Story()
    story.do(
        "tune",
        Target(sample="<img src=x onerror=alert(1)>"),
        reason="</td><script>alert(2)</script>",
        result={"failure": Failure(kind="instrument", message="<b>bold</b>")},
    )
    page = report(tmp_path, story, score=None, notes=("<script>alert(3)</script>",))
    assert "script" not in page.tags and page.tags.count("img") == len(page.images) == 3
    assert all(a.startswith("data:") for a in page.addresses)
    for part in ("<script>alert(2)</script>", "<b>bold</b>", "<script>alert(3)</script>"):
        assert part in page.text


REGION = FeasibleRegion(limits=(Limit(quantity="loop_polarization", above=20),))
FRONT = Pareto(aims={"domain_contrast": "maximize", "coercive_bias": "minimize"})
ON_FRONT = FrontPoint(
    design={"composition_sm": 0.14},
    estimates={"domain_contrast": Estimate(value=3.0), "coercive_bias": Estimate(value=1.5)},
)
RIVALS = Discriminate.model_validate(
    {
        "quantity": "loop_polarization",
        "hypotheses": [{"name": "slope", "formula": "x"}, {"name": "flat", "formula": "1"}],
    }
)


@pytest.mark.parametrize(
    ("goal", "unit", "label", "where"),
    [
        (Explore(quantity="loop_polarization"), "uC/cm**2", "Root-mean-square deviation left", ""),
        (
            LocateBoundary(quantity="loop_polarization", variable="composition_sm"),
            "1",
            "Boundary of loop_polarization",
            "composition_sm = 0.14",
        ),
        (
            Maximize(quantity="loop_polarization", over="positions"),
            "uC/cm**2",
            "Best loop_polarization",
            "row 3, column 9",
        ),
        (REGION, "1", "Share of the space", ""),
        (FRONT, "(pm)*(V)", "Hypervolume of the front of 1 designs", "composition_sm = 0.14"),
        (RIVALS, "1", "Probability of slope", "falsified"),
        (
            Tune(quantity="loop_polarization", memory_h=3, worth_credits=1),
            "uC/cm**2",
            "at the best controls now",
            "",
        ),
    ],
)
def test_every_goal_has_its_answer(
    tmp_path: Path, goal: Goal, unit: str, label: str, where: str
) -> None:
    story = Story()
    found = Recommendation(
        goal=goal,
        design={"composition_sm": 0.14} if goal.kind == "locate_boundary" else {},
        position=(3, 9) if where.startswith("row") else None,
        estimate=Estimate(value=0.14, std=0.02),
        unit=unit,
        front=(ON_FRONT,) if goal.kind == "pareto" else (),
        probabilities={"slope": 0.995, "flat": 0.005} if goal.kind == "discriminate" else {},
        falsified=("flat",) if goal.kind == "discriminate" else (),
    )
    story.state.goal = goal
    story._add(Assessed(hour=0.0, credits=0.0, recommendation=found))
    page = report(tmp_path, story, score=None)
    assert label in page.text and where in page.text and "0.140 ± 0.020" in page.text
    assert len(page.images) == 2


def test_a_campaign_of_one_session_shows_what_the_session_decided() -> None:
    story = campaign(strips=1)
    every = decision_rows(History.of(story.events, story.workflow), "run")
    assert {row[2] for row in every.rows} == {"campaign", "session"}
    story = campaign(strips=4)
    campaign_tier = decision_rows(History.of(story.events, story.workflow), "run")
    assert {row[2] for row in campaign_tier.rows} == {"campaign"}


def test_long_lists_keep_the_last_and_the_most_valuable() -> None:
    story = Story()
    for _ in range(80):
        story.do("simulate_landau")
    decided = [e for e in story.events if isinstance(e, Decided)]
    shown = chosen(decided, 30)
    numbers = [e.decision.number for e in shown]
    assert len(shown) == 30 and numbers == sorted(numbers)
    assert set(range(65, 80)) <= set(numbers)
    left = [e.decision.value for e in decided[:65] if e not in shown]
    assert max(left) <= min(e.decision.value for e in shown[:15])
    caption = decision_rows(History.of(story.events, story.workflow), "run").caption
    assert re.search(r"30 of 80 are shown", caption)
