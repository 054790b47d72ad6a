"""One study from files to a folder of results: read, segment, measure, check, write. Also the options of a study."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cardiacseg.acquisition import UNKNOWN_BODY, Body, Timing
from cardiacseg.errors import DicomError, InvalidInputError
from cardiacseg.io import read_cine
from cardiacseg.io.cine import Cine, Note, SegmentedCine
from cardiacseg.io.dicom.errors import N_INCOMPLETE, N_NO_DICOM_RESULTS
from cardiacseg.io.dicom_results import DicomResultOptions, no_results_note, result_notes, write_dicom_results
from cardiacseg.io.geometry import directions
from cardiacseg.io.json_files import REPORT, input_document, measurements_document, report_document, write_json
from cardiacseg.io.nifti import write_labels
from cardiacseg.io.output import printable
from cardiacseg.io.report import write_page, write_pdf
from cardiacseg.io.report.preview import write_preview
from cardiacseg.io.slice_list import write_slice_list
from cardiacseg.measurements import MeasurementOptions, measure
from cardiacseg.quality import checked, quality_document, with_note
from cardiacseg.segmenter import CardiacSegmenter, Progress, Result


@dataclass(frozen=True)
class ReadOptions:
    """How a study is read. ``spacing`` is for NIfTI files, all other options are for DICOM.

    ``series`` selects one group of images by its name in ``--list``, its Series Number or Series Instance UID.
    ``nearest_phase`` and ``latest_retake`` allow the two repairs that are safe; each is noted. ``uneven`` accepts
    unevenly spaced slices; volumes then use the distance of each slice to its adjacent slices. ``spacing`` (slice, row,
    column), in mm, replaces the spacing of the file.
    """

    series: str | None = None
    nearest_phase: bool = False
    latest_retake: bool = False
    uneven: bool = False
    spacing: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class ResultOptions:
    """The files to write. ``phases`` selects the DICOM segmentations: ``"ed-es"`` or ``"all"``.

    ``only="measurements"``: ``measurements.json``, ``quality.json``, ``slices.csv`` and ``report.json`` alone.
    ``report``: the HTML page and the PDF. ``dicom``: all DICOM results; ``labelmap`` and ``rtstruct`` add further ones.
    ``series_number`` is that of the first DICOM series that is written. ``title`` stands unchanged at the top of page,
    PDF and preview, so the caller decides whether it names a patient. Raises ``InvalidInputError`` if ``labelmap`` or
    ``rtstruct`` is set without ``dicom`` or with ``only``.
    """

    report: bool = True
    phases: str = "ed-es"
    labelmap: bool = False
    rtstruct: bool = False
    series_number: int = 9000
    dicom: bool = True
    title: str | None = None
    only: str | None = None

    def __post_init__(self):
        if self.only not in (None, "measurements"):
            raise InvalidInputError(f"only: expected None or 'measurements', got {self.only!r}")
        if self.only and (self.labelmap or self.rtstruct):
            raise InvalidInputError("expected only measurements, or also label maps or RT structure sets; got both")
        if not self.dicom and (self.labelmap or self.rtstruct):
            raise InvalidInputError("label maps and RT structure sets are DICOM results, which were switched off")

    @property
    def writes_dicom(self) -> bool:
        """Whether there are DICOM results of a DICOM study."""
        return self.dicom and self.only is None


_READ, _MEASUREMENTS, _RESULTS = ReadOptions(), MeasurementOptions(), ResultOptions()


@dataclass(frozen=True)
class StudyOptions:
    """All options of one study. ``body`` and ``heart_rate_per_min``, if given, replace the values in the files.

    ``temporal`` is that of :meth:`CardiacSegmenter.run`.
    """

    read: ReadOptions = _READ
    measurements: MeasurementOptions = _MEASUREMENTS
    results: ResultOptions = _RESULTS
    body: Body = UNKNOWN_BODY
    heart_rate_per_min: float | None = None
    temporal: str = "auto"


# All names of results; the last is written last, so that its presence means that all others are complete.
RESULTS = (
    "labels.nii.gz",
    "measurements.json",
    "quality.json",
    "slices.csv",
    "preview.png",
    "report.html",
    "report.pdf",
    "seg-*.dcm",
    "labelmap-*.dcm",
    "sr.dcm",
    "rtstruct.dcm",
    REPORT,
)
_GAP = 1.6  # distance of adjacent slices, in units of the usual one, that leaves room for another slice


class Stopwatch:
    """``seconds`` by part, in the order in which they first ended."""

    def __init__(self):
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, part: str) -> Iterator[None]:
        """Add the block's wall time to ``part``."""
        started = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - started


