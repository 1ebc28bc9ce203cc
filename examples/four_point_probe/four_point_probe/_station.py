"""The station: a quick look with two contacts, a true measurement with four."""

from __future__ import annotations

import math
from typing import final

import numpy as np

from probewise.workflow import (
    Array,
    Axis,
    Estimate,
    Failure,
    Job,
    Kind,
    Offer,
    Outcome,
    Step,
    Worker,
    WorkerError,
    no_parameters,
)

from ._coupons import sheet_conductance_S
from ._meter import Meter, SimulatedMeter


def sheet_resistance(slope_ohm: float, diameter_mm: float, spacing_mm: float) -> float:
    """Sheet resistance in ohm per square from voltage over current of four contacts in a row.

    The row stands in the middle of a round film. Correction for the finite film after F. M. Smits,
    "Measurement of Sheet Resistivities with the Four-Point Probe", Bell System Technical Journal
    37, 711 (1958).

    Parameters
    ----------
    slope_ohm
        Voltage of the inner contacts over current of the outer ones.
    diameter_mm
        Diameter of the film.
    spacing_mm
        Distance of neighbouring contacts.
    """
    ratio = (diameter_mm / spacing_mm) ** 2
    return math.pi * slope_ohm / (math.log(2.0) + math.log((ratio + 3.0) / (ratio - 3.0)))


@final
class FourPointProbe(Worker):
    """Four contacts in a row on the middle of a round coupon; here with a simulated meter.

    Offers ``quick_conductance`` (two contacts, one reading: the contacts are in it) and
    ``sheet_conductance`` (four contacts, current reversed to cancel thermal voltages).

    Parameters
    ----------
    world_seed
        Which set of simulated coupons is there.
    current_mA
        Largest current.
    points
        Currents in a sweep, from minus to plus the largest; an even number.
    noise_uV
        Standard deviation of one reading.
    diameter_mm, spacing_mm
        Of the coupon, and of neighbouring contacts; the coupon must hold the row.

    Raises
    ------
    WorkerError
        If a parameter is out of range.
    """

    kind = Kind.INSTRUMENT
    twin = True
    replayable = True

    def __init__(
        self,
        *,
        world_seed: int = 0,
        current_mA: float = 1.0,
        points: int = 12,
        noise_uV: float = 20.0,
        diameter_mm: float = 12.0,
        spacing_mm: float = 1.0,
    ) -> None:
        if not 0 < current_mA <= 10 or points < 4 or points % 2 or noise_uV < 0:
            raise WorkerError(
                "four-point-probe",
                f"current_mA={current_mA}, points={points}, noise_uV={noise_uV}",
                "up to 10 mA, an even number of at least 4 points, noise of at least 0",
                "correct the worker's config",
            )
        if not 0 < 3 * spacing_mm < diameter_mm:
            raise WorkerError(
                "four-point-probe",
                f"spacing_mm={spacing_mm}, diameter_mm={diameter_mm}",
                "three spacings that are shorter than the diameter",
                "correct the worker's config",
            )
        self._world_seed = world_seed
        self._currents_A = np.linspace(-1e-3 * current_mA, 1e-3 * current_mA, points)
        self._noise_V = 1e-6 * noise_uV
        self._diameter_mm, self._spacing_mm = diameter_mm, spacing_mm

    def offers(self) -> tuple[Offer, ...]:
        return (
            Offer(capability="quick_conductance", about="two contacts, simulated"),
            Offer(capability="sheet_conductance", about="four contacts, simulated"),
        )

    def check(self, step: Step) -> None:
        no_parameters(step)

    def safe(self) -> str:
        return "simulated: no current, contacts lifted"

    def perform(self, job: Job) -> Outcome:
        design = job.action.target.design
        if not {"anneal_C", "oxygen_pct"} <= set(design):
            message = f"a coupon is named by anneal_C and oxygen_pct, not by {sorted(design)}"
            return Outcome(failure=Failure(kind="refused", message=message))
        if not (20 <= design["anneal_C"] <= 600 and 0 <= design["oxygen_pct"] <= 10):
            message = f"there is no coupon of {design}"
            return Outcome(failure=Failure(kind="refused", message=message))
        if job.step.needs == "quick_conductance":
            return self._quick(job)
        return self._sheet(job)

    def _quick(self, job: Job) -> Outcome:
        """One reading through two contacts, whose resistance differs from touch to touch."""
        contacts_ohm = float(job.rng.uniform(4.0, 8.0))
        current_A = float(self._currents_A[-1])
        voltage_V = self._meter(job, contacts_ohm).read_V(current_A)
        resistance_ohm = sheet_resistance(
            voltage_V / current_A, self._diameter_mm, self._spacing_mm
        )
        if resistance_ohm <= 0:
            return Outcome(failure=Failure(kind="bad_data", message="the noise hides the signal"))
        value = 1e3 / resistance_ohm
        credits, hours = job.draw_price()
        return Outcome(
            values={"quick_conductance": Estimate(value=value, std=0.15 * value)},
            cost_credits=credits,
            duration_h=hours,
        )

    def _sheet(self, job: Job) -> Outcome:
        """A sweep; the slope of the line through it does not feel the thermal voltage."""
        meter = self._meter(job, contacts_ohm=0.0)
        voltages_V = np.array([meter.read_V(float(i)) for i in self._currents_A])
        fit, covariance = np.polyfit(self._currents_A, voltages_V, 1, cov=True)
        resistance_ohm = sheet_resistance(float(fit[0]), self._diameter_mm, self._spacing_mm)
        if resistance_ohm <= 0:
            return Outcome(failure=Failure(kind="bad_data", message="the noise hides the signal"))
        value = 1e3 / resistance_ohm
        std = value * float(np.sqrt(covariance[0, 0]) / abs(fit[0]))
        axis = Axis("current", "A", self._currents_A, "spectral")
        curve = Array(voltages_V, "V", (axis,), quantity="voltage", kind="SPECTRUM")
        credits, hours = job.draw_price()
        return Outcome(
            values={"sheet_conductance": Estimate(value=value, std=std)},
            arrays={"voltage_curve": curve},
            cost_credits=credits,
            duration_h=hours,
        )

    def _meter(self, job: Job, contacts_ohm: float) -> Meter:
        """The meter on the coupon of this job. Here goes the driver of a real one."""
        design = job.action.target.design
        sheet_ohm = 1.0 / sheet_conductance_S(
            design["anneal_C"], design["oxygen_pct"], self._world_seed
        )
        per_sheet = 1.0 / sheet_resistance(1.0, self._diameter_mm, self._spacing_mm)
        thermal_V = float(job.rng.normal(0.0, 1e-4))
        return SimulatedMeter(
            sheet_ohm * per_sheet + contacts_ohm, thermal_V, self._noise_V, job.rng
        )
