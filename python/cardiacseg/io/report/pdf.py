"""The report as one PDF page, A4 upright, for printing and filing."""

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cardiacseg.io.cine import SegmentedCine
from cardiacseg.io.output import write_bytes
from cardiacseg.io.report.content import (
    SEGMENTS,
    Scale,
    Segment,
    TimeAxis,
    acquisition_facts,
    convention_facts,
    counts_phrase,
    measurement_rows,
    model_facts,
    model_phrase,
    phase_names,
    time_axis,
    wall_scales,
)
from cardiacseg.io.report.preview import COLORS, draw_slice, drawable, heart_window, shown_slices
from cardiacseg.measurements import Measurements

INK, FAINT, RULE = "#1a2029", "#5a6473", "#d5dae1"
# All lengths are in inches from the page's lower left corner.
_WIDTH, _HEIGHT, _MARGIN = 8.27, 11.69, 0.55
_INNER = _WIDTH - 2 * _MARGIN
_TILE = (_INNER - 0.25) / 6
_TEXT_LINE = 0.13
_MOST_FLAG_LINES = 8
_LETTERS = 134  # in a line of small text
_TITLE_LETTERS_13_PT, _TITLE_LETTERS = 62, 100  # a longer title is set smaller


def write_pdf(path: str | Path, segmented: SegmentedCine) -> None:
    """Write one page, atomically; the same results give the same bytes. Needs matplotlib."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=200, facecolor="white")
    top = _draw_head(figure, segmented)
    top = _draw_pictures(figure, segmented, top)
    _draw_middle(figure, segmented, top)
    _draw_texts(figure, segmented, top - 4.05)
    buffer = io.BytesIO()
    FigureCanvasPdf(figure).print_pdf(buffer, metadata={"CreationDate": None, "Title": "cardiacseg report"})
    write_bytes(Path(path), buffer.getvalue())


def _axes(figure, left: float, bottom: float, width: float, height: float):
    return figure.add_axes((left / _WIDTH, bottom / _HEIGHT, width / _WIDTH, height / _HEIGHT))


def _write(figure, x: float, y: float, text: str, **look) -> None:
    """Unchanged ``text``: a dollar sign does not start a formula."""
    look = {"color": INK, "fontsize": 7.5, "va": "top", "parse_math": False, **look}
    figure.text(x / _WIDTH, y / _HEIGHT, drawable(text), **look)


def _rule(figure, y: float, left: float = _MARGIN, right: float = _WIDTH - _MARGIN) -> None:
    from matplotlib.lines import Line2D

    figure.add_artist(Line2D((left / _WIDTH, right / _WIDTH), (y / _HEIGHT, y / _HEIGHT), color=RULE, linewidth=0.6))


def _heading(figure, x: float, y: float, text: str) -> None:
    _write(figure, x, y, text, fontsize=8.5, weight="bold")


def _draw_head(figure, segmented: SegmentedCine) -> float:
    """Title, model and use; returns the remaining height."""
    top = _HEIGHT - 0.45
    title = textwrap.shorten(segmented.title or "Short-axis cine", _TITLE_LETTERS, placeholder=" …")
    size = 13 * min(1, _TITLE_LETTERS_13_PT / max(len(title), 1))
    _write(figure, _MARGIN, top, title, fontsize=size, weight="bold")
    _write(figure, _MARGIN, top - 0.26, f"{counts_phrase(segmented)}; {model_phrase(segmented)}", color=FAINT)
    use = {"ha": "right", "weight": "bold", "color": "#9a5b00"}
    _write(figure, _WIDTH - _MARGIN, top - 0.26, "Research use only. Not a medical device.", **use)
    _rule(figure, top - 0.46)
    return top - 0.62


def _draw_pictures(figure, segmented: SegmentedCine, top: float) -> float:
    """Slices at ED and at ES with contours."""
    names = phase_names(segmented.measurements)[:2] or [("", segmented.measurements.ed_frame)]
    window = heart_window(segmented.labels, segmented.cine.spacing)
    for row, (name, frame) in enumerate(names):
        bottom = top - 0.14 - (row + 1) * (_TILE + 0.03)
        label = f"{name}, phase {frame + 1}" if name else "the phase"
        _write(figure, _MARGIN, bottom + _TILE / 2, label, rotation=90, va="center")
        for column, index in enumerate(shown_slices(segmented.labels)):
            axes = _axes(figure, _MARGIN + 0.25 + column * _TILE, bottom, _TILE * 0.975, _TILE)
            picture, labels = segmented.cine.image[frame, index], segmented.labels[frame, index]
            draw_slice(axes, picture, labels, segmented.cine.spacing, window)
            if row == 0:
                center = _MARGIN + 0.25 + (column + 0.49) * _TILE
                _write(figure, center, top, f"slice {index + 1}", ha="center", color=FAINT, fontsize=7)
    bottom = top - 0.14 - len(names) * (_TILE + 0.03)
    _draw_legend(figure, bottom - 0.05)
    return bottom - 0.35


def _draw_legend(figure, y: float) -> None:
    from matplotlib.lines import Line2D

    names = {"LV": "LV cavity", "MYO": "myocardium, outer edge", "RV": "RV cavity"}
    handles = [Line2D([], [], color=COLORS[key], linewidth=2, label=name) for key, name in names.items()]
    place = {"loc": "upper right", "bbox_to_anchor": ((_WIDTH - _MARGIN) / _WIDTH, y / _HEIGHT), "borderaxespad": 0}
    figure.legend(handles=handles, ncols=3, frameon=False, fontsize=7, labelcolor=INK, handlelength=1.6, **place)


def _draw_middle(figure, segmented: SegmentedCine, top: float) -> None:
    """Table and curves on the left, bullseyes on the right."""
    m = segmented.measurements
    right = 0.62 * _WIDTH + 0.15
    _heading(figure, _MARGIN, top, "Measurements")
    bottom = _draw_table(figure, segmented, top - 0.22, right - 0.35)
    if m.es_frame is not None:
        low = top - 3.62
        axes = _axes(figure, _MARGIN + 0.42, low, right - _MARGIN - 0.77, bottom - 0.3 - low)
        _draw_curves(axes, m, time_axis(segmented), phase_names(m))
    if m.wall is None:
        return
    scales = [scale for scale in wall_scales(m.wall) if scale.key != "es"]
    _heading(figure, right, top, "Wall, AHA 16 segments")
    side = _WIDTH - _MARGIN - right
    for index, scale in enumerate(scales):
        _draw_bullseye(_axes(figure, right, top - 0.3 - (index + 1) * 1.75, side, 1.5), scale)


def _draw_table(figure, segmented: SegmentedCine, top: float, right: float) -> float:
    """The measurements' rows; returns the height below them."""
    rows = measurement_rows(segmented.measurements)
    indexed = any(row.lv_index or row.rv_index for row in rows)
    places = [2.15, 2.7, 2.78] + ([3.75, 4.35] if indexed else [])
    heads = ["LV", "RV", ""] + (["LV / m²", "RV / m²"] if indexed else [])
    for place, head in zip(places, heads, strict=True):
        _write(figure, _MARGIN + place, top, head, ha="right", weight="bold", fontsize=7)
    for row in rows:
        top -= 0.16
        _rule(figure, top + 0.025, right=right)
        cells = [row.lv, row.rv, None, row.lv_index, row.rv_index]
        _write(figure, _MARGIN, top, row.name)
        _write(figure, _MARGIN + 2.78, top, row.unit, color=FAINT)
        for place, cell in zip(places, cells, strict=False):
            if cell is not None:
                _write(figure, _MARGIN + place, top, cell.text, ha="right", weight="bold")
    return top - 0.16


