"""The preview picture: slices at end-diastole and end-systole with contours, volume curves and a table."""

import io
from pathlib import Path

import numpy as np

from cardiacseg.io.contours import CONTOURED, outline, smooth
from cardiacseg.io.output import write_bytes
from cardiacseg.measurements import Measurements

# Okabe and Ito's colors, which people with any color vision tell apart.
COLORS = {"RV": "#56B4E9", "MYO": "#CC79A7", "LV": "#E69F00"}
_GROUND, _INK, _FAINT = "#12161c", "#e8ecf1", "#8a94a3"
_COLUMNS = 6
_MARGIN_MM = 14.0
_DPI, _PICTURE_INCH = 130, 2.0
_LEFT_INCH, _RIGHT_INCH, _HEAD_INCH, _FOOT_INCH = 0.55, 0.15, 0.75, 2.75


def write_preview(
    path: str | Path,
    image: np.ndarray,
    labels: np.ndarray,
    spacing: tuple[float, float, float],
    measurements: Measurements,
    title: str,
) -> None:
    """Write a PNG of ``image`` and ``labels`` ``[T, S, H, W]``, atomically; ``spacing`` in mm. Needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [(measurements.ed_frame, "ED"), (measurements.es_frame, "ES")]
    if measurements.es_frame is None:
        rows = [(measurements.ed_frame, "")]
    columns = shown_slices(labels)
    height = _PICTURE_INCH * len(rows) + _FOOT_INCH + _HEAD_INCH
    width = _LEFT_INCH + _PICTURE_INCH * _COLUMNS + _RIGHT_INCH
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor=_GROUND)
    _write_head(figure, title, height)
    window = heart_window(labels, spacing)
    for row, (frame, phase) in enumerate(rows):
        for column, index in enumerate(columns):
            bottom = (_FOOT_INCH + _PICTURE_INCH * (len(rows) - 1 - row)) / height
            left = (_LEFT_INCH + _PICTURE_INCH * column) / width
            box = (left, bottom, _PICTURE_INCH * 0.97 / width, _PICTURE_INCH * 0.97 / height)
            axes = figure.add_axes(box)
            draw_slice(axes, image[frame, index], labels[frame, index], spacing, window)
            if row == 0:
                _write_above(axes, f"slice {index + 1}")
            if column == 0:
                note = f"{phase}  frame {frame + 1}" if phase else f"frame {frame + 1}"
                axes.text(-0.05, 0.5, note, transform=axes.transAxes, rotation=90, color=_INK, va="center", ha="right")
    _draw_foot(figure, measurements, _FOOT_INCH / height)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, pil_kwargs={"compress_level": 3})  # half the time, a tenth more bytes
    write_bytes(Path(path), buffer.getvalue())


def pictures_box(width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the slices in a preview of that size, in pixels."""
    left, right, top, bottom = (round(inch * _DPI) for inch in (_LEFT_INCH, _RIGHT_INCH, _HEAD_INCH, _FOOT_INCH))
    return left, top, width - right, height - bottom


def shown_slices(labels: np.ndarray) -> list[int]:
    """Up to six slices, evenly from the first to the last with a label in any frame; without labels, of all."""
    found = np.flatnonzero(labels.any(axis=(0, 2, 3)))
    first, last = (found[0], found[-1]) if len(found) else (0, labels.shape[1] - 1)
    count = min(_COLUMNS, last - first + 1)
    return [int(index) for index in np.rint(np.linspace(first, last, count))]


def heart_window(labels: np.ndarray, spacing: tuple[float, float, float]) -> tuple[float, float, float, float]:
    """Left, right, bottom and top in mm of a square around all labels; the whole image if there are none."""
    _, row_mm, column_mm = spacing
    height, width = labels.shape[2] * row_mm, labels.shape[3] * column_mm
    mask = labels.any(axis=(0, 1))
    if not mask.any():
        side = max(height, width)
        return (width - side) / 2, (width + side) / 2, (height + side) / 2, (height - side) / 2
    ys, xs = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    center_y, center_x = (ys[0] + ys[-1] + 1) / 2 * row_mm, (xs[0] + xs[-1] + 1) / 2 * column_mm
    half = max((ys[-1] - ys[0] + 1) * row_mm, (xs[-1] - xs[0] + 1) * column_mm) / 2 + _MARGIN_MM
    return center_x - half, center_x + half, center_y + half, center_y - half


