"""Does the watch keep up? ``python -m benchmarks.realtime``.

Spectra of 1,024 channels for each second of one core (processor time, so that a busy machine does
not count), in chunks as they come from an instrument; then, on simulated streams, the rate of false
alarms, the share of novel spectra found and the delay until a lasting change is reported, against
the size of the feature. The streams are mixtures of three bands behind a zero loss with Poisson
noise; the feature is a band that none of them has.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from probewise.analysis import Watch

Floats = NDArray[np.float64]

GOAL_PER_S = 100.0
CHANNELS = np.arange(1024.0)
_BEGIN = 200
"""Spectra at the beginning that teach what is usual and are not counted."""


def stream(n: int, rng: np.random.Generator) -> Floats:
    """Expected counts (n, 1024)."""
    zero = 2000 * np.exp(-0.5 * ((CHANNELS - 60) / 6) ** 2) + 50 * np.exp(-CHANNELS / 400)
    places = ((300, 30), (500, 50), (700, 40))
    bands = [60 * np.exp(-0.5 * ((CHANNELS - c) / w) ** 2) for c, w in places]
    return zero + rng.dirichlet([1, 1, 1], n) @ np.array(bands)


def feature() -> Floats:
    """A band of height 1 at channel 850, 20 channels wide."""
    return np.exp(-0.5 * ((CHANNELS - 850) / 20) ** 2)


def pace(chunk: int, n: int) -> tuple[float, float]:
    """Spectra a second of processor time, and seconds of it for the slowest chunk."""
    data = np.random.default_rng(0).poisson(stream(n, np.random.default_rng(1))).astype(float)
    watch, taken = Watch(total=n), []
    for k in range(0, n, chunk):
        begin = time.process_time()
        watch.update(data[k : k + chunk], elapsed_s=0.01 * k)
        taken.append(time.process_time() - begin)
    return n / sum(taken), max(taken)


def alarms(n: int, seeds: Sequence[int], chunk: int) -> tuple[float, float]:
    """Share of spectra called novel, and alarms of change per 10,000, where nothing happens."""
    novel = changed = count = 0
    for seed in seeds:
        rng, watch = np.random.default_rng(seed), Watch()
        data = rng.poisson(stream(n, rng)).astype(float)
        for k in range(0, n, chunk):
            state = watch.update(data[k : k + chunk])
            if k >= _BEGIN:
                novel += int(state.novel.sum())
                changed += state.changed
                count += chunk
    return novel / count, 1e4 * changed / count


def novelty(height: float, seeds: Sequence[int], chunk: int) -> float:
    """Share of single spectra with the feature that are found."""
    found = 0
    for seed in seeds:
        rng, watch = np.random.default_rng(seed), Watch()
        expected = stream(_BEGIN + 100, rng)
        expected[_BEGIN + 50] += height * feature()
        data = rng.poisson(expected).astype(float)
        novel = [watch.update(data[k : k + chunk]).novel for k in range(0, len(data), chunk)]
        found += bool(np.concatenate(novel)[_BEGIN + 50])
    return found / len(seeds)


def delays(height: float, seeds: Sequence[int]) -> list[float]:
    """Spectra from the begin of a lasting change to its alarm, infinite if none of 200 gave it."""
    found = []
    for seed in seeds:
        rng, watch = np.random.default_rng(seed), Watch()
        expected = stream(_BEGIN + 200, rng)
        expected[_BEGIN:] += height * feature()
        data = rng.poisson(expected).astype(float)
        after = [k for k in range(len(data)) if watch.update(data[k : k + 1]).changed]
        found.append(next((k - _BEGIN + 1.0 for k in after if k >= _BEGIN), np.inf))
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.realtime", description=__doc__)
    parser.add_argument("--spectra", type=int, default=1000, help="a stream")
    parser.add_argument("--streams", type=int, default=10)
    args = parser.parse_args(argv)
    seeds = range(args.streams)
    with threadpool_limits(1):
        print("| Chunk | Spectra a core second | Times the goal of 100 | Slowest chunk |")
        print("|---|---|---|---|")
        for chunk in (1, 10, 100):
            rate, slowest = pace(chunk, args.spectra)
            print(
                f"| {chunk} | {rate:.0f} | {rate / GOAL_PER_S:.1f} | {slowest:.3f} s |", flush=True
            )
        share, changed = alarms(args.spectra, seeds, 10)
        print(
            f"\nNothing happens: {share:.2e} of the spectra called novel (5e-4 promised), ", end=""
        )
        print(f"{changed:.1f} alarms of change per 10,000 spectra (2 promised)\n", flush=True)
        print(
            "| Feature, counts at its top | Single ones found | Change: median delay (quartiles) |"
        )
        print("|---|---|---|")
        for height in (1.0, 2.0, 4.0, 8.0):
            low, middle, high = np.quantile(
                delays(height, seeds), [0.25, 0.5, 0.75], method="nearest"
            )
            print(
                f"| {height:g} | {novelty(height, seeds, 10):.0%} |"
                f" {middle:.0f} ({low:.0f} to {high:.0f}) spectra |",
                flush=True,
            )


if __name__ == "__main__":
    main()
