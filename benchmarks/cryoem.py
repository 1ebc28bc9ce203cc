"""Good holes found within a session of cryo-EM: ``python -m benchmarks.cryoem --horizon 120``.

Plays the recorded session of :mod:`benchmarks._cryoem_data` from random start places, with the
published and with the measured costs of moves; on all patches, and on a random half of them, which
makes every seed another problem. A hole is good below 6 Å.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from probewise.planner import Hole, HoleSession, MoveCosts
from probewise.planner._hole_plan import HolePlan

from ._command import RESULTS, seed_list
from ._cryoem_data import PUBLISHED, Recording, load_recording
from ._data import VARIABLE, DataMissingError
from ._lines import append, records
from ._records import this_machine
from ._tables import markdown, plus_minus

POLICIES = ("planner", "greedy", "nearest-first", "random", "clairvoyant")
SETS = {"all patches": 1.0, "half of the patches": 0.5}
BELOW_A = 6.0
_LARGEST_A = 1e3
"""A fit that failed stands as 100,000 Å in the recording."""


def problem(recording: Recording, share: float, seed: int) -> tuple[tuple[Hole, ...], str]:
    """The holes of a random share of all patches, and the name of a random one to start from."""
    rng = np.random.default_rng([seed, 41])
    patches = sorted({h.in_patch for h in recording.holes})
    chosen = rng.choice(len(patches), round(share * len(patches)), replace=False)
    kept = {patches[i] for i in chosen}
    holes = tuple(h for h in recording.holes if h.in_patch in kept)
    return holes, holes[rng.integers(len(holes))].name


def play(
    recording: Recording, policy: str, costs: MoveCosts, horizon_min: float, share: float, seed: int
) -> dict[str, Any]:
    """One session: good holes, all holes, minutes, moves beyond a patch, seconds a decision."""
    holes, start = problem(recording, share, seed)
    if policy == "clairvoyant":
        return _clairvoyant(recording, holes, start, costs, horizon_min)
    session = HoleSession(
        holes,
        costs,
        horizon_min,
        start=start,
        below_A=BELOW_A,
        policy=policy,  # type: ignore[arg-type]
        seed=seed,
    )
    seconds: list[float] = []
    moves = 0
    while True:
        began = time.process_time()
        choice = session.suggest()
        seconds.append(time.process_time() - began)
        if choice is None:
            break
        moves += choice.minutes > costs.hole_min
        session.ingest(choice.hole, min(recording.measured_A[choice.hole], _LARGEST_A))
    return {
        "good": session.found,
        "imaged": len(session.measured_A),
        "minutes": session.spent_min,
        "moves": moves,
        "median_s": float(np.median(seconds)),
    }


def _clairvoyant(
    recording: Recording, holes: Sequence[Hole], start: str, costs: MoveCosts, horizon_min: float
) -> dict[str, Any]:
    """The planner's own look-ahead, told every resolution beforehand: what knowing would bring."""
    truth = np.array([float(recording.measured_A[h.name] < BELOW_A) for h in holes])
    here = next(i for i, h in enumerate(holes) if h.name == start)
    left, spent, good, moves, imaged = set(range(len(holes))) - {here}, 0.0, 0, 0, 0
    while True:
        plan = HolePlan(holes, truth, sorted(left), here, costs, horizon_min - spent + 1e-9)
        stretch = plan.best()
        if stretch is None:
            return {"good": good, "imaged": imaged, "minutes": spent, "moves": moves, "median_s": 0}
        minutes = costs.between(holes[here], holes[stretch.holes[0]])
        here, spent, imaged = stretch.holes[0], spent + minutes, imaged + 1
        left.discard(here)
        good, moves = good + int(truth[here]), moves + (minutes > costs.hole_min)


def run_missing(
    recording: Recording, out: Path, seeds: Sequence[int], horizon_min: float
) -> Iterator[dict[str, Any]]:
    """Play what is not in ``out`` yet, and append each session when it ends."""
    done = {(r["set"], r["costs"], r["policy"], r["seed"], r["horizon_min"]) for r in records(out)}
    tables = {"published": PUBLISHED, "measured": recording.measured_costs}
    for seed in seeds:
        for set_name, share in SETS.items():
            for cost_name, costs in tables.items():
                for policy in POLICIES:
                    if (set_name, cost_name, policy, seed, horizon_min) in done:
                        continue
                    head = {"set": set_name, "costs": cost_name, "policy": policy, "seed": seed}
                    found = play(recording, policy, costs, horizon_min, share, seed)
                    machine = this_machine().model_dump()
                    record = {**head, "horizon_min": horizon_min, **found, "machine": machine}
                    append(out, record)
                    yield record


