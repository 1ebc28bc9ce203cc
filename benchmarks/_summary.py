"""The planner against the best of the others on every problem: ahead, level or behind.

Computed from the runs alone. Differences are paired by seed where both have at least three seeds
in common, and counted in their standard errors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ._published import CURVES, published_at
from ._records import Run
from ._statistics import SHARES, cost_to, means_at, start_of, value_at, values_at
from ._tables import Groups, markdown, plus_minus

OURS, ALONE, FUNNEL = "planner", "single-source", "tuned-funnel"
VARIANTS = (
    "planner",
    "planner-settable",
    "planner-untold",
    ALONE,
    "gain-alone",
    "chain-alone",
    "no-doubt",
)
"""Policies of probewise's own: no peers of it."""
ALL_KNOWING = ("oracle-funnel",)
"""Policies that know what nobody can: bounds, no peers."""
CLEAR = 2.0
"""Standard errors from which a difference is called one."""
SMALL = 1e-3
"""Differences below this share of the way from the start to the best are called level."""
READING = 0.03
"""Error of what was read off a figure, in the same unit."""
FEW = 3
HOW = ("at half of the budget", "at the end", *(f"cost to {way:.0%}" for way in SHARES))

Scores = Mapping[int, float]
"""What counts for a run by its seed; more is better."""


@dataclass(frozen=True)
class Verdict:
    """Ours less theirs, with its standard error, and whether it amounts to anything."""

    rival: str
    difference: float
    error: float
    scale: float

    @property
    def errors(self) -> float:
        """The difference in standard errors."""
        if self.error > 0.0:
            return self.difference / self.error
        return float(np.copysign(np.inf, self.difference)) if self.difference else 0.0

    @property
    def trifling(self) -> bool:
        """Whether the difference is too small to matter, however sure it is."""
        return abs(self.difference) <= SMALL * self.scale

    @property
    def word(self) -> str:
        if self.trifling or abs(self.errors) < CLEAR:
            return "level"
        return "ahead" if self.difference > 0 else "behind"

    @property
    def shown(self) -> str:
        return f"**{self.word}**" if self.word == "behind" else self.word

    def __str__(self) -> str:
        return f"{self.shown}, {self.errors:+.1f} ({self.rival})"


def against_peers(groups: Mapping[str, Groups], rerun: Groups) -> str:
    """A row for every problem of every suite, and how often each word was said.

    ``groups`` are runs by suite, ``rerun`` those of peers' own code: they count where they got as
    far as what is compared, since some are cut short.
    """
    rows: list[list[str]] = []
    words: dict[str, Counter[str]] = {how: Counter() for how in HOW}
    for problems in groups.values():
        for problem, policies in problems.items():
            if OURS not in policies:
                continue
            verdicts = _verdicts(policies, rerun.get(problem, {}))
            if not verdicts:
                continue
            for how, verdict in verdicts.items():
                words[how][verdict.word] += 1
            seeds = str(len(policies[OURS]))
            rows.append([problem, seeds, *(str(verdicts.get(how, "–")) for how in HOW)])
    if not rows:
        return ""
    counts = [
        ", ".join(f"{w} {words[how][w]}" for w in ("ahead", "level", "behind")) for how in HOW
    ]
    rows.append(["**all problems**", "", *counts])
    return markdown(["Problem", "Seeds", *HOW], rows)


def _verdicts(
    policies: Mapping[str, Sequence[Run]], rerun: Mapping[str, Sequence[Run]]
) -> dict[str, Verdict]:
    ours = policies[OURS]
    start = start_of(r for runs in policies.values() for r in runs)
    budget, best = ours[0].budget, ours[0].best
    peers = {n: runs for n, runs in policies.items() if n not in (*VARIANTS, *ALL_KNOWING)}
    ways: dict[str, tuple[float, float, Callable[[Run], float]]] = {
        HOW[0]: (budget / 2, best - start, lambda r: value_at(r, budget / 2)),
        HOW[1]: (budget, best - start, lambda r: value_at(r, budget)),
    }
    for how, way in zip(HOW[2:], SHARES, strict=True):
        ways[how] = (budget, budget, partial(_thrift, way=way, start=start))
    found: dict[str, Verdict] = {}
    for how, (cost, scale, score) in ways.items():
        far = {
            f"{name}, own code": [r for r in runs if r.trajectory[-1].cost >= 0.95 * cost]
            for name, runs in rerun.items()
        }
        scores = {name: {r.seed: score(r) for r in runs} for name, runs in (peers | far).items()}
        rivals = {name: s for name, s in scores.items() if len(s) >= FEW}
        if rivals and len(ours) >= FEW:
            name = max(rivals, key=lambda n: float(np.mean(list(rivals[n].values()))))
            mine = {r.seed: score(r) for r in ours}
            found[how] = compare(name, mine, rivals[name], scale)
    return found


def _thrift(run: Run, way: float, start: float) -> float:
    """Minus the cost to a share of the way to the best; minus the budget if it never got there."""
    return -min(cost_to(run, way, start), run.budget)


def compare(rival: str, ours: Scores, theirs: Scores, scale: float) -> Verdict:
    """The mean difference with its standard error, paired where enough seeds are common."""
    common = sorted(set(ours) & set(theirs))
    if len(common) >= FEW:
        apart = np.array([ours[s] - theirs[s] for s in common])
        return Verdict(rival, float(apart.mean()), _error(apart), scale)
    a, b = np.array(list(ours.values())), np.array(list(theirs.values()))
    difference = float(a.mean() - b.mean())
    return Verdict(rival, difference, float(np.hypot(_error(a), _error(b))), scale)


