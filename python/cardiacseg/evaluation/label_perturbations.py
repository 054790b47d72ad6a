"""Perturbations of a labelled cine for quality flags: errors of a reader, of a network or of a header.

Each takes a :class:`Case` and a random generator and returns another case; :data:`OF_ANY_CINE` and
:data:`OF_A_WHOLE_CINE` name them with the flags that they should raise.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from cardiacseg.acquisition import UNKNOWN_TIMING, Timing
from cardiacseg.evaluation.image_perturbations import noise
from cardiacseg.io.labelled import LabelledImage
from cardiacseg.metrics import STRUCTURES, slice_levels

RV, MYO, LV = STRUCTURES.values()


@dataclass(frozen=True, eq=False)
class Case:
    """``image`` and ``labels`` are ``[T, S, H, W]``, ``spacing`` is (slice, row, column) in mm."""

    image: np.ndarray
    labels: np.ndarray
    spacing: tuple[float, float, float]
    timing: Timing = UNKNOWN_TIMING


class Perturbation(NamedTuple):
    """A change of a case, and the codes of which it should raise at least one (empty: the result is valid)."""

    perturb: Callable[[Case, np.random.Generator], Case]
    expected: tuple[str, ...]


def _ed(case: Case) -> int:
    """The frame with the largest LV."""
    return int((case.labels == LV).sum(axis=(1, 2, 3)).argmax())


def _inner_slice(case: Case, random: np.random.Generator) -> int:
    """A slice that shows all structures in all frames, as do both adjacent ones; the middle slice if there is none."""
    full = np.all([(case.labels == label).any(axis=(2, 3)).all(axis=0) for label in (RV, MYO, LV)], axis=0)
    inner = 1 + np.flatnonzero(full[:-2] & full[1:-1] & full[2:])
    return int(random.choice(inner)) if len(inner) else len(full) // 2


def _with_slice(case: Case, index: int, change: Callable[[np.ndarray], np.ndarray], part: str = "labels") -> Case:
    """``change`` takes one slice in all frames, ``[T, H, W]``."""
    array = getattr(case, part).copy()
    array[:, index] = change(array[:, index])
    return replace(case, **{part: array})


def empty_slice(case: Case, random: np.random.Generator) -> Case:
    """An inner slice without labels."""
    return _with_slice(case, _inner_slice(case, random), np.zeros_like)


def exchanged_ventricles(case: Case, random: np.random.Generator) -> Case:
    """RV and LV exchanged in an inner slice."""
    exchange = np.array([0, LV, MYO, RV], dtype=case.labels.dtype)
    return _with_slice(case, _inner_slice(case, random), lambda plane: exchange[plane])


def shifted_slice(case: Case, random: np.random.Generator, distance_mm: float) -> Case:
    """Image and labels of an inner slice moved along rows, as by another breath-hold."""
    index, pixels = _inner_slice(case, random), round(distance_mm / case.spacing[1])
    for part in ("image", "labels"):
        case = _with_slice(case, index, lambda planes: np.roll(planes, pixels, axis=1), part)
    return case


def thin_wall(case: Case, random: np.random.Generator) -> Case:
    """One pixel of the myocardium missing on both sides."""
    from scipy.ndimage import binary_erosion

    wall = case.labels == MYO
    kept = binary_erosion(wall, structure=np.ones((1, 1, 3, 3)))
    return replace(case, labels=np.where(wall & ~kept, 0, case.labels).astype(case.labels.dtype))


def thick_wall_at_ed(case: Case, random: np.random.Generator, pixels: int = 2) -> Case:
    """At ED the myocardium is thicker outwards, over all other labels."""
    from scipy.ndimage import binary_dilation

    labels, frame = case.labels.copy(), _ed(case)
    grown = binary_dilation(labels[frame] == MYO, structure=np.ones((1, 3, 3)), iterations=pixels)
    labels[frame][grown & (labels[frame] != LV)] = MYO
    return replace(case, labels=labels)


def broken_wall(case: Case, random: np.random.Generator, degrees: float) -> Case:
    """A sector of an inner slice's myocardium, seen from the LV's center, missing at ED."""
    index, labels = _inner_slice(case, random), case.labels.copy()
    plane = labels[_ed(case), index]
    rows, columns = np.indices(plane.shape)
    row, column = np.argwhere(plane == LV).mean(axis=0)
    turned = np.degrees(np.arctan2(rows - row, columns - column)) + random.uniform(0, 360)
    plane[(plane == MYO) & (turned % 360 < degrees)] = 0
    return replace(case, labels=labels)


def holed_wall(case: Case, random: np.random.Generator) -> Case:
    """The inside of the myocardium missing in an inner slice at ED; one pixel is left at its edges."""
    from scipy.ndimage import binary_erosion

    index, labels = _inner_slice(case, random), case.labels.copy()
    plane = labels[_ed(case), index]
    plane[binary_erosion(plane == MYO)] = 0
    return replace(case, labels=labels)


def _disc(case: Case, center: np.ndarray, radius_mm: float) -> np.ndarray:
    steps = [(np.arange(n) - c) * mm for n, c, mm in zip(case.labels.shape[2:], center, case.spacing[1:], strict=True)]
    return np.hypot(steps[0][:, None], steps[1][None]) <= radius_mm


def stray_ventricle(case: Case, random: np.random.Generator, radius_mm: float) -> Case:
    """A disc of RV in a corner of an inner slice at ED, far from the heart."""
    index, labels = _inner_slice(case, random), case.labels.copy()
    corner = np.array([2 + radius_mm / mm for mm in case.spacing[1:]])
    plane = labels[_ed(case), index]
    plane[_disc(case, corner, radius_mm) & (plane == 0)] = RV
    return replace(case, labels=labels)


def short_ventricle(case: Case, random: np.random.Generator, levels: tuple[str, ...]) -> Case:
    """At ED, no RV in these thirds of the heart."""
    labels, frame = case.labels.copy(), _ed(case)
    slices = slice_levels(labels[frame])
    for level in levels:
        plane = labels[frame, slices[level]]
        labels[frame, slices[level]] = np.where(plane == RV, 0, plane)
    return replace(case, labels=labels)


def without_level(case: Case, random: np.random.Generator, level: str) -> Case:
    """Without the slices of one third of the heart at ED, and without the slices beyond them."""
    gone = slice_levels(case.labels[_ed(case)])[level]
    first = gone[0] < case.labels.shape[1] / 2
    kept = slice(gone[-1] + 1, None) if first else slice(0, gone[0])
    return replace(case, image=case.image[:, kept], labels=case.labels[:, kept])


def cropped(case: Case, random: np.random.Generator) -> Case:
    """The image ends in the middle of the heart's rows."""
    rows = np.flatnonzero((case.labels > 0).any(axis=(0, 1, 3)))
    end = int(rows.mean())
    return replace(case, image=case.image[:, :, :end], labels=case.labels[:, :, :end])


