"""The twin of the scanning probe microscope behind the instruction set."""

from __future__ import annotations

from support_twins import GOOD

from probewise.instruments import SpmTwinDriver, check_driver


def test_it_keeps_the_contract_of_drivers() -> None:
    check_driver(SpmTwinDriver, sample="s1", design=GOOD)
