"""Precision on the CPU: what is chosen and why, the parity gate in bf16, its record in the manifest."""

import json
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from onnx import helper
from onnx_bundle import CENTERS, _graph, write_bundle, write_manifest

import cardiacseg
from cardiacseg.cli.parser import build_parser
from cardiacseg.errors import BackendError, BundleError, InvalidInputError
from cardiacseg.export.parity_gate import ParityGateError, _layers, measure_bf16, record_bf16
from cardiacseg.study.case_run import CaseSegmenter
from cardiacseg.study.segment import StudyOptions

SPACING = (8.0, 1.5, 1.5)
PASSED = {"precisions": {"bf16": {"passed": True}}}


def _computes_bf16() -> bool:
    try:
        cardiacseg.explain_device("default", precision="bf16")
    except BackendError:
        return False
    return True


needs_bf16 = pytest.mark.skipif(not _computes_bf16(), reason="OpenVINO does not compute in bf16 on this CPU")


@pytest.fixture(scope="module")
def keeping(tmp_path_factory):
    """A bundle without matrix products: OpenVINO computes all of it in float32."""
    return write_bundle(tmp_path_factory.mktemp("keeping") / "bundle", locate=False)


@pytest.fixture(scope="module")
def losing(tmp_path_factory):
    """A bundle whose only layer needs float32."""
    return write_steep_bundle(tmp_path_factory.mktemp("losing") / "bundle", around=0)


def write_steep_bundle(folder, around):
    """Logits come from a convolution so steep that 8 bits of the intensity decide other labels.

    Before it and after it are ``around`` convolutions that change nothing.
    """
    folder.mkdir()
    constants = {
        "weight": (20000 * CENTERS).reshape(4, 1, 1, 1).astype(np.float32),
        "bias": (-10000 * CENTERS**2).astype(np.float32),
        "flat": np.array([-1, 1, 32, 32]),
        "stacks": np.array([1, -1, 4, 32, 32]),
        "one": np.ones((1, 1, 1, 1), np.float32),
        "same": np.eye(4, dtype=np.float32).reshape(4, 4, 1, 1),
    }
    before = ["slices", *(f"before{index}" for index in range(around))]
    after = ["maps", *(f"after{index}" for index in range(around))]
    nodes = [
        helper.make_node("Reshape", ["input", "flat"], ["slices"]),
        *(helper.make_node("Conv", [name, "one"], [next_]) for name, next_ in pairwise(before)),
        helper.make_node("Conv", [before[-1], "weight", "bias"], ["maps"]),
        *(helper.make_node("Conv", [name, "same"], [next_]) for name, next_ in pairwise(after)),
        helper.make_node("Reshape", [after[-1], "stacks"], ["logits"]),
    ]
    _graph(folder / "seg.onnx", 1, nodes, constants, ["logits"])
    return write_manifest(folder)


@pytest.fixture
def image():
    return np.random.default_rng(0).random((1, 3, 32, 32)).astype(np.float32)


def with_record(bundle, folder, **record):
    for path in bundle.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return write_manifest(folder, **(record or PASSED))


def test_a_bundle_without_a_record_runs_in_fp32(keeping, image):
    report = cardiacseg.CardiacSegmenter(keeping, device="cpu").run(image, spacing=SPACING).report
    assert report.precision == "fp32"
    assert report.precision_reason == "auto; the bundle's manifest does not record that it keeps its labels in bf16"


@needs_bf16
def test_auto_takes_bf16_if_the_bundle_passed_and_fp32_can_be_asked_for(keeping, tmp_path, image):
    bundle = with_record(keeping, tmp_path)
    segmenter = cardiacseg.CardiacSegmenter(bundle, device="cpu")
    report = segmenter.run(image, spacing=SPACING).report
    assert segmenter.precision == report.precision == "bf16"
    assert "natively" in report.precision_reason and "records" in report.precision_reason
    chosen = cardiacseg.explain_device(bundle, device="cpu", precision="fp32")
    assert (chosen["precision"], chosen["precision_reason"]) == ("fp32", "fp32 was asked for")


@needs_bf16
def test_bf16_can_be_asked_for_without_a_record(losing, image):
    report = cardiacseg.CardiacSegmenter(losing, device="cpu", precision="bf16").run(image, spacing=SPACING).report
    assert report.precision == "bf16"
    assert report.precision_reason.startswith("bf16 was asked for; ") and "does not record" in report.precision_reason


