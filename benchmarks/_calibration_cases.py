"""Simulated cases with a known truth, one function for each method of analysis.

A case gives, for every quantity, the deviation from the truth over the stated standard deviation.
The simulations are this module's own; where a shape is needed it is drawn on a finer grid than the
method's, so that a method is not compared with itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as moved

from probewise.analysis import (
    DriftTracker,
    Edge,
    Noise,
    Progress,
    composition,
    edge_signal,
    find_particles,
    find_walls,
    fit_atoms,
    fit_plasmon,
    fit_sweep,
    loop_parameters,
    register,
    reject_spikes,
)
from probewise.analysis._analyst import combined
from probewise.analysis._image_analysis import density
from probewise.analysis._particles import Particles
from probewise.workflow import Estimate

Floats = NDArray[np.float64]
Scores = Mapping[str, float]


@dataclass(frozen=True)
class Case:
    """A method: its source, how its error is made, the unit of each quantity, and the
    simulation."""

    source: str
    error: str
    units: Mapping[str, str]
    simulate: Callable[[np.random.Generator], Scores]


def _z(estimate: Estimate, truth: float) -> float:
    return (estimate.value - truth) / estimate.std


def plasmon(rng: np.random.Generator) -> Scores:
    """One Lorentzian on a power-law tail, 350 channels, Poisson noise; the noise is not told."""
    energy = np.arange(-0.6, 4.4, 0.015) + rng.uniform(-0.01, 0.01)
    at, width, height = rng.uniform(1.6, 2.8), rng.uniform(0.25, 0.6), rng.uniform(150, 800)
    zero = rng.uniform(-0.02, 0.02)
    loss = energy - zero
    clean = 1e5 * np.exp(-0.5 * (loss / 0.07) ** 2) + 40.0 * np.maximum(loss, 0.15) ** -2.0
    clean += height / (1.0 + ((loss - at) / (0.5 * width)) ** 2)
    fit = fit_plasmon(energy, rng.poisson(clean).astype(float), peaks=1)
    peak = fit.peaks[0]
    return {
        "plasmon_energy": _z(peak.energy_eV, at),
        "plasmon_width": _z(peak.width_eV, width),
        "plasmon_area": _z(peak.area_counts_eV, 0.5 * np.pi * width * height),
    }


def bulk_plasmon(rng: np.random.Generator) -> Scores:
    """One Drude peak of a free-electron metal, detector of gain 3 and read-out noise 5."""
    energy = np.arange(-4.0, 36.0, 0.1)
    at, width, factor = rng.uniform(12, 18), rng.uniform(2, 5), rng.uniform(50, 300)
    clean = 1e5 * np.exp(-0.5 * (energy / 0.5) ** 2) + 400.0 * np.maximum(energy, 1.0) ** -1.5
    x = np.maximum(energy, 1e-9)
    clean += factor * x * width * at**2 / ((x**2 - at**2) ** 2 + (x * width) ** 2)
    counts = 3.0 * rng.poisson(clean) + 5.0 * rng.standard_normal(len(x))
    fit = fit_plasmon(energy, counts, peaks=1, shape="drude")
    fine = np.linspace(1e-6, 4000.0, 400_000)
    curve = fine * width * at**2 / ((fine**2 - at**2) ** 2 + (fine * width) ** 2)
    area = 3.0 * factor * float(np.sum(curve) * (fine[1] - fine[0]))
    return {
        "plasma_energy": _z(fit.peaks[0].energy_eV, at),
        "damping": _z(fit.peaks[0].width_eV, width),
        "drude_area": _z(fit.peaks[0].area_counts_eV, area),
    }


def edges(rng: np.random.Generator) -> Scores:
    """Two edges, 284 and 532 eV, on one power law; detector of gain 2 and read-out noise 4."""
    energy, exponent = np.arange(220.0, 600.0, 0.5), rng.uniform(2.5, 3.5)
    clean = rng.uniform(500, 3000) * (energy / 250.0) ** -exponent
    made = {}
    for name, onset, height in (
        ("C", 284.0, rng.uniform(50, 300)),
        ("O", 532.0, rng.uniform(20, 90)),
    ):
        edge = np.where(energy >= onset, height * (energy / onset) ** -exponent, 0.0)
        made[name] = 2.0 * float(edge[(energy >= onset) & (energy < onset + 50.0)].sum())
        clean = clean + edge
    counts = 2.0 * rng.poisson(clean) + 4.0 * rng.standard_normal(len(energy))
    asked = (Edge(name="C", onset_eV=284), Edge(name="O", onset_eV=532, cross_section=0.5))
    found = [edge_signal(energy, counts, e) for e in asked]
    share = made["C"] / (made["C"] + made["O"] / 0.5)
    return {
        "signal (first edge)": _z(found[0].signal_counts, made["C"]),
        "signal (second edge)": _z(found[1].signal_counts, made["O"]),
        "background exponent": _z(found[0].exponent, exponent),
        "atomic fraction": _z(composition(found)["C"], share),
    }


def loop(rng: np.random.Generator) -> Scores:
    """A loop of 64 points with different branches, an offset and a slope, two spikes at times."""
    bias = 16 / np.pi * np.arcsin(np.sin(2 * np.pi * np.arange(1, 65) / 64))
    half, (up, down) = rng.uniform(5, 20), rng.uniform(1.5, 4, 2) * [1, -1]
    w_up, w_down = rng.uniform(0.5, 1.2, 2)
    rising = bias > np.roll(bias, 1)
    state = np.where(rising, np.tanh((bias - up) / w_up), np.tanh((bias - down) / w_down))
    clean = rng.uniform(-3, 3) + rng.uniform(-0.3, 0.3) * bias + half * state
    response = clean + rng.uniform(0.2, 1.0) * rng.standard_normal(64)
    if rng.random() < 0.5:
        response[[10, 40]] += rng.uniform(50, 200, 2)
    found = loop_parameters(bias, response)
    assert found is not None and found.switching is not None
    tenth = float(np.arctanh(0.8))

    def integral(middle: float, width: float) -> float:
        ends = np.log(np.cosh((np.array([8.0, -8.0]) - middle) / width))
        return half * width * float(ends[0] - ends[1])

    s = found.switching
    remanence = 0.5 * half * (np.tanh(-down / w_down) - np.tanh(-up / w_up))
    return {
        "loop_area": _z(found.area, integral(down, w_down) - integral(up, w_up)),
        "remanence": _z(s.remanence, float(remanence)),
        "coercive_up": _z(s.coercive_up_V, up),
        "coercive_down": _z(s.coercive_down_V, down),
        "imprint": _z(s.imprint_V, 0.5 * (up + down)),
        "loop_window": _z(s.window_V, 0.5 * (up - down)),
        "nucleation_up": _z(s.nucleation_up_V, up - tenth * w_up),
        "nucleation_down": _z(s.nucleation_down_V, down + tenth * w_down),
    }


def sweep(rng: np.random.Generator) -> Scores:
    """20 amplitudes from 0.1 to 3 V, one value a spike at times."""
    volts, (a, b, c) = np.linspace(0.1, 3, 20), rng.uniform([1, 1, -0.3], [3, 3, 0.3])
    response = a * volts + b * volts**2 + c * volts**3 + 0.1 * rng.standard_normal(20)
    if rng.random() < 0.3:
        response[7] += 30.0
    fit = fit_sweep(volts, response)
    assert fit.ratio is not None
    return {
        "response_A": _z(fit.A, a),
        "response_B": _z(fit.B, b),
        "response_C": _z(fit.C, c),
        "response_A_over_B": _z(fit.ratio, a / b),
    }


def spikes(rng: np.random.Generator) -> Scores:
    """A smooth curve of 96 channels with three spikes; the value put in the place of one."""
    x = np.arange(96.0)
    clean = 20.0 * np.sin(2 * np.pi * (x / 96 + rng.random())) + 0.1 * x
    data = clean + rng.uniform(0.5, 1.0) * rng.standard_normal(96)
    at = rng.choice(np.arange(5, 90, 6), 3, replace=False)
    data[at] += rng.choice([-1, 1], 3) * rng.uniform(30, 300, 3)
    result = reject_spikes(data[None])
    one = int(at[0])
    return {"replaced value": float((result.clean[0, one] - clean[one]) / result.std[0, one])}


def wall(rng: np.random.Generator) -> Scores:
    """A straight wall aslant through 64 x 64 pixels of white noise."""
    rows, cols = np.mgrid[:64, :64].astype(float)
    turn, at, width = rng.uniform(-0.5, 0.5), rng.uniform(25, 38), rng.uniform(1, 2.5)
    across = (cols - at) * np.cos(turn) + (rows - 31.5) * np.sin(turn)
    image = 10 * np.tanh(across / width) + rng.uniform(1, 5) * rng.standard_normal((64, 64))
    (curve,) = find_walls(image)
    k = len(curve.points_px) // 2
    row, col = curve.points_px[k]
    off = (col - at) * np.cos(turn) + (row - 31.5) * np.sin(turn)
    length = 55.0 / np.cos(turn)
    return {"wall position": off / curve.std_px[k], "wall_length": _z(curve.length_px, length)}


def _particle(rng: np.random.Generator, ball: bool) -> Scores:
    n, fine = 48, 8
    radius, center, blur = rng.uniform(4, 9), rng.uniform(18, 30, 2), rng.uniform(0.6, 1.5)
    grid = (np.arange(n * fine) + 0.5) / fine - 0.5
    square = (grid[:, None] - center[0]) ** 2 + (grid - center[1]) ** 2
    shape = np.sqrt(np.maximum(1 - square / radius**2, 0)) if ball else square < radius**2
    shape = gaussian_filter(np.asarray(shape, dtype=float), blur * fine)
    shape = shape.reshape(n, fine, n, fine).mean((1, 3))
    image = rng.poisson(rng.uniform(5, 30) + rng.uniform(50, 300) * shape).astype(float)
    found = find_particles(image, profile="sphere" if ball else "disc")
    assert len(found) == 1
    name = "sphere" if ball else "disc"
    return {
        f"position ({name})": float((found.centers_px - center)[0, 0] / found.centers_std_px[0, 0]),
        f"diameter ({name})": float(
            (found.diameters_px[0] - 2 * radius) / found.diameters_std_px[0]
        ),
    }


def sphere(rng: np.random.Generator) -> Scores:
    """A blurred ball under Poisson noise."""
    return _particle(rng, ball=True)


def disc(rng: np.random.Generator) -> Scores:
    """A blurred plate under Poisson noise."""
    return _particle(rng, ball=False)


def atoms(rng: np.random.Generator) -> Scores:
    """A column amid its neighbours on a displaced square lattice, spacing 9 pixels."""
    grid = np.arange(0, 46, 9.0) + 1.0
    points = np.array([(r, c) for r in grid for c in grid]) + 0.5 * rng.standard_normal((36, 2))
    heights, width = rng.uniform(40, 120, 36), rng.uniform(1.4, 2.0)
    rows, cols = np.mgrid[:48, :48]
    square = (rows[..., None] - points[:, 0]) ** 2 + (cols[..., None] - points[:, 1]) ** 2
    clean = 10.0 + (heights * np.exp(-0.5 * square / width**2)).sum(-1)
    near = np.linalg.norm(points - 23.5, axis=1).argmin()
    inner = np.linalg.norm(points - points[near], axis=1) < 11.0
    found = points[inner] + rng.uniform(-0.7, 0.7, (int(inner.sum()), 2))
    noise = Noise() if rng.random() < 0.5 else None
    fit = fit_atoms(rng.poisson(clean).astype(float), found, noise)
    k = int(np.flatnonzero(np.flatnonzero(inner) == near)[0])
    assert fit.good[k]
    return {
        "column position": float(
            (fit.positions_px - points[inner])[k, 0] / fit.positions_std_px[k, 0]
        ),
        "column height": float((fit.heights[k] - heights[near]) / fit.heights_std[k]),
        "column width": float((fit.widths_px[k] - width) / fit.widths_std_px[k]),
    }


def _scene(rng: np.random.Generator) -> Floats:
    return 10.0 * gaussian_filter(rng.standard_normal((112, 112)), 3.0)


def shift(rng: np.random.Generator) -> Scores:
    """Two frames of 48 x 48 pixels, both noisy, shifted by up to five pixels."""
    scene, by = _scene(rng), rng.uniform(-5, 5, 2)
    noise = rng.uniform(0.15, 1.0)
    frames = [
        x[32:80, 32:80] + noise * rng.standard_normal((48, 48))
        for x in (scene, moved(scene, by, order=5))
    ]
    found = register(frames[0], frames[1])
    return {
        "shift (rows)": _z(found.pixels[0], by[0]),
        "shift (columns)": _z(found.pixels[1], by[1]),
    }


def drift(rng: np.random.Generator) -> Scores:
    """Five frames, ten seconds apart."""
    scene, speed, tracker = _scene(rng), rng.uniform(-0.05, 0.05, 2), DriftTracker()
    frames = [moved(scene, speed * 10.0 * k, order=5)[32:80, 32:80] for k in range(5)]
    noise = 0.8 * rng.standard_normal((5, 48, 48))
    found = [
        tracker.update(f + n, 10.0 * k) for k, (f, n) in enumerate(zip(frames, noise, strict=True))
    ]
    velocity = found[-1].velocity_px_per_s
    assert velocity is not None
    return {"drift velocity": _z(velocity[0], speed[0])}


def remaining(rng: np.random.Generator) -> Scores:
    """100 chunks of 10 spectra whose times scatter by a fifth; asked after 40."""
    times = 1.0 + 0.2 * rng.standard_normal(100)
    progress, elapsed, found = Progress(1000), 0.0, None
    for k in range(40):
        found = progress.update(10, elapsed := elapsed + times[k])
    assert found is not None
    return {"remaining": _z(found, float(times[40:].sum()))}


def mean(rng: np.random.Generator) -> Scores:
    """20 places that differ by as much as their errors, or not at all."""
    between, errors = rng.choice([0.0, 1.0]), rng.uniform(0.5, 1.5, 20)
    values = 5.0 + np.hypot(between, errors) * rng.standard_normal(20)
    return {"mean over positions": _z(combined(values, errors), 5.0)}


def number(rng: np.random.Generator) -> Scores:
    """Discs of 6 to 20 pixels thrown at random, 0.001 a pixel, those at the border not seen."""
    count = rng.poisson(0.001 * 260**2)
    centers, diameters = rng.uniform(-30, 230, (count, 2)), rng.uniform(6, 20, count)
    inside = np.all(
        (centers > 0.5 * diameters[:, None]) & (centers < 200 - 0.5 * diameters[:, None]), 1
    )
    none = np.zeros(int(inside.sum()))
    pairs = np.zeros((len(none), 2))
    found = Particles(centers[inside], pairs, diameters[inside], none, none, none, none, 0)
    return {"particle_density": _z(density(found, (200, 200), 1.0), 0.001)}


_CURVATURE = "curvature of the fit, noise estimated from the data, scatter about the fit"

CASES: dict[str, Case] = {
    "plasmon": Case(
        "zero-loss tail (power law) and Lorentzians fitted together; Egerton 2011, ch. 5",
        _CURVATURE + "; zero of the scale added",
        {"plasmon_energy": "eV", "plasmon_width": "eV", "plasmon_area": "counts eV"},
        plasmon,
    ),
    "bulk_plasmon": Case(
        "Drude loss function, Egerton 2011, eq. 3.43",
        _CURVATURE + "; zero of the scale added",
        {"plasma_energy": "eV", "damping": "eV", "drude_area": "counts eV"},
        bulk_plasmon,
    ),
    "edges": Case(
        "power law before the edge, extrapolated; Egerton 2011, section 4.4",
        "counts of the window and covariance of the extrapolated background; cross-sections exact",
        {
            "signal (first edge)": "counts",
            "signal (second edge)": "counts",
            "background exponent": "1",
            "atomic fraction": "1",
        },
        edges,
    ),
    "loop": Case(
        "polygon area; two tanh steps on a line; Jesse et al., APL 88, 062908 (2006)",
        "area: linear in the noise; else " + _CURVATURE,
        {"loop_area": "response V", "remanence": "response"}
        | dict.fromkeys(
            (
                "coercive_up",
                "coercive_down",
                "imprint",
                "loop_window",
                "nucleation_up",
                "nucleation_down",
            ),
            "V",
        ),
        loop,
    ),
    "sweep": Case(
        "least squares of A V + B V^2 + C V^3",
        "scatter about the fit, Student's t; A/B: half of Fieller's interval",
        {
            "response_A": "response/V",
            "response_B": "response/V^2",
            "response_C": "response/V^3",
            "response_A_over_B": "V",
        },
        sweep,
    ),
    "spikes": Case(
        "running medians of 5, 7, 9 channels (Hampel 1974), line between neighbours",
        "noise of both ends of the line",
        {"replaced value": "of the data"},
        spikes,
    ),
    "wall": Case(
        "zero of the smoothed image (skimage find_contours), smoothed along itself",
        "noise over slope; length: variance of its direction, and its ends",
        {"wall position": "px", "wall_length": "px or nm"},
        wall,
    ),
    "sphere": Case(
        "Otsu, watershed (skimage), fit of a blurred ball",
        _CURVATURE,
        {"position (sphere)": "px", "diameter (sphere)": "px"},
        sphere,
    ),
    "disc": Case(
        "Otsu, watershed (skimage), fit of a blurred plate",
        _CURVATURE,
        {"position (disc)": "px", "diameter (disc)": "px"},
        disc,
    ),
    "number": Case(
        "inverse area in which each could be found (Miles-Lantuejoul)",
        "Poisson process",
        {"particle_density": "1/px^2 or 1/nm^2"},
        number,
    ),
    "atoms": Case(
        "U-Net, then Gaussians with the neighbours' taken off (Stetson 1987)",
        "curvature of the fit, noise told or estimated from the image",
        {"column position": "px", "column height": "counts", "column width": "px"},
        atoms,
    ),
    "shift": Case(
        "cross-correlation (skimage), then least squares",
        "scatter of what differs, smoothing taken into account",
        {"shift (rows)": "px", "shift (columns)": "px"},
        shift,
    ),
    "drift": Case(
        "line through the shifts",
        "errors of the shifts, common error of the reference, scatter",
        {"drift velocity": "px/s"},
        drift,
    ),
    "remaining": Case(
        "mean pace of the last 60 reports",
        "scatter of the reports, for the mean and for what is left",
        {"remaining": "s"},
        remaining,
    ),
    "mean": Case(
        "random effects (DerSimonian and Laird 1986)",
        "errors of the values and variance between places",
        {"mean over positions": "of the quantity"},
        mean,
    ),
}


def scores(name: str, cases: int, seed: int = 0) -> dict[str, Floats]:
    """z-scores (cases,) of every quantity of a method."""
    made = [CASES[name].simulate(np.random.default_rng([seed, k])) for k in range(cases)]
    return {quantity: np.array([m[quantity] for m in made]) for quantity in made[0]}
