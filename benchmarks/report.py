"""All tables and pictures of ``docs/benchmarks.md``: ``python -m benchmarks.report``.

Reads the JSON lines of all suites in a folder; what has not been run is said not to have been. The
words between the tables stand in ``templates/benchmarks.md.j2``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from . import (
    _pictures,
    cascades,
    function_networks,
    funnels,
    materials,
    multifidelity,
    peers,
    speed,
    uneven,
)
from ._command import RESULTS
from ._data import CHECKOUT, VARIABLE, DataMissingError
from ._lines import records
from ._records import Run
from ._statistics import evaluations_to, found_top, load
from ._summary import (
    ablations,
    against_funnel,
    against_one_source,
    against_peers,
    against_published,
)
from ._tables import (
    Groups,
    against_table,
    group,
    markdown,
    network_table,
    regret_table,
    seconds_table,
    speed_tables,
)

HERE = Path(__file__).parent
SUITES = tuple(
    module.SUITE
    for module in (
        function_networks,
        cascades,
        funnels,
        multifidelity,
        uneven,
        materials,
        speed,
        peers,
    )
)
TOP = 0.05
LOOKS = (10, 20, 40)


def main(argv: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    made.add_argument("--runs", type=Path, default=RESULTS, help="folder of JSON lines")
    made.add_argument("--docs", type=Path, default=CHECKOUT / "docs", help="folder to write to")
    made.add_argument("--data", type=Path, help=f"folder of recorded data (or {VARIABLE})")
    args = made.parse_args(argv)
    if args.data:
        os.environ[VARIABLE] = str(args.data)
    path = write_report(load(args.runs), args.docs, other_tables(args.runs))
    print(path)
    return 0


def write_report(runs: Sequence[Run], docs: Path, others: Mapping[str, str] | None = None) -> Path:
    """Write ``benchmarks.md`` and its pictures into ``docs``; returns the page's path.

    ``others`` are tables of benchmarks that are no suites, by name.
    """
    names = [n for suite in SUITES for n in (*suite.problems, *suite.policies)]
    suites = {
        name: [r for r in runs if r.suite == name] for name in sorted({r.suite for r in runs})
    }
    groups = {name: group(found, names) for name, found in suites.items()}
    raced = {s.name: groups[s.name] for s in SUITES if s.name in groups and s.name != "peers"}
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    text = environment.get_template("benchmarks.md.j2").render(
        summary=against_peers(raced, groups.get("peers", {})),
        published=against_published(groups.get("function_networks", {})),
        funnel_goal=against_funnel(groups.get("funnels", {})),
        one_source=against_one_source(groups.get("multifidelity", {})),
        ablations=ablations(groups.get("function_networks", {})),
        networks=_tables(groups.get("function_networks"), network_table),
        cascades=_tables(groups.get("cascades"), lambda _, p: against_table(p, "log-ei")),
        uneven=_tables(groups.get("uneven"), lambda _, p: regret_table(p)),
        funnels=_tables(groups.get("funnels"), lambda _, p: against_table(p, "tuned-funnel")),
        fidelities=_tables(groups.get("multifidelity"), lambda _, p: regret_table(p)),
        materials=_materials(groups.get("materials"), docs),
        peers=seconds_table(
            groups.get("function_networks", {}) | groups.get("cascades", {}),
            suites.get("peers", []),
        ),
        has_peers=bool(groups.get("peers")),
        speed=speed_tables(groups["speed"]) if "speed" in groups else "",
        others=dict(others or {}),
        pictures=_draw(groups, docs / "benchmarks"),
        died=_died(runs),
        machines=_machines(runs),
    )
    docs.mkdir(parents=True, exist_ok=True)
    path = docs / "benchmarks.md"
    path.write_text(text, encoding="utf-8")
    return path


def other_tables(folder: Path) -> dict[str, str]:
    """Tables of benchmarks that keep records of their own, where there are any."""
    from . import forecast, goals, tiers

    ways: dict[str, Callable[[list[dict[str, Any]]], str]] = {
        "goals": goals.table,
        "tiers": tiers.table,
        "forecast-waves": forecast.table,
        "forecast-bumps": forecast.table,
    }
    found = {name: records(folder / f"{name}.jsonl") for name in ways}
    return {name: table(found[name]).strip() for name, table in ways.items() if found[name]}


def _tables(
    found: Groups | None, table: Callable[[str, dict[str, list[Run]]], str]
) -> list[tuple[str, str]]:
    """Title and table of every problem of a suite."""
    return [
        (_title(problem, policies), table(problem, policies))
        for problem, policies in (found or {}).items()
    ]


def _title(problem: str, policies: dict[str, list[Run]]) -> str:
    runs = [r for found in policies.values() for r in found]
    least, most = min(r.best for r in runs), max(r.best for r in runs)
    best = f"{most:.6g}" if least == most else f"{least:.3g} to {most:.3g} by seed"
    return f"{problem}: {max(r.budget for r in runs):g} credits, best {best}"


def _draw(groups: dict[str, Groups], folder: Path) -> dict[str, str]:
    """Pictures by suite, as links from the page."""
    titles = {
        "function_networks": "Function networks",
        "cascades": "Two stages",
        "funnels": "Candidates behind a funnel",
        "multifidelity": "A dear source and a cheap one",
        "uneven": "A price for every design",
    }
    drawn: dict[str, str] = {}
    for suite, title in titles.items():
        if groups.get(suite):
            _pictures.curves(groups[suite], folder / f"{suite}.png", title=title)
            drawn[suite] = f"![{title}](benchmarks/{suite}.png)"
    if groups.get("speed"):
        _pictures.growth(groups["speed"], folder / "speed.png")
        drawn["speed"] = "![Growth of a decision](benchmarks/speed.png)"
    return drawn


def _materials(found: Groups | None, docs: Path) -> dict[str, str]:
    """Top shares, enhancement over random and acceleration to 80 %, with the picture's link."""
    if not found:
        return {}
    try:
        best = {name: _top(name) for name in found}
    except DataMissingError as error:
        return {"table": f"*{error}*", "picture": ""}
    rows = []
    for problem, policies in found.items():
        size = len(best[problem]) / TOP
        for policy, runs in policies.items():
            shares = [np.mean([found_top(r, best[problem], i) for r in runs]) for i in LOOKS]
            chance = [min(i / size, 1.0) for i in LOOKS]
            costs = [evaluations_to(r, best[problem], 0.8) for r in runs]
            middle = float(np.median(costs))
            row = [problem, f"`{policy}`", str(len(runs))]
            row += [f"{s:.0%} ({s / c:.1f}×)" for s, c in zip(shares, chance, strict=True)]
            row += (
                ["never", "–"]
                if np.isinf(middle)
                else [f"{middle:g}", f"{0.8 * size / middle:.1f}×"]
            )
            rows.append(row)
    _pictures.tops(found, best, docs / "benchmarks" / "materials.png")
    head = ["Pool", "Policy", "Seeds", *(f"best 5 % after {i}" for i in LOOKS)]
    table = markdown([*head, "evaluations to 80 %", "acceleration"], rows)
    return {"table": table, "picture": "![Pools of materials](benchmarks/materials.png)"}


