"""NIfTI cines and label maps, in any orientation. Needs nibabel.

Arrays are ``[T, S, row, column]`` in the scanner's own picture of the plane (:mod:`cardiacseg.io.geometry`), in
whatever order a file stores its axes. Labels are written back on the file's own axes, voxel by voxel.
"""

import dataclasses
import gzip
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cardiacseg.acquisition import UNKNOWN_TIMING
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.budget import Budget
from cardiacseg.io.cine import Cine, NiftiSource, Note
from cardiacseg.io.geometry import Geometry
from cardiacseg.io.nifti_axes import even_timing, place, timing_of
from cardiacseg.io.nifti_file import fill, open_nifti, read_voxels
from cardiacseg.io.not_grey import notes_on_values
from cardiacseg.io.output import write_bytes

if TYPE_CHECKING:
    import nibabel

# Tolerance of a grid's position as a fraction of a voxel, for the rounding of float32 headers.
_TOLERANCE = 0.02


def read_nifti(
    path: str | Path,
    *,
    spacing: tuple[float, float, float] | None = None,
    held: bytes | None = None,
    name: str | None = None,
    budget: Budget | None = None,
) -> Cine:
    """Read a 3-D file as one frame or a 4-D file as a cine.

    ``image`` is in the file's type, or float32 if the file scales its values; voxels without a finite number become the
    smallest value, with a note. ``spacing`` (slice, row, column), in mm, replaces the file's. ``held``, ``name`` and
    ``budget`` are as in :func:`cardiacseg.io.nifti_file.open_nifti`. Raises ``InvalidInputError`` with one sentence
    that names the file if it is missing, damaged, not NIfTI, or not a short-axis image of grey values.
    """
    file = open_nifti(path, held, name, budget)
    placed = place(file, spacing)
    image = np.empty((file.shape[3], *placed.geometry.size[::-1]), file.dtype)
    fill(placed.orientation.to_file(image), file)
    timing, time_notes = timing_of(file)
    value_notes = [*_fill_gaps(file.name, image), *notes_on_values(file, image, timing)]
    return Cine(
        Path(path),
        image,
        placed.geometry.array_spacing,
        placed.geometry,
        timing=timing,
        notes=(*file.notes, *placed.notes, *time_notes, *value_notes),
        nifti=NiftiSource(file.header, file.axes, placed.orientation),
    )


def read_frames(paths: Sequence[str | Path], *, spacing: tuple[float, float, float] | None = None) -> Cine:
    """Read one cine from one file per frame, in the order given; the times of the frames are unknown.

    ``spacing`` is as in :func:`read_nifti`. :func:`write_labels` writes the labels of all frames into one file, on the
    grid of the first. Raises ``InvalidInputError`` as :func:`read_nifti`, and if a file has several frames or another
    grid than the first.
    """
    cines = [read_nifti(path, spacing=spacing) for path in paths]
    first = cines[0]
    for cine in cines:
        if len(cine.image) != 1:
            raise InvalidInputError(f"{cine.path}: expected one frame of a cine, got {len(cine.image)}")
        if not _is_same_grid(cine.geometry, first.geometry):
            raise InvalidInputError(f"{cine.path} has another grid than {first.path.name}; expected frames of one cine")
    note = Note("nifti_frames", f"The frames were read from {len(cines)} files; their times are unknown.")
    return dataclasses.replace(
        first,
        image=np.concatenate([cine.image for cine in cines]),
        timing=UNKNOWN_TIMING,
        notes=(*dict.fromkeys(note for cine in cines for note in cine.notes), note),
        nifti=dataclasses.replace(first.nifti, axes=(*first.nifti.axes[:3], len(cines))),
        files=tuple(cine.path for cine in cines),
    )


def _is_same_grid(one: Geometry, other: Geometry) -> bool:
    """Whether every voxel lies within a tenth of a pixel of its counterpart."""
    if one.size != other.size:
        return False
    corners = np.array([*itertools.product(*((0, length - 1) for length in one.size), [1])]).T
    return bool(np.abs((one.affine_ras() - other.affine_ras()) @ corners).max() <= 0.1 * min(one.spacing))


def _fill_gaps(name: str, image: np.ndarray) -> list[Note]:
    """Set pixels without a finite float32 number to the smallest value, as outside the field of view."""
    if image.dtype.kind != "f":
        return []
    gapped = [frame for frame in image if not _are_numbers(np.array([frame.min(), frame.max()])).all()]
    if not gapped:
        return []
    gaps = sum(np.count_nonzero(~_are_numbers(frame)) for frame in gapped)
    if gaps == image.size:
        raise InvalidInputError(f"{name} holds no voxel with a finite number")
    smallest = min(frame.min(initial=np.inf, where=_are_numbers(frame)) for frame in image)
    for frame in gapped:
        frame[~_are_numbers(frame)] = smallest
    text = f"{gaps} of the file's {image.size} voxels are no finite numbers; they were read as the smallest value."
    return [Note("nifti_not_finite", text)]


def _are_numbers(values: np.ndarray) -> np.ndarray:
    return np.abs(values) <= np.finfo(np.float32).max


def read_beside(path: str | Path, cine: Cine) -> np.ndarray:
    """Values ``[T, S, H, W]`` of a file with the same axes as ``cine``'s file, voxel by voxel; its affine is ignored.

    Label maps of data sets often lack their image's orientation. Raises ``InvalidInputError`` as :func:`read_nifti`,
    and if the axes' lengths differ.
    """
    file = open_nifti(path)
    if file.shape != cine.nifti.orientation.to_file(cine.image).shape:
        raise InvalidInputError(
            f"{path}: expected the axes of {cine.path.name}, {cine.nifti.axes}, got axes of {file.axes}"
        )
    return cine.nifti.orientation.to_array(read_voxels(file))


