"""Mask fusion and preprocessing in PyTorch, for comparison with the kernels."""

import torch
from torch.nn.functional import grid_sample, interpolate, pad

from benchmarks.workloads import ImageWorkload


def network_coordinates(workload: ImageWorkload, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions of the scanner's rows and columns among the crop's pixels, in float64."""
    axes = ((workload.rows, workload.row_spacing), (workload.columns, workload.column_spacing))
    return tuple(
        (torch.arange(length, device=device, dtype=torch.float64) + 0.5) * mm / workload.target - 0.5 - first
        for (length, mm), first in zip(axes, workload.origin, strict=True)
    )


def sampling_grid(workload: ImageWorkload, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """For grid_sample, ``[1, rows, columns, 2]`` in float64; which voxels the crop holds, ``[rows, columns]``."""
    down, across = network_coordinates(workload, device)
    inside = [(at >= -0.5) & (at <= workload.crop - 0.5) for at in (down, across)]
    scaled = [(2 * at + 1) / workload.crop - 1 for at in (across, down)]
    grid = torch.stack(torch.meshgrid(*scaled, indexing="xy"), dim=-1)[None]
    return grid, inside[0][:, None] & inside[1][None, :]


def fuse(
    logits: torch.Tensor,
    presence: torch.Tensor,
    places: tuple[torch.Tensor, torch.Tensor],
    threshold: float,
    temperature: float,
    dtype: torch.dtype = torch.float32,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels ``[N, rows, columns]`` and the gated probabilities, ``[N, 4, rows, columns]``, not divided by their sum.

    ``logits`` is ``[N, 4, crop, crop]``, ``presence`` ``[N, 3]``, ``places`` the result of :func:`sampling_grid`;
    computed in ``dtype``.
    """
    grid, inside = places
    shares = torch.softmax(logits.to(dtype) / temperature, dim=1)
    grid = grid.to(dtype).expand(len(logits), -1, -1, -1)
    shares = grid_sample(shares, grid, mode="bilinear", padding_mode="border", align_corners=False)
    shares[:, 1:] *= (presence > threshold).to(dtype)[:, :, None, None]
    return shares.argmax(dim=1).to(torch.uint8) * inside, shares


def wrong_labels(labels: torch.Tensor, expected: torch.Tensor, shares: torch.Tensor) -> int:
    """Voxels with another label than ``expected`` although the two largest of ``shares`` differ by more than
    rounding."""
    top = shares.topk(2, dim=1).values
    return int(((labels != expected) & (top[:, 0] - top[:, 1] > 1e-5)).sum())


def percentiles(image: torch.Tensor, lower: float, upper: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """``[stacks, 2]`` of ``[stacks, slices, rows, columns]``, linearly interpolated in rank."""
    shares = torch.tensor([lower / 100, upper / 100], device=image.device, dtype=dtype)
    return torch.quantile(image.flatten(1).to(dtype), shares, dim=1).T.contiguous()


def preprocess(
    image: torch.Tensor, ranges: torch.Tensor, workload: ImageWorkload, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """The network's input ``[stacks, slices, crop, crop]`` of the scanner's ``[stacks, slices, rows, columns]``.

    Computed in ``dtype``; the result is of the workload's type in float32, else of ``dtype``.
    """
    scale = (workload.row_spacing / workload.target, workload.column_spacing / workload.target)
    resampled = interpolate(
        image.to(dtype), scale_factor=scale, mode="bilinear", antialias=True, recompute_scale_factor=False
    )
    low, high = (ranges[:, side, None, None, None] for side in (0, 1))
    window = crop(((resampled - low) / (high - low)).clamp(0, 1), workload)
    return window.to(getattr(torch, workload.dtype)) if dtype == torch.float32 else window


def crop(planes: torch.Tensor, workload: ImageWorkload) -> torch.Tensor:
    """The crop of the last two axes, zero outside the image."""
    (top, left), (rows, columns) = workload.origin, planes.shape[-2:]
    sides = (-left, left + workload.crop - columns, -top, top + workload.crop - rows)  # negative: cut off
    return pad(planes, sides)


def random_logits(workload: ImageWorkload, device: str, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth maps, as a network's are, and presences about half of which are above 0.5."""
    generator = torch.Generator(device).manual_seed(seed)
    coarse = 6 * torch.randn(workload.planes, 4, 9, 9, generator=generator, device=device)
    logits = interpolate(coarse, size=(workload.crop, workload.crop), mode="bilinear")
    presence = torch.rand(workload.planes, 3, generator=generator, device=device)
    return logits.to(getattr(torch, workload.dtype)).contiguous(), presence


def random_image(workload: ImageWorkload, device: str, seed: int = 0) -> torch.Tensor:
    """``[stacks, slices, rows, columns]`` of the scanner's type, from 0 to 3,000."""
    generator = torch.Generator(device).manual_seed(seed)
    coarse = 3000 * torch.rand(workload.stacks, workload.slices, 40, 40, generator=generator, device=device)
    image = interpolate(coarse, size=(workload.rows, workload.columns), mode="bilinear")
    return image.round().to(getattr(torch, workload.source)).contiguous()
