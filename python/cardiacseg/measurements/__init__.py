"""Volumes, function, mass, rates and wall thickness from label maps; docs/measurements.md has the conventions."""

from cardiacseg.measurements.conventions import CHOICES, DEFAULT, MeasurementOptions
from cardiacseg.measurements.measure import Measurements, Rates, Wall, as_spacing, measure

__all__ = ["CHOICES", "DEFAULT", "MeasurementOptions", "Measurements", "Rates", "Wall", "as_spacing", "measure"]
