"""The surroundings of the phantom's ventricles: the chest, the organs below it, the heart's fat, atria and vessels.

Brightness is relative to the left ventricle's blood, which is 1. Coordinates are in mm from the heart's long axis,
x along columns and y along rows; the picture is the usual short-axis one: chest wall to the left and above, lung to
the upper right, liver below.
"""

from dataclasses import dataclass

import numpy as np

from cardiacseg.phantom.heart import THETA, HeartShape, at_angle

MUSCLE = 0.36
FAT = 1.0
_LUNG = 0.05


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], widths: tuple[float, ...]) -> np.ndarray:
    """Periodic Gaussian noise, float32, of variance 1, blurred along each axis; ``widths`` are sigmas in samples."""
    spectrum = np.fft.rfftn(rng.standard_normal(shape, dtype=np.float32))
    for axis, (length, width) in enumerate(zip(shape, widths, strict=True)):
        frequency = np.fft.rfftfreq(length) if axis == len(shape) - 1 else np.fft.fftfreq(length)
        response = np.exp(-2 * (np.pi * width * frequency) ** 2)
        spectrum *= response.reshape([-1 if other == axis else 1 for other in range(len(shape))])
    field = np.fft.irfftn(spectrum, s=shape, axes=tuple(range(len(shape))))
    return (field / max(float(field.std()), 1e-12)).astype(np.float32)


def cover(depth_mm: np.ndarray, pixel_mm: np.ndarray | float) -> np.ndarray:
    """Fraction of a pixel that lies inside an edge, from the signed distance to it (positive inside)."""
    return np.clip(depth_mm / pixel_mm + 0.5, 0, 1)


class Canvas:
    """A stack of pictures ``[S, H, W]`` that functions paint on; ``x`` and ``y``: the pixels' positions in mm."""

    def __init__(self, x: np.ndarray, y: np.ndarray, pixel_mm: float):
        self.x, self.y, self.pixel_mm = x, y, pixel_mm
        self.image = np.full(x.shape, 0.015, dtype=np.float32)

    def fill(self, depth_mm: np.ndarray, value: np.ndarray | float) -> None:
        """Paint the pixels whose signed distance is positive."""
        self.image += cover(depth_mm, self.pixel_mm) * (value - self.image)

    def ellipse(self, center: tuple, axes: tuple[float, float], value: np.ndarray | float) -> None:
        """Paint an ellipse; ``center`` (x, y) may hold an array ``[S, 1, 1]`` for each coordinate."""
        self.fill(self.ellipse_depth(center, axes), value)

    def ellipse_depth(self, center: tuple, axes: tuple[float, float]) -> np.ndarray:
        """Signed distance in mm to an ellipse, exact at its edge for a circle."""
        reach = np.hypot((self.x - center[0]) / axes[0], (self.y - center[1]) / axes[1])
        return (1 - reach) * min(axes)


@dataclass(frozen=True)
class ThoraxShape:
    """Sizes in mm of one chest; positions are (x, y) from the heart's axis."""

    fat_mm: float
    muscle_mm: float
    torso_center: tuple[float, float]
    torso_axes: tuple[float, float]
    diaphragm_mm: float
    stomach_gas: bool
    aorta: tuple[float, float]
    aorta_mm: float
    coil_reach_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "ThoraxShape":
        """A chest at random."""
        angle = rng.uniform(0.65, 0.95)
        return cls(
            fat_mm=rng.uniform(9, 20),
            muscle_mm=rng.uniform(8, 13),
            torso_center=(rng.uniform(38, 48), rng.uniform(38, 52)),
            torso_axes=(rng.uniform(146, 158), rng.uniform(155, 168)),
            diaphragm_mm=rng.uniform(36, 44),
            stomach_gas=bool(rng.random() < 0.5),
            aorta=(62 * np.cos(angle), 62 * np.sin(angle)),
            aorta_mm=rng.uniform(10, 12.5),
            coil_reach_mm=rng.uniform(150, 260),
        )


def _depth_under_skin(canvas: Canvas, shape: ThoraxShape, along: np.ndarray) -> np.ndarray:
    """About the distance in mm to the skin, positive inside; ``along`` is the slices' position ``[S, 1, 1]``."""
    reach_x = np.abs((canvas.x - shape.torso_center[0]) / shape.torso_axes[0])
    reach_y = np.abs((canvas.y - shape.torso_center[1] - 0.3 * along) / shape.torso_axes[1])
    return (1 - (reach_x**2.4 + reach_y**2.4) ** (1 / 2.4)) * min(shape.torso_axes)


