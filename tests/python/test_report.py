"""JSON documents, the preview picture and output folders."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cardiacseg.acquisition import Body, Timing
from cardiacseg.errors import InvalidInputError, OutputError
from cardiacseg.io.cine import Cine, Note, SegmentedCine
from cardiacseg.io.geometry import Geometry
from cardiacseg.io.json_files import input_document, measurements_document, report_document, versions, write_json
from cardiacseg.io.output import free_folder, output_folder

SPACING = (8.0, 1.4, 1.5)


def test_json_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"volume_ml": 1.5, "name": "Größe"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"volume_ml": 1.5, "name": "Größe"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"volume_ml": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8"))["volume_ml"] == 1.5
    assert list(tmp_path.iterdir()) == [path]


def segmented_file(path, result=None):
    """A cine of a NIfTI file as it stands after a run; labels and measurements do not enter the report."""
    geometry = Geometry((1.0, 2.0, 3.0), np.eye(3), (1.5, 1.4, 8.0), (5, 4, 10))
    cine = Cine(
        path,
        np.zeros((25, 10, 4, 5)),
        SPACING,
        geometry,
        Timing((0.0, 30.0), 750.0, "given"),
        Body(1.7, None),
        notes=(Note("W_SOMETHING", "a sentence."),),
    )
    return SegmentedCine(cine, np.zeros((25, 10, 4, 5), np.uint8), result, None)


def test_report_names_input_model_backend_and_versions(tmp_path):
    source = tmp_path / "cine.nii.gz"
    source.write_bytes(b"content")
    run = SimpleNamespace(
        model="default",
        model_digest="ab" * 32,
        backend="openvino",
        device="cpu",
        reason="no GPU.",
        version="9.8.7",
        stages={"seg": 12.5, "ref": 3.0},
        temporal=True,
        presence_changes=7,
        precision="bf16",
        precision_reason="asked for.",
    )
    nan = np.float32("nan")
    result = SimpleNamespace(
        report=run,
        agreement=np.array([[1, 0.5, 0.25], [nan, nan, nan]], np.float32),
        quality=np.array([0.912345, nan], np.float32),
    )
    segmented = segmented_file(source, result)
    written = report_document(segmented, input_document(segmented.cine), ["a.json"], {"read": 1.5})
    document = json.loads(json.dumps(written, allow_nan=False))
    assert document["input"] == {
        "format": "nifti",
        "file": "cine.nii.gz",
        "sha256": hashlib.sha256(b"content").hexdigest(),
        "shape_frames_slices_rows_columns": [25, 10, 4, 5],
        "spacing_slice_row_column_mm": [8.0, 1.4, 1.5],
    }
    assert document["frames"] == 25
    assert document["grid"] == {
        "origin_mm": [1.0, 2.0, 3.0],
        "direction": np.eye(3).tolist(),
        "spacing_mm": [1.5, 1.4, 8.0],
        "size": [5, 4, 10],
        "slice_offsets_mm": None,
    }
    assert document["acquisition"] == {
        "frame_times_ms": [0.0, 30.0],
        "rr_interval_ms": 750.0,
        "rr_source": "given",
        "height_m": 1.7,
        "weight_kg": None,
    }
    assert document["notes"] == [{"code": "W_SOMETHING", "text": "a sentence."}]
    assert document["predicted_quality"] == [0.9123, None]
    assert document["stage_agreement"] == [
        {"rv": 1.0, "myo": 0.5, "lv": 0.25},
        {"rv": None, "myo": None, "lv": None},
    ]
    assert document["model"] == {"name": "default", "manifest_sha256": "ab" * 32}
    assert document["temporal"] == {"applied": True, "presence_changes": 7}
    assert document["backend"] == {
        "name": "openvino",
        "device": "cpu",
        "reason": "no GPU.",
        "precision": "bf16",
        "precision_reason": "asked for.",
    }
    assert document["stages_ms"] == {"seg": 12.5, "ref": 3.0}
    assert document["seconds"] == {"read": 1.5}
    assert document["files"] == ["a.json"]
    assert document["versions"]["cardiacseg"] == "9.8.7"
    assert "Research use only" in document["intended_use"]
    assert str(tmp_path) not in json.dumps(document), "a folder may name a patient"


def test_report_of_labels_that_no_model_made(tmp_path):
    source = tmp_path / "cine.nii.gz"
    source.write_bytes(b"content")
    segmented = segmented_file(source)
    document = report_document(segmented, input_document(segmented.cine), [], {})
    assert document["model"] is None
    assert "stages_ms" not in document


def test_versions_hold_what_is_installed():
    found = versions()
    assert found["numpy"] == np.__version__
    assert "python" in found


def test_new_files_appear_together(tmp_path):
    target = tmp_path / "out" / "case"
    with output_folder(target, ["a.txt", "b.txt"], overwrite=False) as folder:
        (folder / "a.txt").write_text("a")
        (folder / "b.txt").write_text("b")
        assert not any(target.glob("*.txt"))
    assert sorted(path.name for path in target.iterdir()) == ["a.txt", "b.txt"]
    assert list(target.parent.iterdir()) == [target]


def test_what_an_earlier_run_wrote_does_not_stay_beside_new_results(tmp_path):
    for name in ("seg-ed.dcm", "seg-es.dcm", "a.txt", "mine.dcm"):
        (tmp_path / name).write_text("old")
    with output_folder(tmp_path, ["a.txt", "seg-*.dcm"], overwrite=True) as folder:
        (folder / "seg-ed.dcm").write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"seg-ed.dcm": "new", "mine.dcm": "old"}


def fail_half_way(target):
    with output_folder(target, ["a.txt"], overwrite=False) as folder:
        (folder / "a.txt").write_text("a")
        raise RuntimeError("half way")


def test_failure_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError, match="half way"):
        fail_half_way(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_results_that_are_there_are_kept(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    with (
        pytest.raises(InvalidInputError, match=r"already holds a\.txt"),
        output_folder(tmp_path, ["a.txt"], overwrite=False),
    ):
        pytest.fail("the block must not run")
    with output_folder(tmp_path, ["a.txt"], overwrite=True) as folder:
        (folder / "a.txt").write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InvalidInputError, match="not a folder"), output_folder(tmp_path / "out", ["a"], overwrite=True):
        pytest.fail("the block must not run")


KILLED = """
import sys
from pathlib import Path
from killed import killed_at_each_change
from cardiacseg.io.output import output_folder

