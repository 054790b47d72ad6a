"""The grid that a cine lies on, in the patient's coordinates. Only files have one; arrays do not."""

from dataclasses import dataclass

import numpy as np

# DICOM's x and y point to the patient's left and back (LPS), NIfTI's to right and front (RAS); z points to the head.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Geometry:
    """A grid, in x, y, z order as ITK and DICOM have it, in mm, x to the left, y to the back, z to the head.

    Index (i, j, k) is (column, row, slice) of an array ``[S, H, W]``, voxel (0, 0, 0) has its center at ``origin``.
    The columns of ``direction`` ``[3, 3]`` are the unit vectors along which i, j and k grow: the first two are those
    of DICOM's Image Orientation (Patient), the third need not be their normal. ``spacing`` is (column, row, slice),
    center to center; ``size`` is (columns, rows, slices).

    The grid is regular, unless ``slice_offsets_mm`` says where each slice lies along the third direction, counted from
    the first one: the slice spacing is then the mean, and the affine is that of the regular grid.
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
        """Unit vector across the columns' and rows' directions, as the right hand has it."""
        return np.cross(self.direction[:, 0], self.direction[:, 1])

    def slice_positions(self) -> np.ndarray:
        """Center of each slice's first voxel, ``[S, 3]``: DICOM's Image Position (Patient)."""
        step = self.direction[:, 2] * self.spacing[2]
        offsets = self.slice_offsets_mm
        steps = np.arange(self.size[2]) if offsets is None else np.divide(offsets, self.spacing[2])
        return np.asarray(self.origin) + steps[:, None] * step

    @property
    def slice_shares_mm(self) -> tuple[float, ...] | None:
        """How much of the axis each slice stands for if slices are unevenly spaced; ``None`` if they are not.

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
        """The grid of a NIfTI affine whose columns have a length."""
        lps = _LPS_TO_RAS @ np.asarray(affine, dtype=np.float64)
        spacing = np.linalg.norm(lps[:3, :3], axis=0)
        return cls(tuple(lps[:3, 3].tolist()), lps[:3, :3] / spacing, tuple(spacing.tolist()), size)

    def anterior(self) -> tuple[float, float]:
        """Where the heart's anterior wall faces, as a vector (along rows, along columns) in the plane of a slice.

        In a short-axis plane that is the direction to the patient's front and head.
        """
        front_and_head = np.array([0.0, -1.0, 1.0])
        return float(front_and_head @ self.direction[:, 1]), float(front_and_head @ self.direction[:, 0])
