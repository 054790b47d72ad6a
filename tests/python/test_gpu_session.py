"""Python on a GPU that is simulated on the CPU, with a provider of TensorRT that runs engines on OpenVINO."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cardiacseg


@pytest.fixture(scope="module")
def package(simulated_build, tmp_path_factory):
    """This package with a core whose GPU is simulated, and the environment to use it."""
    built = simulated_build("_core", "fake_tensorrt", "fake_tensorrt_rtx")
    site = tmp_path_factory.mktemp("site")
    (site / "cardiacseg").mkdir()
    (core,) = (built / "python/bindings").glob("_core*.so")
    sources = [path for path in Path(cardiacseg.__file__).parent.iterdir() if not path.name.startswith("_core.c")]
    for path in [*sources, core]:
        (site / "cardiacseg" / path.name).symlink_to(path)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]),
        "CARDIACSEG_PROVIDERS": str(built / "fake_tensorrt"),
    }


def test_a_session(package, tiny_bundle, cine, tmp_path):
    np.save(tmp_path / "cine.npy", cine)
    command = [sys.executable, Path(__file__).with_name("gpu_session.py"), tiny_bundle, tmp_path / "engines"]
    done = subprocess.run([*command, tmp_path / "cine.npy"], env=package, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    assert done.stdout.endswith("all of it\n")


def test_info_says_which_device_would_run(package):
    command = [sys.executable, "-m", "cardiacseg.cli", "info"]
    done = subprocess.run(command, env=package, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "tensorrt (cuda): available. TensorRT" in done.stdout
    assert "device auto takes openvino" in done.stdout and "tensorrt was passed over" in done.stdout
