"""The theorist: predicts switchable polarization and learns from what was measured."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..workflow import (
    Array,
    Axis,
    Failure,
    Job,
    Kind,
    Offer,
    Outcome,
    SpecError,
    Worker,
    WorkerError,
)
from ._columns import measurements
from ._grid import predict_grid, theory_space
from ._parameters import NAMES, PARAMETERS, prior_ensemble
from ._refit import Posterior, refit

_SIMULATE, _REFIT = "simulate_landau", "refit_theory"


class LandauTheory(Worker):
    """Landau-Devonshire theory of Sm-substituted BiFeO3 films with uncertain parameters.

    A real computation, not a twin. The ranges are those of the campaign's space.

    Parameters
    ----------
    members : int
        Size of the ensemble, at least 2.
    seed : int
        Seed of the prior ensemble and of every fit.
    composition_low, composition_high, temperature_low_C, temperature_high_C, \
pressure_low_mTorr, pressure_high_mTorr : float
        The space that is predicted.

    Raises
    ------
    SpecError
        If there are fewer than two members or a range is empty.
    """

    kind: ClassVar[Kind] = Kind.THEORY
    twin: ClassVar[bool] = False
    replayable: ClassVar[bool] = True

    def __init__(
        self,
        members: int = 16,
        seed: int = 0,
        composition_low: float = 0.0,
        composition_high: float = 0.25,
        temperature_low_C: float = 550.0,
        temperature_high_C: float = 750.0,
        pressure_low_mTorr: float = 1.0,
        pressure_high_mTorr: float = 200.0,
    ) -> None:
        if not 2 <= members <= 256:
            raise SpecError(
                "worker 'landau-theory'",
                f"members={members}",
                "2 to 256: a spread needs two, and every one travels with the observation",
                "choose about 16",
            )
        self.members, self.seed = members, seed
        self.space = theory_space(
            (composition_low, composition_high),
            (temperature_low_C, temperature_high_C),
            (pressure_low_mTorr, pressure_high_mTorr),
        )

    def offers(self) -> tuple[Offer, ...]:
        return (
            Offer(capability=_SIMULATE, about="Landau-Devonshire model, ensemble of parameters"),
            Offer(
                capability=_REFIT, about="Bayesian fit of the model's parameters to measurements"
            ),
        )

    def perform(self, job: Job) -> Outcome:
        """Predict or fit.

        Raises
        ------
        WorkerError
            If the step needs another capability, or the columns to fit are malformed.
        """
        match job.step.needs:
            case "simulate_landau":
                return self._simulate(job)
            case "refit_theory":
                return self._refit(job)
            case other:
                raise WorkerError(
                    "worker 'landau-theory'",
                    f"capability {other!r}",
                    f"{_SIMULATE!r} or {_REFIT!r}",
                    "give the step to a worker that offers it",
                )

    def _simulate(self, job: Job) -> Outcome:
        cost, duration = job.draw_price()
        stored = job.arrays.get("theory_parameters", ())
        theta = stored[-1].data if stored else prior_ensemble(self.members, self.seed)
        if theta.ndim != 2 or theta.shape[1] != len(NAMES) or not np.all(np.isfinite(theta)):
            failure = Failure(
                kind="invalid",
                message=f"theory_parameters of shape {theta.shape} are not this theory's",
                remedy=f"fit anew: a finite array (members, {len(NAMES)}) is needed",
            )
            return Outcome(failure=failure, cost_credits=cost, duration_h=duration)
        return Outcome(
            grids={"theory_polarization": predict_grid(theta, self.space)},
            cost_credits=cost,
            duration_h=duration,
            notes={"members": float(len(theta)), "from": "fit" if stored else "prior"},
        )

    def _refit(self, job: Job) -> Outcome:
        cost, duration = job.draw_price()
        data = measurements(job.action.data, self.space)
        if data is None:
            failure = Failure(
                kind="missing",
                message="no measurement to fit",
                remedy="measure loops or test a capacitor first",
            )
            return Outcome(failure=failure, cost_credits=cost, duration_h=duration)
        posterior = refit(data, self.members, (self.seed, job.action.seed))
        return Outcome(
            arrays={"theory_parameters": _as_array(posterior)},
            cost_credits=cost,
            duration_h=duration,
            notes=_notes(posterior, len(data.value)),
        )


def _as_array(posterior: Posterior) -> Array:
    members = np.arange(len(posterior.theta), dtype=np.float64)
    parameters = np.arange(len(NAMES), dtype=np.float64)
    names = {f"parameter_{i}": p.name for i, p in enumerate(PARAMETERS)}
    return Array(
        data=posterior.theta,
        unit="1",
        axes=(Axis("member", "1", members), Axis("parameter", "1", parameters)),
        quantity="theory parameters, each in the unit of its name",
        metadata=dict(names),
    )


def _notes(posterior: Posterior, count: int) -> dict[str, float | str]:
    return {
        "data": float(count),
        "boundary_sm": posterior.boundary_mean,
        "boundary_sm_std": posterior.boundary_std,
        "reduced_chi2": posterior.reduced_chi2,
        "discrepancy_uC_per_cm2": posterior.discrepancy,
        "loop_scale": posterior.loop_scale,
        "tip_field": posterior.tip_field,
        "parameters_pinned": posterior.pinned,
        "log_evidence": posterior.log_evidence,
    }
