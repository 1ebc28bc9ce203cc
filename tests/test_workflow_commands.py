"""The instruction set: commands, places, programs."""

from __future__ import annotations

from pathlib import Path as File
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from probewise.workflow import (
    COMMANDS,
    Adjust,
    Detect,
    Entry,
    Forecast,
    InstrumentState,
    Load,
    MoveStage,
    Overview,
    Point,
    Program,
    Rectangle,
    Scan,
    SpecError,
    Spectrum,
    Where,
    command_from,
    exposures,
    geometric_forecast,
    load_program,
    path_nm,
    program_from,
    program_of,
    program_text,
)

STEM = InstrumentState(technique="stem", sample="S1", voltage_kV=100.0, current_pA=40.0)
LINE = {"line": {"start": [0, 0], "end": [10, 20], "points": 3}}
LEAST = {
    "load": {"sample": "a"}, "tune": {"what": "focus"}, "set_focus": {"defocus_nm": 5},
    "set_field_of_view": {"field_of_view_nm": 50}, "place_beam": {"at": [1, 2]},
    "spectrum": {"at": [[1, 2]]}, "loop": {"at": [[1, 2]]}, "sweep": {"at": LINE},
    "path": {"through": [[0, 0], [3, 4]]}, "detect": {"find": "edges"},
}  # fmt: skip
finite = st.floats(-1e6, 1e6)


@pytest.mark.parametrize("verb", sorted(COMMANDS))
def test_every_command_has_a_sentence_and_survives_its_own_text(verb: str) -> None:
    command = command_from({"verb": verb, **LEAST.get(verb, {})})
    assert command.verb == verb
    sentence = command.sentence()
    assert sentence[0].isupper() and "{" not in sentence
    assert type(command).model_validate_json(command.model_dump_json()) == command


def test_commands_may_be_written_shortly() -> None:
    assert command_from("overview") == Overview()
    assert command_from({"scan": {"rows": 64}}) == Scan(rows=64)
    assert command_from({"blank": None}) == command_from("blank")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"verb": "dance"}, "overview"),
        ("dance", "overview"),
        ({"verb": "scan", "rows": 1}, "greater than or equal to 2"),
        ({"verb": "scan", "dwell_us": 4}, "dwell_s"),
        ({"verb": "scan", "dwell_s": float("nan")}, "dwell_s"),
        ({"verb": "scan", "dwell_s": float("inf")}, "dwell_s"),
        ({"verb": "load"}, "sample"),
        ({"tune": {"what": "focus", "drive_V": 3}}, "mean nothing to 'focus'"),
        ({"tune": {"what": "dart", "pixels": 64}}, "span_kHz"),
        ({"scan": 3}, "columns"),
        ({"verb": "spectrum", "at": []}, "at"),
        ({"verb": "spectrum", "at": [[1, 2, 3]]}, "at"),
        (17, "verb"),
        (None, "verb"),
    ],
)
def test_a_wrong_command_says_what_would_be_right(raw: object, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        command_from(raw)
    assert said in str(caught.value)
    assert caught.value.remedy


def test_the_sentence_of_a_scan_and_its_forecast_say_what_it_costs() -> None:
    scan = Scan(rows=256, columns=256, dwell_s=10e-6)
    assert scan.sentence() == "Scan 256 x 256 pixels over the field of view, 10 us a pixel"
    said = geometric_forecast(scan, STEM).sentence()
    assert said == "655 ms, 40.9 e/A2 where it falls"


@pytest.mark.parametrize(
    "where",
    ["detected", [[1.0, 2.0], [3.0, 4.0]], LINE,
     {"region": {"y_nm": 0, "x_nm": 5, "height_nm": 4, "width_nm": 2, "rows": 2, "columns": 1}}],
)  # fmt: skip
def test_places_survive_their_own_text(where: object) -> None:
    place = Where.model_validate(where)
    assert Where.model_validate_json(place.model_dump_json()) == place
    assert place.sentence.startswith("at ")


def test_places_become_points() -> None:
    line = Where.model_validate(LINE)
    assert [(p.y_nm, p.x_nm) for p in line.resolve({})] == [(0, 0), (5, 10), (10, 20)]
    raster = {"region": {"y_nm": 0, "x_nm": 5, "height_nm": 4, "width_nm": 2, "rows": 2,
                         "columns": 1}}  # fmt: skip
    assert [(p.y_nm, p.x_nm) for p in Where.model_validate(raster).resolve({})] == [(1, 6), (3, 6)]
    found = {"detected": (Point(y_nm=1, x_nm=2),)}
    assert Where.model_validate("detected").resolve(found) == found["detected"]
    with pytest.raises(SpecError, match="no earlier command found"):
        Where.model_validate("others").resolve(found)


def test_a_place_is_one_thing() -> None:
    with pytest.raises(SpecError, match="several"):
        Where.model_validate({"found": "a", "points": [[1, 2]]})


def test_a_program_knows_its_images_and_places() -> None:
    with pytest.raises(SpecError, match="image 'overview'"):
        program_from([{"detect": {"find": "edges"}}])
    with pytest.raises(SpecError, match="places 'detected'"):
        program_from(["overview", {"spectrum": {"at": "detected"}}])
    whole = program_from(
        ["overview", {"detect": {"find": "edges"}}, {"spectrum": {"at": "detected"}}]
    )
    assert isinstance(whole.commands[1], Detect)


@pytest.mark.parametrize("raw", [None, 3, "overview", {}, {"commands": []}, {"commands": 3}, [],
                                 {"commands": ["blank"], "comands": 1}, {"name": "x"}])  # fmt: skip
def test_what_is_no_program_is_refused(raw: object) -> None:
    with pytest.raises(SpecError):
        program_from(raw)


def test_a_program_is_read_from_yaml_and_written_so_that_it_reads_the_same(tmp_path: File) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        "name: edges\ncommands:\n  - load: {sample: film}\n  - overview\n"
        "  - detect: {find: edges, count: 4}\n  - spectrum: {at: detected}\n  - blank\n"
    )
    first = load_program(file)
    file.write_text(program_text(first))
    assert load_program(file) == first
    assert "verb" not in file.read_text() and "- overview\n" in file.read_text()


