"""The probe of the STEM twin: what defocus and astigmatism make of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SOURCE_nm = 0.35
"""Standard deviation of the probe in focus: source size and diffraction together."""
_CONVERGENCE = 0.012
"""Semi-angle of convergence in radians; a defocus of 100 nm blurs to 1.2 nm."""
_WANDER_nm_per_s = 0.01


@dataclass
class Optics:
    """The column: what it is set to, and what it really is.

    ``error_nm`` is the hidden distance from the set defocus to the true one, ``astigmatism_nm`` the
    hidden astigmatism (along the axes, along the diagonals); both wander with time.
    """

    rng: np.random.Generator
    voltage_kV: float = 100.0
    current_pA: float = 40.0
    defocus_nm: float = 0.0
    error_nm: float = field(init=False)
    astigmatism_nm: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.error_nm = float(self.rng.normal(0.0, 60.0))
        self.astigmatism_nm = self.rng.normal(0.0, 30.0, 2)

    def age(self, seconds: float) -> None:
        """Let time pass: the lenses wander."""
        step = _WANDER_nm_per_s * np.sqrt(max(seconds, 0.0))
        self.error_nm += float(self.rng.normal(0.0, step))
        self.astigmatism_nm = self.astigmatism_nm + self.rng.normal(0.0, 0.3 * step, 2)

    def covariance_nm2(
        self, defocus_nm: float = 0.0, astigmatism_nm: Floats | None = None
    ) -> Floats:
        """Covariance (y, x) of the probe's intensity, with trial corrections added.

        A geometric probe: each ray of angle a lands at a times (defocus + astigmatism).
        """
        off = self.defocus_nm + self.error_nm + defocus_nm
        along, across = self.astigmatism_nm + (0.0 if astigmatism_nm is None else astigmatism_nm)
        blur = _CONVERGENCE / 2.0 * np.array([[off - along, across], [across, off + along]])
        return _SOURCE_nm**2 * np.eye(2) + blur @ blur.T

    @property
    def probe_nm(self) -> float:
        """Diameter of the disc that a parked probe spreads over: four standard deviations."""
        return float(4.0 * np.sqrt(np.trace(self.covariance_nm2()) / 2.0))


def blurred(image: Floats, pixel_nm: tuple[float, float], covariance_nm2: Floats) -> Floats:
    """An image convolved with a Gaussian probe, its edges continued by reflection.

    Incoherent imaging: intensity is convolved with intensity (Pennycook and Jesson,
    Ultramicroscopy 37, 14 (1991)).
    """
    reach = 4.0 * np.sqrt(np.diag(covariance_nm2)) / pixel_nm
    pad = [min(int(np.ceil(r)), n - 1) for r, n in zip(reach, image.shape, strict=True)]
    wide = np.pad(image, [(p, p) for p in pad], mode="reflect")
    ky = np.fft.fftfreq(wide.shape[0], pixel_nm[0])[:, None]
    kx = np.fft.rfftfreq(wide.shape[1], pixel_nm[1])[None, :]
    c = covariance_nm2
    power = c[0, 0] * ky**2 + 2.0 * c[0, 1] * ky * kx + c[1, 1] * kx**2
    soft = np.fft.irfft2(np.fft.rfft2(wide) * np.exp(-2.0 * np.pi**2 * power), wide.shape)
    inner = tuple(slice(p, p + n) for p, n in zip(pad, image.shape, strict=True))
    return soft[inner]


def sharpness(image: Floats) -> float:
    """How steep an image is: mean squared step over two pixels, over the squared mean.

    What counting noise adds to it, twice the mean, is taken off.
    """
    mean = float(np.mean(image))
    steps = [np.mean((image[2:] - image[:-2]) ** 2), np.mean((image[:, 2:] - image[:, :-2]) ** 2)]
    return (float(np.mean(steps)) - 2.0 * mean) / max(mean, 1e-12) ** 2


def vertex(at: Floats, height: Floats) -> float:
    """Where the parabola through the highest of the points and its neighbours is highest."""
    top = int(np.clip(np.argmax(height), 1, len(at) - 2))
    a, b, c = height[top - 1 : top + 2]
    bend = a - 2.0 * b + c
    shift = 0.0 if bend >= 0 else 0.5 * (a - c) / bend
    return float(at[top] + np.clip(shift, -1.0, 1.0) * (at[1] - at[0]))