def test_a_cpu_kept_from_bf16_computes_in_fp32(keeping, tmp_path):
    bundle = with_record(keeping, tmp_path)
    program = """
import sys, cardiacseg
chosen = cardiacseg.explain_device(sys.argv[1], device="cpu")
print(chosen["precision"], chosen["precision_reason"])
try:
    cardiacseg.explain_device(sys.argv[1], device="cpu", precision="bf16")
except cardiacseg.BackendError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, bundle],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        check=True,
    )
    chosen, refused = done.stdout.splitlines()
    assert chosen.startswith("fp32 auto; OpenVINO does not ")
    assert "precision 'bf16' is not to be had: OpenVINO does not " in refused


def test_other_precisions_are_refused(keeping):
    with pytest.raises(InvalidInputError, match="precision must be auto, fp32 or bf16, got 'int8'"):
        cardiacseg.CardiacSegmenter(keeping, precision="int8")
    with pytest.raises(BackendError, match="asked for on a GPU, but engines on a GPU compute in fp16 or fp32"):
        cardiacseg.CardiacSegmenter(keeping, device="cuda", precision="bf16")


@pytest.mark.parametrize("record", [1, {"bf16": True}, {"bf16": {}}, {"bf16": {"passed": "yes"}}])
def test_a_record_that_cannot_be_is_refused(keeping, tmp_path, record):
    with pytest.raises(BundleError, match="precisions"):
        cardiacseg.CardiacSegmenter(with_record(keeping, tmp_path, precisions=record), device="cpu", precision="bf16")


@needs_bf16
def test_verify_compares_bf16_with_fp32_on_the_cpu(keeping, losing, image):
    passed = cardiacseg.CardiacSegmenter(keeping, device="cpu", precision="fp32").verify(image, spacing=SPACING)
    assert passed.passed and passed.summary.startswith("the networks in bf16 agree with those in fp32: seg (bf16): ")
    failed = cardiacseg.CardiacSegmenter(losing, device="cpu").verify(image, spacing=SPACING)
    assert not failed.passed and failed.stages[0]["largest_gap"] > 0.05
    assert "do not agree" in failed.summary and "expected less than 0.05" in failed.summary


@needs_bf16
def test_verify_refuses_a_bundle_that_another_one_has_replaced(keeping, tmp_path, image):
    bundle = with_record(keeping, tmp_path)
    segmenter = cardiacseg.CardiacSegmenter(bundle, device="cpu")
    write_manifest(bundle)
    with pytest.raises(BundleError, match="expected the bundle that this segmenter was made from"):
        segmenter.verify(image, spacing=SPACING)


@needs_bf16
def test_what_passes_is_recorded_and_what_fails_is_not(keeping, tmp_path, image):
    (tmp_path / "good").mkdir()
    good = with_record(keeping, tmp_path / "good", temperature=2.0)
    stacks = [(image, SPACING), (image[:, :2], SPACING)]
    assert record_bf16(good, stacks, "noise") is None
    manifest = json.loads((good / "manifest.json").read_text())
    entry = manifest["precisions"]["bf16"]
    assert (entry["passed"], entry["stacks"], entry["data"]) == (True, 2, "noise")
    assert entry["stages"]["seg"]["voxels"] == 5 * 32 * 32 and manifest["temperature"] == 2.0
    assert cardiacseg.explain_device(good, device="cpu")["precision"] == "bf16"

    bad = write_steep_bundle(tmp_path / "bad", around=9)
    assert "does not keep its labels in bf16" in record_bf16(bad, stacks, "noise")
    assert "precisions" not in json.loads((bad / "manifest.json").read_text())
    with pytest.raises(ParityGateError, match=r"expected less than 0\.05"):
        measure_bf16(bad, stacks)


@needs_bf16
def test_layers_that_the_gate_needs_stay_in_float32_also_in_what_is_kept_compiled(losing, tmp_path, image):
    bundle = with_record(losing, tmp_path)
    assert record_bf16(bundle, [(image, SPACING)], "noise") is None
    entry = json.loads((bundle / "manifest.json").read_text())["precisions"]["bf16"]
    assert entry["float32"] == {"seg": _layers(8)}
    assert cardiacseg.CardiacSegmenter(bundle, device="cpu").verify(image, spacing=SPACING).passed

    def labels(folder, precision):
        segmenter = cardiacseg.CardiacSegmenter(folder, device="cpu", precision=precision, cache=tmp_path / "cache")
        return segmenter.run(image, spacing=SPACING).labels

    wide = labels(bundle, "fp32")
    assert not np.array_equal(labels(losing, "bf16"), wide)
    for _ in range(2):  # compiled, and read from the cache
        np.testing.assert_array_equal(labels(bundle, "auto"), wide)


@pytest.mark.parametrize(
    "command", [("segment", "in"), ("batch", "in", "-o", "out"), ("receive", "-o", "out"), ("demo",), ("bench",)]
)
def test_every_command_that_runs_a_model_takes_a_precision(command, capsys):
    assert build_parser().parse_args(command).precision == "auto"
    assert build_parser().parse_args([*command, "--precision", "bf16"]).precision == "bf16"
    with pytest.raises(SystemExit):
        build_parser().parse_args([*command, "--precision", "fp16"])
    assert "argument --precision: invalid choice: 'fp16'" in capsys.readouterr().err


@needs_bf16
def test_results_of_a_batch_depend_on_the_precision(keeping):
    made = {
        precision: CaseSegmenter(
            cardiacseg.CardiacSegmenter(keeping, device="cpu", precision=precision), StudyOptions(), keeping
        ).made_with
        for precision in ("auto", "fp32", "bf16")
    }
    assert made["auto"] == made["fp32"] != made["bf16"]
