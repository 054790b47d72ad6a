"""The worst stacks as pictures: the truth's contours and ours on the image."""

from collections.abc import Sequence

import numpy as np

from cardiacseg.evaluation.cases import CaseScore
from cardiacseg.evaluation.plots import FAINT, INK, new_figure, png
from cardiacseg.io.contours import smooth
from cardiacseg.io.labelled import LabelledImage, read_labelled_frame
from cardiacseg.io.report.preview import COLORS, draw_slice, heart_window, shown_slices

_COLUMNS = 6


def worst_cases_picture(cases: Sequence[CaseScore], count: int = 5) -> bytes:
    """PNG of the ``count`` stacks of least mean Dice, the worst first, a row each of up to six slices.

    Ours in colour, the truth dashed in white. Images and truth are read from their files once more.
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

    handles = [Line2D([], [], color=colour, linewidth=2, label=f"{name}, ours") for name, colour in COLORS.items()]
    handles.append(Line2D([], [], color="#8a94a3", linewidth=1.2, linestyle="--", label="truth (white)"))
    figure.legend(handles=handles, loc="outside upper right", ncols=4, frameon=False, fontsize=8.5, labelcolor=INK)
