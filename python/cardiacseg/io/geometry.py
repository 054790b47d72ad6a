"""The grid of a cine in the patient's coordinates, and the orientation of its planes.

Only files have a grid; arrays do not. A NIfTI file may store its axes in any order and direction; converters often
store rows from the bottom up, which would show the heart mirrored. :func:`picture_orientation` makes arrays independent
of that.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from cardiacseg.errors import InvalidInputError

# DICOM's x and y point to the patient's left and back (LPS), NIfTI's to right and front (RAS); z points to the head.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Geometry:
    """A grid, in x, y, z order as ITK and DICOM have it, in mm, x to the left, y to the back, z to the head.

    Index (i, j, k) is (column, row, slice) of an array ``[S, H, W]``, voxel (0, 0, 0) has its center at ``origin``.
    The columns of ``direction`` ``[3, 3]`` are the unit vectors along which i, j and k grow: the first two are those
    of DICOM's Image Orientation (Patient), the third need not be their normal. ``spacing`` is (column, row, slice),
    center to center; ``size`` is (columns, rows, slices).

    The grid is regular if ``slice_offsets_mm`` is ``None``. Otherwise it holds each slice's position along the third
    direction, from the first slice; the slice spacing is then the mean, and the affine is that of the regular grid.
    """

    origin: tuple[float, float, float]
    direction: np.ndarray
    spacing: tuple[float, float, float]
    size: tuple[int, int, int]
    slice_offsets_mm: tuple[float, ...] | None = None

    @property
    def array_spacing(self) -> tuple[float, float, float]:
        """``spacing`` in the order of the array's axes: (slice, row, column)."""
        return self.spacing[::-1]

    @property
    def normal(self) -> np.ndarray:
        """Unit normal of the plane: the cross product of the columns' and rows' directions."""
        return np.cross(self.direction[:, 0], self.direction[:, 1])

    def slice_positions(self) -> np.ndarray:
        """Center of each slice's first voxel, ``[S, 3]``: DICOM's Image Position (Patient)."""
        step = self.direction[:, 2] * self.spacing[2]
        offsets = self.slice_offsets_mm
        steps = np.arange(self.size[2]) if offsets is None else np.divide(offsets, self.spacing[2])
        return np.asarray(self.origin) + steps[:, None] * step

    @property
    def slice_shares_mm(self) -> tuple[float, ...] | None:
        """The length of the axis that each slice represents, if slices are unevenly spaced; else ``None``.

        Half the distance to each adjacent slice; at the ends the one distance.
        """
        if self.slice_offsets_mm is None:
            return None
        steps = np.diff(self.slice_offsets_mm)
        return tuple(((np.append(steps[0], steps) + np.append(steps, steps[-1])) / 2).tolist())

    def affine_lps(self) -> np.ndarray:
        """``[4, 4]``: from (i, j, k, 1) to (x, y, z, 1) in mm, LPS."""
        affine = np.eye(4)
        affine[:3, :3] = self.direction * np.asarray(self.spacing)
        affine[:3, 3] = self.origin
        return affine

    def affine_ras(self) -> np.ndarray:
        """``[4, 4]``: from (i, j, k, 1) to mm in NIfTI's coordinates (RAS)."""
        ras: np.ndarray = _LPS_TO_RAS @ self.affine_lps()
        return ras

    @classmethod
    def from_affine_ras(cls, affine: np.ndarray, size: tuple[int, int, int]) -> "Geometry":
        """The grid of a NIfTI affine; its columns must not be 0."""
        lps = _LPS_TO_RAS @ np.asarray(affine, dtype=np.float64)
        spacing = np.linalg.norm(lps[:3, :3], axis=0)
        return cls(tuple(lps[:3, 3].tolist()), lps[:3, :3] / spacing, tuple(spacing.tolist()), size)

    def anterior(self) -> tuple[float, float]:
        """Direction of the heart's anterior wall in the plane of a slice, as a vector (along rows, along columns).

        In a short-axis plane this is the direction to the patient's front and head.
        """
        front_and_head = np.array([0.0, -1.0, 1.0])
        return float(front_and_head @ self.direction[:, 1]), float(front_and_head @ self.direction[:, 0])


# Normal of a short axis: from the apex to the base, which is to the right, the back and the head.
_SHORT_AXIS_NORMAL = np.array([-0.6, 0.6, 0.55]) / np.linalg.norm([-0.6, 0.6, 0.55])
SHORT_AXIS_CONE_DEGREES = 45.0
_STRAIGHT_DEGREES = 15.0
_PLANES = ("sagittal", "coronal", "axial")
# The scanner's pictures in LPS: transverse planes seen from the feet, columns to the left, rows to the back; coronal
# ones from the front, columns to the left, rows to the feet; sagittal ones from the left, columns to the back, rows to
# the feet. The small second number distinguishes sagittal planes from rotated ones.
_COLUMNS, _ROWS, _NORMAL = np.array([1, 0.1, 0]), np.array([0, 1, -1]), np.array([-1, 1, 1])
# Slices lie along the axis whose voxels are longest by this factor; without such an axis, along the third.
_LONGER = 1.2


