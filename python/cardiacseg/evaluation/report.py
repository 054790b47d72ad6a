"""The files of ``tools/evaluate.py --output``: JSON, CSV and pictures. Pictures need matplotlib."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cardiacseg.evaluation.calibration import BINS, expected_calibration_error
from cardiacseg.evaluation.cases import CaseScore
from cardiacseg.evaluation.summary import Evaluation, PatientVolumes, bland_altman
from cardiacseg.evaluation.tables import PaperRow, cases_csv
from cardiacseg.io.contours import smooth
from cardiacseg.io.json_files import write_json
from cardiacseg.io.labelled import LabelledImage, read_labelled_frame
from cardiacseg.io.report.preview import COLORS, draw_slice, heart_window, shown_slices
from cardiacseg.metrics import LEVELS, STRUCTURES

REPORT_FILES = ("cases.csv", "summary.json", "bland_altman.png", "levels.png", "worst_cases.png", "reliability.png")

INK, FAINT, OURS, THEIRS = "#1b222b", "#6b7480", "#0072B2", "#B9C0C9"
_PANELS = (
    ("lv_ef_percent", "LV ejection fraction", "percentage points"),
    ("rv_ef_percent", "RV ejection fraction", "percentage points"),
    ("lv_edv_ml", "LV end-diastolic volume", "ml"),
    ("rv_edv_ml", "RV end-diastolic volume", "ml"),
)
_COLUMNS = 6  # slices of a stack


def write_report(folder: Path, evaluation: Evaluation, document: dict, paper: PaperRow | None) -> None:
    """Write :data:`REPORT_FILES` of an evaluation with probabilities; ``document`` becomes ``summary.json``."""
    write_json(folder / "summary.json", document)
    contents = {
        "cases.csv": cases_csv(evaluation.cases),
        "bland_altman.png": bland_altman_plot(evaluation.patients),
        "levels.png": level_bars(document["dice"], paper),
        "worst_cases.png": worst_cases_picture(evaluation.cases),
        "reliability.png": reliability_diagram(evaluation.reliability),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)


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
    """Difference against mean of measured and true volumes, one point per patient, with bias and limits of
    agreement."""
    figure = new_figure(9.5, 7, "Bland-Altman: measured - truth against their mean")
    for axes, (name, title, unit) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        ours, truth = (np.array([getattr(row, whose)[name] for row in patients]) for whose in ("ours", "truth"))
        _plain(axes, title)
        axes.axhline(0, color="#c4cad1", linewidth=0.8)
        axes.scatter((ours + truth) / 2, ours - truth, s=26, color=OURS, alpha=0.75, linewidths=0)
        _draw_limits(axes, bland_altman(ours, truth))
        axes.set_xlabel(
            f"mean of measured and truth ({'%' if unit.startswith('p') else unit})", color=FAINT, fontsize=8.5
        )
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
    """Dice at each slice level by structure, beside the paper's if it has a row for this model."""
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


def _bars(axes, places, values: list[float], width: float, color: str, ink: str, label: str) -> None:
    bars = axes.bar(places, np.nan_to_num(values), width, color=color, label=label)
    texts = ["" if math.isnan(value) else f"{value:.2f}" for value in values]
    axes.bar_label(bars, texts, fontsize=8, color=ink, padding=2)


def reliability_diagram(bins: np.ndarray) -> bytes:
    """Fraction of correct voxels against their confidence, and the number of voxels of each confidence."""
    figure = new_figure(5.2, 5.6, "Reliability near the heart")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    edges = np.linspace(0, 1, BINS + 1)
    filled = bins[:, 0] > 0
    centers, counts = ((edges[:-1] + edges[1:]) / 2)[filled], bins[filled, 0]
    confidence, right = bins[filled, 1] / counts, bins[filled, 2] / counts
    _plain(upper, f"expected calibration error {expected_calibration_error(bins):.3f}")
    upper.bar(centers, right, 1 / BINS * 0.92, color=OURS, alpha=0.85)
    upper.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--")
    upper.plot(confidence, right, "o", color=INK, markersize=3.5)
    upper.set(xlim=(0, 1), ylim=(0, 1.02))
    upper.set_ylabel("fraction correct", color=FAINT, fontsize=8.5)
    _plain(lower, "")
    lower.bar(centers, counts / counts.sum(), 1 / BINS * 0.92, color=THEIRS)
    lower.set_yscale("log")
    lower.set_ylabel("fraction of voxels", color=FAINT, fontsize=8.5)
    lower.set_xlabel("confidence (probability of the most likely class)", color=FAINT, fontsize=8.5)
    return png(figure)


def worst_cases_picture(cases: Sequence[CaseScore], count: int = 5) -> bytes:
    """PNG of the ``count`` stacks of least mean Dice, the worst first, each a row of up to six slices.

    The model's contours are colored, the truth's white and dashed. Images and truth are read from their files again.
    """
    worst = sorted(cases, key=lambda case: (case.mean_dice, case.name))[:count]
    figure = new_figure(1.75 * _COLUMNS + 0.9, 1.95 * len(worst) + 0.75, "Worst stacks by mean Dice")
    grid = figure.subplots(len(worst), _COLUMNS, squeeze=False)
    for row, case in zip(grid, worst, strict=True):
        _draw_case(row, case, read_labelled_frame(case.frame))
    _legend(figure)
    return png(figure)


def _draw_case(row: np.ndarray, case: CaseScore, stack: LabelledImage) -> None:
    either = np.stack([case.labels, stack.labels])
    window = heart_window(either, stack.spacing)
    for axes in row:
        axes.axis("off")
    for axes, index in zip(row, shown_slices(either), strict=False):
        axes.axis("on")
        draw_slice(axes, stack.image[index], case.labels[index], stack.spacing, window)
        _draw_truth(axes, stack.labels[index], stack.spacing)
        axes.set_title(f"slice {index + 1}, {case.regions[index]}", fontsize=8, color=FAINT, pad=2)
    scores = "  ".join(f"{name.upper()} {value:.2f}" for name, value in case.dice.items())
    row[0].set_ylabel(f"{case.name}\n{scores}", fontsize=7.5, color=INK)


def _draw_truth(axes, truth: np.ndarray, spacing: tuple[float, float, float]) -> None:
    y, x = ((np.arange(length) + 0.5) * step for length, step in zip(truth.shape, spacing[1:], strict=True))
    for mask in (truth == 1, truth >= 2, truth == 3):
        if mask.any():
            axes.contour(x, y, smooth(mask), levels=[0.5], colors="white", linewidths=0.9, linestyles="dashed")


def _legend(figure) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=color, linewidth=2, label=f"{name}, ours") for name, color in COLORS.items()]
    handles.append(Line2D([], [], color="#8a94a3", linewidth=1.2, linestyle="--", label="truth (white)"))
    figure.legend(handles=handles, loc="outside upper right", ncols=4, frameon=False, fontsize=8.5, labelcolor=INK)
