"""The all-slice fusion transformer of section 2.2: inter-slice, then intra-slice attention, no position encoding."""

import torch
from torch import nn


class Attention(nn.Module):
    """Multi-head self-attention over the second-last axis of ``[..., tokens, C]``."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        if channels % heads:
            raise ValueError(f"channels must be a multiple of heads, got {channels} channels and {heads} heads")
        self.heads = heads
        self.scale = (channels // heads) ** -0.5
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        batch, count, channels = tokens.shape
        qkv = self.qkv(tokens).reshape(batch, count, 3, self.heads, channels // self.heads)
        query, key, value = (part.squeeze(2).transpose(1, 2) for part in qkv.split(1, dim=2))
        weights = torch.softmax((query * self.scale) @ key.transpose(-2, -1), dim=-1)
        return self.project((weights @ value).transpose(1, 2).reshape(batch, count, channels))


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

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attention(self.attention_norm(tokens))
        return tokens + self.mlp(self.mlp_norm(tokens))


class SliceFusionTransformer(nn.Module):
    """Fuses the bottleneck features of all slices of a stack.

    Takes and gives ``[frames, slices, C, h, w]``. Inter-slice: each position attends over the slices of its own
    stack. Intra-slice: each slice attends over its positions. Frames never see each other, and as nothing encodes
    a position, any number of slices and any size of map will do.
    """

    def __init__(self, channels: int, heads: int, mlp_ratio: int = 2):
        super().__init__()
        self.inter_slice = TransformerBlock(channels, heads, mlp_ratio)
        self.intra_slice = TransformerBlock(channels, heads, mlp_ratio)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        frames, slices, channels, height, width = features.shape
        positions = height * width
        tokens = features.reshape(frames, slices, channels, positions).permute(0, 3, 1, 2)
        tokens = self.inter_slice(tokens.reshape(frames * positions, slices, channels))
        tokens = tokens.reshape(frames, positions, slices, channels).transpose(1, 2)
        tokens = self.intra_slice(tokens.reshape(frames * slices, positions, channels))
        return tokens.transpose(1, 2).reshape(frames, slices, channels, height, width)
