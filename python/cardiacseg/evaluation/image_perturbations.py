"""Perturbations of images and their labels: changes as other scanners and operators cause them.

Each is a function of a :class:`LabelledImage` (``image`` float32 ``[S, H, W]``, ``labels``, ``spacing`` in mm) and of a
random generator; it returns another one and does not change its argument. Intensities are relative to the range from
the 1st to the 99th percentile of the stack.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from cardiacseg.io.labelled import LabelledImage

Perturbation = Callable[[LabelledImage, np.random.Generator], LabelledImage]


def _range(image: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(image, (1, 99))
    return float(low), max(float(high - low), 1e-6)


def gamma(stack: LabelledImage, random: np.random.Generator, power: float) -> LabelledImage:
    """Grey values within the range raised to ``power``; those outside are clipped to it."""
    low, width = _range(stack.image)
    curved = np.clip((stack.image - low) / width, 0, 1) ** power
    return replace(stack, image=(low + width * curved).astype(np.float32))


def bias_field(stack: LabelledImage, random: np.random.Generator) -> LabelledImage:
    """Shading by a coil: brightness changes smoothly from times 2 at one edge to times 1/2 at the other, in a random
    direction in plane."""
    angle = random.uniform(0, 2 * math.pi)
    rows, columns = (np.linspace(-1, 1, length) for length in stack.image.shape[1:])
    field = np.exp(math.log(2) * (math.sin(angle) * rows[:, None] + math.cos(angle) * columns[None]))
    return replace(stack, image=(stack.image * field).astype(np.float32))


def add_noise(image: np.ndarray, random: np.random.Generator, fraction: float) -> np.ndarray:
    """Rician noise, as in magnitude images, of a fraction of the range (Gudbjartsson and Patz, 1995)."""
    low, width = _range(image)
    real, imaginary = random.normal(0, fraction * width, (2, *image.shape))
    return (np.hypot(image - low + real, imaginary) + low).astype(np.float32)


def noise(stack: LabelledImage, random: np.random.Generator) -> LabelledImage:
    """Noise of 7 % of the range."""
    return replace(stack, image=add_noise(stack.image, random, 0.07))


def blur(stack: LabelledImage, random: np.random.Generator) -> LabelledImage:
    """A Gaussian of 2 mm standard deviation in plane."""
    from scipy.ndimage import gaussian_filter

    widths = (0, 2 / stack.spacing[1], 2 / stack.spacing[2])
    return replace(stack, image=gaussian_filter(stack.image, widths))


def spacing_error(stack: LabelledImage, random: np.random.Generator, factor: float) -> LabelledImage:
    """The unchanged image, with ``factor`` times its true spacing in plane."""
    between, row, column = stack.spacing
    return replace(stack, spacing=(between, factor * row, factor * column))


def rotation_90(stack: LabelledImage, random: np.random.Generator) -> LabelledImage:
    """Rotated by 90 degrees in plane."""
    between, row, column = stack.spacing
    turned = (np.ascontiguousarray(np.rot90(part, axes=(1, 2))) for part in (stack.image, stack.labels))
    return LabelledImage(*turned, (between, column, row))


def reversed_slices(stack: LabelledImage, random: np.random.Generator) -> LabelledImage:
    """The last slice first."""
    return _slices(stack, np.arange(len(stack.image))[::-1])


def missing_slice(stack: LabelledImage, random: np.random.Generator) -> LabelledImage:
    """Without one slice, neither the first nor the last; a stack of two or less stays whole."""
    count = len(stack.image)
    gone = random.integers(1, count - 1) if count > 2 else count
    return _slices(stack, np.delete(np.arange(count), slice(gone, gone + 1)))


def half_the_slices(stack: LabelledImage, random: np.random.Generator) -> LabelledImage:
    """Every second slice, from the first on, at twice the slice spacing."""
    between, row, column = stack.spacing
    return replace(_slices(stack, np.arange(0, len(stack.image), 2)), spacing=(2 * between, row, column))


def _slices(stack: LabelledImage, indices: np.ndarray) -> LabelledImage:
    return replace(stack, image=stack.image[indices], labels=stack.labels[indices])


PERTURBATIONS: dict[str, Perturbation] = {
    "gamma 0.6": partial(gamma, power=0.6),
    "gamma 1.6": partial(gamma, power=1.6),
    "bias field": bias_field,
    "noise": noise,
    "blur": blur,
    "spacing x 0.8": partial(spacing_error, factor=0.8),
    "spacing x 1.25": partial(spacing_error, factor=1.25),
    "rotation by 90 degrees": rotation_90,
    "reversed slices": reversed_slices,
    "one slice missing": missing_slice,
    "every second slice": half_the_slices,
}
