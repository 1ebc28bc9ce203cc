"""The pictures of docs/how-it-decides.md, drawn from the planner's own numbers.

``python -m benchmarks.pictures`` writes them to docs/.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

from probewise.planner import Planner
from probewise.planner._network_belief import Memory, NetworkBelief
from probewise.planner._network_chains import Chains
from probewise.planner._network_gains import WEIGHTS, Gains
from probewise.planner._network_graph import Network
from probewise.planner._prices import Prices
from probewise.workflow import Budget, Maximize, Workflow

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_OUT = Path(__file__).parent.parent / "docs" / "how-it-decides.png"


def example() -> Planner:
    """Grain size follows the annealing temperature, strength the grain size; the test is dear."""
    workflow = Workflow.model_validate(
        {
            "space": [{"name": "anneal_C", "low": 300, "high": 900}],
            "steps": [
                {"name": "anneal", "level": 4, "produces": "grain", "cost_credits": 1},
                {
                    "name": "test",
                    "level": 3,
                    "controls": [],
                    "consumes": "grain",
                    "produces": "strength",
                    "cost_credits": 9,
                },
            ],
        }
    )
    planner = Planner(workflow, Maximize(quantity="strength"), Budget(credits=100))
    for k, celsius in enumerate((330, 450, 560, 690, 880)):
        grain = 40 + 25 * np.sin((celsius - 300) / 130)
        planner.learn("anneal", {"anneal_C": celsius}, {"grain": grain})
        if k != 2:
            strength = 300 - (grain - 52) ** 2 / 12
            planner.learn("test", {"anneal_C": celsius}, {"strength": strength})
    return planner


def draw(out: Path = _OUT) -> Path:
    """Three panels: what is believed, what each step would gain per credit, when a chain is worth
    beginning.
    """
    planner = example()
    belief = NetworkBelief(Network(planner.state.workflow, "strength"), planner.state, Memory())
    x = np.unique(
        np.concatenate([np.linspace(0, 1, 241)[:, None], belief.measured_designs()]), axis=0
    )
    known = belief.lookup(x)
    chains = Chains(belief, Prices(planner.state), x, known)
    gains = Gains(belief, x, known, 0)
    celsius = 300 + 600 * x[:, 0]
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    end = gains.response("grain")
    spread = np.sqrt(np.maximum((end.series[:, 1:] ** 2).sum(1), 0))
    left.plot(celsius, end.mean, color="C0")
    left.fill_between(celsius, end.mean - 2 * spread, end.mean + 2 * spread, alpha=0.2)
    done = ~np.isnan(known["strength"])
    left.plot(celsius[done], known["strength"][done], "ko", label="tested")
    half = ~np.isnan(known["grain"]) & ~done
    left.plot(celsius[half], end.mean[half], "s", color="C3", label="annealed, not tested")
    left.set(xlabel="anneal_C", ylabel="strength", title="What is believed of the end")
    left.legend(frameon=False)
    for name, colour in (("grain", "C0"), ("strength", "C3")):
        leg = chains.leg(name)
        rate, _, _ = gains.chain(name, leg)
        rows = np.flatnonzero(leg.ready)
        one_step = gains.one_step(name, rows) / leg.now[rows]
        style = {"marker": "s"} if len(rows) < 5 else {}
        middle.plot(celsius[rows], rate[rows], color=colour, label=f"{name}: chain", **style)
        middle.plot(celsius[rows], one_step, "--", color=colour, label=f"{name}: alone", **style)
    middle.set(xlabel="anneal_C", ylabel="gain per credit", title="What each step would gain")
    middle.legend(frameon=False, fontsize=8)
    leg = chains.leg("grain")
    rate, _, _ = gains.chain("grain", leg)
    best = int(np.where(leg.ready, rate, -1).argmax())
    better = end.better[best]
    prices = np.linspace(0, 2.2 * rate[best], 200)
    worth = np.maximum(better[None, :] - prices[:, None] * leg.later[best], 0) @ WEIGHTS
    right.plot(prices, worth, label="worth of beginning")
    right.plot(prices, prices * leg.now[best], label="price of the first step")
    whole = np.maximum(better @ WEIGHTS - prices * leg.later[best], 0)
    right.plot(prices, whole, ":", label="if it had to be finished")
    right.axvline(rate[best], color="0.6", lw=0.8)
    right.set(
        xlabel="gain that a credit must bring",
        ylabel="strength",
        title="When a chain is just worth beginning",
    )
    right.legend(frameon=False, fontsize=8)
    figure.savefig(out, dpi=110)
    plt.close(figure)
    return out


if __name__ == "__main__":
    print(draw())
