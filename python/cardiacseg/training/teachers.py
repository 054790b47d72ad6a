"""Distillation: what trained models say of the training stacks, averaged over models, flips and quarter turns."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from tqdm import tqdm

from cardiacseg.models import SegmentationSystem, create_model
from cardiacseg.training.config import Preprocessing
from cardiacseg.training.data import LabelledStack, SoftLabels
from cardiacseg.training.losses import presence_gate, presence_of
from cardiacseg.training.processes import processes
from cardiacseg.training.validate import crop_pad


class Teacher(NamedTuple):
    """A trained model, what it expects of a stack, and the digest of the file that it was read from."""

    model: SegmentationSystem
    preprocessing: Preprocessing
    digest: str


def make_teacher(
    model: str, preprocessing: Preprocessing, weights: dict[str, torch.Tensor], digest: str, wanted: Preprocessing
) -> Teacher:
    """A teacher for a run with the preprocessing ``wanted``. Raises ``ValueError`` where that is not its own."""
    if preprocessing != wanted:
        raise ValueError(f"a teacher must have the run's preprocessing: expected {wanted}, got {preprocessing}")
    network = create_model(model)
    network.load_state_dict(weights)
    return Teacher(network.eval(), preprocessing, digest)


def teach(
    stacks: list[LabelledStack], teachers: list[Teacher], device: torch.device, precision: torch.dtype | None = None
) -> list[LabelledStack]:
    """The stacks with what ``teachers`` say of each, computed once on ``device`` in the reduced type ``precision``."""
    models = [teacher.model.to(device, memory_format=torch.channels_last) for teacher in teachers]
    size, quiet = teachers[0].preprocessing.crop_pixels, processes().rank != 0

    def taught(stack: LabelledStack) -> LabelledStack:
        with torch.autocast(device.type, dtype=precision, enabled=precision is not None):
            return replace(stack, soft=soft_labels(models, stack, size, device))

    found = [taught(stack) for stack in tqdm(stacks, unit="stack", desc="teachers", file=sys.stderr, disable=quiet)]
    for teacher in teachers:
        teacher.model.cpu()
    return found


@torch.no_grad()
def soft_labels(models: list[SegmentationSystem], stack: LabelledStack, size: int, device: torch.device) -> SoftLabels:
    """The mean over ``models`` and over the eight flips and quarter turns of the crop of ``size`` round the heart.

    As in the runtime, a model shows a structure in a slice only where its mean presence is above 0.5.
    """
    row, column = stack.heart_centre()
    origin = round(row - (size - 1) / 2), round(column - (size - 1) / 2)
    crop = crop_pad(stack.image.clamp(0, 1), origin, size).to(device)
    turned = torch.stack([turn(crop) for turn, _ in TURNS])[:, :, None]
    structures, presence = zip(*(_mean_of_turns(model, turned) for model in models), strict=True)
    mean = torch.stack(structures).mean(dim=0)[:, 1:].movedim(1, 0)
    return SoftLabels(mean.to(torch.float16).cpu(), torch.stack(presence).mean(dim=0).cpu(), origin)


def _mean_of_turns(model: SegmentationSystem, turned: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities ``[S, 4, h, w]`` behind the gate, turned back, and presence ``[S, 3]``."""
    output = model(turned)
    views = torch.softmax(output.logits.float(), dim=2)
    probability = torch.stack([back(view) for (_, back), view in zip(TURNS, views, strict=True)]).mean(dim=0)
    if output.presence_logits is None:
        return probability, presence_of(probability.argmax(dim=1)[None])[0]
    presence = torch.sigmoid(output.presence_logits.float()).mean(dim=0)
    shown = probability[:, 1:] * presence_gate(torch.logit(presence))[..., None, None]
    return torch.cat([1 - shown.sum(dim=1, keepdim=True), shown], dim=1), presence


def _turn(quarters: int, flipped: bool) -> tuple[Callable, Callable]:
    """A quarter turn after a flip of the last axis, and the way back."""
    flip = [-1] if flipped else []
    return (
        lambda image: torch.rot90(image.flip(flip), quarters, (-2, -1)),
        lambda image: torch.rot90(image, -quarters, (-2, -1)).flip(flip),
    )


TURNS = [_turn(quarters, flipped) for quarters in range(4) for flipped in (False, True)]
