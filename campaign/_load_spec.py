"""From a name or a YAML file to a checked specification."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ..planner import StepValues
from ..workflow import SpecError
from ..workflow._yaml import yaml_fault
from ._check_spec import check_spec
from ._spec import CampaignSpec, spec_from_dict

_MOST_BYTES, _MOST_VALUES = 2_000_000, 200_000
_BUILT_IN = resources.files(__name__.rpartition(".")[0]).joinpath("scenarios")


def built_in_names() -> list[str]:
    """Names of the campaigns that come with the package."""
    names = [f.name for f in _BUILT_IN.iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_spec(
    source: str | Path,
    *,
    seed: int | None = None,
    data: str | Path | None = None,
    policy: str | None = None,
    goal: str | None = None,
    budget: dict[str, float] | None = None,
    warm_start: str | Path | None = None,
) -> CampaignSpec:
    """Read a built-in campaign by its name, or a YAML file, with overrides.

    In the configuration of a worker, ``$seed`` stands for the campaign's seed and ``$data`` for the
    path given as ``data``. ``warm_start`` is a file of step values.

    Raises
    ------
    SpecError
        If there is no such campaign, the YAML is broken, or a field is unknown or wrong.
    BudgetError
        If the budget does not bear the shortest way to the goal.
    """
    raw = _read(source)
    raw["seed"] = raw.get("seed", 0) if seed is None else seed
    if policy is not None:
        raw["policy"] = policy
    if goal is not None:
        raw["goal"] = named_goal(raw, goal)
    if budget and isinstance(raw.get("budget", {}), dict):
        raw["budget"] = {**raw.get("budget", {}), **budget}
    if warm_start is not None:
        raw["warm_start"] = str(warm_start)
    if isinstance(raw.get("warm_start"), str):
        raw["warm_start"] = read_step_values(raw["warm_start"])
    _fill_in(raw, data)
    spec = spec_from_dict(raw, str(source))
    check_spec(spec)
    return spec


def _read(source: str | Path) -> dict[str, Any]:
    names = built_in_names()
    if str(source) in names:
        data = _BUILT_IN.joinpath(f"{source}.yaml").read_bytes()
    else:
        path = Path(source)
        if not path.is_file():
            raise SpecError(
                "campaign",
                f"{str(source)!r}, which is no file",
                f"a YAML file or one of {names}",
                "correct the name or path",
            )
        if path.stat().st_size > _MOST_BYTES:
            raise SpecError(
                f"campaign {str(source)!r}",
                f"{path.stat().st_size} bytes",
                f"at most {_MOST_BYTES}",
                "give a campaign's YAML file",
            )
        data = path.read_bytes()
    try:
        raw = yaml.safe_load(data.decode("utf-8"))
        _check_size(raw)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SpecError(
            f"campaign {str(source)!r}",
            f"text that is not YAML ({yaml_fault(error)})",
            "YAML without tags, and without aliases that swell it",
            'mend the file; quote texts with brackets, such as "image [nm]"',
        ) from None  # the reason would quote it
    if not isinstance(raw, dict) or len(raw.keys() & CampaignSpec.model_fields.keys()) < 2:
        raise SpecError(
            f"campaign {str(source)!r}",
            f"a {type(raw).__name__}" if not isinstance(raw, dict) else "a mapping of other things",
            "a mapping with name, goal, budget, workflow and workers",
            "see 'probewise schema'",
        )
    return raw


def _check_size(raw: Any) -> None:
    """Whether a few aliases stand for a flood of values, or for themselves.

    Raises
    ------
    yaml.YAMLError
        If they do.
    """
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: Any) -> int:
        if not isinstance(node, dict | list):
            return 1
        if id(node) in open_nodes:
            raise yaml.YAMLError("an alias that contains itself")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            parts = [*node.keys(), *node.values()] if isinstance(node, dict) else node
            sizes[id(node)] = 1 + sum(size(part) for part in parts)
            open_nodes.discard(id(node))
        return sizes[id(node)]

    if size(raw) > _MOST_VALUES:
        raise yaml.YAMLError(f"more than {_MOST_VALUES} values")


def named_goal(raw: dict[str, Any], name: str) -> dict[str, Any]:
    """One of the campaign's other goals, or its own by its kind."""
    own, others = raw.get("goal"), raw.get("goals")
    known = {own.get("kind"): own} if isinstance(own, dict) else {}
    known |= others if isinstance(others, dict) else {}
    if name not in known:
        raise SpecError(
            f"campaign {raw.get('name', '?')!r}",
            f"goal {name!r}",
            f"one of {sorted(str(k) for k in known)}",
            "correct the name, or add the goal under 'goals'",
        )
    return known[name]


def _fill_in(raw: dict[str, Any], data: str | Path | None) -> None:
    """Put seed and data path where ``$seed`` and ``$data`` stand."""
    workers = raw.get("workers")
    for worker in workers.values() if isinstance(workers, dict) else ():
        config = worker.get("config") if isinstance(worker, dict) else None
        if isinstance(config, dict):
            config.update({key: _filled(value, raw, data) for key, value in config.items()})


def _filled(value: Any, raw: dict[str, Any], data: str | Path | None) -> Any:
    if value == "$seed":
        return raw["seed"]
    if value != "$data":
        return value
    if data is None:
        raise SpecError(
            f"campaign {raw.get('name', '?')!r}",
            "no data",
            raw.get("needs_data", "") or "a path",
            "give the path with --data PATH",
        )
    return str(Path(data).absolute())


def read_step_values(path: str | Path) -> dict[str, Any]:
    """Step values from a JSON file, as plain data.

    Raises
    ------
    SpecError
        If there is no such file, or it holds something else.
    """
    try:
        if not Path(path).is_file():
            raise FileNotFoundError("no such file")
        raw = Path(path).read_text("utf-8")
        return StepValues.model_validate_json(raw).model_dump(mode="json")
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise SpecError(
            "warm_start",
            f"{str(path)!r}: {str(error).splitlines()[0]}",
            "a file that 'probewise forecast --step-values FILE' wrote",
            "correct the path, or learn them anew",
        ) from error
