"""The network of the 2-D nnU-Net, from nnU-Net's own library, for comparison; the paper does not have it."""

from dataclasses import dataclass

import torch
from torch import nn


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
