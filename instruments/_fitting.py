"""Those procedures of an electron microscope that a driver can do."""

from __future__ import annotations

from collections.abc import Mapping

from ..workflow import Adjust, Blank, InstrumentState, Job, Program
from ._driver import Driver
from ._procedures import Build, Geometry, Procedure, arrival, filled, stem_procedures

_NEEDS = {
    "load_sample": "load",
    "tune": "tune",
    "overview_scan": "overview",
    "measure_spectra": "spectrum",
    "run_program": "blank",
}
"""The verb without which a procedure is none."""


def fitting_procedures(geometry: Geometry, driver: Driver) -> Mapping[str, Procedure]:
    """Procedures whose commands the driver has; ``tune`` is the focus alone where it tunes no more.

    Parameters
    ----------
    geometry
        Of the overview whose pixels name the positions of later steps.
    driver
        The one that will do them.
    """
    known = {
        name: procedure
        for name, procedure in stem_procedures(geometry).items()
        if _NEEDS[name] in driver.verbs
    }
    if "tune" in known and driver.tunings == {"focus"}:
        known["tune"] = Procedure("focus", _focus(geometry))
    return known


def _focus(geometry: Geometry) -> Build:
    def build(job: Job, state: InstrumentState) -> Program:
        commands = arrival(job, state, geometry.field_of_view_nm)
        tune = filled(Adjust, job, what="focus")
        return Program(name=job.step.name, commands=(*commands, tune, Blank()))

    return build
