"""Elements of HTML and SVG, and curves and bullseye made of them.

The standard library writes the elements, so every text and attribute is escaped. The page's script moves the cursor of
the curves and takes clicks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np

from cardiacseg.io.report.content import SEGMENTS, Scale, Segment, TimeAxis, nice_ticks

Element = ElementTree.Element
_WIDTH = 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 34, 22, 38
_CENTRE, _RADIUS, _SIZE = 150, 132, 300
_STEPS = 24


def element(tag: str, attributes: dict | None = None, *children: "Element | str") -> Element:
    """``<tag>`` with attributes (numbers are rounded to two digits) and children in order; ``None`` is left out."""
    given = {name: _text(value) for name, value in (attributes or {}).items() if value is not None}
    made = Element(tag, given)
    for child in children:
        if isinstance(child, str):
            _append_text(made, child)
        else:
            made.append(child)
    return made


def to_html(*elements: Element) -> str:
    """The elements as text, one after the other."""
    return "\n".join(ElementTree.tostring(one, encoding="unicode", method="html") for one in elements)


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _append_text(made: Element, text: str) -> None:
    if len(made):
        made[-1].tail = (made[-1].tail or "") + text
    else:
        made.text = (made.text or "") + text


@dataclass(frozen=True)
class Chart:
    """A chart: curves ``[T]`` by name, which is also their CSS class, and the value at the top of the axis."""

    curves: Mapping[str, np.ndarray]
    label: str
    highest: float
    height: int
    spoken: str


def chart_svg(chart: Chart, axis: TimeAxis, marks: Sequence[tuple[str, int]]) -> Element:
    """``marks`` are names of phases with their frames. Values that are NaN leave a gap."""
    xs = phase_places(axis)
    svg = element(
        "svg",
        {"viewBox": f"0 0 {_WIDTH} {chart.height}", "class": "chart", "role": "img", "aria-label": chart.spoken},
        *_horizontal_lines(chart),
        *_time_ticks(chart, axis),
        *(part for name, frame in marks for part in _mark(chart, name, xs[frame])),
    )
    svg.append(_cursor(chart, xs[0]))
    for name, values in chart.curves.items():
        svg.extend(_curve(chart, name, values, xs))
    svg.extend(_names(chart, xs))
    return svg


def phase_places(axis: TimeAxis) -> list[float]:
    """Horizontal position of each phase in the picture, in its units."""
    low, high = _ends(axis)
    return [_LEFT + (at - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT) for at in axis.at]


def _ends(axis: TimeAxis) -> tuple[float, float]:
    low, high = float(axis.at.min()), float(axis.at.max())
    return (low, high) if high > low else (low - 1, high + 1)


def _y(chart: Chart, value: float) -> float:
    low = chart.height - _BOTTOM
    return low - value / chart.highest * (low - _TOP)


def _horizontal_lines(chart: Chart) -> list[Element]:
    made = [element("text", {"x": 4, "y": 13, "class": "axis"}, chart.label)]
    for tick in nice_ticks(0, chart.highest, max(2, chart.height // 60)):
        y = _y(chart, tick)
        made.append(element("line", {"x1": _LEFT, "x2": _WIDTH - _RIGHT, "y1": y, "y2": y, "class": "grid"}))
        made.append(element("text", {"x": _LEFT - 7, "y": y + 4, "class": "axis end"}, f"{tick:g}"))
    return made


def _time_ticks(chart: Chart, axis: TimeAxis) -> list[Element]:
    low, high = _ends(axis)
    places = [(tick, phase_places(TimeAxis(np.array([low, tick, high]), ""))[1]) for tick in nice_ticks(low, high, 6)]
    y = chart.height - _BOTTOM + 16
    made = [element("text", {"x": x, "y": y, "class": "axis middle"}, f"{tick:g}") for tick, x in places]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return [*made, element("text", {"x": middle, "y": chart.height - 6, "class": "axis middle"}, axis.label)]


def _mark(chart: Chart, name: str, x: float) -> list[Element]:
    line = {"x1": x, "x2": x, "y1": _TOP, "y2": chart.height - _BOTTOM, "class": "mark"}
    return [element("line", line), element("text", {"x": x, "y": _TOP - 7, "class": "name middle"}, name)]


def _cursor(chart: Chart, x: float) -> Element:
    return element("line", {"x1": x, "x2": x, "y1": _TOP, "y2": chart.height - _BOTTOM, "class": "cursor"})


def _curve(chart: Chart, name: str, values: np.ndarray, xs: list[float]) -> list[Element]:
    points = [(x, _y(chart, float(value))) for x, value in zip(xs, values, strict=True) if np.isfinite(value)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [element("circle", {"cx": x, "cy": y, "r": 2.4, "class": f"dot {name}"}) for x, y in points]
    return [element("polyline", {"points": path, "class": f"curve {name}"}), *dots]


def _names(chart: Chart, xs: list[float]) -> list[Element]:
    """The curves' names behind their last points, moved apart if they would touch; a single curve needs none."""
    if len(chart.curves) == 1:
        return []
    ends = [(_y(chart, float(values[-1])), name) for name, values in chart.curves.items() if np.isfinite(values[-1])]
    ends.sort()
    for index in range(1, len(ends)):
        ends[index] = max(ends[index][0], ends[index - 1][0] + 15), ends[index][1]
    return [element("text", {"x": xs[-1] + 9, "y": y + 4, "class": f"name {name}"}, name) for y, name in ends]


