"""Labels of an earlier run, or corrected by hand, back onto the grid of a cine. Needs nibabel."""

from pathlib import Path

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.geometry import Geometry

# Of a voxel: how far a grid may lie off, which is what float32 headers lose.
_TOLERANCE = 0.02


def read_labels(path: str | Path, geometry: Geometry, frames: int, *, spacing_given: bool = False) -> np.ndarray:
    """Labels of a NIfTI file as uint8 ``[T, S, H, W]`` on the grid of ``geometry``, T being ``frames``.

    Programs in which people correct labels may store the axes in another order or direction; the affine tells. With
    ``spacing_given``, which is that of the grid, the file's own spacing is not asked. Raises ``InvalidInputError`` if
    the file is no label map of 0 to 3, or its voxels are not those of the grid.
    """
    from cardiacseg.io.nifti_affine import place
    from cardiacseg.io.nifti_file import open_nifti
    from cardiacseg.io.nifti_voxels import read_voxels

    file = open_nifti(path)
    placed = place(file, geometry.array_spacing if spacing_given else None)
    order, flips = _order_and_flips(Path(path), placed.affine, geometry)
    if tuple(file.shape[axis] for axis in order) != geometry.size or file.shape[3] != frames:
        raise InvalidInputError(
            f"{path}: expected labels of {geometry.size} voxels (x, y, z) and {frames} frames, got axes of {file.axes}"
        )
    values = read_voxels(file).transpose(3, order[2], order[1], order[0])
    values = np.flip(values, [3 - axis for axis in range(3) if flips[axis]])
    labels = values.astype(np.uint8)
    if not np.array_equal(labels, values) or labels.max(initial=0) > 3:
        raise InvalidInputError(f"{path}: wanted labels 0 to 3, found values from {values.min()} to {values.max()}")
    return np.ascontiguousarray(labels)


def _order_and_flips(path: Path, affine: np.ndarray, geometry: Geometry) -> tuple[list[int], list[bool]]:
    """For each axis of the grid (x, y, z): which axis of the file it is, and whether that runs the other way."""
    to_file = np.linalg.inv(affine) @ geometry.affine_ras()
    steps = np.rint(to_file[:3, :3])
    order = [int(np.abs(steps[:, axis]).argmax()) for axis in range(3)]
    corners = _corners(geometry.size)
    exact = np.zeros((3, 4))
    for axis, file_axis in enumerate(order):
        exact[file_axis, axis] = steps[file_axis, axis]
        if exact[file_axis, axis] < 0:
            exact[file_axis, 3] = geometry.size[axis] - 1
    if sorted(order) != [0, 1, 2] or np.abs(to_file[:3] @ corners - exact @ corners).max() > _TOLERANCE:
        raise InvalidInputError(f"{path}: its voxels are not those of the image; wanted labels on the image's own grid")
    return order, [bool(steps[file_axis, axis] < 0) for axis, file_axis in enumerate(order)]


def _corners(size: tuple[int, int, int]) -> np.ndarray:
    """The first and the last voxel along each axis in every combination, ``[4, 8]``."""
    grid = np.meshgrid(*((0, extent - 1) for extent in size), indexing="ij")
    return np.vstack([*(axis.ravel() for axis in grid), np.ones(8)])
