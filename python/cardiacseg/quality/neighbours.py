"""Whether each slice fits to those on both sides of it."""

import numpy as np

from cardiacseg.quality.check import Check, Found, NotChecked
from cardiacseg.quality.evidence import Evidence
from cardiacseg.quality.places import worst_place

# Areas bend too much over three slices that are further apart.
WIDEST_MM = 12
_NO_THREE = NotChecked("no three slices in a row have the structure")


def area_jump(evidence: Evidence, check: Check) -> Found:
    """A structure's area against the mean of both neighbours', in % of its largest area in the phase.

    Slices where it or a neighbour lacks the structure are not looked at: ends are steep by nature. So are all areas
    between slices that are wide apart.
    """
    if evidence.steps_mm.max(initial=0) > WIDEST_MM:
        return NotChecked(f"slices are more than {WIDEST_MM} mm apart")
    areas = evidence.areas(check.structure)
    areas = np.where(areas > 0, areas, np.nan)
    values = _off_line(areas[..., None], evidence.steps_mm) / np.fmax.reduce(areas, axis=1)[:, None] * 100
    if np.isnan(values).all():
        return _NO_THREE
    sentence = "The {name}'s area is {value:.1f} % of its largest off its neighbours' mean in {place}; "
    return worst_place(check, values, sentence + "wanted at most {threshold:g} %.")


def slice_shift(evidence: Evidence, check: Check) -> Found:
    """Distance in mm of the LV's centre from the middle between its neighbours', as after another breath-hold."""
    values = _off_line(evidence.centres_mm("lv"), evidence.steps_mm)
    if np.isnan(values).all():
        return _NO_THREE
    sentence = "The {name} lies {value:.1f} mm off the line through its neighbours in {place}; "
    return worst_place(check, values, sentence + "wanted at most {threshold:g} mm.")


def _off_line(values: np.ndarray, steps_mm: np.ndarray) -> np.ndarray:
    """Length of each slice's ``[T, S, n]`` difference from the line through its neighbours, ``[T, S]``.

    NaN where one of the three is.
    """
    off = np.full(values.shape[:2], np.nan)
    if values.shape[1] > 2:
        towards_next = (steps_mm[:-1] / (steps_mm[:-1] + steps_mm[1:]))[:, None]
        line = (1 - towards_next) * values[:, :-2] + towards_next * values[:, 2:]
        off[:, 1:-1] = np.linalg.norm(values[:, 1:-1] - line, axis=-1)
    return off
