"""Weights back from a bundle, so that training can go on from what was shipped."""

import json
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import torch

from cardiacseg.export.bundle import fingerprint
from cardiacseg.models import create_model
from cardiacseg.training.config import Preprocessing

_COUNTER = ".num_batches_tracked"  # a training counter that nothing uses and no graph holds


class BundleWeights(NamedTuple):
    """The registered model's name, what it expects of a stack, and its ``state_dict``, exactly as exported."""

    model: str
    preprocessing: Preprocessing
    tensors: dict[str, torch.Tensor]


def load_bundle_weights(folder: str | PathLike[str]) -> BundleWeights:
    """Read the weights of the model that the bundle's manifest names from the bundle's ONNX files.

    Raises ``FileNotFoundError`` if a file is missing, and ``ValueError`` if one is not what the manifest says
    or the graphs do not hold the weights of that model.
    """
    folder = Path(folder)
    if not (folder / "manifest.json").is_file():
        raise FileNotFoundError(f"no bundle at {folder}: it holds no manifest.json")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    expected = create_model(manifest["model"]).state_dict()
    found = {name: tensor for name, tensor in expected.items() if name.endswith(_COUNTER)}
    for stage, name in manifest["networks"].items():
        if fingerprint(folder / name) != manifest["files"][name]:
            raise ValueError(f"{folder / name} is not the file that the manifest describes: its SHA-256 differs")
        found.update(_read_graph(folder / name, stage))
    _check_fit(found, expected, f"the bundle {folder} does not fit its model {manifest['model']!r}")
    return BundleWeights(
        manifest["model"], _preprocessing(manifest["preprocessing"]), {name: found[name] for name in expected}
    )


def _preprocessing(rules: dict) -> Preprocessing:
    return Preprocessing(
        spacing_mm=rules["spacing_mm"],
        crop_pixels=rules["crop_pixels"],
        locate_spacing_mm=rules["locate"]["spacing_mm"],
        percentiles=tuple(rules["percentiles"]),
    )


def _read_graph(path: Path, stage: str) -> dict[str, torch.Tensor]:
    """A graph's weights, by the names that they have in the whole model."""
    import onnx

    return {
        stage + tensor.name.removeprefix("network"): torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(path).graph.initializer
        if tensor.name.startswith("network.")
    }


def _check_fit(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], complaint: str) -> None:
    if missing := sorted(expected.keys() - found.keys()):
        raise ValueError(f"{complaint}: {len(missing)} weights are missing, the first {missing[0]!r}")
    if foreign := sorted(found.keys() - expected.keys()):
        raise ValueError(f"{complaint}: {len(foreign)} weights are not the model's, the first {foreign[0]!r}")
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape:
            raise ValueError(f"{complaint}: {name!r} must be {list(tensor.shape)}, got {list(found[name].shape)}")
