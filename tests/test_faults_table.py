"""The tables in the documents name what is there."""

from __future__ import annotations

import ast
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


def marks_of_tests() -> dict[str, set[str]]:
    """The marks ``ray`` and ``slow`` of every test, those of its module and parameters included."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "tests").glob("test_*.py"):
        tree = ast.parse(path.read_text())
        own = [n for n in tree.body if isinstance(n, ast.Assign) and "pytestmark" in ast.unparse(n)]
        whole = " ".join(map(ast.unparse, own))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                said = whole + " ".join(map(ast.unparse, node.decorator_list))
                found[node.name] = set(re.findall(r"mark\.(ray|slow)\b", said))
    return found


@pytest.mark.slow
def test_the_fault_matrix_says_which_tests_are_slow_or_start_ray() -> None:
    text = (ROOT / "docs" / "fault-matrix.md").read_text()
    marks = marks_of_tests()
    for name, said in re.findall(r"`(test_\w+)`(?: \(([^)]*)\))?", text):
        given = {word.strip().lower() for word in said.split(",") if word.strip()}
        assert given == marks[name], f"{name}: {sorted(marks[name])}"


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
