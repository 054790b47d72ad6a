"""The command line as a user runs it: in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from onnx_bundle import write_bundle

import cardiacseg

pytest.importorskip("cardiacseg._core", reason="the compiled core is not built")

PACKAGE = Path(cardiacseg.__file__).parent
DEFAULT_BUNDLE = PACKAGE / "bundles" / "default"
needs_default_bundle = pytest.mark.skipif(
    not (DEFAULT_BUNDLE / "manifest.json").is_file(), reason=f"no default bundle in {DEFAULT_BUNDLE}"
)
RESULTS = [
    "labels.nii.gz",
    "measurements.json",
    "preview.png",
    "quality.json",
    "report.html",
    "report.json",
    "report.pdf",
    "slices.csv",
]
DEMO_RESULTS = sorted(["cine.nii.gz", "truth.nii.gz", *RESULTS])


def command(*arguments):
    return [sys.executable, "-m", "cardiacseg.cli", *map(str, arguments)]


def environment():
    return {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}


def cardiacseg_cli(*arguments, cwd):
    return subprocess.run(command(*arguments), cwd=cwd, env=environment(), capture_output=True, text=True, check=False)


def refused(done, code, *words):
    """The command said one sentence on standard error, without a traceback."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("cardiacseg: ")
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr
    return True


def test_the_docs_have_every_option():
    said = "".join(path.read_text() for path in (Path(__file__).parents[2] / "docs").glob("*.md"))
    for name in ("segment", "measure", "batch", "send", "receive"):
        shown = subprocess.run(command(name, "--help"), env=environment(), capture_output=True, text=True, check=True)
        options = set(re.findall(r"^  (?:-\w(?: \w+)?, )?(--[a-z-]+)", shown.stdout, re.MULTILINE))
        assert len(options) > 4
        absent = {option for option in options if not re.search(rf"{option}(?![a-z-])", said)}
        assert absent <= {"--help", "--output"}  # the docs say -o


