"""The model repository deploy/triton in a real Triton server on the CPU.

nvidia-pytriton, from PyPI, has the server and its Python backend; it was built for NumPy 1. ``.ci/run`` installs both
into a folder of their own, because the other tests run with NumPy 2.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from conftest import SPACING

import cardiacseg

REPOSITORY = Path(__file__).parents[2] / "deploy" / "triton"
TRITON = os.environ.get("CARDIACSEG_TEST_TRITON")  # folder with nvidia-pytriton and numpy<2
pytestmark = pytest.mark.skipif(
    not TRITON, reason="CARDIACSEG_TEST_TRITON names no folder with nvidia-pytriton (.ci/run)"
)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def python_environment(folder, packages):
    """A virtual environment that sees ``packages``, then those of this test; Triton uses the one on PATH."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    installed = [str(Path(cardiacseg.__file__).parents[1]), *(path for path in sys.path if "-packages" in path)]
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "tests.pth").write_text("\n".join([*packages, *installed]))
    return folder / "bin"


def server_command(folder, port, bundle):
    """The server's command line, for a copy of the repository that serves ``bundle``."""
    triton = Path(TRITON) / "pytriton" / "tritonserver"
    backend = Path(shutil.copytree(triton / "backends" / "python", folder / "backends" / "python"))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for stub in (triton / "python_backend_stubs" / version).iterdir():
        Path(shutil.copy(stub, backend)).chmod(0o755)
    config = Path(shutil.copytree(REPOSITORY, folder / "repository")) / "cardiacseg" / "config.pbtxt"
    config.write_text(config.read_text().replace('string_value: "default"', f'string_value: "{bundle}"'))
    server = Path(shutil.copy(triton / "bin" / "tritonserver", folder))
    server.chmod(0o755)
    return [
        *(server, f"--model-repository={config.parents[1]}", f"--backend-directory={backend.parent}"),
        *("--http-address=127.0.0.1", f"--http-port={port}", "--allow-grpc=false", "--allow-metrics=false"),
    ]


@contextlib.contextmanager
def running(folder, bundle, packages):
    """A started server: its process, its address and the file of its log."""
    port = free_port()
    environment = {
        **os.environ,
        "PATH": f"{python_environment(folder / 'python', packages)}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(Path(TRITON) / "nvidia_pytriton.libs"),
    }
    environment.pop("PYTHONHOME", None)
    log = folder / "log.txt"
    with log.open("w") as output:
        server = subprocess.Popen(
            server_command(folder, port, bundle), env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield server, f"http://127.0.0.1:{port}/v2", log
    finally:
        server.terminate()
        server.wait(60)


def wait_until_ready(server, address, log):
    for _ in range(600):
        assert server.poll() is None, log.read_text()[-4000:]
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/models/cardiacseg/ready", timeout=5):
            return
        time.sleep(0.1)
    pytest.fail(log.read_text()[-4000:])


@pytest.fixture(scope="module")
def infer(tiny_bundle, tmp_path_factory):
    """Sends one request to a server of the tiny bundle: dict of outputs, or the status and the text of an error."""
    with running(tmp_path_factory.mktemp("triton"), tiny_bundle, [TRITON]) as (server, address, log):
        wait_until_ready(server, address, log)

        def request(image, spacing, outputs=()):
            body = {
                "inputs": [
                    {"name": "image", "datatype": "FP32", "shape": image.shape, "data": image.ravel().tolist()},
                    {"name": "spacing", "datatype": "FP64", "shape": [len(spacing)], "data": spacing},
                ],
                "outputs": [{"name": name} for name in outputs],
            }
            content = json.dumps(body).encode()
            try:
                with urllib.request.urlopen(f"{address}/models/cardiacseg/infer", content, timeout=120) as answer:
                    found = json.load(answer)["outputs"]
            except urllib.error.HTTPError as error:
                return error.code, json.load(error)["error"]
            return {output["name"]: np.reshape(output["data"], output["shape"]) for output in found}

        yield request


ALL = ("labels", "presence", "agreement", "quality", "warnings", "report", "measurements")


def test_the_server_gives_what_the_segmenter_gives(infer, segmenter, cine):
    found = infer(cine, SPACING, ALL)
    direct = segmenter.run(cine, spacing=SPACING)
    assert set(found) == set(ALL)
    assert np.array_equal(found["labels"], direct.labels) and np.any(direct.labels)
    for name in ("presence", "agreement"):
        assert np.array_equal(found[name].astype(np.float32), getattr(direct, name))
    assert found["warnings"].tolist() == list(map(str, direct.warnings))
    assert json.loads(found["report"][0])["model_digest"] == direct.report.model_digest
    assert json.loads(found["measurements"][0]) == cardiacseg.measure(direct.labels, spacing=SPACING).to_dict()


def test_only_the_named_outputs_come(infer, cine):
    assert set(infer(cine[:1], SPACING, ("labels", "presence"))) == {"labels", "presence"}


def test_bad_input_is_an_error_of_the_request_alone(infer, cine):
    status, sentence = infer(np.full_like(cine, np.inf), SPACING)
    assert status == 400 and "every pixel must be finite" in sentence
    status, sentence = infer(cine, (8.0, -1.5, 1.25))
    assert status == 400 and "row spacing" in sentence
    assert "labels" in infer(cine[:1], SPACING)


@pytest.mark.skipif(np.__version__.startswith("1."), reason="this environment has NumPy 1")
def test_a_numpy_that_the_server_cannot_use_is_refused_at_the_start(tiny_bundle, tmp_path):
    with running(tmp_path, tiny_bundle, []) as (server, _, log):
        assert server.wait(60) != 0
        assert f"cannot exchange arrays with NumPy {np.__version__}: install numpy<2" in log.read_text()


def test_a_missing_bundle_stops_the_start(tmp_path):
    with running(tmp_path, tmp_path / "absent", [TRITON]) as (server, _, log):
        assert server.wait(60) != 0
        assert "absent" in log.read_text()
