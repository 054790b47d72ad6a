"""Axes by a NIfTI header: orientation, size of voxels, times of frames."""

import math
from dataclasses import dataclass

import numpy as np

from cardiacseg.acquisition import UNKNOWN_TIMING, Timing
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.cine import Note
from cardiacseg.io.geometry import Geometry, Orientation, picture_orientation, slice_axis
from cardiacseg.io.nifti_file import NiftiFile

Spacing = tuple[float, float, float]

SPACING_GIVEN = "nifti_spacing_given"

_MM_PER_UNIT = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
# mm of a voxel's shortest and middle side, and of its longest: wide enough for animals, narrow enough for one unit.
_SIDES, _LONGEST = (0.05, 20.0), 50.0
# Largest relative difference of affine and pixel sizes, without and with a note: 2 % of a side is 2 % of a volume,
# which is less than the difference between two readers.
_SAME_SIZE, _NOTED_SIZE = 1e-3, 0.02 + 1e-4
# A stack of voxels of 1 x 1 x 1 mm on the unit matrix has more slices than this, or its sizes were never set.
_FEWEST_CUBES = 50
_NOT_SQUARE = 1.5
_OPTION = "--spacing SLICE ROW COLUMN (spacing in Python) gives them, in mm"
# Sine of the largest deviation of axes from right angles, without and with a note. 6 degrees change volumes by 0.5 %.
_NOTED_SHEAR, _LARGEST_SHEAR = math.sin(math.radians(0.5)), math.sin(math.radians(6.05))
_TURNED_DEGREES = 10.0  # less can be the part of sheared axes that a qform cannot describe
_FAR_MM = 1e6
_NO_ORIENTATION = Note(
    "nifti_no_orientation",
    "The file does not say how its axes lie in the patient; they were read as columns, rows and slices of a picture.",
)
_MS_PER_UNIT = {"sec": 1000.0, "msec": 1.0, "usec": 0.001}
# ms between frames of a cine, and ms of an RR interval: heart rates of 20 to 250 a minute.
_INTERVAL, _RR_INTERVAL = (5.0, 500.0), (240.0, 3000.0)
_SOURCE = "frame interval times number of frames: correct if the cine covers one whole cardiac cycle"


def _sizes_of(file: NiftiFile, by_affine: np.ndarray | None) -> tuple[np.ndarray, float, list[Note]]:
    """mm along the file's axes, mm of the file's unit, and notes.

    ``by_affine`` are the lengths of the affine's columns, in the file's unit; ``None`` if it has no orientation.
    Raises ``InvalidInputError`` if sizes are missing, if affine and pixel sizes differ by more than 2 %, or if no
    unit makes them those of an image of the heart.
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


def _is_unit_matrix(file: NiftiFile) -> bool:
    """Whether the affine has only directions along the axes and sizes of 1."""
    return np.array_equal(np.abs(file.affine[:3, :3]), np.eye(3))


def _never_set(file: NiftiFile, by_affine: np.ndarray | None) -> bool:
    if not np.allclose(np.abs(file.sizes[1:4]), 1) or _MM_PER_UNIT[_unit_name(file)] != 1:
        return False
    return by_affine is None or (_is_unit_matrix(file) and file.shape[2] < _FEWEST_CUBES)


def _one_answer(file: NiftiFile, by_affine: np.ndarray, stored: np.ndarray) -> tuple[np.ndarray, list[Note]]:
    apart = float(np.abs(by_affine / stored - 1).max())
    unit = {"meter": "m", "micron": "um"}.get(_unit_name(file), "mm")
    both = f"{_numbers(by_affine)} {unit} by its affine and of {_numbers(stored)} {unit} by its pixel sizes"
    if not apart <= _NOTED_SIZE:
        raise InvalidInputError(
            f"{file.name} has voxels of {both}; expected equal sizes, because volumes depend on them: {_OPTION}"
        )
    volumes = 100 * abs(float(np.prod(by_affine / stored)) - 1)
    text = f"The file has voxels of {both}; the affine's were used. Volumes differ by {volumes:.1f} %."
    return by_affine, [Note("nifti_two_sizes", text)] if apart > _SAME_SIZE else []


def _unit_name(file: NiftiFile) -> str:
    return file.header.get_xyzt_units()[0]


def _unit(file: NiftiFile, sizes: np.ndarray) -> tuple[float, list[Note]]:
    """mm of the file's unit: the header's, else the only unit in which the voxels fit an image of the heart."""
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


def _sizes_as_given(
    file: NiftiFile, directions: np.ndarray, by_affine: np.ndarray | None, spacing: Spacing
) -> tuple[np.ndarray, int, list[Note]]:
    """mm along the file's axes by ``spacing`` (slice, row, column), the slice axis, and a note."""
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
    """The slice axis by the file's own sizes; the third axis if they do not determine it."""
    if not (np.isfinite(stored) & (stored > 0)).all():
        return 2
    try:
        return slice_axis(stored)
    except InvalidInputError:
        return 2


