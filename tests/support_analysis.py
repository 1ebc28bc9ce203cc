"""Jobs for the workers of spectra, images and streams, on simulated data."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from probewise.agents import example_job
from probewise.workflow import Array, Axis, Job, Step, WorkerSpec

BIAS = 16 / np.pi * np.arcsin(np.sin(2 * np.pi * np.arange(1, 65) / 64))
RNG = np.random.default_rng(0)
UNITS = (
    {
        "plasmon_energy": "eV",
        "plasmon_width": "eV",
        "particle_density": "1/nm**2",
        "wall_density": "1/nm",
        "edge_density": "1/nm",
    }
    | dict.fromkeys(("particle_diameter", "atom_spacing", "wall_length", "edge_length"), "nm")
    | (
        dict.fromkeys(("coercive_up", "coercive_down", "imprint", "loop_window"), "V")
        | dict.fromkeys(("nucleation_up", "nucleation_down", "response_A_over_B"), "V")
    )
)


def curves(data: np.ndarray, x: np.ndarray, unit: str) -> Array:
    axes = (Axis("position", "1", np.arange(float(len(data)))), Axis("x", unit, x, "spectral"))
    return Array(data, "1", axes, metadata={"n_cols": 2.0})


def image(data: np.ndarray, pixel: float = 0.5) -> Array:
    axes = tuple(
        Axis(n, "nm", pixel * np.arange(k), "spatial")
        for n, k in zip("yx", data.shape, strict=True)
    )
    return Array(data, "1", axes)


def low_loss(n: int = 3) -> Array:
    energy = np.arange(-0.6, 4.4, 0.02)
    clean = 1e5 * np.exp(-0.5 * (energy / 0.07) ** 2) + 300 / (1 + ((energy - 2.2) / 0.2) ** 2)
    return curves(RNG.poisson(np.tile(clean + 5.0, (n, 1))).astype(float), energy, "eV")


def core_loss() -> Array:
    energy = np.arange(220.0, 600.0)
    clean = 3000 * (energy / 250) ** -3.0
    for onset in (284.0, 532.0):
        clean = clean + np.where(energy >= onset, 150 * (energy / onset) ** -3.0, 0.0)
    return curves(RNG.poisson(np.tile(clean, (2, 1))).astype(float), energy, "eV")


def loops() -> Array:
    rising = np.roll(BIAS, 1) < BIAS
    state = np.where(rising, np.tanh((BIAS - 3) / 0.7), np.tanh((BIAS + 2) / 0.7))
    return curves(10 * state + 0.5 * RNG.standard_normal((3, 64)), BIAS, "V")


def sweeps() -> Array:
    volts = np.linspace(0.1, 3, 20)
    clean = 2 * volts + 1.5 * volts**2 + 0.1 * volts**3
    return curves(clean + 0.1 * RNG.standard_normal((3, 20)), volts, "V")


def particles() -> Array:
    rows, cols = np.mgrid[:80, :80]
    clean = np.zeros((80, 80))
    for row, col in ((25, 25), (50, 55)):
        clean += 200 * np.sqrt(np.maximum(1 - ((rows - row) ** 2 + (cols - col) ** 2) / 64, 0))
    clean = 10 + gaussian_filter(clean, 1.0)
    return image(RNG.poisson(clean).astype(float))


def columns() -> Array:
    rows, cols = np.mgrid[:32, :32]
    clean = 5 + 80 * (np.cos(np.pi * rows / 10) * np.cos(np.pi * cols / 10)) ** 8
    return image(RNG.poisson(clean).astype(float), 0.03)


def domains() -> Array:
    rows = np.mgrid[:64, :64][0]
    return image(10 * np.tanh((rows - 31.3) / 1.5) + RNG.standard_normal((64, 64)))


def stream(n: int) -> Array:
    x = np.arange(128.0)
    clean = 500 * np.exp(-0.5 * ((x - 20) / 5) ** 2) + 60 * np.exp(-0.5 * ((x - 80) / 9) ** 2) + 30
    return curves(RNG.poisson(np.tile(clean, (n, 1))).astype(float), x, "eV")


def job(
    capability: str, produces: str, *arrays: Array, records: str = "", name: str = "given"
) -> Job:
    fields = {
        "name": capability,
        "level": 2 if capability == "watch_stream" else 1,
        "acts_on": "site",
        "consumes": f"{name} [1]",
        "produces": tuple(f"{p} [{UNITS.get(p, '1')}]" for p in produces.split()),
        "records": tuple(f"{r} [1]" for r in records.split()),
        "cost_credits": 0.1,
    }
    return example_job(Step.model_validate(fields), arrays={name: arrays})


SPECTRA = [
    job("reject_spikes", "spike_share", low_loss(), records="clean_spectra"),
    job("fit_plasmon", "plasmon_energy plasmon_width plasmon_area", low_loss()),
    job("fit_edges", "signal_C fraction_C fraction_O", core_loss()),
    job(
        "loop_parameters",
        "loop_area remanence coercive_up coercive_down imprint loop_window nucleation_up"
        " nucleation_down",
        loops(),
    ),
    job("fit_sweep", "response_A response_B response_C response_A_over_B", sweeps()),
    job("integrate_loss", "loss_share", low_loss()),
]
IMAGES = [
    job("find_particles", "particle_density particle_diameter", particles()),
    job("find_atoms", "atom_spacing", columns()),
    job("find_walls", "wall_length wall_density", domains()),
    job("find_edges", "edge_length edge_density", particles()),
    job("describe_patches", "particle_diameter image_contrast", particles()),
]
STREAMS = [
    job("watch_stream", "good_share novel_share novelty", stream(40), stream(20), records="mask")
]

WORKERS = {
    "spectrum-analysis": (
        WorkerSpec(
            type="spectrum-analysis",
            config={"edges": "C 284 50 50 1.0; O 532 50 50 0.5", "peaks": 1},
        ),
        SPECTRA,
    ),
    "image-analysis": (WorkerSpec(type="image-analysis"), IMAGES),
    "stream-watch": (WorkerSpec(type="stream-watch"), STREAMS),
}
"""Worker type to its specification and at least one job for each capability."""
