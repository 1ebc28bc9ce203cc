"""The twin of an electron microscope as a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

from ._microscope import Microscope
from ._procedures import Geometry, Procedure, stem_procedures
from ._stem_twin import StemTwinDriver


@final
class StemTwin(Microscope):
    """Images and spectra of hidden scenes of plasmonic particles; the specimen suffers.

    A scene belongs to ``world_seed``, sample and site. Carbon grows where the beam was, so that a
    second measurement differs from the first: the worker is not replayable.

    Parameters
    ----------
    world_seed
        The seed of the world.
    pixels, field_of_view_nm
        Of the overview, whose pixels name the positions of later steps.
    current_pA, voltage_kV
        What the beam is set to.
    **limits
        See :class:`Microscope`.

    Raises
    ------
    SpecError
        If a parameter or limit is out of range.
    """

    twin: ClassVar[bool] = True
    replayable: ClassVar[bool] = False

    def __init__(
        self,
        world_seed: int = 0,
        pixels: int = 128,
        field_of_view_nm: float = 200.0,
        current_pA: float = 40.0,
        voltage_kV: float = 100.0,
        **limits: Any,
    ) -> None:
        driver = StemTwinDriver(world_seed, current_pA, voltage_kV)
        super().__init__(driver, Geometry(pixels, field_of_view_nm), **limits)

    def procedures(self) -> Mapping[str, Procedure]:
        return stem_procedures(self.geometry)
