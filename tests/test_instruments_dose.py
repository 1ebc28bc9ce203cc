"""The dose book: never below what a place has really got."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probewise.instruments._dose import DoseBook
from probewise.workflow import InstrumentState, Rectangle

STATE = InstrumentState(technique="stem", sample="S1", current_pA=40.0)
coordinate = st.floats(0.0, 150.0)
size = st.floats(0.5, 50.0)
boxes = st.tuples(coordinate, coordinate, size, size, st.floats(1.0, 1e9)).map(
    lambda b: (Rectangle(y_nm=b[0], x_nm=b[1], height_nm=b[2], width_nm=b[3]), b[4])
)


def dose_at(y: float, x: float, given: list[tuple[Rectangle, float]]) -> float:
    return sum(
        electrons / (100.0 * r.area_nm2)
        for r, electrons in given
        if r.y_nm < y < r.y_nm + r.height_nm and r.x_nm < x < r.x_nm + r.width_nm
    )


@given(st.lists(boxes, max_size=6), boxes, st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_no_place_gets_more_than_the_book_says(
    before: list[tuple[Rectangle, float]],
    new: tuple[Rectangle, float],
    down: float,
    across: float,
) -> None:
    book = DoseBook()
    for put in before:
        book.charge(STATE, (put,))
    peak = book.peak_after(STATE, (new,))
    area = new[0]
    y, x = area.y_nm + down * area.height_nm, area.x_nm + across * area.width_nm
    assert dose_at(y, x, [*before, new]) <= peak * (1 + 1e-9)
    assert book.electrons(STATE) == pytest.approx(sum(e for _, e in before))


@given(st.lists(boxes, min_size=1, max_size=5), st.floats(0.0, 2.0))
def test_settling_books_what_fell(given: list[tuple[Rectangle, float]], share: float) -> None:
    book = DoseBook()
    charge = book.charge(STATE, tuple(given))
    total = sum(e for _, e in given)
    charge.settle(share * total)
    assert book.electrons(STATE) == pytest.approx(share * total)
    probe = (Rectangle(y_nm=400.0, x_nm=400.0, height_nm=1.0, width_nm=1.0), 100.0)
    assert book.peak_after(STATE, (probe,)) == pytest.approx(1.0), "nothing fell there"


def test_a_copy_is_a_book_of_its_own() -> None:
    book = DoseBook()
    put = ((Rectangle(height_nm=10.0, width_nm=10.0), 1e6),)
    trial = book.copy()
    trial.charge(STATE, put)
    assert book.electrons(STATE) == 0.0 and trial.electrons(STATE) == 1e6


def test_doses_belong_to_a_sample_a_site_and_a_place_of_the_stage() -> None:
    book = DoseBook()
    put = ((Rectangle(height_nm=10.0, width_nm=10.0), 1e6),)
    book.charge(STATE, put)
    assert book.peak_after(STATE, put) == pytest.approx(200.0)
    for other in ({"sample": "S2"}, {"site": 1}, {"stage_y_nm": 50.0}):
        assert book.peak_after(STATE.model_copy(update=other), put) == pytest.approx(100.0)
