from __future__ import annotations

import pytest

from probewise.campaign._wording import (
    amount,
    axis_label,
    goal_text,
    hours_text,
    percent,
    pretty_unit,
    with_error,
)
from probewise.workflow import Estimate, Explore, LocateBoundary, Maximize


@pytest.mark.parametrize(
    ("unit", "shown"),
    [("uC/cm**2", "µC/cm²"), ("degC", "°C"), ("1", ""), ("", ""), ("mTorr", "mTorr"), ("?", "?")],
)
def test_units(unit: str, shown: str) -> None:
    assert pretty_unit(unit) == shown


@pytest.mark.parametrize(
    ("name", "unit", "label"),
    [
        ("temperature_C", "degC", "temperature (°C)"),
        ("pressure_mTorr", "mTorr", "pressure (mTorr)"),
        ("composition_sm", "1", "composition sm"),
        ("x", "um", "x (µm)"),
    ],
)
def test_axis_labels_name_a_unit_once(name: str, unit: str, label: str) -> None:
    assert axis_label(name, unit) == label


@pytest.mark.parametrize(
    ("value", "std", "shown"),
    [
        (44.609, 2.33, "44.6 ± 2.3 pm"),
        (44.609, 0.0233, "44.609 ± 0.023 pm"),
        (1234.0, 210.0, "1234 ± 210 pm"),
        (-1.5, 0.5, "\N{MINUS SIGN}1.50 ± 0.50 pm"),
        (3.0, 0.0, "3 pm"),
        (2e-9, 3e-10, "2e-09 ± 3e-10 pm"),
    ],
)
def test_values_are_as_precise_as_their_deviation(value: float, std: float, shown: str) -> None:
    assert with_error(Estimate(value=value, std=std), "pm") == shown


def test_amounts_times_and_shares() -> None:
    assert [amount(v) for v in (0.0, 0.01234, 12.34, 6000.0, float("inf"))] == [
        "0",
        "0.0123",
        "12.3",
        "6\N{NO-BREAK SPACE}000",
        "unlimited",
    ]
    assert [hours_text(h) for h in (0.0, 0.001, 0.25, 1.5)] == ["0 h", "3.6 s", "15 min", "1.5 h"]
    assert [percent(s) for s in (0.0, 0.001, 0.5, 1.0)] == ["0 %", "<1 %", "50 %", "100 %"]


def test_goals_are_phrases() -> None:
    assert goal_text(Maximize(quantity="y", over="positions")) == (
        "maximize y over probe positions"
    )
    assert goal_text(Explore(quantity="y")) == "explore y everywhere"
    boundary = LocateBoundary(quantity="y", variable="x", level=0.4)
    assert goal_text(boundary) == "locate where y drops below 0.4 of its maximum along x"
