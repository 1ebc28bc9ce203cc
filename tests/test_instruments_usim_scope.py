"""Nion's simulator: a composition's edges, dark frames, focus, and noise that can be seeded."""

from __future__ import annotations

import numpy as np
import pytest

from probewise.instruments._edges import EDGES_eV, parse_composition
from probewise.instruments._shadow_focus import shadow_slope
from probewise.instruments._usim_scope import UsimScope
from probewise.workflow import DesignSpaceError, SpecError

pytest.importorskip("nion.usim_device", reason="the extra 'usim' is not installed")

PEROVSKITE = parse_composition("O: 3; Ti: 1; Ba: 1 - la; La: la")
FIELD_nm = 200.0
SIZE_nm = (FIELD_nm, FIELD_nm)


@pytest.fixture(scope="module")
def scope() -> UsimScope:
    return UsimScope()


def on_a_flake(scope: UsimScope) -> tuple[float, float]:
    """A place on a single layer, in fractions of the field of view."""
    scope.blank(False)
    image = scope.image((50, 50), (0, 0), SIZE_nm, 1e-3, np.random.default_rng(0))
    layers = np.rint(image / np.min(image[image > 0]))
    row, column = np.argwhere(layers == 1)[20]
    return (row + 0.5) / 50, (column + 0.5) / 50


@pytest.mark.parametrize("la", [0.0, 0.4])
def test_edges_stand_at_their_energies_with_heights_as_the_composition(scope, la) -> None:
    """Freed of the simulator's power law a spectrum is a staircase: its steps are fractions."""
    fractions = PEROVSKITE.fractions({"la": la})
    scope.load(fractions, seed=3)
    place = on_a_flake(scope)
    energies = scope.spectrometer(400.0, 0.5)
    counts = scope.spectrum(*place, FIELD_nm, 20.0, np.random.default_rng(1))
    stairs = counts / (1.0 - energies / 4000.0) ** 7

    def level(low: float, high: float) -> float:
        return float(np.mean(stairs[(energies > low) & (energies < high)]))

    steps = {}
    for element, fraction in fractions.items():
        edge = EDGES_eV[element][0]
        steps[element] = level(edge + 12, edge + 22) - level(edge - 22, edge - 12)
        if fraction > 0.05:  # half of the step has come at the edge itself
            half = level(edge - 22, edge - 12) + 0.5 * steps[element]
            near = np.abs(energies - edge) < 15
            crossing = energies[near][np.argmax(stairs[near] > half)]
            assert crossing == pytest.approx(edge, abs=2.0)
    for element, fraction in fractions.items():
        expected = steps["Ti"] * fraction / fractions["Ti"]
        assert steps[element] == pytest.approx(expected, abs=0.03 * steps["O"]), element


def test_a_blanked_beam_and_the_vacuum_give_nothing(scope) -> None:
    scope.load({"C": 1.0}, seed=1)
    rng = np.random.default_rng(0)
    y, x = on_a_flake(scope)
    scope.spectrometer(250.0, 0.5)
    assert scope.spectrum(y, x, FIELD_nm, 1.0, rng).sum() > 0
    scope.blank(True)
    assert scope.spectrum(y, x, FIELD_nm, 1.0, rng).sum() == 0
    assert scope.image((16, 16), (0, 0), SIZE_nm, 1e-5, rng).sum() == 0
    scope.blank(False)
    scope.move_stage(5000.0, 5000.0)
    assert scope.image((16, 16), (0, 0), SIZE_nm, 1e-5, rng).sum() == 0
    scope.move_stage(0.0, 0.0)


def test_the_same_seed_gives_the_same_noise_and_scopes_are_apart(scope) -> None:
    scope.load({"O": 1.0}, seed=4)
    other = UsimScope()  # several may live in a process: nothing is registered
    other.load({"O": 1.0}, seed=5)
    for each in (scope, other):
        each.blank(False)

    def image(of: UsimScope, seed: int) -> np.ndarray:
        return of.image((32, 32), (0, 0), SIZE_nm, 1e-5, np.random.default_rng(seed))

    np.testing.assert_array_equal(image(scope, 1), image(scope, 1))
    assert not np.array_equal(image(scope, 1), image(scope, 2))
    assert not np.array_equal(image(scope, 1), image(other, 1))


def test_the_shadow_image_grows_flat_towards_focus(scope) -> None:
    scope.load({"O": 1.0}, seed=4)
    scope.blank(False)

    def slope(defocus_nm: float) -> float:
        scope.set_control("C10Control", defocus_nm * 1e-9)
        return shadow_slope(scope.ronchigram(0.5, FIELD_nm, np.random.default_rng(0)))

    assert abs(slope(20.0)) < 0.1 * slope(500.0)
    assert slope(-500.0) == pytest.approx(slope(500.0), rel=0.2)
    assert slope(800.0) > slope(500.0) > slope(250.0)


def test_compositions_are_checked() -> None:
    assert sum(PEROVSKITE.fractions({"la": 0.3}).values()) == pytest.approx(1.0)
    for text in ("", "O 3", "Xx: 1", "O: 1; O: 2", "O: import os"):
        with pytest.raises(SpecError):
            parse_composition(text)
    with pytest.raises(DesignSpaceError, match="la"):
        PEROVSKITE.fractions({})
    with pytest.raises(DesignSpaceError):
        PEROVSKITE.fractions({"la": 2.0})
