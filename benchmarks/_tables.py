"""Tables of the report, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._published import CURVES, checkpoints, published_at
from ._records import Run
from ._statistics import (
    SHARES,
    cost_to,
    means_at,
    quantile,
    seconds_of,
    start_of,
    stopped_early,
    value_at,
)

Groups = dict[str, dict[str, list[Run]]]
"""Runs by problem, then by policy."""


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def group(runs: Sequence[Run], names: Sequence[str] = ()) -> Groups:
    """Runs by problem, then by policy, in the order of ``names``, without those that died."""
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    last = len(place)
    found: Groups = {}
    for run in sorted(runs, key=lambda r: (place.get(r.problem, last), place.get(r.policy, last))):
        if not run.error and run.trajectory:
            found.setdefault(run.problem, {}).setdefault(run.policy, []).append(run)
    return found


def network_table(problem: str, policies: dict[str, list[Run]]) -> str:
    """Means at costs, costs to shares of the way, seconds and early stops; published rows below."""
    everyone = [r for runs in policies.values() for r in runs]
    budget = max(r.budget for r in everyone)
    costs = checkpoints(problem, budget)
    start = start_of(everyone)
    head = ["Policy", "Seeds", *(f"@{c:g}" for c in costs), *_share_heads()]
    head += ["s a decision", "early stops"]
    rows: list[list[str]] = []
    for policy, runs in policies.items():
        row = [f"`{policy}`", str(len(runs))]
        row += [plus_minus(m, e) for m, e in zip(*means_at(runs, costs), strict=True)]
        row += [reached(runs, share, start) for share in SHARES]
        early = sum(stopped_early(r, start) for r in runs)
        rows.append([*row, seconds(runs), f"{early} of {len(runs)}"])
    for curve in CURVES.get(problem, ()):
        values = [published_at(curve, c) for c in costs]
        shown = ["–" if v is None else f"{v:g}" for v in values]
        rows.append([f"{curve.policy} (published)", "30", *shown, *["–"] * (len(SHARES) + 2)])
    return markdown(head, rows)


def regret_table(policies: dict[str, list[Run]]) -> str:
    """Median simple regret at half and all of the budget, costs, seconds; for any problem."""
    everyone = [r for runs in policies.values() for r in runs]
    start = start_of(everyone)
    head = ["Policy", "Seeds", "Regret at half", "Regret at the end", *_share_heads()]
    rows: list[list[str]] = []
    for policy, runs in policies.items():
        half = [r.best - value_at(r, r.budget / 2) for r in runs]
        end = [r.best - value_at(r, r.budget) for r in runs]
        row = [f"`{policy}`", str(len(runs)), quartiles(half), quartiles(end)]
        rows.append([*row, *(reached(runs, s, start) for s in SHARES), seconds(runs)])
    return markdown([*head, "s a decision"], rows)


def against_table(policies: dict[str, list[Run]], rival: str) -> str:
    """How much of the gain over the start each policy has, and how it compares with a rival."""
    everyone = [r for runs in policies.values() for r in runs]
    start = start_of(everyone)
    rivals = {r.seed: r for r in policies.get(rival, ())}
    head = ["Policy", "Seeds", "Gain at half", "Gain at the end", f"against `{rival}` at the end"]
    rows: list[list[str]] = []
    for policy, runs in policies.items():
        row = [f"`{policy}`", str(len(runs))]
        row += [
            plus_minus(*_moments([gain(r, r.budget * s, start) for r in runs])) for s in (0.5, 1)
        ]
        paired = [
            gain(r, r.budget, start) - gain(rivals[r.seed], r.budget, start)
            for r in runs
            if r.seed in rivals
        ]
        row.append(plus_minus(*_moments(paired), sign=True) if paired and policy != rival else "–")
        rows.append([*row, *(reached(runs, s, start) for s in SHARES), seconds(runs)])
    return markdown([*head, *_share_heads(), "s a decision"], rows)


def gain(run: Run, cost: float, start: float) -> float:
    """1 at the best, 0 at the start."""
    return (value_at(run, cost) - start) / (run.best - start)


def speed_tables(runs: Groups) -> str:
    """A table for each thing that grows."""
    families: dict[str, Groups] = {}
    for problem in sorted(runs, key=_size):
        families.setdefault(problem.partition("-")[0], {})[problem] = runs[problem]
    return "\n\n".join(speed_table(found) for found in families.values())


def _size(problem: str) -> tuple[str, list[int]]:
    """What grows, and how large it is: ``nodes-20`` comes after ``nodes-4``."""
    family, *rest = problem.split("-")
    return family, [int(word) for word in rest if word.isdigit()]


def speed_table(runs: Groups) -> str:
    """Seconds of the first decision (with the fit to all data) and of later ones, and memory."""
    rows: list[list[str]] = []
    for problem, policies in runs.items():
        for found in policies.values():
            first = [r.trajectory[1].seconds for r in found if len(r.trajectory) > 1]
            later = [p.seconds for r in found for p in r.trajectory[2:]]
            shown = [f"{np.median(s):.2g}" if s else "–" for s in (first, later)]
            memory = max(r.peak_memory_mib for r in found)
            rows.append([problem, str(len(found)), *shown, f"{memory:.0f}"])
    return markdown(["Problem", "Seeds", "First decision, s", "Later, s", "Peak memory, MiB"], rows)


def seconds_table(ours: Groups, peers: list[Run]) -> str:
    """Seconds a decision of peers beside ours, and where they ended."""
    rows: list[list[str]] = []
    for problem, policies in group(peers).items():
        for policy, runs in policies.items():
            mine = ours.get(problem, {}).get("planner", [])
            ratio = seconds_of(runs)[0] / seconds_of(mine)[0] if mine else float("nan")
            spent = max(r.trajectory[-1].cost for r in runs)
            end = plus_minus(*_moments([r.trajectory[-1].value for r in runs]))
            row = [problem, policy, str(len(runs)), f"{spent:g}", end, seconds(runs)]
            shown = f"{ratio:.0f}×" if np.isfinite(ratio) else "–"
            rows.append([*row, seconds(mine) if mine else "–", shown])
    head = ["Problem", "Peer", "Seeds", "Spent", "Value there", "s a decision", "ours, s", "ratio"]
    return markdown(head, rows)


def plus_minus(mean: float, error: float, *, sign: bool = False) -> str:
    text = f"{mean:+.3g}" if sign else f"{mean:.4g}"
    return text if np.isnan(error) else f"{text} ± {error:.2g}"


def quartiles(values: Sequence[float]) -> str:
    middle, low, high = (quantile(values, q) for q in (0.5, 0.25, 0.75))
    return f"{middle:.3g} ({low:.2g}–{high:.2g})" if len(values) > 1 else f"{middle:.3g}"


def reached(runs: Sequence[Run], share: float, start: float) -> str:
    """Median cost, infinite ones counted, and how many runs got there."""
    costs = [cost_to(r, share, start) for r in runs]
    middle = quantile(costs, 0.5)
    shown = "never" if np.isinf(middle) else f"{middle:.3g}"
    return f"{shown} ({sum(np.isfinite(costs))}/{len(costs)})"


def seconds(runs: Sequence[Run]) -> str:
    middle, high = seconds_of(runs)
    return "–" if np.isnan(middle) else f"{middle:.2g} ({high:.2g})"


def _share_heads() -> list[str]:
    return [f"cost to {share:.0%}" for share in SHARES]


def _moments(values: Sequence[float]) -> tuple[float, float]:
    array = np.array(values)
    error = array.std(ddof=1) / np.sqrt(len(array)) if len(array) > 1 else float("nan")
    return float(array.mean()), float(error)
