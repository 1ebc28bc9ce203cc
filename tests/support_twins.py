"""Jobs for the twins of the built-in campaign, with its own steps."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import yaml

from probewise.workflow import Action, Design, Job, Step, Target, Workflow

GOOD: Design = {"composition_sm": 0.09, "temperature_C": 650.0, "pressure_mTorr": 22.0}
"""A design that is well crystallized and ferroelectric in the world of seed 0."""


@cache
def workflow() -> Workflow:
    text = files("probewise.campaign").joinpath("scenarios/sm-bfo.yaml").read_text()
    return Workflow.model_validate(yaml.safe_load(text)["workflow"])


def step(name: str) -> Step:
    return workflow().step(name)


def pad(design: Design = GOOD, sample: str = "s1", site: int = 0) -> Target:
    return Target(design=design, sample=sample, site=site)


def job(name: str, target: Target, seed: int = 0, hours: dict[str, float] | None = None) -> Job:
    action = Action(id=f"a{seed}", step=name, target=target, seed=seed, hours=hours or {})
    return Job(action, step(name))
