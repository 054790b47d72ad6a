"""Random views of a labelled stack: one in-plane affine map and one intensity change for all of its slices."""

import math
from typing import NamedTuple

import torch
from torch.nn import functional

from cardiacseg.training.config import Augmentation, Preprocessing
from cardiacseg.training.data import LabelledStack


class Sample(NamedTuple):
    """One training view: crop ``[S, h, w]`` with labels, and the coarse field of view with its heart mask."""

    image: torch.Tensor
    labels: torch.Tensor
    coarse_image: torch.Tensor
    coarse_heart: torch.Tensor


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


def kept_slices(total: int, wanted: int, scattered: bool, generator: torch.Generator) -> torch.Tensor:
    """Indices of ``wanted`` of ``total`` slices in their order: a run of neighbours at a random place, or any."""
    if scattered:
        return torch.randperm(total, generator=generator)[:wanted].sort().values
    return torch.arange(wanted) + int(torch.randint(total - wanted + 1, (), generator=generator))


def sample_plane(
    planes: torch.Tensor, centre: torch.Tensor, matrix: torch.Tensor, size: int, pixel: float
) -> torch.Tensor:
    """Read ``[S, C, H, W]`` bilinearly on a ``size`` x ``size`` grid; outside is 0.

    ``centre`` is (x, y) in input pixels, one row for each slice or one for all; ``pixel`` is the output pixel's
    size in input pixels.
    """
    slices, _, height, width = planes.shape
    steps = (torch.arange(size) - (size - 1) / 2) * pixel
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    points = torch.stack([columns, rows], dim=-1) @ matrix.T + centre.reshape(-1, 1, 1, 2)
    grid = (points + 0.5) / torch.tensor([width, height]) * 2 - 1
    return functional.grid_sample(planes, grid.expand(slices, size, size, 2), align_corners=False)


def _smooth_field(size: tuple[int, int], strength: float, generator: torch.Generator) -> torch.Tensor:
    coarse = torch.randn(1, 1, 4, 4, generator=generator) * strength
    return torch.exp(functional.interpolate(coarse, size=size, mode="bicubic", align_corners=True)[0, 0])


def change_intensity(image: torch.Tensor, settings: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Offset, gain, bias field, blur, gamma and noise on ``[S, h, w]``, then the clip to 0..1 that the runtime does.

    The blur is one to three 3 x 3 means, as a Gaussian of up to 1.4 pixels.
    """
    offset = _uniform(-settings.intensity_offset, settings.intensity_offset, generator)
    changed = (image + offset) * _uniform(*settings.intensity_gain, generator)
    changed = changed * _smooth_field(
        (image.shape[1], image.shape[2]), _uniform(0, settings.bias_field, generator), generator
    )
    if _chance(settings.blur_probability, generator):
        for _ in range(1 + int(torch.randint(3, (), generator=generator))):
            changed = functional.avg_pool2d(changed, 3, stride=1, padding=1, count_include_pad=False)
    gamma = math.exp(_uniform(*(math.log(limit) for limit in settings.gamma), generator))
    changed = changed.clamp(0, 1) ** gamma
    noise = torch.randn(changed.shape, generator=generator) * _uniform(0, settings.noise, generator)
    return (changed + noise).clamp(0, 1)


def random_sample(
    stack: LabelledStack,
    preprocessing: Preprocessing,
    settings: Augmentation,
    crop: int,
    canvas: int,
    generator: torch.Generator,
) -> Sample:
    """Draw one view of ``stack``: a crop of ``crop`` pixels a side with the field of view of
    ``preprocessing.crop_pixels``, and a coarse view of ``canvas`` pixels a side."""
    matrix = random_linear_map(settings, generator)
    shift = settings.shift_mm / preprocessing.spacing_mm
    row, column = stack.heart_centre()
    centre = torch.tensor([column, row]) + torch.empty(2).uniform_(-shift, shift, generator=generator)
    jitter = torch.randn(len(stack.image), 2, generator=generator) * (
        settings.slice_shift_mm / preprocessing.spacing_mm
    )
    one_hot = functional.one_hot(stack.labels.long(), 4).permute(0, 3, 1, 2).float()
    planes = sample_plane(
        torch.cat([stack.image[:, None], one_hot], dim=1),
        centre + jitter,
        matrix,
        crop,
        preprocessing.crop_pixels / crop,
    )
    labels = planes[:, 2:].contiguous()
    background = 1 - labels.sum(dim=1, keepdim=True)
    return Sample(
        image=change_intensity(planes[:, 0], settings, generator),
        labels=torch.cat([background, labels], dim=1).argmax(dim=1),
        **_coarse_view(stack, matrix, preprocessing, settings, canvas, generator),
    )


def _coarse_view(
    stack: LabelledStack,
    matrix: torch.Tensor,
    preprocessing: Preprocessing,
    settings: Augmentation,
    canvas: int,
    generator: torch.Generator,
) -> dict[str, torch.Tensor]:
    height, width = stack.coarse_image.shape[1:]
    shift = 2 * settings.shift_mm / preprocessing.locate_spacing_mm
    middle = torch.tensor([(width - 1) / 2, (height - 1) / 2])
    centre = middle + torch.empty(2).uniform_(-shift, shift, generator=generator)
    planes = torch.stack([stack.coarse_image, stack.coarse_heart], dim=1)
    view = sample_plane(planes, centre, matrix, canvas, 1.0)
    return {"coarse_image": change_intensity(view[:, 0], settings, generator), "coarse_heart": view[:, 1]}


def coarse_canvas(stack: LabelledStack) -> int:
    """Side of the locator's training canvas: the longer side of the field of view, rounded up to 16 pixels."""
    return -(-max(stack.coarse_image.shape[1:]) // 16) * 16
