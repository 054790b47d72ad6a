"""Images of a session grouped into short-axis cines by their headers: geometry, then position, then phase.

Positions are in LPS mm. ``position`` of a header is the center of the image, which here is the middle between its first
and last pixel; that of a 3-D image is the center of the block.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from cardiacseg.acquisition import UNKNOWN_BODY, Body, Timing
from cardiacseg.errors import MrdError
from cardiacseg.io.cine import LEAST_FRAMES, LEAST_SLICES, Cine, Note
from cardiacseg.io.dicom.errors import (
    E_DUPLICATE_SLICE,
    E_MISSING_PHASE,
    E_NO_GEOMETRY,
    E_NO_SAX,
    E_NONUNIFORM_SPACING,
    E_NOT_A_CINE,
    E_SHIFTED_SLICE,
    N_LATEST_RETAKE,
    N_ONE_SLICE,
    N_UNEVEN,
)
from cardiacseg.io.geometry import (
    SHORT_AXIS_CONE_DEGREES,
    Geometry,
    directions,
    from_short_axis_degrees,
    plane_in_words,
)
from cardiacseg.network.mrd.messages import E_TOO_LARGE
from cardiacseg.network.mrd.sources import Source, sign_against_cine

# The same limits as for DICOM images.
_SAME_SLICE_MM, _SHIFT_MM, _UNEVEN_FRACTION, _UNEVEN_MM = 0.1, 3.0, 0.01, 0.5
_COSINE_TOLERANCE, _SPACING_TOLERANCE = 1e-3, 1e-3
_REPETITIONS = 3
_MOST_GROUPS = 256  # the time to group images grows with it
_RR_MS = (200.0, 3000.0)
NOT_FOR_US = (E_NO_SAX, E_NOT_A_CINE)  # images of another kind; nothing is wrong with them


@dataclass(frozen=True)
class StackOptions:
    """What is segmented. ``slices`` and ``phases`` are the expected numbers, 0 if unknown.

    Without ``slices`` a stack has at least 3. ``plane``: ``"sax"`` (within 45 degrees of the short axis of most hearts)
    or ``"any"``. ``uneven`` accepts unevenly spaced slices. ``tick_ms`` is the unit of the header's time stamps.
    """

    slices: int = 0
    phases: int = 0
    plane: str = "sax"
    uneven: bool = False
    tick_ms: float = 2.5


@dataclass(frozen=True, eq=False)
class Place:
    """Where the planes of an image are in the cine: its frame, and the slice of each plane."""

    source: Source
    frame: int
    slices: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Stack:
    """A cine made from images, and the place of each of them, by slice and then by frame."""

    cine: Cine
    places: tuple[Place, ...]


class TooFewSlicesError(MrdError):
    """Fewer parallel slices than expected; with those of other series they may be a cine."""


@dataclass(frozen=True)
class Refusal:
    """Images that are no short-axis cine, and why."""

    error: MrdError
    sources: Sequence[Source] = field(repr=False)


def find_stacks(
    sources: Sequence[Source], options: StackOptions, body: Body = UNKNOWN_BODY, *, by_series: bool = True
) -> tuple[list[Stack], list[Refusal]]:
    """The short-axis cines among images, and reasons for all others.

    Images of one cine are of one measurement and (with ``by_series``) series, with equal matrix, spacing and
    orientation. Its slices come from the positions, its frames from the headers' ``phase``.
    """
    stacks, refusals = [], []
    for group in _groups(sources, by_series):
        try:
            stacks.append(_stack(group, options, body))
        except MrdError as error:
            refusals.append(Refusal(error, group))
    return stacks, refusals


def _groups(sources: Sequence[Source], by_series: bool) -> list[list[Source]]:
    groups: list[list[Source]] = []
    for source in sources:
        found = next((group for group in groups if _alike(group[0], source, by_series)), None)
        if found is not None:
            found.append(source)
        elif len(groups) < _MOST_GROUPS:
            groups.append([source])
        else:
            raise MrdError(E_TOO_LARGE, f"expected images of at most {_MOST_GROUPS} kinds and planes, got more")
    return groups


def _alike(first: Source, other: Source, by_series: bool) -> bool:
    names = ("measurement_uid", "image_series_index") if by_series else ("measurement_uid",)
    if any(first.header[name] != other.header[name] for name in names) or first.is_magnitude != other.is_magnitude:
        return False
    if first.cosines is None or other.cosines is None:
        return first.cosines is other.cosines
    turned = max(abs(a - b) for a, b in zip(first.cosines, other.cosines, strict=True))
    scaled = max(abs(a / b - 1) for a, b in zip(first.spacing, other.spacing, strict=True))
    return first.shape == other.shape and turned <= _COSINE_TOLERANCE and scaled <= _SPACING_TOLERANCE


def _stack(sources: Sequence[Source], options: StackOptions, body: Body) -> Stack:
    first = sources[0]
    _check_kind(first, options)
    direction = directions(first.cosines)
    slices = _slices(sources, direction[:, 2])
    if len(slices) < (options.slices or LEAST_SLICES):
        expected = f"{options.slices}" if options.slices else f"at least {LEAST_SLICES}"
        code = E_MISSING_PHASE if options.slices else E_NO_SAX
        raise TooFewSlicesError(code, f"expected {expected} parallel slices, got {len(slices)}")
    frames, notes = _frames(slices, options)
    if sign := sign_against_cine(sources, len(frames[0])):
        raise MrdError(E_NOT_A_CINE, sign)
    geometry, more = _geometry(first, direction, [row[0][1] for row in frames], options)
    pixels = np.array([[source.image.pixels[0, z] for source, _, z in column] for column in zip(*frames, strict=True)])
    timing = _timing([[_time_ms(plane[0], options) for plane in row] for row in frames])
    cine = Cine(Path("mrd"), pixels, geometry.array_spacing, geometry, timing, body, (*notes, *more))
    return Stack(cine, _places(frames))


def _check_kind(first: Source, options: StackOptions) -> None:
    if not first.is_magnitude:
        raise MrdError(E_NOT_A_CINE, "the images are not magnitudes of one channel, first set and first contrast")
    if first.cosines is None:
        text = "expected read and phase directions of unit length at right angles, a position and a field of view in mm"
        raise MrdError(E_NO_GEOMETRY, text)
    away = from_short_axis_degrees(first.cosines)
    if options.plane == "sax" and away > SHORT_AXIS_CONE_DEGREES:
        words = f"{plane_in_words(first.cosines)}, {away:.0f} degrees from a short axis"
        raise MrdError(E_NO_SAX, f"expected planes within {SHORT_AXIS_CONE_DEGREES:.0f} degrees of it, got {words}")


# (image, center of the plane, index of the plane in the image)
_Plane = tuple[Source, np.ndarray, int]


def _slices(sources: Sequence[Source], normal: np.ndarray) -> list[list[_Plane]]:
    """Planes by increasing position along the normal, those of one position together."""
    planes = [(source, center, z) for source in sources for z, center in enumerate(source.centers())]
    planes.sort(key=lambda plane: float(plane[1] @ normal))
    slices: list[list[_Plane]] = []
    start = -np.inf
    for plane in planes:
        depth = float(plane[1] @ normal)
        if depth - start > _SAME_SLICE_MM:
            slices.append([])
            start = depth
        slices[-1].append(plane)
    return slices


def _frames(slices: list[list[_Plane]], options: StackOptions) -> tuple[list[list[_Plane]], tuple[Note, ...]]:
    """The planes of each slice in the order of their phases, and a note on repeats."""
    rows, repeats = [], 0
    for planes in slices:
        if len({int(source.header["slice"]) for source, _, _ in planes}) > 1:
            raise MrdError(E_DUPLICATE_SLICE, "images with different slice numbers have one position")
        by_phase: dict[int, list[_Plane]] = {}
        for plane in planes:
            by_phase.setdefault(int(plane[0].header["phase"]), []).append(plane)
        rows.append({phase: max(reversed(found), key=_age) for phase, found in by_phase.items()})
        repeats = max(repeats, *map(len, by_phase.values()))
    _check_frames(rows, repeats, options)
    text = f"up to {repeats} images have one slice and phase; the latest was used, by repetition, then acquisition time"
    notes = (Note(N_LATEST_RETAKE, text),) if repeats > 1 else ()
    return [[row[phase] for phase in sorted(row)] for row in rows], notes


def _age(plane: _Plane) -> tuple[int, int]:
    header = plane[0].header
    return int(header["repetition"]), int(header["acquisition_time_stamp"])


def _check_frames(rows: list[dict[int, _Plane]], repeats: int, options: StackOptions) -> None:
    """Require the same phases in every slice.

    Some converters number the trigger times of all slices together, so that slices share no phases: there the numbers
    of phases must be equal.
    """
    counts = Counter(map(len, rows))
    frames, most = max(counts), len(set().union(*rows))
    if frames == 1 and repeats >= _REPETITIONS:
        raise MrdError(E_NOT_A_CINE, f"a slice has one phase and {repeats} images, as perfusion has")
    expected = options.phases or frames
    if len(counts) > 1 or frames != expected or frames < most <= 1.5 * frames:
        worst = min(range(len(rows)), key=lambda index: len(rows[index]))
        found = f"slice {worst + 1} of {len(rows)} has {len(rows[worst])} of {max(expected, most)} phases"
        raise MrdError(E_MISSING_PHASE, f"expected {expected} equal phases in every slice; {found}")


def _geometry(
    first: Source, direction: np.ndarray, centers: Sequence[np.ndarray], options: StackOptions
) -> tuple[Geometry, tuple[Note, ...]]:
    places = np.array(centers) @ direction
    thickness, row_mm, column_mm = first.spacing
    rows, columns = first.shape[1:]
    shifts = np.abs(places[:, :2] - np.median(places[:, :2], axis=0))
    limits = np.maximum(_SHIFT_MM, (column_mm, row_mm))
    if (shifts > limits).any():
        text = f"a slice lies {shifts.max():.1f} mm beside the others within its plane; at most {limits.max():.1f} mm"
        raise MrdError(E_SHIFTED_SLICE, text)
    corner = centers[0] - direction[:, :2] @ (np.array([(columns - 1) * column_mm, (rows - 1) * row_mm]) / 2)
    between, offsets, notes = _distances(places[:, 2], thickness, options.uneven)
    size = (columns, rows, len(centers))
    return Geometry(tuple(corner.tolist()), direction, (column_mm, row_mm, between), size, offsets), notes


def _distances(
    depths: np.ndarray, thickness: float, uneven: bool
) -> tuple[float, tuple[float, ...] | None, tuple[Note, ...]]:
    """Mean distance of slices, their offsets if they are uneven, and notes."""
    if len(depths) == 1:
        text = f"there is one slice; its thickness ({thickness:.2f} mm) was used as the distance of slices"
        return thickness, None, (Note(N_ONE_SLICE, text),)
    steps = np.diff(depths)
    median, mean = float(np.median(steps)), float(steps.mean())
    if np.abs(steps - median).max() <= max(_UNEVEN_FRACTION * median, _UNEVEN_MM):
        return mean, None, ()
    text = f"slices are {steps.min():.2f} to {steps.max():.2f} mm apart"
    if not uneven:
        raise MrdError(E_NONUNIFORM_SPACING, f"{text}; set the parameter uneven to measure them nevertheless")
    offsets = tuple((depths - depths[0]).tolist())
    return mean, offsets, (Note(N_UNEVEN, f"{text}; each was measured with its own part of the axis"),)


def _time_ms(source: Source, options: StackOptions) -> float:
    return float(source.header["physiology_time_stamp"][0]) * options.tick_ms


def _timing(rows: list[list[float]]) -> Timing:
    """Frame times, the mean over the slices, and an RR interval from those of 8 or more frames, if all of them grow."""
    if len(rows[0]) < 2 or not all(a < b for row in rows for a, b in pairwise(row)):
        return Timing()
    times = np.mean(rows, axis=0)
    rr_interval = float((times[-1] - times[0]) * len(times) / (len(times) - 1))
    if len(times) < LEAST_FRAMES or not _RR_MS[0] <= rr_interval <= _RR_MS[1]:
        return Timing(tuple(times.tolist()))
    return Timing(tuple(times.tolist()), rr_interval, "estimated from the time stamps, mean over the slices")


def _places(frames: list[list[_Plane]]) -> tuple[Place, ...]:
    """Images by their first slice, then by frame."""
    found: dict[int, tuple[Source, int, dict[int, int]]] = {}
    for s, row in enumerate(frames):
        for t, (source, _, z) in enumerate(row):
            found.setdefault(id(source), (source, t, {}))[2][z] = s
    return tuple(Place(source, t, tuple(slices[z] for z in sorted(slices))) for source, t, slices in found.values())
