"""From a file to all results, and measuring again without segmenting."""

import csv
import json
import os
import shutil
import sys
from dataclasses import replace

import nibabel
import numpy as np
import pydicom
import pytest
from segmented_dicom import TINY, segmented
from synthetic_dicom import Recipe, classic_study, write

pytest.importorskip("cardiacseg._core", reason="the compiled core is not built")

from cardiacseg.cli import main
from cardiacseg.errors import InvalidInputError
from cardiacseg.io.nifti import new_cine, write_image, write_labels
from cardiacseg.measurements import MeasurementOptions, measure
from cardiacseg.phantom import beating_heart
from cardiacseg.study.remeasure import read_earlier_run
from cardiacseg.study.segment import (
    ReadOptions,
    ResultOptions,
    Stopwatch,
    StudyOptions,
    measured,
    missing_images,
    read_study,
    write_outcome,
)


@pytest.fixture(scope="module")
def phantom():
    return beating_heart(4, 5, size=(72, 64), spacing=(16.0, 3.5, 3.75), seed=4)


@pytest.fixture(scope="module")
def cine(phantom, tmp_path_factory):
    """The phantom as a NIfTI cine on disk."""
    path = tmp_path_factory.mktemp("input") / "heart.nii.gz"
    made = new_cine(phantom.image, phantom.spacing, phantom.frame_interval_ms)
    write_image(path, made)
    return path


@pytest.fixture
def results(phantom, cine, tmp_path):
    """A folder as a run leaves it, with the phantom's own labels in a model's place."""
    from cardiacseg.io import read_cine

    folder = tmp_path / "results"
    folder.mkdir()
    segmented = measured(read_cine(cine), phantom.labels, StudyOptions(), "heart")
    write_outcome(folder, segmented, StudyOptions(), Stopwatch())
    return folder


def read(path):
    return json.loads(path.read_text())


def run(*words):
    return main([str(word) for word in words])


def test_measuring_again_changes_nothing_by_itself(results, tmp_path):
    assert run("measure", results, "-o", tmp_path / "again") == 0
    for name in ("measurements.json", "slices.csv"):
        assert (tmp_path / "again" / name).read_bytes() == (results / name).read_bytes()


def test_an_uneven_study(tmp_path):
    """A slice is missing: all volumes come from shares of the axis, also when measured again without the images."""
    study = classic_study(Recipe(slices=8, spacing=(10.0, 2.75, 2.5)))
    kept = [0, 1, 2, 4, 5, 6, 7]
    write([study.at(s, t) for s in kept for t in range(8)], tmp_path / "study")
    options = StudyOptions(read=ReadOptions(uneven=True), results=ResultOptions(report=False))
    cine = read_study(tmp_path / "study", options.read)
    segmented = measured(cine, study.labels[:, kept], options, "heart")
    (tmp_path / "results").mkdir()
    write_outcome(tmp_path / "results", segmented, options, Stopwatch())
    found = read(tmp_path / "results" / "measurements.json")
    whole = measure(study.labels, study.recipe.spacing)
    assert found["lv_edv_ml"] == pytest.approx(whole.lv_edv_ml, rel=0.02)
    assert found["lv_edv_ml"] != pytest.approx(measure(segmented.labels, study.recipe.spacing).lv_edv_ml, rel=0.08)
    images = ("--input", tmp_path / "study", "--no-report", "--no-dicom")
    assert run("measure", tmp_path / "results", "-o", tmp_path / "refused", *images) == 2
    for folder, words in (("again", ()), ("images", (*images, "--uneven"))):
        assert run("measure", tmp_path / "results", "-o", tmp_path / folder, *words) == 0
        assert read(tmp_path / folder / "measurements.json") == found
    said = {flag["code"]: flag["text"] for flag in read(tmp_path / "results" / "quality.json")["flags"]}
    assert list(said)[:2] == ["N_INCOMPLETE", "N_UNEVEN"] and "heart_incomplete" in said
    assert said["wide_spacing"].startswith("Slices are up to 20.0 mm apart")
    labels = nibabel.load(tmp_path / "results" / "labels.nii.gz")
    assert labels.header.get_zooms()[2] == pytest.approx(70 / 6)
    segmentation = pydicom.dcmread(tmp_path / "results" / "seg-ed.dcm")
    measures = segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.SliceThickness == 6 and "SpacingBetweenSlices" not in measures
    groups = segmentation.PerFrameFunctionalGroupsSequence
    depths = {float(np.dot(g.PlanePositionSequence[0].ImagePositionPatient, cine.geometry.normal)) for g in groups}
    np.testing.assert_allclose(np.diff(sorted(depths)), [10, 10, 20, 10, 10, 10], atol=1e-3)


