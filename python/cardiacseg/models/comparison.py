"""Networks for comparison: the paper's row "Two-stage: Det + Seg", and the network of the 2-D nnU-Net.

Det + Seg: a detector finds the heart's bounding box, and Seg sees that box enlarged. Liu et al., "Two-stage method for
segmentation of the myocardial scars and edema on multi-sequence cardiac magnetic resonance", MyoPS challenge 2020 (the
paper's reference 15). Every system of this package sees a crop of fixed size around the heart, found by the locator;
this one zooms further, into the box of its own detector. nnU-Net's network is from its own library; the paper does not
have it.
"""

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from cardiacseg.models.sk_unet import SkUNet, SkUNetConfig

POOLING = 4
DEVIATIONS = 3.0  # half the box: 1.5 times the radius of a disc, whose standard deviation is half its radius
SMALLEST_HALF = 0.3  # of half the input's side
OUTSIDE_LOGIT = 10.0


@dataclass(frozen=True)
class DetSegConfig:
    """Sizes of the detector, which sees the input averaged over 4 x 4 pixels, and of Seg, which sees the box."""

    det: SkUNetConfig = field(
        default_factory=lambda: SkUNetConfig(out_channels=1, channels=(8, 16, 32), attention_heads=0)
    )
    seg: SkUNetConfig = field(default_factory=SkUNetConfig)
    presence_classes = 0

    @property
    def stride(self) -> int:
        """Height and width of the input must be multiples of this."""
        return max(POOLING * self.det.stride, self.seg.stride)


class DetSeg(nn.Module):
    """From ``[frames, slices, 1, H, W]`` to logits ``[frames, slices, 4, H, W]``."""

    def __init__(self, config: DetSegConfig):
        super().__init__()
        self.config = config
        self.det = SkUNet(config.det)
        self.seg = SkUNet(config.seg)

    @property
    def stride(self) -> int:
        """Height and width of the input must be multiples of this."""
        return self.config.stride

    def forward(self, stacks: torch.Tensor) -> torch.Tensor:
        return self.segment(stacks, self.detect(stacks))

    def detect(self, stacks: torch.Tensor) -> torch.Tensor:
        """Logits of the heart ``[frames, slices, 1, H/4, W/4]``."""
        return self.det(functional.avg_pool2d(stacks.flatten(0, 1), POOLING).unflatten(0, stacks.shape[:2]))

    def segment(self, stacks: torch.Tensor, heart_logits: torch.Tensor) -> torch.Tensor:
        """Class logits on the input's grid: Seg's in the box of each stack's heart, background outside it."""
        center, half = heart_box(heart_logits.detach())
        pixels = pixel_grid(*stacks.shape[-2:], stacks.device)
        enlarged = sample(stacks, center + half * pixels)
        inside_box = (pixels - center) / half
        logits = sample(self.seg(enlarged), inside_box)
        background = OUTSIDE_LOGIT * (torch.arange(logits.shape[2], device=logits.device) == 0).reshape(-1, 1, 1)
        inside = (inside_box.abs() <= 1).all(dim=3)[:, None, None]
        return torch.where(inside, logits, background)


def heart_box(heart_logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Box around the heart of each stack: center (x, y) ``[frames, 1, 1, 2]`` and half its side ``[frames, 1, 1, 1]``.

    Units are those of ``grid_sample``: the input reaches from -1 to 1. The weight of a pixel is its
    probability minus one half if that is positive, summed over all slices. The center is the weighted mean; half a side
    is 3 standard deviations along the longer axis, so that both axes are enlarged alike. The box stays inside the
    input; if all weights are 0 it is the whole input.
    """
    mass = functional.relu(torch.sigmoid(heart_logits.float()) - 0.5).sum(dim=(1, 2))
    height, width = mass.shape[1:]
    profiles = [(mass.sum(dim=1), _centers(width, mass.device)), (mass.sum(dim=2), _centers(height, mass.device))]
    total = mass.sum(dim=(1, 2))
    weight = total.clamp(min=1e-6)
    means = torch.stack([(profile * at).sum(dim=1) / weight for profile, at in profiles], dim=1)
    squares = torch.stack([(profile * at**2).sum(dim=1) / weight for profile, at in profiles], dim=1)
    deviation = (squares - means**2).clamp(min=0).sqrt().amax(dim=1, keepdim=True)
    half = torch.where(total[:, None] > 0, (DEVIATIONS * deviation).clamp(SMALLEST_HALF, 1.0), 1.0)
    center = torch.minimum(torch.maximum(means, half - 1), 1 - half)
    return center[:, None, None], half[:, None, None]


def pixel_grid(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Centers (x, y) of the pixels of a map that reaches from -1 to 1, ``[1, height, width, 2]``."""
    x, y = _centers(width, device), _centers(height, device)
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=2)[None]


