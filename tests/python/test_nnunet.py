"""``cardiacseg import-nnunet``: a folder with nnU-Net's own architecture and random weights becomes a bundle."""

import json
import os
import pickle

import nnunet_folder
import numpy as np
import pytest
import test_windows
import torch
from conftest import SPACING

import cardiacseg
from cardiacseg.cli import main
from cardiacseg.errors import InvalidInputError
from cardiacseg.export.nnunet_folder import read_nnunet_folder

pytest.importorskip("dynamic_network_architectures", reason="nnU-Net's networks need dynamic-network-architectures")


@pytest.fixture(scope="module", params=["PlainConvUNet", "ResidualEncoderUNet"])
def imported(request, tmp_path_factory):
    """A folder, nnU-Net's network, and the bundle."""
    root = tmp_path_factory.mktemp("nnunet")
    network = nnunet_folder.write_folder(root / "model", request.param)
    assert main(["import-nnunet", str(root / "model"), "-o", str(root / "bundle"), "--licence", "CC0"]) == 0
    return root / "model", network, root / "bundle"


def test_the_bundle_gives_nnunets_labels(imported, cine, monkeypatch):
    _, network, bundle = imported

    @torch.no_grad()
    def outputs(window):
        image = torch.from_numpy(window).float()[None, None]
        return network(image)[0, [0, 2, 3, 1]].numpy()  # background, RV, MYO, LV of the data set's order

    monkeypatch.setattr(test_windows.onnx_bundle, "window_seg", outputs)
    rules = json.loads((bundle / "manifest.json").read_text())["preprocessing"]
    result = cardiacseg.CardiacSegmenter(bundle, device="cpu", precision="fp32").run(
        cine, spacing=SPACING, probabilities=True
    )
    for frame, stack in enumerate(cine):
        labels, probabilities = test_windows.reference(stack, SPACING, rules)
        np.testing.assert_allclose(result.probabilities[frame], probabilities, atol=1e-3)
        assert (result.labels[frame] == labels).mean() > 0.999
    assert len(np.unique(result.labels)) >= 3


@pytest.mark.skipif(not os.environ.get("CARDIACSEG_NNUNET"), reason="CARDIACSEG_NNUNET names no Python with nnunetv2")
def test_the_bundle_gives_what_nnunets_predictor_gives(imported, cine, tmp_path):
    import subprocess

    folder, _, bundle = imported
    np.save(tmp_path / "cine.npy", cine)
    words = [os.environ["CARDIACSEG_NNUNET"], "-c", PREDICT, folder, tmp_path / "cine.npy", tmp_path / "labels.npy"]
    subprocess.run(list(map(str, words)), check=True, timeout=600, capture_output=True)
    theirs = np.array([0, 3, 1, 2])[np.load(tmp_path / "labels.npy")]
    ours = cardiacseg.CardiacSegmenter(bundle, device="cpu", precision="fp32").run(cine, spacing=SPACING).labels
    assert (ours == theirs).mean() > 0.999  # nnU-Net adds windows up in float16


PREDICT = f"""if True:
    import sys
    import numpy as np
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), perform_everything_on_device=False)
    predictor.initialize_from_trained_model_folder(sys.argv[1], (0,))
    properties = {{"spacing": list({SPACING})}}
    found = [predictor.predict_single_npy_array(stack[None], properties) for stack in np.load(sys.argv[2])]
    np.save(sys.argv[3], np.stack(found))"""


