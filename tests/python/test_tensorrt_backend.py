"""The TensorRT backend without TensorRT, as Python sees it; its C++ tests are tests/cpp/tensorrt."""

import hashlib
import re
from pathlib import Path

import pytest

from cardiacseg import _core
from cardiacseg.errors import BackendError

ROOT = Path(__file__).parents[2]
CROSSES = ["src/backends/backend.h", "src/backends/tensorrt/provider.h", "src/ops/device.h"]  # and engines.h
# kInterfaceVersion, and the digest of what crosses to a provider library, without comments
INTERFACE = 1, "f1c4f062aa83ba03"
SHAPE = (1, 1, 1, 32, 32)
REQUEST = {
    "flavour": "tensorrt_rtx",
    "model": "tiny",
    "stage": "seg",
    "onnx_sha256": 64 * "a",
    "precision": "fp32",
    "plugin": False,
    "inputs": {"image": (SHAPE, SHAPE, SHAPE)},
    "outputs": ["logits"],
    "onnx": b"not a graph",
}


def test_the_interface_version_is_raised_with_what_crosses_to_a_provider():
    paths = [ROOT / "cpp" / name for name in (*CROSSES, "include/cardiacseg/engines.h")]
    code = "".join(re.sub(r"//.*|\s+", "", path.read_text()) for path in paths)
    version = int(re.search(r"kInterfaceVersion=(\d+)", code)[1])
    code = re.sub(r"kInterfaceVersion=\d+", "", code)
    found = (version, hashlib.sha256(code.encode()).hexdigest()[:16])
    assert found == INTERFACE, "raise kInterfaceVersion in provider.h if a type changed, then note both here"


def test_a_file_that_is_no_engine_is_refused(tmp_path):
    path = tmp_path / "some.engine"
    with pytest.raises(BackendError, match=r"some.engine: expected an engine file, got: "):
        _core.engines.info(path)
    path.write_bytes(b"a text that is longer than the start of an engine file")
    with pytest.raises(BackendError, match=r"expected an engine file of cardiacseg, got another kind of file"):
        _core.engines.info(path)


def test_the_folder_of_engines(monkeypatch):
    monkeypatch.setenv("CARDIACSEG_ENGINES", "/from/the/environment")
    assert _core.engines.folder() == Path("/from/the/environment")
    assert _core.engines.folder(Path("mine")) == Path("mine")


def test_every_flavor_is_listed():
    listed = _core.engines.providers()
    assert [entry["flavour"] for entry in listed] == ["tensorrt", "tensorrt_rtx"]
    for entry in listed:
        assert entry["reason"] and (entry["available"] or entry["largest_opset"] == 0)


def test_a_build_that_cannot_be_says_why(tmp_path):
    with pytest.raises(BackendError) as caught:
        _core.engines.build(**REQUEST, folder=tmp_path / "engines")
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "engines").exists()
