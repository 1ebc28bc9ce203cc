"""A four-point probe station as a probewise worker."""

from ._meter import Meter, SimulatedMeter
from ._station import FourPointProbe, sheet_resistance

__all__ = ["FourPointProbe", "Meter", "SimulatedMeter", "sheet_resistance"]