def test_a_slice_that_is_left_out_leaves_the_volumes(results, tmp_path, phantom):
    with (results / "slices.csv").open() as file:
        lines = file.read().splitlines()
    head = next(index for index, line in enumerate(lines) if line.startswith("slice"))
    rows = list(csv.DictReader(lines[head:]))
    rows[1].update(rv="0", myo="0", lv="0")
    with (tmp_path / "edited.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    assert run("measure", results, "-o", tmp_path / "again", "--slices", tmp_path / "edited.csv") == 0
    before, after = (read(folder / "measurements.json") for folder in (results, tmp_path / "again"))
    voxel = np.prod(phantom.spacing) / 1000
    gone = np.count_nonzero(phantom.labels[:, 1] == 3, axis=(1, 2)) * voxel
    np.testing.assert_allclose(after["lv_ml"], np.subtract(before["lv_ml"], gone))
    assert after["areas_mm2"] == before["areas_mm2"]


def test_labels_corrected_by_hand_in_another_program(results, tmp_path):
    """The program stores the axes in another order; with the images given, everything is written again."""
    path = results / "labels.nii.gz"
    stored = nibabel.load(path)
    values = np.asarray(stored.dataobj).copy()
    values[values == 1] = 0
    turned = nibabel.Nifti1Image(values, stored.affine, stored.header).as_reoriented(
        np.array([[2, 1], [0, -1], [1, 1]])
    )
    nibabel.save(turned, path)
    assert run("measure", results, "-o", tmp_path / "again") == 0
    assert max(read(tmp_path / "again" / "measurements.json")["rv_ml"]) == 0
    before = read(results / "measurements.json")
    assert read(tmp_path / "again" / "measurements.json")["lv_ml"] == before["lv_ml"]


def test_a_spacing_that_the_file_lacks(phantom, tmp_path, capsys):
    """Given once, it holds for the labels too, which have the file's own grid of 1 x 1 x 1 mm."""
    between, row, column = phantom.spacing
    path = tmp_path / "lost.nii"
    nibabel.save(nibabel.Nifti1Image(phantom.image.T, np.eye(4)), path)
    assert run("segment", path, "-o", tmp_path / "none") == 2
    assert "--spacing SLICE ROW COLUMN" in capsys.readouterr().err
    options = StudyOptions(read=ReadOptions(spacing=phantom.spacing), results=ResultOptions(report=False))
    segmented = measured(read_study(path, options.read), phantom.labels, options, "heart")
    results = tmp_path / "results"
    results.mkdir()
    write_outcome(results, segmented, options, Stopwatch())
    found = read(results / "measurements.json")
    assert found["lv_ml"] == pytest.approx(measure(phantom.labels, phantom.spacing).lv_ml)
    assert run("measure", results, "-o", tmp_path / "again") == 0
    assert read(tmp_path / "again" / "measurements.json") == found
    words = ("--input", path, "--spacing", between, row, column, "--no-report")
    assert run("measure", results, "-o", tmp_path / "whole", *words) == 0
    assert read(tmp_path / "whole" / "measurements.json") == found


def test_with_the_images_everything_is_written_again(results, cine, tmp_path):
    words = ("--input", cine, "--papillary", "mass", "--height", 1.7, "--weight", 70, "--heart-rate", 60)
    assert run("measure", results, "-o", tmp_path / "again", *words) == 0
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == sorted(p.name for p in results.iterdir())
    measurements = read(tmp_path / "again" / "measurements.json")
    assert measurements["bsa_m2"] == pytest.approx((170 * 70 / 3600) ** 0.5)
    assert measurements["lv_co_l_min"] == pytest.approx(measurements["lv_sv_ml"] * 60 / 1000)
    assert read(tmp_path / "again" / "report.json")["model"] is None


def test_a_title_heads_page_and_pdf_on_request_alone(results, cine, tmp_path, capsys):
    title = "Case 12 & <b>, 2024-01-02"
    assert run("measure", results, "-o", tmp_path / "again", "--input", cine, "--title", title) == 0
    page, before = ((folder / "report.html").read_text() for folder in (tmp_path / "again", results))
    assert "<h1>Case 12 &amp; &lt;b&gt;, 2024-01-02</h1>" in page and "<title>Case 12 &amp; &lt;b&gt;" in page
    assert "Case 12" not in before
    for name in ("report.json", "measurements.json", "quality.json"):
        assert "Case 12" not in (tmp_path / "again" / name).read_text()
    assert run("measure", results, "-o", tmp_path / "other", "--title", title) == 2
    assert "give the input" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="a file's name may be any bytes")
