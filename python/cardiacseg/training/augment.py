"""Random changes of labelled stacks: what is drawn for one stack, and intensities changed for many at once."""

import math
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


def kept_slices(total: int, wanted: int, scattered: bool, generator: torch.Generator) -> torch.Tensor:
    """Indices of ``wanted`` of ``total`` slices in their order: a run of neighbours at a random place, or any."""
    if scattered:
        return torch.randperm(total, generator=generator)[:wanted].sort().values
    return torch.arange(wanted) + int(torch.randint(total - wanted + 1, (), generator=generator))


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
    """Change each of the stacks ``[B, S, h, w]`` by its own of ``changes``, ``noise`` being standard normal.

    Offset, gain, bias field, blur, gamma and noise, then the clip to 0..1 that the runtime does.
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
