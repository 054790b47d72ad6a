"""The bullseye as SVG."""

import math

import numpy as np

from cardiacseg.io.page.markup import Element, element
from cardiacseg.io.page.segments import SEGMENTS, Scale, Segment

_CENTRE, _RADIUS, _SIZE = 150, 132, 300
_STEPS = 24


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
    fill = scale.colour(value) if seen else f"url(#{hatch})"
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
    """The colours' bar with its ends and middle."""
    left, width, steps, top = 60, 180, 30, _SIZE + 8
    colours = [scale.colour(scale.low + (scale.high - scale.low) * index / (steps - 1)) for index in range(steps)]
    made = [
        element(
            "rect", {"x": left + width * index / steps, "y": top, "width": width / steps + 0.5, "height": 9, "fill": c}
        )
        for index, c in enumerate(colours)
    ]
    middle = (scale.low + scale.high) / 2
    ticks = ((0, f"{scale.low:g}"), (0.5, f"{middle:g}"), (1, f"≥ {scale.high:g} {scale.unit}"))
    for part, text in ticks:
        made.append(element("text", {"x": left + width * part, "y": top + 22, "class": "axis middle"}, text))
    return made