def slices_in_order(case: Case, random: np.random.Generator, order: str) -> Case:
    """Slices from last to first, or in a random order."""
    indices = np.arange(case.labels.shape[1])[::-1] if order == "reversed" else random.permutation(case.labels.shape[1])
    return replace(case, image=case.image[:, indices], labels=case.labels[:, indices])


def scaled_spacing(case: Case, random: np.random.Generator, factors: tuple[float, float, float]) -> Case:
    """The wrong spacing."""
    return replace(case, spacing=tuple(mm * factor for mm, factor in zip(case.spacing, factors, strict=True)))


def blanked_slice(case: Case, random: np.random.Generator) -> Case:
    """An inner slice with an empty image."""
    return _with_slice(case, _inner_slice(case, random), np.zeros_like, "image")


def dark_slice(case: Case, random: np.random.Generator) -> Case:
    """An inner slice with a fifth of its brightness."""
    return _with_slice(case, _inner_slice(case, random), lambda image: image / 5, "image")


def noisy(case: Case, random: np.random.Generator) -> Case:
    """The noise of :func:`cardiacseg.evaluation.image_perturbations.noise`."""
    perturbed = noise(LabelledImage(case.image.astype(np.float32), case.labels, case.spacing), random)
    return replace(case, image=perturbed.image)


def saturated(case: Case, random: np.random.Generator) -> Case:
    """Everything above the 90th percentile cut off."""
    return replace(case, image=np.minimum(case.image, np.percentile(case.image, 90)))


def frames_in_order(case: Case, random: np.random.Generator, order: str) -> Case:
    """The same times with the frames in reverse or random order, or with every third frame only."""
    count = len(case.image)
    if order == "every third":
        kept = np.arange(0, count, 3)
        return replace(case, image=case.image[kept], labels=case.labels[kept], timing=_thinned(case.timing, kept))
    indices = np.r_[0, np.arange(count - 1, 0, -1)] if order == "backwards" else random.permutation(count)
    return replace(case, image=case.image[indices], labels=case.labels[indices])


