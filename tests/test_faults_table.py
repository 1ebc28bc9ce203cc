"""The tables in the documents name what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from probewise.campaign._cli import app
from probewise.campaign._cli_cluster import ClusterKind, cluster_example
from probewise.instruments import Limits
from probewise.workflow import COMMANDS

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("document", ["fault-matrix.md", "clusters.md", "drivers.md"])
def test_every_test_that_is_named_exists(document: str) -> None:
    named = set(re.findall(r"\btest_\w+", (ROOT / "docs" / document).read_text()))
    code = "\n".join(p.read_text() for p in (ROOT / "tests").glob("test_*.py"))
    missing = sorted(name for name in named if f"def {name}" not in code)
    assert named and missing in ([], ["test_three_nodes"]), missing


def test_every_verb_and_every_limit_is_documented() -> None:
    text = (ROOT / "docs" / "instruments.md").read_text()
    lacking = [n for n in (*COMMANDS, *Limits.model_fields) if f"`{n}`" not in text]
    assert lacking in ([], ["verbs"]), lacking


@pytest.mark.parametrize("kind", list(ClusterKind))
def test_cluster_prints_an_example(kind: ClusterKind) -> None:
    said = CliRunner().invoke(app, ["cluster", kind.value])
    assert said.exit_code == 0 and said.stdout == cluster_example(kind)
    assert re.search(r"probewise run campaign\.yaml .*--address", said.stdout)
    assert "TOKEN" in said.stdout, "no cluster without a secret"


def test_the_manifest_is_yaml_with_a_head_and_workers() -> None:
    manifest = yaml.safe_load(cluster_example(ClusterKind.KUBERAY))
    assert manifest["kind"] == "RayCluster"
    (group,) = manifest["spec"]["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    assert {v["name"] for v in container["env"]} >= {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"}
    assert group["template"]["spec"]["volumes"][0]["name"] == container["volumeMounts"][0]["name"]
