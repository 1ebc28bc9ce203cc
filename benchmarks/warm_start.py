"""Do step values learned in rehearsals help the next campaign of the same kind?

Rehearses the campaign of ``benchmarks.forecast`` before its start, in possible worlds alone, with
detours from the planner's choice; fits step values; then runs each seed's truth with the planner as
it is and with these step values. No truth that is run is seen in learning.

    python -m benchmarks.warm_start --truth waves --worlds 40 --seeds 0-19
    python -m benchmarks.warm_start --truth waves --table

``--values`` is written if it is not there; a run that ``--out`` holds is skipped.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from probewise.planner import (
    PlannerSettings,
    Playthrough,
    StepValues,
    detour_tasks,
    learn_step_values,
    rehearse,
)

from ._lines import append, records
from .forecast import GOAL, GROUNDS, campaign, start

_LEARNED_AT = 9_999
"""The seed whose possible worlds are rehearsed in; no truth has it."""


def learn(kind: str, worlds: int) -> StepValues:
    """Step values from rehearsals before the start."""
    state = start(kind, _LEARNED_AT)
    played: list[Playthrough] = []
    began = time.process_time()
    for task in detour_tasks(state, worlds):
        played.append(rehearse(task))
    found = learn_step_values(played, state)
    took = time.process_time() - began
    print(f"{len(played)} rehearsals, {found.trials} detours, {took:.0f} s", flush=True)
    return found


def run(kind: str, seed: int, values: StepValues | None) -> dict[str, Any]:
    """One campaign: what its answer is truly worth, less what it cost, in credits."""
    truth, state = GROUNDS[kind](seed), start(kind, seed)
    best, median = truth.best()
    departed = 0
    for event in campaign(truth, state, PlannerSettings(step_values=values)).events():
        departed += event.kind == "decided" and "departing so gained" in event.decision.reason
    found = state.recommendation
    assert found is not None and GOAL.worth_credits is not None
    value = float(truth.strength(state.workflow.space.encode([found.design]))[0])
    spent = state.spent_credits + state.budget.credits_per_hour * state.now_h
    return {
        "truth": kind,
        "seed": seed,
        "warm": values is not None,
        "gain": (value - median) / (best - median),
        "utility": GOAL.worth_credits * (value - best) - spent,
        "credits": state.spent_credits,
        "departed": departed,
    }


def table(records: list[dict[str, Any]]) -> str:
    """Means over seeds that were run both ways, and the paired difference, as Markdown."""
    pairs: dict[int, dict[bool, dict[str, Any]]] = {}
    for r in records:
        pairs.setdefault(r["seed"], {})[r["warm"]] = r
    both = [p for p in pairs.values() if len(p) == 2]
    lines = ["| | cold | warm | warm - cold |", "|---|---|---|---|"]
    for what in ("gain", "utility", "credits"):
        cold, warm = (np.array([p[w][what] for p in both]) for w in (False, True))
        error = (warm - cold).std(ddof=1) / np.sqrt(len(both)) if len(both) > 1 else np.nan
        lines.append(
            f"| {what} | {cold.mean():.3g} | {warm.mean():.3g} | "
            f"{(warm - cold).mean():.2g} ± {error:.2g} |"
        )
    departed = np.mean([p[True]["departed"] for p in both]) if both else np.nan
    return "\n".join(
        [*lines, f"\n{len(both)} seeds; departures in a warm campaign: {departed:.1f}"]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.warm_start")
    parser.add_argument("--seeds", default="0-19", help="such as 0-19")
    parser.add_argument("--truth", choices=sorted(GROUNDS), default="waves")
    parser.add_argument("--worlds", type=int, default=40)
    parser.add_argument("--values", type=Path, help="[runs/bench/step-values-TRUTH.json]")
    parser.add_argument("--out", type=Path, help="[runs/bench/warm-start-TRUTH.jsonl]")
    parser.add_argument("--table", action="store_true", help="print the table and stop")
    args = parser.parse_args()
    out: Path = args.out or Path(f"runs/bench/warm-start-{args.truth}.jsonl")
    learned: Path = args.values or Path(f"runs/bench/step-values-{args.truth}.json")
    seen = records(out)
    if not args.table:
        learned.parent.mkdir(parents=True, exist_ok=True)
        if not learned.exists():
            learned.write_text(learn(args.truth, args.worlds).model_dump_json(indent=1) + "\n")
        values = StepValues.model_validate_json(learned.read_text())
        first, _, last = args.seeds.partition("-")
        done = {(r["seed"], r["warm"]) for r in seen}
        for seed in range(int(first), int(last or first) + 1):
            for warm in (False, True):
                if (seed, warm) not in done:
                    seen.append(run(args.truth, seed, values if warm else None))
                    append(out, seen[-1])
                    print(seen[-1], flush=True)
    print(table(seen))


if __name__ == "__main__":
    main()
