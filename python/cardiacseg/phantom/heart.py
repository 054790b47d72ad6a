"""Analytic geometry of the phantom's ventricles: closed contours in polar form about the long axis.

Positions lie on the long axis in mm, 0 at the base of the left ventricle at end-diastole, growing towards the apex.
In plane, x runs along columns and y along rows, in mm from the axis; angles are atan2(y, x), so the right ventricle
lies near pi. Contraction is 0 at end-diastole and 1 at end-systole.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

ANGLES = 720
THETA = np.arange(ANGLES) * (2 * np.pi / ANGLES)
ABSENT_MM = -1e4
# Distance of the right ventricle's deepest point towards the diaphragm, as a fraction of its half width.
_RV_SKEW = 0.22

# The left ventricle is an ellipsoid of revolution cut off above its equator, which lies at this fraction of its length.
_EQUATOR = 0.25
# Integral over the length of (1 - ((u - equator) / (1 - equator))^2).
_ELLIPSOID_SHARE = 1 - ((1 - _EQUATOR) ** 3 + _EQUATOR**3) / (3 * (1 - _EQUATOR) ** 2)


def _outline(waves: np.ndarray) -> np.ndarray:
    """Radius over mean radius at each angle, scaled so that the area is that of the circle."""
    orders = np.arange(1, len(waves) + 1)
    outline = 1 + (waves[:, None] * np.exp(1j * orders[:, None] * THETA)).real.sum(axis=0)
    return outline / np.sqrt(np.mean(outline**2))


def at_angle(radii: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Linear interpolation of ``radii`` ``[ANGLES]`` at any angles in radians, float32."""
    place = angle * (ANGLES / (2 * np.pi)) % ANGLES
    return np.interp(place, np.arange(ANGLES + 1), np.append(radii, radii[0])).astype(np.float32)


class Contours(NamedTuple):
    """Radii in mm, ``[times, positions, ANGLES]``.

    The myocardium lies between ``endo`` and ``epi``, which are ``ABSENT_MM`` outside the left ventricle's length; the
    right ventricle lies between ``rv_inner`` and ``rv_outer``, which coincide outside it.
    """

    endo: np.ndarray
    epi: np.ndarray
    rv_inner: np.ndarray
    rv_outer: np.ndarray


