"""Curves over the beat as SVG. The page's script moves the cursor and takes clicks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cardiacseg.io.page.axis import TimeAxis, nice_ticks
from cardiacseg.io.page.markup import Element, element

_WIDTH = 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 34, 22, 38


@dataclass(frozen=True)
class Chart:
    """What to draw: curves ``[T]`` by name, which is also their CSS class, and the value at the axis's top."""

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
    """Where each phase lies across the picture, in its units."""
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
    """The curves' names behind their last points, moved apart where they would touch; a single curve needs none."""
    if len(chart.curves) == 1:
        return []
    ends = [(_y(chart, float(values[-1])), name) for name, values in chart.curves.items() if np.isfinite(values[-1])]
    ends.sort()
    for index in range(1, len(ends)):
        ends[index] = max(ends[index][0], ends[index - 1][0] + 15), ends[index][1]
    return [element("text", {"x": xs[-1] + 9, "y": y + 4, "class": f"name {name}"}, name) for y, name in ends]
