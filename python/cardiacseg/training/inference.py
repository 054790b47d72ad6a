"""Models run on prepared stacks as the runtime runs them: validation scores, and soft labels for distillation."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from cardiacseg.metrics import STRUCTURES, dice_by_structure
from cardiacseg.models import SegmentationSystem, create_model
from cardiacseg.training.config import Preprocessing
from cardiacseg.training.data import LabelledStack, SoftLabels
from cardiacseg.training.losses import presence_gate, presence_of
from cardiacseg.training.processes import processes


def pad_to_multiple(stack: torch.Tensor, multiple: int) -> torch.Tensor:
    """Zero-pad ``[S, H, W]`` at the bottom and right to multiples of ``multiple``."""
    height, width = stack.shape[1:]
    return torch.nn.functional.pad(stack, (0, -width % multiple, 0, -height % multiple))


def heart_center(heart: np.ndarray, window: int) -> tuple[float, float]:
    """Center (row, column) of the heart in a probability map ``[S, h, w]``, in pixels of that map.

    Values of at least 0.5 are summed over slices. The result is the centroid of the first ``window`` x ``window`` box
    with the largest sum, or the middle of the map if no value reaches 0.5.
    """
    mass = np.where(heart >= 0.5, heart, 0).sum(axis=0, dtype=np.float64)
    height, width = mass.shape
    if not mass.any():
        return (height - 1) / 2, (width - 1) / 2
    tall, wide = min(window, height), min(window, width)
    table = np.pad(mass.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    sums = table[tall:, wide:] - table[:-tall, wide:] - table[tall:, :-wide] + table[:-tall, :-wide]
    top, left = np.unravel_index(np.argmax(sums), sums.shape)
    box = mass[top : top + tall, left : left + wide]
    rows, columns = np.arange(tall), np.arange(wide)
    total = box.sum()
    return top + float(box.sum(axis=1) @ rows) / total, left + float(box.sum(axis=0) @ columns) / total


def crop_origin(center: tuple[float, float], preprocessing: Preprocessing) -> tuple[int, int]:
    """First row and column of Seg's crop at the model's spacing, from a center in the locator's pixels."""
    ratio = preprocessing.locate_spacing_mm / preprocessing.spacing_mm
    row, column = (int(np.floor((at + 0.5) * ratio - preprocessing.crop_pixels / 2 + 0.5)) for at in center)
    return row, column


def crop_pad(stack: torch.Tensor, origin: tuple[int, int], size: int) -> torch.Tensor:
    """Cut ``size`` x ``size`` pixels from ``[S, H, W]`` at ``origin``; outside the stack they are 0."""
    (top, left), (height, width) = origin, stack.shape[1:]
    cut = stack.new_zeros(stack.shape[0], size, size)
    first_row, last_row = max(top, 0), min(top + size, height)
    first_column, last_column = max(left, 0), min(left + size, width)
    if first_row < last_row and first_column < last_column:
        cut[:, first_row - top : last_row - top, first_column - left : last_column - left] = stack[
            :, first_row:last_row, first_column:last_column
        ]
    return cut