def _paint_chest(canvas: Canvas, shape: ThoraxShape, depth: np.ndarray, noises: list[np.ndarray]) -> None:
    fine, coarse = noises
    angle = np.arctan2(canvas.y - shape.torso_center[1], canvas.x - shape.torso_center[0])
    fat = shape.fat_mm * (1 + 0.45 * np.cos(angle + 2.2) + 0.12 * np.cos(3 * angle + 1)) + 1.2 * coarse
    canvas.fill(depth, 0.4)
    canvas.fill(depth - 1.5, FAT * (1 + 0.04 * coarse - 0.12 * np.clip(fine - 0.8, 0, 2)))
    muscle = depth - fat
    across = np.clip(1 - ((muscle - shape.muscle_mm * 0.6) / (shape.muscle_mm * 0.4)) ** 2, 0, 1)
    ribs = np.clip(across * np.cos(angle * 30 + 1.3 * coarse) * 2 - 0.5, 0, 1)
    canvas.fill(muscle, 0.24 + 0.05 * coarse + 0.04 * fine + 0.32 * ribs)
    hilum = np.clip(1.1 - np.hypot(canvas.x - 45, canvas.y - 5) / 100, 0.15, 1)
    vessels = np.clip(0.75 * fine + 0.45 * coarse - 1.45, 0, 1)
    canvas.fill(muscle - shape.muscle_mm, _LUNG + 0.9 * hilum * vessels)


def _paint_abdomen(
    canvas: Canvas, shape: ThoraxShape, inside: np.ndarray, along: np.ndarray, noises: list[np.ndarray]
) -> None:
    """Liver, stomach, spleen and fat below the diaphragm, each ``inside`` the chest wall."""
    fine, coarse = noises
    dome = shape.diaphragm_mm - 0.12 * along + 0.0013 * (canvas.x - 10) ** 2
    below = np.minimum(canvas.y - dome, inside)
    canvas.fill(below, 0.3)
    bowel = np.clip(0.5 + 1.6 * coarse, 0, 1)
    canvas.fill(below - 2, 0.85 - 0.5 * bowel + 0.05 * fine)
    liver = np.minimum(canvas.ellipse_depth((-40, dome + 52), (86, 54)), below - 2)
    canvas.fill(liver + 2, 0.7)
    canvas.fill(liver, 0.4 + 0.015 * fine + 0.4 * np.clip(fine * 0.7 + coarse * 0.5 - 1.5, 0, 1))
    for center, axes, value in (
        ((60, dome + 36), (36, 25), 0.4),
        ((60, dome + 36), (31, 20), 0.06 if shape.stomach_gas else 0.75 + 0.12 * fine),
        ((122, dome + 26), (28, 36), 0.55 + 0.03 * fine),
    ):
        canvas.fill(np.minimum(canvas.ellipse_depth(center, axes), below - 3), value)
    spine = (70, 122 - 0.1 * along)
    canvas.ellipse(spine, (27, 25), 0.3)
    canvas.ellipse(spine, (22, 20), 0.55 + 0.06 * fine)
    canvas.ellipse((spine[0] + 22, spine[1] + 24), (9, 8), 0.95)


def paint_vessel(canvas: Canvas, center: tuple, radius: float, blood: np.ndarray | float) -> None:
    """A bright vessel or chamber with a dark wall of 2 mm."""
    canvas.ellipse(center, (radius + 2, radius + 2), 0.3)
    canvas.ellipse(center, (radius, radius), blood)


