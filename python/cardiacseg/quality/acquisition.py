"""Checks of the acquisition: coverage of the heart and of the cardiac cycle."""

import numpy as np

from cardiacseg.io.cine import Flag
from cardiacseg.quality.check import Check, CheckContext, Found, NotChecked, counted_places

NO_HEART = NotChecked("no slice has a label")
# Notes of the reader that a part of the heart may be missing, or that the images may not be a cine.
PART_OF_THE_HEART = frozenset({"N_LEFT_OUT", "N_INCOMPLETE"})
NO_CINE = frozenset({"N_NOT_A_CINE"})


def noted_incomplete(context: CheckContext, check: Check) -> Found:
    """Notes of the reader that slices were left out or that the study is known to be incomplete."""
    text = "Volumes, mass and ejection fraction may be those of a part of the heart: see {codes}."
    return _noted(context, check, PART_OF_THE_HEART, text)


def noted_not_a_cine(context: CheckContext, check: Check) -> Found:
    """Notes of the reader that the images may not be frames of a cardiac cycle."""
    text = "The images may not be phases of a cardiac cycle, and then no volume is that of ED or ES: see {codes}."
    return _noted(context, check, NO_CINE, text)


def _noted(context: CheckContext, check: Check, codes: frozenset[str], sentence: str) -> list[Flag]:
    found = [note.code for note in context.cine.notes if note.code in codes]
    said = " and ".join(dict.fromkeys(found))
    return [check.flag(sentence.format(codes=said), len(found))] if found else []


def few_slices(context: CheckContext, check: Check) -> Found:
    """S below the threshold."""
    if context.slices >= check.threshold:
        return []
    text = f"The stack has {context.slices} slices; expected at least {check.threshold:g} to cover the heart."
    return [check.flag(text, context.slices)]


def few_frames(context: CheckContext, check: Check) -> Found:
    """T below the threshold."""
    if context.frames >= check.threshold:
        return []
    text = f"The cine has {context.frames} phases; expected at least {check.threshold:g} to find ED and ES."
    return [check.flag(text, context.frames)]


def wide_spacing(context: CheckContext, check: Check) -> Found:
    """Distance from one slice's center to the next above the threshold."""
    if context.slices < 2:
        return NotChecked("there is one slice")
    between = float(context.steps_mm.max())
    if between <= check.threshold:
        return []
    most = "up to " if context.cine.geometry.slice_offsets_mm else ""
    text = f"Slices are {most}{between:.1f} mm apart, center to center; expected at most {check.threshold:g} mm."
    return [check.flag(text, between)]


def pixel_size(context: CheckContext, check: Check) -> Found:
    """A pixel's longer side outside the range."""
    side = max(context.cine.spacing[1:])
    if not check.outside(side):
        return []
    low, high = check.threshold
    return [check.flag(f"A pixel is {side:.2f} mm long; expected {low:g} to {high:g} mm.", side)]


def heart_rate(context: CheckContext, check: Check) -> Found:
    """Heart rate outside the range."""
    rate = context.cine.timing.heart_rate_per_min
    if rate is None:
        return NotChecked("the RR interval is unknown")
    if not check.outside(rate):
        return []
    low, high = check.threshold
    return [check.flag(f"The heart rate is {rate:.0f} per minute; expected {low:g} to {high:g}.", rate)]


def rr_estimated(context: CheckContext, check: Check) -> Found:
    """The RR interval, and with it heart rate and output, was estimated from the frames' times."""
    timing = context.cine.timing
    if timing.rr_interval_ms is None:
        return NotChecked("the RR interval is unknown")
    if not (timing.rr_source or "").startswith("estimated"):
        return []
    text = f"The RR interval, {timing.rr_interval_ms:.0f} ms, is {timing.rr_source}: no attribute says it."
    return [check.flag(text, 1)]


def at_border(context: CheckContext, check: Check) -> Found:
    """Labels in the outermost rows or columns."""
    if not context.labelled:
        return NO_HEART
    labels = context.labels
    edges = [labels[..., 0, :], labels[..., -1, :], labels[..., :, 0], labels[..., :, -1]]
    touched = np.any([edge.any(axis=-1) for edge in edges], axis=0)
    return counted_places(check, touched, "The heart touches the image's border in {place}; it may be cut off.")


def apex_cut_off(context: CheckContext, check: Check) -> Found:
    """At ED, LV and myocardium of an end slice in % of the largest slice's; of the two ends the smaller, the apex.

    It does not use the position of the base: a stack that ends within the heart looks the same from both ends.
    """
    if not context.labelled:
        return NO_HEART
    ed = context.measurements.ed_frame
    percentages = _percentages(context.areas("myo")[ed] + context.areas("lv")[ed])
    end = 0 if percentages[0] < percentages[-1] else context.slices - 1
    if percentages[end] <= check.threshold:
        return []
    text = (
        f"At ED both ends of the stack show {percentages[end]:.1f} % or more of the largest LV with its wall, slice "
        f"{end + 1} the less; expected at most {check.threshold:g} % at the apex, which may be cut off."
    )
    return [check.flag(text, percentages[end], ed, end)]


def base_cut_off(context: CheckContext, check: Check) -> Found:
    """At ES, RV and LV of an end slice in % of the largest RV and LV, of these the smaller; the end with the more."""
    es = context.measurements.es_frame
    if es is None:
        return NotChecked("there is no ES: the cine has one phase")
    if not context.labelled:
        return NO_HEART
    percentages = np.minimum(*(_percentages(context.areas(side)[es]) for side in ("rv", "lv")))
    end = 0 if percentages[0] >= percentages[-1] else context.slices - 1
    if percentages[end] <= check.threshold:
        return []
    text = (
        f"At ES slice {end + 1}, the last towards the base, shows {percentages[end]:.1f} % or more of the largest RV "
        f"and of the largest LV; expected at most {check.threshold:g} %, or the base may be cut off."
    )
    return [check.flag(text, percentages[end], es, end)]


def _percentages(areas: np.ndarray) -> np.ndarray:
    """Areas ``[S]`` in % of the largest; 0 if there is none."""
    return 100 * areas / max(areas.max(), 1e-9)
