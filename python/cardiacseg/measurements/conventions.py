"""Conventions of measurements: the options that select them, and each convention in words."""

from dataclasses import dataclass

import numpy as np

from cardiacseg._core import MYOCARDIAL_DENSITY
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
    muscles and trabeculae count to the ventricles' ``"volume"``, as in the labels, or those of the left ventricle to
    its ``"mass"``, which needs the image. ``bsa_formula``: ``"mosteller"`` or ``"du_bois"``.
    docs/measurements.md has formulas and sources. Raises ``InvalidInputError`` for any other value.
    """

    ed: str | int = "largest"
    es: str | int = "smallest"
    rv_phases: str = "lv"
    end_slices: str = "whole"
    papillary: str = "volume"
    bsa_formula: str = "mosteller"

    def __post_init__(self) -> None:
        for name, words in CHOICES.items():
            value = getattr(self, name)
            if (name in ("ed", "es") and _is_frame(value)) or (isinstance(value, str) and value in words):
                continue
            expected = ", ".join(f'"{word}"' for word in words) + (" or a frame" if name in ("ed", "es") else "")
            raise InvalidInputError(f"measurement option {name}: expected {expected}, got {value!r}")


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


_ED = {
    "largest": "frame of the largest LV volume of the whole stack, the first such",
    "first": "first frame of the cine",
}
_ES = {"smallest": "frame of the smallest LV volume of the whole stack, the first such"}
_RV_PHASES = {
    "lv": "the RV is measured in the LV's ED and ES frames",
    "own": "the RV is measured at its own largest and smallest volume",
}
_EVEN = "area times center-to-center slice spacing, summed over slices"
_UNEVEN = (
    "area times the slice's own part of the axis (half the distance to each adjacent slice, at the ends the one "
    "distance), summed over slices: they are unevenly spaced"
)
_END_SLICES = {
    "whole": "the first and the last slice of a structure count whole",
    "trapezoid": "trapezoidal rule: the first and the last slice of a structure count half",
}
_PAPILLARY = {
    "volume": "papillary muscles and trabeculae count to the ventricles' volumes, not to the mass",
    "mass": (
        "papillary muscles and trabeculae of the LV count to the mass, not to its volume: what is darker than the "
        "middle between a slice's median blood and median myocardium; those of the RV count to its volume"
    ),
}
_BSA = {
    "mosteller": "Mosteller: square root of (height in cm x weight in kg / 3600)",
    "du_bois": "Du Bois: 0.007184 x (height in cm)^0.725 x (weight in kg)^0.425",
}


def _frame_rule(value: str | int, words: dict[str, str]) -> str:
    return words[value] if isinstance(value, str) else f"frame {int(value)} (from 0), as given"


def describe(
    options: MeasurementOptions, rr_source: str | None, *, has_body: bool, every_slice: bool, uneven: bool = False
) -> dict[str, str]:
    """Each convention by its name.

    ``rr_source`` is ``None`` if the RR interval is unknown. ``has_body``: height and weight are known. ``every_slice``:
    no slice is excluded. ``uneven``: slices are unevenly spaced, so each has its own length of the axis.
    """
    return {
        "volume": _UNEVEN if uneven else _EVEN,
        "papillary_muscles": _PAPILLARY[options.papillary],
        "ed": _frame_rule(options.ed, _ED),
        "es": _frame_rule(options.es, _ES),
        "rv_phases": _RV_PHASES[options.rv_phases],
        "end_slices": _END_SLICES[options.end_slices],
        "density": f"{MYOCARDIAL_DENSITY} g/ml of myocardium, mass at ED unless named otherwise",
        "bsa": _BSA[options.bsa_formula] if has_body else "unknown",
        "heart_rate": "unknown" if rr_source is None else f"60000 ms over the mean RR interval ({rr_source})",
        "rates": (
            "steepest fall and rise of the volume curve, from a Fourier series of at most six harmonics of the cardiac "
            "cycle fitted by least squares"
        ),
        "wall_thickness": (
            "AHA segments 1 to 16 from the anterior RV insertion; thickness along rays from the center of the cavity, "
            "times the cosine of the angle between the ray and the normal of the middle of the wall"
        ),
        "included_slices": "every slice counts" if every_slice else "slices were left out, as `included` says",
    }
