"""DICOM results as validators and viewers read them."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from dicom_reading import errors_of_dciodvfy, tool
from segmented_dicom import SMALL, enhanced, result_of, segmented
from synthetic_dicom import Recipe, classic_study

from cardiacseg.io.cine import SegmentedCine
from cardiacseg.io.dicom.read import read_dicom
from cardiacseg.io.dicom_results import DicomResultOptions, write_dicom_results
from cardiacseg.io.dicom_results.segmentation import segment_numbers
from cardiacseg.measurements import measure

STUDY = Path(__file__).parents[3] / "shared/dicom/cine_study"
EVERYTHING = DicomResultOptions(phases="ed-es", labelmap=True, rtstruct=True)
# Puts a SEG onto images as cornerstone's tools of OHIF do, and counts each segment's pixels on each image.
DCMJS = """
const fs = require("fs"), dcmjs = require("dcmjs");
const { seg, images } = JSON.parse(fs.readFileSync(0));
const metaData = { get: (kind, imageId) => {
    const image = images.find(one => one.SOPInstanceUID === imageId);
    const [r, c] = [image.ImageOrientationPatient.slice(0, 3), image.ImageOrientationPatient.slice(3)];
    return { instance: image, generalSeriesModule: { seriesInstanceUID: image.SeriesInstanceUID },
        imagePixelModule: { rows: image.Rows, columns: image.Columns },
        sopCommonModule: { sopInstanceUID: image.SOPInstanceUID },
        imagePlaneModule: { rows: image.Rows, columns: image.Columns, rowCosines: r, columnCosines: c,
            frameOfReferenceUID: image.FrameOfReferenceUID } }[kind];
} };
const bytes = fs.readFileSync(seg), imageIds = images.map(image => image.SOPInstanceUID);
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
console.log = console.warn = () => {};
const made = dcmjs.adapters.Cornerstone.Segmentation.generateToolState(imageIds, buffer, metaData);
const pixels = images[0].Rows * images[0].Columns, labels = new Uint16Array(made.labelmapBufferArray[0]);
const counts = images.map((_, i) => [1, 2, 3].map(n => labels.slice(i * pixels, (i + 1) * pixels)
    .filter(label => label === n).length));
process.stdout.write(JSON.stringify({ maps: made.labelmapBufferArray.length, counts }));
"""


def discs(shape) -> np.ndarray:
    """Synthetic labels of a beating heart: an LV in its wall beside an RV, on a real cine's grid."""
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
def synthetic():
    return segmented(classic_study(Recipe(frames=3, slices=4, size=(48, 40), height_m=1.8, weight_kg=80.0)))


@pytest.fixture(scope="module")
def synthetic_enhanced(tmp_path_factory):
    return segmented(
        *enhanced(
            Recipe(frames=8, slices=4, size=(48, 40), series_per_slice=False), tmp_path_factory.mktemp("enhanced")
        )
    )


@pytest.fixture(scope="module", params=["real", "synthetic", "synthetic_enhanced"])
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
    expected = segment_numbers(made.labels[made.measurements.es_frame])
    assert [(numbers == n).sum() for n in (1, 2, 3)] == [(expected == n).sum() for n in (1, 2, 3)]
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


@pytest.fixture(scope="module", params=[True, False], ids=["a series for each slice", "one series"])
def viewed_case(request, tmp_path_factory):
    """A study, its segmented cine and the folder of its results."""
    study = classic_study(replace(SMALL, series_per_slice=request.param))
    made, folder = segmented(study), tmp_path_factory.mktemp("results")
    write_dicom_results(folder, made)
    return study, made, folder


def numbers_of(made, phase):
    return segment_numbers(made.labels[phase])


def counts_of(numbers):
    return [[int((picture == n).sum()) for n in (1, 2, 3)] for picture in numbers]


def test_simpleitk_reads_the_frames_of_each_segment_in_order(viewed_case):
    _, made, folder = viewed_case
    image = SimpleITK.ReadImage(folder / "seg-es.dcm")
    frames = SimpleITK.GetArrayFromImage(image) > 0
    numbers = numbers_of(made, made.measurements.es_frame)
    header = pydicom.dcmread(folder / "seg-es.dcm")
    positions = {frame.position: s for s, frame in enumerate(made.cine.dicom.frames[made.measurements.es_frame])}
    for picture, group in zip(frames, header.PerFrameFunctionalGroupsSequence, strict=True):
        segment = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        place = positions[tuple(map(float, group.PlanePositionSequence[0].ImagePositionPatient))]
        np.testing.assert_array_equal(picture, numbers[place] == segment)


def dcmjs(seg, images):
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if subprocess.run(["node", "-e", 'require("dcmjs")'], capture_output=True).returncode:
        pytest.skip("dcmjs is not installed: npm install dcmjs, and NODE_PATH must name its node_modules")
    keys = ("SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Rows", "Columns")
    listed = [{key: one[key].value for key in keys} for one in images]
    for entry, one in zip(listed, images, strict=True):
        for key in ("ImagePositionPatient", "ImageOrientationPatient"):
            entry[key] = [float(x) for x in one[key].value]
    given = json.dumps({"seg": str(seg), "images": listed})
    run = subprocess.run(["node", "-e", DCMJS], input=given, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("role", ["ed", "es"])
def test_dcmjs_puts_each_slice_onto_the_image_of_its_phase_alone(viewed_case, role):
    """The images that OHIF loads are those of the first referenced series, of all phases."""
    study, made, folder = viewed_case
    phase = getattr(made.measurements, f"{role}_frame")
    first = pydicom.dcmread(folder / f"seg-{role}.dcm").ReferencedSeriesSequence[0].SeriesInstanceUID
    images = [one for one in study.datasets if one.SeriesInstanceUID == first]
    found = dcmjs(folder / f"seg-{role}.dcm", images)
    of_slices = counts_of(numbers_of(made, phase))
    of_image = {study.at(s, phase).SOPInstanceUID: of_slices[s] for s in range(SMALL.slices)}
    assert found == {"maps": 1, "counts": [of_image.get(one.SOPInstanceUID, [0, 0, 0]) for one in images]}
    shown = sum(any(counts) for counts in found["counts"])
    assert shown == (1 if study.recipe.series_per_slice else sum(map(any, of_slices)))


def test_pydicom_seg_reads_the_volume(viewed_case):
    """It needs pydicom before 3, so that another Python than this one runs it."""
    python = shutil.which("python-pydicom-seg")
    if python is None:
        pytest.skip("there is no python-pydicom-seg, a Python that has pydicom-seg and pydicom<3, on PATH")
    _, made, folder = viewed_case
    code = (
        "import json, sys, pydicom, pydicom_seg; "
        "read = pydicom_seg.MultiClassReader().read(pydicom.dcmread(sys.argv[1])); "
        "print(json.dumps([read.data.tolist(), read.spacing, read.origin]))"
    )
    run = subprocess.run([python, "-c", code, folder / "seg-ed.dcm"], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    numbers, spacing, _ = json.loads(run.stdout)
    np.testing.assert_array_equal(numbers, numbers_of(made, made.measurements.ed_frame))
    np.testing.assert_allclose(spacing, made.cine.spacing[::-1])
