"""``probewise cluster``: how a Ray cluster for a campaign is started, to copy and change."""

from __future__ import annotations

from enum import StrEnum
from importlib import resources
from typing import Annotated

import typer

_TEMPLATES = resources.files(__name__.rpartition(".")[0]).joinpath("templates")


class ClusterKind(StrEnum):
    """Ways to start a cluster."""

    BY_HAND = "by-hand"
    SLURM = "slurm"
    KUBERAY = "kuberay"


FILES = {
    ClusterKind.BY_HAND: "cluster_by_hand.sh",
    ClusterKind.SLURM: "cluster_slurm.sh",
    ClusterKind.KUBERAY: "cluster_kuberay.yaml",
}


def cluster_example(kind: ClusterKind) -> str:
    """The commands or the manifest, as text."""
    return _TEMPLATES.joinpath(FILES[kind]).read_text("utf-8")


def print_cluster(
    kind: Annotated[ClusterKind, typer.Argument(help="How it is started.")] = ClusterKind.BY_HAND,
) -> None:
    """Print how to start a Ray cluster and run a campaign on it."""
    typer.echo(cluster_example(kind), nl=False)
