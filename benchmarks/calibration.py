"""Are the errors of the analysis right? ``python -m benchmarks.calibration``.

Prints, as a Markdown table, every quantity with its method and the root mean square of its z-scores
on simulated cases: 1 if the stated standard deviations are right, more if they are too small.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from ._calibration_cases import CASES, scores


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--cases", type=int, default=400, help="simulated cases a method")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", default=list(CASES), choices=list(CASES))
    args = parser.parse_args(argv)
    print("| Quantity | Unit | Method, source | How its error is made | z rms | z mean |")
    print("|---|---|---|---|---|---|")
    for name in args.methods:
        case = CASES[name]
        for quantity, z in scores(name, args.cases, args.seed).items():
            print(
                f"| {quantity} | {case.units[quantity]} | {case.source} | {case.error} |"
                f" {np.sqrt(np.mean(z**2)):.2f} | {np.mean(z):+.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
