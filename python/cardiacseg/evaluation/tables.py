"""Results as text: tables beside the paper's figures, and one row for each stack as CSV.

The paper's figures are Dice by slice level of each of its systems. Source: Chen et al., "Enhancing Cardiac MRI
Segmentation via Classifier-Guided Two-Stage Network and All-Slice Information Fusion Transformer", 2023, tables 1 and
2. Its data were 198 test stacks of a private set and ACDC.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cardiacseg.evaluation.cases import CaseScore, case_row
from cardiacseg.evaluation.summary import json_ready
from cardiacseg.io.output import csv_cell
from cardiacseg.metrics import LEVELS, STRUCTURES

COLUMNS = (*STRUCTURES, "mean")
_NAMES = {"rv": "RV", "myo": "MYO", "lv": "LV", "mean": "Average"}
NOTE = "The paper used other data (a private set, and ACDC with another split): its figures are for orientation only."


class PaperRow(NamedTuple):
    """A row: its name in the paper, and Dice of RV, MYO, LV and their average at each level."""

    name: str
    base: tuple[float, float, float, float]
    mid: tuple[float, float, float, float]
    apex: tuple[float, float, float, float]


# model name -> row
ROWS = {
    "sk_unet": PaperRow(
        "SS SK-UNet, Seg (SS)",
        (0.909, 0.847, 0.939, 0.898),
        (0.927, 0.896, 0.950, 0.924),
        (0.800, 0.807, 0.917, 0.842),
    ),
    "after_unet": PaperRow(
        "AS After-UNet, Seg (AS)",
        (0.899, 0.838, 0.947, 0.895),
        (0.932, 0.904, 0.953, 0.930),
        (0.830, 0.810, 0.914, 0.852),
    ),
    "det_seg": PaperRow(
        "Two-stage: Det + Seg",
        (0.907, 0.843, 0.940, 0.897),
        (0.931, 0.903, 0.953, 0.929),
        (0.789, 0.820, 0.922, 0.844),
    ),
    "sk_unet_ref": PaperRow(
        "Seg (SS) + Ref (SS w/o MT)",
        (0.915, 0.849, 0.941, 0.902),
        (0.929, 0.898, 0.949, 0.925),
        (0.799, 0.811, 0.915, 0.842),
    ),
    "sk_unet_ref_mt": PaperRow(
        "Seg (SS) + Ref (SS w/ MT)",
        (0.914, 0.856, 0.952, 0.907),
        (0.928, 0.897, 0.950, 0.925),
        (0.795, 0.810, 0.916, 0.840),
    ),
    "after_unet_mt": PaperRow(
        "Seg (AS + MT)",
        (0.893, 0.839, 0.945, 0.892),
        (0.931, 0.905, 0.953, 0.930),
        (0.809, 0.817, 0.916, 0.847),
    ),
    "seg_ref": PaperRow(
        "Seg (AS) + Ref (AS w/o MT)",
        (0.914, 0.848, 0.952, 0.905),
        (0.932, 0.904, 0.953, 0.930),
        (0.834, 0.813, 0.911, 0.853),
    ),
    "seg_ref_mt": PaperRow(
        "Proposed, Seg (AS) + Ref (AS w/ MT)",
        (0.920, 0.848, 0.955, 0.908),
        (0.932, 0.902, 0.953, 0.929),
        (0.836, 0.810, 0.911, 0.852),
    ),
}


def accuracy_tables(summary: dict, paper: PaperRow | None) -> str:
    """Everything of an :meth:`Evaluation.summary`, as Markdown."""
    parts = [
        f"{summary['patients']} patients, {summary['stacks']} stacks",
        dice_table(summary["dice"], paper),
        _distance_table(summary["distance_mm"]),
        _presence_table(summary),
        _shape_table(summary["shape"]),
        _volume_table(summary["volumes"]),
    ]
    if calibration := summary["calibration"]:
        error = _number(calibration["expected_calibration_error"])
        parts.append(
            f"Expected calibration error within {calibration['within_mm_of_heart']:g} mm of the heart: {error}"
        )
    return "\n\n".join(parts)


def dice_table(dice: dict[str, dict[str, float]], paper: PaperRow | None) -> str:
    """Rows are slice levels, as in the paper's tables 1 and 2, with the paper's figures beside if it has a row for
    the model."""
    heads = ["Dice, slice level", *_dice_heads(paper is not None)]
    rows = _dice_rows(dice, paper) if paper else [row[: 1 + len(COLUMNS)] for row in _dice_rows(dice, None)]
    note = f'\n\nPaper: the row "{paper.name}". {NOTE}' if paper else "\n\nThe paper has no row for this model."
    return table(heads, rows) + note


def comparison_table(runs: Sequence[dict]) -> str:
    """Several models beside each other and beside the paper, then their size, presence and shape.

    A run is an :meth:`Evaluation.summary` with ``config`` (``model`` and ``seed``) and ``parameters``.
    """
    rows, facts = [], []
    for run in runs:
        title = f"{run['config']['model']}, seed {run['config']['seed']}"
        rows += [[title, *row] for row in _dice_rows(run["dice"], ROWS.get(run["config"]["model"]))]
        shape = run["shape"]["ours"]
        faults = [percent(shape["slices_with_extra_fragment"]), str(shape["stacks_with_hole"])]
        size = f"{run['parameters'] / 1e6:.2f}"
        facts.append([title, size, str(run["stacks"]), percent(run["presence_accuracy"]), *faults])
    heads = ["Model", "Million parameters", "Stacks", "Presence correct", "Slices with an extra fragment"]
    return "\n\n".join(
        [
            table(["Model", "Slice level", *_dice_heads(True)], rows),
            NOTE,
            table([*heads, "Stacks with a hole"], facts),
        ]
    )


def _dice_heads(beside_paper: bool) -> list[str]:
    ours = [_NAMES[name] for name in COLUMNS]
    return ours + [f"paper: {name}" for name in ours] if beside_paper else ours


def _dice_rows(dice: dict[str, dict[str, float]], paper: PaperRow | None) -> list[list[str]]:
    """Level, four measured figures, and the paper's four, which are empty if it has none."""
    rows = []
    for part, title in (*((level, level.capitalize()) for level in LEVELS), ("volume", "Whole stack")):
        theirs = getattr(paper, part, ("",) * len(COLUMNS))
        ours = dice.get(part, {})
        rows.append([title, *(_number(ours.get(name)) for name in COLUMNS), *map(_number, theirs)])
    return rows