def against_published(networks: Groups) -> str:
    """The planner beside the best published mean, at every cost at which one was published."""
    rows: list[list[str]] = []
    for problem, policies in networks.items():
        ours = policies.get(OURS, [])
        costs = sorted({cost for curve in CURVES.get(problem, ()) for cost, _ in curve.points})
        if len(ours) < FEW:
            continue
        way = ours[0].best - start_of(r for runs in policies.values() for r in runs)
        for cost, mean, error in zip(costs, *means_at(ours, costs), strict=True):
            means = {c.policy: published_at(c, cost) for c in CURVES[problem]}
            name, value = max(
                ((n, v) for n, v in means.items() if v is not None), key=lambda item: item[1]
            )
            away = float(np.hypot(error, READING * way))
            verdict = Verdict(name, float(mean) - value, away, way)
            row = [problem, f"{cost:g}", str(len(ours)), plus_minus(float(mean), float(error))]
            rows.append([*row, f"{value:g} ({name})", f"{verdict.word}, {verdict.errors:+.1f}"])
    head = ["Problem", "Credits", "Seeds", "`planner`", "Best published", "Verdict"]
    return markdown(head, rows) if rows else ""


def against_one_source(problems: Groups) -> str:
    """The planner against itself without cheap sources: what these bring, and what they cost."""
    rows: list[list[str]] = []
    for problem, policies in problems.items():
        ours, alone = policies.get(OURS, []), policies.get(ALONE, [])
        if len(ours) < FEW or len(alone) < FEW:
            continue
        way = ours[0].best - start_of(r for runs in policies.values() for r in runs)
        row = [problem, str(len({r.seed for r in ours} & {r.seed for r in alone}))]
        for share in (0.5, 1.0):
            mine, theirs = (
                {r.seed: value_at(r, share * r.budget) for r in runs} for runs in (ours, alone)
            )
            verdict = compare(ALONE, mine, theirs, way)
            error = verdict.error / way
            row.append(f"{verdict.difference / way:+.3f} ± {error:.3f}, {verdict.shown}")
        rows.append(row)
    return markdown(["Problem", "Seeds", *HOW[:2]], rows) if rows else ""


def against_funnel(problems: Groups) -> str:
    """What the planner has when a tuned funnel ends, and with how much less it has the same.

    Gains and credits are of means over the worlds that both have played.
    """
    rows: list[list[str]] = []
    for problem, policies in problems.items():
        ours, theirs = ({r.seed: r for r in policies.get(name, [])} for name in (OURS, FUNNEL))
        seeds = sorted(set(ours) & set(theirs))
        if len(seeds) < FEW:
            continue
        start = start_of(r for runs in policies.values() for r in runs)
        budget = ours[seeds[0]].budget
        costs = np.linspace(0.0, budget, 121)
        mine, funnel = (
            np.array([(values_at(runs[s], costs) - start) / (runs[s].best - start) for s in seeds])
            for runs in (ours, theirs)
        )
        apart = mine[:, -1] - funnel[:, -1]
        wanted = funnel.mean(0)[-1]
        own, other = (_kept_from(costs, runs.mean(0), wanted) for runs in (mine, funnel))
        less = f"{own:g} of {other:g}, {1 - own / other:+.0%}" if np.isfinite(own) else "never"
        row = [problem, str(len(seeds)), plus_minus(wanted, _error(funnel[:, -1]))]
        rows.append([*row, f"{apart.mean():+.3f} ± {_error(apart):.3f}", less])
    head = ["Problem", "Worlds", "Gain of the funnel", "`planner` less funnel"]
    head.append("Credits to the funnel's gain, and how much cheaper")
    return markdown(head, rows) if rows else ""


def _kept_from(costs: NDArray[np.float64], curve: NDArray[np.float64], wanted: float) -> float:
    """The cost from which on a curve is not below what is wanted; infinite if it ends below."""
    below = np.flatnonzero(curve < wanted - 1e-9)
    first = int(below[-1]) + 1 if len(below) else 0
    return float(costs[first]) if first < len(costs) else float("inf")


def ablations(networks: Groups) -> str:
    """Own variants side by side: mean at half and at the end on the seeds that all have.

    In brackets the difference from the planner, in standard errors, paired by seed, where it is not
    too small to matter.
    """
    variants = [v for v in VARIANTS if any(v in policies for policies in networks.values())]
    rows: list[list[str]] = []
    for problem, policies in networks.items():
        present = {v: {r.seed: r for r in policies.get(v, [])} for v in variants}
        played = [set(runs) for runs in present.values() if runs]
        common = sorted(set.intersection(*played)) if played else []
        if OURS not in policies or len(played) < 2 or not common:
            continue
        way = policies[OURS][0].best - start_of(r for runs in policies.values() for r in runs)
        for share, when in ((0.5, "half"), (1.0, "end")):
            values = {
                v: np.array([value_at(runs[s], share * runs[s].budget) for s in common])
                for v, runs in present.items()
                if runs
            }
            cells = [
                _beside(values[v], values[OURS], way) if v in values else "–" for v in variants
            ]
            rows.append([problem, str(len(common)), when, *cells])
    head = ["Problem", "Seeds", "At", *(f"`{v}`" for v in variants)]
    return markdown(head, rows) if rows else ""


def _beside(values: np.ndarray, ours: np.ndarray, way: float) -> str:
    text = f"{values.mean():.4g}"
    apart = values - ours
    verdict = Verdict(OURS, float(apart.mean()), _error(apart), way)
    if not apart.any() or (verdict.error <= 0.0 and not verdict.trifling):
        return text
    return f"{text} (level)" if verdict.trifling else f"{text} ({verdict.errors:+.1f})"


def _error(values: np.ndarray) -> float:
    """Standard error of a mean; 0 for a single value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
