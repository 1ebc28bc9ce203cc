"""Specifications: what is read from YAML, and how bad input is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from support_campaigns import LOOK, TEST, VARIABLES, raw_library_spec, raw_spec, registered

from probewise.campaign import Campaign, CampaignSpec, built_in_names, load_spec
from probewise.campaign._spec import policies_of, spec_from_dict
from probewise.workflow import (
    BudgetError,
    DesignSpaceError,
    Explore,
    LocateBoundary,
    Maximize,
    ProbewiseError,
    SpecError,
    WorkerError,
)

Raw = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with registered(tmp_path_factory.mktemp("installed")):
        yield


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., CampaignSpec]:
    """Writes a specification as YAML and loads it."""

    def from_yaml(raw: Any, **overrides: Any) -> CampaignSpec:
        path = tmp_path / "campaign.yaml"
        path.write_text(raw if isinstance(raw, str) else yaml.safe_dump(raw))
        return load_spec(path, **overrides)

    return from_yaml


def changed(raw: Raw, where: str, value: Any) -> Raw:
    """A copy with something else at ``a.0.b``; None takes it away."""
    raw = deepcopy(raw)
    *path, last = where.split(".")
    place: Any = raw
    for name in path:
        place = place[int(name) if name.isdigit() else name]
    key = int(last) if last.isdigit() else last
    if value is None:
        del place[key]
    else:
        place[key] = value
    return raw


RAW = raw_spec()
LIBRARY = raw_library_spec()


@pytest.mark.parametrize("name", built_in_names())
def test_built_in_campaigns_load_and_come_back_from_their_dump(name: str) -> None:
    spec = load_spec(name, data="recording.h5")
    assert spec.name == name
    dump = json.loads(json.dumps(spec.model_dump(mode="json")))
    assert spec_from_dict(dump, "dump") == spec
    for goal in spec.goals:
        assert load_spec(name, data="recording.h5", goal=goal).goal == spec.goals[goal]


def test_a_campaign_from_yaml_is_what_the_yaml_says(load: Callable[..., CampaignSpec]) -> None:
    spec = load(RAW)
    assert spec == CampaignSpec.model_validate(RAW)
    assert (spec.seed, spec.clock, spec.policy) == (0, "virtual", "random")
    state = spec.initial_state({"look": ("eye",)})
    assert state.capacity == {"eye": 1, "rig": 1} and state.offers == {"look": ("eye",)}


def test_overrides_replace_what_the_file_says(load: Callable[..., CampaignSpec]) -> None:
    raw = RAW | {"goals": {"map": {"kind": "explore", "quantity": "rough"}}}
    spec = load(raw, seed=7, policy="fixed", budget={"credits": 45.0}, goal="map")
    assert (spec.seed, spec.policy) == (7, "fixed")
    assert (spec.budget.credits, spec.budget.hours) == (45.0, 50)
    assert spec.goal == Explore(quantity="rough")
    assert load(raw, goal="maximize").goal == Maximize(quantity="height")


def test_seed_and_data_stand_where_the_file_asks_for_them(
    load: Callable[..., CampaignSpec],
) -> None:
    raw = changed(RAW, "workers.eye.config", {"world_seed": "$seed", "path": "$data", "gain": 2})
    given = load(raw, seed=5, data="cube.h5").workers["eye"].config
    assert given == {"world_seed": 5, "path": str(Path("cube.h5").absolute()), "gain": 2}


def test_specimens_are_there_from_the_start(load: Callable[..., CampaignSpec]) -> None:
    there = {"old": {"design": {"x": 0.5, "y": 0.5}, "sites": 2}}
    sample = load(LIBRARY | {"specimens": there}).initial_state().inventory.samples["old"]
    assert sample.sites == ({"x": 0.5, "y": 0.5},) * 2


def test_policies_depend_on_the_goal(load: Callable[..., CampaignSpec]) -> None:
    assert policies_of(load(RAW)) == (
        "planner",
        "fixed",
        "random",
        "single-source",
        "cheap-first",
        "cost-blind",
        "rehearsed",
    )
    positions = load_spec("bfo-replay", data="x.h5")
    assert policies_of(positions) == ("planner", "xy-gp", "random")


def positions_goal(specimens: Raw) -> Raw:
    goal = {"kind": "maximize", "quantity": "height", "over": "positions"}
    return LIBRARY | {"goal": goal, "specimens": specimens}


FLOW = "workflow.steps"
HERE = {"x": 0.5, "y": 0.5}
CYCLE = [
    LOOK | {"requires": "test"},
    TEST | {"requires": "look"},
]
BAD: dict[str, tuple[Any, type[ProbewiseError], tuple[str, str, str, str]]] = {
    # name: (campaign, class, what who / given / allowed / remedy must name)
    "unknown required step": (
        changed(RAW, f"{FLOW}.1.requires", ["polish"]),
        SpecError,
        ("test", "polish", "look", "add the step"),
    ),
    "cycle": (
        changed(RAW, FLOW, CYCLE),
        SpecError,
        ("workflow", "cycle", "order", "remove"),
    ),
    "units that do not meet": (
        changed(RAW, f"{FLOW}.1.consumes", ["rough [nm]"]),
        SpecError,
        ("test", "'nm'", "'V'", "unit"),
    ),
    "unknown unit": (
        changed(RAW, f"{FLOW}.0.produces", ["rough [florps]"]),
        SpecError,
        ("unit", "florps", "pint", "unit"),
    ),
    "missing producer": (
        changed(RAW, f"{FLOW}.1.consumes", ["image"]),
        SpecError,
        ("test", "image", "rough", "produces"),
    ),
    "two producers": (
        changed(RAW, f"{FLOW}.0.produces", ["rough [V]", "height [V]"]),
        SpecError,
        ("test", "height", "look", "sources"),
    ),
    "noise of nothing": (
        changed(RAW, f"{FLOW}.0.noise", {"hiss": 1}),
        SpecError,
        ("look", "hiss", "rough", "noise"),
    ),
    "unknown control": (
        changed(RAW, f"{FLOW}.1.controls", ["z"]),
        SpecError,
        ("test", "'z'", "'x'", "variable"),
    ),
    "prior of an unknown quantity": (
        changed(RAW, "workflow.priors.depth", {"mean": 0, "std": 1}),
        SpecError,
        ("workflow", "depth", "height", "name"),
    ),
    "bounds the wrong way round": (
        changed(RAW, "workflow.space", [*VARIABLES[:1], {"name": "y", "low": 2, "high": 1}]),
        SpecError,
        ("'y'", "low=2", "low < high", "bounds"),
    ),
    "budget in credits": (
        changed(RAW, "budget", {"credits": 11}),
        BudgetError,
        ("peak", "11 credits", "12 credits for test", "budget.credits"),
    ),
    "budget in hours": (
        changed(RAW, "budget", {"hours": 1}),
        BudgetError,
        ("peak", "1 hours", "1.5 hours", "budget.hours"),
    ),
    "budget in samples": (
        changed(LIBRARY, "budget", {"samples": 0}),
        BudgetError,
        ("peak", "0 samples", "at least 1 for grow -> test", "budget.samples"),
    ),
    "negative budget": (
        changed(RAW, "budget", {"credits": -1}),
        SpecError,
        ("campaign", "budget.credits", "greater than or equal to 0", "schema"),
    ),
    "unknown field": (
        RAW | {"colour": "red"},
        SpecError,
        ("campaign", "colour", "not permitted", "schema"),
    ),
    "unknown field of a step": (
        changed(RAW, f"{FLOW}.0.cost", 3),
        SpecError,
        ("campaign", "workflow.steps.0.cost", "not permitted", "schema"),
    ),
    "missing field": (
        changed(RAW, "goal", None),
        SpecError,
        ("campaign", "goal", "required", "schema"),
    ),
    "several mistakes": (
        changed(RAW, "goal", None) | {"colour": "red"},
        SpecError,
        ("campaign", "(and 1 more)", "required", "schema"),
    ),
    "not a number": (
        changed(RAW, "budget", {"credits": "lots"}),
        SpecError,
        ("campaign", "lots", "number", "schema"),
    ),
    "infinite": (
        changed(RAW, "budget", {"credits": float("inf")}),
        SpecError,
        ("campaign", "inf", "finite", "schema"),
    ),
    "budget that is a list": (
        changed(RAW, "budget", [1, 2]),
        SpecError,
        ("campaign", "budget", "dictionary", "schema"),
    ),
    "unknown policy": (
        RAW | {"policy": "clever"},
        SpecError,
        ("policy", "clever", "'planner'", "name"),
    ),
    "policy of another goal": (
        RAW | {"policy": "xy-gp"},
        SpecError,
        ("policy", "xy-gp", "'fixed'", "name"),
    ),
    "unknown goal": (
        changed(RAW, "goal.kind", "minimize"),
        SpecError,
        ("campaign", "goal", "maximize", "schema"),
    ),
    "goal on an unknown quantity": (
        changed(RAW, "goal.quantity", "depth"),
        SpecError,
        ("goal", "depth", "height", "name"),
    ),
    "goal on an array": (
        changed(changed(RAW, f"{FLOW}.0.records", ["image"]), "goal.quantity", "image"),
        SpecError,
        ("maximize", "image", "'height'", "quantity"),
    ),
    "boundary along no variable": (
        RAW | {"goal": {"kind": "locate_boundary", "quantity": "height", "variable": "z"}},
        SpecError,
        ("boundary", "'z'", "'x'", "goal.variable"),
    ),
    "no specimen for positions": (
        positions_goal({}),
        SpecError,
        ("peak", "0 specimens", "one specimen", "specimens"),
    ),
    "two specimens for positions": (
        positions_goal({"a": {"design": HERE}, "b": {"design": HERE}}),
        SpecError,
        ("peak", "2 specimens", "one specimen", "specimens"),
    ),
    "nothing to measure on": (
        changed(changed(LIBRARY, f"{FLOW}.0.makes", None), f"{FLOW}.1.requires", []),
        SpecError,
        ("peak", "steps on samples", "specimens", "add"),
    ),
    "specimen outside the space": (
        LIBRARY | {"specimens": {"old": {"design": {"x": 3, "y": 0.5}}}},
        DesignSpaceError,
        ("old", "x=3", "0 to 1", "inside"),
    ),
    "specimen of other variables": (
        LIBRARY | {"specimens": {"old": {"design": {"x": 0.5}}}},
        DesignSpaceError,
        ("old", "['x']", "['x', 'y']", "variable"),
    ),
    "data that nobody gave": (
        changed(RAW, "workers.eye.config.path", "$data") | {"needs_data": "a cube"},
        SpecError,
        ("peak", "no data", "a cube", "--data"),
    ),
    "no workers": (
        RAW | {"workers": {}},
        SpecError,
        ("campaign", "workers", "at least 1", "schema"),
    ),
    "no name": (
        RAW | {"name": "two words"},
        SpecError,
        ("campaign", "two words", "pattern", "schema"),
    ),
    "text": ("just a text", SpecError, ("campaign", "str", "mapping", "schema")),
    "empty file": ("", SpecError, ("campaign", "NoneType", "mapping", "schema")),
    "a list": ("- 1\n- 2\n", SpecError, ("campaign", "list", "mapping", "schema")),
    "not YAML": ("name: [1, 2", SpecError, ("campaign", "not YAML", "YAML", "mend")),
    "unit without quotes": (
        "steps:\n - {records: image [nm], level: 3}\n",
        SpecError,
        ("campaign", "not YAML", "YAML", "quote"),
    ),
    "unsafe tag": (
        "name: !!python/object/apply:os.system ['touch owned']\n",
        SpecError,
        ("campaign", "not YAML", "without tags", "mend"),
    ),
    "tuning without an end": (
        RAW
        | {
            "policy": "planner",
            "goal": {"kind": "tune", "quantity": "height", "memory_h": 2, "worth_credits": 1},
            "budget": {},
        },
        BudgetError,
        ("peak", "without an end", "budget.hours", "hours"),
    ),
    "aim of no step": (
        RAW | {"goal": {"kind": "pareto", "aims": {"height": "maximize", "depth": "minimize"}}},
        SpecError,
        ("pareto", "'depth'", "'height'", "measures"),
    ),
    "a program with a verb that is none": (
        RAW
        | {
            "workflow": RAW["workflow"]
            | {
                "steps": [
                    LOOK | {"capability": "run_program", "parameters": {"program": ["overviw"]}},
                    TEST,
                ]
            }
        },
        SpecError,
        ("command 1 of the program", "overviw", "overview", "correct"),
    ),
    "numbers as keys": (
        {1: 2} | RAW,
        SpecError,
        ("campaign", "1", "string", "schema"),
    ),
}


def said(error: ProbewiseError) -> tuple[str, str, str, str]:
    return error.who, error.given, error.allowed, error.remedy


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(
    name: str, load: Callable[..., CampaignSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    raw, kind, words = BAD[name]
    with pytest.raises(ProbewiseError) as caught:
        load(raw)
    assert type(caught.value) is kind, caught.value
    for part, word in zip(said(caught.value), words, strict=True):
        assert word in part, caught.value
    assert not (tmp_path / "owned").exists()


def test_a_file_that_is_not_there_names_the_campaigns_that_are() -> None:
    with pytest.raises(SpecError) as caught:
        load_spec("sm-bfoo")
    assert "sm-bfoo" in caught.value.given and "sm-bfo" in caught.value.allowed


def test_a_file_that_is_no_text_is_not_yaml(tmp_path: Path) -> None:
    path = tmp_path / "photo.yaml"
    path.write_bytes(b"\xff\xd8\xff\xe0 photo")
    with pytest.raises(SpecError, match="not YAML"):
        load_spec(path)


def test_a_folder_is_no_campaign(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no file"):
        load_spec(tmp_path)


@pytest.mark.parametrize("goal", ["maximize", {"no": "kind"}, ["maximize"]])
def test_overrides_of_a_broken_file_do_not_break_the_message(
    goal: Any, load: Callable[..., CampaignSpec]
) -> None:
    with pytest.raises(SpecError):
        load(RAW | {"goal": goal}, goal="maximize")
    with pytest.raises(SpecError, match=r"one of \['maximize'\]"):
        load(RAW, goal="locate_boundary")
    with pytest.raises(SpecError, match="budget"):
        load(RAW | {"budget": "none"}, budget={"credits": 3.0})


def test_a_budget_override_is_checked_too(load: Callable[..., CampaignSpec]) -> None:
    with pytest.raises(BudgetError, match="3 credits"):
        load(RAW, budget={"credits": 3.0})
    free = changed(RAW, "budget", {})
    assert load(free).budget.credits is None


def test_the_whole_way_to_the_goal_must_fit(load: Callable[..., CampaignSpec]) -> None:
    """Growing (10) and testing (8, at its cap 12) a sample; looking at it is not needed."""
    with pytest.raises(BudgetError, match="grow -> test"):
        load(changed(LIBRARY, "budget.credits", 21))
    assert load(changed(LIBRARY, "budget.credits", 22))
    there = LIBRARY | {"specimens": {"old": {"design": HERE}}}
    assert load(changed(there, "budget.credits", 12))


def test_a_boundary_along_a_variable_is_a_goal(load: Callable[..., CampaignSpec]) -> None:
    goal = {"kind": "locate_boundary", "quantity": "height", "variable": "x"}
    raw = RAW | {"goal": goal, "policy": "planner"}
    assert load(raw).goal == LocateBoundary(quantity="height", variable="x")


@pytest.fixture
def nobody(tmp_path: Path) -> Iterator[Path]:
    """A run folder that must not come to be."""
    folder = tmp_path / "run"
    yield folder
    assert not folder.exists()


def test_a_step_that_nobody_offers_is_named() -> None:
    raw = changed(RAW, "workers.rig.config.capabilities", "dream")
    with pytest.raises(SpecError) as caught:
        Campaign(CampaignSpec.model_validate(raw)).run()
    who, given, allowed, remedy = said(caught.value)
    assert "test" in who and "'test'" in given and "rig: dream" in allowed and "worker" in remedy


def test_an_unknown_worker_is_named_before_anything_is_written(nobody: Path) -> None:
    raw = changed(RAW, "workers.rig.type", "peak-twinn")
    with pytest.raises(WorkerError) as caught:
        Campaign(CampaignSpec.model_validate(raw), out=nobody).run()
    who, given, allowed, remedy = said(caught.value)
    assert "rig" in who and "peak-twinn" in given
    assert "peak-twin" in allowed and "did you mean 'peak-twin'" in remedy


def test_ray_needs_a_folder() -> None:
    with pytest.raises(SpecError, match="no run folder") as caught:
        Campaign(CampaignSpec.model_validate(RAW), runtime="ray")
    assert "'out'" in caught.value.remedy


def test_the_schema_describes_every_field() -> None:
    schema = CampaignSpec.model_json_schema()
    assert set(schema["properties"]) == set(CampaignSpec.model_fields)
    assert schema["additionalProperties"] is False


def faults(raw: Raw) -> list[str]:
    """What an editor that checks against the schema would underline."""
    checked = Draft202012Validator(CampaignSpec.model_json_schema())
    return [error.message for error in checked.iter_errors(raw)]


@pytest.mark.parametrize("name", built_in_names())
def test_the_schema_knows_all_ways_to_write_a_campaign(name: str) -> None:
    folder = Path(__file__).parents[1] / "campaign" / "scenarios"
    assert faults(yaml.safe_load((folder / f"{name}.yaml").read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("step", "fits"),
    [
        ({"requires": "grow", "produces": "gap [eV]", "cost_credits": 3}, True),
        ({"requires": ["grow"], "produces": ["gap [eV]", "edge"], "cost_credits": 3.5}, True),
        ({"produces": [{"name": "gap", "unit": "eV"}], "controls": "a"}, True),
        ({"produces": 5}, False),
        ({"cost_credits": "cheap"}, False),
        ({"cost_credits": -1}, False),
        ({"reqires": "grow"}, False),
    ],
)
def test_an_editor_with_the_schema_tells_what_a_step_may_be(step: Raw, fits: bool) -> None:
    raw = deepcopy(raw_spec())
    raw["workflow"]["steps"][0] |= {"name": "look", "level": 1} | step
    assert (faults(raw) == []) is fits


def test_the_schema_knows_short_forms_of_space_correlations_and_wishes() -> None:
    raw = deepcopy(raw_spec())
    raw["workflow"]["space"] = {"variables": [{"name": "a", "values": [1, 2]}]}
    raw["workflow"]["correlations"] = {"fine": 0.8, "rough": {"r": 0.5, "std": 0.2}}
    raw["session"] = {"forbid": "0,0,4,4; 8,8,9,9", "more_like": "3,4", "reward": "2 * y"}
    assert faults(raw) == []
    raw["workflow"]["correlations"] = {"fine": [0.8]}
    assert faults(raw) != []
