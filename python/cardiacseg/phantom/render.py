"""Renders the phantom's moving ventricles over its static surroundings, slice by slice.

A pixel at an edge mixes both sides by its distance to the contour. Through the thickness of a slice, three planes are
averaged. Labels are those of a slice's middle plane.
"""

from dataclasses import dataclass

import numpy as np

from cardiacseg.phantom.heart import ANGLES, THETA, Contours, HeartShape, at_angle, rv_wall_mm
from cardiacseg.phantom.thorax import MUSCLE, cover, smooth_noise

_WARP_REACH_MM = 38.0


@dataclass(frozen=True)
class Grid:
    """Positions of a stack's pixels in mm from the heart's axis, ``x`` and ``y`` ``[S, H, W]``, and slice positions."""

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
        """Fraction of each pixel inside a contour: ``[..., ANGLES]`` to ``[..., N]``."""
        step = np.gradient(np.clip(radii, 0, None), 2 * np.pi / ANGLES, axis=-1)
        slope = np.sqrt(1 + np.clip(step / np.maximum(radii, 1), -4, 4) ** 2)
        edge, softness = (table.astype(np.float32)[..., self.bins] for table in (radii, slope))
        return cover((edge - self.radius) / softness, self.pixel_mm)


class Window:
    """The box around one slice's heart, ``rows`` and ``columns`` of the grid, and the ``disc`` that the heart fills."""

    def __init__(self, grid: Grid, index: int, heart_mm: float):
        reach = heart_mm + _WARP_REACH_MM
        self.rows = _span(np.abs(grid.y[index, :, 0]) < reach)
        self.columns = _span(np.abs(grid.x[index, 0]) < reach)
        self.x, self.y = grid.x[index, self.rows, self.columns], grid.y[index, self.rows, self.columns]
        self.radius, self.angle = np.hypot(self.x, self.y), np.arctan2(self.y, self.x)
        self.row_mm, self.column_mm = grid.spacing[1:]
        self.disc = Disc(self.x, self.y, heart_mm + 2, grid.spacing[1:])

    def warped(self, image: np.ndarray, resting: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """``image`` ``[H, W]`` in this window, deformed so that contour ``resting`` moves to ``moved``."""
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
    """Bilinear interpolation; outside the image the values of its edge."""
    height, width = image.shape
    rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
    top, left = np.minimum(rows.astype(np.intp), height - 2), np.minimum(columns.astype(np.intp), width - 2)
    down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    upper = image[top, left] * (1 - right) + image[top, left + 1] * right
    lower = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


_PLANES = 3


@dataclass(frozen=True)
class Muscles:
    """Papillary muscles and trabeculae of the left ventricle; ``angles`` are those of the two papillary muscles."""

    angles: np.ndarray
    radius_mm: float
    orders: np.ndarray
    phases: np.ndarray
    drift: np.ndarray
    depth: float

    @classmethod
    def draw(cls, rng: np.random.Generator, rv_angle: float) -> "Muscles":
        """Muscles at random, the papillary ones on either side of the free wall."""
        orders = np.arange(4, 13)
        return cls(
            angles=rv_angle + np.pi + np.array([-0.95, 0.8]) + rng.uniform(-0.2, 0.2, 2),
            radius_mm=rng.uniform(4.8, 6.4),
            orders=orders,
            phases=rng.uniform(0, 2 * np.pi, len(orders)),
            drift=rng.uniform(-0.12, 0.12, len(orders)),
            depth=rng.uniform(0.07, 0.14),
        )

    def blood_contour(self, endo: np.ndarray, planes: np.ndarray, along: np.ndarray, squeeze: float) -> np.ndarray:
        """``endo`` ``[P, ANGLES]`` indented by trabeculae, more towards the apex and in contraction."""
        angle = self.orders * THETA[:, None] + self.phases
        waves = np.cos(angle + (self.drift * planes[:, None])[:, None, :]).sum(axis=-1) / np.sqrt(len(self.orders))
        depth = self.depth * (0.3 + 1.4 * along[:, None]) * (1 + 0.4 * squeeze)
        return endo * (1 - depth * np.clip(waves, 0, 2.5))

    def papillary(self, disc: Disc, endo: np.ndarray, along: np.ndarray, squeeze: float) -> np.ndarray:
        """Fraction of each pixel ``[P, N]`` within a papillary muscle."""
        share = np.zeros((len(along), len(disc.indices)), dtype=np.float32)
        sizes = np.clip(1 - ((along - 0.52) / 0.3) ** 2, 0, None) ** 0.5 * self.radius_mm * (1 + 0.12 * squeeze)
        for plane in np.flatnonzero(sizes):
            for angle in self.angles:
                wall = endo[plane, round(angle * ANGLES / (2 * np.pi)) % ANGLES]
                place = np.float32(max(wall - 0.65 * sizes[plane], 0))
                away = np.hypot(disc.x - place * np.float32(np.cos(angle)), disc.y - place * np.float32(np.sin(angle)))
                share[plane] = np.maximum(share[plane], cover(np.float32(sizes[plane]) - away, disc.pixel_mm))
        return share


@dataclass(frozen=True)
class Texture:
    """Brightness within one slice's heart, ``[N]``: two patterns that blend into each other, and trabeculae of the
    RV."""

    patterns: np.ndarray
    rv_trabeculae: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, window: Window, apical: float) -> "Texture":
        """Patterns at random; there are more trabeculae in ``apical`` slices (0 base, 1 apex)."""
        fine = 1.6 / window.column_mm
        fields = smooth_noise(rng, (2, *window.x.shape), (0, 3 * fine, 3 * fine))
        trabeculae = smooth_noise(rng, window.x.shape, (fine, fine))
        flat = [field.ravel()[window.disc.indices] for field in (*fields, trabeculae)]
        return cls(np.stack(flat[:2]), 0.35 * np.clip(flat[2] - 1.7 + apical, 0, 1))

    def blood(self, turn: float) -> tuple[np.ndarray, np.ndarray]:
        """Brightness of the left and the right ventricle's blood at a fraction ``turn`` of the cycle."""
        flow = self.patterns[0] * np.cos(2 * np.pi * turn) + self.patterns[1] * np.sin(2 * np.pi * turn)
        pulse = 0.03 * np.sin(2 * np.pi * (turn - 0.1))
        return 1 + pulse + 0.045 * flow, (0.93 + pulse + 0.05 * flow) * (1 - self.rv_trabeculae)

    def muscle(self) -> np.ndarray:
        """Brightness of the myocardium."""
        return MUSCLE * (1 + 0.06 * self.patterns[0])


