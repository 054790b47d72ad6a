"""A synthetic beating heart in short-axis cine MRI, with exact labels and volumes. No patient data is needed."""

from dataclasses import dataclass

import numpy as np

from cardiacseg.errors import InvalidInputError
from cardiacseg.phantom.heart import HeartShape, areas_mm2
from cardiacseg.phantom.render import Grid, render_frames
from cardiacseg.phantom.thorax import paint_surroundings


@dataclass(frozen=True)
class Phantom:
    """A cine with its truth.

    ``image`` uint16 and ``labels`` uint8 (0 background, 1 RV, 2 MYO, 3 LV) are ``[T, S, H, W]``, base first, frame 0
    at end-diastole; ``spacing`` is (slice, row, column) in mm. ``volumes_ml`` ``[T, 3]`` (RV, MYO, LV) are those of
    the slices: the analytic area in each slice's middle plane times the slice spacing, as readers measure volumes.
    """

    image: np.ndarray
    labels: np.ndarray
    spacing: tuple[float, float, float]
    frame_interval_ms: float
    volumes_ml: np.ndarray


def contraction(frames: int) -> np.ndarray:
    """Contraction at each frame of one cardiac cycle: 0 at end-diastole, 1 at end-systole (36 % of the cycle)."""
    times = np.array([0.0, 0.36, 0.62, 0.84, 1.0])
    values = np.array([0.0, 1.0, 0.24, 0.16, 0.0])
    time = np.arange(frames) / frames
    piece = np.clip(np.searchsorted(times, time, side="right") - 1, 0, len(times) - 2)
    share = (time - times[piece]) / (times[piece + 1] - times[piece])
    return values[piece] + (values[piece + 1] - values[piece]) * (0.5 - 0.5 * np.cos(np.pi * share))


def _grid(
    heart: HeartShape, slices: int, size: tuple[int, int], spacing: tuple[float, float, float], rng: np.random.Generator
) -> Grid:
    """Slices from the base to the apex; the heart is off the center of the field of view, breath-holds differ a
    little."""
    between, row_mm, column_mm = spacing
    spare = max(0, slices - round((heart.length_mm + heart.apex_wall_mm) / between))
    positions = (np.arange(slices) - spare // 2 + rng.uniform(0.15, 0.45)) * between
    shift = np.clip(rng.normal(0, 1.1, (2, slices)), -2.5, 2.5)
    slant = rng.uniform(-0.06, 0.04, 2)
    center_row = (size[0] - 1) * (0.44 + rng.uniform(-0.03, 0.03))
    center_column = (size[1] - 1) * (0.43 + rng.uniform(-0.03, 0.03))
    y = (np.arange(size[0]) - center_row) * row_mm
    x = (np.arange(size[1]) - center_column) * column_mm
    moved_x, moved_y = (s + tilt * positions for s, tilt in zip(shift, slant, strict=True))
    shape = (slices, *size)
    return Grid(
        np.broadcast_to(x - moved_x[:, None, None], shape).astype(np.float32),
        np.broadcast_to(y[:, None] - moved_y[:, None, None], shape).astype(np.float32),
        positions,
        spacing,
    )


def _acquire(signal: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Magnitude of the signal with complex noise (Rician), as uint16 with the left ventricle's blood near 1450."""
    for frame in signal:
        real, imaginary = rng.standard_normal((2, *frame.shape), dtype=np.float32) * noise
        np.hypot(frame + real, imaginary, out=frame)
    return np.clip(signal * 1450, 0, 4095).astype(np.uint16)


def _check(frames: int, slices: int, size: tuple[int, int], spacing: tuple[float, float, float]) -> None:
    if frames < 1 or slices < 1:
        raise InvalidInputError(f"expected at least one frame and one slice, got {frames} frames and {slices} slices")
    if len(size) != 2 or min(size) < 32:
        raise InvalidInputError(f"expected a size of two numbers (rows, columns), each at least 32, got {size}")
    if len(spacing) != 3 or not all(np.isfinite(step) and step > 0 for step in spacing):
        raise InvalidInputError(f"expected three positive spacings (slice, row, column) in mm, got {spacing}")


def beating_heart(
    frames: int = 25,
    slices: int = 10,
    size: tuple[int, int] = (208, 224),
    spacing: tuple[float, float, float] = (8.0, 1.4, 1.5),
    seed: int = 0,
) -> Phantom:
    """One cardiac cycle of a synthetic healthy adult, as a short-axis bSSFP cine.

    ``size`` is (rows, columns), ``spacing`` (slice, row, column) in mm. The same arguments give the same phantom;
    another ``seed`` gives another person: other volumes (LV EDV 112 to 185 ml, EF 53 to 63 %), chest and position.
    Raises ``InvalidInputError`` for sizes or spacings that cannot be used.
    """
    _check(frames, slices, size, spacing)
    body, paint, noise = (np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(3))
    heart = HeartShape.draw(body)
    grid = _grid(heart, slices, size, spacing, body)
    pixel_mm = (spacing[1] + spacing[2]) / 2
    bed, coil = paint_surroundings(grid.x, grid.y, pixel_mm, grid.positions, heart, paint)
    contractions = contraction(frames)
    signal, labels = render_frames(heart, grid, bed, contractions, paint)
    signal *= coil
    areas = areas_mm2(heart.contours(grid.positions, contractions))
    return Phantom(
        image=_acquire(signal, body.uniform(0.02, 0.035), noise),
        labels=labels,
        spacing=spacing,
        frame_interval_ms=float(60000 / body.uniform(55, 80) / frames),
        volumes_ml=areas.sum(axis=1) * (spacing[0] / 1000),
    )
