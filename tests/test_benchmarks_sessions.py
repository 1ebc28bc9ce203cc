"""The benchmarks of sessions: scored on truth, resumable, and the players see no truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import _sp_players as players
from benchmarks import cryoem, structure_property
from benchmarks._cryoem_data import PUBLISHED, Recording, _place, _timed
from benchmarks._lines import records
from benchmarks._sp_problems import SCENES, Scene, spm_twin
from probewise.planner import Hole, ProbePrices


def recording() -> Recording:
    """Two squares of three patches of five holes, one square good."""
    holes, measured = [], {}
    for s in range(2):
        for p in range(3):
            for h in range(5):
                name = f"s{s}p{p}h{h}"
                holes.append(
                    Hole(name=name, grid="g", square=f"s{s}", patch=f"p{p}", predicted_A=4 + 4 * s)
                )
                measured[name] = 4.2 + 4 * s
    return Recording(tuple(holes), measured, PUBLISHED, {"hole": 1})


def test_cryoem_sessions_are_scored_and_go_on_where_they_ended(tmp_path: Path) -> None:
    out, found = tmp_path / "x.jsonl", recording()
    first = list(cryoem.run_missing(found, out, [0], 12.0))
    assert len(first) == len(cryoem.POLICIES) * 4
    assert not list(cryoem.run_missing(found, out, [0], 12.0)), "nothing is played twice"
    out.write_text(out.read_text()[:-20], encoding="utf-8")
    assert [r["policy"] for r in cryoem.run_missing(found, out, [0], 12.0)] == ["clairvoyant"]
    by_policy = {
        r["policy"]: r for r in first if (r["set"], r["costs"]) == ("all patches", "published")
    }
    assert by_policy["clairvoyant"]["good"] >= by_policy["planner"]["good"] > 0
    assert all(r["minutes"] <= 12.0 + 1e-6 and r["good"] <= r["imaged"] for r in first)
    text = cryoem.table(records(out), 12.0)
    assert "`planner`" in text and text.count("\n") > 5


def test_half_of_the_patches_is_another_problem_for_every_seed() -> None:
    found = recording()
    kept = [frozenset(h.in_patch for h in cryoem.problem(found, 0.5, s)[0]) for s in range(6)]
    assert all(len(k) == 3 for k in kept) and len(set(kept)) > 1


def test_names_and_timestamps_tell_places_and_costs(tmp_path: Path) -> None:
    names = [
        "a_00001gr_00001sq_v01_00001hl_v01_00001en-a",
        "a_00001gr_00001sq_v01_00001hl_v01_00002en-a",
        "a_00001gr_00001sq_v01_00002hl_v01_00001en-a",
        "a_00001gr_00002sq_v01_00001hl_v01_00001en-a",
        "a_00002gr_00001sq_v01_00001hl_v01_00001en-a",
    ]
    assert _place(names[0]) == {"grid": "00001gr", "square": "00001sq_v01", "patch": "00001hl_v01"}
    with pytest.raises(ValueError, match="names no grid"):
        _place("a_00001gr")
    times = ["11:00:00", "11:01:00", "11:03:00", "11:07:00", "11:15:00"]
    path = tmp_path / "t.csv"
    path.write_text("".join(f"{n},2021-03-02 {t}\n" for n, t in zip(names, times, strict=True)))
    costs, moves = _timed(path)
    assert tuple(costs.model_dump().values()) == (1.0, 2.0, 4.0, 8.0)
    assert moves == {"hole": 1, "patch": 1, "square": 1, "grid": 1}


def scene() -> Scene:
    places = np.stack([g.ravel() for g in np.meshgrid(range(9), range(9), indexing="ij")], axis=1)
    patches = np.random.default_rng(0).standard_normal((81, 4))
    prices = ProbePrices(dwells_s=(1.0,))
    return Scene("tiny", places, patches, patches[:, 0] + 0.1 * patches[:, 1], prices, 0.8)


@pytest.mark.slow
def test_structure_property_sessions_are_scored_on_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCENES, "tiny", lambda seed: scene())
    out = tmp_path / "x.jsonl"
    run = structure_property.run_missing(out, ["tiny"], ["xy-gp"], [0])
    played = list(run)
    assert not list(structure_property.run_missing(out, ["tiny"], ["xy-gp"], [0]))
    for record in played:
        assert len(record["looks"]) == len(players.SHARES)
        last = record["looks"][-1]
        assert last["minutes"] >= 0.8 and 0.0 <= last["robust_regret"] <= last["regret"] <= 1.5
        assert last["maximum"] <= scene().truth.max() and last["r2"] < 1.0
    assert json.loads(out.read_text().splitlines()[0])["policy"] == "xy-gp"
    assert "`xy-gp`" in structure_property.table(played, "tiny")


def test_a_player_is_not_told_what_it_did_not_measure() -> None:
    first = players.play(scene(), "xy-gp", 1)
    measured = np.zeros(81, dtype=bool)
    measured[first.rows] = True
    other = replace(scene(), truth=np.where(measured, first.scene.truth, -first.scene.truth))
    assert players.play(other, "xy-gp", 1).rows == first.rows


@pytest.mark.slow
def test_the_film_of_the_twin_has_loops_that_differ() -> None:
    made = spm_twin(1)
    assert made.positions.shape == (43 * 43, 2) and made.patches.shape == (43 * 43, 81)
    assert made.truth.std() == pytest.approx(1.0) and made.truth.min() >= 0.0
