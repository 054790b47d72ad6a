"""How large a NIfTI file's voxels are: its affine, its pixel sizes, their unit, or what the caller says."""

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.cine import Note
from cardiacseg.io.nifti_file import NiftiFile
from cardiacseg.io.orientation import picture_orientation, slice_axis

Spacing = tuple[float, float, float]

SPACING_GIVEN = "nifti_spacing_given"

_MM_PER_UNIT = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
# mm of a voxel's shortest and middle side, and of its longest: so wide that animals fit, so narrow that one unit does.
_SIDES, _LONGEST = (0.05, 20.0), 50.0
# How far affine and pixel sizes may differ, without and with a note, as a part of the size: 2 % of a side is 2 % of a
# volume, less than two readers differ by.
_SAME_SIZE, _NOTED_SIZE = 1e-3, 0.02 + 1e-4
# A stack of voxels of 1 x 1 x 1 mm on the unit matrix has more slices than so, or is one whose sizes were never set.
_FEWEST_CUBES = 50
_NOT_SQUARE = 1.5
_OPTION = "--spacing SLICE ROW COLUMN (spacing in Python) gives them, in mm"


def sizes_of(file: NiftiFile, by_affine: np.ndarray | None) -> tuple[np.ndarray, float, list[Note]]:
    """mm along the file's axes, mm of the file's unit, and notes.

    ``by_affine`` are the lengths of the affine's columns, in the file's unit; ``None`` if it has no orientation.
    Raises ``InvalidInputError`` if sizes are missing, if affine and pixel sizes differ by more than 2 %, or if there
    is no unit in which they are those of a heart's image.
    """
    stored = np.abs(file.sizes[1:4])
    if not (np.isfinite(stored) & (stored > 0)).all():
        raise InvalidInputError(
            f"{file.name} has pixel sizes (x, y, z) of {_numbers(stored)}; expected positive numbers: {_OPTION}"
        )
    if _never_set(file, by_affine):
        raise InvalidInputError(
            f"{file.name} does not say how large its voxels are: programs that do not know the size write "
            f"1 x 1 x 1 mm; {_OPTION}"
        )
    sizes, notes = (stored, []) if by_affine is None else _one_answer(file, by_affine, stored)
    unit, unit_notes = _unit(file, sizes)
    if by_affine is None and max(sizes[:2]) > 2 * min(sizes[:2]) and sizes[2] <= min(sizes[:2]):
        raise InvalidInputError(
            f"{file.name} has no orientation and pixel sizes (x, y, z) of {_numbers(sizes * unit)} mm; the third axis "
            "must be the slice axis"
        )
    return sizes * unit, unit, notes + unit_notes


def is_unit_matrix(file: NiftiFile) -> bool:
    """Whether the affine says nothing but directions along the axes and a size of 1."""
    return np.array_equal(np.abs(file.affine[:3, :3]), np.eye(3))


def _never_set(file: NiftiFile, by_affine: np.ndarray | None) -> bool:
    if not np.allclose(np.abs(file.sizes[1:4]), 1) or _MM_PER_UNIT[_unit_name(file)] != 1:
        return False
    return by_affine is None or (is_unit_matrix(file) and file.shape[2] < _FEWEST_CUBES)


def _one_answer(file: NiftiFile, by_affine: np.ndarray, stored: np.ndarray) -> tuple[np.ndarray, list[Note]]:
    apart = float(np.abs(by_affine / stored - 1).max())
    unit = {"meter": "m", "micron": "um"}.get(_unit_name(file), "mm")
    both = f"{_numbers(by_affine)} {unit} by its affine and of {_numbers(stored)} {unit} by its pixel sizes"
    if not apart <= _NOTED_SIZE:
        raise InvalidInputError(
            f"{file.name} has voxels of {both}; expected equal sizes, as volumes depend on them: {_OPTION}"
        )
    volumes = 100 * abs(float(np.prod(by_affine / stored)) - 1)
    text = f"The file has voxels of {both}; the affine's were taken. Volumes differ by {volumes:.1f} %."
    return by_affine, [Note("nifti_two_sizes", text)] if apart > _SAME_SIZE else []


def _unit_name(file: NiftiFile) -> str:
    return file.header.get_xyzt_units()[0]


def _unit(file: NiftiFile, sizes: np.ndarray) -> tuple[float, list[Note]]:
    """mm of the file's unit: the header's, else the only one in which the voxels fit a heart's image."""
    name = _unit_name(file)
    if _fits(sizes * _MM_PER_UNIT[name]):
        return _MM_PER_UNIT[name], []
    fitting = [other for other in ("mm", "meter", "micron") if _fits(sizes * _MM_PER_UNIT[other])]
    if len(fitting) != 1:
        raise InvalidInputError(
            f"{file.name} has voxels of {_numbers(sizes)} (unit: {name}), which in no unit are those of a heart's "
            f"image; {_OPTION}"
        )
    text = f"The file's voxels of {_numbers(sizes)} cannot be in its unit ({name}); they were read as {fitting[0]}."
    return _MM_PER_UNIT[fitting[0]], [Note("nifti_size_unit", text)]


def _fits(sizes: np.ndarray) -> bool:
    shortest, middle, longest = np.sort(sizes)
    return bool(_SIDES[0] <= shortest and middle <= _SIDES[1] and longest <= _LONGEST)


def sizes_as_given(
    file: NiftiFile, directions: np.ndarray, by_affine: np.ndarray | None, spacing: Spacing
) -> tuple[np.ndarray, int, list[Note]]:
    """mm along the file's axes as ``spacing`` (slice, row, column) says, the axis of the slices, and a note."""
    between, row, column = _checked(file.name, spacing)
    of_file = np.abs(file.sizes[1:4]) if by_affine is None else by_affine
    slices = _slices_of(of_file)
    affine = np.eye(4)
    affine[:3, :3] = directions
    columns, rows, _ = picture_orientation(affine, slices).axes
    sizes = np.empty(3)
    sizes[[columns, rows, slices]] = column, row, between
    text = (
        f"The spacing was given: slices {between:g}, rows {row:g}, columns {column:g} mm; by the file "
        f"{_numbers(of_file[[slices, rows, columns]])}."
    )
    return sizes, slices, [Note(SPACING_GIVEN, text)]


def _checked(name: str, spacing: Spacing) -> np.ndarray:
    given = np.asarray(spacing, dtype=np.float64)
    good = given.shape == (3,) and np.isfinite(given).all() and (given > 0).all() and _fits(given)
    if not good or max(given[1:]) > _NOT_SQUARE * min(given[1:]):
        raise InvalidInputError(
            f"{name}: expected a spacing (slice, row, column) in mm with nearly square pixels, got {tuple(spacing)}"
        )
    return given


def _slices_of(stored: np.ndarray) -> int:
    """The axis of the slices by the file's own sizes; the third if they do not tell."""
    if not (np.isfinite(stored) & (stored > 0)).all():
        return 2
    try:
        return slice_axis(stored)
    except InvalidInputError:
        return 2


def _numbers(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values)
