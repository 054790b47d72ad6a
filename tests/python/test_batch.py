"""Batches: whole results or none, kept on a rerun, past cases that fail. With real files, readers and writers."""

import csv
import json
import os
import re

import nibabel
import numpy as np
import pytest
from batch_work import run_batch

from cardiacseg.errors import CancelledError, DicomError, InvalidInputError
from cardiacseg.io import read_cine, write_labels
from cardiacseg.io.cine import Flag, SegmentedCine
from cardiacseg.io.nifti import new_cine, write_image
from cardiacseg.measurements import measure
from cardiacseg.phantom import beating_heart
from cardiacseg.study.case_folder import COLUMNS, summary_of, write_table
from cardiacseg.study.case_run import CaseSegmenter
from cardiacseg.study.cases import Case, find_cases
from cardiacseg.study.segment import ResultOptions, StudyOptions


def nifti(path, brightness, frames=2):
    """A cine of two frames, or one of them, with a bright box of ``brightness`` columns."""
    voxels = np.zeros((8, 7, 3, 2), np.int16)
    voxels[:brightness, 2:5] = 900
    nibabel.save(nibabel.Nifti1Image(voxels if frames == 2 else voxels[..., 0], np.diag([-1.5, -1.5, 8, 1])), path)


class Threshold:
    """A real way of segmenting, if a poor one: what is bright is LV. ``seen`` are the cases that it worked on."""

    def __init__(self, level=500):
        self.made_with = {"level": level}
        self.seen = []

    def __call__(self, case, folder):
        self.seen.append(case.name)
        cine = read_cine(case.source)
        labels = np.where(cine.image > self.made_with["level"], 3, 0).astype(np.uint8)
        write_labels(folder / "labels.nii.gz", labels, cine)
        (folder / f"level-{self.made_with['level']}.txt").write_text("made")
        return {"frames": len(labels), "slices": labels.shape[1], "lv_edv_ml": float((labels[0] > 0).sum())}


class Fails(Threshold):
    """Raises what it was given, at one case and after it wrote something."""

    def __init__(self, name, error):
        super().__init__()
        self.name, self.error = name, error

    def __call__(self, case, folder):
        found = super().__call__(case, folder)
        if case.name == self.name:
            raise self.error
        return found


def nifti_cases(folder):
    """Three cases of a folder ``in``."""
    (folder / "in").mkdir()
    for number, name in enumerate("abc"):
        nifti(folder / f"in/{name}.nii", number + 2)
    return find_cases(folder / "in")


@pytest.fixture
def cases(tmp_path):
    return nifti_cases(tmp_path)


