"""A 2-D model that nnU-Net v2 trained, as a bundle.

Needs torch, onnx, onnxruntime and dynamic-network-architectures, not nnU-Net.
"""

import json
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from cardiacseg.errors import InvalidInputError
from cardiacseg.export.bundle import INTENDED_USE, fingerprint, new_bundle_folder
from cardiacseg.export.nnunet_folder import NnunetModel, refuse
from cardiacseg.export.onnx import export_graph, graph_difference, require_parity, smooth_image
from cardiacseg.io.log_suppression import suppress_logs

FORMAT_VERSION = 2  # of manifests whose network sees windows
LARGEST_NETWORK = 510 << 20  # bytes of weights: the runtime reads files of at most 512 MiB
_CLASS_ARGUMENTS = ("conv_op", "norm_op", "dropout_op", "nonlin")
_CLASSES = {
    kind.__name__: kind
    for kind in (nn.Conv2d, nn.InstanceNorm2d, nn.BatchNorm2d, nn.Dropout2d, nn.LeakyReLU, nn.ReLU, nn.GELU)
}


class SliceGraph(nn.Module):
    """nnU-Net's network on each slice: ``image [F, S, 1, h, w]`` to ``logits [F, S, 4, h, w]``."""

    inputs, outputs, channels = ("image",), ("logits",), 1

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        frames, slices, _, height, width = image.shape
        logits = self.network(image.reshape(frames * slices, 1, height, width))
        return logits.reshape(frames, slices, 4, height, width)


