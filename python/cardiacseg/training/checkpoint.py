"""Checkpoints: one safetensors file with weights, their average, the optimizer's state and the configuration."""

import json
import os
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cardiacseg.models import SegmentationSystem, create_model
from cardiacseg.training.config import TrainingConfig

FORMAT_VERSION = 1


class Checkpoint(NamedTuple):
    """What a file holds: ``tensors`` by group (``model``, ``average``, ``optimizer``) and then by name.

    ``seconds`` is the time used so far by a run by the clock.
    """

    tensors: dict[str, dict[str, torch.Tensor]]
    config: TrainingConfig
    step: int
    scores: dict[str, float]
    seconds: float = 0.0


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write beside ``path``, then rename, so that a file of that name is always complete."""
    flat = {
        f"{group}/{name}": tensor.detach().contiguous().cpu()
        for group, tensors in checkpoint.tensors.items()
        for name, tensor in tensors.items()
    }
    metadata = {
        "format_version": str(FORMAT_VERSION),
        "config": json.dumps(checkpoint.config.to_dict()),
        "step": str(checkpoint.step),
        "scores": json.dumps(checkpoint.scores),
        "seconds": repr(checkpoint.seconds),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".partial")
    save_file(flat, beside, metadata)
    os.replace(beside, path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a file that :func:`save_checkpoint` wrote. Raises ``FileNotFoundError`` or ``ValueError``."""
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    tensors: dict[str, dict[str, torch.Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            for key in file.keys():  # noqa: SIM118 - safe_open is not a mapping
                group, name = key.split("/", 1)
                tensors.setdefault(group, {})[name] = file.get_tensor(key)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors checkpoint: {error}") from error
    found = metadata.get("format_version")
    if found != str(FORMAT_VERSION):
        raise ValueError(f"{path}: expected checkpoint format version {FORMAT_VERSION}, got {found}")
    return Checkpoint(
        tensors,
        TrainingConfig.from_dict(json.loads(metadata["config"])),
        int(metadata["step"]),
        json.loads(metadata["scores"]),
        float(metadata.get("seconds", 0)),
    )


def load_model(checkpoint: Checkpoint, name: str | None = None) -> SegmentationSystem:
    """The network of a checkpoint with its averaged weights, in evaluation mode.

    ``name`` selects a smaller model inside the checkpoint's: ``after_unet`` is the Seg of ``seg_ref_mt``, ``seg_ref``
    the same system without the classifier. Raises ``ValueError`` if the checkpoint's model does not contain it.
    """
    whole = create_model(checkpoint.config.model)
    model = create_model(name) if name else whole
    if not whole.config.contains(model.config):
        raise ValueError(f"a {checkpoint.config.model} does not contain a {name}")
    model.load_state_dict({key: checkpoint.tensors["average"][key] for key in model.state_dict()})
    return model.eval()
