"""Where to measure on an image: ``python -m benchmarks.structure_property``.

Sessions on one recording and two twins, for a number of instrument minutes each. A finished session
is never played again. ``--speed`` times decisions over 10,000 positions instead.
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

from probewise.analysis._patches import patches
from probewise.planner import ProbePrices, StructureProperty

from ._command import RESULTS, seed_list
from ._data import CHECKOUT, VARIABLE, DataMissingError
from ._dklgpr import PeerMissingError
from ._lines import append, records
from ._records import this_machine
from ._sp_players import SHARES, play
from ._sp_problems import QUANTITY, SCENES
from ._tables import markdown, plus_minus

POLICIES = ("session", "session-explore", "xy-gp", "random", "dklgpr")


def run_missing(
    out: Path, scenes: Sequence[str], policies: Sequence[str], seeds: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Play what is not in ``out`` yet, and append each session when it ends."""
    done = {(r["scene"], r["policy"], r["seed"]) for r in records(out) if "scene" in r}
    for seed in seeds:
        for scene in scenes:
            for policy in policies:
                if (scene, policy, seed) in done:
                    continue
                log = play(SCENES[scene](seed), policy, seed)
                record = {
                    "scene": scene,
                    "policy": policy,
                    "seed": seed,
                    "looks": log.looks,
                    "median_s": float(np.median(log.seconds)),
                    "mean_s": float(np.mean(log.seconds)),
                    "machine": this_machine().model_dump(),
                }
                append(out, record)
                yield record


def speed(out: Path, pixels: int = 100, measured: int = 200, batch: int = 4) -> dict[str, Any]:
    """Seconds of decisions over pixels x pixels positions around so many measurements.

    Retraining falls on some of these decisions; the mean is over all of them.
    """
    rng = np.random.default_rng(0)
    image = rng.standard_normal((pixels, pixels))
    for _ in range(20):
        image = (image + np.roll(image, 1, 0) + np.roll(image, 1, 1) + np.roll(image, -1, 0)) / 4
    truth = np.tanh(image / image.std()) + 0.1 * rng.standard_normal(image.shape)
    places = np.stack([g.ravel() for g in np.meshgrid(*[np.arange(pixels)] * 2, indexing="ij")], 1)
    session = StructureProperty(places, patches(image), QUANTITY, ProbePrices())
    wall, processor = [], []
    while session.measured < measured + 60:
        began = time.perf_counter(), time.process_time()
        visits = session.suggest(batch)
        if session.measured > measured - 60:
            wall.append(time.perf_counter() - began[0])
            processor.append(time.process_time() - began[1])
        for v in visits:
            session.ingest(v.position, {QUANTITY: float(truth[v.position])})
    record = {
        "speed": {
            "positions": len(places),
            "measured": measured,
            "batch": batch,
            "decisions": len(wall),
            "mean_wall_s": float(np.mean(wall)),
            "longest_wall_s": float(np.max(wall)),
            "mean_processor_s": float(np.mean(processor)),
            "longest_processor_s": float(np.max(processor)),
        },
        "machine": this_machine().model_dump(),
    }
    append(out, record)
    return record["speed"]


def table(found: Sequence[dict[str, Any]], scene: str) -> str:
    """Means with standard errors of every policy at every look, as Markdown."""
    heads = [f"{share:g}" for share in SHARES]
    head = ["Policy", "Seeds", "Measured at the end"]
    head += [f"R² at {h}" for h in heads] + [f"Regret at {h}" for h in heads]
    head += ["Robust regret at 1", "Maximum found", "Needle", "s a decision"]
    rows: list[list[str]] = []
    for policy in POLICIES:
        runs = [r for r in found if r.get("scene") == scene and r["policy"] == policy]
        if not runs:
            continue
        row = [f"`{policy}`", str(len(runs)), f"{np.mean(_at(runs, 'measured', -1)):.0f}"]
        row += [plus_minus(*_moments(_at(runs, "r2", i))) for i in range(len(SHARES))]
        row += [plus_minus(*_moments(_at(runs, "regret", i))) for i in range(len(SHARES))]
        row += [plus_minus(*_moments(_at(runs, "robust_regret", -1)))]
        row += [plus_minus(*_moments(_at(runs, "maximum", -1)))]
        row += [f"{int(sum(_at(runs, 'needle', -1)))} of {len(runs)}"]
        rows.append([*row, f"{np.mean([r['mean_s'] for r in runs]):.2g}"])
    return markdown(head, rows)


def _at(runs: Sequence[dict[str, Any]], what: str, look: int) -> list[float]:
    return [float(r["looks"][look][what]) for r in runs]


def _moments(values: Sequence[float]) -> tuple[float, float]:
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return float(np.mean(values)), float(error)


def page(found: Sequence[dict[str, Any]]) -> str:
    """The page ``docs/structure-property.md``, from its template."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    budgets = {name: SCENES[name](0).budget_min for name in SCENES}
    speeds = [r["speed"] for r in found if "speed" in r]
    machines = {f"{m['processor']}, {m['threads']} of {m['cores']} cores" for m in _machines(found)}
    return environment.get_template("structure-property.md.j2").render(
        tables={name: table(found, name) for name in SCENES},
        budgets={name: f"{minutes:g}" for name, minutes in budgets.items()},
        speed=speeds[-1] if speeds else None,
        machines=sorted(machines),
    )


def _machines(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [r["machine"] for r in found]


def main(argv: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="python -m benchmarks.structure_property")
    made.add_argument("--seeds", type=seed_list, default=seed_list("0-9"), help="0-29 or 1,3,5")
    made.add_argument("--scenes", nargs="+", choices=list(SCENES), default=list(SCENES))
    made.add_argument("--policies", nargs="+", choices=POLICIES, default=list(POLICIES))
    made.add_argument("--out", type=Path, default=RESULTS / "structure_property.jsonl")
    made.add_argument("--data", type=Path, help=f"folder of recorded data (or {VARIABLE})")
    made.add_argument("--speed", action="store_true", help="time decisions over 10,000 positions")
    made.add_argument("--table", action="store_true", help="only what is there already")
    made.add_argument("--page", action="store_true", help="write docs/structure-property.md")
    args = made.parse_args(argv)
    if args.data:
        os.environ[VARIABLE] = str(args.data)
    try:
        if args.speed:
            print(speed(args.out))
        elif not args.table:
            for r in run_missing(args.out, args.scenes, args.policies, args.seeds):
                last = r["looks"][-1]
                told = f"R² {last['r2']:.2f}, regret {last['regret']:.2f}, {r['mean_s']:.2g} s"
                print(f"{r['scene']}, {r['policy']}, seed {r['seed']}: {told}", flush=True)
    except (DataMissingError, PeerMissingError) as error:
        print(error, file=sys.stderr)
        return 1
    found = records(args.out)
    for scene in args.scenes:
        print(f"\n{scene}\n\n{table(found, scene)}")
    if args.page:
        (CHECKOUT / "docs" / "structure-property.md").write_text(page(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
