"""Tables of answers that are more than one number: a front of designs, odds of hypotheses."""

from __future__ import annotations

from ..workflow import State
from ._report_tables import Column, Rows
from ._wording import axis_label, design_text, with_error


def answer_tables(state: State) -> list[Rows]:
    """The designs on the front, or what is left of the hypotheses; nothing for other goals."""
    found = state.recommendation
    if found is None:
        return []
    if found.goal.kind == "pareto":
        aims = tuple(found.goal.aims)
        rows = tuple(
            (
                design_text(point.design),
                *(with_error(point.estimates[q], state.workflow.unit(q)) for q in aims),
            )
            for point in found.front
        )
        columns = (Column("design", "phrase"), *(Column(axis_label(q), "number") for q in aims))
        return [Rows("The front", columns, rows, "Nothing was measured yet.")]
    if found.goal.kind == "discriminate":
        columns = (Column("hypothesis"), Column("probability", "number"), Column("verdict"))
        rows = tuple(
            (name, f"{chance:.3g}", "falsified" if name in found.falsified else "")
            for name, chance in found.probabilities.items()
        )
        caption = f"Falsified: a probability under {found.goal.falsified_below:g}."
        return [Rows("Hypotheses", columns, rows, "Nothing is known yet.", caption)]
    return []
