"""The all-slice fusion transformer of section 2.2: inter-slice, then intra-slice attention, no position encoding."""

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
        """Each position attends over the slices of its own of ``frames`` stacks; without them, over its own slice."""
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
        tokens = features.reshape(frames * slices, channels, height * width).transpose(1, 2)
        tokens = self.intra_slice(self.inter_slice(tokens, frames))
        return tokens.transpose(1, 2).reshape(frames, slices, channels, height, width)
