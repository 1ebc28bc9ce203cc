"""The workflow: steps as a graph, checked when it is made."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import networkx as nx
from pydantic import Field, field_validator, model_validator

from ._action import Target
from ._amount import Amount, Extent
from ._errors import SpecError
from ._formula import Formula
from ._inventory import Inventory
from ._model import Name, Record
from ._quantity import Correlation, Port, Prior, same_unit
from ._space import Space, WrittenVariables
from ._step import Step


class Workflow(Record):
    """A design space and the steps that can be done in it.

    Attributes
    ----------
    sources
        For a quantity, other quantities that estimate the same property, from the cheapest and
        least trusted to the dearest; each is learned as a linear source of the next.
    correlations
        What is known of sources beforehand, from earlier campaigns or from the literature: how
        each correlates with the quantity that it is a source of. Of others it is learned. Nothing
        can be told of a source of two quantities.
    priors
        Mean and spread of quantities before anything is measured. Where there is none, the planner
        learns the scale from a few space-filling measurements.
    formulas
        Known functions of quantities and variables, by the name of their result; a goal may be
        about one in workflows without samples.
    """

    name: Name = "workflow"
    space: Space
    steps: tuple[Step, ...] = Field(min_length=1)
    sources: dict[str, tuple[str, ...]] = {}
    correlations: dict[str, Correlation] = {}
    priors: dict[str, Prior] = {}
    formulas: dict[Name, Formula] = {}

    @field_validator("space", mode="before", json_schema_input_type=Space | WrittenVariables)
    @classmethod
    def _from_variables(cls, value: Any) -> Any:
        return {"variables": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _check(self) -> Workflow:
        self._check_names()
        self._check_amounts()
        self._check_ports()
        self._check_correlations()
        self._check_order()
        self._check_formulas()
        return self

    def _check_names(self) -> None:
        names = [s.name for s in self.steps]
        repeated = sorted({n for n in names if names.count(n) > 1})
        if repeated:
            raise SpecError(
                f"workflow {self.name!r}",
                f"steps {repeated} twice",
                "every step name once",
                "rename one of them",
            )
        makers: dict[str, str] = {}
        for step in self.steps:
            for name in step.requires:
                if name not in names:
                    raise SpecError(
                        f"step {step.name!r}",
                        f"requires unknown step {name!r}",
                        f"one of {names}",
                        "correct the name or add the step",
                    )
            for name in step.controls or ():
                if name not in self.space.names:
                    raise SpecError(
                        f"step {step.name!r}",
                        f"control {name!r}",
                        f"variables of the space: {list(self.space.names)}",
                        "correct the name or add the variable",
                    )
            for port in (*step.produces, *step.records, *step.predicts):
                if port.name in makers:
                    raise SpecError(
                        f"step {step.name!r}",
                        f"also gives {port.name!r}",
                        f"one producer, which is {makers[port.name]!r}",
                        "give the second one another name and list it under sources",
                    )
                makers[port.name] = step.name

    def _check_amounts(self) -> None:
        for step in self.steps:
            self._check_amount(step, "cost_credits", step.cost_credits)
            self._check_amount(step, "latency_h", step.latency_h)

    def _check_amount(self, step: Step, kind: str, amount: Amount) -> None:
        """Whether an amount that depends on the design can be told at every one of them."""
        if not amount.per_unit:
            return
        who = f"{kind} of step {step.name!r}"
        if step.acts_on != "design":
            raise SpecError(
                who,
                f"per_unit of {sorted(amount.per_unit)} in a step on {step.acts_on!r}",
                "per_unit in steps on a design",
                "give one median, or let the step act on a design",
            )
        variables = self.space.names if step.controls is None else step.controls
        stray = sorted({*amount.per_unit} - {*variables})
        if stray:
            raise SpecError(
                who,
                f"per_unit of {stray}",
                f"variables that the step controls: {sorted(variables)}",
                "correct the name, or add it to the controls",
            )
        design = self.space.least(amount.per_unit)
        bare = amount.model_copy(update={"per_unit": {}}).typical()
        least = bare + sum(rate * design[name] for name, rate in amount.per_unit.items())
        if least < -1e-9 * max(bare, 1.0):
            raise SpecError(
                who,
                f"{least:.4g} at " + ", ".join(f"{n}={design[n]:g}" for n in amount.per_unit),
                "nothing below 0 within the space",
                f"raise the median by {-least:.4g}, or mend per_unit",
            )

    def usual_extent(self, step: Step) -> Extent:
        """How much a usual run of a step does, in the middle of the space."""
        design = self.space.middle if step.varies else {}
        return Extent(step.positions_per_run, step.dwell_of(), design)

    def _check_ports(self) -> None:
        given = {p.name: p for s in self.steps for p in (*s.produces, *s.records, *s.predicts)}
        for step in self.steps:
            for port in (*step.consumes, *step.optional):
                source = given.get(port.name)
                if source is None:
                    raise SpecError(
                        f"step {step.name!r}",
                        f"consumes {port.name!r}, which no step gives",
                        f"one of {sorted(given)}",
                        "add a step that produces or records it",
                    )
                if port.unit is not None and not same_unit(port.unit, source.unit or "1"):
                    raise SpecError(
                        f"step {step.name!r}",
                        f"takes {port.name!r} in {port.unit!r}",
                        f"{source.unit or '1'!r}, as {self.producer(port.name).name!r} gives it",
                        "use one unit on both sides, or add a step that converts",
                    )
        scalars = {p.name for s in self.steps for p in (*s.produces, *s.predicts)}
        named = {*self.priors, *self.sources, *(n for v in self.sources.values() for n in v)}
        for name in sorted(named - scalars):
            raise SpecError(
                f"workflow {self.name!r}",
                f"prior or source for {name!r}",
                f"scalar quantities {sorted(scalars)}",
                "correct the name or let a step produce it",
            )

    def _check_correlations(self) -> None:
        for name in sorted(self.correlations):
            targets = [q for q, sources in self.sources.items() if name in sources]
            if not targets:
                raise SpecError(
                    f"workflow {self.name!r}",
                    f"a correlation for {name!r}",
                    f"one of the sources {sorted({n for v in self.sources.values() for n in v})}",
                    "list it under sources, before the quantity that it is a source of",
                )
            if len(targets) > 1:
                raise SpecError(
                    f"workflow {self.name!r}",
                    f"a correlation for {name!r}, a source of {targets}",
                    "a source of one quantity",
                    "leave the correlation away: it is then learned for each of them",
                )

    def _check_order(self) -> None:
        if not nx.is_directed_acyclic_graph(self.graph):
            cycle = " -> ".join(edge[0] for edge in nx.find_cycle(self.graph))
            raise SpecError(
                f"workflow {self.name!r}",
                f"the cycle {cycle}",
                "steps that can be put in an order",
                "remove one of its requires or consumes",
            )

    def _check_formulas(self) -> None:
        taken = {*self._producers, *self.space.names}
        for name, formula in self.formulas.items():
            if name in taken:
                raise SpecError(
                    f"formula {name!r}",
                    "the name of a quantity or variable",
                    "a name of its own",
                    "rename the formula",
                )
            self.check_names(f"formula {name!r}", formula)
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_edges_from((n, f) for f, text in self.formulas.items() for n in text.names)
        if not nx.is_directed_acyclic_graph(graph):
            cycle = " -> ".join(edge[0] for edge in nx.find_cycle(graph))
            raise SpecError(
                f"workflow {self.name!r}",
                f"the cycle of formulas {cycle}",
                "formulas that can be put in an order",
                "remove one of the names",
            )

    def check_names(self, who: str, formula: Formula) -> None:
        """Refuse a formula about anything but variables, scalar quantities and other formulas.

        Raises
        ------
        SpecError
            If it names something else.
        """
        known = {*self.scalars, *self.space.names, *self.formulas}
        for name in formula.names:
            if name not in known:
                raise SpecError(
                    who,
                    f"the name {name!r} in {formula.expression!r}",
                    f"one of {sorted(known)}",
                    "correct the name",
                )

    @cached_property
    def graph(self) -> nx.DiGraph[str]:
        """Steps as nodes; an edge from a step to one that requires or consumes what it gives."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(s.name for s in self.steps)
        for step in self.steps:
            for name in step.requires:
                graph.add_edge(name, step.name, via="")
            for port in step.consumes:
                graph.add_edge(self.producer(port.name).name, step.name, via=port.name)
        return graph

    @cached_property
    def _by_name(self) -> dict[str, Step]:
        return {s.name: s for s in self.steps}

    @cached_property
    def _producers(self) -> dict[str, tuple[Step, Port]]:
        return {p.name: (s, p) for s in self.steps for p in (*s.produces, *s.records, *s.predicts)}

    def step(self, name: str) -> Step:
        """The step of that name.

        Raises
        ------
        SpecError
            If there is none.
        """
        if name not in self._by_name:
            raise SpecError(
                f"workflow {self.name!r}",
                f"step {name!r}",
                f"one of {sorted(self._by_name)}",
                "correct the name",
            )
        return self._by_name[name]

    def producer(self, quantity: str) -> Step:
        """The step that gives a quantity, array or prediction."""
        if quantity not in self._producers:
            raise SpecError(
                f"workflow {self.name!r}",
                f"quantity {quantity!r}",
                f"one of {sorted(self._producers)}",
                "correct the name",
            )
        return self._producers[quantity][0]

    def unit(self, quantity: str) -> str:
        if quantity in self.formulas:
            return self.formulas[quantity].unit
        self.producer(quantity)
        return self._producers[quantity][1].unit or "1"

    @cached_property
    def scalars(self) -> tuple[str, ...]:
        """Modelled quantities, parents and cheaper sources first."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        for step in self.steps:
            for port in (*step.produces, *step.predicts):
                graph.add_node(port.name)
        for name in list(graph.nodes):
            for parent in (*self.parents(name), *self.cheaper(name)):
                graph.add_edge(parent, name)
        if not nx.is_directed_acyclic_graph(graph):
            raise SpecError(
                f"workflow {self.name!r}",
                f"sources {dict(self.sources)} run in a circle with what steps consume",
                "sources from cheap to dear that follow the steps",
                "reorder the sources",
            )
        return tuple(nx.lexicographical_topological_sort(graph))

    def is_scalar(self, quantity: str) -> bool:
        if quantity in self.formulas:
            return False
        step = self.producer(quantity)
        return any(p.name == quantity for p in (*step.produces, *step.predicts))

    def parents(self, quantity: str) -> tuple[str, ...]:
        """Scalars that the producing step consumes: inputs of this quantity's function.

        A theory step consumes measurements to fit its parameters; they are no inputs of its
        function.
        """
        step = self.producer(quantity)
        if step.acts_on == "space":
            return ()
        return tuple(p.name for p in step.consumes if self.is_scalar(p.name))

    def cheaper(self, quantity: str) -> tuple[str, ...]:
        """The next cheaper source of the same property, if there is one (zero or one name)."""
        for target, sources in self.sources.items():
            chain = (*sources, target)
            if quantity in chain and chain.index(quantity) > 0:
                return (chain[chain.index(quantity) - 1],)
        return ()

    def target_of(self, source: str) -> str | None:
        """The quantity that another one is a source of; None for one that is listed as none."""
        return next((q for q, sources in self.sources.items() if source in sources), None)

    def correlation(self, source: str, quantity: str) -> Correlation | None:
        """What was told of the correlation of a source with a quantity of the same property.

        Of two sources of the same quantity it is what follows if their errors are independent, and
        None unless both were told.
        """
        first, target = self.correlations.get(source), self.target_of(source)
        if first is None or quantity == target:
            return first
        second = self.correlations.get(quantity)
        if second is None or self.target_of(quantity) != target:
            return None
        return first.times(second)

    def open_steps(self, step: Step, target: Target, inventory: Inventory) -> tuple[Step, ...]:
        """Steps still to be done so that ``step`` runs on ``target``, in order, ``step`` last."""
        chain: list[Step] = []
        self._collect(step, target, inventory, chain)
        return tuple(chain)

    def _collect(self, step: Step, target: Target, inventory: Inventory, chain: list[Step]) -> None:
        if step in chain:
            return
        for name in step.requires:
            if not inventory.is_done(name, target):
                self._collect(self.step(name), target, inventory, chain)
        for port in step.consumes:
            producer = self.producer(port.name)
            if self.is_scalar(port.name):
                if step.acts_on == "space":
                    continue
                missing = inventory.value(port.name, target) is None
            else:
                missing = not inventory.is_fresh(port.name, step, target) or self._outdated(
                    producer, target, inventory
                )
            if missing and producer not in chain:
                self._collect(producer, target, inventory, chain)
        chain.append(step)

    def _outdated(self, step: Step, target: Target, inventory: Inventory) -> bool:
        """Whether arrays have come since ``step`` last ran that would change what it gives."""
        arrays = [p.name for p in step.consumes if not self.is_scalar(p.name)]
        return any(
            inventory.is_fresh(name, step, target)
            or self._outdated(self.producer(name), target, inventory)
            for name in arrays
        )

    @cached_property
    def mount(self) -> Step | None:
        """The step that puts a sample on an instrument and so opens a session."""
        return next((s for s in self.steps if s.mounts), None)

    @cached_property
    def session_steps(self) -> frozenset[str]:
        """The mounting step and all that needs a mounted sample, directly or not."""
        if self.mount is None:
            return frozenset()
        after = nx.descendants(self.graph, self.mount.name)
        held = {n for n in after if self.step(n).acts_on in {"sample", "site", "positions"}}
        return frozenset({self.mount.name, *held})

    @cached_property
    def unmount_undoes(self) -> frozenset[str]:
        """Sample-wide session steps: they hold only while the sample stays mounted."""
        return frozenset(n for n in self.session_steps if self.step(n).acts_on == "sample")
