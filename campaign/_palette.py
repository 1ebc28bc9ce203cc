"""Colours and type of every picture: one colour a level, told apart in print as well."""

from __future__ import annotations

from typing import Any

LEVEL_COLORS: dict[int, str] = {
    5: "#8a5fb0",
    4: "#d0672a",
    3: "#2874a6",
    2: "#2a9d8f",
    1: "#8c8d3a",
}
"""Level to colour; told apart by lightness and hue under the common colour blindnesses."""

INK, QUIET, RULE, PAPER = "#1f2933", "#5f6b7a", "#d5dae0", "#ffffff"
ACCENT, ALARM = "#2874a6", "#b3261e"
MEAN_MAP, STD_MAP, IMAGE_MAP = "viridis", "magma", "gray"

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "path",
    "svg.hashsalt": "probewise",
}
