"""Checks of the acquisition: coverage of the heart and of the cardiac cycle, and the images themselves."""

import numpy as np

from cardiacseg.io.cine import Flag
from cardiacseg.quality.check import Check, CheckContext, Found, NotChecked, counted_places, worst_place

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
    text = "The images may not be phases of a cardiac cycle, so no volume may be that of ED or ES: see {codes}."
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
    text = f"The RR interval, {timing.rr_interval_ms:.0f} ms, is {timing.rr_source}: no attribute states it."
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
    """At ED, LV and myocardium of an end slice in % of the largest slice's, at the end with less: the apex.

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
        f"{end + 1} the smaller part; expected at most {check.threshold:g} % at the apex, which may be cut off."
    )
    return [check.flag(text, percentages[end], ed, end)]


def base_cut_off(context: CheckContext, check: Check) -> Found:
    """At ES, RV and LV of an end slice in % of the largest RV and LV; the smaller of both percentages, at the end
    with the larger one."""
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


_NOT_FINITE = NotChecked("the image has values that are not finite")
# Differences of differences along rows and columns: 0 on any picture that is linear in places (Immerkaer, 1996).
_NOISE_MASK_LENGTH = 6
_MEDIAN_TO_DEVIATION = 0.6745


def not_finite(context: CheckContext, check: Check) -> Found:
    """Pixels that are NaN or infinite."""
    bad = ~np.isfinite(context.cine.image).all(axis=(2, 3))
    return counted_places(check, bad, "The image has pixels that are not finite numbers in {place}.")


def constant_slice(context: CheckContext, check: Check) -> Found:
    """Slices whose pixels are all the same."""
    image = context.cine.image
    flat = image.max(axis=(2, 3)) == image.min(axis=(2, 3))
    return counted_places(check, flat, "The image has the same value everywhere in {place}.")


def saturated(context: CheckContext, check: Check) -> Found:
    """Percentage of a slice's pixels that have the cine's largest value."""
    image = context.cine.image
    if not np.isfinite(image).all():
        return _NOT_FINITE
    largest = image.max()
    if largest == image.min():
        return NotChecked("the image is the same everywhere")
    percent = 100 * (image == largest).mean(axis=(2, 3))
    text = "{value:.1f} % of the pixels have the largest value of all in {place}; expected at most {threshold:g} %."
    return worst_place(check, percent, text)


def noise(context: CheckContext, check: Check) -> Found:
    """The noise's standard deviation at ED and ES, in % of the range from the 1st to the 99th percentile."""
    image = context.cine.image
    if not np.isfinite(image).all():
        return _NOT_FINITE
    frames = context.ed_and_es
    width = np.ptp(np.percentile(image[frames], (1, 99)))
    if width == 0 or min(image.shape[2:]) < 3:
        return NotChecked("the image is the same almost everywhere")
    values = np.full(image.shape[:2], np.nan)
    values[frames] = [[100 * _noise(plane) / width for plane in image[frame]] for frame in frames]
    text = "Noise is {value:.1f} % of the range of grey values in {place}; expected at most {threshold:g} %."
    return worst_place(check, values, text)


def _noise(plane: np.ndarray) -> float:
    """Standard deviation of noise in ``[H, W]``: the median, which edges do not move, of a mask that removes structure.

    J. Immerkaer, Fast noise variance estimation, Computer Vision and Image Understanding 64(2):300-302, 1996.
    """
    rough = np.diff(np.diff(plane.astype(np.float64), 2, axis=0), 2, axis=1)
    return float(np.median(np.abs(rough))) / (_NOISE_MASK_LENGTH * _MEDIAN_TO_DEVIATION)


def brightness(context: CheckContext, check: Check) -> Found:
    """A slice's mean grey value over the median slice's, at ED and ES."""
    image = context.cine.image
    if not np.isfinite(image).all():
        return _NOT_FINITE
    low, high = check.threshold
    flags = []
    for frame in context.ed_and_es:
        means = image[frame].mean(axis=(1, 2), dtype=np.float64)
        middle = np.median(means)
        if middle <= 0:
            return NotChecked("grey values are not positive")
        ratio = means / middle
        index = int(np.argmax(np.abs(np.log(np.maximum(ratio, 1e-6)))))
        if check.outside(ratio[index]):
            text = (
                f"Slice {index + 1} of phase {frame + 1} is {ratio[index]:.2f} times as bright as the median slice; "
                f"expected {low:.2g} to {high:g} times."
            )
            flags.append(check.flag(text, ratio[index], frame, index))
    return flags[:1]