def test_a_name_that_is_no_text(results, cine, tmp_path, capsys):
    name = os.fsdecode(b"\xff\x07.nii.gz")
    (tmp_path / name).write_bytes(cine.read_bytes())
    assert run("measure", results, "-o", tmp_path / os.fsdecode(b"\xfe"), "--input", tmp_path / name) == 0
    assert read(tmp_path / os.fsdecode(b"\xfe") / "report.json")["input"]["file"] == "\\udcff\\x07.nii.gz"
    assert capsys.readouterr().out.isascii()


def test_papillary_muscles_cannot_be_told_without_the_images(results, tmp_path, capsys):
    assert run("measure", results, "-o", tmp_path / "again", "--papillary", "mass") == 2
    assert "give the input" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    "options", [("--spacing", 8, 1, 1), ("--uneven",), ("--series", "g2"), ("--rtstruct",), ("--phases", "all")]
)
def test_options_that_need_the_images_are_not_ignored_without_them(results, tmp_path, capsys, options):
    assert run("measure", results, "-o", tmp_path / "again", *options) == 2
    assert "possible only with the images: give the input, too (--input)" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"grid": 1, "acquisition": 2}', None])
def test_no_results_to_measure(results, content):
    if content is None:
        shutil.rmtree(results)
    else:
        (results / "report.json").write_text(content)
    with pytest.raises(InvalidInputError, match="the report of an earlier run"):
        read_earlier_run(results)


def places(document, path=()):
    """The place of every value of a JSON document."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


def put(document, place, value):
    """A copy with another value at a place."""
    copy = inner = json.loads(json.dumps(document))
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return copy


def test_a_report_that_was_edited_never_ends_in_a_traceback(results, tmp_path, capsys):
    """At each place that is read a value that does not belong there: a sentence that names the place, or it fits."""
    whole = read(results / "report.json")
    read_there = [place for place in places(whole) if place[0] in {"grid", "acquisition", "frames", "notes"}]
    assert len(read_there) > 30
    for value in ("word", -1, 1e300, float("nan"), 10**400, True, None, [[]], {}):
        for place in read_there:
            (results / "report.json").write_text(json.dumps(put(whole, place, value)))
            code, said = run("measure", results, "-o", tmp_path / "again", "--overwrite"), capsys.readouterr().err
            assert code in (0, 2), said
            if value == "word" and place != ("acquisition", "rr_source"):
                assert code == 2 and ".".join(map(str, place)) in said and "'word'" in said, said


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100000, b'{"frames": ' + b"9" * 5000 + b"}", b'"a"'])
def test_a_report_that_is_no_json(results, tmp_path, capsys, content):
    (results / "report.json").write_bytes(content)
    assert run("measure", results, "-o", tmp_path / "again") == 2
    assert "report.json" in capsys.readouterr().err


def test_labels_of_another_cine_are_refused(results, phantom, tmp_path, capsys):
    other = new_cine(phantom.image[:, 1:], phantom.spacing, phantom.frame_interval_ms)
    write_labels(results / "labels.nii.gz", phantom.labels[:, 1:], other)
    assert run("measure", results, "-o", tmp_path / "again") == 2
    assert "labels.nii.gz" in capsys.readouterr().err


def test_what_the_caller_says_goes_before_what_the_file_says(phantom, cine):
    from cardiacseg.acquisition import Body
    from cardiacseg.io import read_cine

    options = StudyOptions(body=Body(1.8, 80), heart_rate_per_min=75, measurements=MeasurementOptions(ed="first"))
    segmented = measured(read_cine(cine), phantom.labels, options, "heart")
    assert segmented.cine.timing.rr_interval_ms == 800
    assert segmented.measurements.heart_rate_per_min == 75
    assert segmented.measurements.rr_source == "given"
    assert segmented.measurements.ed_frame == 0
    assert segmented.measurements.indexed["lv_edv_ml_m2"] > 0


def test_a_slice_with_fewer_images_than_frames_is_said_to_be_incomplete(tmp_path):
    study = classic_study(Recipe(frames=9, slices=3, size=(32, 32)))
    write([made for made in study.datasets if made.SOPInstanceUID != study.at(1, 4).SOPInstanceUID], tmp_path)
    notes = read_study(tmp_path, ReadOptions(nearest_phase=True)).notes
    assert [note.text for note in notes if note.code == "N_INCOMPLETE"] == [
        "images may be missing: slice 2 has 8 images for 9 frames"
    ]


def test_a_gap_that_a_slice_fits_in_is_said_to_be_incomplete():
    made = segmented(classic_study(TINY)).cine
    assert not list(missing_images(made))
    first, second, third = made.dicom.frames[0]
    third = replace(third, position=tuple(2 * np.array(third.position) - second.position))
    apart = replace(made.dicom, frames=((first, second, third), *made.dicom.frames[1:]))
    (note,) = missing_images(replace(made, dicom=apart))
    assert note.code == "N_INCOMPLETE" and "slices 2 and 3 are" in note.text
