"""What a user does on a machine with a GPU, run by test_gpu_session.py with a core whose GPU is simulated.

Arguments: the folder of a bundle, a folder for engines, an .npy with a cine.
"""

import ctypes
import hashlib
import os
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest

import cardiacseg
from cardiacseg import _core

SPACING = (8.0, 1.5, 1.25)
FRAMES = 2  # that an engine takes at most


def build_engines(bundle, engines):
    for path in sorted(bundle.glob("*.onnx")):
        stage, graph, names = path.stem, path.read_bytes(), onnx.load(path).graph
        channels, largest = (4 if stage == "ref" else 1), (512 if stage == "locate" else 144)
        shapes = [(frames, slices, channels, size, size) for frames, slices, size in ((1, 1, 8), (FRAMES, 8, largest))]
        _core.engines.build(
            flavour="tensorrt",
            folder=engines,
            model="tiny",
            stage=stage,
            onnx_sha256=hashlib.sha256(graph).hexdigest(),
            precision="fp32",
            plugin=False,
            inputs={names.input[0].name: (shapes[0], shapes[1], shapes[1])},
            outputs=[output.name for output in names.output],
            onnx=graph,
        )


class WithInterface:
    """An array in (simulated) device memory, by ``__cuda_array_interface__``."""

    def __init__(self, array, stream=None):
        self.array = array
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (array.ctypes.data, False),
            "strides": None if array.flags.c_contiguous else array.strides,
            "stream": stream,
            "version": 3,
        }


