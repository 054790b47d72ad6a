"""A model folder as nnU-Net v2 leaves it, with nnU-Net's own architecture and random weights."""

import json

import numpy as np
import torch

LABELS = {"background": 0, "LV": 1, "RV": 2, "MYO": 3}  # another order than ours


def write_folder(folder, architecture="PlainConvUNet", window=(64, 48), spacing=(1.6, 1.5), masked=False):
    """``folder`` with plans.json, dataset.json, dataset_fingerprint.json and fold_0; gives its network."""
    levels = 3
    convolutions = "n_conv_per_stage" if architecture == "PlainConvUNet" else "n_blocks_per_stage"
    arguments = {
        "n_stages": levels,
        "features_per_stage": [6, 8, 12],
        "conv_op": "torch.nn.modules.conv.Conv2d",
        "kernel_sizes": [[3, 3]] * levels,
        "strides": [[1, 1], [2, 2], [2, 1]],
        convolutions: [1, 2, 1],
        "n_conv_per_stage_decoder": [1, 1],
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    resampling = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    plan = {
        "data_identifier": "nnUNetPlans_2d",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(window),
        "median_image_size_in_voxels": [90.0, 112.0],
        "spacing": list(spacing),
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [masked],
        **{f"resampling_fn_{what}": "resample_data_or_seg_to_shape" for what in ("data", "seg", "probabilities")},
        "resampling_fn_data_kwargs": {**resampling, "order": 3},
        "resampling_fn_seg_kwargs": {**resampling, "order": 1, "is_seg": True},
        "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
        "batch_dice": True,
        "architecture": {
            "network_class_name": f"dynamic_network_architectures.architectures.unet.{architecture}",
            "arch_kwargs": arguments,
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }
    write_json(
        folder / "plans.json",
        {
            "dataset_name": "Dataset017_SAX",
            "plans_name": "nnUNetPlans",
            "original_median_spacing_after_transp": [8.0, 1.5, 1.25],
            "image_reader_writer": "SimpleITKIO",
            "transpose_forward": [0, 1, 2],
            "transpose_backward": [0, 1, 2],
            "experiment_planner_used": "ExperimentPlanner",
            "label_manager": "LabelManager",
            "foreground_intensity_properties_per_channel": {"0": {"mean": 100.0, "std": 50.0}},
            "configurations": {"2d": plan},
        },
    )
    write_json(
        folder / "dataset.json",
        {"channel_names": {"0": "cine"}, "labels": LABELS, "numTraining": 3, "file_ending": ".nii.gz"},
    )
    write_json(folder / "dataset_fingerprint.json", {"spacings": [[8.0, 1.5, 1.25], [8.0, 1.4, 1.4]]})
    return _write_checkpoint(folder / "fold_0/checkpoint_final.pth", architecture, arguments)


def write_json(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def _write_checkpoint(path, architecture, arguments):
    """As nnUNetTrainer.save_checkpoint writes it, with numbers of NumPy."""
    from dynamic_network_architectures.architectures import unet

    torch.manual_seed(3)
    classes = {
        "conv_op": torch.nn.Conv2d,
        "norm_op": torch.nn.InstanceNorm2d,
        "dropout_op": None,
        "nonlin": torch.nn.LeakyReLU,
    }
    network = getattr(unet, architecture)(input_channels=1, num_classes=4, **{**arguments, **classes})
    head = network.decoder.seg_layers[-1]
    with torch.no_grad():
        head.weight.mul_(8)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "network_weights": network.state_dict(),
        "optimizer_state": torch.optim.SGD(network.parameters(), 0.01).state_dict(),
        "grad_scaler_state": None,
        "logging": {"mean_fg_dice": [np.float64(0.5)], "train_losses": [np.float32(1.5)]},
        "_best_ema": np.float64(0.5),
        "current_epoch": 7,
        "init_args": {"configuration": "2d", "fold": 0, "device": torch.device("cpu")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1),
    }
    torch.save(content, path)
    return network.eval()
