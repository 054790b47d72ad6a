"""How a NIfTI file's voxels lie in the patient, as far as that can be believed."""

import math
from dataclasses import dataclass

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.cine import Note
from cardiacseg.io.geometry import Geometry
from cardiacseg.io.nifti_file import NiftiFile
from cardiacseg.io.nifti_sizes import Spacing, is_unit_matrix, sizes_as_given, sizes_of
from cardiacseg.io.orientation import Orientation, picture_orientation

# Sine of the angle that axes may be from right angles, without and with a note. At 6 degrees volumes change by 0.5 %.
_NOTED_SHEAR, _LARGEST_SHEAR = math.sin(math.radians(0.5)), math.sin(math.radians(6.05))
_TURNED_DEGREES = 10.0  # less may be what a qform cannot say of sheared axes
_FAR_MM = 1e6
_NO_ORIENTATION = Note(
    "nifti_no_orientation",
    "The file does not say how its axes lie in the patient; they were taken as columns, rows and slices of a picture.",
)


@dataclass(frozen=True, eq=False)
class Placement:
    """``affine``: from the file's voxel to mm (RAS); the picture's ``orientation`` and the grid of that picture."""

    affine: np.ndarray
    orientation: Orientation
    geometry: Geometry
    notes: tuple[Note, ...]


def place(file: NiftiFile, spacing: Spacing | None = None) -> Placement:
    """Where the voxels lie, with notes on what was mended.

    sform goes before qform. A file without either is taken as a transverse stack seen from the feet with slices along
    its third axis; so is one whose sform is the unit matrix although its pixel sizes are not 1, as programs write
    that lost the orientation. ``spacing`` (slice, row, column), in mm, goes before the file's. Raises
    ``InvalidInputError`` if voxel sizes are missing, contradict each other or are not those of a heart's image, if
    axes are more than 6 degrees from right angles, or if no axis can be that of the slices.
    """
    linear = file.affine[:3, :3] if _has_orientation(file) else None
    directions = np.diag([-1.0, -1.0, 1.0]) if linear is None else _directions(file, linear)
    by_affine = None if linear is None else np.linalg.norm(linear, axis=0)
    if spacing is None:
        sizes, unit, notes = sizes_of(file, by_affine)
        slices = None
    else:
        sizes, slices, notes = sizes_as_given(file, directions, by_affine, spacing)
        unit = 1.0
    affine = np.eye(4)
    affine[:3, :3] = directions * sizes
    if linear is None:
        notes = [_NO_ORIENTATION, *notes]
    else:
        affine[:3, 3], far = _origin(file.affine[:3, 3] * unit)
        notes = [*notes, *far, *_shear_notes(file, directions), *_turned_notes(file)]
    return _placed(file, affine, slices, tuple(notes))


def _placed(file: NiftiFile, affine: np.ndarray, slices: int | None, notes: tuple[Note, ...]) -> Placement:
    try:
        orientation = picture_orientation(affine, slices)
    except InvalidInputError as error:
        raise InvalidInputError(f"{file.name}: {error}") from error
    size = tuple(file.shape[axis] for axis in orientation.axes)
    geometry = Geometry.from_affine_ras(orientation.affine(affine, file.shape), size)
    return Placement(affine, orientation, geometry, notes)


def _has_orientation(file: NiftiFile) -> bool:
    coded = int(file.header["sform_code"]) > 0 or int(file.header["qform_code"]) > 0
    return coded and (np.allclose(np.abs(file.sizes[1:4]), 1) or not is_unit_matrix(file))


def _directions(file: NiftiFile, linear: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        directions = linear / np.linalg.norm(linear, axis=0)
    if not np.isfinite(directions).all() or abs(np.linalg.det(directions)) < 0.1:
        raise InvalidInputError(f"{file.name} has an affine with values that are no distances in mm")
    return directions


def _origin(place_mm: np.ndarray) -> tuple[np.ndarray, list[Note]]:
    """Where the first voxel lies; far away nothing lies, and numbers lose their digits."""
    if (np.abs(place_mm) < _FAR_MM).all():
        return place_mm, []
    text = "The file's affine puts the image more than a kilometre away; its place is unknown, 0 was taken."
    return np.zeros(3), [Note("nifti_far_away", text)]


def _shear_notes(file: NiftiFile, directions: np.ndarray) -> list[Note]:
    shear = float(np.abs(directions.T @ directions - np.eye(3)).max())
    angle = math.degrees(math.asin(min(shear, 1)))
    if shear > _LARGEST_SHEAR:
        raise InvalidInputError(f"{file.name} has axes {angle:.1f} degrees from right angles; expected at most 6")
    larger = 100 * (1 / abs(np.linalg.det(directions)) - 1)
    text = (
        f"The file's axes are {angle:.1f} degrees from right angles; distances were taken along them, which makes "
        f"volumes {larger:.1f} % larger than at right angles."
    )
    return [Note("nifti_sheared", text)] if shear > _NOTED_SHEAR else []


def _turned_notes(file: NiftiFile) -> list[Note]:
    """On a file whose two affines turn its axes in different ways; pictures depend on it, volumes do not."""
    try:
        sform, qform = (form(coded=True)[0] for form in (file.header.get_sform, file.header.get_qform))
    except Exception:  # a quaternion that is damaged, which the sform goes before
        return []
    if sform is None or qform is None:
        return []
    with np.errstate(all="ignore"):
        first, second = (form[:3, :3] / np.linalg.norm(form[:3, :3], axis=0) for form in (sform, qform))
    cosine = float((first * second).sum(axis=0).min())
    degrees = math.degrees(math.acos(min(1.0, max(-1.0, cosine))))
    if not degrees > _TURNED_DEGREES:
        return []
    text = f"The file's sform and qform turn its axes in ways {degrees:.0f} degrees apart; the sform was taken."
    return [Note("nifti_two_orientations", text)]
