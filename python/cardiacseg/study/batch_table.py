"""The table of a batch: one row for each case."""

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cardiacseg.io.atomic import write_bytes
from cardiacseg.io.checked_json import Record
from cardiacseg.io.printable import csv_cell
from cardiacseg.segmented_cine import SegmentedCine

_VOLUMES = tuple(f"{side}_{name}" for side in ("lv", "rv") for name in ("edv_ml", "esv_ml", "sv_ml", "ef_percent"))
# ``state`` is "done", "failed" or "left out"; ``error`` says why it is not "done"; ``flags`` are their codes, one space
# between two; ``predicted_quality`` is the lowest of all frames, a mean Dice from 0 to 1.
COLUMNS = (
    *("case", "state", "seconds", "frames", "slices"),
    *(*_VOLUMES, "lv_mass_g", "flag_count", "flags", "predicted_quality", "error"),
)
_TEXTS = {"case", "state", "flags", "error"}
_LARGEST = 1e12  # no number of a row is larger


def summary_of(segmented: SegmentedCine) -> dict[str, Any]:
    """A case's columns from what was found; what does not exist is ``None``. JSON-ready."""
    measured = segmented.measurements
    frames, slices = segmented.labels.shape[:2]
    codes = sorted({flag.code for flag in segmented.flags})
    return {
        "frames": frames,
        "slices": slices,
        **{name: _rounded(getattr(measured, name)) for name in (*_VOLUMES, "lv_mass_g")},
        "flag_count": len(segmented.flags),
        "flags": " ".join(codes),
        "predicted_quality": None if segmented.result is None else _rounded(np.min(segmented.result.quality)),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(float(value), 4)


def check_row(row: Record) -> dict[str, Any]:
    """The row of a case that was done, out of a file. Raises ``InvalidInputError`` where it is none."""
    for name in ("case", "state"):
        row.text(name)
    for name in set(COLUMNS) & set(row.values):
        if name in _TEXTS:
            row.text(name)
        else:
            row.number(name, -_LARGEST, _LARGEST, optional=True)
    return {name: row.values[name] for name in COLUMNS if name in row.values}


def write_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write ``rows`` as CSV (RFC 4180, UTF-8) with :data:`COLUMNS`, atomically; what is not there is empty.

    No text in it is a formula for a spreadsheet: one that begins as such gets ``'`` in front.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore")
    table.writeheader()
    table.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    write_bytes(path, text.getvalue().encode())