@pytest.mark.parametrize(
    "text", ["a: [", "!!python/object/apply:os.system ['true']", "&a [*a]",
             "a: &x [blank]\ncommands: *x", "\x00", "[" * 1500]
)  # fmt: skip
def test_hostile_programs_are_refused(tmp_path: File, text: str) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(text)
    with pytest.raises(SpecError):
        load_program(file)


def test_a_program_that_is_not_there_is_refused(tmp_path: File) -> None:
    with pytest.raises(SpecError, match="no such file"):
        load_program(tmp_path / "none.yaml")


def test_doses_are_electrons_over_the_area_where_they_fall() -> None:
    quarter = Scan(region=Rectangle(height_nm=100, width_nm=100), rows=100, columns=100)
    ((area, electrons),) = exposures(quarter, STEM)
    assert area.area_nm2 == 1e4
    assert electrons == pytest.approx(40e-12 / 1.602176634e-19 * 0.1)
    cost = geometric_forecast(quarter, STEM)
    assert cost.local_dose_e_per_A2 == pytest.approx(electrons / 1e6)
    assert cost.dose_e_per_A2 == pytest.approx(electrons / 4e6)


def test_spots_get_their_dose_each() -> None:
    spots = Spectrum.model_validate({"at": [[1, 1], [5, 5]], "exposure_s": 0.1})
    cost = geometric_forecast(spots, STEM)
    assert cost.seconds == pytest.approx(0.2)
    assert cost.local_dose_e_per_A2 == pytest.approx(cost.electrons / 2 / 100.0)


@pytest.mark.parametrize(
    "command", [Load(sample="a"), MoveStage(y_nm=5.0), Adjust(what="dart"), command_from("blank")]
)
def test_what_sends_no_electrons_costs_no_dose(command: object) -> None:
    assert geometric_forecast(command, STEM).electrons == 0  # type: ignore[arg-type]


@given(st.lists(st.tuples(finite, finite), min_size=2, max_size=8))
def test_a_path_is_at_least_as_long_as_the_way_between_its_ends(
    points: list[tuple[float, float]],
) -> None:
    whole = command_from({"verb": "path", "through": [list(p) for p in points]})
    ends = command_from({"verb": "path", "through": [list(points[0]), list(points[-1])]})
    assert path_nm(whole) >= path_nm(ends) * (1 - 1e-12)  # type: ignore[arg-type]


@given(st.floats(1e-7, 1e-3), st.integers(2, 512), st.floats(1, 1e4))
def test_forecasts_add_up(dwell_s: float, pixels: int, size_nm: float) -> None:
    state = STEM.model_copy(update={"field_of_view_nm": size_nm})
    cost = geometric_forecast(Overview(pixels=pixels, dwell_s=dwell_s), state)
    both = cost.plus(cost)
    assert both.electrons == pytest.approx(2 * cost.electrons)
    assert both.local_dose_e_per_A2 == cost.local_dose_e_per_A2
    assert cost.local_dose_e_per_A2 == pytest.approx(cost.dose_e_per_A2)
    assert Forecast().plus(cost) == cost


def test_a_log_without_anything_done_is_no_program() -> None:
    with pytest.raises(SpecError, match="none that was done"):
        program_of([])
    assert Program(commands=(Overview(),)).commands[0].verb == "overview"


@pytest.mark.parametrize("raw", [{"verb": "overview"}, {"verb": "place_beam", "at": [1, 2]}])
def test_the_verb_is_written_even_where_defaults_are_left_away(raw) -> None:
    command = command_from(raw)
    entry = Entry(
        number=1, who="a", command=command, sentence="", verdict="allowed", outcome="done"
    )
    short = entry.model_dump(mode="json", exclude_defaults=True)
    assert short["command"]["verb"] == raw["verb"]
    assert Entry.model_validate(short) == entry


@pytest.mark.parametrize(
    ("place", "fits"),
    [
        ("found", True),
        ([1, 2], True),
        ([[1, 2], {"y_nm": 3, "x_nm": 4}], True),
        ({"y_nm": 1, "x_nm": 2}, True),
        (LINE, True),
        ([], False),
        ({"y_nm": 1}, False),
        (5, False),
    ],
)
def test_the_schema_of_a_place_takes_what_is_read_as_one(place: Any, fits: bool) -> None:
    schema = Where.model_json_schema()
    assert Draft202012Validator(schema).is_valid(place) is fits
    if not fits:
        with pytest.raises((SpecError, ValidationError)):
            Where.model_validate(place)
        return
    read = Where.model_validate(place)
    assert Where.model_validate(read.model_dump()) == read
