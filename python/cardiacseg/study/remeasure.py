"""Measuring again, after a person has corrected labels or chosen which slices count, without segmenting again."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cardiacseg.acquisition import Body, Timing
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.geometry import Geometry
from cardiacseg.io.json_files import REPORT, Record, measurements_document, read_record, write_json
from cardiacseg.io.nifti import read_labels
from cardiacseg.io.nifti_axes import SPACING_GIVEN
from cardiacseg.io.slice_list import read_slice_list, write_slice_list
from cardiacseg.measurements import Measurements, measure
from cardiacseg.study.segment import (
    Outcome,
    ReadOptions,
    ResultOptions,
    Stopwatch,
    StudyOptions,
    body_of,
    measured,
    read_study,
    timing_of,
    title_of,
    with_result_notes,
    write_outcome,
)

# The files that are written without the images.
MEASURED = ("slices.csv", "measurements.json")
# Tolerance for a direction's determinant and lengths.
_FLAT = 1e-2


@dataclass(frozen=True, eq=False)
class EarlierRun:
    """Facts in a folder of results about its cine."""

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
        """Which slices count, from an edited list; ``None`` without a list: all."""
        return None if slices is None else read_slice_list(slices, self.frames, self.geometry.size[2])


def read_earlier_run(folder: Path) -> EarlierRun:
    """Raises ``InvalidInputError`` if ``folder`` holds no results of ``cardiacseg segment``."""
    try:
        report = read_record(folder / REPORT)
        frames = report.whole("frames", 1, 1_000_000)
        timing, body = _acquisition(report.record("acquisition"), frames)
        given = SPACING_GIVEN in _note_codes(report)
        return EarlierRun(folder, _grid(report.record("grid")), frames, timing, body, given)
    except InvalidInputError as error:
        raise InvalidInputError(f"expected the report of an earlier run: {error}") from error


def _note_codes(report: Record) -> set[str]:
    notes = report.list_of("notes", None)
    return {notes.record(index).text("code") for index in notes.values}


def _grid(grid: Record) -> Geometry:
    rows = grid.list_of("direction", 3)
    direction = np.array([rows.list_of(str(row), 3).numbers(-1.001, 1.001) for row in range(3)])
    if abs(np.linalg.det(direction)) < _FLAT or np.abs(np.linalg.norm(direction, axis=0) - 1).max() > _FLAT:
        raise InvalidInputError(f"{grid.where}: expected three unit vectors, not in one plane, under grid.direction")
    size = grid.list_of("size", 3).wholes(1, 1_000_000)
    return Geometry(
        grid.list_of("origin_mm", 3).numbers(-1e9, 1e9),
        direction,
        grid.list_of("spacing_mm", 3).numbers(1e-6, 1e6),
        size,
        _offsets(grid, size[2]),
    )


def _offsets(grid: Record, slices: int) -> tuple[float, ...] | None:
    listed = grid.list_of("slice_offsets_mm", slices, optional=True)
    offsets = None if listed is None else listed.numbers(-1e9, 1e9)
    if offsets is not None and (slices < 2 or min(np.diff(offsets)) <= 0):
        raise InvalidInputError(f"{grid.where}: expected two or more ascending numbers under grid.slice_offsets_mm")
    return offsets


def _acquisition(acquisition: Record, frames: int) -> tuple[Timing, Body]:
    times = acquisition.list_of("frame_times_ms", frames, optional=True)
    timing = Timing(
        None if times is None else times.numbers(-1e9, 1e9),
        acquisition.number("rr_interval_ms", 1e-3, 1e9, optional=True),
        acquisition.text("rr_source", optional=True),
    )
    height = acquisition.number("height_m", 0.01, 10, optional=True)
    return timing, Body(height, acquisition.number("weight_kg", 0.01, 10_000, optional=True))


def remeasure(folder: Path, run: EarlierRun, options: StudyOptions, slices: Path | None) -> Measurements:
    """Measure the labels of ``run`` again and write ``MEASURED`` into ``folder``."""
    _check_without_images(options)
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


def _check_without_images(options: StudyOptions) -> None:
    """Refuse options that need the images."""
    results, default = options.results, ResultOptions()
    needless = {
        "options of reading (series, spacing, uneven and others) are": options.read != ReadOptions(),
        "a title is": results.title is not None,
        "DICOM results are": results.labelmap or results.rtstruct or results.phases != default.phases,
        "papillary muscles as mass are": options.measurements.papillary == "mass",
    }
    for what, is_asked in needless.items():
        if is_asked:
            raise InvalidInputError(f"{what} possible only with the images: give the input, too (--input)")


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
