"""Which of the field's conventions measurements follow."""

from dataclasses import dataclass

import numpy as np

from cardiacseg.errors import InvalidInputError


def _is_frame(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


@dataclass(frozen=True)
class MeasurementOptions:
    """Conventions of a measurement; the defaults are those of the SCMR's post-processing recommendations (2020).

    ``ed``: the frame of the ``"largest"`` LV volume of the whole stack, the ``"first"`` of the cine, or its number,
    from 0. ``es``: the frame of the ``"smallest"`` LV volume, or its number. ``rv_phases``: the right ventricle is
    measured in the ``"lv"``'s frames, or at the largest and smallest volume of its ``"own"``. ``end_slices``: the
    first and last slice of a structure count ``"whole"``, or half by the ``"trapezoid"`` rule. ``papillary``: papillary
    muscles and trabeculae belong to the ventricle's ``"volume"``, as the labels have them, or those of the left
    ventricle to its ``"mass"``, which needs the image. ``bsa_formula``: ``"mosteller"`` or ``"du_bois"``.
    docs/measurements.md has formulas and sources. Raises ``InvalidInputError`` for anything else.
    """

    ed: str | int = "largest"
    es: str | int = "smallest"
    rv_phases: str = "lv"
    end_slices: str = "whole"
    papillary: str = "volume"
    bsa_formula: str = "mosteller"

    def __post_init__(self):
        for name, words in CHOICES.items():
            value = getattr(self, name)
            if (name in ("ed", "es") and _is_frame(value)) or (isinstance(value, str) and value in words):
                continue
            wanted = ", ".join(f'"{word}"' for word in words) + (" or a frame" if name in ("ed", "es") else "")
            raise InvalidInputError(f"measurement option {name}: wanted {wanted}, got {value!r}")


# The words of each option, its default first.
CHOICES: dict[str, tuple[str, ...]] = {
    "ed": ("largest", "first"),
    "es": ("smallest",),
    "rv_phases": ("lv", "own"),
    "end_slices": ("whole", "trapezoid"),
    "papillary": ("volume", "mass"),
    "bsa_formula": ("mosteller", "du_bois"),
}
DEFAULT = MeasurementOptions()
