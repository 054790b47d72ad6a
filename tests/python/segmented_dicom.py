"""Synthetic DICOM studies as segmented cines; classic ones are put together without the reader."""

from pathlib import Path

import numpy as np
from synthetic_dicom import Recipe, SyntheticStudy, write
from synthetic_enhanced import enhanced_study

from cardiacseg.acquisition import Body, Timing
from cardiacseg.io.cine import Cine, DicomSource, Flag, SegmentedCine, SourceFrame
from cardiacseg.io.dicom.read import read_dicom
from cardiacseg.io.dicom_results import DicomResultOptions, write_dicom_results
from cardiacseg.measurements import DEFAULT, measure
from cardiacseg.segmenter import Report, Result

DIGEST = "0123456789abcdef" * 4
SMALL = Recipe(frames=3, slices=4, size=(48, 40), height_m=1.8, weight_kg=80.0)
TINY = Recipe(frames=2, slices=3, size=(32, 32), height_m=1.8, weight_kg=80.0)
EVERYTHING = DicomResultOptions(phases="all", labelmap=True, rtstruct=True, series_number=7)
FLAGS = (Flag("lv_ef_range", "LV ejection fraction is 4 %, expected 5 to 85.", 4.0, 5.0, "lv"),)


def source_of(study: SyntheticStudy) -> DicomSource:
    """The sources of a study of classic MR."""
    recipe = study.recipe
    positions = [[float(x) for x in study.at(s, 0).ImagePositionPatient] for s in range(recipe.slices)]
    frames = tuple(
        tuple(_frame(study.at(s, t), positions[s]) for s in range(recipe.slices)) for t in range(recipe.frames)
    )
    instances = {made.SOPInstanceUID: made for made in study.datasets}
    orientation = tuple(float(x) for x in study.at(0, 0).ImageOrientationPatient)
    return DicomSource(frames, instances, orientation, recipe.thickness, {})


def _frame(made, position) -> SourceFrame:
    uids = (made.SOPClassUID, made.SOPInstanceUID, made.get("SeriesInstanceUID", ""))
    return SourceFrame(*uids, None, tuple(position), float(made.TriggerTime))


def result_of(labels: np.ndarray, digest: str = DIGEST) -> Result:
    """What a segmenter would give with these labels."""
    frames = len(labels)
    presence = np.stack([(labels == label).any(axis=(2, 3)) for label in (1, 2, 3)], axis=-1).astype(np.float32)
    report = Report("openvino", "cpu", "asked for", "default", digest, "0.1.0", {"seg": 1.0})
    agreement, quality = np.full((frames, 3), 0.9, np.float32), np.full(frames, 0.875, np.float32)
    return Result(labels, presence, agreement, quality, None, report)


def segmented(
    study: SyntheticStudy,
    source: DicomSource | None = None,
    labels=None,
    result=True,
    options=DEFAULT,
    flags=FLAGS,
    included=None,
) -> SegmentedCine:
    """The study with its true labels, or with ``labels``, measured; with ``result=False`` as if no model had run."""
    labels = study.labels if labels is None else labels
    recipe = study.recipe
    timing = Timing(tuple(study.frame_times_ms), study.rr_interval_ms, "made up")
    body = Body(recipe.height_m, recipe.weight_kg)
    cine = Cine(
        Path("study"), study.image, recipe.spacing, study.geometry, timing, body, dicom=source or source_of(study)
    )
    anterior = study.geometry.anterior()
    measurements = measure(
        labels,
        recipe.spacing,
        options=options,
        included=included,
        image=study.image,
        timing=timing,
        body=body,
        anterior=anterior,
    )
    return SegmentedCine(cine, labels, result_of(labels) if result else None, measurements, flags, "made up")


def enhanced(recipe: Recipe, folder: Path) -> tuple[SyntheticStudy, DicomSource]:
    """A study of Enhanced MR and its sources as read from ``folder``, into which it is written."""
    study = enhanced_study(recipe)
    write(study.datasets, folder)
    return study, read_dicom(folder).dicom


def bytes_of(folder: Path, made, options=EVERYTHING) -> dict[str, bytes]:
    """Contents of the results by name, written into ``folder``."""
    folder.mkdir(exist_ok=True)
    return {name: (folder / name).read_bytes() for name in write_dicom_results(folder, made, options)}