class SliceRenderer:
    """Draws the frames of one slice."""

    def __init__(self, heart: HeartShape, window: Window, planes: np.ndarray, rng: np.random.Generator):
        self.heart, self.window, self.planes = heart, window, planes
        self.texture = Texture.draw(rng, window, float(np.clip(planes.mean() / heart.length_mm, 0, 1)))

    def labels(self, contours: Contours) -> np.ndarray:
        """Labels ``[T, h, w]`` of the middle plane's contours ``[T, ANGLES]``: the label that covers most of each
        pixel."""
        endo, epi, inner, outer = (self.window.disc.inside(radii) for radii in contours)
        rv, myo = outer - inner, epi - endo
        shares = np.stack([1 - rv - epi, rv, myo, endo])
        labels = np.zeros((len(endo), self.window.x.size), dtype=np.uint8)
        labels[:, self.window.disc.indices] = shares.argmax(axis=0)
        return labels.reshape(-1, *self.window.x.shape)

    def paint(self, picture: np.ndarray, contours: Contours, muscles: Muscles, moment: tuple[float, float]) -> None:
        """Draw the ventricles into ``picture`` ``[h, w]``: the mean over planes of contours ``[P, ANGLES]``.

        ``moment`` is the contraction and the elapsed fraction of the cardiac cycle.
        """
        squeeze, turn = moment
        disc, base = self.window.disc, self.heart.base_travel_mm * squeeze
        along = np.clip((self.planes - base) / (self.heart.length_mm - base), 0, 1)
        blood_contour = muscles.blood_contour(contours.endo, self.planes, along, squeeze)
        lv = disc.inside(blood_contour) * (1 - muscles.papillary(disc, contours.endo, along, squeeze))
        wall_contour = contours.rv_outer + rv_wall_mm(contours)
        shares = [lv, *(disc.inside(radii) for radii in (contours.epi, *contours[2:], wall_contour))]
        lv, heart, inner, outer, wall = (share.mean(axis=0) for share in shares)
        lv_blood, rv_blood = self.texture.blood(turn)
        rv, wall = outer - inner, wall - outer
        flat = picture.reshape(-1)
        flat[disc.indices] = (
            flat[disc.indices] * (1 - wall - rv - heart)
            + self.texture.muscle() * (wall + heart - lv)
            + lv_blood * lv
            + rv_blood * rv
        )


def render_frames(
    heart: HeartShape, grid: Grid, bed: np.ndarray, contraction: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Noise-free image float32 and labels uint8, ``[T, S, H, W]``, from the surroundings ``bed`` ``[S, H, W]``."""
    frames = len(contraction)
    image = np.repeat(bed[None], frames, axis=0)
    labels = np.zeros(image.shape, dtype=np.uint8)
    muscles = Muscles.draw(rng, heart.rv_angle)
    resting, moved = heart.envelope(grid.positions, np.zeros(1))[0], heart.envelope(grid.positions, contraction)
    offsets = ((np.arange(_PLANES) + 0.5) / _PLANES - 0.5) * grid.spacing[0]
    planes = grid.positions[:, None] + offsets
    middle, contours = heart.contours(grid.positions, contraction), heart.contours(planes.ravel(), contraction)
    for index in np.flatnonzero(resting.max(axis=1) > 0):
        window = Window(grid, index, float(resting[index].max()))
        if not window.x.size:
            continue
        renderer = SliceRenderer(heart, window, planes[index], rng)
        labels[:, index, window.rows, window.columns] = renderer.labels(Contours(*(part[:, index] for part in middle)))
        here = slice(index * _PLANES, (index + 1) * _PLANES)
        for frame, squeeze in enumerate(contraction):
            picture = window.warped(bed[index], resting[index], moved[frame, index])
            edges = Contours(*(part[frame, here] for part in contours))
            renderer.paint(picture, edges, muscles, (float(squeeze), frame / frames))
            image[frame, index, window.rows, window.columns] = picture
    return image, labels
