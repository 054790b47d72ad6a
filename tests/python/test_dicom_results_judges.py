"""What other people's software says of the DICOM results: dicom3tools, DCMTK, dcmqi and highdicom."""

import json
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from dicom_items import errors_of_dciodvfy, tool
from made_up_dicom import Recipe, classic_study
from segmented_dicom import enhanced, result_of, segmented

from cardiacseg.io.dicom.read import read_dicom
from cardiacseg.io.dicom_results import DicomResultOptions, write_dicom_results
from cardiacseg.io.dicom_results.segmentation import segment_numbers
from cardiacseg.measurements import measure
from cardiacseg.segmented_cine import SegmentedCine

STUDY = Path(__file__).parents[3] / "shared/dicom/cine_study"
EVERYTHING = DicomResultOptions(phases="ed-es", labelmap=True, rtstruct=True)


def discs(shape) -> np.ndarray:
    """Made-up labels that beat: an LV in its wall beside an RV, on a real cine's grid."""
    frames, _, rows, columns = shape
    y, x = np.mgrid[:rows, :columns]
    labels = np.zeros(shape, np.uint8)
    for t in range(frames):
        radius = 14 + 5 * np.cos(2 * np.pi * t / frames)
        from_lv, from_rv = np.hypot(y - rows / 2, x - columns / 2), np.hypot(y - rows / 2, x - columns / 2 + 25)
        picture = np.where(from_rv < radius, 1, 0)
        picture = np.where(from_lv < radius + 8, 2, picture)
        labels[t] = np.where(from_lv < radius, 3, picture)
    return labels


@pytest.fixture(scope="module")
def real():
    if not STUDY.is_dir():
        pytest.skip("the real study lies beside the repository, and it is not there")
    cine = read_dicom(STUDY)
    labels = discs(cine.image.shape)
    found = measure(labels, cine.spacing, timing=cine.timing, body=cine.body, anterior=cine.geometry.anterior())
    return SegmentedCine(cine, labels, result_of(labels), found)


@pytest.fixture(scope="module")
def made_up():
    return segmented(classic_study(Recipe(frames=3, slices=4, size=(48, 40), height_m=1.8, weight_kg=80.0)))


@pytest.fixture(scope="module")
def made_up_enhanced(tmp_path_factory):
    return segmented(
        *enhanced(
            Recipe(frames=8, slices=4, size=(48, 40), series_per_slice=False), tmp_path_factory.mktemp("enhanced")
        )
    )


@pytest.fixture(scope="module", params=["real", "made_up", "made_up_enhanced"])
def case(request, tmp_path_factory):
    """A segmented cine and the folder of its results."""
    made, folder = request.getfixturevalue(request.param), tmp_path_factory.mktemp(request.param)
    write_dicom_results(folder, made, EVERYTHING)
    return made, folder


@pytest.mark.parametrize("name", ["seg-ed", "seg-es", "sr", "rtstruct"])
def test_dciodvfy_finds_no_error(case, name):
    assert not errors_of_dciodvfy(case[1] / f"{name}.dcm")


def test_dsrdump_reads_the_report(case):
    code, text = tool("dsrdump", case[1] / "sr.dcm")
    assert code == 0
    assert "Comprehensive 3D SR Document" in text and "Research use only" in text
    assert 'Ejection fraction by MR")="'.lower() in text.lower()
    assert "PRELIMINARY" in text and "UNVERIFIED" in text


def test_dcmqi_reads_the_report(case, tmp_path):
    made, folder = case
    code, text = tool("tid1500reader", "--inputDICOM", folder / "sr.dcm", "--outputMetadata", tmp_path / "sr.json")
    assert code == 0, text
    groups = json.loads((tmp_path / "sr.json").read_text())["Measurements"]
    segs = {pydicom.dcmread(folder / f"seg-{role}.dcm").SOPInstanceUID: role for role in ("ed", "es")}
    found = {
        (segs[group["segmentationSOPInstanceUID"]], group["ReferencedSegment"]): group["measurementItems"][0]["value"]
        for group in groups
        if "ReferencedSegment" in group
    }
    m = made.measurements
    expected = {
        ("ed", 1): m.lv_edv_ml,
        ("ed", 2): m.lv_mass_g,
        ("ed", 3): m.rv_edv_ml,
        ("es", 1): m.lv_esv_ml,
        ("es", 2): m.lv_mass_es_g,
        ("es", 3): m.rv_esv_ml,
    }
    assert {key: float(value) for key, value in found.items()} == pytest.approx(expected, abs=0.051)


@pytest.mark.parametrize("name", ["seg-es", "labelmap-es"])
def test_dcmqi_reads_the_segments(case, tmp_path, name):
    made, folder = case
    words = ("--inputDICOM", folder / f"{name}.dcm", "--outputDirectory", tmp_path, "-t", "nii", "--mergeSegments")
    code, text = tool("segimage2itkimage", *words)
    assert code == 0, text
    import nibabel

    numbers = np.asarray(nibabel.load(tmp_path / "1.nii.gz").dataobj)
    wanted = segment_numbers(made.labels[made.measurements.es_frame])
    assert [(numbers == n).sum() for n in (1, 2, 3)] == [(wanted == n).sum() for n in (1, 2, 3)]
    listed = [s for group in json.loads((tmp_path / "meta.json").read_text())["segmentAttributes"] for s in group]
    assert {s["labelID"]: s["SegmentedPropertyTypeCodeSequence"]["CodeValue"] for s in listed if s["labelID"]} == {
        1: "87878005",
        2: "49848007",
        3: "53085002",
    }


@pytest.mark.parametrize("name", ["seg-ed", "labelmap-ed"])
def test_highdicom_finds_each_slice_by_its_source(case, name):
    made, folder = case
    phase = made.measurements.ed_frame
    seg = highdicom.seg.segread(folder / f"{name}.dcm")
    frames = made.cine.dicom.frames[phase]
    if frames[0].frame_number is None:
        pixels = seg.get_pixels_by_source_instance([f.sop_instance_uid for f in frames], combine_segments=True)
    else:
        pixels = seg.get_pixels_by_source_frame(
            frames[0].sop_instance_uid, [f.frame_number for f in frames], combine_segments=True
        )
    np.testing.assert_array_equal(pixels, segment_numbers(made.labels[phase]))


def test_a_label_map_is_of_its_own_class_with_a_background(case):
    seg = pydicom.dcmread(case[1] / "labelmap-ed.dcm")
    assert seg.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7" and seg.SegmentationType == "LABELMAP"
    assert [s.SegmentNumber for s in seg.SegmentSequence] == [0, 1, 2, 3]