def bullseye_svg(scale: Scale) -> Element:
    """A field for each segment with its number and value; one that was not seen is hatched."""
    spoken = f"{scale.title} of the 16 segments in {scale.unit}"
    attributes = {"viewBox": f"0 0 {_SIZE} {_SIZE + 36}", "class": "bullseye", "role": "img", "aria-label": spoken}
    hatch = f"hatch-{scale.key}"
    svg = element("svg", attributes, _hatching(hatch))
    for segment, value in zip(SEGMENTS, scale.values, strict=True):
        svg.append(_field(scale, segment, float(value), hatch))
    svg.extend(_sides())
    svg.extend(_legend(scale))
    return svg


def _hatching(name: str) -> Element:
    size = {"id": name, "width": 7, "height": 7, "patternUnits": "userSpaceOnUse", "patternTransform": "rotate(45)"}
    line = element("line", {"x1": 0, "x2": 0, "y1": 0, "y2": 7, "class": "hatch"})
    return element("defs", None, element("pattern", size, line))


def _field(scale: Scale, segment: Segment, value: float, hatch: str) -> Element:
    seen = math.isfinite(value)
    spoken = f"{value:.1f} {scale.unit}" if seen else "not seen"
    group = element("g", {"class": "segment"}, element("title", None, f"{segment.number} {segment.name}: {spoken}"))
    fill = scale.color(value) if seen else f"url(#{hatch})"
    group.append(element("path", {"d": _outline(segment), "fill": fill, "class": "field"}))
    x, y = _at(*segment.middle)
    if seen:
        digits = 1 if scale.unit == "mm" else 0
        text = {"x": x, "y": y + 8, "class": "value middle", "fill": scale.ink(value)}
        group.append(element("text", text, f"{value:.{digits}f}"))
    ink = scale.ink(value) if seen else None
    group.append(element("text", {"x": x, "y": y - 7, "class": "number middle", "fill": ink}, str(segment.number)))
    return group


def _at(right: float, up: float) -> tuple[float, float]:
    return _CENTRE + _RADIUS * right, _CENTRE - _RADIUS * up


def _outline(segment: Segment) -> str:
    angles = np.radians(np.linspace(segment.start, segment.end, _STEPS))
    outer = [(segment.outer * np.cos(angle), segment.outer * np.sin(angle)) for angle in angles]
    inner = [(segment.inner * np.cos(angle), segment.inner * np.sin(angle)) for angle in angles[::-1]]
    places = (_at(float(right), float(up)) for right, up in [*outer, *inner])
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in places) + "Z"


def _sides() -> list[Element]:
    return [
        element("text", {"x": _CENTRE, "y": 11, "class": "axis middle"}, "anterior"),
        element("text", {"x": _CENTRE, "y": _SIZE - 4, "class": "axis middle"}, "inferior"),
        element("text", {"class": "axis middle", "transform": f"translate(11,{_CENTRE}) rotate(-90)"}, "septal"),
        element("text", {"class": "axis middle", "transform": f"translate(289,{_CENTRE}) rotate(90)"}, "lateral"),
    ]


def _legend(scale: Scale) -> list[Element]:
    """The colors' bar with its ends and middle."""
    left, width, steps, top = 60, 180, 30, _SIZE + 8
    colors = [scale.color(scale.low + (scale.high - scale.low) * index / (steps - 1)) for index in range(steps)]
    made = [
        element(
            "rect", {"x": left + width * index / steps, "y": top, "width": width / steps + 0.5, "height": 9, "fill": c}
        )
        for index, c in enumerate(colors)
    ]
    middle = (scale.low + scale.high) / 2
    ticks = ((0, f"{scale.low:g}"), (0.5, f"{middle:g}"), (1, f"≥ {scale.high:g} {scale.unit}"))
    for part, text in ticks:
        made.append(element("text", {"x": left + width * part, "y": top + 22, "class": "axis middle"}, text))
    return made
