"""SK-UNet: a U-Net of selective kernel blocks, with or without the all-slice fusion transformer at the bottleneck."""

from dataclasses import dataclass

import torch
from torch import nn

from cardiacseg.models.blocks import SkBlock, UpBlock
from cardiacseg.models.slice_transformer import SliceFusionTransformer


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
