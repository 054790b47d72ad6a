"""Batches: whole results or none, kept on a rerun, past cases that fail. With real files, readers and writers."""

import csv
import json

import nibabel
import numpy as np
import pytest

from cardiacseg.errors import CancelledError, DicomError, InvalidInputError
from cardiacseg.io import read_cine, write_labels
from cardiacseg.io.nifti import new_cine, write_image
from cardiacseg.measurements import measure
from cardiacseg.phantom import beating_heart
from cardiacseg.quality.flag import Flag
from cardiacseg.segmented_cine import SegmentedCine
from cardiacseg.study.batch import run_batch
from cardiacseg.study.batch_table import COLUMNS, summary_of
from cardiacseg.study.cases import Case, find_cases
from cardiacseg.study.many import CaseSegmenter
from cardiacseg.study.options import ResultOptions, StudyOptions


def nifti(path, brightness):
    """A cine of two frames with a bright box of ``brightness`` columns."""
    voxels = np.zeros((8, 7, 3, 2), np.int16)
    voxels[:brightness, 2:5] = 900
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-1.5, -1.5, 8, 1])), path)


class Threshold:
    """A real way of segmenting, if a poor one: what is bright is LV. ``seen`` are the cases that it worked on."""

    def __init__(self, level=500):
        self.made_with = {"level": level}
        self.seen = []

    def __call__(self, case, folder):
        self.seen.append(case.name)
        cine = read_cine(case.path)
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


@pytest.fixture
def cases(tmp_path):
    (tmp_path / "in").mkdir()
    for number, name in enumerate("abc"):
        nifti(tmp_path / f"in/{name}.nii", number + 2)
    return find_cases(tmp_path / "in")


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
    assert found.lines()[0] == "3 of 3 cases done (0 before), 0 failed"


def test_a_rerun_keeps_what_is_complete(tmp_path, cases):
    first = run_batch(cases, tmp_path / "out", Threshold())
    before = tree(tmp_path / "out")
    again = Threshold()
    second = run_batch(cases, tmp_path / "out", again)
    assert again.seen == [] and second.kept == ("a", "b", "c")
    assert second.rows == first.rows
    after = tree(tmp_path / "out")
    assert {name for name in after if after[name] != before[name]} == {"summary.csv"}


def test_a_changed_input_or_a_lost_file_is_done_again(tmp_path, cases):
    run_batch(cases, tmp_path / "out", Threshold())
    nifti(tmp_path / "in/b.nii", 5)
    (tmp_path / "out/c/labels.nii.gz").unlink()
    again = Threshold()
    assert run_batch(cases, tmp_path / "out", again).kept == ("a",)
    assert again.seen == ["b", "c"]
    assert [row["lv_edv_ml"] for row in table(tmp_path / "out")] == ["18.0", "45.0", "36.0"]


def test_other_options_replace_results_and_nothing_else(tmp_path, cases):
    run_batch(cases, tmp_path / "out", Threshold(500))
    (tmp_path / "out/a/my notes.txt").write_text("keep me")
    assert run_batch(cases, tmp_path / "out", Threshold(300)).kept == ()
    names = {path.name for path in (tmp_path / "out/a").iterdir()}
    assert names == {"labels.nii.gz", "level-300.txt", "case.json", "my notes.txt"}
    anew = Threshold(300)
    run_batch(cases, tmp_path / "out", anew, resume=False)
    assert anew.seen == ["a", "b", "c"]


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
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "c", "summary.csv"}
    assert found.lines()[1].startswith(f"  b: {sentence}")
    again = Threshold()
    assert run_batch(cases, tmp_path / "out", again).kept == ("a", "c")
    assert again.seen == ["b"]


def test_files_that_cannot_be_read_are_rows(tmp_path, cases):
    (tmp_path / "in/b.nii").write_text("not an image")
    (tmp_path / "in/c.nii").unlink()
    found = run_batch(cases, tmp_path / "out", Threshold())
    assert found.failed == ["b", "c"]
    errors = [row["error"] for row in table(tmp_path / "out")]
    assert errors[1].startswith("InvalidInputError: b.nii is not a readable NIfTI file")
    assert errors[2] == "FileNotFoundError: No such file or directory, c.nii"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CancelledError("stopped")])
def test_an_interruption_keeps_what_is_done(tmp_path, cases, error):
    with pytest.raises(type(error)):
        run_batch(cases, tmp_path / "out", Fails("b", error))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "summary.csv"}
    assert [row["case"] for row in table(tmp_path / "out")] == ["a"]
    again = Threshold()
    assert run_batch(cases, tmp_path / "out", again).kept == ("a",)
    assert again.seen == ["b", "c"]


def test_progress_may_stop_the_batch(tmp_path, cases):
    with pytest.raises(CancelledError, match="after 2 of 3"):
        run_batch(cases, tmp_path / "out", Threshold(), progress=lambda done, total: done < 2)
    assert [row["case"] for row in table(tmp_path / "out")] == ["a", "b"]


def test_an_interrupted_replacement_is_done_again(tmp_path, cases):
    """Killed between moving the files and saying so: the marker of a later run tells that it is not complete."""
    run_batch(cases, tmp_path / "out", Threshold())
    marker = tmp_path / "out/a/case.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "state": "incomplete", "key": "", "row": {}}))
    (tmp_path / "out/.a.partial").mkdir()
    (tmp_path / "out/.a.partial/labels.nii.gz").write_text("half")
    again = Threshold()
    run_batch(cases, tmp_path / "out", again)
    assert again.seen == ["a"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "b", "c", "summary.csv"}


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
    assert set(row) == set(COLUMNS) - {"case", "state", "seconds", "error"}
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

    def run():
        segment_one = CaseSegmenter(segmenter, StudyOptions(results=ResultOptions(report=False)), tiny_bundle)
        return run_batch(find_cases(tmp_path / "in"), tmp_path / "out", segment_one)

    assert run().failed == ["patient002"]
    done = table(tmp_path / "out")[0]
    assert (done["case"], done["frames"], done["slices"]) == ("patient001", "3", "4")
    names = {path.name for path in (tmp_path / "out/patient001").iterdir()}
    assert {"labels.nii.gz", "measurements.json", "report.json", "case.json"} <= names
    assert nibabel.load(tmp_path / "out/patient001/labels.nii.gz").shape == heart.image.T.shape
    assert run().kept == ("patient001",)