def test_the_bundle_says_what_it_is(imported):
    folder, network, bundle = imported
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["name"] == "Dataset017_SAX 2d" and manifest["licence"] == "CC0"
    assert manifest["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert manifest["preprocessing"]["window_pixels"] == [64, 48]
    assert manifest["training"]["checkpoint"] == "fold_0/checkpoint_final.pth"
    assert "temperature" not in manifest and "quality" not in manifest
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "Licence of the weights: CC0." in card and "windows of 64 x 48 pixels of 1.6 x 1.5 mm" in card
    assert str(folder) not in card + json.dumps(manifest)


def test_a_study_runs_and_says_nothing_of_quality(imported, tmp_path):
    *_, bundle = imported
    words = ["demo", "-o", str(tmp_path / "out"), "--frames", "2", "--slices", "3", "--quiet", "--model", str(bundle)]
    assert main([*words, "--device", "cpu"]) == 0
    checks = json.loads((tmp_path / "out/quality.json").read_text())["checks"]
    names = ("predicted_quality", "stage_agreement", "presence_uncertain")
    found = [check for check in checks if any(name in check["code"] for name in names)]
    assert len(found) >= 3 and {check["state"] for check in found} == {"not checked"}


@pytest.fixture
def folder(tmp_path):
    nnunet_folder.write_folder(tmp_path / "model")
    return tmp_path / "model"


def edit(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def edit_plan(folder, **values):
    edit(folder / "plans.json", lambda plans: plans["configurations"]["2d"].update(values))


def refused(folder, sentence, capsys, *words):
    """The command fails with ``sentence`` before it imports torch's exporter, and leaves nothing."""
    output = folder.parent / "bundle"
    assert main(["import-nnunet", str(folder), "-o", str(output), *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"patch_size": [8, 64, 48]}, "expected a 2-D configuration, got '2d', which is 3-D"),
        ({"previous_stage": "2d_lowres"}, "expected a configuration without a previous stage"),
        ({"patch_size": [62, 48]}, "expected a patch size whose sides are multiples of [4, 2], got [62, 48]"),
        ({"patch_size": [64, "48"]}, 'two numbers from 8 to 2048 as "patch_size"'),
        ({"patch_size": [4096, 48]}, 'two numbers from 8 to 2048 as "patch_size"'),
        ({"spacing": [1.5, 0]}, 'two numbers from 0.1 to 20 as "spacing"'),
        ({"spacing": [50.0, 50.0]}, 'two numbers from 0.1 to 20 as "spacing"'),
        ({"normalization_schemes": ["CTNormalization"]}, "expected the normalization ZScoreNormalization"),
        ({"use_mask_for_norm": [None]}, '"use_mask_for_norm" [true] or [false]'),
        ({"preprocessor_name": "Mine"}, "\"preprocessor_name\" DefaultPreprocessor, got 'Mine'"),
        ({"resampling_fn_data": "resample_torch_simple"}, "resampling of data by resample_data_or_seg_to_shape"),
        ({"resampling_fn_probabilities_kwargs": {"order": 0, "force_separate_z": None}}, "with order 1 or 3"),
        ({"architecture": {"network_class_name": "os.system", "arch_kwargs": {}}}, "got os.system"),
        ({"architecture": None}, "expected the network's architecture, got none: 'n_conv_per_stage_encoder'"),
        ({"inherits_from": "2d"}, "expected a configuration '2d'"),
    ],
)
def test_a_plan_that_the_runtime_cannot_follow_is_refused(folder, values, sentence, capsys):
    edit_plan(folder, **values)
    refused(folder, sentence, capsys)


def test_plans_and_data_sets_of_other_kinds_are_refused(folder, capsys):
    plans, dataset = folder / "plans.json", folder / "dataset.json"
    sound = plans.read_text(), dataset.read_text()
    edit(plans, lambda plan: plan.update(transpose_forward=[1, 0, 2]))
    refused(folder, '"transpose_forward" [0, 1, 2], got [1, 0, 2]', capsys)
    plans.write_text(sound[0][:100])
    refused(folder, "plans.json", capsys)
    plans.write_text("[]")
    refused(folder, "expected an object, got list", capsys)
    plans.write_text(sound[0])
    for change, sentence in (
        ({"channel_names": {"0": "T1", "1": "T2"}}, "expected one input channel, got T1, T2"),
        ({"regions_class_order": [1, 2]}, "expected labels of one number each, got regions"),
        ({"labels": {"background": 0, "heart": [1, 2], "LV": 2}}, "got regions"),
        ({"labels": {"background": 0, "liver": 1, "RV": 2, "MYO": 3}}, "'liver' is none of RV, myocardium and LV"),
        ({"labels": {"background": 0, "RV": 1, "MYO": 2}}, "no LV"),
        ({"labels": {"background": 0, "RV": 1, "MYO": 2, "LV": 4}}, "expected the labels 0 to 3"),
        ({"labels": 3}, 'expected an object "labels"'),
    ):
        dataset.write_text(sound[1])
        edit(dataset, lambda document, change=change: document.update(change))
        refused(folder, sentence, capsys)
    dataset.unlink()
    refused(folder, "dataset.json: expected a file of nnU-Net's model folder, got nothing", capsys)


def test_the_names_of_labels_may_be_given(folder):
    names = {"background": 0, "a": 1, "b": 2, "c": 3, "ignore": 4}
    edit(folder / "dataset.json", lambda document: document.update(labels=names))
    assert read_nnunet_folder(folder, labels={"RV": 3, "MYO": 1, "LV": 2}).outputs == (0, 3, 1, 2)
    with pytest.raises(InvalidInputError, match="the labels 0 to 3"):
        read_nnunet_folder(folder, labels={"RV": 3, "MYO": 1, "LV": 1})
    with pytest.raises(SystemExit):
        main(["import-nnunet", str(folder), "-o", "bundle", "--labels", "RV=1,LV=2"])