def _numbers(values: np.ndarray) -> str:
    return ", ".join(f"{value:g}" for value in values)


@dataclass(frozen=True, eq=False)
class Placement:
    """``affine``: from the file's voxel to mm (RAS); ``orientation`` and grid of the picture."""

    affine: np.ndarray
    orientation: Orientation
    geometry: Geometry
    notes: tuple[Note, ...]


def place(file: NiftiFile, spacing: Spacing | None = None) -> Placement:
    """The positions of the voxels, with notes on repairs.

    sform has priority over qform. A file without either is read as a transverse stack seen from the feet with slices
    along its third axis; so is a file whose sform is the unit matrix although its pixel sizes are not 1, which is
    written by programs that lost the orientation. ``spacing`` (slice, row, column), in mm, replaces the file's. Raises
    ``InvalidInputError`` if voxel sizes are missing, contradict each other or are not those of a heart's image, if
    axes are more than 6 degrees from right angles, or if no axis can be that of the slices.
    """
    linear = file.affine[:3, :3] if _has_orientation(file) else None
    directions = np.diag([-1.0, -1.0, 1.0]) if linear is None else _directions(file, linear)
    by_affine = None if linear is None else np.linalg.norm(linear, axis=0)
    if spacing is None:
        sizes, unit, notes = _sizes_of(file, by_affine)
        slices = None
    else:
        sizes, slices, notes = _sizes_as_given(file, directions, by_affine, spacing)
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
    return coded and (np.allclose(np.abs(file.sizes[1:4]), 1) or not _is_unit_matrix(file))


