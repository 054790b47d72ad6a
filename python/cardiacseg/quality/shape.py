"""Checks of the labels in each slice, and of their agreement with the adjacent slices."""

from collections.abc import Callable

import numpy as np

from cardiacseg import _core
from cardiacseg.metrics import STRUCTURES, slice_levels
from cardiacseg.quality.acquisition import NO_HEART
from cardiacseg.quality.check import Check, CheckContext, Found, NotChecked, counted_places, worst_place

# Over three slices that are further apart, areas are too far from a straight line.
WIDEST_MM = 12
_NO_THREE = NotChecked("no three slices in a row have the structure")


def gap(context: CheckContext, check: Check) -> Found:
    """A structure is absent from a slice though slices on both sides have it."""
    if not context.labelled:
        return NO_HEART
    return counted_places(check, _gaps(context, check.structure), "The {name} is absent between its slices in {place}.")


def _gaps(context: CheckContext, structure: str) -> np.ndarray:
    present = context.present(structure)
    before = np.logical_or.accumulate(present, axis=1)
    after = np.logical_or.accumulate(present[:, ::-1], axis=1)[:, ::-1]
    return before & after & ~present


def missing(context: CheckContext, check: Check) -> Found:
    """A structure ends before a slice of the heart's middle third; gaps are left to :func:`gap`."""
    middle = np.stack([_middle(labels) for labels in context.labels])
    lost = middle & ~context.present(check.structure) & ~_gaps(context, check.structure)
    return counted_places(check, lost, "The {name} is missing in {place}, in the middle of the heart.")


def _middle(labels: np.ndarray) -> np.ndarray:
    """Which of the slices ``[S, H, W]`` are in the middle third of the labelled ones; all, if none is labelled."""
    chosen = np.full(len(labels), not labels.any())
    chosen[slice_levels(labels)["mid"]] = True
    return chosen


def fragments(context: CheckContext, check: Check) -> Found:
    """Area in mm2 of a structure's fragments in a slice, without the largest (8-connectivity)."""
    label = STRUCTURES[check.structure]
    return _by_slice(
        context,
        check,
        lambda plane: _beyond_the_largest(plane == label) * context.pixel_mm2,
        "The {name} has pieces of {value:.1f} mm2 beside its largest in {place}; expected at most {threshold:g} mm2.",
    )


def _beyond_the_largest(mask: np.ndarray) -> int:
    sizes = _core.region_sizes(mask, 8)
    return sum(sizes) - max(sizes, default=0)


def holes(context: CheckContext, check: Check) -> Found:
    """Area in mm2 of background that the heart encloses in a slice."""
    return _by_slice(
        context,
        check,
        lambda plane: _enclosed(plane == 0) * context.pixel_mm2,
        "The heart has holes of {value:.1f} mm2 in {place}; expected at most {threshold:g} mm2.",
    )


def _enclosed(background: np.ndarray) -> int:
    """Pixels of background (4-connected) that the heart encloses: all except the region at the border."""
    return sum(_core.region_sizes(background, 4)[1:])


def lv_open(context: CheckContext, check: Check) -> Found:
    """Percentage of the pixels around the LV of a slice that are not myocardium."""
    return _by_slice(
        context,
        check,
        _open_percent,
        "Myocardium is missing along {value:.1f} % of the LV's outline in {place}; expected at most {threshold:g} %.",
    )


def _open_percent(plane: np.ndarray) -> float:
    cavity = plane == STRUCTURES["lv"]
    wide = np.pad(cavity, 1)
    wide = wide[:-2] | wide[1:-1] | wide[2:]
    near = wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]
    round_it = plane[near & ~cavity]
    return 100 * float(np.mean(round_it != STRUCTURES["myo"])) if len(round_it) else np.nan


def _by_slice(context: CheckContext, check: Check, measure: Callable[[np.ndarray], float], sentence: str) -> Found:
    if not context.labelled:
        return NO_HEART
    values = np.full(context.labels.shape[:2], np.nan)
    for frame, index, plane in context.planes():
        values[frame, index] = measure(plane)
    return worst_place(check, values, sentence)


def area_jump(context: CheckContext, check: Check) -> Found:
    """A structure's area off the line through both adjacent slices', in % of its largest area in the frame.

    Slices are not checked if they or an adjacent slice lack the structure, because areas change fast at its ends, or if
    slices are far apart.
    """
    if context.steps_mm.max(initial=0) > WIDEST_MM:
        return NotChecked(f"slices are more than {WIDEST_MM} mm apart")
    areas = context.areas(check.structure)
    areas = np.where(areas > 0, areas, np.nan)
    values = _off_line(areas[..., None], context.steps_mm) / np.fmax.reduce(areas, axis=1)[:, None] * 100
    if np.isnan(values).all():
        return _NO_THREE
    sentence = "The {name}'s area is {value:.1f} % of its largest off the mean of the adjacent slices' in {place}; "
    return worst_place(check, values, sentence + "expected at most {threshold:g} %.")


def slice_shift(context: CheckContext, check: Check) -> Found:
    """Distance in mm of the LV's center from the middle between the adjacent slices', as after another breath-hold."""
    values = _off_line(context.centers_mm("lv"), context.steps_mm)
    if np.isnan(values).all():
        return _NO_THREE
    sentence = "The {name} lies {value:.1f} mm off the line through the adjacent slices in {place}; "
    return worst_place(check, values, sentence + "expected at most {threshold:g} mm.")


def _off_line(values: np.ndarray, steps_mm: np.ndarray) -> np.ndarray:
    """Length of each slice's ``[T, S, n]`` difference from the line through the adjacent ones, ``[T, S]``.

    NaN if one of the three is.
    """
    off = np.full(values.shape[:2], np.nan)
    if values.shape[1] > 2:
        towards_next = (steps_mm[:-1] / (steps_mm[:-1] + steps_mm[1:]))[:, None]
        line = (1 - towards_next) * values[:, :-2] + towards_next * values[:, 2:]
        off[:, 1:-1] = np.linalg.norm(values[:, 1:-1] - line, axis=-1)
    return off
