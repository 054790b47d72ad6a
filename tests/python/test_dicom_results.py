"""Which DICOM results are written, and what stands in the SEGs."""

import subprocess
import sys
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
from dicom_reading import code_of, of_type
from segmented_dicom import DIGEST, EVERYTHING, SMALL, TINY, enhanced, segmented
from synthetic_dicom import classic_study

from cardiacseg.errors import InvalidInputError
from cardiacseg.io.dicom_results import DicomResultOptions, result_names, write_dicom_results


@pytest.fixture(scope="module")
def study():
    return classic_study(SMALL)


@pytest.fixture(scope="module")
def cine(study):
    return segmented(study)


@pytest.fixture(scope="module")
def written(cine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    assert write_dicom_results(folder, cine) == ["seg-ed.dcm", "seg-es.dcm", "sr.dcm"]
    return folder


def test_names_follow_the_options(cine):
    names = result_names(cine.measurements, EVERYTHING)
    phases = [f"phase-{t:02}.dcm" for t in (1, 2, 3)]
    assert names == [*(f"seg-{p}" for p in phases), *(f"labelmap-{p}" for p in phases), "sr.dcm", "rtstruct.dcm"]
    own = replace(cine.measurements, ed_frame=0, es_frame=1, rv_ed_frame=0, rv_es_frame=2)
    assert result_names(own, DicomResultOptions()) == ["seg-ed.dcm", "seg-es.dcm", "seg-rv-es.dcm", "sr.dcm"]


def test_files_are_those_that_were_named_and_alone(cine, tmp_path):
    names = write_dicom_results(tmp_path, cine, EVERYTHING)
    assert names == result_names(cine.measurements, EVERYTHING)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    numbers = {name: pydicom.dcmread(tmp_path / name).SeriesNumber for name in names}
    assert (numbers["sr.dcm"], numbers["rtstruct.dcm"]) == (7, 8)
    assert [numbers[f"seg-phase-{t:02}.dcm"] for t in (1, 2, 3)] == [17, 27, 37]
    assert [numbers[f"labelmap-phase-{t:02}.dcm"] for t in (1, 2, 3)] == [18, 28, 38]


def test_each_segment_names_structure_colour_model_and_convention(written):
    segments = pydicom.dcmread(written / "seg-ed.dcm").SegmentSequence
    table = [(s.SegmentNumber, code_of(s.SegmentedPropertyTypeCodeSequence), s.SegmentLabel) for s in segments]
    assert table == [
        (1, ("87878005", "SCT"), "LV blood pool"),
        (2, ("49848007", "SCT"), "LV myocardium"),
        (3, ("53085002", "SCT"), "RV blood pool"),
    ]
    colors = [list(s.RecommendedDisplayCIELabValue) for s in segments]
    assert colors == [[30821, 51126, 41530], [41857, 15842, 49355], [31303, 42500, 11762]]
    assert {code_of(s.SegmentedPropertyCategoryCodeSequence) for s in segments} == {("91723000", "SCT")}
    for segment, word in zip(segments, ("included", "excluded", "included"), strict=True):
        assert f"trabeculae {word}" in segment.SegmentDescription
        assert "Research use only" in segment.SegmentDescription and DIGEST in segment.SegmentDescription
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert DIGEST in segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters


def test_a_seg_says_which_phase_it_is_and_what_made_it(cine, written):
    found = cine.measurements
    for name, role, frame in (("seg-ed.dcm", "ED", found.ed_frame), ("seg-es.dcm", "ES", found.es_frame)):
        seg = pydicom.dcmread(written / name)
        time = cine.cine.timing.frame_times_ms[frame]
        assert seg.ContentDescription == f"Phase {frame + 1} of 3, {role}, {time:.0f} ms"
        assert (seg.InstanceNumber, seg.SeriesNumber) == (frame + 1, 9000 + 10 * (frame + 1))
        assert seg.SeriesDescription == f"cardiacseg {role}, phase {frame + 1} of 3 (research)"
        assert seg.SegmentationType == "BINARY"
        assert (seg.BurnedInAnnotation, seg.ContentQualification, seg.SegmentsOverlap) == ("NO", "RESEARCH", "NO")
        assert (seg.ManufacturerModelName, seg.DeviceSerialNumber) == ("cardiacseg", DIGEST)
        assert seg.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian


def test_each_phase_is_a_series_of_its_own_however_it_was_chosen(cine, tmp_path):
    """Viewers open of a series of SEGs one alone."""
    few = {name: pydicom.dcmread(tmp_path / name) for name in write_dicom_results(tmp_path, cine)}
    all_phases = DicomResultOptions(phases="all", labelmap=True)
    many = {name: pydicom.dcmread(tmp_path / name) for name in write_dicom_results(tmp_path, cine, all_phases)}
    series = {made.SeriesInstanceUID: made.SeriesNumber for made in many.values()}
    assert len(series) == len(set(series.values())) == len(many) == 3 + 3 + 1
    ed = many[f"seg-phase-{cine.measurements.ed_frame + 1:02}.dcm"]
    assert (ed.SeriesInstanceUID, ed.SOPInstanceUID) == tuple(
        few["seg-ed.dcm"][keyword].value for keyword in ("SeriesInstanceUID", "SOPInstanceUID")
    )
    found = cine.measurements
    other = replace(cine, measurements=replace(found, ed_frame=found.es_frame, es_frame=found.ed_frame))
    names = write_dicom_results(tmp_path, other)
    again = {pydicom.dcmread(tmp_path / name).SeriesInstanceUID for name in names if name != "sr.dcm"}
    assert not again & set(series)  # another role is another description, which a series has once


def test_the_first_series_that_is_named_has_the_fullest_slice(study, cine, written):
    phase = cine.measurements.ed_frame
    fullest = int(np.count_nonzero(cine.labels[phase], axis=(1, 2)).argmax())
    assert fullest > 0
    named = pydicom.dcmread(written / "seg-ed.dcm").ReferencedSeriesSequence
    assert named[0].SeriesInstanceUID == study.at(fullest, phase).SeriesInstanceUID
    assert len(named) == SMALL.slices and all(len(item.ReferencedInstanceSequence) == 1 for item in named)


def test_each_frame_names_the_source_that_lies_there(study, cine, written):
    seg = pydicom.dcmread(written / "seg-es.dcm")
    phase = cine.measurements.es_frame
    assert seg.NumberOfFrames == 3 * SMALL.slices
    for group in seg.PerFrameFunctionalGroupsSequence:
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        made = next(d for d in study.datasets if d.SOPInstanceUID == source.ReferencedSOPInstanceUID)
        assert made.ImagePositionPatient == group.PlanePositionSequence[0].ImagePositionPatient
        assert made in [study.at(s, phase) for s in range(SMALL.slices)]
        assert source.SpatialLocationsPreserved == "YES"
        assert code_of(source.PurposeOfReferenceCodeSequence) == ("121322", "DCM")
    referenced = {
        (series.SeriesInstanceUID, item.ReferencedSOPInstanceUID)
        for series in seg.ReferencedSeriesSequence
        for item in series.ReferencedInstanceSequence
    }
    of_phase = [study.at(s, phase) for s in range(SMALL.slices)]
    assert referenced == {(made.SeriesInstanceUID, made.SOPInstanceUID) for made in of_phase}


def test_sources_of_enhanced_mr_are_named_by_frame(tmp_path):
    study, source = enhanced(replace(TINY, frames=8, series_per_slice=False), tmp_path / "study")
    made = segmented(study, source)
    write_dicom_results(tmp_path, made, DicomResultOptions(rtstruct=True))
    seg = pydicom.dcmread(tmp_path / "seg-ed.dcm")
    (series,) = seg.ReferencedSeriesSequence
    (referenced,) = series.ReferencedInstanceSequence
    assert referenced.ReferencedSOPInstanceUID == study.datasets[0].SOPInstanceUID
    positions = [
        group.PlanePositionSequence[0].ImagePositionPatient
        for group in study.datasets[0].PerFrameFunctionalGroupsSequence
    ]
    for group in seg.PerFrameFunctionalGroupsSequence:
        number = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        assert positions[number - 1] == group.PlanePositionSequence[0].ImagePositionPatient
    numbers = [frame.frame_number for frame in source.frames[made.measurements.ed_frame]]
    assert list(seg.SourceImageSequence[0].ReferencedFrameNumber) == numbers
    sources = of_type(pydicom.dcmread(tmp_path / "sr.dcm"), "IMAGE", "121233")
    assert list(sources[0].ReferencedSOPSequence[0].ReferencedFrameNumber) == numbers
    contour = pydicom.dcmread(tmp_path / "rtstruct.dcm").ROIContourSequence[0].ContourSequence[0]
    assert contour.ContourImageSequence[0].ReferencedFrameNumber in numbers


def test_an_absent_structure_keeps_its_segment_and_its_frames(study, tmp_path):
    labels = np.where(study.labels == 1, 0, study.labels).astype(np.uint8)
    write_dicom_results(tmp_path, segmented(study, labels=labels))
    seg = highdicom.seg.segread(tmp_path / "seg-ed.dcm")
    assert seg.NumberOfFrames == 12 and list(seg.segment_numbers) == [1, 2, 3]
    assert "Not seen in this phase" in seg.SegmentSequence[2].SegmentDescription
    assert "Not seen" not in seg.SegmentSequence[0].SegmentDescription


def test_labels_from_a_file_are_not_called_a_models(tmp_path):
    study = classic_study(TINY)
    write_dicom_results(tmp_path, segmented(study, result=False))
    segment = pydicom.dcmread(tmp_path / "seg-ed.dcm").SegmentSequence[0]
    assert segment.SegmentAlgorithmType == "MANUAL" and "SegmentAlgorithmName" not in segment
    assert "their origin is unknown" in segment.SegmentDescription


def test_what_cannot_become_dicom_is_refused(cine, tmp_path):
    with pytest.raises(InvalidInputError, match="read from DICOM; study is none"):
        write_dicom_results(tmp_path, replace(cine, cine=replace(cine.cine, dicom=None)))
    with pytest.raises(InvalidInputError, match=r"expected labels of the cine's shape \(3, 4, 48, 40\), got \(1, 4"):
        write_dicom_results(tmp_path, replace(cine, labels=cine.labels[:1]))
    with pytest.raises(InvalidInputError, match="labels 0 to 3, got 4"):
        write_dicom_results(tmp_path, replace(cine, labels=np.full_like(cine.labels, 4)))
    with pytest.raises(InvalidInputError, match="ed-es or all, got 'ed'"):
        DicomResultOptions(phases="ed")
    with pytest.raises(InvalidInputError, match="series number must be a whole number from 1"):
        DicomResultOptions(series_number=0)
    assert not list(tmp_path.iterdir())


def test_without_the_libraries_a_sentence_says_what_to_install():
    program = """
import sys
sys.modules["highdicom"] = sys.modules["pydicom"] = None
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.dicom_results import write_dicom_results
try:
    write_dicom_results(".", None)
except InvalidInputError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.startswith('DICOM results need pip install "cardiacseg[dicom]": '), run.stderr
