"""SK-UNet: a U-Net of selective kernel blocks, with or without the all-slice fusion transformer at the bottleneck."""

from dataclasses import dataclass

import torch
from torch import nn

from cardiacseg.models.slice_transformer import SliceFusionTransformer


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


@dataclass(frozen=True)
class SkUNetConfig:
    """Size of one network.

    ``channels`` has one entry per level, each level half the size of the one before. ``attention_heads`` 0 leaves
    the transformer out (a single-slice network); ``presence_classes`` 0 leaves the classifier out.
    """

    in_channels: int = 1
    out_channels: int = 4
    channels: tuple[int, ...] = (16, 32, 64, 128, 192)
    attention_heads: int = 6
    presence_classes: int = 0

    @property
    def stride(self) -> int:
        """Height and width of the input must be multiples of this."""
        return 2 ** (len(self.channels) - 1)


class PresenceClassifier(nn.Module):
    """Section 2.3's perceptron on the encoder's bottleneck: logits of p(RV), p(MYO), p(LV) for each slice.

    It looks at the largest response of each channel, not at the mean, so that the size of the field of view
    round the heart does not move its answer. It starts out saying yes, so that the gate lets Ref learn at once.
    """

    def __init__(self, channels: int, classes: int, hidden: int = 64):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, classes))
        nn.init.constant_(self.mlp[-1].bias, 1.0)

    def forward(self, bottleneck: torch.Tensor) -> torch.Tensor:
        return self.mlp(bottleneck.amax(dim=(2, 3)))


class SkUNet(nn.Module):
    """Takes ``[frames, slices, in_channels, H, W]``, gives logits ``[frames, slices, out_channels, H, W]``.

    With ``presence_classes`` it gives a pair: those logits and presence logits ``[frames, slices, classes]``.
    """

    def __init__(self, config: SkUNetConfig):
        super().__init__()
        self.config = config
        widths = config.channels
        self.encoder = nn.ModuleList(
            SkBlock(before, after) for before, after in zip((config.in_channels, *widths[:-1]), widths, strict=True)
        )
        self.downsample = nn.MaxPool2d(2)
        self.fusion = SliceFusionTransformer(widths[-1], config.attention_heads) if config.attention_heads else None
        self.decoder = nn.ModuleList(
            UpBlock(deep, skip) for deep, skip in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], config.out_channels, 1)
        self.classifier = PresenceClassifier(widths[-1], config.presence_classes) if config.presence_classes else None

    @property
    def stride(self) -> int:
        """Height and width of the input must be multiples of this."""
        return self.config.stride

    def forward(self, stacks: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        frames, slices, _, height, width = stacks.shape
        features = stacks.reshape(frames * slices, self.config.in_channels, height, width)
        skips: list[torch.Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(self.downsample(features) if level else features)
            skips.append(features)
        bottleneck = skips.pop()
        features = self._fuse(bottleneck, frames, slices)
        for block in self.decoder:
            features = block(features, skips.pop())
        logits = self.head(features).reshape(frames, slices, self.config.out_channels, height, width)
        if self.classifier is None:
            return logits
        return logits, self.classifier(bottleneck).reshape(frames, slices, self.config.presence_classes)

    def _fuse(self, bottleneck: torch.Tensor, frames: int, slices: int) -> torch.Tensor:
        if self.fusion is None:
            return bottleneck
        return self.fusion(bottleneck.reshape(frames, slices, *bottleneck.shape[1:])).reshape(bottleneck.shape)
