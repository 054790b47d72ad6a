"""The patient's size, where it can be believed."""

from pydicom.dataset import Dataset

from cardiacseg.acquisition import Body
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import N_BODY
from cardiacseg.io.dicom.values import number

_HEIGHT_M, _WEIGHT_KG = (0.3, 2.6), (1.0, 400.0)


def body(instance: Dataset) -> tuple[Body, tuple[Note, ...]]:
    """Height and weight; zero is unknown, and what no person has is unknown and noted."""
    height, weight = number(instance, "PatientSize"), number(instance, "PatientWeight")
    notes = [
        Note(N_BODY, f"{name} lies outside {low:g} to {high:g} {unit} and was not used")
        for name, value, (low, high), unit in (
            ("PatientSize", height, _HEIGHT_M, "m"),
            ("PatientWeight", weight, _WEIGHT_KG, "kg"),
        )
        if value and not low <= value <= high
    ]
    return Body(_within(height, _HEIGHT_M), _within(weight, _WEIGHT_KG)), tuple(notes)


def _within(value: float | None, limits: tuple[float, float]) -> float | None:
    return value if value is not None and limits[0] <= value <= limits[1] else None
