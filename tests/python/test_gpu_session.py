"""Python on a GPU that is simulated on the CPU, with a provider of TensorRT that runs engines on OpenVINO."""

import json
import os
import runpy
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import onnx_bundle
import pytest

import cardiacseg

ROOT = Path(__file__).parents[2]


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


AFTERWARDS = """if True:
    import json, os, sys
    import cardiacseg
    bundle, engines, log = sys.argv[1:]
    os.environ["CARDIACSEG_FAKE_LOG"] = log
    found = {"explained": cardiacseg.explain_device(bundle, engines=engines)["device"]}
    found["log"] = open(log).read() if os.path.exists(log) else ""
    print(json.dumps(found))"""
CRASHING = """if True:
    import json, os, sys
    import numpy as np
    import cardiacseg
    os.environ["CARDIACSEG_FAKE"] = "crashes"
    listed = {entry["name"]: entry for entry in cardiacseg.list_backends()}
    segmenter = cardiacseg.CardiacSegmenter(sys.argv[1], engines=sys.argv[2])
    result = segmenter.run(np.load(sys.argv[3]), spacing=(8.0, 1.5, 1.5))
    report = {"backend": result.report.backend, "reason": result.report.reason}
    print(json.dumps({"listed": listed["tensorrt"], **report}))"""

NUMBERED = """if True:
    import json, sys
    import numpy as np
    import cardiacseg
    bundle, engines, path = sys.argv[1:]
    cine, found = np.load(path), {}
    for device in ("cuda:1", "cuda:0", "cuda"):
        segmenter = cardiacseg.CardiacSegmenter(bundle, device=device, engines=engines)
        result = segmenter.run(cine, spacing=(8.0, 1.5, 1.25), device_labels=True)
        found[device] = [*result.labels.__dlpack_device__(), result.report.reason, repr(segmenter)]
    for device in ("cuda:2", "cuda:1000"):
        try:
            cardiacseg.explain_device(bundle, device, engines)
        except cardiacseg.Error as error:
            found[device] = f"{type(error).__name__} {error}"
    print(json.dumps(found))"""
NO_GPU = """if True:
    import json, sys
    import cardiacseg
    try:
        cardiacseg.CardiacSegmenter(sys.argv[1], device=sys.argv[2])
    except cardiacseg.BackendError as error:
        print(json.dumps(str(error)))"""

WINDOWS = """if True:
    import json, sys
    import numpy as np
    import cardiacseg
    from cardiacseg.export.engine_options import EngineOptions
    from cardiacseg.export.engine import build_engines
    from pathlib import Path
    said = []
    for refused in (
        lambda: cardiacseg.CardiacSegmenter(sys.argv[1], device="cuda"),
        lambda: build_engines(Path(sys.argv[1]), Path(sys.argv[2]), EngineOptions()),
    ):
        try:
            refused()
        except cardiacseg.BackendError as error:
            said.append(str(error))
    result = cardiacseg.CardiacSegmenter(sys.argv[1]).run(np.load(sys.argv[3]), spacing=(8.0, 1.5, 1.25))
    print(json.dumps({"said": said, "backend": result.report.backend, "reason": result.report.reason}))"""


