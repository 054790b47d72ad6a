"""Slices of different sizes packed on one device, read bilinearly along affine grids."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch


class Corner(NamedTuple):
    """One of the four pixels round each point: its place in the packed pixels and its weight, 0 outside a slice."""

    index: torch.Tensor
    weight: torch.Tensor


class Planes:
    """Sizes of the slices of stacks ``[S, H, W]`` that are packed one behind the other in one tensor on ``device``.

    ``first`` is the number of the first slice of each stack.
    """

    def __init__(self, shapes: Sequence[Sequence[int]], device: torch.device):
        counts, heights, widths = (torch.tensor(sizes) for sizes in zip(*shapes, strict=True))
        self.first = [0, *counts.cumsum(0).tolist()]
        height, width = heights.repeat_interleave(counts), widths.repeat_interleave(counts)
        area = height * width
        self.start, self.height, self.width = (table.to(device) for table in (area.cumsum(0) - area, height, width))

    def corners(self, slices: torch.Tensor, points: tuple[torch.Tensor, torch.Tensor]) -> list[Corner]:
        """The pixels round ``points`` (x, y), each ``[P, h, w]`` in pixels of the slices ``[P]``."""
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
    """All pixels of ``stacks`` one behind the other on ``device``."""
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
    centre: torch.Tensor, matrix: torch.Tensor, size: int, pixel: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (x, y), each ``[P, size, size]``, of square grids round ``centre`` ``[P, 2]`` (x, y) in input pixels.

    ``matrix`` ``[P, 2, 2]`` leads from output to input offsets; ``pixel`` is the output pixel's size in input pixels.
    """
    steps = (torch.arange(size, device=centre.device) - (size - 1) / 2) * pixel
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    x, y = (
        matrix[:, axis, 0, None, None] * columns + matrix[:, axis, 1, None, None] * rows + centre[:, axis, None, None]
        for axis in (0, 1)
    )
    return x, y
