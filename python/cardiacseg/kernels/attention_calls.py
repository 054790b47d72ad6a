"""Slice attention on PyTorch tensors that lie on a GPU, started on PyTorch's current stream.

Results are new tensors unless one is given as ``output``. A tensor of another shape, type or device, or one that is not
contiguous, raises ``ValueError`` before anything is started.
"""

import torch

from cardiacseg import _cuda
from cardiacseg.kernels.tensors import require, stream, type_name


def inter_slice_attention(
    qkv: torch.Tensor, cu_slices: torch.Tensor, positions: int, heads: int, output: torch.Tensor | None = None
) -> torch.Tensor:
    """Each position over the slices of its own stack.

    ``qkv`` is ``[slices * positions, 3 * channels]`` in float16, bfloat16 or float32, ``cu_slices`` int32 ``[stacks +
    1]``, rising from 0 to the number of slices of all stacks. Gives ``[slices * positions, channels]``.
    """
    slices, channels = _attention_sizes(qkv, positions)
    require(cu_slices, "cu_slices", (len(cu_slices),), torch.int32)
    output = _attention_output(qkv, channels, output)
    _cuda.inter_slice_attention(
        type_name(qkv),
        qkv.data_ptr(),
        cu_slices.data_ptr(),
        len(cu_slices) - 1,
        slices,
        positions,
        channels,
        heads,
        output.data_ptr(),
        stream(),
    )
    return output


def intra_slice_attention(
    qkv: torch.Tensor, positions: int, heads: int, output: torch.Tensor | None = None
) -> torch.Tensor:
    """Each slice over its own positions; sizes as in :func:`inter_slice_attention`."""
    slices, channels = _attention_sizes(qkv, positions)
    output = _attention_output(qkv, channels, output)
    _cuda.intra_slice_attention(
        type_name(qkv), qkv.data_ptr(), slices, positions, channels, heads, output.data_ptr(), stream()
    )
    return output


def _attention_sizes(qkv: torch.Tensor, positions: int) -> tuple[int, int]:
    """Slices and channels."""
    if qkv.dim() != 2 or positions < 1 or qkv.shape[0] % positions or qkv.shape[1] % 3:
        raise ValueError(
            f"qkv: wanted [slices * positions, 3 * channels] with {positions} positions, got {list(qkv.shape)}"
        )
    require(qkv, "qkv", tuple(qkv.shape), qkv.dtype)
    return qkv.shape[0] // positions, qkv.shape[1] // 3


def _attention_output(qkv: torch.Tensor, channels: int, output: torch.Tensor | None) -> torch.Tensor:
    shape = (qkv.shape[0], channels)
    if output is None:
        return qkv.new_empty(shape)
    require(output, "output", shape, qkv.dtype)
    return output
