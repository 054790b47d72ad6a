"""Checks of the images."""

import numpy as np

from cardiacseg.quality.check import Check, CheckContext, Found, NotChecked, counted_places, worst_place

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
    return counted_places(check, flat, "The image is empty, the same value everywhere, in {place}.")


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