def _draw_texts(figure, segmented: SegmentedCine, top: float) -> None:
    """Flags, facts, conventions and the model, as far as the page has room."""
    _rule(figure, top + 0.1)
    _heading(figure, _MARGIN, top, "Quality flags")
    top = _write_lines(figure, top - 0.2, _flag_lines(segmented), INK)
    _heading(figure, _MARGIN, top - 0.1, "Acquisition and method")
    room = int((top - 0.3 - 0.7) / _TEXT_LINE)
    _write_lines(figure, top - 0.3, _method_lines(segmented, room), FAINT)
    _draw_foot(figure, segmented)


def _method_lines(segmented: SegmentedCine, room: int) -> list[str]:
    """Facts and conventions in at most ``room`` lines: one below the other, or if that is too long, in a row."""
    facts, conventions = acquisition_facts(segmented), convention_facts(segmented.measurements)
    first = textwrap.wrap("; ".join(f"{name}: {text}" for name, text in facts), _LETTERS)
    below = [line for name, text in conventions for line in textwrap.wrap(f"{name}: {text}", _LETTERS)]
    row = textwrap.wrap("; ".join(f"{name}: {text}" for name, text in conventions), _LETTERS)
    lines = [*first, *(below if len(first) + len(below) <= room else row)]
    return _at_most(lines, room, "… measurements.json has all conventions")