def drawable(text: str) -> str:
    """``text`` with a question mark for what matplotlib's own font cannot draw, such as a damaged file name."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    return "".join(letter if font.get_char_index(ord(letter)) else "?" for letter in text)


def draw_slice(
    axes,
    image: np.ndarray,
    labels: np.ndarray,
    spacing: tuple[float, float, float],
    window: tuple[float, float, float, float],
) -> None:
    """One slice's image with contours on matplotlib's ``axes``, in mm, cut to ``window`` of :func:`heart_window`."""
    _, row_mm, column_mm = spacing
    height, width = image.shape
    left, right, bottom, top = window
    rows = slice(max(0, int(top / row_mm)), max(1, int(np.ceil(bottom / row_mm))))
    columns = slice(max(0, int(left / column_mm)), max(1, int(np.ceil(right / column_mm))))
    finite = image[rows, columns][np.isfinite(image[rows, columns])]
    low, high = np.percentile(finite, (0.5, 99.3)) if finite.size else (0, 1)
    extent = (0, width * column_mm, height * row_mm, 0)
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="bicubic", aspect="equal")
    x, y = (np.arange(width) + 0.5) * column_mm, (np.arange(height) + 0.5) * row_mm
    for name in CONTOURED:
        if (mask := outline(labels, name)).any():
            axes.contour(x, y, smooth(mask), levels=[0.5], colors=COLORS[name], linewidths=1.2)
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], facecolor="black")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _write_above(axes, text: str) -> None:
    axes.text(0.5, 1.025, text, transform=axes.transAxes, color=_FAINT, va="bottom", ha="center", fontsize=8.5)


def _write_head(figure, title: str, height: float) -> None:
    from matplotlib.lines import Line2D

    place = 0.55 / figure.get_figwidth(), 1 - 0.2 / height
    look = {"color": _INK, "fontsize": 13, "weight": "bold", "va": "top"}
    figure.text(*place, drawable(title), parse_math=False, **look)
    names = {"RV": "RV cavity", "MYO": "LV myocardium (outer edge)", "LV": "LV cavity"}
    handles = [Line2D([], [], color=COLORS[key], linewidth=2, label=name) for key, name in names.items()]
    figure.legend(
        handles=handles,
        loc="upper right",
        ncols=3,
        frameon=False,
        labelcolor=_INK,
        fontsize=9,
        bbox_to_anchor=(0.99, 1 - 0.16 / height),
        borderaxespad=0,
        handlelength=1.6,
    )


def _draw_foot(figure, measurements: Measurements, top: float) -> None:
    """Volume curves on the left, the table on the right, the statement of use below."""
    several = measurements.es_frame is not None
    if several:
        _draw_curves(figure.add_axes((0.075, 0.26 * top, 0.52, 0.62 * top)), measurements)
    table = figure.add_axes((0.66 if several else 0.045, 0.2 * top, 0.31, 0.7 * top))
    _draw_table(table, _table_rows(measurements), ["LV", "RV"] if several else ["this frame"])
    figure.text(0.985, 0.02, "Research use only. Not a medical device.", color=_FAINT, fontsize=7, ha="right")


def _draw_curves(axes, measurements: Measurements) -> None:
    frames = np.arange(1, len(measurements.lv_ml) + 1)
    curves = {"LV": measurements.lv_ml, "RV": measurements.rv_ml}
    upper = max(curves, key=lambda name: curves[name][-1])
    for name, volumes in curves.items():
        axes.plot(frames, volumes, color=COLORS[name], linewidth=2, marker="o", markersize=3.2)
        axes.annotate(
            name,
            (frames[-1], volumes[-1]),
            xytext=(8, 6 if name == upper else -6),
            textcoords="offset points",
            color=COLORS[name],
            va="center",
            weight="bold",
        )
    highest = max(float(measurements.lv_ml.max()), float(measurements.rv_ml.max()), 1.0)
    for frame, phase in ((measurements.ed_frame, "ED"), (measurements.es_frame, "ES")):
        axes.axvline(frame + 1, color=_FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        axes.text(frame + 1, highest * 1.17, phase, color=_INK, ha="center", va="bottom", fontsize=9)
    axes.set(ylim=(0, highest * 1.15), xlim=(0.4, len(frames) + 0.6), facecolor=_GROUND)
    axes.set_xlabel("frame", color=_FAINT)
    axes.set_ylabel("volume (ml)", color=_FAINT)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(colors=_FAINT, labelsize=8, length=0)
    axes.grid(axis="y", color="#2a313b", linewidth=0.7)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", color="#3a4350")


def _number(value: float | None, digits: int = 0) -> str:
    return "not defined" if value is None else f"{value:.{digits}f}"


def _table_rows(measurements: Measurements) -> list[tuple[str, str, list[str]]]:
    """Name, unit and values of each row."""
    m = measurements
    if m.es_frame is None:
        volumes = (("RV volume", m.rv_ml), ("LV volume", m.lv_ml), ("Myocardial volume", m.myo_ml))
        rows = [(name, "ml", [_number(float(curve[0]))]) for name, curve in volumes]
        return [*rows, ("Myocardial mass", "g", [_number(m.lv_mass_g)])]
    return [
        ("End-diastolic volume", "ml", [_number(m.lv_edv_ml), _number(m.rv_edv_ml)]),
        ("End-systolic volume", "ml", [_number(m.lv_esv_ml), _number(m.rv_esv_ml)]),
        ("Stroke volume", "ml", [_number(m.lv_sv_ml), _number(m.rv_sv_ml)]),
        ("Ejection fraction", "%", [_number(m.lv_ef_percent, 1), _number(m.rv_ef_percent, 1)]),
        ("Myocardial mass at ED", "g", [_number(m.lv_mass_g), ""]),
    ]


def _draw_table(axes, rows: list[tuple[str, str, list[str]]], heads: list[str]) -> None:
    axes.set(xlim=(0, 1), ylim=(len(rows) + 0.1, -1), facecolor=_GROUND)
    axes.axis("off")
    places = [0.62, 0.84] if len(heads) == 2 else [0.7]
    for place, head in zip(places, heads, strict=True):
        axes.text(place, -0.45, head, color=COLORS.get(head, _INK), ha="right", va="center", weight="bold")
    for index, (name, unit, values) in enumerate(rows):
        axes.axhline(index, color="#2a313b", linewidth=0.8)
        axes.text(0, index + 0.5, name, color=_INK, va="center", fontsize=10)
        axes.text(0.9, index + 0.5, unit, color=_FAINT, va="center", fontsize=9)
        for place, value in zip(places, values, strict=False):
            axes.text(place, index + 0.5, value, color=_INK, ha="right", va="center", fontsize=10.5)
