"""Every registered model as a bundle: exported, equal to PyTorch, run by the C++ runtime, and read back.

Its graphs are also made ready for TensorRT.
"""

import shutil

import numpy as np
import pytest
import torch
from engine_graphs import assert_known_to_8_5
from random_weights import STAGES, randomise

import cardiacseg
from cardiacseg.export import bundle as bundle_module
from cardiacseg.export import onnx as onnx_module
from cardiacseg.export.bundle import BundleInfo, export_bundle, load_bundle_weights
from cardiacseg.export.engine_graph import engine_graph
from cardiacseg.export.onnx import export_graph
from cardiacseg.models import create_model, list_models
from cardiacseg.models.comparison import heart_box
from cardiacseg.training.config import Preprocessing
from cardiacseg.training.data import prepare_stack
from cardiacseg.training.inference import segment_stack

PREPROCESSING = Preprocessing(crop_pixels=96)
SPACING = (8.0, 1.5, 1.5)


@pytest.fixture(scope="module")
def image():
    """A disc of smooth blobs off the middle of darkness ``[3, 96, 128]``: what a detector can find."""
    blobs = torch.rand(3, 1, 12, 16, generator=torch.Generator().manual_seed(3)) + 0.5
    blobs = torch.nn.functional.interpolate(blobs, size=(96, 128), mode="bicubic")[:, 0].numpy()
    rows, columns = np.mgrid[:96, :128]
    return np.float32(100 * blobs * (np.hypot(rows - 42, columns - 70) < 20))


@pytest.fixture(scope="module")
def exported(tiny_model, tiny_bundle):
    """Networks and their files. Rows of the table share networks, and each is exported once."""
    return {getattr(tiny_model, stage): tiny_bundle / f"{stage}.onnx" for stage in STAGES}


@pytest.fixture
def make_bundle(exported, image, tmp_path_factory, monkeypatch):
    def export_once(graph, path):
        if graph.network in exported:
            shutil.copy(exported[graph.network], path)
        else:
            export_graph(graph, path)
            exported[graph.network] = shutil.copy(path, tmp_path_factory.mktemp("graph") / path.name)

    def make(name):
        model = system_of(name, exported, torch.from_numpy(image) / 150)
        folder = tmp_path_factory.mktemp("system") / name
        export_bundle(model, PREPROCESSING, BundleInfo(name, "1", name), folder)
        return model, folder

    monkeypatch.setattr(bundle_module, "export_graph", export_once)
    # the full list of shapes is for real exports, and test_export.py
    monkeypatch.setattr(onnx_module, "SLICES", (1, 3))
    monkeypatch.setattr(onnx_module, "SIZES", ((96, 96), (64, 96)))
    return make


def system_of(name, networks, stack):
    """A model of random weights that takes over every network of ``networks`` of the configuration that it wants."""
    torch.manual_seed(0)
    model = create_model(name).eval()
    known = {network.config: network for network in networks}
    missing = []
    for stage in STAGES:
        network = getattr(model, stage)
        if network is not None and network.config in known:
            setattr(model, stage, known[network.config])
        elif network is not None:
            missing.append(stage)
    randomise(model, stack[None, :, None], missing)
    return model


@pytest.mark.parametrize("name", list_models())
def test_a_bundle_of_every_model_gives_what_pytorch_gives(name, make_bundle, image):
    model, folder = make_bundle(name)

    back = load_bundle_weights(folder)
    assert (back.model, back.preprocessing) == (name, PREPROCESSING)
    weights = model.state_dict()
    assert back.tensors.keys() == weights.keys()
    assert all(torch.equal(back.tensors[key], value) for key, value in weights.items())

    for path in folder.glob("*.onnx"):
        assert engine_graph(path.read_bytes(), precision="fp16", plugin=False).float32_nodes == []
        assert_known_to_8_5(engine_graph(path.read_bytes(), precision="fp16", plugin=True, opset=17, weak=True).onnx)

    result = cardiacseg.CardiacSegmenter(folder).run(image, spacing=SPACING)
    stack = prepare_stack(name, image, np.zeros(image.shape, np.uint8), SPACING[1:], PREPROCESSING)
    labels, presence = segment_stack(model, stack, PREPROCESSING, torch.device("cpu"))
    assert len(np.unique(result.labels)) >= 2
    assert np.mean(result.labels != labels.numpy()) < 1e-3
    np.testing.assert_allclose(result.presence[0], presence, atol=1e-3)


def test_the_detector_of_the_sweep_zooms(exported, image):
    """Or else the sweep would say nothing about the sampling into the box and back."""
    model = system_of("det_seg", exported, torch.from_numpy(image) / 150)
    heart = model(torch.from_numpy(image)[None, :, None, :, 16:112] / 150).heart_logits
    _, half = heart_box(heart)
    assert half.item() < 0.8
