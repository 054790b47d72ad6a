"""Attention over slices or positions in PyTorch: the reference in float64, and implementations for comparison.

``qkv`` is ``[T, 3 * channels]`` in the kernels' layout (see :class:`~benchmarks.workloads.AttentionWorkload`); results
are ``[T, channels]`` unless it says otherwise.
"""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.workloads import AttentionWorkload

Heads = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def reference(
    qkv: torch.Tensor,
    cu_slices: Sequence[int],
    positions: int,
    heads: int,
    across: str,
    dtype: torch.dtype = torch.float64,
) -> torch.Tensor:
    """In ``dtype``, stack by stack; ``cu_slices`` holds each stack's first slice and, last, the number of slices."""
    parts = []
    for first, last in itertools.pairwise(cu_slices):
        rows = qkv[first * positions : last * positions].to(dtype)
        workload = AttentionWorkload(across, 1, last - first, positions, qkv.shape[1] // 3, heads, "float32")
        parts.append(from_heads(plain(*to_heads(rows, workload)), workload))
    return torch.cat(parts)


def to_heads(qkv: torch.Tensor, workload: AttentionWorkload) -> Heads:
    """q, k and v as ``[batch, heads, keys, head size]``: views if strides allow it, else copies.

    The batch is each position of each stack across slices, each slice across positions.
    """
    grid = qkv.reshape(
        workload.stacks, workload.slices, workload.positions, 3, workload.heads, workload.channels // workload.heads
    )
    order = (3, 0, 2, 4, 1, 5) if workload.across == "slices" else (3, 0, 1, 4, 2, 5)
    return tuple(part.flatten(0, 1) for part in grid.permute(order))


def from_heads(output: torch.Tensor, workload: AttentionWorkload) -> torch.Tensor:
    """``[batch, heads, keys, head size]`` back to rows ``[T, channels]``."""
    outer = workload.positions if workload.across == "slices" else workload.slices
    grid = output.unflatten(0, (workload.stacks, outer))
    order = (0, 3, 1, 2, 4) if workload.across == "slices" else (0, 1, 3, 2, 4)
    return grid.permute(order).reshape(workload.tokens, workload.channels)


def plain(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Two matrix products with the softmax between them, each a separate kernel, in the tensors' own type."""
    scale = query.shape[-1] ** -0.5
    return torch.softmax((query * scale) @ key.transpose(-2, -1), dim=-1) @ value


def plain_rows(qkv: torch.Tensor, workload: AttentionWorkload) -> torch.Tensor:
    """The attention of this package's models; torch.compile gets the same."""
    return from_heads(plain(*to_heads(qkv, workload)), workload)


def sdpa_rows(qkv: torch.Tensor, workload: AttentionWorkload) -> torch.Tensor:
    """PyTorch's fused attention on permuted views, including the copies of inputs and outputs that it needs."""
    return from_heads(scaled_dot_product_attention(*to_heads(qkv, workload)), workload)


def with_backend(name: str, call: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
    """``call`` with one of SDPA's backends: "flash", "cudnn", "efficient" or "math"."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    backend = {
        "flash": SDPBackend.FLASH_ATTENTION,
        "cudnn": SDPBackend.CUDNN_ATTENTION,
        "efficient": SDPBackend.EFFICIENT_ATTENTION,
        "math": SDPBackend.MATH,
    }[name]

    def restricted() -> torch.Tensor:
        with sdpa_kernel(backend):
            return call()

    return restricted


def baselines(qkv: torch.Tensor, workload: AttentionWorkload) -> dict[str, Callable[[], torch.Tensor]]:
    """Calls that give rows ``[T, channels]``, and "..., contiguous" ones that are spared all copies (see below)."""
    ready = tuple(part.contiguous() for part in to_heads(qkv, workload))
    calls = {"eager, two products": lambda: plain_rows(qkv, workload)}
    for backend in ("flash", "cudnn", "efficient", "math"):
        calls[f"SDPA {backend}, views"] = with_backend(backend, lambda: sdpa_rows(qkv, workload))
    for backend in ("flash", "cudnn", "efficient", "math"):
        calls[f"SDPA {backend}, contiguous"] = with_backend(backend, lambda: scaled_dot_product_attention(*ready))
    return calls


def as_rows(output: torch.Tensor, workload: AttentionWorkload) -> torch.Tensor:
    """A baseline's result in the kernels' layout, to be compared."""
    return output if output.dim() == 2 else from_heads(output, workload)


def random_qkv(workload: AttentionWorkload, device: str, seed: int = 0) -> torch.Tensor:
    """Normal, half as wide again in q and k, so that the softmax is neither flat nor a single 1."""
    generator = torch.Generator(device).manual_seed(seed)
    values = torch.randn(workload.tokens, 3 * workload.channels, generator=generator, device=device)
    values[:, : 2 * workload.channels] *= 1.5
    return values.to(getattr(torch, workload.dtype))