@torch.no_grad()
def segment_stack(
    model: SegmentationSystem, stack: LabelledStack, preprocessing: Preprocessing, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels ``[S, H, W]`` at the model's spacing and presence probabilities ``[S, 3]``.

    Without a classifier presence is 1 if a structure is labelled, else 0, as in the runtime.
    """
    coarse = pad_to_multiple(stack.coarse_image.clamp(0, 1), model.config.locate.stride)
    heart = torch.sigmoid(model.locate(coarse[None, :, None].to(device)).float())[0, :, 0].cpu()
    height, width = stack.coarse_image.shape[1:]
    window = round(preprocessing.crop_pixels * preprocessing.spacing_mm / preprocessing.locate_spacing_mm)
    origin = crop_origin(heart_center(heart[:, :height, :width].numpy(), window), preprocessing)
    crop = crop_pad(stack.image.clamp(0, 1), origin, preprocessing.crop_pixels)
    output = model(crop[None, :, None].to(device))
    probability = torch.softmax(output.logits.float(), dim=2)[0]
    if output.presence_logits is not None:
        probability[:, 1:] *= presence_gate(output.presence_logits)[0][..., None, None]
    rows, columns = stack.labels.shape[1:]
    labels = crop_pad(probability.argmax(dim=1), (-origin[0], -origin[1]), max(rows, columns))[:, :rows, :columns]
    if output.presence_logits is None:
        return labels.cpu().to(torch.uint8), presence_of(labels[None])[0].cpu()
    return labels.cpu().to(torch.uint8), torch.sigmoid(output.presence_logits.float())[0].cpu()


def validate(
    model: SegmentationSystem, stacks: list[LabelledStack], preprocessing: Preprocessing, device: torch.device
) -> dict[str, float]:
    """Mean volume Dice by structure and over all (1 where both are empty), and presence accuracy over slices."""
    was_training = model.training
    model.eval()
    dice, correct = [], []
    for stack in stacks:
        labels, presence = segment_stack(model, stack, preprocessing, device)
        dice.append(dice_by_structure(labels.numpy(), stack.labels.numpy()))
        correct.append(((presence > 0.5) == (presence_of(stack.labels[None])[0] > 0.5)).float().mean().item())
    model.train(was_training)
    scores = {f"dice_{name}": float(np.mean([case[name] for case in dice])) for name in STRUCTURES}
    return {**scores, "dice_mean": float(np.mean([*scores.values()])), "presence_accuracy": float(np.mean(correct))}


class Teacher(NamedTuple):
    """A trained model, its preprocessing, and the digest of the file that it was read from."""

    model: SegmentationSystem
    preprocessing: Preprocessing
    digest: str


def make_teacher(
    model: str, preprocessing: Preprocessing, weights: dict[str, torch.Tensor], digest: str, expected: Preprocessing
) -> Teacher:
    """A teacher for a run with the preprocessing ``expected``. Raises ``ValueError`` if its own differs."""
    if preprocessing != expected:
        raise ValueError(f"a teacher must have the run's preprocessing: expected {expected}, got {preprocessing}")
    network = create_model(model)
    network.load_state_dict(weights)
    return Teacher(network.eval(), preprocessing, digest)


def add_soft_labels(
    stacks: list[LabelledStack], teachers: list[Teacher], device: torch.device, precision: torch.dtype | None = None
) -> list[LabelledStack]:
    """The stacks with soft labels of ``teachers``, computed once on ``device`` in the reduced type ``precision``."""
    models = [teacher.model.to(device, memory_format=torch.channels_last) for teacher in teachers]
    size, quiet = teachers[0].preprocessing.crop_pixels, processes().rank != 0

    def with_soft_labels(stack: LabelledStack) -> LabelledStack:
        with torch.autocast(device.type, dtype=precision, enabled=precision is not None):
            return replace(stack, soft=soft_labels(models, stack, size, device))

    found = [
        with_soft_labels(stack) for stack in tqdm(stacks, unit="stack", desc="teachers", file=sys.stderr, disable=quiet)
    ]
    for teacher in teachers:
        teacher.model.cpu()
    return found


@torch.no_grad()
def soft_labels(models: list[SegmentationSystem], stack: LabelledStack, size: int, device: torch.device) -> SoftLabels:
    """The mean over ``models`` and the eight flips and quarter turns of the crop of ``size`` around the heart.

    As in the runtime, a model shows a structure in a slice only if its mean presence is above 0.5.
    """
    row, column = stack.heart_center()
    origin = round(row - (size - 1) / 2), round(column - (size - 1) / 2)
    crop = crop_pad(stack.image.clamp(0, 1), origin, size).to(device)
    turned = torch.stack([turn(crop) for turn, _ in TURNS])[:, :, None]
    structures, presence = zip(*(_mean_of_turns(model, turned) for model in models), strict=True)
    mean = torch.stack(structures).mean(dim=0)[:, 1:].movedim(1, 0)
    return SoftLabels(mean.to(torch.float16).cpu(), torch.stack(presence).mean(dim=0).cpu(), origin)


def _mean_of_turns(model: SegmentationSystem, turned: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Gated probabilities ``[S, 4, h, w]``, turned back, and presence ``[S, 3]``."""
    output = model(turned)
    views = torch.softmax(output.logits.float(), dim=2)
    probability = torch.stack([back(view) for (_, back), view in zip(TURNS, views, strict=True)]).mean(dim=0)
    if output.presence_logits is None:
        return probability, presence_of(probability.argmax(dim=1)[None])[0]
    presence = torch.sigmoid(output.presence_logits.float()).mean(dim=0)
    shown = probability[:, 1:] * presence_gate(torch.logit(presence))[..., None, None]
    return torch.cat([1 - shown.sum(dim=1, keepdim=True), shown], dim=1), presence


def _turn(quarters: int, flipped: bool) -> tuple[Callable, Callable]:
    """A quarter turn after a flip of the last axis, and its inverse."""
    flip = [-1] if flipped else []
    return (
        lambda image: torch.rot90(image.flip(flip), quarters, (-2, -1)),
        lambda image: torch.rot90(image, -quarters, (-2, -1)).flip(flip),
    )


TURNS = [_turn(quarters, flipped) for quarters in range(4) for flipped in (False, True)]
