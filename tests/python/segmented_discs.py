"""A small cine of a beating ring with a second disc beside it, and the data that a run would produce."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cardiacseg.acquisition import Body, Timing
from cardiacseg.io.cine import Cine, Flag, Note, SegmentedCine
from cardiacseg.io.geometry import Geometry
from cardiacseg.measurements import measure
from cardiacseg.segmenter import Report, Result

SPACING = (8.0, 2.0, 1.5)
DIGEST = "0123456789abcdef" * 4
FLAGS = (
    Flag("rv_missing", "The RV is missing between slices that have it.", 1.0, 0.0, "rv", frame=2, slice=3),
    Flag("few_phases", "The cine has 5 phases; fewer than 15 blur end-systole.", 5.0, 15.0),
)


def discs(frames=5, slices=4, rows=60, columns=90):
    """Image and labels ``[T, S, rows, columns]``: round in mm, not in pixels; smallest in the middle of the cycle."""
    y = (np.arange(rows)[:, None] + 0.5) * SPACING[1] - 60
    x = (np.arange(columns)[None, :] + 0.5) * SPACING[2] - 75
    labels = np.zeros((frames, slices, rows, columns), np.uint8)
    for frame in range(frames):
        squeeze = 6 * np.sin(np.pi * frame / max(frames, 2))
        for index in range(slices):
            labels[frame, index, np.hypot(x + 24, y) < 20 - 2 * index - squeeze / 2] = 1
            labels[frame, index, np.hypot(x, y) < 27 - 2 * index] = 2
            labels[frame, index, np.hypot(x, y) < 19 - 2 * index - squeeze] = 3
    return np.choose(labels, [40, 200, 90, 250]).astype(np.uint16), labels


def segmented(image, labels, *, title="Two discs", result=True, flags=FLAGS, interval_ms=40.0, **changes):
    """``changes`` are those of the cine."""
    frames, slices, rows, columns = labels.shape
    geometry = Geometry((0.0, 0.0, 0.0), np.eye(3), SPACING[::-1], (columns, rows, slices))
    times = tuple(interval_ms * frame for frame in range(frames))
    timing = Timing(times, interval_ms * frames, "the frames' interval")
    cine = Cine(Path("cine.nii.gz"), image, SPACING, geometry, timing, Body(1.7, 70.0), (Note("N_MADE", "Made up."),))
    cine = replace(cine, **changes)
    measurements = measure(labels, SPACING, image=image, timing=cine.timing, body=cine.body)
    return SegmentedCine(cine, labels, _result(labels) if result else None, measurements, flags, title)


def _result(labels):
    frames, slices = labels.shape[:2]
    report = Report("openvino", "cpu", "no GPU.", "default", DIGEST, "1.2.3", {"seg": 1.0})
    quality = np.linspace(0.9, 0.8, frames, dtype=np.float32)
    presence = np.ones((frames, slices, 3), np.float32)
    return Result(labels, presence, np.ones((frames, 3), np.float32), quality, None, report)