def table(folder):
    with open(folder / "summary.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_all_cases(tmp_path, cases):
    steps = []
    found = run_batch(cases, tmp_path / "out", Threshold(), progress=lambda done, total: steps.append((done, total)))
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert found.failed == [] and found.kept == ()
    for name in "abc":
        names = {path.name for path in (tmp_path / "out" / name).iterdir()}
        assert names == {"labels.nii.gz", "level-500.txt", "case.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "b", "c", "summary.csv"}
    rows = table(tmp_path / "out")
    assert tuple(rows[0]) == COLUMNS
    volumes = [(row["case"], row["state"], row["frames"], row["slices"], row["lv_edv_ml"]) for row in rows]
    assert volumes == [
        ("a", "done", "2", "3", "18.0"),
        ("b", "done", "2", "3", "27.0"),
        ("c", "done", "2", "3", "36.0"),
    ]
    assert json.loads(json.dumps(found.to_dict()))["cases"][1]["lv_edv_ml"] == 27
    assert found.lines()[0] == "3 of 3 cases done (0 kept), 0 failed"


def test_what_is_left_out_is_a_row(tmp_path, cases):
    nifti(tmp_path / "in/a_gt.nii", 3)
    nifti(tmp_path / "in/la_4ch.nii", 3)
    (tmp_path / "in/empty").mkdir()
    found = run_batch(find_cases(tmp_path / "in"), tmp_path / "out", Threshold())
    assert found.failed == [] and found.left_out == ["a_gt", "empty", "la_4ch"]
    rows = {row["case"]: (row["state"], row["lv_edv_ml"], row["error"]) for row in table(tmp_path / "out")}
    assert rows["a_gt"] == ("left out", "", "it is a label map by its name")
    assert rows["la_4ch"] == ("left out", "", "it is a long axis by its name")
    assert rows["empty"] == ("left out", "", "it holds no NIfTI and no DICOM files")
    assert [rows[name][0] for name in "abc"] == ["done"] * 3
    assert found.lines()[:2] == [
        "3 of 3 cases done (0 kept), 0 failed, 3 left out",
        "  a_gt: it is a label map by its name",
    ]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "b", "c", "summary.csv"}


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path, cases):
    (tmp_path / "out/b").mkdir(parents=True)
    (tmp_path / "out/b/labels.nii.gz").write_text("somebody's own")
    segment = Threshold()
    found = run_batch(cases, tmp_path / "out", segment)
    assert found.failed == ["b"] and segment.seen == ["a", "c"]
    assert "not written by a batch" in table(tmp_path / "out")[1]["error"]
    assert [path.name for path in (tmp_path / "out/b").iterdir()] == ["labels.nii.gz"]
    assert (tmp_path / "out/b/labels.nii.gz").read_text() == "somebody's own"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (DicomError("E_MISSING_PHASE", "slice 3 has 24 of 25 phases"), "E_MISSING_PHASE: slice 3 has 24 of 25 phases"),
        (InvalidInputError("wanted more"), "InvalidInputError: wanted more"),
        (KeyError("Name^Of^Patient"), "KeyError: unexpected, at line"),
        (MemoryError(), "MemoryError: unexpected, at line"),
        (OSError(28, "No space left on device", "/private/folder/x.nii"), "OSError: No space left on device, x.nii"),
    ],
)
def test_one_bad_case_does_not_stop_the_others(tmp_path, cases, error, sentence):
    found = run_batch(cases, tmp_path / "out", Fails("b", error))
    assert found.failed == ["b"]
    assert [row["state"] for row in table(tmp_path / "out")] == ["done", "failed", "done"]
    assert table(tmp_path / "out")[1]["error"].startswith(sentence)
    assert "Patient" not in (tmp_path / "out/summary.csv").read_text()
    unexpected = ", at line" in sentence
    names = {"a", "b", "c", "summary.csv"} if unexpected else {"a", "c", "summary.csv"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert found.lines()[1].startswith(f"  b: {sentence}")
    assert found.lines()[1].endswith(", see b/traceback.txt") == unexpected
    again = Threshold()
    assert run_batch(cases, tmp_path / "out", again).kept == ("a", "c")
    assert again.seen == ["b"]


def test_an_unexpected_error_keeps_its_traceback_without_its_text(tmp_path, cases):
    class Broken(Threshold):
        def __call__(self, case, folder):
            try:
                {}["^".join(["Name", "Of", "Patient"])]
            except KeyError as error:
                raise ValueError(f"no {error}") from error

    found = run_batch(cases[:1], tmp_path / "out", Broken())
    assert found.rows[0]["error"].endswith("of test_batch.py, see a/traceback.txt")
    text = (tmp_path / "out/a/traceback.txt").read_text()
    assert re.search(r"KeyError\n(.*\n)*.*, in __call__\n(.*\n)*builtins.ValueError\n$", text)
    assert "Name^Of^Patient" not in text and text.count("Traceback (most recent call last)") == 2
    run_batch(cases[:1], tmp_path / "out", Broken())  # again in the same folder
    assert (tmp_path / "out/a/traceback.txt").read_text() == text
    assert run_batch(cases[:1], tmp_path / "out", Threshold()).failed == []
    assert "traceback.txt" not in {path.name for path in (tmp_path / "out/a").iterdir()}


def test_no_traceback_is_put_into_a_folder_that_is_not_ours(tmp_path, cases, monkeypatch):
    (tmp_path / "out/a").mkdir(parents=True)
    (tmp_path / "out/a/notes.txt").write_text("somebody's own")
    monkeypatch.setattr("cardiacseg.study.case_run.key_of", lambda *_: {}["unexpected"])
    found = run_batch(cases[:1], tmp_path / "out", Threshold())
    assert found.failed == ["a"] and "traceback" not in found.rows[0]["error"]
    assert [path.name for path in (tmp_path / "out/a").iterdir()] == ["notes.txt"]


def test_files_that_cannot_be_read_are_rows(tmp_path, cases):
    (tmp_path / "in/b.nii").write_text("not an image")
    (tmp_path / "in/c.nii").unlink()
    found = run_batch(cases, tmp_path / "out", Threshold())
    assert found.failed == ["b", "c"]
    errors = [row["error"] for row in table(tmp_path / "out")]
    assert errors[1].startswith("InvalidInputError: b.nii is not a readable NIfTI file")
    assert errors[2] == "FileNotFoundError: No such file or directory, c.nii"


def test_progress_may_stop_the_batch(tmp_path, cases):
    with pytest.raises(CancelledError, match="after 2 of 3"):
        run_batch(cases, tmp_path / "out", Threshold(), progress=lambda done, total: done < 2)
    assert [row["case"] for row in table(tmp_path / "out")] == ["a", "b"]


@pytest.mark.parametrize("output", [".", "in"])
def test_an_output_folder_that_holds_all_cases_is_refused(tmp_path, cases, output):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidInputError, match="all cases lie inside of the output folder"):
        run_batch(cases, tmp_path / output, Threshold())
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_with_a_name_of_another_encoding_is_segmented(tmp_path, segmenter, cine):
    path = tmp_path / "in" / os.fsdecode(b"M\xfcller.nii")
    path.parent.mkdir()
    image = nibabel.Nifti1Image(cine.astype(np.int16).transpose(3, 2, 1, 0), np.diag([-1.25, -1.5, 8, 1]))
    nibabel.save(image, path)
    options = StudyOptions(results=ResultOptions(report=False))
    found = run_batch(find_cases(path.parent), tmp_path / "out", CaseSegmenter(segmenter, options, "default"))
    assert [(row["state"], row.get("error")) for row in found.rows] == [("done", None)]


