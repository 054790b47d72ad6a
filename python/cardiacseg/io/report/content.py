"""The content of page, PDF and preview, ready to draw: rows, facts, the time axis, the 16 segments and their colors.

Numbers and names of the segments: Cerqueira et al. 2002, Circulation 105:539, without segment 17. Segment 1 is on top,
the septum on the left, as seen from the apex.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from cardiacseg.io.cine import SegmentedCine
from cardiacseg.measurements import Measurements, Wall

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

_SIX = ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
_FOUR = ("anterior", "septal", "inferior", "lateral")
# Name, unit, decimals, name after "lv_" and "rv_" in Measurements, and the same in its indices.
_FUNCTION = (
    ("End-diastolic volume", "ml", 0, "edv_ml", "edv_ml_m2"),
    ("End-systolic volume", "ml", 0, "esv_ml", "esv_ml_m2"),
    ("Stroke volume", "ml", 0, "sv_ml", "sv_ml_m2"),
    ("Ejection fraction", "%", 1, "ef_percent", None),
    ("Cardiac output", "l/min", 1, "co_l_min", "ci_l_min_m2"),
    ("Myocardial mass at ED", "g", 0, "mass_g", "mass_g_m2"),
    ("Myocardial mass at ES", "g", 0, "mass_es_g", None),
)
_RATES = (
    ("Peak ejection rate", "peak_ejection_ml_s"),
    ("Peak filling rate", "peak_filling_ml_s"),
)
_ALWAYS = {"edv_ml", "esv_ml", "sv_ml", "ef_percent"}
_SHORT_NAMES = {"bsa", "ed", "es", "lv", "rv"}
NONE = "\N{EN DASH}"


@dataclass(frozen=True, eq=False)
class TimeAxis:
    """Position ``at`` ``[T]`` of each phase and its unit: ms after the R wave if known, else the phase's number."""

    at: np.ndarray
    label: str