def _paint_heart_bed(
    canvas: Canvas, heart: HeartShape, along: np.ndarray, envelope: np.ndarray, rng: np.random.Generator
) -> None:
    """Pericardium and fat round the end-diastolic heart of radius ``envelope`` ``[S, ANGLES]``."""
    angle = np.arctan2(canvas.y, canvas.x)
    wavy = smooth_noise(rng, envelope.shape, (1.2, 22))
    groove = 3.5 * np.exp(-(((along[:, 0] - 2) / 14) ** 2))
    inner_fat = np.clip(1.2 + 1.6 * wavy + groove, 0.2, 9)
    towards_chest = np.clip(np.cos(THETA - np.pi + 0.75), 0, 1) ** 2 + 0.5 * np.clip(np.cos(THETA - 2.2), 0, 1) ** 6
    outer_fat = (9 + 4 * np.roll(wavy, 200, axis=1)) * towards_chest * np.clip(envelope / 45, 0, 1)
    radius = np.hypot(canvas.x, canvas.y)
    present = envelope > 0
    for reach, value in ((inner_fat + 1.5 + outer_fat, FAT), (inner_fat + 1.5, 0.22), (inner_fat, 0.95 * FAT)):
        edge = np.where(present, envelope + reach, -1e4).astype(np.float32)
        canvas.fill(np.stack([at_angle(*pair) for pair in zip(edge, angle, strict=True)]) - radius, value)


def _paint_atria(canvas: Canvas, heart: HeartShape, along: np.ndarray, envelope: np.ndarray, blood: np.ndarray) -> None:
    """Atria and great vessels within the heart's outline, in the slices that the base reaches during the cycle."""
    basal = (along < 1.2 * heart.base_travel_mm + 8)[:, 0, 0]
    if not basal.any():
        return
    part = Canvas(canvas.x[basal], canvas.y[basal], canvas.pixel_mm)
    part.image = canvas.image[basal]
    drift, blood = along[basal], blood[basal]
    outline = np.stack([at_angle(*pair) for pair in zip(envelope[basal], np.arctan2(part.y, part.x), strict=True)])
    for wall, value in ((0, 0.3), (2, 0.86 + 0.05 * blood)):
        part.fill(outline - wall - np.hypot(part.x, part.y), value)
    towards_rv = np.cos(heart.rv_angle), np.sin(heart.rv_angle)
    across = -towards_rv[1], towards_rv[0]
    wide = float(np.quantile(envelope[basal], 0.35))
    for outwards, sideways, radius, value in (
        (0.85, 0.62, 0.4, 0.9),
        (-0.08, -0.2, 0.72, 0.95),
        (0.2, 0.42, 0.36, 1.0),
    ):
        center = tuple(
            wide * (outwards * out + sideways * side) - 0.1 * drift
            for out, side in zip(towards_rv, across, strict=True)
        )
        paint_vessel(part, center, wide * radius, value * (1 + 0.08 * blood))
    canvas.image[basal] = part.image


def paint_surroundings(
    x: np.ndarray, y: np.ndarray, pixel_mm: float, along: np.ndarray, heart: HeartShape, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Everything except the ventricles at end-diastole, and the coil's sensitivity; both ``[S, H, W]``.

    ``x`` and ``y`` are positions in mm ``[S, H, W]``, ``along`` the slices' positions ``[S]`` on the long axis.
    """
    shape = ThoraxShape.draw(rng)
    widths = 1.2, 2.2 / pixel_mm, 2.2 / pixel_mm
    fine, coarse, warp_x, warp_y = (
        smooth_noise(rng, x.shape, tuple(np.array([1, scale, scale]) * widths)) for scale in (0.7, 5, 7, 7)
    )
    canvas = Canvas(x + 2.5 * warp_x, y + 2.5 * warp_y, pixel_mm)
    position = along[:, None, None].astype(np.float32)
    depth = _depth_under_skin(canvas, shape, position)
    _paint_chest(canvas, shape, depth, [fine, coarse])
    _paint_abdomen(canvas, shape, depth - shape.fat_mm - shape.muscle_mm, position, [fine, coarse])
    envelope = heart.envelope(along, np.zeros(1))[0]
    canvas.x, canvas.y = x, y
    _paint_heart_bed(canvas, heart, position, envelope, rng)
    paint_vessel(canvas, (shape.aorta[0] - 0.08 * position, shape.aorta[1]), shape.aorta_mm, 1.15)
    _paint_atria(canvas, heart, position, envelope, coarse)
    texture = 1 + 0.05 * smooth_noise(rng, x.shape, (0.6, 0.8, 0.8))
    far = _depth_under_skin(canvas, shape, position)
    at_heart = float(shape.torso_axes[0] - shape.torso_center[0] + 10)
    coil = np.exp((at_heart - np.clip(far, 0, None)) / shape.coil_reach_mm + 0.06 * warp_y)
    return canvas.image * texture, np.clip(coil, 0.4, 1.9).astype(np.float32)