def test_one_batch_at_a_time(tmp_path, cases):
    class Nosy(Threshold):
        def __call__(self, case, folder):
            with pytest.raises(InvalidInputError, match="in use by another run"):
                run_batch(cases, tmp_path / "out", Threshold())
            return super().__call__(case, folder)

    assert run_batch(cases, tmp_path / "out", Nosy()).failed == []
    assert run_batch(cases, tmp_path / "out", Threshold()).kept == ("a", "b", "c")


def test_no_cell_is_a_formula(tmp_path):
    rows = [
        {"case": '=HYPERLINK("x")', "state": "done", "lv_edv_ml": -1.5, "frames": 3},
        {"case": "@a", "error": "+b\x1b[31m\n"},
        {"case": "-c", "error": "\ta"},
        {"case": "d\udcff", "error": "a=b"},
    ]
    write_table(tmp_path / "summary.csv", rows)
    found = [(row["case"], row["lv_edv_ml"], row["error"]) for row in table(tmp_path)]
    assert found == [
        ('\'=HYPERLINK("x")', "-1.5", ""),
        ("'@a", "", "'+b\\x1b[31m\\n"),
        ("'-c", "", "'\\ta"),
        ("d\\udcff", "", "a=b"),
    ]


def test_results_beside_the_cases_are_no_cases(tmp_path, cases):
    output = tmp_path / "in/results"
    run_batch(cases, output, Threshold())
    listed = [*find_cases(tmp_path / "in"), Case("results", output, "dicom"), Case("old", output / "a", "dicom")]
    assert [row["case"] for row in run_batch(listed, output, Threshold()).rows] == ["a", "b", "c"]