def new_cine(image: np.ndarray, spacing: tuple[float, float, float], frame_interval_ms: float) -> Cine:
    """A cine ``[T, S, H, W]`` without a file: spacing in mm, the first pixel at the origin, axes to L, P, S."""
    between, row, column = spacing
    geometry = Geometry((0.0, 0.0, 0.0), np.eye(3), (column, row, between), image.shape[:0:-1])
    timing, notes = even_timing(frame_interval_ms, len(image))
    return Cine(Path("cine.nii.gz"), image, spacing, geometry, timing, notes=tuple(notes))


def _on_grid(array: np.ndarray, geometry: Geometry, interval_ms: float, start_ms: float = 0) -> "nibabel.Nifti1Image":
    """``[T, S, H, W]`` as an image on ``geometry``, of three axes if T is 1; qform and sform say "scanner"."""
    import nibabel

    voxels = array.T if len(array) > 1 else array[0].T
    image = nibabel.Nifti1Image(voxels, geometry.affine_ras())
    image.header.set_zooms((*geometry.spacing, interval_ms)[: voxels.ndim])
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    image.header.set_xyzt_units("mm", "msec")
    image.header["toffset"] = start_ms
    return image


def write_image(path: str | Path, cine: Cine) -> None:
    """Write a cine as ``.nii`` or ``.nii.gz``, atomically: on its file's grid, or on its own if it came from DICOM."""
    _write(Path(path), _as_file(cine.image, cine))


def write_labels(path: str | Path, labels: np.ndarray, cine: Cine) -> None:
    """Write labels ``[T, S, H, W]`` or ``[S, H, W]`` of ``cine`` as uint8, atomically.

    For a cine from NIfTI the voxels go back to the file's own axes; shape, affine, qform and sform with their codes,
    pixel sizes and frame interval are the file's. Texts and header extensions, which may name the patient, are left
    out. For one from DICOM the axes are column, row, slice and phase, in mm and ms. Raises ``InvalidInputError`` for
    labels that do not fit the cine or a name that does not end in ``.nii`` or ``.nii.gz``.
    """
    array = np.asarray(labels)
    if array.size != cine.image.size or array.shape[-3:] != cine.image.shape[1:] or array.ndim not in (3, 4):
        raise InvalidInputError(f"{path}: labels of shape {array.shape} do not fit an image of {cine.image.shape}")
    array = array.astype(np.uint8).reshape(cine.image.shape)
    image = _as_file(array, cine)
    image.header.set_intent("label", name="cardiacseg")
    _write(Path(path), image)


def _interval_and_start_ms(cine: Cine) -> tuple[float, float]:
    """Mean time between frames, and time of the first frame; 0 if unknown."""
    times = cine.timing.frame_times_ms
    if not times or len(times) < 2:
        return 0.0, 0.0
    return (times[-1] - times[0]) / (len(times) - 1), times[0]


def _as_file(array: np.ndarray, cine: Cine) -> "nibabel.Nifti1Image":
    if cine.nifti is None:
        return _on_grid(array, cine.geometry, *_interval_and_start_ms(cine))
    return _like_file(array, cine.nifti)


def _like_file(array: np.ndarray, source: NiftiSource) -> "nibabel.Nifti1Image":
    from nibabel import Nifti1Image, Nifti2Header, Nifti2Image

    header = source.header.copy()
    header.extensions.clear()
    header.set_data_dtype(array.dtype)
    header.set_slope_inter(1, 0)
    header.set_data_offset(0)
    header["cal_min"], header["cal_max"] = 0, 0
    for text in ("aux_file", "descrip", *({"db_name", "data_type"} & set(header.keys()))):
        header[text] = b""
    voxels = source.orientation.to_file(array).reshape(source.axes)
    kind = Nifti2Image if isinstance(header, Nifti2Header) else Nifti1Image
    return kind(voxels, None, header)  # sform and qform are the header's


def _write(path: Path, image: "nibabel.Nifti1Image") -> None:
    content = image.to_bytes()
    if path.name.endswith(".nii.gz"):
        content = gzip.compress(content, compresslevel=1, mtime=0)
    elif path.suffix != ".nii":
        raise InvalidInputError(f"{path}: expected a file name that ends in .nii or .nii.gz")
    write_bytes(path, content)


def read_labels(path: str | Path, geometry: Geometry, frames: int, *, spacing_given: bool = False) -> np.ndarray:
    """Labels of a NIfTI file as uint8 ``[T, S, H, W]`` on the grid of ``geometry``, T being ``frames``.

    Programs for correcting labels may store the axes in another order or direction, so these are taken from the affine.
    With ``spacing_given`` (the grid has a given spacing) the file's own spacing is ignored. Raises
    ``InvalidInputError`` if the file is not a label map of 0 to 3, or its voxels are not those of the grid.
    """
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
        raise InvalidInputError(f"{path}: expected labels 0 to 3, got values from {values.min()} to {values.max()}")
    return np.ascontiguousarray(labels)


def _order_and_flips(path: Path, affine: np.ndarray, geometry: Geometry) -> tuple[list[int], list[bool]]:
    """For each axis of the grid (x, y, z): the corresponding axis of the file, and whether that is reversed."""
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
        raise InvalidInputError(
            f"{path}: its voxels are not those of the image; expected labels on the image's own grid"
        )
    return order, [bool(steps[file_axis, axis] < 0) for axis, file_axis in enumerate(order)]


def _corners(size: tuple[int, int, int]) -> np.ndarray:
    """The first and the last voxel along each axis in every combination, ``[4, 8]``."""
    grid = np.meshgrid(*((0, extent - 1) for extent in size), indexing="ij")
    return np.vstack([*(axis.ravel() for axis in grid), np.ones(8)])
