"""Arrays and numbers that a measurement is given, checked."""

from collections.abc import Sequence

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.pixels import as_pixels


def as_labels(labels: np.ndarray) -> np.ndarray:
    """``labels`` ``[S, H, W]`` or ``[T, S, H, W]`` as uint8 ``[T, S, H, W]``, contiguous."""
    array = np.asarray(labels)
    if array.ndim not in (3, 4):
        raise InvalidInputError(f"wanted labels [S, H, W] or [T, S, H, W], got shape {array.shape}")
    if array.dtype.kind not in "bui":
        raise InvalidInputError(f"wanted labels of an integer type, got {array.dtype}")
    if array.dtype != np.uint8 and array.size and (array.min() < 0 or array.max() > 3):
        raise InvalidInputError(f"wanted labels 0 to 3, found {array.min()} to {array.max()}")
    return np.ascontiguousarray(array if array.ndim == 4 else array[None], dtype=np.uint8)


def as_spacing(spacing: tuple[float, float, float] | None) -> tuple[float, float, float]:
    """``spacing`` as three floats: (slice, row, column) in mm. Raises ``InvalidInputError`` if it is nothing such."""
    if spacing is None:
        raise InvalidInputError("spacing is missing: give (slice, row, column), centre to centre, in mm")
    try:
        slice_mm, row_mm, column_mm = (float(length) for length in spacing)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"spacing must be three numbers (slice, row, column) in mm, got {spacing!r}") from error
    return slice_mm, row_mm, column_mm


def as_shares(shares_mm: Sequence[float] | None) -> tuple[float, ...]:
    """``shares_mm`` as floats, none where slices are even. Raises ``InvalidInputError`` for what are no numbers."""
    try:
        return () if shares_mm is None else tuple(float(share) for share in shares_mm)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"slice_shares_mm: expected a number for each slice, got {shares_mm!r}") from error


def as_included(included: np.ndarray | None, frames: int, slices: int) -> np.ndarray:
    """``included`` ``[S, 3]`` or ``[T, S, 3]`` as bool ``[T, S, 3]``; without it everything counts."""
    shape = (frames, slices, 3)
    if included is None:
        return np.ones(shape, dtype=bool)
    array = np.asarray(included)
    if array.dtype != bool or array.shape not in (shape, shape[1:]):
        raise InvalidInputError(
            f"included: wanted bool {list(shape[1:])} or {list(shape)} (RV, MYO, LV), "
            f"got {array.dtype} of shape {list(array.shape)}"
        )
    return np.ascontiguousarray(np.broadcast_to(array, shape))


def as_image(image: np.ndarray | None) -> np.ndarray | None:
    """``image`` ``[S, H, W]`` or ``[T, S, H, W]`` as ``[T, S, H, W]`` of a type that the core reads."""
    if image is None:
        return None
    array = as_pixels(image)
    if array.ndim not in (3, 4):
        raise InvalidInputError(f"wanted an image [S, H, W] or [T, S, H, W], got shape {array.shape}")
    return array if array.ndim == 4 else array[None]
