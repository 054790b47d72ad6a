"""Contours of labels as polylines in mm, small enough to travel in a page."""

import numpy as np

from cardiacseg.io.preview import smooth

STRUCTURES = ("RV", "MYO", "LV")
_STEPS_PER_MM = 10


def outline(labels: np.ndarray, structure: str) -> np.ndarray:
    """Mask whose edge is the structure's contour: the myocardium's is its outer one, round the LV's cavity."""
    return {"RV": labels == 1, "MYO": labels >= 2, "LV": labels == 3}[structure]


def polylines(mask: np.ndarray, spacing: tuple[float, float, float]) -> list[np.ndarray]:
    """Closed lines ``[N, 2]`` (x, y) in mm from the image's corner that part the mask's pixel centres from the others.

    They follow the smoothed mask, so they have no steps, yet no labelled pixel and no hole is smoothed away.
    """
    from contourpy import contour_generator

    if not mask.any():
        return []
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    inside = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    soft = smooth(inside)
    level = np.where(inside, np.maximum(soft, 0.55), np.minimum(soft, 0.45))
    _, row_mm, column_mm = spacing
    # the pad's first pixel has its centre half a pixel before the part's corner
    corner = columns[0] - 0.5, rows[0] - 0.5
    return [(line + corner) * (column_mm, row_mm) for line in contour_generator(z=level).lines(0.5)]


def compact(line: np.ndarray) -> list[int]:
    """A line in tenths of a mm: its first point, then steps (x, y, dx, dy, dx, dy, ...) without those of length 0."""
    points = np.rint(line * _STEPS_PER_MM).astype(int)
    steps = np.diff(points, axis=0)
    return [*points[0].tolist(), *steps[steps.any(axis=1)].ravel().tolist()]


def cine_contours(labels: np.ndarray, spacing: tuple[float, float, float]) -> dict[str, list]:
    """By structure, ``[T][S]`` lists of :func:`compact` lines of labels ``[T, S, H, W]``."""
    return {
        structure: [
            [[compact(line) for line in polylines(outline(labels_2d, structure), spacing)] for labels_2d in stack]
            for stack in labels
        ]
        for structure in STRUCTURES
    }
