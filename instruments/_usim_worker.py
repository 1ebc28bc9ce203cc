"""Nion's simulator as a worker of a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from ._edges import parse_composition
from ._fitting import fitting_procedures
from ._microscope import Microscope
from ._procedures import Geometry, Procedure
from ._usim import UsimDriver


@final
class UsimScopeTwin(Microscope):
    """A simulated Nion microscope whose specimens show the edges of the design they were made for.

    Parameters
    ----------
    composition
        Elements with their amounts as functions of the design: ``O: 3; Fe: 1; Sm: sm; Bi: 1 - sm``.
    pixels, field_of_view_nm
        Of the overview, whose pixels name the positions of later steps.
    energy_offset_eV, dispersion_eV
        Of the spectrometer's 1,024 channels.
    world_seed
        Of the specimens.
    composition_steps
        In how many steps atomic fractions are drawn; a spectrum takes time in proportion.
    **limits
        See :class:`Microscope`.

    Raises
    ------
    SpecError
        If the composition does not read, or a limit is unknown or impossible.
    WorkerError
        If the extra ``usim`` is not installed.
    """

    twin: ClassVar[bool] = True
    replayable: ClassVar[bool] = False

    def __init__(
        self, composition: str, pixels: int = 128, field_of_view_nm: float = 200.0,
        energy_offset_eV: float = 400.0, dispersion_eV: float = 0.5, world_seed: int = 0,
        composition_steps: int = 100, **limits: Any,
    ) -> None:  # fmt: skip
        driver = UsimDriver(
            parse_composition(composition), energy_offset_eV, dispersion_eV, world_seed,
            composition_steps,
        )  # fmt: skip
        super().__init__(driver, Geometry(pixels, field_of_view_nm), **limits)

    def procedures(self) -> Mapping[str, Procedure]:
        return fitting_procedures(self.geometry, self.console.driver)
