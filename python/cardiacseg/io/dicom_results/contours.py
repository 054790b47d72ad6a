"""Closed polygons around a structure in one slice.

They run through the midpoints between a pixel's centre inside and its neighbour's outside (marching squares at one
half), so that what lies inside are exactly the centres of the structure's pixels; each closed curve encloses half a
pixel less than the pixels within it cover. A hole is reached through a channel of no width ("keyhole", DICOM PS3.3
C.8.8.6), so that one polygon holds the whole part.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from contourpy import FillType, contour_generator


def polygons(mask: np.ndarray) -> Iterator[np.ndarray]:
    """A polygon for each connected part of bool ``[H, W]``: float64 ``[N, 2]`` (column, row), first point not repeated.

    Pixel centres have whole numbers; parts that touch only by a corner may be one or two.
    """
    padded = np.pad(mask.astype(np.float64), 1)  # so that what touches the border is closed too
    points, offsets = contour_generator(z=padded, fill_type=FillType.OuterOffset).filled(0.5, 2.0)
    for part, starts in zip(points, offsets, strict=True):
        rings = [part[a : b - 1] - 1 for a, b in pairwise(starts)]
        yield _with_channels(rings[0], rings[1:])


def _with_channels(outline: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """The outline with each hole joined to it where they are nearest.

    A channel is walked there and back, so it changes nothing about what lies inside, whatever it crosses.
    """
    for hole in holes:
        gaps = np.linalg.norm(outline[:, None] - hole[None], axis=2)
        i, j = np.unravel_index(gaps.argmin(), gaps.shape)
        channel = _channel(outline[i], hole[j])
        around = np.concatenate([channel, hole[j:], hole[: j + 1], channel[::-1]])
        outline = np.concatenate([outline[: i + 1], around, outline[i:]])
    return outline[np.any(outline != np.roll(outline, 1, axis=0), axis=1)]


def _channel(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Corners of a way along the pixels' edges, as no centre must lie on a contour: one could not say on which side."""
    (x, y), (to_x, to_y) = np.floor(start) + 0.5, np.floor(end) + 0.5
    return np.array([(x, y), (to_x, y), (to_x, to_y)])