class WithDlpack:
    """The same by DLPack, which notes the stream that it was asked for."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, stream=None):
        self.asked_for = stream
        return self.array.__dlpack__()


def host_copy(labels):
    """Labels in (simulated) device memory, read through each of their protocols."""
    facts = labels.__cuda_array_interface__
    assert facts["typestr"] == "|u1" and facts["version"] == 3 and facts["shape"] == labels.shape
    assert labels.__dlpack_device__() == (2, 0)
    capsule = labels.__dlpack__(stream=1, max_version=(1, 0))
    assert _core.read_dlpack(capsule)[:3] == (facts["data"][0], np.dtype(np.uint8), facts["shape"])
    memory = (ctypes.c_uint8 * int(np.prod(facts["shape"]))).from_address(facts["data"][0])
    return np.array(memory).reshape(facts["shape"])


def assert_same(found, expected):
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.presence, expected.presence, atol=1e-5)
    np.testing.assert_allclose(found.agreement, expected.agreement, atol=1e-5)


def test_without_engines(bundle, engines):
    with pytest.raises(cardiacseg.BackendError, match="cardiacseg build-engine"):
        cardiacseg.CardiacSegmenter(bundle, device="cuda", engines=engines)
    chosen = cardiacseg.explain_device(bundle, engines=engines)
    assert chosen["device"] == "cpu"
    assert "tensorrt was passed over" in chosen["reason"] and "tensorrt_rtx was passed over" in chosen["reason"]


def test_engines_are_verified_by_the_first_run(bundle, engines, cine, expected):
    build_engines(bundle, engines)
    chosen = cardiacseg.explain_device(bundle, engines=engines)
    assert chosen["device"] == "cpu" and "not passed the parity gate" in chosen["reason"]
    os.environ["CARDIACSEG_FAKE"] = "wrong_logits"
    with pytest.raises(cardiacseg.BackendError, match="failed the parity gate"):
        cardiacseg.CardiacSegmenter(bundle, device="cuda", engines=engines).run(cine, spacing=SPACING)
    del os.environ["CARDIACSEG_FAKE"]
    assert cardiacseg.explain_device(bundle, engines=engines)["device"] == "cpu"
    result = cardiacseg.CardiacSegmenter(bundle, device="cuda", engines=engines).run(cine, spacing=SPACING)
    assert_same(result, expected)
    assert (result.report.backend, result.report.device) == ("tensorrt", "cuda")
    stages = list(result.report.stages)
    assert result.report.graph.startswith("no: the first run on images of a kind")
    assert stages[:2] == ["check", "upload"] and stages[-1] == "download"


def test_auto_takes_verified_engines(bundle, engines):
    chosen = cardiacseg.explain_device(bundle, engines=engines)
    assert (chosen["backend"], chosen["device"]) == ("tensorrt", "cuda") and "Simulated GPU" in chosen["reason"]
    assert cardiacseg.CardiacSegmenter(bundle, engines=engines).verify is not None


def test_verify(segmenter, cine):
    parity = segmenter.verify(cine, spacing=SPACING)
    assert parity.passed and [stage["stage"] for stage in parity.stages] == ["locate", "seg", "ref", "pipeline"]
    assert all(stage["precision"] == "fp32" and stage["unwritten"] == 0 for stage in parity.stages)
    assert segmenter.verify(WithInterface(cine, 2), spacing=SPACING).passed
    os.environ["CARDIACSEG_FAKE"] = "unwritten"
    parity = segmenter.verify(cine, spacing=SPACING)
    del os.environ["CARDIACSEG_FAKE"]
    assert not parity.passed and all(stage["unwritten"] > 0 for stage in parity.stages)
    assert "never written" in parity.summary


def test_images_on_the_device(segmenter, cine, expected):
    for stream in (None, 1, 2):
        assert_same(segmenter.run(WithInterface(cine, stream), spacing=SPACING), expected)
    image = WithDlpack(cine)
    assert_same(segmenter.run(image, spacing=SPACING), expected)
    assert image.asked_for == 1
    for stream in (2, type("S", (), {"ptr": 2})(), type("S", (), {"__cuda_stream__": lambda self: (0, 2)})()):
        segmenter.run(image, spacing=SPACING, stream=stream)
        assert image.asked_for == 2
    one = segmenter.run(WithDlpack(cine[0]), spacing=SPACING)
    np.testing.assert_array_equal(one.labels, expected.labels[0])
    with pytest.raises(cardiacseg.InvalidInputError, match="must be contiguous"):
        segmenter.run(WithInterface(cine[:, :, ::2]), spacing=SPACING)
    with pytest.raises(cardiacseg.InvalidInputError, match="must be contiguous"):
        segmenter.run(WithDlpack(cine.transpose(0, 1, 3, 2)), spacing=SPACING)
    with pytest.raises(cardiacseg.InvalidInputError, match="float16"):
        segmenter.run(WithInterface(cine.astype(np.float16)), spacing=SPACING)
    with pytest.raises(cardiacseg.InvalidInputError, match="2 axes"):
        segmenter.run(WithInterface(cine[0, 0]), spacing=SPACING)
    with pytest.raises(cardiacseg.InvalidInputError, match="stream must be"):
        segmenter.run(image, spacing=SPACING, stream="mine")


def test_labels_on_the_device(segmenter, cine, expected):
    result = segmenter.run(cine, spacing=SPACING, device_labels=True)
    np.testing.assert_array_equal(host_copy(result.labels), expected.labels)
    stack = segmenter.run(cine[1], spacing=SPACING, device_labels=True)
    assert stack.labels.shape == cine.shape[1:]
    np.testing.assert_array_equal(host_copy(stack.labels), expected.labels[1])
    with pytest.raises(cardiacseg.InvalidInputError, match="cannot have a shape"):
        stack.labels.reshape((1, 2))


def test_warm_up_and_threads(segmenter, cine, expected):
    segmenter.trim()
    segmenter.warm_up([cine.shape, cine.shape[1:]], spacing=SPACING, dtype=cine.dtype)
    assert segmenter.run(cine, spacing=SPACING).report.graph == "yes"
    found = []
    threads = [threading.Thread(target=lambda: found.append(segmenter.run(cine, spacing=SPACING))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    for result in found:
        assert_same(result, expected)


def main(bundle, engines, cine):
    expected = cardiacseg.CardiacSegmenter(bundle, device="cpu").run(cine, spacing=SPACING)
    test_without_engines(bundle, engines)
    test_engines_are_verified_by_the_first_run(bundle, engines, cine, expected)
    test_auto_takes_verified_engines(bundle, engines)
    segmenter = cardiacseg.CardiacSegmenter(bundle, device="cuda", engines=engines)
    test_verify(segmenter, cine)
    test_images_on_the_device(segmenter, cine, expected)
    test_labels_on_the_device(segmenter, cine, expected)
    test_warm_up_and_threads(segmenter, cine, expected)
    sys.stdout.write("all of it\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), np.load(sys.argv[3]))
