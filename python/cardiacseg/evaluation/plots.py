"""Pictures of an evaluation, as PNG. Needs matplotlib."""

import io
import math

import numpy as np

from cardiacseg.evaluation.agreement import PatientVolumes, bland_altman
from cardiacseg.evaluation.calibration import BINS, expected_calibration_error
from cardiacseg.evaluation.paper import PaperRow
from cardiacseg.io.report.preview import COLORS
from cardiacseg.metrics import LEVELS, STRUCTURES

INK, FAINT, OURS, THEIRS = "#1b222b", "#6b7480", "#0072B2", "#B9C0C9"
_PANELS = (
    ("lv_ef_percent", "LV ejection fraction", "percentage points"),
    ("rv_ef_percent", "RV ejection fraction", "percentage points"),
    ("lv_edv_ml", "LV end-diastolic volume", "ml"),
    ("rv_edv_ml", "RV end-diastolic volume", "ml"),
)


def new_figure(width: float, height: float, title: str = ""):
    """A white figure of the given inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, color=INK, fontsize=12, weight="bold", x=0.01, ha="left")
    return figure


def png(figure) -> bytes:
    """The figure's PNG."""
    buffer = io.BytesIO()
    figure.canvas.print_png(buffer)
    return buffer.getvalue()


def _plain(axes, title: str) -> None:
    axes.set_title(title, color=INK, fontsize=10, loc="left")
    axes.tick_params(colors=FAINT, labelsize=8, length=0)
    axes.grid(axis="y", color="#e6e9ed", linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", color="#c4cad1")


def bland_altman_plot(patients: list[PatientVolumes]) -> bytes:
    """Difference against mean of ours and the truth's, one point a patient, with bias and limits of agreement."""
    figure = new_figure(9.5, 7, "Bland-Altman: ours - truth against their mean")
    for axes, (name, title, unit) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        ours, truth = (np.array([getattr(row, whose)[name] for row in patients]) for whose in ("ours", "truth"))
        _plain(axes, title)
        axes.axhline(0, color="#c4cad1", linewidth=0.8)
        axes.scatter((ours + truth) / 2, ours - truth, s=26, color=OURS, alpha=0.75, linewidths=0)
        _draw_limits(axes, bland_altman(ours, truth))
        axes.set_xlabel(f"mean of ours and truth ({'%' if unit.startswith('p') else unit})", color=FAINT, fontsize=8.5)
        axes.set_ylabel(f"difference ({unit})", color=FAINT, fontsize=8.5)
        if not len(ours):
            axes.text(0.5, 0.5, "no patient with two frames", transform=axes.transAxes, color=FAINT, ha="center")
    return png(figure)


def _draw_limits(axes, found: dict[str, float]) -> None:
    lines = (("bias", "-", "bias"), ("upper", "--", "+1.96 SD"), ("lower", "--", "-1.96 SD"))
    known = [(key, style, text) for key, style, text in lines if math.isfinite(found[key])]
    for key, style, text in known:
        axes.axhline(found[key], color=INK, linewidth=1.1, linestyle=style)
        note = f"{text}  {found[key]:+.1f}"
        axes.annotate(
            note,
            (1, found[key]),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 3),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=INK,
        )
    if len(known) == len(lines):
        room = max(0.25 * (found["upper"] - found["lower"]), 0.5)
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, found["lower"] - room), max(high, found["upper"] + room))


def level_bars(dice: dict[str, dict[str, float]], paper: PaperRow | None) -> bytes:
    """Dice at each slice level by structure, beside the paper's where it has a row of this model."""
    figure = new_figure(9.5, 3.6, "Dice by slice level")
    width = 0.38 if paper else 0.6
    panels = figure.subplots(1, len(STRUCTURES), sharey=True)
    for index, (axes, name) in enumerate(zip(panels, STRUCTURES, strict=True)):
        _plain(axes, name.upper())
        ours = [dice.get(level, {}).get(name, math.nan) for level in LEVELS]
        _bars(axes, np.arange(3) - (width / 2 + 0.01 if paper else 0), ours, width, COLORS[name.upper()], INK, "ours")
        if paper:
            theirs = [getattr(paper, level)[index] for level in LEVELS]
            _bars(axes, np.arange(3) + width / 2 + 0.01, theirs, width, THEIRS, FAINT, "paper (other data)")
        axes.set_xticks(range(3), [level.capitalize() for level in LEVELS])
        axes.set(ylim=(0, 1.08), yticks=np.linspace(0, 1, 6))
        if paper:
            axes.legend(
                frameon=False, fontsize=8, labelcolor=FAINT, loc="lower center", bbox_to_anchor=(0.5, -0.24), ncols=2
            )
    return png(figure)


def _bars(axes, places, values: list[float], width: float, colour: str, ink: str, label: str) -> None:
    bars = axes.bar(places, np.nan_to_num(values), width, color=colour, label=label)
    texts = ["" if math.isnan(value) else f"{value:.2f}" for value in values]
    axes.bar_label(bars, texts, fontsize=8, color=ink, padding=2)


def reliability_diagram(bins: np.ndarray) -> bytes:
    """Share of voxels that are right against their confidence, and how many voxels have it."""
    figure = new_figure(5.2, 5.6, "Reliability near the heart")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    edges = np.linspace(0, 1, BINS + 1)
    filled = bins[:, 0] > 0
    centres, counts = ((edges[:-1] + edges[1:]) / 2)[filled], bins[filled, 0]
    confidence, right = bins[filled, 1] / counts, bins[filled, 2] / counts
    _plain(upper, f"expected calibration error {expected_calibration_error(bins):.3f}")
    upper.bar(centres, right, 1 / BINS * 0.92, color=OURS, alpha=0.85)
    upper.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--")
    upper.plot(confidence, right, "o", color=INK, markersize=3.5)
    upper.set(xlim=(0, 1), ylim=(0, 1.02))
    upper.set_ylabel("share that is right", color=FAINT, fontsize=8.5)
    _plain(lower, "")
    lower.bar(centres, counts / counts.sum(), 1 / BINS * 0.92, color=THEIRS)
    lower.set_yscale("log")
    lower.set_ylabel("share of voxels", color=FAINT, fontsize=8.5)
    lower.set_xlabel("confidence (probability of the most likely class)", color=FAINT, fontsize=8.5)
    return png(figure)
