"""The network of functions behind a goal: which quantity is a function of what.

Quantities of one property form a group with levels from the cheapest source to the
dearest; every group is one Gaussian process. Formulas are known functions of quantities and of
the design.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import final

import networkx as nx

from ..workflow import Formula, Goal, Maximize, Step, Workflow


@final
@dataclass(frozen=True)
class Learned:
    """A quantity that is measured.

    Attributes
    ----------
    group, level
        The process that describes it, and its place among the sources of its property.
    controls
        Columns of the space that its step sets.
    parents
        Quantities that its step consumes.
    columns
        All columns of the space that it depends on, through its parents too.
    """

    quantity: str
    step: Step
    group: int
    level: int
    controls: tuple[int, ...]
    parents: tuple[str, ...]
    columns: tuple[int, ...]


@final
@dataclass(frozen=True)
class Known:
    """A quantity that is computed by a formula from ``parents`` and columns of the space.

    Where one of ``guards`` does not hold, it is the worst value seen instead.
    """

    quantity: str
    formula: Formula
    guards: tuple[Formula, ...]
    parents: tuple[str, ...]
    controls: tuple[int, ...]
    columns: tuple[int, ...]


Node = Learned | Known


GUARDED = "{} where allowed"


@final
class Network:
    """The quantities that matter for one goal, in an order in which they can be computed.

    Parameters
    ----------
    end
        The quantity to make large.
    guards
        Conditions on quantities; with any, the end of the network is the guarded quantity.
    quantities
        What may be measured; all that matters if None.
    """

    def __init__(
        self,
        workflow: Workflow,
        end: str,
        guards: tuple[Formula, ...] = (),
        quantities: tuple[str, ...] | None = None,
    ) -> None:
        self.workflow = workflow
        self.end = GUARDED.format(end) if guards else end
        self.goal = end
        wanted = closure(workflow, (end, *(n for g in guards for n in g.names)))
        if quantities is not None:
            wanted = tuple(q for q in wanted if q in quantities or q in workflow.formulas)
        self.groups: tuple[tuple[str, ...], ...] = _sources(workflow, wanted)
        self.nodes: dict[str, Node] = {}
        for quantity in _ordered(workflow, wanted):
            if quantity in workflow.formulas:
                self._add_known(quantity, workflow.formulas[quantity], ())
            else:
                self._add_learned(quantity)
        if guards:
            self._add_known(self.end, Formula(expression=end), guards)

    def _add_learned(self, quantity: str) -> None:
        names = self.workflow.space.names
        group = next(i for i, chain in enumerate(self.groups) if quantity in chain)
        chain = self.groups[group]
        controls: set[int] = set()
        for member in chain:
            own = self.workflow.producer(member).controls
            controls |= {names.index(n) for n in (names if own is None else own)}
        parents = self.workflow.parents(quantity)
        columns = {*controls, *(c for p in parents for c in self.nodes[p].columns)}
        self.nodes[quantity] = Learned(
            quantity,
            self.workflow.producer(quantity),
            group,
            chain.index(quantity),
            tuple(sorted(controls)),
            parents,
            tuple(sorted(columns)),
        )

    def _add_known(self, quantity: str, formula: Formula, guards: tuple[Formula, ...]) -> None:
        names = self.workflow.space.names
        used = dict.fromkeys((*formula.names, *(n for g in guards for n in g.names)))
        parents = tuple(n for n in used if n not in names)
        controls = tuple(names.index(n) for n in used if n in names)
        columns = {*controls, *(c for p in parents for c in self.nodes[p].columns)}
        self.nodes[quantity] = Known(
            quantity, formula, guards, parents, controls, tuple(sorted(columns))
        )

    @cached_property
    def learned(self) -> tuple[Learned, ...]:
        return tuple(n for n in self.nodes.values() if isinstance(n, Learned))

    def learn(self, quantity: str) -> Learned:
        """The learned node of that name."""
        node = self.nodes[quantity]
        assert isinstance(node, Learned)
        return node

    @cached_property
    def path(self) -> tuple[str, ...]:
        """Nodes that the end is computed from, in order, the end last."""
        wanted = {self.end}
        for name in reversed(self.nodes):
            if name in wanted:
                wanted.update(self.nodes[name].parents)
        return tuple(n for n in self.nodes if n in wanted)

    def tells_of(self, quantity: str) -> str:
        """The quantity on the path to the end that a measurement of ``quantity`` tells of."""
        chain = self.groups[self.learn(quantity).group]
        return next(q for q in chain[chain.index(quantity) :] if q in self.path)


def closure(workflow: Workflow, names: Iterable[str]) -> tuple[str, ...]:
    """Quantities and formulas that ``names`` depend on, sources of the same property included."""
    found: dict[str, None] = {}
    waiting = [n for n in names if n not in workflow.space.names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = None
        if name in workflow.formulas:
            needed = [n for n in workflow.formulas[name].names if n not in workflow.space.names]
        else:
            needed = [*workflow.parents(name), *workflow.cheaper(name)]
        waiting += needed
    return tuple(found)


def _sources(workflow: Workflow, wanted: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Groups of quantities that are sources of one property, cheapest first."""
    chains: list[list[str]] = []
    for quantity in workflow.scalars:
        if quantity not in wanted:
            continue
        below = workflow.cheaper(quantity)
        home = next((c for c in chains if below and c[-1] == below[0]), None)
        if home is None:
            chains.append([quantity])
        else:
            home.append(quantity)
    return tuple(tuple(c) for c in chains)


def _ordered(workflow: Workflow, wanted: tuple[str, ...]) -> list[str]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(wanted)
    for quantity in wanted:
        formula = workflow.formulas.get(quantity)
        parents = workflow.parents(quantity) if formula is None else formula.names
        graph.add_edges_from((p, quantity) for p in parents if p in wanted)
    return list(nx.lexicographical_topological_sort(graph))


def is_network(workflow: Workflow, goal: Goal) -> bool:
    """Whether every quantity behind the goal is measured at designs, without samples or theory."""
    if not isinstance(goal, Maximize) or goal.over != "designs":
        return False
    names = (goal.quantity, *(n for g in goal.subject_to for n in g.names))
    learned = [q for q in closure(workflow, names) if q not in workflow.formulas]
    steps = [workflow.producer(q) for q in learned]
    return all(s.acts_on == "design" and s.makes is None for s in steps) and all(
        set(workflow.parents(q)) == set(workflow.parents(c))
        for q in learned
        for c in workflow.cheaper(q)
    )
