"""What viewers' own readers find in the SEGs: SimpleITK, dcmjs (which OHIF is built on), pydicom-seg."""

import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK
from made_up_dicom import classic_study
from segmented_dicom import SMALL, segmented

from cardiacseg.io.dicom_results import write_dicom_results
from cardiacseg.io.dicom_results.segmentation import segment_numbers

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


@pytest.fixture(scope="module", params=[True, False], ids=["a series for each slice", "one series"])
def case(request, tmp_path_factory):
    """A study, its segmented cine and the folder of its results."""
    study = classic_study(replace(SMALL, series_per_slice=request.param))
    made, folder = segmented(study), tmp_path_factory.mktemp("results")
    write_dicom_results(folder, made)
    return study, made, folder


def numbers_of(made, phase):
    return segment_numbers(made.labels[phase])


def counts_of(numbers):
    return [[int((picture == n).sum()) for n in (1, 2, 3)] for picture in numbers]


def test_simpleitk_reads_the_frames_of_each_segment_in_order(case):
    _, made, folder = case
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
def test_dcmjs_puts_each_slice_onto_the_image_of_its_phase_alone(case, role):
    """The images that OHIF loads are those of the first referenced series, of all phases."""
    study, made, folder = case
    phase = getattr(made.measurements, f"{role}_frame")
    first = pydicom.dcmread(folder / f"seg-{role}.dcm").ReferencedSeriesSequence[0].SeriesInstanceUID
    images = [one for one in study.datasets if one.SeriesInstanceUID == first]
    found = dcmjs(folder / f"seg-{role}.dcm", images)
    of_slices = counts_of(numbers_of(made, phase))
    of_image = {study.at(s, phase).SOPInstanceUID: of_slices[s] for s in range(SMALL.slices)}
    assert found == {"maps": 1, "counts": [of_image.get(one.SOPInstanceUID, [0, 0, 0]) for one in images]}
    shown = sum(any(counts) for counts in found["counts"])
    assert shown == (1 if study.recipe.series_per_slice else sum(map(any, of_slices)))


def test_pydicom_seg_reads_the_volume(case):
    """It needs pydicom before 3, so that another Python than this one runs it."""
    python = shutil.which("python-pydicom-seg")
    if python is None:
        pytest.skip("there is no python-pydicom-seg, a Python that has pydicom-seg and pydicom<3, on PATH")
    _, made, folder = case
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
