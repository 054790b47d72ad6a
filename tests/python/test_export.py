"""Export: graphs, the parity check that refuses, bundles that are whole or not there."""

import hashlib
import json
import re
import shutil
from dataclasses import replace

import onnx
import pytest
import torch

import cardiacseg
from cardiacseg.export import bundle as bundle_module
from cardiacseg.export.bundle import BundleInfo, export_bundle, load_bundle_weights, model_card
from cardiacseg.export.onnx import OPSET, SIZES, SLICES, ParityError, check_parity, probabilities, shapes, stage_graphs
from cardiacseg.models import create_model
from cardiacseg.training.config import Preprocessing

INFO = BundleInfo("again", "1", "seg_ref_mt_tiny")


def test_graphs_are_standard_dynamic_and_name_no_path(tiny_model, tiny_bundle):
    for stage, graph in stage_graphs(tiny_model).items():
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


def test_stages_and_outputs_are_those_that_the_model_has():
    outputs = {
        name: {stage: graph.outputs for stage, graph in stage_graphs(create_model(name)).items()}
        for name in ("sk_unet", "after_unet_mt", "seg_ref", "seg_ref_mt")
    }
    locate, bare, guided = ("heart",), ("logits",), ("logits", "presence")
    assert outputs == {
        "sk_unet": {"locate": locate, "seg": bare},
        "after_unet_mt": {"locate": locate, "seg": guided},
        "seg_ref": {"locate": locate, "seg": bare, "ref": bare},
        "seg_ref_mt": {"locate": locate, "seg": bare, "ref": guided},
    }


def test_parity_covers_real_shapes_and_refuses_other_weights(tiny_bundle):
    assert {1, 2, 10, 18} <= set(SLICES) and len(set(SIZES)) == 2
    assert shapes(16)[0] == (1, (144, 144)) and shapes(32)[0] == (1, (128, 128))
    torch.manual_seed(1)
    other = create_model("seg_ref_mt_tiny").eval()
    torch.nn.init.normal_(other.seg.head.weight, std=3)
    with pytest.raises(ParityError, match=r"seg.onnx differs from the PyTorch network by .* expected at most 1e-03"):
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


@pytest.mark.parametrize(("name", "crop", "multiple"), [("seg_ref_mt_tiny", 136, 16), ("nnunet_2d", 144, 32)])
def test_a_crop_that_the_networks_cannot_take_is_refused_before_anything(name, crop, multiple, tmp_path):
    with pytest.raises(ValueError, match=f"crop_pixels of model '{name}' must be a multiple of {multiple}, got {crop}"):
        export_bundle(create_model(name), Preprocessing(crop_pixels=crop), replace(INFO, model=name), tmp_path / "b")
    assert not list(tmp_path.iterdir())


def test_calibration_is_in_the_manifest_that_the_evaluation_runs_on(tiny_model, tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle_module, "export_graph", lambda graph, path: shutil.copy(tiny_bundle / path.name, path))
    seen = []

    def calibrate(folder):
        seen.append(json.loads((folder / "manifest.json").read_text()))
        return {"temperature": 1.25, "quality": {"intercept": 0.5, "slope": 0.4}}

    def evaluate(folder):
        seen.append(json.loads((folder / "manifest.json").read_text()))
        return {}

    info = replace(INFO, clean_up=True)
    manifest = export_bundle(tiny_model, Preprocessing(), info, tmp_path / "b", calibrate, evaluate)
    before, between = seen
    assert before["temperature"] == 1 and "quality" not in before and before["clean_up"]
    assert between == manifest == json.loads((tmp_path / "b/manifest.json").read_text())
    assert manifest["temperature"] == 1.25 and manifest["quality"] == {"intercept": 0.5, "slope": 0.4}
    assert "divided by 1.250" in (tmp_path / "b/MODEL_CARD.md").read_text()
    assert cardiacseg.CardiacSegmenter(tmp_path / "b")


def test_weights_come_back_exactly_and_were_not_folded(tiny_model, tiny_bundle):
    back = load_bundle_weights(tiny_bundle)
    assert (back.model, back.preprocessing) == ("seg_ref_mt_tiny", Preprocessing())
    assert all(torch.equal(back.tensors[name], value) for name, value in tiny_model.state_dict().items())
    create_model(back.model).load_state_dict(back.tensors)
    kinds = [node.op_type for node in onnx.load(tiny_bundle / "seg.onnx").graph.node]
    norms = sum(isinstance(module, torch.nn.BatchNorm2d) for module in tiny_model.seg.modules())
    assert kinds.count("BatchNormalization") == norms > 0


def test_weights_that_are_not_the_models_are_refused(tiny_bundle, tmp_path):
    with pytest.raises(FileNotFoundError, match="no bundle at"):
        load_bundle_weights(tmp_path)
    other = shutil.copytree(tiny_bundle, tmp_path / "other")
    manifest = json.loads((other / "manifest.json").read_text())
    for model, complaint in (
        ("after_unet_mt", r"weights are missing, the first 'seg.classifier.mlp.0.bias'"),
        ("after_unet", r"weights are not the model's, the first 'ref\."),
        ("seg_ref_mt", r"'locate.encoder.0.enter.0.weight' must be \[8, 1, 3, 3\], got \[4, 1, 3, 3\]"),
    ):
        (other / "manifest.json").write_text(json.dumps({**manifest, "model": model}))
        with pytest.raises(ValueError, match=complaint):
            load_bundle_weights(other)
    (other / "manifest.json").write_text(json.dumps(manifest))
    (other / "seg.onnx").write_bytes((other / "ref.onnx").read_bytes())
    with pytest.raises(ValueError, match=r"seg\.onnx is not the file that the manifest describes"):
        load_bundle_weights(other)


def test_the_model_card_says_what_the_manifest_says():
    level = {"rv": 0.8123, "myo": 0.7, "lv": 0.9, "mean": 0.8041}
    manifest = {
        "name": "m",
        "version": "2",
        "intended_use": "For research. Not a medical device.",
        "licence": "CC",
        "model": "seg_ref_mt_tiny",
        "parameters": 1_250_000,
        "networks": {"locate": "locate.onnx", "seg": "seg.onnx", "ref": "ref.onnx"},
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
    for expected in (
        "1.25 million",
        "ten patients",
        "| whole stack | 0.812 | 0.700 | 0.900 | 0.804 |",
        "95.5 %",
        "Not a medical device",
        "| base |",
    ):
        assert expected in card
    assert "Not measured" in model_card({**manifest, "accuracy": {}})
    assert "Seg and Ref then see 144" in card and "After the networks" not in card
    calibrated = {**manifest, "temperature": 1.5, "quality": {"intercept": 0.25, "slope": 0.7}, "clean_up": True}
    after = model_card(calibrated)
    for expected in ("divided by 1.500", "0.250 + 0.700 x the mean Dice", "only the largest region"):
        assert expected in after
    single = {**manifest, "model": "sk_unet", "networks": {"locate": "locate.onnx", "seg": "seg.onnx"}}
    assert "Seg then sees 144" in model_card(single) and "For comparison with" in model_card(single)