def import_nnunet(
    model: NnunetModel,
    output: Path,
    name: str,
    licence: str = "not stated",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write ``model`` as the bundle ``output`` and return its manifest.

    Raises ``InvalidInputError`` if the checkpoint is not what the plans say, ``ImportError`` if a library is missing,
    ``FileExistsError`` if ``output`` exists and ``overwrite`` is not set, and ``ParityError`` if the exported graph is
    not the network; ``output`` is then as it was.
    """
    with new_bundle_folder(output, overwrite) as work:
        network, trainer = load_network(model)
        graph = SliceGraph(network).eval()
        with suppress_logs("torch.onnx._internal.exporter._registration"):
            export_graph(graph, work / "seg.onnx", model.window_pixels)
        facts = {**model.facts, **trainer}
        manifest = _manifest(model, facts, name, licence)
        manifest["parameters"] = sum(parameter.numel() for parameter in network.parameters())
        manifest["parity"] = {"seg": float(f"{_check_graph(graph, work / 'seg.onnx', model.window_pixels):.3g}")}
        (work / "MODEL_CARD.md").write_text(_model_card(manifest), encoding="utf-8")
        manifest["files"] = {file: fingerprint(work / file) for file in ("seg.onnx", "MODEL_CARD.md")}
        text = json.dumps(manifest, indent=2, allow_nan=False) + "\n"
        (work / "manifest.json").write_text(text, encoding="utf-8")
    return manifest


def load_network(model: NnunetModel) -> tuple[nn.Module, dict[str, Any]]:
    """The network with its weights, outputs in our order, and what the checkpoint says of the training."""
    checkpoint = _read_checkpoint(model.checkpoint)
    _check_checkpoint(checkpoint, model)
    network = _build(model)
    size = 4 * sum(parameter.numel() for parameter in network.parameters())
    if size > LARGEST_NETWORK:
        raise refuse(model.checkpoint, f"weights of at most {LARGEST_NETWORK} bytes, as the runtime reads", str(size))
    weights = {
        re.sub(r"^(module\.|_orig_mod\.)+", "", key): value for key, value in checkpoint["network_weights"].items()
    }
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise refuse(
            model.checkpoint, f"the weights of {model.architecture}", " ".join(lines[1:2]) or lines[0]
        ) from error
    if not all(bool(torch.isfinite(parameter).all()) for parameter in network.parameters()):
        raise refuse(model.checkpoint, "finite weights", "infinite ones or NaN")
    head = network.decoder.seg_layers[-1]
    with torch.no_grad():
        for parameter in (head.weight, head.bias):
            parameter.copy_(parameter[list(model.outputs)].clone())
    return network.float(), {
        "trained by": f"nnU-Net v2, {checkpoint['trainer_name']}",
        "checkpoint": f"{model.checkpoint.parent.name}/{model.checkpoint.name}",
        "epochs": checkpoint.get("current_epoch", 0),
    }


def _read_checkpoint(path: Path) -> Any:
    """A pickle of tensors and plain values; no code of it runs."""
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_numbers()):
            warnings.simplefilter("ignore")  # of pickles in other forms, which fail in the next line
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"an object of {found[1]}, which is not loaded" if found else "something else"
        raise InvalidInputError(f"{path}: expected a checkpoint of tensors and plain values, got {what}") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InvalidInputError(f"{path}: expected a checkpoint of PyTorch, got a damaged file") from error


def _numbers() -> list[Any]:
    """What makes NumPy's numbers, which nnU-Net's log holds, under the names of NumPy 1 and 2."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64, np.int32, np.bool_)}
    return [np.dtype, *kinds, (scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")]


def _check_checkpoint(checkpoint: Any, model: NnunetModel) -> None:
    weights = checkpoint.get("network_weights") if isinstance(checkpoint, dict) else None
    arguments = checkpoint.get("init_args") if isinstance(checkpoint, dict) else None
    if not isinstance(weights, dict) or not isinstance(arguments, dict) or "trainer_name" not in checkpoint:
        raise refuse(
            model.checkpoint,
            'a checkpoint of nnU-Net v2 with "network_weights", "init_args" and "trainer_name"',
            "none",
        )
    if not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in weights.items()):
        raise refuse(model.checkpoint, 'tensors by name as "network_weights"', "something else")
    trainer, epochs = checkpoint["trainer_name"], checkpoint.get("current_epoch", 0)
    if not isinstance(trainer, str) or not isinstance(epochs, int):
        expected = 'a text as "trainer_name" and a whole number as "current_epoch"'
        raise refuse(model.checkpoint, expected, f"{type(trainer).__name__} and {type(epochs).__name__}")
    if arguments.get("configuration") != model.configuration:
        raise refuse(
            model.checkpoint, f"the configuration {model.configuration!r}", repr(arguments.get("configuration"))
        )


def _build(model: NnunetModel) -> nn.Module:
    try:
        from dynamic_network_architectures.architectures import unet
    except ImportError as error:
        raise ImportError(
            "nnU-Net's networks need the library dynamic-network-architectures: "
            'pip install "cardiacseg[export,nnunet]"',
            name="dynamic_network_architectures",
        ) from error
    arguments = {**model.arguments, **{key: _class_of(model, key) for key in _CLASS_ARGUMENTS}}
    try:
        return getattr(unet, model.architecture)(
            input_channels=1, num_classes=4, **{**arguments, "deep_supervision": False}
        )
    except (TypeError, ValueError, AssertionError, IndexError, RuntimeError) as error:
        raise refuse(_plans(model), f"arguments of {model.architecture}", f"others: {error}") from error


def _class_of(model: NnunetModel, key: str) -> type[nn.Module] | None:
    name = model.arguments.get(key)
    if name is None:
        return None
    last = str(name).rpartition(".")[2]
    if not str(name).startswith("torch.nn.") or last not in _CLASSES:
        raise refuse(_plans(model), f'one of {", ".join(_CLASSES)} as "{key}"', repr(name))
    return _CLASSES[last]


def _plans(model: NnunetModel) -> Path:
    return model.checkpoint.parents[1] / "plans.json"


def _check_graph(graph: nn.Module, path: Path, size: tuple[int, int]) -> float:
    """The largest difference in probability between ``graph`` and the file, in ONNX Runtime. Raises ``ParityError``."""
    images = (4 * smooth_image(slices, size, seed=slices) - 2 for slices in (1, 2))
    difference = graph_difference("seg", graph, path, images)
    require_parity("seg", difference)
    return difference


def _manifest(model: NnunetModel, facts: Mapping[str, Any], name: str, licence: str) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "name": name,
        "version": "1",
        "model": f"nnU-Net v2 {model.configuration}, {model.architecture}",
        "licence": licence,
        "intended_use": INTENDED_USE,
        "labels": {"background": 0, "rv": 1, "myo": 2, "lv": 3},
        "preprocessing": {
            "spacing_mm": list(model.spacing_mm),
            "normalization": "z_score_nonzero" if model.nonzero_mask else "z_score",
            "window_pixels": list(model.window_pixels),
            "image_order": model.image_order,
            "logits_order": model.logits_order,
        },
        "presence_threshold": 0.5,
        "clean_up": False,
        "networks": {"seg": "seg.onnx"},
        "training": dict(facts),
        "accuracy": {},
    }


def _model_card(manifest: Mapping[str, Any]) -> str:
    rules = manifest["preprocessing"]
    rows, columns = rules["window_pixels"]
    spacing = " x ".join(f"{value:.4g}" for value in rules["spacing_mm"])
    sections = [
        f"# {manifest['name']} {manifest['version']}",
        manifest["intended_use"],
        f"Licence of the weights: {manifest['licence']}.",
        "## What it is\n\n"
        f"{manifest['model']}, {manifest['parameters'] / 1e6:.2f} million parameters. The network sees "
        f"windows of {rows} x {columns} pixels of {spacing} mm, slice by slice. There is no classifier of presence, no "
        "predicted quality and no calibration. Images are not mirrored.",
        "## Training\n\n" + "\n".join(f"- {key}: {value}" for key, value in manifest["training"].items()),
        "## Accuracy\n\nNot measured. Look at every result before you use it.",
    ]
    return "\n\n".join(sections) + "\n"