def test_an_output_that_is_a_file_is_refused(tmp_path, cases):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InvalidInputError, match="not a folder"):
        run_batch(cases, tmp_path / "out", Threshold())


def test_columns_of_what_was_found():
    heart = beating_heart(3, 4, (48, 48), (10.0, 3.0, 3.0))
    cine = new_cine(heart.image, heart.spacing, heart.frame_interval_ms)
    flags = [Flag("lv_ef_range", "one"), Flag("few_slices", "two"), Flag("lv_ef_range", "three")]
    measured = measure(heart.labels, cine.spacing)
    row = summary_of(SegmentedCine(cine, heart.labels, None, measured, flags))
    of_the_run = {"model_sha256", "options_sha256", "precision", "version"}
    assert set(row) == set(COLUMNS) - {"case", "state", "seconds", "error", "error_code"} - of_the_run
    assert (row["frames"], row["slices"], row["predicted_quality"]) == (3, 4, None)
    assert (row["flag_count"], row["flags"]) == (3, "few_slices lv_ef_range")
    volumes = (heart.labels == 3).sum(axis=(1, 2, 3)) * 0.09
    assert row["lv_edv_ml"] == pytest.approx(volumes.max()) and row["lv_esv_ml"] == pytest.approx(volumes.min())
    one = measure(np.zeros((1, 4, 48, 48), np.uint8), cine.spacing)
    row = summary_of(SegmentedCine(cine, heart.labels[:1], None, one))
    assert row["lv_esv_ml"] is None and row["rv_ef_percent"] is None
    json.dumps(row, allow_nan=False)


def test_acdc_through_the_whole_pipeline(tmp_path, segmenter, tiny_bundle):
    """A real network of random weights: what is found is nonsense, but every file and every column is there."""
    heart = beating_heart(3, 4, (64, 64), (10.0, 2.5, 2.5))
    for name in ("patient001", "patient002"):
        (tmp_path / "in" / name).mkdir(parents=True)
    cine = new_cine(heart.image, heart.spacing, heart.frame_interval_ms)
    write_image(tmp_path / "in/patient001/patient001_4d.nii.gz", cine)
    (tmp_path / "in/patient002/patient002_4d.nii.gz").write_bytes(b"damaged")
    (tmp_path / "in/patient003").mkdir()
    for frame, number in ((1, 7), (0, 9)):
        one = new_cine(heart.image[frame : frame + 1], heart.spacing, heart.frame_interval_ms)
        write_image(tmp_path / f"in/patient003/patient003_frame{number:02}.nii.gz", one)
    (tmp_path / "in/patient003/Info.cfg").write_text("ED: 9\nES: 7\n")

    def run():
        segment_one = CaseSegmenter(segmenter, StudyOptions(results=ResultOptions(report=False)), tiny_bundle)
        return run_batch(find_cases(tmp_path / "in"), tmp_path / "out", segment_one)

    assert run().failed == ["patient002"]
    done = table(tmp_path / "out")[0]
    assert (done["case"], done["frames"], done["slices"]) == ("patient001", "3", "4")
    names = {path.name for path in (tmp_path / "out/patient001").iterdir()}
    assert {"labels.nii.gz", "measurements.json", "report.json", "case.json"} <= names
    assert nibabel.load(tmp_path / "out/patient001/labels.nii.gz").shape == heart.image.T.shape
    assert nibabel.load(tmp_path / "out/patient003/labels.nii.gz").shape == (*heart.image.T.shape[:3], 2)
    pair = json.loads((tmp_path / "out/patient003/measurements.json").read_text())
    assert (pair["ed_frame"], pair["es_frame"]) == (1, 0)
    row = table(tmp_path / "out")[2]
    assert float(row["lv_edv_ml"]) == pytest.approx(pair["lv_ml"][1], abs=1e-3)
    report = json.loads((tmp_path / "out/patient003/report.json").read_text())
    files = [frame["file"] for frame in report["input"]["frames"]]
    assert files == ["patient003_frame07.nii.gz", "patient003_frame09.nii.gz"]
    assert run().kept == ("patient001", "patient003")