def _directions(file: NiftiFile, linear: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        directions = linear / np.linalg.norm(linear, axis=0)
    if not np.isfinite(directions).all() or abs(np.linalg.det(directions)) < 0.1:
        raise InvalidInputError(f"{file.name} has an affine with values that are not distances in mm")
    return directions


def _origin(place_mm: np.ndarray) -> tuple[np.ndarray, list[Note]]:
    """Position of the first voxel; if it is implausibly far away, 0 and a note."""
    if (np.abs(place_mm) < _FAR_MM).all():
        return place_mm, []
    text = "The file's affine puts the image more than a kilometer away; its position is unknown, 0 was used."
    return np.zeros(3), [Note("nifti_far_away", text)]


def _shear_notes(file: NiftiFile, directions: np.ndarray) -> list[Note]:
    shear = float(np.abs(directions.T @ directions - np.eye(3)).max())
    angle = math.degrees(math.asin(min(shear, 1)))
    if shear > _LARGEST_SHEAR:
        raise InvalidInputError(f"{file.name} has axes {angle:.1f} degrees from right angles; expected at most 6")
    larger = 100 * (1 / abs(np.linalg.det(directions)) - 1)
    text = (
        f"The file's axes are {angle:.1f} degrees from right angles; distances were measured along them, which makes "
        f"volumes {larger:.1f} % larger than at right angles."
    )
    return [Note("nifti_sheared", text)] if shear > _NOTED_SHEAR else []


def _turned_notes(file: NiftiFile) -> list[Note]:
    """Notes on a file whose two affines have different orientations; pictures depend on them, volumes do not."""
    try:
        sform, qform = (form(coded=True)[0] for form in (file.header.get_sform, file.header.get_qform))
    except Exception:  # a damaged quaternion; the sform is used instead
        return []
    if sform is None or qform is None:
        return []
    with np.errstate(all="ignore"):
        first, second = (form[:3, :3] / np.linalg.norm(form[:3, :3], axis=0) for form in (sform, qform))
    cosine = float((first * second).sum(axis=0).min())
    degrees = math.degrees(math.acos(min(1.0, max(-1.0, cosine))))
    if not degrees > _TURNED_DEGREES:
        return []
    text = f"The file's sform and qform turn its axes in ways {degrees:.0f} degrees apart; the sform was used."
    return [Note("nifti_two_orientations", text)]


def timing_of(file: NiftiFile) -> tuple[Timing, list[Note]]:
    """Times of a file's frames, from their axis's step, toffset and their unit, and notes; unknown for one frame.

    An interval outside that of a cine (5 to 500 ms) in the file's unit is read in the only unit of s, ms and us that
    fits, if all frames then make one cycle; without a unit the interval alone decides. Else the times are unknown.
    """
    frames = file.shape[3]
    if frames == 1:
        return UNKNOWN_TIMING, []
    stated = file.header.get_xyzt_units()[1]
    step = _step(file)
    unit = _time_unit(step, frames, stated)
    if unit is None:
        text = f"The file's frame interval, {step:g} ({stated}), is not one of a cine; the frames' times are unknown."
        return UNKNOWN_TIMING, [Note("nifti_frame_interval", text)]
    notes = []
    if unit != stated:
        of_file = "gives no unit of time" if stated == "unknown" else f"gives {stated} as its unit of time"
        notes.append(Note("nifti_time_unit", f"The file {of_file}; an interval of {step:g} was read as {unit}."))
    interval = step * _MS_PER_UNIT[unit]
    start, start_notes = _start_ms(file, _MS_PER_UNIT[unit], interval * frames)
    timing, rr_interval_notes = even_timing(interval, frames, start)
    return timing, notes + start_notes + rr_interval_notes


def _step(file: NiftiFile) -> float:
    """The pixel size of the frames' axis, or of the fourth axis, the axis of time, if only that can be an interval."""
    steps = [abs(float(file.sizes[index + 1])) for index in (file.frames_axis, 3)]
    return next((step for step in steps if _fitting_units(step)), steps[-1])


def _fitting_units(step: float) -> list[str]:
    return [name for name, factor in _MS_PER_UNIT.items() if _within(step * factor, _INTERVAL)]


def _time_unit(step: float, frames: int, stated: str) -> str | None:
    fitting = _fitting_units(step)
    if stated in fitting or not fitting:
        return stated if fitting else None
    one_cycle = _within(step * _MS_PER_UNIT[fitting[0]] * frames, _RR_INTERVAL)
    return fitting[0] if stated == "unknown" or (stated in _MS_PER_UNIT and one_cycle) else None


def even_timing(interval_ms: float, frames: int, start_ms: float = 0.0) -> tuple[Timing, list[Note]]:
    """Times of evenly spaced frames; unknown for one frame."""
    if frames == 1:
        return UNKNOWN_TIMING, []
    rr_interval, notes = _rr_interval_ms(interval_ms * frames)
    times = tuple(start_ms + interval_ms * frame for frame in range(frames))
    return Timing(times, rr_interval, None if rr_interval is None else _SOURCE), notes


def _within(value: float, limits: tuple[float, float]) -> bool:
    # float32 headers hold 0.5 exactly, but not 0.005
    return limits[0] * (1 - 1e-6) <= value <= limits[1] * (1 + 1e-6)


def _start_ms(file: NiftiFile, factor: float, rr_interval: float) -> tuple[float, list[Note]]:
    start = float(file.header["toffset"]) * factor
    if math.isfinite(start) and 0 <= start < rr_interval:
        return start, []
    text = "The file's time of the first frame lies outside of the cardiac cycle; 0 was used."
    return 0.0, [Note("nifti_time_offset", text)]


def _rr_interval_ms(length: float) -> tuple[float | None, list[Note]]:
    if _within(length, _RR_INTERVAL):
        return length, []
    text = f"All frames together last {length:.0f} ms, which is not one cardiac cycle; the heart rate is unknown."
    return None, [Note("nifti_beat", text)]
