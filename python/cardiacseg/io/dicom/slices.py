"""Slices: frames by their position along the normal, never by the order of files or the thickness."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cardiacseg.errors import DicomError
from cardiacseg.io.cine import Note
from cardiacseg.io.dicom.errors import (
    E_NO_GEOMETRY,
    E_NONUNIFORM_SPACING,
    E_SHIFTED_SLICE,
    N_ONE_SLICE,
    N_SHIFTED_SLICE,
    N_SPACING_TAG,
    N_UNEVEN,
)
from cardiacseg.io.dicom.frames import Frame
from cardiacseg.io.geometry import Geometry, angle_degrees, directions, turn_degrees

COUNTING = "slices count from 1 in the order of their position along the normal"
SAME_SLICE_MM = 0.1
_DRIFT_MM, _CLEARLY, _ONE_SLICE_MM = 0.5, 1.5, 3.0
_UNEVEN_SHARE, _UNEVEN_MM = 0.01, 0.5
SHIFT_MM, _NOTED_SHIFT_PIXELS, _SLOPE_DEGREES = 3.0, 0.05, 10.0
_TAG_DIFFERS = 0.05

Slices = list[tuple[Frame, ...]]
ROUNDED_DEGREES = 0.1  # difference of rounded cosines; it is neither corrected nor noted


def bin_slices(frames: Sequence[Frame], cosines: tuple[float, ...]) -> Slices:
    """Frames with equal positions along the normal of ``cosines`` together, by increasing position.

    Positions that drift from image to image belong to one slice if the slices are clearly farther apart.
    """
    depths = depths_mm(frames, cosines)
    order = np.argsort(depths, kind="stable")
    equal = _equal(depths, order)
    parts = equal if len(equal) == 1 else _drifting(depths, order, len({*map(len, equal)}) > 1) or equal
    return [tuple(sorted((frames[index] for index in part), key=Frame.order)) for part in parts]


def _equal(depths: np.ndarray, order: np.ndarray) -> list[list[int]]:
    parts: list[list[int]] = []
    start = -np.inf
    for index in order:
        if depths[index] - start > SAME_SLICE_MM:
            parts.append([])
            start = depths[index]
        parts[-1].append(index)
    return parts


def _drifting(depths: np.ndarray, order: np.ndarray, uneven: bool) -> list[np.ndarray] | None:
    """Slices whose images lie at most some tenths of a mm apart, or ``None`` if they may be separate slices.

    They are a single slice only if positions have ``uneven`` numbers of images, unlike a stack of thin slices.
    """
    parts = np.split(order, np.flatnonzero(np.diff(depths[order]) > _DRIFT_MM) + 1)
    spans = [float(np.ptp(depths[part])) for part in parts]
    starts = np.array([depths[part[0]] for part in parts])
    apart = np.diff(starts).min() if len(parts) > 1 else _ONE_SLICE_MM * uneven
    return parts if SAME_SLICE_MM < max(spans) < apart / _CLEARLY else None


def depths_mm(frames: Sequence[Frame], cosines: tuple[float, ...]) -> np.ndarray:
    """Position of each frame along the normal of ``cosines``, ``[N]``."""
    return np.array([frame.position for frame in frames]).reshape(-1, 3) @ directions(cosines)[:, 2]


def stack_geometry(slices: Slices, uneven: bool = False) -> tuple[Geometry, tuple[Note, ...]]:
    """The grid of a stack.

    The third direction is the normal, the distance of slices comes from their positions, the origin is that of the
    first slice. Raises ``DicomError`` for slices beside each other, and for unevenly spaced ones unless ``uneven``
    allows them: the grid then has the offset of each slice, and their mean distance.
    """
    first = slices[0][0]
    direction = directions(first.orientation)
    notes = _check_shift(slices, direction)
    between, offsets, spacing_notes = _distances_mm(slices, uneven)
    row_mm, column_mm = first.pixel_spacing
    size = (first.columns, first.rows, len(slices))
    geometry = Geometry(tuple(first.position), direction, (column_mm, row_mm, between), size, offsets)
    return geometry, notes + spacing_notes


def _distances_mm(slices: Slices, uneven: bool) -> tuple[float, tuple[float, ...] | None, tuple[Note, ...]]:
    """Mean distance of slices, the offset of each slice from the first if they are unevenly spaced, and notes."""
    first = slices[0][0]
    if len(slices) == 1:
        step, notes = _stand_in(first)
        return step, None, notes
    depths = depths_mm([part[0] for part in slices], first.orientation)
    steps = np.diff(depths)
    # The mean of even steps: the last slice then has the position in its file.
    between = float((depths[-1] - depths[0]) / len(steps))
    odd = _uneven_words(steps)
    if odd is None:
        return between, None, _tag_notes(first, between)
    if not uneven:
        remedy = "the option uneven (--uneven) measures each slice with its own part of the axis"
        raise DicomError(E_NONUNIFORM_SPACING, f"{odd}; {COUNTING}; {remedy}")
    text = (
        f"{odd}; each slice was measured with its own part of the axis: half the distance to each adjacent slice, at "
        f"the ends the one distance; label maps in NIfTI have the mean distance of slices, {between:.2f} mm"
    )
    offsets = tuple((depths - depths[0]).tolist())
    return between, offsets, (Note(N_UNEVEN, text), *_tag_notes(first, float(np.median(steps))))


def _uneven_words(steps: np.ndarray) -> str | None:
    """The distance of slices that differs most from the median, in words; ``None`` if all are even."""
    median = float(np.median(steps))
    worst = int(np.argmax(np.abs(steps - median)))
    if abs(steps[worst] - median) <= max(_UNEVEN_SHARE * median, _UNEVEN_MM):
        return None
    pair = f"slices {worst + 1} and {worst + 2} of {len(steps) + 1}"
    return f"{pair} are {steps[worst]:.2f} mm apart, the median is {median:.2f} mm"


def _tag_notes(first: Frame, between: float) -> tuple[Note, ...]:
    tag = first.spacing_between_slices_mm
    if tag is None or abs(tag - between) <= _TAG_DIFFERS * between:
        return ()
    text = f"SpacingBetweenSlices says {tag:.2f} mm, the positions {between:.2f} mm; the positions were used"
    return (Note(N_SPACING_TAG, text),)


def _stand_in(frame: Frame) -> tuple[float, tuple[Note, ...]]:
    for name, step in (
        ("SpacingBetweenSlices", frame.spacing_between_slices_mm),
        ("SliceThickness", frame.thickness_mm),
    ):
        if step is not None and step > 0:
            text = f"there is one slice; {name} ({step:.2f} mm) was used as the distance of slices"
            return step, (Note(N_ONE_SLICE, text),)
    raise DicomError(E_NO_GEOMETRY, "there is one slice, with neither SpacingBetweenSlices nor SliceThickness")


def _check_shift(slices: Slices, direction: np.ndarray) -> tuple[Note, ...]:
    """Require slices that lie behind each other, along the normal or on a slope, as the networks and measurements
    assume."""
    row_mm, column_mm = slices[0][0].pixel_spacing
    limits = np.maximum(SHIFT_MM, (column_mm, row_mm))
    places = [np.array([frame.position for frame in part]) @ direction for part in slices]
    shifts = _beside_mm(places, np.zeros(2))
    worst = int((shifts - limits).max(axis=1).argmax())
    where = f"slice {worst + 1} lies {shifts[worst].max():.2f} mm beside the others within its plane"
    if (shifts <= limits).all():
        noted = (shifts > _NOTED_SHIFT_PIXELS * np.array([column_mm, row_mm])).any()
        return (Note(N_SHIFTED_SLICE, where),) if noted else ()
    slope = _slope(places)
    angle = math.degrees(math.atan(np.hypot(*slope)))
    if angle <= _SLOPE_DEGREES and (_beside_mm(places, slope) <= limits).all():
        text = f"the slices lie on a slope: the stack leans by {angle:.1f} degrees against its normal"
        return (Note(N_SHIFTED_SLICE, text),)
    raise DicomError(E_SHIFTED_SLICE, f"{where}; at most {limits.max():.2f} mm are allowed; {COUNTING}")


def _slope(places: list[np.ndarray]) -> np.ndarray:
    """Shift of a stack along columns and rows in mm for each mm along its normal."""
    steps = np.diff([place[0] for place in places], axis=0)
    return np.median(steps[:, :2] / steps[:, 2:], axis=0) if len(steps) else np.zeros(2)


def _beside_mm(places: list[np.ndarray], slope: np.ndarray) -> np.ndarray:
    """Distance of each slice's farthest frame from the stack's axis, along columns and rows, ``[S, 2]``."""
    flat = [place[:, :2] - place[:, 2:] * slope for place in places]
    axis = np.median([place[0] for place in flat], axis=0)
    return np.array([np.abs(place - axis).max(axis=0) for place in flat])


def tilt_degrees(first: Frame, other: Frame) -> float:
    """Angle between the planes of two images."""
    return angle_degrees(*(directions(frame.orientation)[:, 2] for frame in (first, other)))


def center(frame: Frame) -> np.ndarray:
    """Position of an image's center in the patient."""
    return frame.position + directions(frame.orientation)[:, :2] @ _half_mm(frame)