def test_listing_groups_is_for_dicom(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 3), np.uint8), np.eye(4)), tmp_path / "image.nii")
    assert refused(
        cardiacseg_cli("segment", "image.nii", "--list", cwd=tmp_path), 2, "a NIfTI file, which has no groups"
    )


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A small short-axis stack as NIfTI."""
    path = tmp_path_factory.mktemp("input") / "stack.nii.gz"
    pixels = np.random.default_rng(0).integers(0, 1000, (90, 80, 3), dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(pixels, np.diag([-1.5, -1.25, 8.0, 1.0])), path)
    return path


def test_help_lists_commands_and_exit_codes(tmp_path):
    done = cardiacseg_cli("--help", cwd=tmp_path)
    assert done.returncode == 0
    commands = ("segment", "measure", "batch", "send", "receive", "demo", "info", "bench")
    for word in (*commands, "exit codes", "130", "Research use only"):
        assert word in done.stdout


def test_version(tmp_path):
    assert cardiacseg_cli("--version", cwd=tmp_path).stdout == f"cardiacseg {cardiacseg.__version__}\n"


def test_older_names_of_options():
    from cardiacseg.cli.parser import build_parser

    def parsed(*words):
        return vars(build_parser().parse_args(["batch", "in", "-o", "out", *words]))

    assert parsed("--again") == parsed("--overwrite") != parsed()
    assert parsed("--latest-retake") == parsed("--latest-repeat") != parsed()


@pytest.mark.parametrize(
    "arguments",
    [[], ["unknown"], ["segment"], ["segment", "in.nii", "-o", "out", "--threads", "-1"], ["demo", "--frames", "x"]],
)
def test_wrong_usage(tmp_path, arguments):
    done = cardiacseg_cli(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "usage:" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_segment_writes_everything(tmp_path, tiny_bundle, stack):
    done = cardiacseg_cli("segment", stack, "-o", "out", "--model", tiny_bundle, "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "a bar is for terminals only"
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == RESULTS
    labels, source = nibabel.load(out / "labels.nii.gz"), nibabel.load(stack)
    assert labels.shape == source.shape
    np.testing.assert_array_equal(labels.affine, source.affine)
    report = json.loads((out / "report.json").read_text())
    assert report["input"]["file"] == "stack.nii.gz"
    assert sorted(report["files"]) == RESULTS
    assert report["model"]["name"] == "tiny"
    assert report["backend"]["device"] == "cpu"
    assert report["predicted_quality"] == [None]
    assert [sorted(frame) for frame in report["stage_agreement"]] == [["lv", "myo", "rv"]]
    assert report["seconds"]["segment"] * 1000 >= sum(report["stages_ms"].values()) > 0
    assert list(report["seconds"]) == ["read", "segment", "measure", "write", "report"]
    measured = json.loads((out / "measurements.json").read_text())
    assert measured["es_frame"] is None
    assert measured["lv_ml"] == pytest.approx([np.sum(np.asarray(labels.dataobj) == 3) * 1.5 * 1.25 * 8 / 1000])
    assert (out / "preview.png").read_bytes().startswith(b"\x89PNG")
    assert "written to out" in done.stdout


def test_segment_says_what_quality_the_model_expects(tmp_path, stack):
    bundle = write_bundle(tmp_path / "bundle", ref=True, quality={"intercept": 0.25, "slope": 0.5})
    done = cardiacseg_cli("segment", stack, "-o", "out", "--model", bundle, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out/report.json").read_text())
    ((frame,), (quality,)) = report["stage_agreement"], report["predicted_quality"]
    assert quality == pytest.approx(0.25 + 0.5 * sum(frame.values()) / 3, abs=2e-4)
    assert f"predicted mean Dice {quality:.2f}, lowest {quality:.2f} (phase 1)" in done.stdout


def test_segment_prints_json(tmp_path, tiny_bundle, stack):
    done = cardiacseg_cli("segment", stack, "-o", tmp_path / "out", "--model", tiny_bundle, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert sorted(document["files"]) == RESULTS
    assert document["measurements"]["ed_frame"] == 0


def test_results_are_kept_unless_overwrite(tmp_path, tiny_bundle, stack):
    (tmp_path / "report.json").write_text("mine")
    done = cardiacseg_cli("segment", stack, "-o", tmp_path, "--model", tiny_bundle, cwd=tmp_path)
    assert refused(done, 2, "already holds report.json", "--overwrite")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    done = cardiacseg_cli("segment", stack, "-o", tmp_path, "--model", tiny_bundle, "--overwrite", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mine" not in (tmp_path / "report.json").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == RESULTS


def test_users_mistakes_end_with_one_sentence(tmp_path, tiny_bundle, stack):
    (tmp_path / "text.nii").write_text("no image")
    damaged = tmp_path / "bundle"
    damaged.mkdir()
    (damaged / "manifest.json").write_text("{}")
    model = ("--model", tiny_bundle)
    assert refused(cardiacseg_cli("segment", "gone.nii", "-o", "out", *model, cwd=tmp_path), 2, "gone.nii")
    assert refused(cardiacseg_cli("segment", stack, *model, cwd=tmp_path), 2, "-o DIR")
    assert refused(cardiacseg_cli("measure", tmp_path, "-o", "out", cwd=tmp_path), 2, "report.json", "earlier run")
    assert refused(cardiacseg_cli("segment", "text.nii", "-o", "out", *model, cwd=tmp_path), 2, "text.nii")
    assert refused(cardiacseg_cli("segment", stack, "-o", "text.nii", *model, cwd=tmp_path), 2, "not a folder")
    assert refused(cardiacseg_cli("segment", stack, "-o", "out", "--model", "nowhere", cwd=tmp_path), 3, "nowhere")
    assert refused(cardiacseg_cli("segment", stack, "-o", "out", "--model", damaged, cwd=tmp_path), 3, "manifest")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "text.nii"]


@pytest.mark.parametrize(
    "words",
    [
        ("segment", "study", "-o", "out"),
        ("segment", "study", "--list"),
        ("send", "study", "--to", "PACS@127.0.0.1:104"),
        ("receive", "-o", "out"),
    ],
)
def test_without_the_libraries_for_dicom(tmp_path, words):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "1.dcm").write_bytes(bytes(128) + b"DICM")
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['pydicom', 'pynetdicom', 'highdicom']))\n"
        f"from cardiacseg.cli import main; sys.exit(main({words}))"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert refused(done, 2, 'pip install "cardiacseg[dicom]"')


@pytest.mark.skipif(
    any(backend["device"] == "cuda" and backend["available"] for backend in cardiacseg.list_backends()),
    reason="CUDA is available here, so asking for it is no mistake",
)
def test_options_about_dicom_results_that_contradict_each_other(tmp_path, stack):
    pytest.importorskip("pynetdicom")
    done = cardiacseg_cli("receive", "--to", "PACS@127.0.0.1:104", "--no-dicom", cwd=tmp_path)
    refused(done, 2, "--to sends DICOM results, which --no-dicom switches off")
    refused(cardiacseg_cli("segment", stack, "-o", "out", "--no-dicom", "--rtstruct", cwd=tmp_path), 2, "switched off")


def test_unavailable_device(tmp_path, tiny_bundle, stack):
    done = cardiacseg_cli("segment", stack, "-o", "out", "--model", tiny_bundle, "--device", "cuda", cwd=tmp_path)
    assert refused(done, 4, "cuda")


def test_demo_with_another_model(tmp_path, tiny_bundle):
    arguments = ("demo", "--frames", 2, "--slices", 4, "--seed", 5, "--model", tiny_bundle)
    done = cardiacseg_cli(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Dice against the true labels: RV" in done.stdout
    first = tmp_path / "cardiacseg-demo"
    assert sorted(path.name for path in first.iterdir()) == DEMO_RESULTS
    kept = (first / "report.json").read_bytes()
    again = cardiacseg_cli(*arguments, "--json", cwd=tmp_path)
    document = json.loads(again.stdout)
    assert document["output"] == "cardiacseg-demo-2"
    assert set(document["dice"]) == {"rv", "myo", "lv", "mean"}
    assert (first / "report.json").read_bytes() == kept
    cine, truth = (nibabel.load(first / f"{name}.nii.gz") for name in ("cine", "truth"))
    assert cine.shape == truth.shape == (224, 208, 4, 2)
    for name in ("truth.nii.gz", "labels.nii.gz", "cine.nii.gz"):
        np.testing.assert_array_equal(
            np.asarray(nibabel.load(first / name).dataobj),
            np.asarray(nibabel.load(tmp_path / "cardiacseg-demo-2" / name).dataobj),
        )


@needs_default_bundle
def test_demo_of_the_default_model_finds_the_heart(tmp_path):
    done = cardiacseg_cli("demo", "-o", "out", "--frames", 3, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["dice"]["mean"] >= 0.85
    assert 40 < document["measurements"]["lv_ef_percent"] < 80


def test_info_answers_without_a_model(tmp_path):
    done = cardiacseg_cli("info", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"cardiacseg {cardiacseg.__version__}" in done.stdout
    assert "openvino (cpu)" in done.stdout
    document = json.loads(cardiacseg_cli("info", "--json", cwd=tmp_path).stdout)
    assert document["core_version"] == cardiacseg.__version__
    assert [backend["name"] for backend in document["backends"]] == [b["name"] for b in cardiacseg.list_backends()]


GOOD = '{"name": "good", "version": "1.2", "model": "seg_ref", "licence": "X", "temperature": 1.25}'


def test_info_names_a_damaged_bundle(tmp_path):
    from cardiacseg.installation import bundled_models

    for name, text in (("good", GOOD), ("worse", "[]"), ("bad", "{")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(text)
    bad, good, worse = bundled_models(tmp_path)
    assert good == {"name": "good", "version": "1.2", "model": "seg_ref", "licence": "X", "temperature": 1.25}
    assert bad["licence"].startswith("damaged manifest")
    assert worse["licence"].startswith("damaged manifest")


def test_bench_measures(tmp_path, tiny_bundle):
    done = cardiacseg_cli("bench", "--slices", 2, "--repeats", 3, "--model", tiny_bundle, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["latency_p95_ms"] >= found["latency_p50_ms"] > 0
    assert found["cold_start_ms"] > found["import_ms"] > 0
    assert found["slices"] == 2
    rows = found["precisions"]
    assert set(rows) == {"fp32", "bf16"} and "not_run" not in rows[found["precision"]]
    for row in rows.values():
        assert "CPU" in row["not_run"] if "not_run" in row else row["latency_p95_ms"] >= row["latency_p50_ms"] > 0
    assert found["latency_p50_ms"] == rows[found["precision"]]["latency_p50_ms"]


def output_to(file, *words, cwd):
    buffered = {name: value for name, value in environment().items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        command(*words), cwd=cwd, env=buffered, stdout=file, stderr=subprocess.PIPE, text=True, check=False
    )


@pytest.mark.parametrize("words", [["--help"], ["info"], ["info", "--json"], ["segment", "--help"]])
def test_a_reader_that_goes_away_gets_no_complaint(words, tmp_path):
    """As ``cardiacseg ... | head -1`` does it; even if all output fits into the buffer."""
    ends, enter = os.pipe()
    os.close(ends)
    done = output_to(enter, *words, cwd=tmp_path)
    os.close(enter)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_output_that_cannot_be_written(tmp_path):
    with open("/dev/full", "w") as full:
        done = output_to(full, "info", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "cardiacseg: cannot write to standard output: No space left on device\n"


def test_control_characters_of_names_are_escaped(tmp_path, capsys):
    from cardiacseg.cli import main

    assert main(["segment", str(tmp_path / "a\x1b[31m\n.nii"), "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "a\\x1b[31m\\n.nii" in said and said.isascii() and said.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_interrupt_leaves_nothing_behind(tmp_path, tiny_bundle):
    running = subprocess.Popen(
        command("demo", "-o", "out", "--frames", 200, "--model", tiny_bundle),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # If the tests run in the background of a shell, interrupts are ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    running.stderr.readline()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130
    assert errors == "cardiacseg: interrupted\n"
    assert list(tmp_path.iterdir()) == []
