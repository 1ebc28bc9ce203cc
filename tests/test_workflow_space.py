"""The design space: round trips, bounds, bad variables, libraries of sites."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probewise.workflow import (
    Continuous,
    Design,
    DesignSpaceError,
    Discrete,
    Library,
    Space,
    SpecError,
)

FINITE = st.floats(-1e6, 1e6, allow_nan=False).map(lambda v: round(v, 3))


@st.composite
def variables(draw: st.DrawFn, name: str) -> Continuous | Discrete:
    kind = draw(st.sampled_from(["linear", "log", "discrete"]))
    if kind == "discrete":
        values = draw(st.lists(FINITE, min_size=2, max_size=6, unique=True))
        return Discrete(name=name, values=tuple(sorted(values)))
    if kind == "log":
        low = draw(st.floats(1e-3, 1e3))
        return Continuous(name=name, low=low, high=low * draw(st.floats(1.5, 1e4)), scale="log")
    low = draw(FINITE)
    return Continuous(name=name, low=low, high=low + draw(st.floats(0.1, 1e6)))


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    names = [f"x{k}" for k in range(draw(st.integers(1, 4)))]
    return Space(variables=tuple(draw(variables(n)) for n in names))


def close(first: Design, second: Design, space: Space) -> bool:
    a, b = space.encode([first]), space.encode([second])
    return list(first) == list(second) and bool(np.allclose(a, b, atol=1e-9))


@given(space=spaces(), seed=st.integers(0, 2**31), n=st.integers(1, 5))
def test_decoded_designs_are_allowed_and_round_trip(space: Space, seed: int, n: int) -> None:
    unit = np.random.default_rng(seed).random((n, space.dim))
    designs = space.decode(unit)
    assert len(designs) == n
    for design in designs:
        assert space.check(design) == design
    encoded = space.encode(designs)
    assert encoded.shape == (n, space.dim)
    assert np.all((encoded > -1e-12) & (encoded < 1 + 1e-12))
    assert all(close(a, b, space) for a, b in zip(designs, space.decode(encoded), strict=True))


@given(values=st.lists(FINITE, min_size=2, max_size=8, unique=True))
def test_every_discrete_value_decodes_to_itself(values: list[float]) -> None:
    space = Space(variables=(Discrete(name="n", values=tuple(sorted(values))),))
    designs = [{"n": v} for v in sorted(values)]
    assert space.decode(space.encode(designs)) == designs


@given(space=spaces(), seed=st.integers(0, 1000))
def test_sobol_points_are_snapped_seeded_and_in_the_cube(space: Space, seed: int) -> None:
    points = space.sobol(7, seed)
    assert points.shape == (7, space.dim)
    np.testing.assert_array_equal(points, space.sobol(7, seed))
    np.testing.assert_allclose(points, space.encode(space.decode(points)), atol=1e-9)


def test_values_outside_the_cube_are_clipped() -> None:
    space = Space(variables=(Continuous(name="x", low=2.0, high=4.0),))
    assert space.decode([[-3.0], [9.0]]) == [{"x": 2.0}, {"x": 4.0}]


def test_log_scale_is_even_in_the_exponent() -> None:
    space = Space(variables=(Continuous(name="p", low=1.0, high=100.0, scale="log"),))
    assert space.decode([[0.5]])[0]["p"] == pytest.approx(10.0)


def test_empty_space_keeps_the_number_of_designs() -> None:
    space = Space()
    assert space.dim == 0
    assert space.encode([{}, {}]).shape == (2, 0)
    assert space.decode(np.zeros((2, 0))) == [{}, {}]


@pytest.mark.parametrize(
    ("design", "given"),
    [
        ({"x": 0.5}, "['x']"),
        ({"x": 0.5, "n": 1, "z": 0}, "'z'"),
        ({"x": 1.5, "n": 1}, "x=1.5"),
        ({"x": float("nan"), "n": 1}, "x=nan"),
        ({"x": 0.5, "n": 3}, "n=3"),
    ],
)
def test_bad_design_names_who_what_and_what_is_allowed(design: Design, given: str) -> None:
    space = Space.model_validate(
        {"variables": [{"name": "x", "low": 0, "high": 1}, {"name": "n", "values": [1, 2, 5]}]}
    )
    with pytest.raises(DesignSpaceError) as caught:
        space.check(design, who="sample 's1'")
    assert caught.value.who == "sample 's1'" and given in caught.value.given
    assert caught.value.allowed and caught.value.remedy
    assert "Remedy" in str(caught.value)


def test_check_puts_the_variables_in_the_order_of_the_space() -> None:
    space = Space.model_validate(
        {"variables": [{"name": "b", "low": 0, "high": 1}, {"name": "a", "low": 0, "high": 1}]}
    )
    assert list(space.check({"a": 0, "b": 1})) == ["b", "a"]


@pytest.mark.parametrize(
    "variable",
    [
        {"name": "x", "low": 1.0, "high": 1.0},
        {"name": "x", "low": 2.0, "high": 1.0},
        {"name": "x", "low": 0.0, "high": 1.0, "scale": "log"},
        {"name": "x", "values": [2.0, 1.0]},
        {"name": "x", "values": [1.0, 1.0]},
    ],
)
def test_variable_that_cannot_work_is_refused(variable: dict[str, object]) -> None:
    with pytest.raises(SpecError, match="variable 'x'"):
        Space.model_validate({"variables": [variable]})


@pytest.mark.parametrize(
    "variable",
    [
        {"name": "1x", "low": 0, "high": 1},
        {"name": "x", "low": 0, "high": float("inf")},
        {"name": "x", "low": float("nan"), "high": 1},
        {"name": "x", "low": 0, "high": 1, "step": 0.1},
        {"name": "x", "values": [1.0]},
    ],
)
def test_malformed_variable_is_refused(variable: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Space.model_validate({"variables": [variable]})


def test_repeated_variable_is_refused() -> None:
    twice = [{"name": "x", "low": 0, "high": 1}] * 2
    with pytest.raises(SpecError, match="every name once"):
        Space.model_validate({"variables": twice})


STRIP = Library(sites=5, gradient={"x": 0.4})
LINE = Space.model_validate(
    {"variables": [{"name": "x", "low": 0, "high": 1}, {"name": "T", "low": 500, "high": 700}]}
)


def test_sites_of_a_library_run_along_the_gradient() -> None:
    designs = STRIP.designs({"x": 0.5, "T": 600.0}, LINE)
    assert [d["x"] for d in designs] == pytest.approx([0.3, 0.4, 0.5, 0.6, 0.7])
    assert [d["T"] for d in designs] == pytest.approx([600.0] * 5)


@given(x=st.floats(0, 1), t=st.floats(500, 700), sites=st.integers(1, 12))
def test_sites_never_leave_the_space(x: float, t: float, sites: int) -> None:
    library = Library(sites=sites, gradient={"x": 0.4, "T": -30.0})
    designs = library.designs({"x": x, "T": t}, LINE)
    assert len(designs) == sites
    for design in designs:
        LINE.check(design)


def test_single_site_has_the_design_that_was_asked_for() -> None:
    (design,) = Library(sites=1, gradient={"x": 0.4}).designs({"x": 0.25, "T": 512.5}, LINE)
    assert design == pytest.approx({"x": 0.25, "T": 512.5})


def test_library_in_an_empty_space_has_all_its_sites() -> None:
    assert Library(sites=3).designs({}, Space()) == [{}, {}, {}]