def _half_mm(frame: Frame) -> np.ndarray:
    return np.array([frame.columns - 1, frame.rows - 1]) / 2 * frame.pixel_spacing[::-1]


def level(frames: Sequence[Frame], orientation: tuple[float, ...]) -> list[Slices]:
    """Slices of one orientation, in one or two ways.

    Tilted images are turned about the center, or about the corner of Image Position: the files do not say which of the
    two was fixed when they were tilted.
    """
    tilted = {own for own in {f.orientation for f in frames} if turn_degrees(own, orientation) > ROUNDED_DEGREES}
    if not tilted:
        return [bin_slices(frames, orientation)]
    about_corner = [replace(f, orientation=orientation) if f.orientation in tilted else f for f in frames]
    about_center = [
        replace(flat, position=_position(frame, orientation)) if flat is not frame else frame
        for frame, flat in zip(frames, about_corner, strict=True)
    ]
    ways = [bin_slices(flat, orientation) for flat in (about_center, about_corner)]
    return sorted(ways, key=lambda slices: (len(slices), drift_mm(slices)))


def _position(frame: Frame, orientation: tuple[float, ...]) -> tuple[float, ...]:
    """Image position for another orientation and the same center."""
    return tuple((center(frame) - directions(orientation)[:, :2] @ _half_mm(frame)).tolist())


def drift_mm(slices: Slices) -> float:
    """Largest distance between images of a slice along the normal."""
    return max(float(np.ptp(depths_mm(frames, slices[0][0].orientation))) for frames in slices)