def table(found: Sequence[dict[str, Any]], horizon_min: float) -> str:
    """Good holes of every policy, and the planner's lead seed by seed, as Markdown."""
    own = [r for r in found if r["horizon_min"] == horizon_min]
    rows: list[list[str]] = []
    for set_name in SETS:
        for cost_name in ("published", "measured"):
            cell = [r for r in own if (r["set"], r["costs"]) == (set_name, cost_name)]
            mine = {r["seed"]: r["good"] for r in cell if r["policy"] == "planner"}
            for policy in POLICIES:
                runs = [r for r in cell if r["policy"] == policy]
                if runs:
                    rows.append([set_name, cost_name, *_row(policy, runs, mine)])
    head = ["Holes", "Costs", "Policy", "Seeds", "Good holes", "of those imaged", "Moves"]
    return markdown([*head, "Planner's lead", "s a decision"], rows)


def _row(policy: str, runs: Sequence[dict[str, Any]], mine: dict[int, int]) -> list[str]:
    lead = [mine[r["seed"]] - r["good"] for r in runs if r["seed"] in mine]
    return [
        f"`{policy}`",
        str(len(runs)),
        plus_minus(*_moments([r["good"] for r in runs])),
        f"{np.mean([r['imaged'] for r in runs]):.1f}",
        f"{np.mean([r['moves'] for r in runs]):.1f}",
        "–" if policy == "planner" else plus_minus(*_moments(lead), sign=True),
        "–" if policy == "clairvoyant" else f"{np.median([r['median_s'] for r in runs]):.2g}",
    ]


def _moments(values: Sequence[float]) -> tuple[float, float]:
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(np.mean(values)), float(error)


def write_page(recording: Recording, found: Sequence[dict[str, Any]], horizon_min: float) -> str:
    """The page ``docs/cryoem.md``, from its template."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    good = np.array([recording.measured_A[h.name] < BELOW_A for h in recording.holes])
    return environment.get_template("cryoem.md.j2").render(
        table=table(found, horizon_min),
        horizon=f"{horizon_min:g}",
        holes=len(recording.holes),
        patches=len({h.in_patch for h in recording.holes}),
        squares=len({h.in_square for h in recording.holes}),
        good=int(good.sum()),
        published=_costs(PUBLISHED),
        measured=_costs(recording.measured_costs),
        moves=", ".join(f"{n} {unit}" for unit, n in recording.moves.items()),
        machines=sorted({_machine(r["machine"]) for r in found}),
    )


def _costs(costs: MoveCosts) -> str:
    return " / ".join(f"{v:.3g}" for v in costs.model_dump().values())


def _machine(m: dict[str, Any]) -> str:
    return f"{m['processor']}, {m['threads']} of {m['cores']} cores, Python {m['python']}"


def main(argv: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="python -m benchmarks.cryoem", description=__doc__)
    made.add_argument("--horizon", type=float, default=120.0, help="minutes of a session")
    made.add_argument("--seeds", type=seed_list, default=seed_list("0-9"), help="0-29 or 1,3,5")
    made.add_argument("--out", type=Path, default=RESULTS / "cryoem.jsonl")
    made.add_argument("--data", type=Path, help=f"folder of recorded data (or {VARIABLE})")
    made.add_argument("--page", type=Path, help="write the page, such as docs/cryoem.md")
    args = made.parse_args(argv)
    if args.data:
        os.environ[VARIABLE] = str(args.data)
    try:
        recording = load_recording()
    except DataMissingError as error:
        print(error, file=sys.stderr)
        return 1
    for r in run_missing(recording, args.out, args.seeds, args.horizon):
        head = f"{r['set']}, {r['costs']} costs, {r['policy']}, seed {r['seed']}"
        print(f"{head}: {r['good']} good of {r['imaged']}", file=sys.stderr, flush=True)
    found = records(args.out)
    print(table(found, args.horizon))
    if args.page:
        args.page.write_text(write_page(recording, found, args.horizon), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
