"""Core-loss edges of the elements, and what a design's composition makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..workflow import Design, DesignSpaceError, Formula, SpecError

EDGES_eV: dict[str, tuple[int, ...]] = {
    "B": (188,),
    "C": (284,),
    "N": (401,),
    "O": (532,),
    "F": (685,),
    "Na": (1072,),
    "Mg": (1305,),
    "Al": (73, 1560),
    "Si": (99, 1839),
    "P": (132, 2146),
    "S": (165, 2472),
    "K": (294,),
    "Ca": (346,),
    "Sc": (402,),
    "Ti": (456,),
    "V": (513,),
    "Cr": (575,),
    "Mn": (640,),
    "Fe": (708,),
    "Co": (779,),
    "Ni": (855,),
    "Cu": (931,),
    "Zn": (1020,),
    "Ga": (1115,),
    "Ge": (1217,),
    "Sr": (1940,),
    "Zr": (2222,),
    "Nb": (205, 2371),
    "Mo": (227, 2520),
    "Ba": (781,),
    "La": (832,),
    "Ce": (883,),
    "Pr": (931,),
    "Nd": (978,),
    "Sm": (1080,),
    "Gd": (1185,),
    "Bi": (2580,),
    "Pb": (2484,),
}
"""Major edges, rounded to 1 eV (C. C. Ahn and O. L. Krivanek, EELS Atlas, Gatan 1983): K edges up
to silicon, L3 or M5 edges beyond. Elements with two have a low one and a high one."""


@dataclass(frozen=True)
class Composition:
    """Amounts of elements as functions of a design: ``{"O": "3", "Sm": "sm", "Bi": "1 - sm"}``."""

    amounts: Mapping[str, Formula]

    def fractions(self, design: Design) -> dict[str, float]:
        """Atomic fractions at a design; they sum to 1.

        Raises
        ------
        DesignSpaceError
            If the design lacks a variable, or gives an amount that is negative or no number.
        """
        needed = {name for formula in self.amounts.values() for name in formula.names}
        if missing := sorted(needed - set(design)):
            raise DesignSpaceError(
                "composition",
                f"a design with {sorted(design)} only",
                f"values for {sorted(needed)}",
                f"load a sample with {missing} in its design",
            )
        amounts = {element: float(f(design)) for element, f in self.amounts.items()}
        bad = {e: a for e, a in amounts.items() if not np.isfinite(a) or a < 0}
        total = sum(amounts.values())
        if bad or total <= 0:
            raise DesignSpaceError(
                "composition",
                f"amounts {bad or amounts} at {dict(design)}",
                "amounts that are not negative, and one above zero",
                "correct the composition or the design",
            )
        return {element: amount / total for element, amount in amounts.items()}


def parse_composition(text: str) -> Composition:
    """A composition from one line: ``O: 3; Fe: 1; Sm: sm; Bi: 1 - sm``.

    Raises
    ------
    SpecError
        If an element is unknown or named twice, or an amount does not read.
    """
    amounts: dict[str, Formula] = {}
    for part in filter(None, (p.strip() for p in text.split(";"))):
        element, colon, amount = (p.strip() for p in part.partition(":"))
        if not colon or element not in EDGES_eV or element in amounts:
            raise SpecError(
                "composition",
                f"{part!r} in {text!r}",
                f"'element: amount' parted by ';', each element once, of {sorted(EDGES_eV)}",
                "correct it",
            )
        amounts[element] = Formula.model_validate(amount)
    if not amounts:
        raise SpecError("composition", f"{text!r}", "at least one element", "name its elements")
    return Composition(amounts)
