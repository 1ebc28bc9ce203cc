"""Simulated coupons: a plausible, made-up film, so that the example needs no real one.

Annealing heals grains and raises the mobility; oxygen fills the vacancies that give the carriers,
and too much heat does the same. Conductivity is carriers times charge times mobility.
"""

from __future__ import annotations

import numpy as np

_ELEMENTARY_CHARGE_C = 1.602176634e-19
_THICKNESS_CM = 100e-7


def sheet_conductance_S(anneal_C: float, oxygen_pct: float, world_seed: int) -> float:
    """Sheet conductance of a coupon in S; the seed shifts where the best one is."""
    best_C, best_pct = np.random.default_rng(world_seed).uniform((280.0, 0.6), (360.0, 1.4))
    mobility_cm2_per_Vs = 8.0 + 32.0 / (1.0 + np.exp(-(anneal_C - best_C + 60.0) / 35.0))
    vacancies = np.exp(-0.5 * ((oxygen_pct - best_pct) / 0.7) ** 2)
    lost = 1.0 / (1.0 + np.exp((anneal_C - best_C - 60.0) / 25.0))
    carriers_per_cm3 = 1e20 + 9e20 * vacancies * lost
    conductivity = _ELEMENTARY_CHARGE_C * carriers_per_cm3 * mobility_cm2_per_Vs
    return float(conductivity * _THICKNESS_CM)
