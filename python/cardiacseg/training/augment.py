"""Random views of labelled stacks: random changes, pixels read along affine grids, intensities changed."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch.nn import functional

from cardiacseg.training.config import Augmentation


class Intensity(NamedTuple):
    """One random change of intensities; ``bias`` is the logarithm of a field on 4 x 4 points."""

    offset: float
    gain: float
    gamma: float
    noise: float
    blurs: int
    bias: torch.Tensor


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _chance(probability: float, generator: torch.Generator) -> bool:
    return _uniform(0.0, 1.0, generator) < probability


def random_linear_map(settings: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """2 x 2 matrix from output to input offsets (x, y): flips, quarter turn, rotation and scale."""
    angle = math.radians(_uniform(-settings.rotation_degrees, settings.rotation_degrees, generator))
    if _chance(settings.quarter_turn_probability, generator):
        angle += math.pi / 2 * int(torch.randint(4, (), generator=generator))
    flip_x, flip_y = (-1.0 if _chance(settings.flip_probability, generator) else 1.0 for _ in range(2))
    zoom = 1.0 / math.exp(_uniform(*(math.log(limit) for limit in settings.scale), generator))
    cosine, sine = zoom * math.cos(angle), zoom * math.sin(angle)
    return torch.tensor([[cosine * flip_x, -sine * flip_y], [sine * flip_x, cosine * flip_y]])


def random_shift(reach: float, generator: torch.Generator) -> torch.Tensor:
    """A shift (x, y) of up to ``reach`` on each axis."""
    return torch.empty(2).uniform_(-reach, reach, generator=generator)


def choose_slices(total: int, count: int, scattered: bool, generator: torch.Generator) -> torch.Tensor:
    """Indices of ``count`` of ``total`` slices in order: adjacent ones from a random start or, ``scattered``, any."""
    if scattered:
        return torch.randperm(total, generator=generator)[:count].sort().values
    return torch.arange(count) + int(torch.randint(total - count + 1, (), generator=generator))


def random_intensity(settings: Augmentation, generator: torch.Generator) -> Intensity:
    """Draw one change of intensities; the blur is one to three 3 x 3 means, as a Gaussian of up to 1.4 pixels."""
    offset = _uniform(-settings.intensity_offset, settings.intensity_offset, generator)
    gain = _uniform(*settings.intensity_gain, generator)
    strength = _uniform(0, settings.bias_field, generator)
    bias = torch.randn(4, 4, generator=generator) * strength
    blurred = _chance(settings.blur_probability, generator)
    blurs = 1 + int(torch.randint(3, (), generator=generator)) if blurred else 0
    gamma = math.exp(_uniform(*(math.log(limit) for limit in settings.gamma), generator))
    return Intensity(offset, gain, gamma, _uniform(0, settings.noise, generator), blurs, bias)


def change_intensity(image: torch.Tensor, changes: list[Intensity], noise: torch.Tensor) -> torch.Tensor:
    """Change each stack of ``[B, S, h, w]`` by its entry of ``changes``; ``noise`` is standard normal.

    Offset, gain, bias field, blur, gamma and noise, then clipping to 0..1 as in the runtime.
    """
    numbers = torch.tensor([change[:4] for change in changes]).to(image.device)
    offset, gain, gamma, strength = numbers.T.reshape(4, -1, 1, 1, 1)
    bias = torch.stack([change.bias for change in changes])[:, None].to(image.device)
    field = torch.exp(functional.interpolate(bias, size=image.shape[2:], mode="bicubic", align_corners=True))
    changed = (image + offset) * gain * field
    for count in range(1, max(change.blurs for change in changes) + 1):
        chosen = [index for index, change in enumerate(changes) if change.blurs >= count]
        changed[chosen] = functional.avg_pool2d(changed[chosen], 3, stride=1, padding=1, count_include_pad=False)
    return (changed.clamp(0, 1) ** gamma + noise * strength).clamp(0, 1)


class Corner(NamedTuple):
    """One of the four pixels around each point: its index in the packed pixels and its weight, 0 outside a slice."""

    index: torch.Tensor
    weight: torch.Tensor


class Planes:
    """Sizes of the slices of stacks ``[S, H, W]`` that are packed one after another in one tensor on ``device``.

    ``first`` is the number of the first slice of each stack.
    """

    def __init__(self, shapes: Sequence[Sequence[int]], device: torch.device):
        counts, heights, widths = (torch.tensor(sizes) for sizes in zip(*shapes, strict=True))
        self.first = [0, *counts.cumsum(0).tolist()]
        height, width = heights.repeat_interleave(counts), widths.repeat_interleave(counts)
        area = height * width
        self.start, self.height, self.width = (table.to(device) for table in (area.cumsum(0) - area, height, width))

    def corners(self, slices: torch.Tensor, points: tuple[torch.Tensor, torch.Tensor]) -> list[Corner]:
        """The pixels around ``points`` (x, y), each ``[P, h, w]`` in pixels of the slices ``[P]``."""
        start, height, width = (table[slices][:, None, None] for table in (self.start, self.height, self.width))
        x, y = points
        left, top = x.floor(), y.floor()
        right, below = x - left, y - top
        found = []
        for down in (0, 1):
            row = top.long() + down
            row_weight = (below if down else 1 - below) * ((row >= 0) & (row < height))
            row_start = start + row.clamp(min=0).minimum(height - 1) * width
            for aside in (0, 1):
                column = left.long() + aside
                weight = row_weight * (right if aside else 1 - right) * ((column >= 0) & (column < width))
                found.append(Corner(row_start + column.clamp(min=0).minimum(width - 1), weight))
        return found


def pack(stacks: Iterable[torch.Tensor], device: torch.device) -> torch.Tensor:
    """All pixels of ``stacks`` one after another on ``device``."""
    return torch.cat([stack.reshape(-1) for stack in stacks]).to(device)


def read_values(pixels: torch.Tensor, corners: list[Corner]) -> torch.Tensor:
    """Bilinear values ``[P, h, w]`` of packed ``pixels``; outside is 0."""
    return sum(pixels[corner.index] * corner.weight for corner in corners)


def read_labels(pixels: torch.Tensor, corners: list[Corner]) -> torch.Tensor:
    """The label 0 to 3 that covers most of each point, int64 ``[P, h, w]``; outside is 0."""
    around = [(pixels[corner.index], corner.weight) for corner in corners]
    structures = torch.stack([sum((near == label) * weight for near, weight in around) for label in (1, 2, 3)], dim=1)
    return torch.cat([1 - structures.sum(dim=1, keepdim=True), structures], dim=1).argmax(dim=1)


def affine_points(
    center: torch.Tensor, matrix: torch.Tensor, size: int, pixel: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (x, y), each ``[P, size, size]``, of square grids around ``center`` ``[P, 2]`` (x, y) in input pixels.

    ``matrix`` ``[P, 2, 2]`` maps output offsets to input offsets; ``pixel`` is the output pixel's size in input pixels.
    """
    steps = (torch.arange(size, device=center.device) - (size - 1) / 2) * pixel
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    x, y = (
        matrix[:, axis, 0, None, None] * columns + matrix[:, axis, 1, None, None] * rows + center[:, axis, None, None]
        for axis in (0, 1)
    )
    return x, y