def robustness_table(robustness: dict[str, dict[str, float]]) -> str:
    """Mean Dice of whole stacks under each perturbation, and the loss by it."""
    rows = [[name, *(_number(row[key]) for key in (*COLUMNS, "loss"))] for name, row in robustness.items()]
    return table(["Dice under", *(_NAMES[name] for name in COLUMNS), "Loss"], rows)


def quality_table(validation: dict[str, dict | None]) -> str:
    """How well the agreement of the stages predicts Dice; each patient is predicted from the others."""
    keys = ("stacks", "pearson", "spearman", "mean_absolute_error", "dice_spread")
    rows = [
        [part, *(_number(row[key]) for key in keys)] if row else [part, "no prediction", *[""] * (len(keys) - 1)]
        for part, row in validation.items()
    ]
    heads = ["Predicted against true Dice", "Stacks", "Pearson", "Spearman", "Mean error", "Mean deviation of Dice"]
    return table(heads, rows)


def cases_csv(cases: Iterable[CaseScore]) -> bytes:
    """UTF-8 CSV with a header and one row for each stack; missing values are empty."""
    rows = [{name: csv_cell(value) for name, value in json_ready(case_row(case)).items()} for case in cases]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _distance_table(distances: dict[str, dict[str, float]]) -> str:
    titles = {"hd95": "95th percentile of Hausdorff's", "assd": "Average symmetric surface"}
    rows = [[titles[key], *(_number(row[name], 1) for name in STRUCTURES)] for key, row in distances.items()]
    return table(["Distance, mm", *(_NAMES[name] for name in STRUCTURES)], rows)


def _presence_table(summary: dict) -> str:
    heads = ["Presence in slices", "Slices"]
    heads += [f"{_NAMES[name]} {what}" for name in STRUCTURES for what in ("false", "missed")]
    rows = []
    for region, rates in summary["presence_by_region"].items():
        errors = [rates[name][rate] for name in STRUCTURES for rate in ("false_positive_rate", "false_negative_rate")]
        rows.append([region.capitalize(), str(rates["slices"]), *(percent(error) for error in errors)])
    right = percent(summary["presence_accuracy"])
    return table(heads, rows) + f"\n\nPresence is correct in {right} of slices and structures."


def _shape_table(shape: dict[str, dict]) -> str:
    heads = ["Shape", "Slices with an extra fragment", "Stacks with a hole"]
    heads += [f"{_NAMES[name]} fragments" for name in STRUCTURES] + ["Heart holes", "RV holes", "LV holes"]
    rows = []
    for whose, found in shape.items():
        counts = [*found["extra_fragments"].values(), *found["holes"].values()]
        cells = [percent(found["slices_with_extra_fragment"]), found["stacks_with_hole"], *counts]
        rows.append([whose.capitalize(), *map(str, cells)])
    return table(heads, rows)


def _volume_table(volumes: dict[str, dict]) -> str:
    titles = {"edv_ml": "EDV, ml", "esv_ml": "ESV, ml", "ef_percent": "EF, percentage points"}
    rows = []
    for name, found in volumes.items():
        side, measure = name.split("_", 1)
        numbers = [_number(found[key], 1) for key in ("bias", "lower", "upper")]
        rows.append([f"{side.upper()} {titles[measure]}", str(found["patients"]), *numbers])
    return table(["Ours - truth", "Patients", "Bias", "Lower limit", "Upper limit"], rows)


def _number(value: float | str | None, digits: int = 3) -> str:
    if value is None or isinstance(value, (str, int)):
        return "" if value is None else str(value)
    # adding zero turns -0.000 into 0.000
    return f"{round(value, digits) + 0.0:.{digits}f}"


def percent(fraction: float | None) -> str:
    """``"12.3 %"``, or nothing for ``None``."""
    return "" if fraction is None else f"{100 * fraction:.1f} %"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Markdown with columns as wide as their widest cell, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [_line(heads, widths), "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|"]
    lines[1] = lines[1].replace("-:", "--", 1)
    return "\n".join([*lines, *(_line(row, widths) for row in rows)])


def _line(cells: list[str], widths: list[int]) -> str:
    first, *rest = (
        cell.ljust(width) if n == 0 else cell.rjust(width)
        for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "| " + " | ".join([first, *rest]) + " |"
