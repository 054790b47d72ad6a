"""Fragments and holes of a label map, slice by slice."""

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.metrics import STRUCTURES

# In a plane, regions that touch at corners are one, and what they enclose is then cut off by edges alone.
_EDGES_AND_CORNERS = np.ones((3, 3), dtype=bool)


def extra_fragments(labels: np.ndarray) -> np.ndarray:
    """How many connected regions of RV, MYO, LV beyond the first each slice of ``[S, H, W]`` has: int ``[S, 3]``.

    Regions are those of one slice; pixels that share an edge or a corner are connected (8-connectivity).
    """
    counts = [[_regions(plane == label) for label in STRUCTURES.values()] for plane in _stack(labels)]
    return np.maximum(np.array(counts, dtype=int).reshape(-1, 3) - 1, 0)


def holes(labels: np.ndarray) -> np.ndarray:
    """How many holes each slice of ``[S, H, W]`` has in the heart, the RV and the LV: int ``[S, 3]``.

    A hole of the heart is a region of background that cannot reach the slice's border; a hole of the RV or the LV is
    such a region of anything but that structure. Pixels that share an edge are connected (4-connectivity). The
    myocardium's ring encloses the LV by nature, so it has no count of its own.
    """
    counts = [
        [_enclosed(plane == 0), _enclosed(plane != STRUCTURES["rv"]), _enclosed(plane != STRUCTURES["lv"])]
        for plane in _stack(labels)
    ]
    return np.array(counts, dtype=int).reshape(-1, 3)


def _stack(labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 3:
        raise InvalidInputError(f"wanted labels [S, H, W] of one frame, got shape {labels.shape}")
    return labels


def _regions(mask: np.ndarray) -> int:
    from scipy.ndimage import label

    return label(mask, structure=_EDGES_AND_CORNERS)[1] if mask.any() else 0


def _enclosed(mask: np.ndarray) -> int:
    from scipy.ndimage import label

    if mask.all():
        return 0
    # a rim of one pixel joins all that touches the border
    return label(np.pad(mask, 1, constant_values=True))[1] - 1
