"""Directions of image planes, in the patient's coordinates (LPS)."""

import math
from functools import lru_cache

import numpy as np

# Across a short axis, seen from the feet: from the apex to the base, which is to the right, the back and the head.
_SHORT_AXIS_NORMAL = np.array([-0.6, 0.6, 0.55]) / np.linalg.norm([-0.6, 0.6, 0.55])
SHORT_AXIS_CONE_DEGREES = 45.0
_STRAIGHT_DEGREES = 15.0
_PLANES = ("sagittal", "coronal", "axial")


def is_orientation(cosines: tuple[float, ...] | None) -> bool:
    """Whether six direction cosines are two unit vectors at right angles, within a hundredth."""
    if cosines is None or max(map(abs, cosines)) > 2:
        return False
    row, column = np.reshape(cosines, (2, 3))
    return bool(abs(row @ row - 1) < 0.01 and abs(column @ column - 1) < 0.01 and abs(row @ column) < 0.01)


@lru_cache(maxsize=4096)
def directions(cosines: tuple[float, ...]) -> np.ndarray:
    """``[3, 3]`` with columns along columns' index, rows' index and the normal, orthonormal to the last bit.

    Files round their cosines; the nearest orthonormal pair is taken, by singular values.
    """
    left, _, right = np.linalg.svd(np.reshape(cosines, (2, 3)).T, full_matrices=False)
    pair = left @ right
    found = np.column_stack([pair, np.cross(pair[:, 0], pair[:, 1])])
    found.setflags(write=False)
    return found


def angle_degrees(first: np.ndarray, second: np.ndarray) -> float:
    """Angle between two unit normals, 0 to 90: which side they point to is a matter of convention."""
    return math.degrees(math.acos(min(1.0, abs(float(first @ second)))))


def turn_degrees(first: tuple[float, ...], other: tuple[float, ...]) -> float:
    """By what angle one image is turned against another, about whatever axis."""
    cosine = (np.trace(directions(first).T @ directions(other)) - 1) / 2
    return math.degrees(math.acos(min(1.0, max(-1.0, float(cosine)))))


def from_short_axis_degrees(cosines: tuple[float, ...]) -> float:
    """Angle from the short axis of most hearts."""
    return angle_degrees(directions(cosines)[:, 2], _SHORT_AXIS_NORMAL)


def plane_in_words(cosines: tuple[float, ...]) -> str:
    """Axial, coronal, sagittal or oblique, and whether that is like a short axis."""
    normal = directions(cosines)[:, 2]
    angles = [angle_degrees(normal, axis) for axis in np.eye(3)]
    if min(angles) < _STRAIGHT_DEGREES:
        return _PLANES[int(np.argmin(angles))]
    near = from_short_axis_degrees(cosines) <= SHORT_AXIS_CONE_DEGREES
    return "oblique, like a short axis" if near else "oblique, unlike a short axis"