def run_script(package, script, *words, **variables):
    command = [sys.executable, "-c", script, *words]
    done = subprocess.run(command, env=package | variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    return json.loads(done.stdout)


def test_the_core_that_gpu_check_installs_finds_openvino(simulated_build, tmp_path):
    checks = runpy.run_path(str(ROOT / "tools/gpu_check.py"), run_name="gpu_check")["engine_checks"]
    arguments = Namespace(build=tmp_path, limit=60.0, architectures="90-real")
    steps = {one.name: one.command for one in checks(arguments, "nvcc")}
    assert "-DCMAKE_INSTALL_RPATH_USE_LINK_PATH=ON" in steps["package configure"]
    subprocess.run(steps["package sources"], check=True, timeout=60)
    built = simulated_build("_core")
    install = [built if word == str(tmp_path / "package") else word for word in steps["package install"]]
    subprocess.run(install, check=True, capture_output=True, timeout=60)
    environment = {key: value for key, value in os.environ.items() if key not in ("LD_LIBRARY_PATH", "PYTHONPATH")}
    environment["PYTHONPATH"] = str(tmp_path / "site")
    script = "import json, cardiacseg; print(json.dumps([cardiacseg.__file__, cardiacseg.list_backends()]))"
    file, backends = run_script(environment, script)
    assert Path(file).is_relative_to(tmp_path / "site") and {"openvino", "tensorrt"} <= {
        one["name"] for one in backends
    }


def test_a_session(package, tiny_bundle, cine, tmp_path):
    np.save(tmp_path / "cine.npy", cine)
    command = [sys.executable, Path(__file__).with_name("gpu_session.py"), tiny_bundle, tmp_path / "engines"]
    done = subprocess.run([*command, tmp_path / "cine.npy"], env=package, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    assert done.stdout.endswith("all of it\n")

    # Its engines are verified now. Another process finds that in their headers, without loading them.
    found = run_script(package, AFTERWARDS, tiny_bundle, tmp_path / "engines", tmp_path / "log")
    assert found["explained"] == "cuda" and "load" not in found["log"]
    numbered = run_script(
        *(package, NUMBERED, tiny_bundle, tmp_path / "engines", tmp_path / "cine.npy"), CARDIACSEG_SIMULATED_GPUS="2"
    )
    for device, index in {"cuda:1": 1, "cuda:0": 0, "cuda": 0}.items():
        *labels, reason, shown = numbered[device]
        assert labels == [2, index] and reason.startswith(f"{device} was asked for; TensorRT")
        assert shown == "<CardiacSegmenter: model 'tiny', tensorrt on cuda, fp32>"
    assert numbered["cuda:2"] == "BackendError device 'cuda:2' was asked for, but the last GPU here is 'cuda:1'"
    assert numbered["cuda:1000"].startswith("InvalidInputError device must be auto, cpu, cuda or cuda:N")
    # If TensorRT ends the process that opens it, the report says so, and the CPU is used.
    found = run_script(package, CRASHING, tiny_bundle, tmp_path / "engines", tmp_path / "cine.npy")
    assert not found["listed"]["available"]
    for reason in (found["listed"]["reason"], found["reason"]):
        assert "TensorRT: opening libnvinfer.so ended the process that tried it by signal 11" in reason
        assert "LD_PRELOAD" in reason
    assert found["backend"] == "openvino"


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_without_a_gpu_the_error_says_what_to_do(package, tiny_bundle, device):
    said = run_script(package, NO_GPU, tiny_bundle, device, CARDIACSEG_SIMULATED_GPUS="0")
    assert "no GPU answers" in said and said.endswith("; device 'cpu' or 'auto' runs without a GPU")


def test_a_bundle_with_windows_runs_on_the_cpu(package, cine, tmp_path):
    np.save(tmp_path / "cine.npy", cine)
    bundle = onnx_bundle.write_window_bundle(tmp_path / "windows")
    found = run_script(package, WINDOWS, bundle, tmp_path / "engines", tmp_path / "cine.npy")
    sentence = "this bundle runs on the CPU: its network sees windows of a slice, as nnU-Net's do"
    assert [sentence in said for said in found["said"]] == [True, True]
    assert found["backend"] == "openvino" and sentence in found["reason"]
    assert not (tmp_path / "engines").exists()


def test_info_says_which_device_would_run(package):
    command = [sys.executable, "-m", "cardiacseg.cli", "info"]
    done = subprocess.run(command, env=package, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "tensorrt (cuda): available. TensorRT" in done.stdout
    assert "device auto takes openvino" in done.stdout and "tensorrt was passed over" in done.stdout