@dataclass(frozen=True, eq=False)
class Outcome:
    """``files`` are the names written, ``seconds`` the wall time of each part of the work."""

    segmented: SegmentedCine
    files: list[str]
    seconds: dict[str, float]


def read_study(source: Path | Sequence[Path], options: ReadOptions) -> Cine:
    """A cine from NIfTI, or from a DICOM folder, file, zip or DICOMDIR. Errors are those of ``read_cine``."""
    cine = read_cine(source, **vars(options))
    return replace(cine, notes=(*cine.notes, *missing_images(cine)))


def missing_images(cine: Cine) -> Iterator[Note]:
    """Notes on gaps with room for another slice, and on slices with fewer images than the cine has frames."""
    if cine.dicom is None:
        return
    normal = directions(cine.dicom.orientation)[:, 2]
    depths = np.array([frame.position for frame in cine.dicom.frames[0]]) @ normal
    steps = np.abs(np.diff(depths))
    usual = np.sort(steps)[(len(steps) - 1) // 2] if len(steps) else 0.0
    for s in np.flatnonzero(steps >= _GAP * usual) if len(steps) > 1 else ():
        words = f"slices {s + 1} and {s + 2} are {steps[s]:.1f} mm apart, others {usual:.1f} mm"
        yield Note(N_INCOMPLETE, f"images may be missing: {words}")
    nameless = cine.dicom.unusable_for_results  # then images cannot be told apart by their UIDs
    for s, frames in enumerate(zip(*cine.dicom.frames, strict=True)) if not nameless else ():
        images = len({(frame.sop_instance_uid, frame.frame_number) for frame in frames})
        if images < len(frames):
            yield Note(
                N_INCOMPLETE, f"images may be missing: slice {s + 1} has {images} images for {len(frames)} frames"
            )


def title_of(cine: Cine, options: StudyOptions) -> str:
    """The title of page, PDF and preview: the one in the options, else the name of a NIfTI file.

    The name of a DICOM folder is not used, because it often is a patient's name.
    """
    if options.results.title is not None:
        return printable(options.results.title)
    return printable(cine.path.name) if cine.dicom is None else "Short-axis cine"


def segment_into(
    folder: Path,
    cine: Cine,
    segmenter: CardiacSegmenter,
    options: StudyOptions,
    watch: Stopwatch,
    progress: Progress | None = None,
) -> Outcome:
    """Segment ``cine`` and write all results into ``folder``, which the caller has made."""
    cine = with_result_notes(cine, options.results)
    segmented = analyse(cine, segmenter, options, title_of(cine, options), watch, progress)
    return write_outcome(folder, segmented, options, watch)


def write_outcome(folder: Path, segmented: SegmentedCine, options: StudyOptions, watch: Stopwatch) -> Outcome:
    """Write all results of a segmented cine, ``report.json`` last."""
    segmented, files = write_results(folder, segmented, options.results, watch)
    files.append(REPORT)
    document = report_document(segmented, input_document(segmented.cine), files, watch.seconds)
    write_json(folder / REPORT, document)
    return Outcome(segmented, files, watch.seconds)


def analyse(
    cine: Cine,
    segmenter: CardiacSegmenter,
    options: StudyOptions,
    title: str,
    watch: Stopwatch,
    progress: Progress | None = None,
) -> SegmentedCine:
    """Segment a cine, measure the labels and check them."""
    with watch.time("segment"):
        result = segmenter.run(cine.image, spacing=cine.spacing, progress=progress, temporal=options.temporal)
    with watch.time("measure"):
        return measured(cine, result.labels, options, title, result)


def measured(
    cine: Cine,
    labels: np.ndarray,
    options: StudyOptions,
    title: str,
    result: Result | None = None,
    included: np.ndarray | None = None,
) -> SegmentedCine:
    """Measure and check existing labels ``[T, S, H, W]``. ``included`` is as in :func:`measure`."""
    cine = replace(cine, timing=timing_of(cine.timing, options), body=body_of(cine.body, options.body))
    measurements = measure(
        labels,
        cine.spacing,
        options=options.measurements,
        included=included,
        image=cine.image,
        timing=cine.timing,
        body=cine.body,
        anterior=cine.geometry.anterior(),
        slice_shares_mm=cine.geometry.slice_shares_mm,
    )
    return checked(SegmentedCine(cine, labels, result, measurements, title=title))


def timing_of(timing: Timing, options: StudyOptions) -> Timing:
    """The timing in the files, unless the options have a heart rate."""
    if options.heart_rate_per_min is None:
        return timing
    return replace(timing, rr_interval_ms=60000 / options.heart_rate_per_min, rr_source="given")


def body_of(found: Body, given: Body) -> Body:
    """The values in the options, else those in the files."""
    height = found.height_m if given.height_m is None else given.height_m
    return Body(height, found.weight_kg if given.weight_kg is None else given.weight_kg)


def with_result_notes(cine: Cine, options: ResultOptions) -> Cine:
    """The cine with notes on what its DICOM results will lack. Call this before any long work."""
    if not options.writes_dicom or cine.dicom is None:
        return cine
    return replace(cine, notes=(*cine.notes, *result_notes(cine)))


def write_results(
    folder: Path, segmented: SegmentedCine, options: ResultOptions, watch: Stopwatch
) -> tuple[SegmentedCine, list[str]]:
    """Write all results except ``report.json`` into ``folder``; return the cine and the names in order.

    DICOM results come first: if they cannot be written, a note says so in the other results and in the returned cine.
    """
    with watch.time("write"):
        try:
            dicom = _write_dicom(folder, segmented, options)
        except DicomError as error:
            dicom = []
            segmented = with_note(segmented, no_results_note(error))
        _write_data(folder, segmented, options)
    if options.only is None:
        with watch.time("report"):
            _write_pictures(folder, segmented, options)
    others = [name for name in RESULTS if not name.endswith(".dcm") and (folder / name).is_file()]
    return segmented, [*others, *dicom]


def _write_data(folder: Path, segmented: SegmentedCine, options: ResultOptions) -> None:
    if options.only is None:
        write_labels(folder / "labels.nii.gz", segmented.labels, segmented.cine)
    write_json(folder / "measurements.json", measurements_document(segmented.measurements, segmented.cine.spacing))
    write_json(folder / "quality.json", quality_document(segmented))
    write_slice_list(folder / "slices.csv", segmented.measurements)


def _write_pictures(folder: Path, segmented: SegmentedCine, options: ResultOptions) -> None:
    image, spacing = segmented.cine.image, segmented.cine.spacing
    write_preview(folder / "preview.png", image, segmented.labels, spacing, segmented.measurements, segmented.title)
    if options.report:
        write_page(folder / "report.html", segmented)
        write_pdf(folder / "report.pdf", segmented)


def _write_dicom(folder: Path, segmented: SegmentedCine, options: ResultOptions) -> list[str]:
    impossible = any(note.code == N_NO_DICOM_RESULTS for note in segmented.cine.notes)
    if not options.writes_dicom or segmented.cine.dicom is None or impossible:
        return []
    dicom_options = DicomResultOptions(
        phases=options.phases,
        labelmap=options.labelmap,
        rtstruct=options.rtstruct,
        series_number=options.series_number,
    )
    return write_dicom_results(folder, segmented, dicom_options)