def _flag_lines(segmented: SegmentedCine) -> list[str]:
    if not segmented.flags:
        return ["No flag was raised. This does not prove that the contours are right."]
    lines: list[str] = []
    for index, flag in enumerate(segmented.flags):
        wrapped = textwrap.wrap(f"• {flag.text}", _LETTERS)
        if len(lines) + len(wrapped) > _MOST_FLAG_LINES:
            return [*lines, f"and {len(segmented.flags) - index} more, listed in quality.json"]
        lines += wrapped
    return lines


def _at_most(lines: list[str], count: int, ending: str) -> list[str]:
    return lines if len(lines) <= count else [*lines[: max(0, count - 1)], ending]


def _write_lines(figure, top: float, lines: list[str], color: str) -> float:
    for line in lines:
        _write(figure, _MARGIN, top, line, color=color, fontsize=7)
        top -= _TEXT_LINE
    return top


def _draw_foot(figure, segmented: SegmentedCine) -> None:
    _rule(figure, 0.62)
    facts = dict(model_facts(segmented))
    if segmented.result is not None:
        quality = np.asarray(segmented.result.quality, dtype=float)
        seen = f"; predicted mean Dice {np.nanmean(quality):.2f}" if np.isfinite(quality).any() else ""
        text = f"Model {facts['Model']}, SHA-256 {facts['Model digest (SHA-256)']}; {facts['Software']}{seen}"
    else:
        text = f"Labels {facts['Labels']}"
    _write(figure, _MARGIN, 0.54, text, color=FAINT, fontsize=6.5)
    _write(
        figure,
        _MARGIN,
        0.4,
        "Research use only. Not a medical device; not for diagnosis or treatment.",
        fontsize=6.5,
        weight="bold",
    )


def _draw_curves(axes, measurements: Measurements, axis: TimeAxis, names: Sequence[tuple[str, int]]) -> None:
    """Volumes of LV and RV over the cardiac cycle, with the named phases."""
    curves = {"LV": measurements.lv_ml, "RV": measurements.rv_ml}
    highest = 1.1 * max(1.0, *(float(values.max()) for values in curves.values()))
    for name, values in curves.items():
        axes.plot(axis.at, values, color=COLORS[name], linewidth=1.5, marker="o", markersize=2.2, label=name)
    for name, frame in names:
        axes.axvline(axis.at[frame], color=FAINT, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0)
        axes.text(axis.at[frame], highest * 1.02, name, color=INK, ha="center", va="bottom", fontsize=7)
    axes.set_ylim(0, highest)
    axes.set_xlabel(axis.label, color=FAINT, fontsize=7)
    axes.set_ylabel("volume (ml)", color=FAINT, fontsize=7)
    axes.tick_params(colors=FAINT, labelsize=6.5, length=0)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.legend(loc="lower right", fontsize=7, frameon=False, labelcolor=INK, ncols=2, handlelength=1.4)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", color=RULE)


def _draw_bullseye(axes, scale: Scale) -> None:
    """A field for each segment with its value; one that was not seen is hatched."""
    axes.set(xlim=(-1.12, 1.12), ylim=(-1.12, 1.12), aspect="equal")
    axes.axis("off")
    axes.set_title(scale.caption, fontsize=7.5, color=INK, pad=3)
    for segment, value in zip(SEGMENTS, scale.values, strict=True):
        _draw_field(axes, scale, segment, float(value))
    for x, y, turn, text in (
        (0, 1.06, 0, "anterior"),
        (0, -1.08, 0, "inferior"),
        (-1.07, 0, 90, "septal"),
        (1.07, 0, 270, "lateral"),
    ):
        axes.text(x, y, text, rotation=turn, ha="center", va="center", fontsize=5.5, color=FAINT)


def _draw_field(axes, scale: Scale, segment: Segment, value: float) -> None:
    from matplotlib.patches import Wedge

    seen = np.isfinite(value)
    look = {"facecolor": scale.color(value)} if seen else {"facecolor": "white", "hatch": "////"}
    width = segment.outer - segment.inner
    wedge = Wedge(
        (0, 0), segment.outer, segment.start, segment.end, width=width, edgecolor="white" if seen else RULE, **look
    )
    axes.add_patch(wedge)
    if seen:
        text = f"{value:.1f}" if scale.unit == "mm" else f"{value:.0f}"
        axes.text(*segment.middle, text, color=scale.ink(value), ha="center", va="center", fontsize=6.5)
