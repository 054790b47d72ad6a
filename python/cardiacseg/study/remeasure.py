"""Measuring again, after a person has corrected labels or chosen which slices count, without segmenting again."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cardiacseg.acquisition import Body, Timing
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.geometry import Geometry
from cardiacseg.io.label_file import read_labels
from cardiacseg.io.nifti_sizes import SPACING_GIVEN
from cardiacseg.io.report import measurements_document, write_json
from cardiacseg.io.slice_list import read_slice_list, write_slice_list
from cardiacseg.measurements import Measurements, measure
from cardiacseg.study.analysis import body_of, measured, timing_of
from cardiacseg.study.options import StudyOptions
from cardiacseg.study.outputs import with_result_notes
from cardiacseg.study.segment import Outcome, read_study, title_of, write_outcome
from cardiacseg.study.stopwatch import Stopwatch

# What is written where the images are not given.
MEASURED = ("measurements.json", "slices.csv")


@dataclass(frozen=True, eq=False)
class EarlierRun:
    """What a folder of results knows about the cine that it was made from."""

    folder: Path
    geometry: Geometry
    frames: int
    timing: Timing
    body: Body
    spacing_given: bool

    def labels(self) -> np.ndarray:
        """The folder's labels ``[T, S, H, W]``, on the grid of the cine."""
        path = self.folder / "labels.nii.gz"
        return read_labels(path, self.geometry, self.frames, spacing_given=self.spacing_given)

    def included(self, slices: Path | None) -> np.ndarray | None:
        """Which slices count, from an edited list; ``None`` where none was given: all."""
        return None if slices is None else read_slice_list(slices, self.frames, self.geometry.size[2])


def read_earlier_run(folder: Path) -> EarlierRun:
    """Raises ``InvalidInputError`` where ``folder`` holds no results of ``cardiacseg segment``."""
    path = folder / "report.json"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        grid, acquisition = report["grid"], report["acquisition"]
        geometry = Geometry(
            tuple(grid["origin_mm"]),
            np.array(grid["direction"], dtype=np.float64),
            tuple(grid["spacing_mm"]),
            tuple(grid["size"]),
            (offsets := grid.get("slice_offsets_mm")) and tuple(offsets),
        )
        times = acquisition["frame_times_ms"]
        timing = Timing(times and tuple(times), acquisition["rr_interval_ms"], acquisition["rr_source"])
        body = Body(acquisition["height_m"], acquisition["weight_kg"])
        given = any(note["code"] == SPACING_GIVEN for note in report.get("notes", ()))
        return EarlierRun(folder, geometry, int(report["frames"]), timing, body, given)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"{path}: wanted the report of an earlier run, got {error!r}") from error


def remeasure(folder: Path, run: EarlierRun, options: StudyOptions, slices: Path | None) -> Measurements:
    """Measure the labels of ``run`` again and write ``MEASURED`` into ``folder``."""
    if options.results.title is not None:
        raise InvalidInputError("page, PDF and preview are written with the images alone: give the input, too")
    if options.measurements.papillary == "mass":
        raise InvalidInputError("papillary muscles can be told from blood in the images alone: give the input, too")
    spacing = run.geometry.array_spacing
    measurements = measure(
        run.labels(),
        spacing,
        options=options.measurements,
        included=run.included(slices),
        timing=timing_of(run.timing, options),
        body=body_of(run.body, options.body),
        anterior=run.geometry.anterior(),
        slice_shares_mm=run.geometry.slice_shares_mm,
    )
    write_json(folder / "measurements.json", measurements_document(measurements, spacing))
    write_slice_list(folder / "slices.csv", measurements)
    return measurements


def rewrite(folder: Path, run: EarlierRun, source: Path, options: StudyOptions, slices: Path | None) -> Outcome:
    """Measure the labels of ``run`` again on the images of ``source`` and write all results into ``folder``."""
    watch = Stopwatch()
    with watch.time("read"):
        cine = read_study(source, options.read)
        given = any(note.code == SPACING_GIVEN for note in cine.notes)
        path = run.folder / "labels.nii.gz"
        labels = read_labels(path, cine.geometry, len(cine.image), spacing_given=given)
    cine = with_result_notes(cine, options.results)
    segmented = measured(cine, labels, options, title_of(cine, options), included=run.included(slices))
    return write_outcome(folder, segmented, options, watch)
