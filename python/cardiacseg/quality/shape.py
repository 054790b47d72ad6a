"""Whether each slice looks like a heart's section."""

from collections.abc import Callable

import numpy as np

from cardiacseg import _core
from cardiacseg.metrics import STRUCTURES, slice_levels
from cardiacseg.quality.acquisition import NO_HEART
from cardiacseg.quality.check import Check, Found
from cardiacseg.quality.evidence import Evidence
from cardiacseg.quality.places import counted_places, worst_place


def gap(evidence: Evidence, check: Check) -> Found:
    """A structure is absent from a slice though slices on both sides have it."""
    if not evidence.labelled:
        return NO_HEART
    return counted_places(
        check, _gaps(evidence, check.structure), "The {name} is absent between its slices in {place}."
    )


def _gaps(evidence: Evidence, structure: str) -> np.ndarray:
    present = evidence.present(structure)
    before = np.logical_or.accumulate(present, axis=1)
    after = np.logical_or.accumulate(present[:, ::-1], axis=1)[:, ::-1]
    return before & after & ~present


def missing(evidence: Evidence, check: Check) -> Found:
    """A structure ends before a slice of the heart's middle third; gaps are left to :func:`gap`."""
    middle = np.stack([_middle(labels) for labels in evidence.labels])
    lost = middle & ~evidence.present(check.structure) & ~_gaps(evidence, check.structure)
    return counted_places(check, lost, "The {name} is missing in {place}, in the middle of the heart.")


def _middle(labels: np.ndarray) -> np.ndarray:
    """Which of the slices ``[S, H, W]`` are in the middle third of the labelled ones; all, where none is labelled."""
    chosen = np.full(len(labels), not labels.any())
    chosen[slice_levels(labels)["mid"]] = True
    return chosen


def fragments(evidence: Evidence, check: Check) -> Found:
    """Area in mm2 of a structure's pieces in a slice beyond the largest (8-connectivity)."""
    label = STRUCTURES[check.structure]
    return _by_slice(
        evidence,
        check,
        lambda plane: _beyond_the_largest(plane == label) * evidence.pixel_mm2,
        "The {name} has pieces of {value:.1f} mm2 beside its largest in {place}; wanted at most {threshold:g} mm2.",
    )


def _beyond_the_largest(mask: np.ndarray) -> int:
    sizes = _core.ops.region_sizes(mask, 8)
    return sum(sizes) - max(sizes, default=0)


def holes(evidence: Evidence, check: Check) -> Found:
    """Area in mm2 of background that the heart encloses in a slice."""
    return _by_slice(
        evidence,
        check,
        lambda plane: _enclosed(plane == 0) * evidence.pixel_mm2,
        "The heart has holes of {value:.1f} mm2 in {place}; wanted at most {threshold:g} mm2.",
    )


def _enclosed(background: np.ndarray) -> int:
    """Pixels of background that edges do not join to the corner, which the rim joins to all that is outside."""
    return sum(_core.ops.region_sizes(background, 4)[1:])


def lv_open(evidence: Evidence, check: Check) -> Found:
    """Share in % of the pixels round the LV of a slice that are not myocardium."""
    return _by_slice(
        evidence,
        check,
        _open_share,
        "Myocardium is missing along {value:.1f} % of the LV's outline in {place}; wanted at most {threshold:g} %.",
    )


def _open_share(plane: np.ndarray) -> float:
    cavity = plane == STRUCTURES["lv"]
    wide = np.pad(cavity, 1)
    wide = wide[:-2] | wide[1:-1] | wide[2:]
    near = wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]
    round_it = plane[near & ~cavity]
    return 100 * float(np.mean(round_it != STRUCTURES["myo"])) if len(round_it) else np.nan


def _by_slice(evidence: Evidence, check: Check, measure: Callable[[np.ndarray], float], sentence: str) -> Found:
    if not evidence.labelled:
        return NO_HEART
    values = np.full(evidence.labels.shape[:2], np.nan)
    for frame, index, plane in evidence.planes():
        values[frame, index] = measure(plane)
    return worst_place(check, values, sentence)