def time_axis(segmented: SegmentedCine) -> TimeAxis:
    """Times of the cine's phases if there is one for each, else 1, 2, 3, ..."""
    frames = len(segmented.labels)
    times = segmented.cine.timing.frame_times_ms
    if times is not None and len(times) == frames:
        return TimeAxis(np.asarray(times, dtype=float), "time after the R wave (ms)")
    return TimeAxis(np.arange(1.0, frames + 1), "phase")


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers from ``low`` to ``high``, about ``count`` of them."""
    from matplotlib.ticker import MaxNLocator

    ticks = MaxNLocator(nbins=count, steps=[1, 2, 5, 10], integer=high - low >= count).tick_values(low, high)
    return [float(tick) for tick in ticks if low - 1e-9 <= tick <= high + 1e-9]


@dataclass(frozen=True)
class Segment:
    """Radii as fractions of the bullseye's; angles in degrees, counter-clockwise from the right."""

    number: int
    name: str
    inner: float
    outer: float
    start: float
    end: float

    @property
    def middle(self) -> tuple[float, float]:
        """Right and up from the center, as fractions of the radius."""
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
    """One bullseye: ``values`` ``[16]``, and the values at the two ends of its colors, the same for every case."""

    key: str
    title: str
    unit: str
    values: np.ndarray
    low: float
    high: float

    @property
    def caption(self) -> str:
        """The quantity with its unit."""
        return f"{self.title} ({self.unit})"

    def color(self, value: float) -> str:
        """``#rrggbb``, from the color map viridis, whose lightness rises with the value."""
        from matplotlib.colors import to_hex

        return to_hex(_viridis()(float(np.clip((value - self.low) / (self.high - self.low), 0, 1))))

    def ink(self, value: float) -> str:
        """Black or white, whichever stands out more on :meth:`color` (WCAG's relative luminance)."""
        parts = np.array([int(self.color(value)[start : start + 2], 16) / 255 for start in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return "#000000" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "#ffffff"


@cache
def _viridis() -> "Colormap":
    """matplotlib makes a new table of colors each time that one asks for the map."""
    from matplotlib import colormaps

    return colormaps["viridis"]


def wall_scales(wall: Wall) -> list[Scale]:
    """The bullseyes of a wall: thickness at ED and ES on one scale, and thickening."""
    scales = [
        Scale("ed", "Thickness at ED", "mm", wall.ed_mm, 0, 16),
        Scale("es", "Thickness at ES", "mm", wall.es_mm, 0, 16),
        Scale("thickening", "Thickening", "%", wall.thickening_percent, 0, 100),
    ]
    seen = [scale for scale in scales if scale.values is not None and np.isfinite(scale.values).any()]
    return seen or scales[:1]


@dataclass(frozen=True)
class Cell:
    """A value under its key in ``measurements.json``, as text."""

    key: str
    text: str


@dataclass(frozen=True)
class Row:
    """A line of the measurements' table; ``None`` if a ventricle has no such value."""

    name: str
    unit: str
    lv: Cell | None
    rv: Cell | None
    lv_index: Cell | None = None
    rv_index: Cell | None = None


def number(value: float | None, digits: int = 0) -> str:
    """``value`` with ``digits`` decimals; a dash for ``None``."""
    return NONE if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def measurement_rows(measurements: Measurements) -> list[Row]:
    """Existing volumes, function, mass and rates; for a single frame its volumes and mass."""
    if measurements.es_frame is None:
        return _one_frame_rows(measurements)
    rows = [_function_row(measurements, *line) for line in _FUNCTION]
    rows += [_rate_row(measurements, *line) for line in _RATES]
    return [row for row in rows if row is not None]


def _one_frame_rows(m: Measurements) -> list[Row]:
    rv, myo, lv = (Cell(key, number(float(getattr(m, key)[0]))) for key in ("rv_ml", "myo_ml", "lv_ml"))
    rows = [Row("Volume", "ml", lv, rv), Row("Myocardial volume", "ml", myo, None)]
    return [*rows, Row("Myocardial mass", "g", Cell("lv_mass_g", number(m.lv_mass_g)), None)]


def _function_row(m: Measurements, name: str, unit: str, digits: int, key: str, index: str | None) -> Row | None:
    values = {side: _cell(f"{side}_{key}", getattr(m, f"{side}_{key}", None), digits) for side in ("lv", "rv")}
    if key in _ALWAYS:
        values = {side: cell or Cell(f"{side}_{key}", number(None)) for side, cell in values.items()}
    indices = {side: _cell(f"{side}_{index}", m.indexed.get(f"{side}_{index}"), digits) for side in ("lv", "rv")}
    if not any(values.values()):
        return None
    return Row(name, unit, values["lv"], values["rv"], indices["lv"], indices["rv"])


def _rate_row(m: Measurements, name: str, key: str) -> Row | None:
    if m.lv_rates is None and m.rv_rates is None:
        return None
    cells = {}
    for side, rates in (("lv", m.lv_rates), ("rv", m.rv_rates)):
        cells[side] = None if rates is None else _cell(f"{side}_rates.{key}", getattr(rates, key), 0)
    return Row(name, "ml/s", cells["lv"], cells["rv"])


def _cell(key: str, value: float | None, digits: int) -> Cell | None:
    return None if value is None or not np.isfinite(value) else Cell(key, number(value, digits))


def acquisition_facts(segmented: SegmentedCine) -> list[tuple[str, str]]:
    """Names and values of known facts of the images; no patient data."""
    cine, m = segmented.cine, segmented.measurements
    frames, slices, height, width = cine.image.shape
    between, row, column = cine.spacing
    uneven = " on average; unevenly spaced" if cine.geometry.slice_offsets_mm else ""
    facts = [
        ("Slices", str(slices)),
        ("Slice spacing, center to center", f"{between:.1f} mm{uneven}"),
        ("Pixel size, row x column", f"{row:.2f} x {column:.2f} mm"),
        ("Matrix, rows x columns", f"{height} x {width}"),
        ("Phases", str(frames)),
    ]
    if cine.timing.rr_interval_ms and frames > 1:
        facts.append(("Time between phases", f"{cine.timing.rr_interval_ms / frames:.0f} ms"))
    if m.heart_rate_per_min is not None:
        source = f" ({m.rr_source})" if m.rr_source else ""
        facts.append(("Heart rate", f"{m.heart_rate_per_min:.0f} /min{source}"))
    else:
        facts.append(("Heart rate", "not known"))
    facts.append(("Body surface area", "not known" if m.bsa_m2 is None else f"{m.bsa_m2:.2f} m²"))
    return facts


def convention_facts(measurements: Measurements) -> list[tuple[str, str]]:
    """Every convention of the measurements, in words."""
    return [(_heading(key), text) for key, text in measurements.conventions.items()]


def _heading(key: str) -> str:
    """A key as a heading: its abbreviations in capitals."""
    words = " ".join(word.upper() if word in _SHORT_NAMES else word for word in key.split("_"))
    return words[:1].upper() + words[1:]


def model_facts(segmented: SegmentedCine) -> list[tuple[str, str]]:
    """The model and software that made the labels."""
    if segmented.result is None:
        return [("Labels", "read from a file; no model ran")]
    report = segmented.result.report
    return [
        ("Model", report.model),
        ("Model digest (SHA-256)", report.model_digest),
        ("Software", f"cardiacseg {report.version}"),
        ("Ran on", f"{report.backend}, {report.device}, {report.precision}"),
    ]


def model_phrase(segmented: SegmentedCine) -> str:
    """The same in a few words."""
    if segmented.result is None:
        return "labels read from a file"
    report = segmented.result.report
    return f"model {report.model} ({report.model_digest[:12]}), cardiacseg {report.version}"


def counts_phrase(segmented: SegmentedCine) -> str:
    """Kind and number of the images."""
    frames, slices = segmented.labels.shape[:2]
    return f"Short-axis cine, {slices} slice{'s' * (slices > 1)}, {frames} phase{'s' * (frames > 1)}"


def phase_names(measurements: Measurements) -> list[tuple[str, int]]:
    """The phases that have a name, in order of time; the RV's only if they differ from the LV's."""
    m = measurements
    if m.es_frame is None:
        return []
    names = [("ED", m.ed_frame), ("ES", m.es_frame)]
    if (m.rv_ed_frame, m.rv_es_frame) != (m.ed_frame, m.es_frame):
        names = [("LV ED", m.ed_frame), ("LV ES", m.es_frame), ("RV ED", m.rv_ed_frame), ("RV ES", m.rv_es_frame)]
    return [(name, int(frame)) for name, frame in names if frame is not None]


def place_in_words(frame: int | None, index: int | None) -> str:
    """'slice 3, phase 7' of a frame and a slice that count from 0."""
    parts = [f"slice {index + 1}"] if index is not None else []
    return ", ".join(parts + ([f"phase {frame + 1}"] if frame is not None else []))
