"""A batch that runs again after changes, interruptions and corrections by hand: what is kept, what is made again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from batch_work import run_batch
from test_batch import Fails, Threshold, nifti, nifti_cases, table, tree

from cardiacseg.errors import CancelledError
from cardiacseg.study.cases import find_cases


@pytest.fixture
def cases(tmp_path):
    return nifti_cases(tmp_path)


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


def test_each_file_of_a_case_and_ed_and_es_count_for_a_rerun(tmp_path):
    folder = tmp_path / "in/patient001"
    folder.mkdir(parents=True)
    nifti(folder / "patient001_frame01.nii", 4, frames=1)
    nifti(folder / "patient001_frame12.nii", 2, frames=1)

    def kept(info):
        (folder / "Info.cfg").write_text(info)
        return run_batch(find_cases(tmp_path / "in"), tmp_path / "out", Threshold()).kept

    assert kept("ED: 1\nES: 12\n") == ()
    assert kept("ED: 1\nES: 12\nGroup: DCM\n") == ("patient001",)
    assert kept("ED: 12\nES: 1\n") == ()
    nifti(folder / "patient001_frame12.nii", 3, frames=1)
    assert kept("ED: 12\nES: 1\n") == ()
    assert [(row["frames"], row["slices"]) for row in table(tmp_path / "out")] == [("2", "3")]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CancelledError("stopped")])
def test_an_interruption_keeps_what_is_done(tmp_path, cases, error):
    with pytest.raises(type(error)):
        run_batch(cases, tmp_path / "out", Fails("b", error))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "summary.csv"}
    assert [row["case"] for row in table(tmp_path / "out")] == ["a"]
    again = Threshold()
    assert run_batch(cases, tmp_path / "out", again).kept == ("a",)
    assert again.seen == ["b", "c"]


def test_an_interrupted_replacement_is_done_again(tmp_path, cases):
    """Killed between moving the files and saying so: the marker of a later run tells that it is not complete."""
    run_batch(cases, tmp_path / "out", Threshold())
    marker = tmp_path / "out/a/case.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "state": "incomplete", "key": "", "row": {}}))
    for folder in ("out", "out/a"):
        (tmp_path / folder / ".cardiacseg.partial").mkdir()
        (tmp_path / folder / ".cardiacseg.partial/labels.nii.gz").write_text("half")
    again = Threshold()
    run_batch(cases, tmp_path / "out", again)
    assert again.seen == ["a"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "b", "c", "summary.csv"}
    assert {path.name for path in (tmp_path / "out/a").iterdir()} == {"labels.nii.gz", "level-500.txt", "case.json"}


@pytest.mark.parametrize(
    "change",
    [
        *({"files": names} for names in (["../../victim"], ["/victim"], [".."], ["a/b"], [3], "labels.nii.gz", [[]])),
        *({"sha256": digests} for digests in ({"../../victim": ""}, {"..": ""}, [], "text")),
    ],
)
def test_a_marker_that_leads_out_of_its_folder_is_not_followed(tmp_path, cases, change):
    run_batch(cases[:1], tmp_path / "out", Threshold(500))
    (tmp_path / "victim").write_text("mine")
    marker = tmp_path / "out/a/case.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), **change}))
    found = run_batch(cases[:1], tmp_path / "out", Threshold(300))
    assert found.failed == ["a"] and "damaged" in found.rows[0]["error"]
    assert (tmp_path / "victim").read_text() == "mine"


@pytest.mark.parametrize(
    "row", [{}, {"case": "a"}, {"case": 1, "state": "done"}, {"case": "a", "state": "done", "frames": "many"}, []]
)
def test_a_marker_whose_row_is_no_row_is_not_believed(tmp_path, cases, row):
    run_batch(cases, tmp_path / "out", Threshold())
    marker = tmp_path / "out/a/case.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "row": row}))
    again = run_batch(cases, tmp_path / "out", Threshold())
    assert again.kept == ("b", "c")
    assert again.failed == (["a"] if row == [] else [])


@pytest.mark.parametrize("change", ["emptied", "cut", "link"])
def test_a_result_that_is_no_more_as_it_was_written_is_made_again(tmp_path, cases, change):
    run_batch(cases, tmp_path / "out", Threshold())
    labels = tmp_path / "out/b/labels.nii.gz"
    whole = labels.read_bytes()
    if change == "link":
        labels.rename(tmp_path / "elsewhere")
        labels.symlink_to(tmp_path / "elsewhere")
    else:
        labels.write_bytes(whole[:20] if change == "cut" else b"")
    again = Threshold()
    assert run_batch(cases, tmp_path / "out", again).kept == ("a", "c")
    assert again.seen == ["b"]
    assert labels.read_bytes() == whole and not labels.is_symlink()
    if change == "link":
        assert (tmp_path / "elsewhere").read_bytes() == whole


def test_corrected_labels_of_an_older_version_are_not_lost(tmp_path, cases):
    run_batch(cases, tmp_path / "out", Threshold())
    marker = tmp_path / "out/b/case.json"
    document = json.loads(marker.read_text())
    del document["sha256"]
    marker.write_text(json.dumps(document))
    (tmp_path / "out/b/labels.nii.gz").write_text("corrected")
    later = marker.stat().st_mtime + 60
    os.utime(tmp_path / "out/b/labels.nii.gz", (later, later))
    run_batch(cases, tmp_path / "out", Threshold())
    kept = {path.name: path.read_text() for path in (tmp_path / "out/b").glob("changed-*")}
    assert kept == {"changed-1-labels.nii.gz": "corrected"}


def test_labels_that_a_person_corrected_are_not_lost(tmp_path, cases):
    run_batch(cases, tmp_path / "out", Threshold())
    for times in (1, 2):
        (tmp_path / "out/b/labels.nii.gz").write_text(f"corrected {times}")
        run_batch(cases, tmp_path / "out", Threshold())
    kept = {path.name: path.read_text() for path in (tmp_path / "out/b").glob("changed-*")}
    assert kept == {"changed-1-labels.nii.gz": "corrected 1", "changed-2-labels.nii.gz": "corrected 2"}


def test_a_link_in_the_place_of_a_case_is_not_followed(tmp_path, cases):
    run_batch(cases, tmp_path / "out", Threshold(500))
    (tmp_path / "out/a").rename(tmp_path / "elsewhere")
    (tmp_path / "out/a").symlink_to(tmp_path / "elsewhere")
    before = tree(tmp_path / "elsewhere")
    assert run_batch(cases, tmp_path / "out", Threshold(300)).failed == ["a"]
    assert run_batch(cases, tmp_path / "out", Threshold(500)).failed == ["a"]
    assert tree(tmp_path / "elsewhere") == before


KILLED = """
import json, sys
from pathlib import Path
from batch_work import run_batch
from killed import killed_at_each_change
from cardiacseg.study.cases import find_cases

