"""The twin of the electron microscope."""

from __future__ import annotations

from probewise.instruments import StemTwinDriver, check_driver


def test_it_keeps_the_contract_of_drivers() -> None:
    check_driver(StemTwinDriver)