def test_older_plans_give_the_same_network(folder):
    wanted = read_nnunet_folder(folder)
    plan = json.loads((folder / "plans.json").read_text())["configurations"]["2d"]
    arguments = plan.pop("architecture")["arch_kwargs"]
    plan |= {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 6,
        "unet_max_num_features": 20,
        "n_conv_per_stage_encoder": arguments["n_conv_per_stage"],
        "n_conv_per_stage_decoder": arguments["n_conv_per_stage_decoder"],
        "pool_op_kernel_sizes": arguments["strides"],
        "conv_kernel_sizes": arguments["kernel_sizes"],
    }
    edit(folder / "plans.json", lambda plans: plans["configurations"].update({"2d": plan}))
    found = read_nnunet_folder(folder)
    assert found.architecture == "PlainConvUNet" and found.arguments["features_per_stage"] == [6, 12, 20]
    given = {**wanted.arguments, "features_per_stage": [6, 12, 20]}
    assert {key: value for key, value in given.items() if value is not None} == found.arguments


def test_folds_and_checkpoints_are_chosen(folder, capsys):
    first = folder / "fold_0/checkpoint_final.pth"
    refused(
        folder, "checkpoint_best.pth: expected a checkpoint, there or", capsys, "--checkpoint", "checkpoint_best.pth"
    )
    refused(folder, "expected the name of a file, got '../x'", capsys, "--checkpoint", "../x")
    refused(folder, "fold_1/checkpoint_final.pth: expected a checkpoint, got nothing", capsys, "--fold", "1")
    (folder / "fold_1").mkdir()
    (folder / "fold_1/checkpoint_final.pth").write_bytes(first.read_bytes())
    refused(folder, "expected --fold with one of the folds 0, 1: a bundle holds one network", capsys)
    assert read_nnunet_folder(folder, "1").checkpoint == folder / "fold_1/checkpoint_final.pth"


class Bad:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_checkpoint_runs_no_code(folder, tmp_path, capsys):
    path = folder / "fold_0/checkpoint_final.pth"
    content = torch.load(path, weights_only=False)
    torch.save({**content, "logging": Bad(tmp_path / "made")}, path)
    refused(folder, "expected a checkpoint of tensors and plain values, got an object of io.open", capsys)
    path.write_bytes(pickle.dumps(Bad(tmp_path / "made")))
    refused(folder, "expected a checkpoint", capsys)
    assert not (tmp_path / "made").exists()


def test_checkpoints_of_other_models_are_refused(folder, capsys):
    path = folder / "fold_0/checkpoint_final.pth"
    sound = path.read_bytes()
    content = torch.load(path, weights_only=False)
    weights = content["network_weights"]
    name, values = list(weights.items())[-1]
    for change, sentence in (
        ({"init_args": {"configuration": "3d_fullres"}}, "expected the configuration '2d', got '3d_fullres'"),
        ({"network_weights": {key: value for key, value in weights.items() if key != name}}, "Missing key"),
        ({"network_weights": {**weights, name: values[:1]}}, f"size mismatch for {name}"),
        ({"network_weights": {**weights, name: values * float("nan")}}, "expected finite weights"),
        ({"network_weights": [1]}, "expected a checkpoint of nnU-Net v2 with"),
        ({"current_epoch": "last"}, 'a whole number as "current_epoch", got str and str'),
    ):
        torch.save({**content, **change}, path)
        refused(folder, sentence, capsys)
    path.write_bytes(sound[: len(sound) // 2])
    refused(folder, "expected a checkpoint of PyTorch, got a damaged file", capsys)
    path.write_bytes(sound)
    edit_plan(folder, patch_size=[64, 48])
    edit(
        folder / "plans.json",
        lambda plans: plans["configurations"]["2d"]["architecture"]["arch_kwargs"].update(norm_op="os.system"),
    )
    refused(folder, "as \"norm_op\", got 'os.system'", capsys)


def test_an_earlier_bundle_is_replaced_only_if_asked(folder, tmp_path, capsys):
    output = tmp_path / "bundle"
    output.mkdir()
    assert main(["import-nnunet", str(folder), "-o", str(output)]) == 2
    assert "exists" in capsys.readouterr().err and not list(output.iterdir())
    assert main(["import-nnunet", str(folder), "-o", str(output), "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["manifest"]["format_version"] == 2