def _thinned(timing: Timing, kept: np.ndarray) -> Timing:
    times = timing.frame_times_ms
    return timing if times is None else replace(timing, frame_times_ms=tuple(times[index] for index in kept))


def lost_in_frames(case: Case, random: np.random.Generator, label: int, count: int) -> Case:
    """A structure missing in an inner slice in some frames, no two of them adjacent."""
    labels, index = case.labels.copy(), _inner_slice(case, random)
    frames = random.integers(2) + 2 * random.permutation((len(labels) - 1) // 2)[:count]
    labels[frames, index] = np.where(labels[frames, index] == label, 0, labels[frames, index])
    return replace(case, labels=labels)


def failed_frame(case: Case, random: np.random.Generator) -> Case:
    """One frame without any label in half of the slices."""
    labels = case.labels.copy()
    labels[random.integers(len(labels)), : labels.shape[1] // 2] = 0
    return replace(case, labels=labels)


_JUMPS = tuple(f"{name}_area_jump" for name in STRUCTURES)

OF_ANY_CINE = {
    "a slice without labels": Perturbation(empty_slice, ("rv_gap", "myo_gap", "lv_gap")),
    "RV and LV exchanged in a slice": Perturbation(exchanged_ventricles, ("lv_not_surrounded",)),
    "a slice shifted by 20 mm": Perturbation(partial(shifted_slice, distance_mm=20), ("slice_shift",)),
    "myocardium eroded by a pixel": Perturbation(thin_wall, ("lv_not_surrounded",)),
    "myocardium dilated at ED": Perturbation(thick_wall_at_ed, ("lv_mass_difference",)),
    "a gap of 30 degrees in the wall": Perturbation(partial(broken_wall, degrees=30), ("lv_not_surrounded",)),
    "holes in the wall": Perturbation(holed_wall, ("heart_holes",)),
    "a stray piece of RV": Perturbation(partial(stray_ventricle, radius_mm=5), ("rv_fragments",)),
    "no RV from the middle on": Perturbation(partial(short_ventricle, levels=("mid", "apex")), ("rv_missing",)),
    "no RV in the basal third": Perturbation(partial(short_ventricle, levels=("base",)), ("lv_beyond_rv",)),
    "apex cut off": Perturbation(partial(without_level, level="apex"), ("apex_cut_off",)),
    "base cut off": Perturbation(partial(without_level, level="base"), ("base_cut_off",)),
    "heart at the image's edge": Perturbation(cropped, ("heart_at_border",)),
    "reversed slices": Perturbation(partial(slices_in_order, order="reversed"), ()),
    "shuffled slices": Perturbation(
        partial(slices_in_order, order="shuffled"), (*_JUMPS, "slice_shift", "rv_gap", "lv_gap")
    ),
    "slice spacing x 1/3": Perturbation(partial(scaled_spacing, factors=(1 / 3, 1, 1)), ("lv_length_range",)),
    "slice spacing x 2": Perturbation(partial(scaled_spacing, factors=(2, 1, 1)), ("lv_length_range", "wide_spacing")),
    "pixel size x 2": Perturbation(partial(scaled_spacing, factors=(1, 2, 2)), ("lv_diameter_range", "pixel_size")),
    "pixel size x 1/2": Perturbation(partial(scaled_spacing, factors=(1, 0.5, 0.5)), ("lv_diameter_range",)),
    "a blank slice": Perturbation(blanked_slice, ("image_constant",)),
    "a dark slice": Perturbation(dark_slice, ("image_brightness",)),
    "noise": Perturbation(noisy, ("image_noise",)),
    "saturated": Perturbation(saturated, ("image_saturated",)),
}

_ROUGH = ("lv_curve_roughness", "rv_curve_roughness")

# Perturbations that need more than two frames.
OF_A_WHOLE_CINE = {
    "shuffled phases": Perturbation(partial(frames_in_order, order="shuffled"), _ROUGH),
    "phases backwards": Perturbation(partial(frames_in_order, order="backwards"), ("es_time",)),
    "every third phase": Perturbation(partial(frames_in_order, order="every third"), ("few_phases",)),
    "RV lost from a slice in 3 phases": Perturbation(partial(lost_in_frames, label=RV, count=3), ("rv_flicker",)),
    "half of a phase's slices empty": Perturbation(failed_frame, (*_ROUGH, "rv_flicker", "lv_flicker")),
}
