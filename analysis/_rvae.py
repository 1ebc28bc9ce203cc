"""Local structure independent of its orientation: a variational autoencoder with an angle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

Floats = NDArray[np.float64]

_RINGS = 8
_SPOKES = 48
_ORDERS = 8
_FINE = 16
"""Angles between two spokes at which the likelihood is looked up."""


@dataclass(frozen=True)
class Encoded:
    """What describes patches (n,): latent coordinates (n, latent), which do not change with
    rotation, and the angle in radians by which each is turned against its kind; with errors.

    Angles are from -pi to pi, about an origin of each kind that is as it happens to be. Where a
    motif is symmetric, one of its angles is given and the error is large.
    """

    latent: Floats
    latent_std: Floats
    angle_rad: Floats
    angle_std_rad: Floats


@final
class RotationInvariantVae:
    """Learns what square patches have in common, whatever way they are turned.

    The idea is that of T. Bepler et al., NeurIPS 2019 (spatial VAE), and of the rVAE of S. V.
    Kalinin et al., Sci. Adv. 7, eabd5084 (2021): one latent variable of the decoder is an angle.
    Here patches are sampled on rings and spokes, so that a rotation is a shift along the spokes;
    the angle is then summed over exactly instead of being guessed by the encoder (which gets caught
    in wrong angles), and the encoder sees only what a rotation leaves alone: power and relative
    phases of the angular Fourier orders.

    Needs torch for ``fit``, not afterwards.

    Parameters
    ----------
    latent
        Number of latent coordinates beside the angle.
    """

    def __init__(self, latent: int = 2) -> None:
        if latent < 1:
            raise ValueError(f"{latent} latent coordinates: at least 1")
        self.latent = latent
        self._weights: Mapping[str, Floats] = {}
        self._center, self._scale, self.noise = 0.0, 1.0, 1.0
        self._feature_center, self._feature_scale = np.zeros(1), np.ones(1)

    def fit(self, patches: Floats, *, steps: int = 600, seed: int = 0) -> RotationInvariantVae:
        """Learn from patches (n, side, side), n at least 16, side at least 8; returns itself.

        Raises
        ------
        ValueError
            If the shape is another, or a pixel is not finite.
        """
        data = self._checked(patches)
        if len(data) < 16:
            raise ValueError(f"{len(data)} patches; at least 16 are needed")
        from ._rvae_training import train

        self._center, self._scale = float(data.mean()), max(float(data.std()), 1e-12)
        polar = self._polar(data)
        features = _features(polar)
        self._feature_center = features.mean(axis=0)
        self._feature_scale = np.maximum(features.std(axis=0), 1e-6)
        self._weights, noise = train(
            polar, self._shown(features), _area(data.shape[1]), self.latent, steps, seed
        )
        self.noise = noise / _interpolated(data.shape[1])
        return self

    def encode(self, patches: Floats) -> Encoded:
        """Latent coordinates and angle of patches (n, side, side).

        The angle is the mean of its posterior distribution, given the decoded motif and the noise;
        its error is that distribution's circular standard deviation.

        Raises
        ------
        ValueError
            If it has not been fitted, or the shape is another.
        """
        data = self._checked(patches)
        if not self._weights:
            raise ValueError("not fitted yet: call fit first")
        polar = self._polar(data)
        given = self._layers("encoder", self._shown(_features(polar)))
        mean, log_std = np.split(given, 2, axis=1)
        template = self._layers("decoder", mean).reshape(polar.shape)
        angle, spread = self._angles(polar, template, _area(data.shape[1]))
        return Encoded(mean, np.exp(log_std), angle, spread)

    def decode(self, latent: Floats, side: int = 32) -> Floats:
        """Motifs (n, side, side) at latent coordinates (n, latent), at angle 0; 0 outside the
        circle that was learnt, in the unit of the patches."""
        polar = self._layers("decoder", np.atleast_2d(latent)).reshape(-1, _RINGS, _SPOKES)
        grid = np.linspace(-1.0, 1.0, side)
        radius = np.hypot(grid[:, None], grid)
        ring = radius * _RINGS - 0.5
        spoke = np.mod(np.arctan2(grid[:, None], grid) / (2 * np.pi) * _SPOKES, _SPOKES)
        wide = np.concatenate([polar, polar[:, :, :1]], axis=2)
        images = [map_coordinates(w, [ring, spoke], order=1, mode="nearest") for w in wide]
        inside = np.where(radius <= 1.0, 1.0, 0.0)
        return (np.array(images) * self._scale + self._center) * inside

    def _checked(self, patches: Floats) -> Floats:
        data = np.asarray(patches, dtype=np.float64)
        if data.ndim != 3 or data.shape[1] != data.shape[2] or data.shape[1] < 8:
            raise ValueError(f"patches of shape {data.shape}, not (n, side, side) from 8 pixels")
        if not np.isfinite(data).all():
            raise ValueError("pixels that are not finite")
        return data

    def _polar(self, data: Floats) -> Floats:
        return (_drawn(data) - self._center) / self._scale

    def _shown(self, features: Floats) -> Floats:
        return (features - self._feature_center) / self._feature_scale

    def _layers(self, part: str, x: Floats) -> Floats:
        """Linear layers with tanh between them."""
        names = sorted(
            k[:-7] for k in self._weights if k.startswith(part) and k.endswith(".weight")
        )
        for k, name in enumerate(names):
            x = x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
            if k < len(names) - 1:
                x = np.tanh(x)
        return x

    def _angles(self, polar: Floats, template: Floats, area: Floats) -> tuple[Floats, Floats]:
        """Mean and circular standard deviation of the angle, from the likelihood at fine angles."""
        fine = _SPOKES * _FINE
        spectrum = np.fft.rfft(area[:, None] * polar, axis=2) * np.fft.rfft(template, axis=2).conj()
        overlap = np.fft.irfft(spectrum.sum(axis=1), n=fine, axis=1) * _FINE
        log = overlap / self.noise**2
        weight = np.exp(log - log.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        turned = np.exp(2j * np.pi * np.arange(fine) / fine)
        mean = weight @ turned
        length = np.clip(np.abs(mean), 1e-12, 1.0 - 1e-15)
        return np.angle(mean), np.sqrt(-2.0 * np.log(length))


def _drawn(data: Floats) -> Floats:
    """Patches (n, side, side) on rings and spokes (n, rings, spokes), by cubic splines."""
    middle = 0.5 * (data.shape[1] - 1)
    radius = (np.arange(_RINGS) + 0.5) / _RINGS * middle
    angle = 2.0 * np.pi * np.arange(_SPOKES) / _SPOKES
    rows = middle + radius[:, None] * np.sin(angle)
    cols = middle + radius[:, None] * np.cos(angle)
    return np.array([map_coordinates(p, [rows, cols], order=3, mode="nearest") for p in data])


def _interpolated(side: int) -> float:
    """What interpolation leaves of the standard deviation of white noise, from noise."""
    drawn = _drawn(np.random.default_rng(0).standard_normal((32, side, side)))
    area = np.broadcast_to(_area(side)[:, None], drawn.shape[1:])
    return float(np.sqrt(np.average(np.mean(drawn**2, axis=0), weights=area)))


def _area(side: int) -> Floats:
    """How many pixels one sample of each ring stands for."""
    radius = (np.arange(_RINGS) + 0.5) / _RINGS * 0.5 * (side - 1)
    return 2.0 * np.pi * radius * (0.5 * (side - 1) / _RINGS) / _SPOKES


def _features(polar: Floats) -> Floats:
    """Powers of the angular Fourier orders of each ring, and products of neighbouring rings'."""
    orders = np.fft.rfft(polar, axis=2)[:, :, : _ORDERS + 1] / _SPOKES
    power = np.abs(orders)
    cross = orders[:, :-1, 1:] * orders[:, 1:, 1:].conj()
    cross = cross / np.sqrt(np.abs(cross) + 1e-12)
    parts = [orders[:, :, 0].real, power[:, :, 1:], cross.real, cross.imag]
    return np.concatenate([p.reshape(len(polar), -1) for p in parts], axis=1)
