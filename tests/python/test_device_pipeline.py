"""The pipeline on a GPU that is simulated on the CPU: tests/cpp/device_pipeline on bundles of pointwise networks."""

import os
import subprocess

import onnx_bundle
import pytest
from conftest import run_command

LOCATE = {"spacing_mm": 3.0, "size_multiple": 8, "threshold": 0.5}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    preprocessing = {"spacing_mm": 1.5, "crop_pixels": onnx_bundle.SIDE, "percentiles": [1, 99]}
    onnx_bundle.write_bundle(
        folder / "whole",
        seg_presence=True,
        ref=True,
        ref_presence=True,
        locate=True,
        preprocessing={**preprocessing, "locate": LOCATE},
        temperature=1.5,
        clean_up=True,
        quality={"intercept": 0.1, "slope": 0.8},
    )
    onnx_bundle.write_bundle(folder / "seg")
    onnx_bundle.write_bundle(folder / "seg_presence", seg_presence=True)
    onnx_bundle.write_bundle(folder / "ref", ref=True)
    onnx_bundle.write_bundle(folder / "ref_presence", ref=True, ref_presence=True)
    return folder


def test_the_owners_of_cudas_objects(simulated_build):
    run_command(simulated_build("cuda_owners") / "tests/cpp/device_pipeline/cuda_owners")


def test_everything_equals_the_pipeline_on_the_host(simulated_build, bundles):
    program = simulated_build("device_pipeline") / "tests/cpp/device_pipeline/device_pipeline"
    environment = {**os.environ, "CARDIACSEG_TEST_BUNDLES": str(bundles)}
    done = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