def is_orientation(cosines: tuple[float, ...] | None) -> bool:
    """Whether six direction cosines are two unit vectors at right angles, within a hundredth."""
    if cosines is None or max(map(abs, cosines)) > 2:
        return False
    row, column = np.reshape(cosines, (2, 3))
    return bool(abs(row @ row - 1) < 0.01 and abs(column @ column - 1) < 0.01 and abs(row @ column) < 0.01)


@lru_cache(maxsize=4096)
def directions(cosines: tuple[float, ...]) -> np.ndarray:
    """``[3, 3]`` with columns along columns' index, rows' index and the normal, orthonormal to the last bit.

    Files round their cosines; the result is the nearest orthonormal pair, by singular values.
    """
    left, _, right = np.linalg.svd(np.reshape(cosines, (2, 3)).T, full_matrices=False)
    pair = left @ right
    found = np.column_stack([pair, np.cross(pair[:, 0], pair[:, 1])])
    found.setflags(write=False)
    return found


def angle_degrees(first: np.ndarray, second: np.ndarray) -> float:
    """Angle between two unit normals, 0 to 90: their sign is a matter of convention."""
    return math.degrees(math.acos(min(1.0, abs(float(first @ second)))))


def turn_degrees(first: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The angle between the orientations of two images, about any axis."""
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


@dataclass(frozen=True)
class Orientation:
    """``axes``: the file's axis along which columns, rows and slices grow; ``flips``: whether it runs the other way."""

    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def to_array(self, voxels: np.ndarray) -> np.ndarray:
        """Reorder a file's (x, y, z) or (x, y, z, t) to ``[T, S, H, W]``, contiguous."""
        cine = voxels if voxels.ndim == 4 else voxels[..., np.newaxis]
        turned = cine.transpose(3, *self.axes[::-1])
        return np.ascontiguousarray(np.flip(turned, self._flipped()))

    def to_file(self, array: np.ndarray) -> np.ndarray:
        """Reorder ``[T, S, H, W]`` to a file's (x, y, z, t)."""
        order = [3 - self.axes.index(axis) for axis in range(3)]
        return np.flip(array, self._flipped()).transpose(*order, 0)

    def affine(self, of_file: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The affine of (column, row, slice) for that of a file with axes of ``shape``."""
        turned = np.array(of_file, dtype=np.float64)
        for index, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            step = of_file[:3, axis]
            turned[:3, index] = -step if flip else step
            turned[:3, 3] += step * (shape[axis] - 1) if flip else 0
        return turned

    def _flipped(self) -> tuple[int, ...]:
        return tuple(3 - index for index, flip in enumerate(self.flips) if flip)


def picture_orientation(affine_ras: np.ndarray, slices: int | None = None) -> Orientation:
    """Columns, rows and slices as in the scanner's own picture of that plane.

    The picture is never mirrored: of its eight orientations, candidates are those whose normal (columns x rows) points
    to the patient's right, back and head, as from the apex to the base. The one nearest to the transverse, coronal or
    sagittal picture is chosen. Slices are in the order of that normal, along the file's axis ``slices`` or, without it,
    along the axis with the longest voxels. Raises ``InvalidInputError``, without a file's name, if no axis can be the
    slice axis of a short-axis stack.
    """
    steps = np.linalg.norm(affine_ras[:3, :3], axis=0)
    directions = (np.diag([-1.0, -1.0, 1.0]) @ affine_ras[:3, :3] / steps).T
    slices = slice_axis(steps) if slices is None else slices
    first, second = (axis for axis in range(3) if axis != slices)
    ways = product(((first, second), (second, first)), (1, -1), (1, -1))
    (columns, rows), column_sign, row_sign = max(ways, key=lambda way: _likeness(directions, *way))
    normal = np.cross(column_sign * directions[columns], row_sign * directions[rows])
    flips = (column_sign < 0, row_sign < 0, bool(directions[slices] @ normal < 0))
    return Orientation((columns, rows, slices), flips)


def _likeness(directions: np.ndarray, axes: tuple[int, int], column_sign: int, row_sign: int) -> tuple[bool, float]:
    """Whether such a picture is not mirrored, and how similar it is to a standard one; rounded, so that ties stay as
    stored."""
    columns, rows = column_sign * directions[axes[0]], row_sign * directions[axes[1]]
    unmirrored = np.cross(columns, rows) @ _NORMAL > -1e-6
    return bool(unmirrored), round(float(columns @ _COLUMNS + rows @ _ROWS), 5)


def slice_axis(steps: np.ndarray) -> int:
    """The slice axis, by the voxels' sides; raises as :func:`picture_orientation`."""
    shortest, middle, longest = np.sort(steps)
    if middle > 2 * shortest and middle > longest / 2:
        sizes = ", ".join(f"{step:g}" for step in steps)
        raise InvalidInputError(
            f"voxels of {sizes} mm cannot be those of a short-axis stack; expected two short sides, in the plane of "
            "the slices, and a longer third"
        )
    return int(np.argmax(steps)) if longest >= _LONGER * middle else 2
