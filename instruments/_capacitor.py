"""Twin of a ferroelectric tester: electrodes on a pad, then a polarization-field loop."""

from __future__ import annotations

from typing import ClassVar, final

from ..matter import TEST_FIELD_kV_per_cm, make_pad, make_world, triangle
from ..workflow import (
    Array,
    Axis,
    DesignSpaceError,
    Estimate,
    Job,
    Kind,
    Offer,
    Outcome,
    Step,
    Worker,
    no_parameters,
)
from ._refusal import refusal

_POINTS = 200
_PULSE_NOISE_uC_per_cm2 = 1.0
_LOOP_NOISE_uC_per_cm2 = 0.5


@final
class CapacitorTwin(Worker):
    """Measures the switchable polarization of a whole pad in the hidden world of a seed.

    Parameters
    ----------
    world_seed
        The seed of the world; the same as for the other twins of the campaign.

    Raises
    ------
    SpecError
        If the seed is not a non-negative integer.
    """

    kind: ClassVar[Kind] = Kind.INSTRUMENT
    twin: ClassVar[bool] = True
    replayable: ClassVar[bool] = True

    def __init__(self, world_seed: int = 0) -> None:
        self._world = make_world(world_seed)
        self._field = triangle(_POINTS, TEST_FIELD_kV_per_cm)

    def offers(self) -> tuple[Offer, ...]:
        return (
            Offer(capability="capacitor_test", about="twin: electrodes and a P-E loop of a pad"),
        )

    def safe(self) -> str:
        return "twin: needles lifted, field off"

    def check(self, step: Step) -> None:
        no_parameters(step)

    def perform(self, job: Job) -> Outcome:
        """Test the pad.

        ``switchable_polarization`` comes from pulses, which are blind to leakage current, with a
        standard deviation of 1 uC/cm^2. ``pe_loop``, shape (200,) over the axis ``field`` in kV/cm,
        is the dynamic loop; leakage opens it, so its remanence is no measure of a leaky pad.
        """
        target = job.action.target
        if target.sample is None:
            return refusal("no sample named", "name the sample")
        try:
            pad = make_pad(self._world.seed, target.sample, target.site or 0, target.design)
        except DesignSpaceError as error:
            return refusal(f"{error.given}; allowed: {error.allowed}", error.remedy)
        credits, hours = job.draw_price()
        read = pad.switchable_uC_per_cm2 + float(job.rng.normal(0.0, _PULSE_NOISE_uC_per_cm2))
        noise = job.rng.normal(0.0, _LOOP_NOISE_uC_per_cm2, _POINTS)
        loop = Array(
            data=pad.capacitor_loop(self._field) + noise,
            unit="uC/cm**2",
            axes=(Axis("field", "kV/cm", self._field, "spectral"),),
            quantity="polarization",
            kind="SPECTRUM",
        )
        return Outcome(
            values={"switchable_polarization": Estimate(value=read, std=_PULSE_NOISE_uC_per_cm2)},
            arrays={"pe_loop": loop},
            cost_credits=credits,
            duration_h=hours,
        )
