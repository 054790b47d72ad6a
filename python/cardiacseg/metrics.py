"""Agreement of label maps with the truth: Dice, surface distances in mm, and presence by slice.

Labels are integer arrays: 0 background, 1 RV, 2 MYO, 3 LV. All functions raise ``InvalidInputError`` if two arrays
differ in shape. The name of a structure is ``"rv"``, ``"myo"`` or ``"lv"``.
"""

import math

import numpy as np

from cardiacseg.errors import InvalidInputError

STRUCTURES = {"rv": 1, "myo": 2, "lv": 3}
LEVELS = ("base", "mid", "apex")


def _same_shape(labels: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, truth = np.asarray(labels), np.asarray(truth)
    if labels.shape != truth.shape:
        raise InvalidInputError(f"expected labels of the truth's shape {truth.shape}, got {labels.shape}")
    return labels, truth


def dice(labels: np.ndarray, truth: np.ndarray, label: int) -> float:
    """``2 |A.B| / (|A| + |B|)`` of one label over arrays of any shape; 1 if neither has the label."""
    labels, truth = _same_shape(labels, truth)
    ours, theirs = labels == label, truth == label
    size = np.count_nonzero(ours) + np.count_nonzero(theirs)
    return 2 * np.count_nonzero(ours & theirs) / size if size else 1.0


def dice_by_structure(labels: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Dice of each structure over the whole array."""
    return {name: dice(labels, truth, label) for name, label in STRUCTURES.items()}


def slice_levels(truth: np.ndarray) -> dict[str, np.ndarray]:
    """Indices of the slices of ``truth`` ``[S, H, W]`` at each level (the paper's section 3.1).

    The slices from the first to the last with any label are divided evenly in three. If the number is not a multiple of
    3, the levels nearer the base have one slice more. The base is the end whose third shows more of the heart, so
    either end may come first (correct for all 160 stacks of 80 patients of ACDC); if both show the same area, the first
    slice is basal.
    """
    truth = np.asarray(truth)
    if truth.ndim != 3:
        raise InvalidInputError(f"expected labels [S, H, W] of one frame, got shape {truth.shape}")
    areas = np.count_nonzero(truth, axis=(1, 2))
    labelled = np.flatnonzero(areas)
    covered = np.arange(labelled[0], labelled[-1] + 1) if len(labelled) else labelled
    third = max(1, len(covered) // len(LEVELS))
    if areas[covered[-third:]].sum() > areas[covered[:third]].sum():
        covered = covered[::-1]
    return {level: np.sort(part) for level, part in zip(LEVELS, np.array_split(covered, len(LEVELS)), strict=True)}


def dice_by_level(labels: np.ndarray, truth: np.ndarray) -> dict[str, dict[str, float]]:
    """Dice of each structure over the slices of each level of one stack ``[S, H, W]``; a level may have no slice."""
    labels, truth = _same_shape(labels, truth)
    return {
        level: dice_by_structure(labels[indices], truth[indices])
        for level, indices in slice_levels(truth).items()
        if len(indices)
    }


def presence_of(labels: np.ndarray) -> np.ndarray:
    """Whether each slice of ``[..., S, H, W]`` shows RV, MYO, LV: bool ``[..., S, 3]``."""
    labels = np.asarray(labels)
    return np.stack([(labels == label).any(axis=(-2, -1)) for label in STRUCTURES.values()], axis=-1)


def presence_rates(present: np.ndarray, expected: np.ndarray) -> dict[str, dict[str, float]]:
    """Per structure ``accuracy``, ``false_positive_rate`` and ``false_negative_rate`` over slices.

    Both arrays are bool ``[..., S, 3]``. A rate without a slice to count is NaN.
    """
    present, expected = (np.asarray(part, dtype=bool) for part in _same_shape(present, expected))
    if present.ndim < 1 or present.shape[-1] != len(STRUCTURES):
        raise InvalidInputError(f"expected presence [..., S, 3], got shape {present.shape}")
    rates = {}
    for index, name in enumerate(STRUCTURES):
        ours, theirs = present[..., index], expected[..., index]
        rates[name] = {
            "accuracy": _share(ours == theirs, np.ones_like(theirs)),
            "false_positive_rate": _share(ours, ~theirs),
            "false_negative_rate": _share(~ours, theirs),
        }
    return rates


def _share(chosen: np.ndarray, among: np.ndarray) -> float:
    total = np.count_nonzero(among)
    return np.count_nonzero(chosen & among) / total if total else math.nan


def _surface_distances(
    labels: np.ndarray, truth: np.ndarray, label: int, spacing: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Distances in mm from each surface voxel of the labels to the truth's surface, and from the truth's to the
    labels'."""
    from scipy.ndimage import binary_erosion, distance_transform_edt

    labels, truth = _same_shape(labels, truth)
    if labels.ndim != len(spacing) or not all(math.isfinite(step) and step > 0 for step in spacing):
        raise InvalidInputError(f"expected one positive spacing in mm for each of {labels.ndim} axes, got {spacing}")
    ours, theirs = labels == label, truth == label
    if not ours.any() or not theirs.any():
        return np.zeros(0), np.zeros(0)
    box = _box(ours | theirs)
    ours, theirs = (part[box] & ~binary_erosion(part[box], border_value=0) for part in (ours, theirs))
    there = distance_transform_edt(~theirs, sampling=spacing)[ours]
    back = distance_transform_edt(~ours, sampling=spacing)[theirs]
    return there, back


def _box(mask: np.ndarray) -> tuple[slice, ...]:
    """The bounding box of a mask that is not empty."""
    return tuple(slice(index.min(), index.max() + 1) for index in np.nonzero(mask))


def hausdorff_distance_95(
    labels: np.ndarray, truth: np.ndarray, label: int, spacing: tuple[float, float, float]
) -> float:
    """The larger of the two directed 95th percentiles of surface distance, in mm.

    Arrays are ``[S, H, W]``, ``spacing`` is (slice, row, column) in mm. The surface is the voxels with a face towards
    the outside or at the array's border. NaN if either array lacks the label.
    """
    there, back = _surface_distances(labels, truth, label, spacing)
    return float(max(np.percentile(there, 95), np.percentile(back, 95))) if len(there) else math.nan


def average_symmetric_surface_distance(
    labels: np.ndarray, truth: np.ndarray, label: int, spacing: tuple[float, float, float]
) -> float:
    """Mean in mm over the surface voxels of both; otherwise as :func:`hausdorff_distance_95`."""
    there, back = _surface_distances(labels, truth, label, spacing)
    return float(np.concatenate([there, back]).mean()) if len(there) else math.nan