@dataclass(frozen=True)
class HeartShape:
    """One heart. Volumes in ml are those of the whole ventricles, ejection fractions lie in 0..1.

    ``endo_waves`` and ``epi_waves`` hold the Fourier coefficients of the outlines' deviation from circles, one for
    each angular order from 1 on.
    """

    lv_edv_ml: float
    lv_ejection: float
    rv_edv_ml: float
    rv_ejection: float
    myocardium_ml: float
    length_mm: float
    base_travel_mm: float
    apex_wall_mm: float
    rv_length_share: float
    rv_angle: float
    rv_half_width: float
    rv_twist: float
    endo_waves: np.ndarray
    epi_waves: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "HeartShape":
        """A healthy adult heart."""
        edv = rng.uniform(112, 185)
        size = np.array([0.02, 0.03, 0.015, 0.008])
        waves = size * rng.uniform(0.3, 1, (2, 4)) * np.exp(1j * rng.uniform(0, 2 * np.pi, (2, 4)))
        return cls(
            lv_edv_ml=edv,
            lv_ejection=rng.uniform(0.53, 0.63),
            rv_edv_ml=edv * rng.uniform(0.92, 1.08),
            rv_ejection=rng.uniform(0.5, 0.6),
            myocardium_ml=edv * rng.uniform(0.68, 0.84),
            length_mm=82 * (edv / 150) ** (1 / 3) * rng.uniform(0.96, 1.06),
            base_travel_mm=rng.uniform(11, 15),
            apex_wall_mm=rng.uniform(5, 8),
            rv_length_share=rng.uniform(0.84, 0.94),
            rv_angle=np.pi + rng.uniform(-0.25, 0.15),
            rv_half_width=rng.uniform(1.3, 1.48),
            rv_twist=rng.uniform(-0.5, -0.2),
            endo_waves=waves[0],
            epi_waves=0.6 * waves[0] + 0.6 * waves[1],
        )

    def base_mm(self, contraction: np.ndarray) -> np.ndarray:
        """Position of the left ventricle's base."""
        return self.base_travel_mm * contraction

    def _lv_radii(self, positions: np.ndarray, contraction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean endocardial and epicardial radius; 0 beyond the apex. The shell above the base is the ellipsoid's."""
        c = contraction[:, None]
        base = self.base_mm(c)
        apex_wall = self.apex_wall_mm * (1 + 0.3 * c)
        volume = self.lv_edv_ml * (1 - self.lv_ejection * c)
        length = self.length_mm - c - base
        radii = []
        for share, extent in ((volume, length), (volume + self.myocardium_ml, length + apex_wall)):
            widest = np.sqrt(1000 * share / (np.pi * extent * _ELLIPSOID_SHARE))
            u = (positions - base) / extent
            radii.append(widest * np.sqrt(np.clip(1 - ((u - _EQUATOR) / (1 - _EQUATOR)) ** 2, 0, None)))
        return radii[0], radii[1]

    def _rv_depth(self, positions: np.ndarray, contraction: np.ndarray) -> np.ndarray:
        """Depth of the crescent in mm for a depth of 1 mm at its deepest point, ``[times, positions, ANGLES]``."""
        c = contraction[:, None]
        base = 1.2 * self.base_mm(c) - 1
        u = (positions - base) / (self.rv_length_share * self.length_mm - base)
        inside = (u >= 0) & (u <= 1)
        u = np.clip(u, 0, 1)
        along = np.where(inside, np.sqrt(1 - u**2) * (0.8 + 0.2 * np.clip(u / 0.25, 0, 1)), 0)
        half_width = self.rv_half_width * (1 - 0.45 * u**2)
        angle = self.rv_angle + self.rv_twist * u
        away = ((THETA - angle[..., None] + np.pi) % (2 * np.pi) - np.pi) / half_width[..., None]
        skewed = away + _RV_SKEW * (1 - away**2)
        return along[..., None] * np.where(np.abs(away) < 1, np.clip(1 - skewed**2, 0, None) ** 0.7, 0)

    def _rv_scale(self, contraction: np.ndarray) -> np.ndarray:
        """Depth in mm at the deepest point that gives the whole right ventricle its volume, ``[times]``."""
        steps = 64
        width = (self.rv_length_share * self.length_mm + 1) / steps
        positions = (np.arange(steps) + 0.5) * width - 1
        inner = self._lv_radii(positions, contraction)[1][..., None] * _outline(self.epi_waves)
        depth = self._rv_depth(positions, contraction)
        cell = width * 2 * np.pi / ANGLES
        linear, square = (inner * depth).sum(axis=(1, 2)) * cell, (depth**2).sum(axis=(1, 2)) * cell / 2
        volume = 1000 * self.rv_edv_ml * (1 - self.rv_ejection * contraction)
        return (np.sqrt(linear**2 + 4 * square * volume) - linear) / (2 * square)

    def contours(self, positions: np.ndarray, contraction: np.ndarray) -> Contours:
        """Contours at each time of ``contraction`` and each of ``positions``."""
        mean_endo, mean_epi = self._lv_radii(positions, contraction)
        below_base = positions >= self.base_mm(contraction)[:, None]
        endo = mean_endo[..., None] * _outline(self.endo_waves)
        shell = mean_epi[..., None] * _outline(self.epi_waves)
        depth = self._rv_scale(contraction)[:, None, None] * self._rv_depth(positions, contraction)
        return Contours(
            endo=np.where((below_base & (mean_endo > 0))[..., None], endo, ABSENT_MM),
            epi=np.where((below_base & (mean_epi > 0))[..., None], shell, ABSENT_MM),
            rv_inner=shell,
            rv_outer=shell + depth,
        )

    def envelope(self, positions: np.ndarray, contraction: np.ndarray) -> np.ndarray:
        """Outer radius of the heart, ``[times, positions, ANGLES]``.

        It is that of the ventricles with the right ventricle's wall. Above the base the atria fill while the ventricles
        empty, so there it returns to that of end-diastole within 12 mm.
        """
        nearest = np.maximum(positions, 1.2 * self.base_travel_mm)
        resting, moved = (_outermost(self.contours(nearest, c)) for c in (np.zeros(1), contraction))
        share = np.clip((positions - self.base_mm(contraction)[:, None]) / 12 + 0.5, 0, 1)[..., None]
        return share * moved + (1 - share) * resting


def rv_wall_mm(contours: Contours) -> np.ndarray:
    """Thickness of the right ventricle's free wall, which belongs to the background, ``[times, positions, ANGLES]``."""
    return np.minimum(3.0, (contours.rv_outer - contours.rv_inner) / 3)


def areas_mm2(contours: Contours) -> np.ndarray:
    """Areas of RV, myocardium and LV, ``[times, positions, 3]``.

    The integral of radius^2 / 2 over the angle by the trapezoidal rule, whose error on these periodic curves is far
    below a pixel.
    """

    def enclosed(radius: np.ndarray) -> np.ndarray:
        return (np.clip(radius, 0, None) ** 2).sum(axis=-1) * (np.pi / ANGLES)

    endo, epi = enclosed(contours.endo), enclosed(contours.epi)
    rv = enclosed(contours.rv_outer) - enclosed(contours.rv_inner)
    return np.stack([rv, epi - endo, endo], axis=-1)


def _outermost(contours: Contours) -> np.ndarray:
    return contours.rv_outer + rv_wall_mm(contours)
