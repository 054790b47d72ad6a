"""Export: graphs, the parity check that refuses, bundles that are whole or not there."""

import hashlib
import json
import re

import onnx
import pytest
import torch

from cardiacseg.export import bundle as bundle_module
from cardiacseg.export.bundle import BundleInfo, export_bundle
from cardiacseg.export.model_card import model_card
from cardiacseg.export.onnx import GRAPHS, OPSET
from cardiacseg.export.parity import SIZES, SLICES, ParityError, check_parity, probabilities
from cardiacseg.models import create_model
from cardiacseg.training.config import Preprocessing

INFO = BundleInfo("again", "1", "seg_ref_mt_tiny")


def test_graphs_are_standard_dynamic_and_name_no_path(tiny_bundle):
    for stage, graph in GRAPHS.items():
        model = onnx.load(tiny_bundle / f"{stage}.onnx")
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
        assert [value.name for value in model.graph.input] == list(graph.inputs)
        assert [value.name for value in model.graph.output] == list(graph.outputs)
        assert not re.search(rb"[\w/]+\.py\b", model.SerializeToString())
        frames, slices, channels, height, width = model.graph.input[0].type.tensor_type.shape.dim
        assert frames.dim_param and slices.dim_param and height.dim_param and width.dim_param
        assert channels.dim_value == graph.channels


def test_manifest_holds_the_digest_of_every_file(tiny_bundle):
    manifest = json.loads((tiny_bundle / "manifest.json").read_text())
    files = {path.name for path in tiny_bundle.iterdir()} - {"manifest.json"}
    assert set(manifest["files"]) == files == {"locate.onnx", "seg.onnx", "ref.onnx", "MODEL_CARD.md"}
    for name, fingerprint in manifest["files"].items():
        content = (tiny_bundle / name).read_bytes()
        assert fingerprint == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert all(difference <= 1e-3 for difference in manifest["parity"].values())


def test_parity_covers_real_shapes_and_refuses_other_weights(tiny_bundle):
    assert {1, 2, 10, 18} <= set(SLICES) and len(set(SIZES)) == 2
    torch.manual_seed(1)
    other = create_model("seg_ref_mt_tiny").eval()
    torch.nn.init.normal_(other.seg.head.weight, std=3)
    with pytest.raises(ParityError, match=r"seg.onnx differs from the PyTorch network by .* wanted at most 1e-03"):
        check_parity(other, tiny_bundle, stages=["seg"])


def test_parity_refuses_a_graph_that_gives_nan(tiny_bundle, tmp_path):
    graph = onnx.load(tiny_bundle / "locate.onnx")
    bias = next(tensor for tensor in graph.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT)
    values = onnx.numpy_helper.to_array(bias) * float("nan")
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    onnx.save(graph, tmp_path / "locate.onnx")
    torch.manual_seed(0)
    with pytest.raises(ParityError, match="by inf"):
        check_parity(create_model("seg_ref_mt_tiny").eval(), tmp_path, stages=["locate"])


def test_probabilities_softmax_logits_only():
    logits = torch.randn(1, 2, 4, 2, 2)
    presence = torch.rand(1, 2, 3)
    soft, same = probabilities("ref", [logits, presence])
    torch.testing.assert_close(soft.sum(dim=2), torch.ones(1, 2, 2, 2))
    assert same is presence
    assert probabilities("locate", [logits]) == [logits]


def test_a_refused_export_leaves_what_was_there(tmp_path, monkeypatch):
    target = tmp_path / "model"
    target.mkdir()
    (target / "mine").write_text("keep")
    model = create_model("seg_ref_mt_tiny")
    with pytest.raises(FileExistsError, match="exists"):
        export_bundle(model, Preprocessing(), INFO, target)

    monkeypatch.setattr(bundle_module, "export_graph", _write_empty)
    with pytest.raises(Exception, match=r"INVALID_PROTOBUF|InvalidProtobuf|parsing|ModelProto"):
        export_bundle(model, Preprocessing(), INFO, target, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (target / "mine").read_text() == "keep"


def _write_empty(graph, path):
    path.write_bytes(b"no graph")


def test_the_model_card_says_what_the_manifest_says():
    level = {"rv": 0.8123, "myo": 0.7, "lv": 0.9, "mean": 0.8041}
    manifest = {
        "name": "m",
        "version": "2",
        "intended_use": "For research. Not a medical device.",
        "licence": "CC",
        "model": "seg_ref_mt_tiny",
        "parameters": 1_250_000,
        "training": {"data": "ten patients"},
        "preprocessing": {"spacing_mm": 1.5, "crop_pixels": 144, "percentiles": [1, 99], "locate": {"spacing_mm": 4}},
        "accuracy": {
            "patients": 2,
            "stacks": 4,
            "data": "two patients",
            "presence_accuracy": 0.955,
            "dice": {"volume": level, "base": level},
        },
    }
    card = model_card(manifest)
    for wanted in (
        "1.25 million",
        "ten patients",
        "| whole stack | 0.812 | 0.700 | 0.900 | 0.804 |",
        "95.5 %",
        "Not a medical device",
        "| base |",
    ):
        assert wanted in card
    assert "Not measured" in model_card({**manifest, "accuracy": {}})