root = Path(sys.argv[1])


class Writes:
    def __init__(self, text, names):
        self.text, self.names, self.made_with = text, names, {"text": text}

    def __call__(self, case, folder):
        for name in self.names:
            (folder / name).write_text(self.text)
        return {}


def old():
    run_batch(find_cases(root / "in"), root / "out", Writes("old", ["labels.nii.gz", "stale.txt", "report.json"]))


def new():
    found = run_batch(find_cases(root / "in"), root / "out", Writes("new", ["labels.nii.gz", "report.json"]))
    assert not found.failed, found.rows


def check():
    there = {path.name: path.read_text() for path in (root / "out/a").iterdir() if path.is_file()}
    marker = json.loads(there["case.json"])
    others = {there[name] for name in ("labels.nii.gz", "stale.txt") if name in there}
    if marker["state"] == "complete":
        assert others == {there["report.json"]} and set(there) > set(marker["files"]), there
    if "report.json" in there:
        assert others == {there["report.json"]}, there
    new()
    left = {path.name: path.read_text() for path in (root / "out/a").iterdir() if path.name != "case.json"}
    assert left == {"labels.nii.gz": "new", "report.json": "new"}, left
    assert {path.name for path in (root / "out").iterdir()} == {"a", "summary.csv"}
    old()


old()
print(killed_at_each_change(new, check))
"""


def test_a_batch_that_is_killed_leaves_no_sign_beside_results_of_another_run(tmp_path, cases):
    for case in cases[1:]:
        case.path.unlink()
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path], cwd=here, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10