def sample(maps: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Bilinear values of ``[frames, slices, C, h, w]`` at ``grid`` ``[frames, H, W, 2]``, the same for all slices."""
    frames, slices, channels = maps.shape[:3]
    sampled = functional.grid_sample(maps.flatten(1, 2).float(), grid, padding_mode="border", align_corners=False)
    return sampled.reshape(frames, slices, channels, *grid.shape[1:3])


def _centers(count: int, device: torch.device) -> torch.Tensor:
    return (2 * torch.arange(count, device=device) + 1) / count - 1


@dataclass(frozen=True)
class PlainUNetConfig:
    """Size of the network. The defaults are nnU-Net's plan for patches of 128 x 128 pixels.

    Isensee et al., "nnU-Net", Nature Methods 18, 2021: two 3 x 3 convolutions per level, each with instance norm and
    leaky ReLU, half the size and twice the channels from level to level, at most 512 channels in 2-D.
    """

    in_channels: int = 1
    out_channels: int = 4
    channels: tuple[int, ...] = (32, 64, 128, 256, 512, 512)
    convolutions_per_level: int = 2
    presence_classes = 0

    @property
    def stride(self) -> int:
        """Height and width of the input must be multiples of this."""
        return 2 ** (len(self.channels) - 1)


class PlainUNet(nn.Module):
    """From ``[frames, slices, in_channels, H, W]`` to logits ``[frames, slices, out_channels, H, W]``.

    Slices are segmented one by one. Raises ``ImportError`` if ``dynamic-network-architectures`` is not installed.
    """

    def __init__(self, config: PlainUNetConfig):
        super().__init__()
        self.config = config
        self.unet = _plain_conv_unet(config)

    @property
    def stride(self) -> int:
        """Height and width of the input must be multiples of this."""
        return self.config.stride

    def forward(self, stacks: torch.Tensor) -> torch.Tensor:
        frames, slices, _, height, width = stacks.shape
        logits = self.unet(stacks.reshape(frames * slices, self.config.in_channels, height, width))
        return logits.reshape(frames, slices, self.config.out_channels, height, width)


def _plain_conv_unet(config: PlainUNetConfig) -> nn.Module:
    try:
        from dynamic_network_architectures.architectures.unet import PlainConvUNet
    except ImportError as error:
        raise ImportError(
            'nnU-Net\'s network needs the library dynamic-network-architectures: pip install "cardiacseg[nnunet]"'
        ) from error
    levels = len(config.channels)
    unet = PlainConvUNet(
        input_channels=config.in_channels,
        n_stages=levels,
        features_per_stage=config.channels,
        conv_op=nn.Conv2d,
        kernel_sizes=3,
        strides=[1] + [2] * (levels - 1),
        n_conv_per_stage=config.convolutions_per_level,
        n_conv_per_stage_decoder=config.convolutions_per_level,
        num_classes=config.out_channels,
        conv_bias=True,
        norm_op=nn.InstanceNorm2d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )
    unet.apply(PlainConvUNet.initialize)
    return _without_repeats(unet)


def _without_repeats(unet: nn.Module) -> nn.Module:
    """Remove the unused heads of deep supervision and second names of layers, so that each weight is stored once."""
    unet.decoder.seg_layers = unet.decoder.seg_layers[-1:]
    del unet.decoder.encoder
    for module in unet.modules():
        if hasattr(module, "all_modules"):
            del module.conv, module.norm, module.nonlin
    return unet