out = Path(sys.argv[1])


def write(text, names):
    with output_folder(out, ["a.txt", "stale-*.txt", "z.txt", "m-sign.txt"], overwrite=True) as folder:
        for name in names:
            (folder / name).write_text(text)


def old():
    write("old", ["a.txt", "stale-1.txt", "stale-2.txt", "z.txt", "m-sign.txt"])


def new():
    write("new", ["a.txt", "z.txt", "m-sign.txt"])


def check():
    there = {path.name: path.read_text() for path in out.iterdir() if path.is_file()}
    if "m-sign.txt" in there:
        assert len(set(there.values()) - {""}) == 1, there
        assert len(there) - (".cardiacseg.lock" in there) == {"old": 5, "new": 3}[there["m-sign.txt"]], there
    old()
    assert len(list(out.iterdir())) == 5


old()
print(killed_at_each_change(new, check))
"""


def test_a_run_that_is_killed_leaves_no_sign_beside_results_of_another_run(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "out"],
        cwd=Path(__file__).parent,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 8


def test_two_runs_into_one_folder(tmp_path):
    target = tmp_path / "new"
    with output_folder(target, ["a.txt"], overwrite=False) as folder:
        with (
            pytest.raises(InvalidInputError, match="in use by another run"),
            output_folder(target, ["a.txt"], overwrite=True),
        ):
            pytest.fail("the block must not run")
        (folder / "a.txt").write_text("first")
    assert [path.name for path in target.iterdir()] == ["a.txt"]
    assert (target / "a.txt").read_text() == "first"


def test_links_are_not_followed_out_of_the_folder(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/a.txt").write_text("mine")
    target = tmp_path / "out"
    target.mkdir()
    (target / "a.txt").symlink_to(tmp_path / "victim/a.txt")
    (target / "b.txt").symlink_to(tmp_path / "victim")
    (target / ".cardiacseg.partial").symlink_to(tmp_path / "victim")
    with output_folder(target, ["a.txt", "b.txt"], overwrite=True) as folder:
        (folder / "a.txt").write_text("new")
    assert {path.name: path.read_text() for path in target.iterdir()} == {"a.txt": "new"}
    assert {path.name: path.read_text() for path in (tmp_path / "victim").iterdir()} == {"a.txt": "mine"}
    (target / ".cardiacseg.lock").symlink_to(tmp_path / "victim/lock")
    with pytest.raises(OutputError, match="cannot write"), output_folder(target, ["a.txt"], overwrite=True):
        pytest.fail("the block must not run")
    assert not (tmp_path / "victim/lock").exists()


def test_a_folder_in_a_results_place_changes_nothing(tmp_path):
    for name in ("a.txt", "sign.txt"):
        (tmp_path / name).write_text("old")
    (tmp_path / "b.txt").mkdir()

    def write():
        with output_folder(tmp_path, ["a.txt", "b.txt", "sign.txt"], overwrite=True) as folder:
            for name in ("a.txt", "b.txt", "sign.txt"):
                (folder / name).write_text("new")

    with pytest.raises(InvalidInputError, match=r"b\.txt is a folder"):
        write()
    assert (tmp_path / "a.txt").read_text() == (tmp_path / "sign.txt").read_text() == "old"


def test_errors_of_the_system_name_the_path_and_what_was_done(tmp_path):
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file/out", tmp_path / "file/out/deeper"):
        with (
            pytest.raises(OutputError, match=rf"^cannot make the folder {target}: Not a directory$"),
            output_folder(target, ["a"], overwrite=False),
        ):
            pytest.fail("the block must not run")
    with pytest.raises(OutputError, match=rf"^cannot write {tmp_path}/gone/a.json: No such file or directory$"):
        write_json(tmp_path / "gone/a.json", {})


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_write_that_fails_leaves_the_earlier_file(tmp_path):
    import resource

    write_json(tmp_path / "a.json", {"a": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match=rf"^cannot write {tmp_path}/a.json: File too large$"):
            write_json(tmp_path / "a.json", {"a": "b" * 2000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()} == {"a.json": {"a": 1}}


def test_free_folder_counts_up(tmp_path):
    expected = tmp_path / "demo"
    assert free_folder(expected, ["a"], overwrite=False) == expected
    expected.mkdir()
    assert free_folder(expected, ["a"], overwrite=False) == expected
    (expected / "a").write_text("")
    (tmp_path / "demo-2").mkdir()
    (tmp_path / "demo-2" / "a").write_text("")
    assert free_folder(expected, ["a"], overwrite=False) == tmp_path / "demo-3"
    assert free_folder(expected, ["a"], overwrite=True) == expected


@pytest.fixture
def core():
    return pytest.importorskip("cardiacseg._core", reason="the compiled core is not built")


def discs(frames):
    """A beating disc in a ring with a second disc beside it: image and labels [T, 3, 60, 50]."""
    rows, columns = np.mgrid[:60, :50]
    labels = np.zeros((frames, 3, 60, 50), dtype=np.uint8)
    for frame in range(frames):
        radius = np.hypot(rows - 30, columns - 28)
        labels[frame, :, np.hypot(rows - 30, columns - 16) < 9] = 1
        labels[frame, :, radius < 11] = 2
        labels[frame, :, radius < 8 - 2 * (frame % 2)] = 3
    return np.choose(labels, [10, 90, 40, 100]).astype(np.uint16), labels


@pytest.mark.parametrize("frames", [1, 3])
def test_preview_is_a_picture_with_the_contours_colours(core, tmp_path, frames):
    from matplotlib import image as pictures

    from cardiacseg.io.report.preview import write_preview
    from cardiacseg.measurements import measure

    image, labels = discs(frames)
    write_preview(tmp_path / "p.png", image, labels, SPACING, measure(labels, SPACING), "two discs")
    picture = pictures.imread(tmp_path / "p.png")[..., :3]
    assert picture.shape[1] > 1200
    for color in ((0x56, 0xB4, 0xE9), (0xCC, 0x79, 0xA7), (0xE6, 0x9F, 0x00)):
        near = np.abs(picture - np.array(color) / 255).max(axis=-1) < 0.06
        assert near.sum() > 100


def test_preview_without_a_heart(core, tmp_path):
    from cardiacseg.io.report.preview import write_preview
    from cardiacseg.measurements import measure

    image, labels = np.zeros((2, 3, 20, 30), np.uint16), np.zeros((2, 3, 20, 30), np.uint8)
    write_preview(tmp_path / "p.png", image, labels, SPACING, measure(labels, SPACING), "nothing")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_measurements_document_states_its_conventions(core):
    from cardiacseg.measurements import measure

    _, labels = discs(2)
    document = json.loads(json.dumps(measurements_document(measure(labels, SPACING), SPACING), allow_nan=False))
    assert document["spacing_slice_row_column_mm"] == [8.0, 1.4, 1.5]
    assert document["es_frame"] == 1
    assert "papillary" in document["conventions"]["papillary_muscles"]
    assert document["lv_sv_ml"] == pytest.approx(document["lv_edv_ml"] - document["lv_esv_ml"])
