"""Curves and bullseyes of the PDF page, on matplotlib's axes."""

from collections.abc import Sequence

import numpy as np

from cardiacseg.io.page.axis import TimeAxis
from cardiacseg.io.page.segments import SEGMENTS, Scale, Segment
from cardiacseg.io.preview import COLOURS
from cardiacseg.measurements import Measurements

INK, FAINT, RULE = "#1a2029", "#5a6473", "#d5dae1"


def draw_curves(axes, measurements: Measurements, axis: TimeAxis, names: Sequence[tuple[str, int]]) -> None:
    """Volumes of LV and RV over the beat, with the phases that have a name."""
    curves = {"LV": measurements.lv_ml, "RV": measurements.rv_ml}
    highest = 1.1 * max(1.0, *(float(values.max()) for values in curves.values()))
    for name, values in curves.items():
        axes.plot(axis.at, values, color=COLOURS[name], linewidth=1.5, marker="o", markersize=2.2, label=name)
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


def draw_bullseye(axes, scale: Scale) -> None:
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
    look = {"facecolor": scale.colour(value)} if seen else {"facecolor": "white", "hatch": "////"}
    width = segment.outer - segment.inner
    wedge = Wedge(
        (0, 0), segment.outer, segment.start, segment.end, width=width, edgecolor="white" if seen else RULE, **look
    )
    axes.add_patch(wedge)
    if seen:
        text = f"{value:.1f}" if scale.unit == "mm" else f"{value:.0f}"
        axes.text(*segment.middle, text, color=scale.ink(value), ha="center", va="center", fontsize=6.5)
