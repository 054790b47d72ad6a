"""Pixels of the phantom's slices and their places round the heart's axis."""

from dataclasses import dataclass

import numpy as np

from cardiacseg.phantom.heart import ANGLES, at_angle
from cardiacseg.phantom.thorax import cover

_WARP_REACH_MM = 38.0


@dataclass(frozen=True)
class Grid:
    """Places of a stack's pixels in mm from the heart's axis, ``x`` and ``y`` ``[S, H, W]``, and slice positions."""

    x: np.ndarray
    y: np.ndarray
    positions: np.ndarray
    spacing: tuple[float, float, float]


class Disc:
    """The N pixels of one slice within ``reach_mm`` of the axis, in polar coordinates."""

    def __init__(self, x: np.ndarray, y: np.ndarray, reach_mm: float, pixel_mm: tuple[float, float]):
        self.indices = np.flatnonzero(x * x + y * y < reach_mm**2)
        self.x, self.y = x.ravel()[self.indices], y.ravel()[self.indices]
        self.radius = np.hypot(self.x, self.y)
        angle = np.arctan2(self.y, self.x)
        self.bins = np.rint(angle * (ANGLES / (2 * np.pi))).astype(np.intp) % ANGLES
        row_mm, column_mm = pixel_mm
        self.pixel_mm = (np.abs(np.cos(angle)) * column_mm + np.abs(np.sin(angle)) * row_mm).astype(np.float32)

    def inside(self, radii: np.ndarray) -> np.ndarray:
        """Share of each pixel inside a contour: ``[..., ANGLES]`` to ``[..., N]``."""
        step = np.gradient(np.clip(radii, 0, None), 2 * np.pi / ANGLES, axis=-1)
        slope = np.sqrt(1 + np.clip(step / np.maximum(radii, 1), -4, 4) ** 2)
        edge, softness = (table.astype(np.float32)[..., self.bins] for table in (radii, slope))
        return cover((edge - self.radius) / softness, self.pixel_mm)


class Window:
    """The box round one slice's heart, ``rows`` and ``columns`` of the grid, and the ``disc`` that the heart fills."""

    def __init__(self, grid: Grid, index: int, heart_mm: float):
        reach = heart_mm + _WARP_REACH_MM
        self.rows = _span(np.abs(grid.y[index, :, 0]) < reach)
        self.columns = _span(np.abs(grid.x[index, 0]) < reach)
        self.x, self.y = grid.x[index, self.rows, self.columns], grid.y[index, self.rows, self.columns]
        self.radius, self.angle = np.hypot(self.x, self.y), np.arctan2(self.y, self.x)
        self.row_mm, self.column_mm = grid.spacing[1:]
        self.disc = Disc(self.x, self.y, heart_mm + 2, grid.spacing[1:])

    def warped(self, image: np.ndarray, resting: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """``image`` ``[H, W]`` in this window, drawn inwards so that contour ``resting`` comes to lie on ``moved``."""
        old, new = at_angle(resting, self.angle), at_angle(np.maximum(moved, 0.35 * resting), self.angle)
        away = np.clip((self.radius - new) / _WARP_REACH_MM, 0, 1)
        beyond = 1 - away**2 * (3 - 2 * away)
        stretch = np.where(self.radius < new, old / new - 1, (old - new) * beyond / np.maximum(self.radius, 1))
        down = np.arange(self.rows.start, self.rows.stop)[:, None] + self.y * stretch / self.row_mm
        right = np.arange(self.columns.start, self.columns.stop) + self.x * stretch / self.column_mm
        return _sample(image, down, right)


def _span(near: np.ndarray) -> slice:
    found = np.flatnonzero(near)
    return slice(found[0], found[-1] + 1) if len(found) else slice(0, 0)


def _sample(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear interpolation; outside the image its edge goes on."""
    height, width = image.shape
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top, left = np.minimum(rows.astype(np.intp), height - 2), np.minimum(columns.astype(np.intp), width - 2)
    down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    upper = image[top, left] * (1 - right) + image[top, left + 1] * right
    lower = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down
