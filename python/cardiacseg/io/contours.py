"""Contours of labels: exact polygons for DICOM, smoothed lines for pages and pictures.

The polygons run through the midpoints between the center of a pixel inside and that of an adjacent pixel outside
(marching squares at one half), so exactly the centers of the structure's pixels lie inside. Each closed curve runs half
a pixel inside the outer edges of its pixels. A hole is connected to the outline by a channel without width ("keyhole",
DICOM PS3.3 C.8.8.6), so one polygon holds the whole part.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

CONTOURED = ("RV", "MYO", "LV")
_STEPS_PER_MM = 10


def polygons(mask: np.ndarray) -> Iterator[np.ndarray]:
    """A polygon for each connected part of bool ``[H, W]``: float64 ``[N, 2]`` (column, row), first point not repeated.

    Pixel centers have whole coordinates; parts that touch only at a corner may be one polygon or two.
    """
    from contourpy import FillType, contour_generator

    padded = np.pad(mask.astype(np.float64), 1)  # so that contours at the border are closed too
    points, offsets = contour_generator(z=padded, fill_type=FillType.OuterOffset).filled(0.5, 2.0)
    for part, starts in zip(points, offsets, strict=True):
        rings = [part[a : b - 1] - 1 for a, b in pairwise(starts)]
        yield _with_channels(rings[0], rings[1:])


def _with_channels(outline: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """The outline with each hole joined to it at the nearest points.

    A channel runs there and back, so it does not change the enclosed area.
    """
    for hole in holes:
        gaps = np.linalg.norm(outline[:, None] - hole[None], axis=2)
        i, j = np.unravel_index(gaps.argmin(), gaps.shape)
        channel = _channel(outline[i], hole[j])
        around = np.concatenate([channel, hole[j:], hole[: j + 1], channel[::-1]])
        outline = np.concatenate([outline[: i + 1], around, outline[i:]])
    return outline[np.any(outline != np.roll(outline, 1, axis=0), axis=1)]


def _channel(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Corners of a path along the pixels' edges; it must not pass through a center, which would be on neither side."""
    (x, y), (to_x, to_y) = np.floor(start) + 0.5, np.floor(end) + 0.5
    return np.array([(x, y), (to_x, y), (to_x, to_y)])


def outline(labels: np.ndarray, structure: str) -> np.ndarray:
    """Mask whose edge is the structure's contour: the myocardium's is its outer one, around the LV's cavity."""
    return {"RV": labels == 1, "MYO": labels >= 2, "LV": labels == 3}[structure]


def polylines(mask: np.ndarray, spacing: tuple[float, float, float]) -> list[np.ndarray]:
    """Closed lines ``[N, 2]`` (x, y) in mm from the image's corner that separate the mask's pixels from the others.

    They follow the smoothed mask, so they have no steps, but no labelled pixel and no hole is smoothed away.
    """
    from contourpy import contour_generator

    if not mask.any():
        return []
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    inside = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    soft = smooth(inside)
    level = np.where(inside, np.maximum(soft, 0.55), np.minimum(soft, 0.45))
    _, row_mm, column_mm = spacing
    # the center of the first padding pixel lies half a pixel before the part's corner
    corner = columns[0] - 0.5, rows[0] - 0.5
    return [(line + corner) * (column_mm, row_mm) for line in contour_generator(z=level).lines(0.5)]


def compact(line: np.ndarray) -> list[int]:
    """A line in tenths of a mm: its first point, then steps (x, y, dx, dy, dx, dy, ...) without those of length 0."""
    points = np.rint(line * _STEPS_PER_MM).astype(int)
    steps = np.diff(points, axis=0)
    return [*points[0].tolist(), *steps[steps.any(axis=1)].ravel().tolist()]


def cine_contours(labels: np.ndarray, spacing: tuple[float, float, float]) -> dict[str, list]:
    """Contours by structure: ``[T][S]`` lists of :func:`compact` lines of labels ``[T, S, H, W]``."""
    return {
        structure: [
            [[compact(line) for line in polylines(outline(labels_2d, structure), spacing)] for labels_2d in stack]
            for stack in labels
        ]
        for structure in CONTOURED
    }


def smooth(mask: np.ndarray) -> np.ndarray:
    """The mask blurred by one pixel, so that its contour at a half has no steps."""
    soft = np.pad(mask.astype(np.float32), 1)
    soft = (soft[:-2] + 2 * soft[1:-1] + soft[2:]) / 4
    return (soft[:, :-2] + 2 * soft[:, 1:-1] + soft[:, 2:]) / 4