def _top(name: str) -> set[int]:
    """The best 5 % of a pool, at least one."""
    from .materials import material

    problem = material(name, 0)
    assert problem.pool is not None
    values = problem.outputs(problem.pool)["score"]
    return set(map(int, np.argsort(-values)[: max(int(np.ceil(TOP * len(values))), 1)]))


def _died(runs: Sequence[Run]) -> list[str]:
    """Problem and policy of runs that died, with the last line of why."""
    why = Counter(
        f"{r.problem}, `{r.policy}`: {r.error.strip().splitlines()[-1][:160]}"
        for r in runs
        if r.error
    )
    return [f"{reason} ({count} seeds)" for reason, count in sorted(why.items())]


def _machines(runs: Sequence[Run]) -> list[str]:
    """Every machine that runs ran on, with what was installed."""
    seen: dict[str, set[str]] = {}
    for run in runs:
        m = run.machine
        versions = ", ".join(f"{k} {v}" for k, v in m.versions.items())
        text = f"{m.processor}, {m.cores} cores, {m.threads} thread; Python {m.python}, {versions}"
        seen.setdefault(text, set()).add(run.suite)
    return [f"{', '.join(sorted(suites))}: {text}" for text, suites in seen.items()]


if __name__ == "__main__":
    sys.exit(main())
