"""SK-UNet: a U-Net of selective kernel blocks, with or without the all-slice fusion transformer at the bottleneck.

The transformer is that of section 2.2: attention between slices, then within each slice, without position encoding.
"""

from dataclasses import dataclass

import torch
from torch import nn


class Attention(nn.Module):
    """Multi-head self-attention of ``[frames * slices, positions, C]``, within each slice or across the slices."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        if channels % heads:
            raise ValueError(f"channels must be a multiple of heads, got {channels} channels and {heads} heads")
        self.heads = heads
        self.scale = (channels // heads) ** -0.5
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, tokens: torch.Tensor, frames: int | None = None) -> torch.Tensor:
        """With ``frames`` each position attends over the slices of its own stack; without, over the positions of its
        slice."""
        qkv = self.qkv(tokens)
        if frames is None:
            return self.project(self._attend(qkv))
        slices, positions, channels = tokens.shape[0] // frames, *tokens.shape[1:]
        across = qkv.reshape(frames, slices, positions, 3 * channels).transpose(1, 2)
        across = self._attend(across.reshape(frames * positions, slices, 3 * channels))
        across = across.reshape(frames, positions, slices, channels).transpose(1, 2)
        return self.project(across.reshape(frames * slices, positions, channels))

    def _attend(self, qkv: torch.Tensor) -> torch.Tensor:
        """The operation of ops/slice_attention.h over the second-last axis of ``[..., tokens, 3C]``."""
        batch, count, channels = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
        qkv = qkv.reshape(batch, count, 3, self.heads, channels // self.heads)
        query, key, value = (part.squeeze(2).transpose(1, 2) for part in qkv.split(1, dim=2))
        weights = torch.softmax((query * self.scale) @ key.transpose(-2, -1), dim=-1)
        return (weights @ value).transpose(1, 2).reshape(batch, count, channels)


class TransformerBlock(nn.Module):
    """Pre-norm attention and a two-layer perceptron, each added to its input."""

    def __init__(self, channels: int, heads: int, mlp_ratio: int):
        super().__init__()
        self.attention_norm = nn.LayerNorm(channels)
        self.attention = Attention(channels, heads)
        self.mlp_norm = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, mlp_ratio * channels), nn.GELU(), nn.Linear(mlp_ratio * channels, channels)
        )

    def forward(self, tokens: torch.Tensor, frames: int | None = None) -> torch.Tensor:
        tokens = tokens + self.attention(self.attention_norm(tokens), frames)
        return tokens + self.mlp(self.mlp_norm(tokens))


class SliceFusionTransformer(nn.Module):
    """Fuses the bottleneck features of all slices of a stack.

    Input and output are ``[frames, slices, C, h, w]``. Inter-slice: each position attends over the slices of its own
    stack. Intra-slice: each slice attends over its positions. Attention never crosses frames. There is no position
    encoding, so a stack may have any number of slices and a map any size.
    """

    def __init__(self, channels: int, heads: int, mlp_ratio: int = 2):
        super().__init__()
        self.inter_slice = TransformerBlock(channels, heads, mlp_ratio)
        self.intra_slice = TransformerBlock(channels, heads, mlp_ratio)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        frames, slices, channels, height, width = features.shape
        tokens = features.reshape(frames * slices, channels, height * width).transpose(1, 2)
        tokens = self.intra_slice(self.inter_slice(tokens, frames))
        return tokens.transpose(1, 2).reshape(frames, slices, channels, height, width)


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

    It uses the maximum of each channel, not the mean, so that its result does not depend on the size of the field of
    view. Its initial bias makes p larger than 0.5, so that gates are open and Ref learns from the first step.
    """

    def __init__(self, channels: int, classes: int, hidden: int = 64):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, classes))
        nn.init.constant_(self.mlp[-1].bias, 1.0)

    def forward(self, bottleneck: torch.Tensor) -> torch.Tensor:
        return self.mlp(bottleneck.amax(dim=(2, 3)))


class SkUNet(nn.Module):
    """From ``[frames, slices, in_channels, H, W]`` to logits ``[frames, slices, out_channels, H, W]``.

    With ``presence_classes`` the result is a pair: those logits and presence logits ``[frames, slices, classes]``.
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
