"""Trains the network that finds atomic columns: ``python -m benchmarks.train_atoms``.

Simulated images only, seeded, one thread; writes the weights into the package, or to ``--out``. It
prints the loss, and precision and recall on simulated images that it has not seen, beside
those of local maxima of the smoothed image.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from probewise.analysis import find_columns
from probewise.analysis._atom_images import AtomImage, columns, simulate_atoms
from probewise.analysis._atoms import Method
from probewise.analysis._unet import LAYERS, WEIGHTS, normalized

_SIZE = 64
_BATCH = 12
_BLOB_px = 1.5
_MATCH_px = 2.5
METHODS: tuple[Method, ...] = ("network", "maxima")


class UNet(nn.Module):
    """The network of ``analysis/_unet.py``, for training."""

    def __init__(self) -> None:
        super().__init__()
        for name, (given, made) in LAYERS.items():
            setattr(self, name, nn.Conv2d(given, made, 3, padding=1))
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (batch, 1, n, m)."""
        one = self._twice(x, "down1")
        two = self._twice(functional.max_pool2d(one, 2), "down2")
        deep = self._twice(functional.max_pool2d(two, 2), "deep")
        up = torch.cat([functional.interpolate(deep, scale_factor=2), two], dim=1)
        up = self._twice(up, "up2")
        up = torch.cat([functional.interpolate(up, scale_factor=2), one], dim=1)
        return self.out(self._twice(up, "up1"))

    def _twice(self, x: torch.Tensor, name: str) -> torch.Tensor:
        for part in "ab":
            x = functional.relu(getattr(self, name + part)(x))
        return x


def batch(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as the network sees them, and what it should say."""
    made = [simulate_atoms(rng, _SIZE) for _ in range(_BATCH)]
    shown = np.stack([normalized(m.image) for m in made])
    wanted = np.stack(
        [columns(_SIZE, m.positions, np.ones(len(m.positions)), _BLOB_px) for m in made]
    )
    return (
        torch.from_numpy(shown[:, None]).float(),
        torch.from_numpy(np.minimum(wanted, 1.0)[:, None]).float(),
    )


def train(steps: int, seed: int) -> UNet:
    """Adam with a cosine schedule on binary cross-entropy."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = UNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    running = 0.0
    for step in range(steps):
        shown, wanted = batch(rng)
        loss = functional.binary_cross_entropy_with_logits(model(shown), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        running += float(loss.detach())
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: loss {running / 100:.4f}", flush=True)
            running = 0.0
    return model


def save(model: UNet, path: Path) -> None:
    """Half precision is enough, and half the size."""
    state = {k: v.numpy().astype(np.float16) for k, v in model.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **state)


def score(method: Method, counts: tuple[float, float], seeds: Sequence[int]) -> tuple[float, float]:
    """Precision and recall on images of 128 x 128 pixels with columns of ``counts`` at the peak."""
    hits = found = present = 0
    for seed in seeds:
        made = simulate_atoms(np.random.default_rng(seed), 128, peak_counts=counts)
        h, f, p = matched(find_columns(made.image, method=method), made)
        hits, found, present = hits + h, found + f, present + p
    return hits / max(found, 1), hits / max(present, 1)


def matched(guess: NDArray[np.float64], made: AtomImage) -> tuple[int, int, int]:
    """Columns found within 2.5 pixels, guesses and columns at least 4 pixels inside the image."""
    edge = len(made.image) - 5.0
    inner = [x[np.all((x >= 4.0) & (x <= edge), axis=1)] for x in (guess, made.positions)]
    if not len(guess) or not len(made.positions):
        return 0, len(inner[0]), len(inner[1])
    near = np.linalg.norm(inner[1][:, None] - guess[None], axis=-1).min(axis=1, initial=np.inf)
    return int(np.sum(near < _MATCH_px)), len(inner[0]), len(inner[1])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.train_atoms", description=__doc__)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--score-only", action="store_true", help="only judge the stored weights")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if not args.score_only:
        save(train(args.steps, args.seed), args.out)
        print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")
    seeds = range(100_000, 100_030)
    for counts in ((6.0, 12.0), (12.0, 30.0), (60.0, 120.0)):
        for method in METHODS:
            precision, recall = score(method, counts, seeds)
            print(f"{counts} counts, {method}: precision {precision:.3f}, recall {recall:.3f}")


if __name__ == "__main__":
    main()
