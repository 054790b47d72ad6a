"""The 16 segments of the left ventricle as a bullseye's fields, and their values' colours.

Numbers and names: Cerqueira et al. 2002, Circulation 105:539, without segment 17. Segment 1 is on top, the septum on
the left, as if one looked from the apex.
"""

from dataclasses import dataclass

import numpy as np

from cardiacseg.measurements import Wall

_SIX = ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
_FOUR = ("anterior", "septal", "inferior", "lateral")


@dataclass(frozen=True)
class Segment:
    """Radii as parts of the bullseye's; angles in degrees, counter-clockwise from the right."""

    number: int
    name: str
    inner: float
    outer: float
    start: float
    end: float

    @property
    def middle(self) -> tuple[float, float]:
        """Right and up from the centre, as parts of the radius."""
        angle, radius = np.radians((self.start + self.end) / 2), (self.inner + self.outer) / 2
        return float(radius * np.cos(angle)), float(radius * np.sin(angle))


def _ring(first: int, level: str, names: tuple[str, ...], inner: float, outer: float) -> list[Segment]:
    width = 360 / len(names)
    starts = [90 - width / 2 + width * index for index in range(len(names))]
    return [
        Segment(first + index, f"{level} {name}", inner, outer, start, start + width)
        for index, (name, start) in enumerate(zip(names, starts, strict=True))
    ]


SEGMENTS = (
    *_ring(1, "basal", _SIX, 0.70, 1.0),
    *_ring(7, "mid", _SIX, 0.40, 0.70),
    *_ring(13, "apical", _FOUR, 0.12, 0.40),
)


@dataclass(frozen=True, eq=False)
class Scale:
    """One bullseye: ``values`` ``[16]``, and the values at the two ends of its colours, the same for every case."""

    key: str
    title: str
    unit: str
    values: np.ndarray
    low: float
    high: float

    @property
    def caption(self) -> str:
        """What is shown, with its unit."""
        return f"{self.title} ({self.unit})"

    def colour(self, value: float) -> str:
        """``#rrggbb``, from the colour map viridis, whose lightness rises with the value."""
        from matplotlib import colormaps
        from matplotlib.colors import to_hex

        return to_hex(colormaps["viridis"](float(np.clip((value - self.low) / (self.high - self.low), 0, 1))))

    def ink(self, value: float) -> str:
        """Black or white, whichever stands out more on :meth:`colour` (WCAG's relative luminance)."""
        parts = np.array([int(self.colour(value)[start : start + 2], 16) / 255 for start in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return "#000000" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "#ffffff"


def wall_scales(wall: Wall) -> list[Scale]:
    """The bullseyes of a wall: thickness at ED and ES on one scale, and thickening."""
    scales = [
        Scale("ed", "Thickness at ED", "mm", wall.ed_mm, 0, 16),
        Scale("es", "Thickness at ES", "mm", wall.es_mm, 0, 16),
        Scale("thickening", "Thickening", "%", wall.thickening_percent, 0, 100),
    ]
    seen = [scale for scale in scales if scale.values is not None and np.isfinite(scale.values).any()]
    return seen or scales[:1]
