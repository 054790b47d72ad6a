"""Convolution blocks shared by every network. Feature maps are ``[N, C, H, W]``."""

import torch
from torch import nn


class ConvNormRelu(nn.Sequential):
    """3 x 3 convolution, batch norm, ReLU; keeps the size of the map."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class SelectiveKernelConv(nn.Module):
    """Selective kernel convolution with two branches: 3 x 3, and 3 x 3 dilated by two (a 5 x 5 field).

    Li et al., "Selective Kernel Networks", CVPR 2019, equations 1 to 6. The softmax over two branches is
    written as one sigmoid of the difference of their logits, which is the same number.
    """

    def __init__(self, channels: int, reduction: int = 4):
        super().__init__()
        hidden = max(channels // reduction, 8)
        self.narrow = ConvNormRelu(channels, channels)
        self.wide = ConvNormRelu(channels, channels, dilation=2)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.select = nn.Conv2d(hidden, channels, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        narrow, wide = self.narrow(features), self.wide(features)
        pooled = narrow.mean(dim=(2, 3), keepdim=True) + wide.mean(dim=(2, 3), keepdim=True)
        share = torch.sigmoid(self.select(torch.relu(self.squeeze(pooled))))
        return wide + share * (narrow - wide)


class SkBlock(nn.Module):
    """A plain convolution, then a selective kernel convolution added to it."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.enter = ConvNormRelu(in_channels, out_channels)
        self.refine = SelectiveKernelConv(out_channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        entered = self.enter(features)
        return entered + self.refine(entered)


class UpBlock(nn.Module):
    """Doubles the size of the deep map, joins the encoder's skip map, and convolves both."""

    def __init__(self, deep_channels: int, skip_channels: int):
        super().__init__()
        self.upsample = nn.ConvTranspose2d(deep_channels, skip_channels, 2, stride=2)
        self.block = SkBlock(2 * skip_channels, skip_channels)

    def forward(self, deep: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        return self.block(torch.cat([self.upsample(deep), skip], dim=1))
