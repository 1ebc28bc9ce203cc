"""Detectors on pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probewise.instruments import DETECTORS, detect
from probewise.workflow import Array, Axis, Detect, Point, SpecError

NM = np.linspace(0.0, 126.0, 64)
DISCS = ((40.0, 40.0, 16.0), (90.0, 60.0, 10.0), (40.0, 100.0, 8.0))


def picture() -> Array:
    y, x = np.meshgrid(NM, NM, indexing="ij")
    data = np.full(y.shape, 5.0)
    for cy, cx, radius in DISCS:
        data[np.hypot(y - cy, x - cx) < radius] = 50.0 + cy
    axes = (Axis("y", "nm", NM, "spatial"), Axis("x", "nm", NM, "spatial"))
    return Array(data + np.random.default_rng(0).normal(0, 1.0, y.shape), "count", axes)


def found(name: str, count: int = 16, apart_nm: float = 6.0) -> list[Point]:
    return list(detect(Detect(find=name, count=count, apart_nm=apart_nm), picture()))


def test_particles_are_found_at_their_centres_the_largest_first() -> None:
    places = found("particles")
    assert len(places) == 3
    for place, (y, x, _) in zip(places, DISCS, strict=True):
        assert np.hypot(place.y_nm - y, place.x_nm - x) < 3.0


def test_edges_lie_on_the_rims() -> None:
    places = found("edges", 20)
    assert 12 <= len(places) <= 20
    for p in places:
        off = [abs(np.hypot(p.y_nm - y, p.x_nm - x) - r) for y, x, r in DISCS]
        assert min(off) < 3.5


def test_the_brightest_places_lie_in_the_brightest_disc() -> None:
    first = found("brightest", 3)[0]
    y, x, r = DISCS[1]
    assert np.hypot(first.y_nm - y, first.x_nm - x) < r


@given(st.integers(1, 200))
def test_a_grid_has_at_most_as_many_places_as_were_asked_for(count: int) -> None:
    places = found("grid", count)
    assert 0.4 * count <= len(places) <= count
    assert all(0 <= p.y_nm <= NM[-1] and 0 <= p.x_nm <= NM[-1] for p in places)


@pytest.mark.parametrize("name", ["brightest", "edges"])
def test_places_keep_their_distance(name: str) -> None:
    places = np.array([(p.y_nm, p.x_nm) for p in found(name, 30, 10.0)])
    gaps = np.abs(places[:, None] - places[None]).max(axis=-1) + 1e9 * np.eye(len(places))
    assert gaps.min() >= 10.0


@pytest.mark.parametrize("name", sorted(set(DETECTORS) - {"grid"}))
def test_where_nothing_is_nothing_is_found(name: str) -> None:
    flat = Array(np.full((64, 64), 3.0), "count", picture().axes)
    assert detect(Detect(find=name), flat) == ()


def test_a_spectrum_is_no_image() -> None:
    with pytest.raises(SpecError, match="image"):
        detect(Detect(find="edges"), Array(np.zeros(64), "count", picture().axes[:1]))
