"""The kernels on PyTorch tensors that lie on a GPU, started on PyTorch's current stream.

Results are new tensors unless one is given as ``output``. A tensor of another shape, type or device, or one that is not
contiguous, raises ``ValueError`` before anything is started.
"""

from dataclasses import dataclass

import torch

from benchmarks import _cuda

DEVICE = "cuda"


def require(tensor: torch.Tensor, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Raise ``ValueError`` unless ``tensor`` is a contiguous one of this shape and type on a GPU."""
    if tuple(tensor.shape) != shape or tensor.dtype != dtype:
        raise ValueError(f"{name}: expected {dtype} {list(shape)}, got {tensor.dtype} {list(tensor.shape)}")
    if tensor.device.type != DEVICE or not tensor.is_contiguous():
        raise ValueError(
            f"{name}: expected a contiguous tensor on a GPU, got strides {tensor.stride()} on {tensor.device}"
        )


def stream() -> int:
    return torch.cuda.current_stream().cuda_stream


def address(tensor: torch.Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def type_name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


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
            f"qkv: expected [slices * positions, 3 * channels] with {positions} positions, got {list(qkv.shape)}"
        )
    require(qkv, "qkv", tuple(qkv.shape), qkv.dtype)
    return qkv.shape[0] // positions, qkv.shape[1] // 3


def _attention_output(qkv: torch.Tensor, channels: int, output: torch.Tensor | None) -> torch.Tensor:
    shape = (qkv.shape[0], channels)
    if output is None:
        return qkv.new_empty(shape)
    require(output, "output", shape, qkv.dtype)
    return output


def mask_fusion(
    logits: torch.Tensor,
    presence: torch.Tensor | None,
    origins: torch.Tensor,
    grid: tuple[int, int],
    spacing: tuple[float, float],
    target: float,
    threshold: float = 0.5,
    temperature: float = 1.0,
    output: torch.Tensor | None = None,
    probabilities: torch.Tensor | None = None,
    counts: torch.Tensor | None = None,
) -> torch.Tensor:
    """Labels uint8 ``[slices, rows, columns]`` on the original ``grid`` of (rows, columns).

    ``logits`` is float16 or float32 ``[slices, 4, crop rows, crop columns]`` of the slices of all stacks, ``presence``
    float32 ``[slices, 3]`` or ``None`` (no gate), ``origins`` int32 ``[stacks, 2]``: row and column of each stack's
    crop on the network's grid, whose pixels are ``target`` mm wide. ``probabilities``, float32 ``[slices, 4, rows,
    columns]``, is filled and ``counts``, int32 ``[slices, 4]``, added to if they are given.
    """
    slices, stacks = len(logits), len(origins)
    require(logits, "logits", (slices, 4, *logits.shape[2:]), logits.dtype)
    require(origins, "origins", (stacks, 2), torch.int32)
    output = logits.new_empty((slices, *grid), dtype=torch.uint8) if output is None else output
    require(output, "output", (slices, *grid), torch.uint8)
    if logits.dim() != 4 or stacks == 0 or slices % stacks:
        raise ValueError(f"logits: expected [slices, 4, rows, columns] of {stacks} stacks, got {list(logits.shape)}")
    expected = (("presence", presence, (slices, 3), torch.float32),
              ("probabilities", probabilities, (slices, 4, *grid), torch.float32),
              ("counts", counts, (slices, 4), torch.int32))  # fmt: skip
    for name, tensor, shape, dtype in expected:
        if tensor is not None:
            require(tensor, name, shape, dtype)
    _cuda.mask_fusion(
        type=type_name(logits),
        logits=logits.data_ptr(),
        presence=address(presence),
        origins=origins.data_ptr(),
        stacks_and_slices=(stacks, slices // stacks),
        crop=tuple(logits.shape[2:]),
        size=grid,
        spacing=spacing,
        target=target,
        threshold=threshold,
        temperature=temperature,
        labels=output.data_ptr(),
        probabilities=address(probabilities),
        counts=address(counts),
        stream=stream(),
    )
    return output


def percentile_workspace(pixels: torch.Tensor) -> torch.Tensor:
    """Memory, all 0, for :func:`percentile_range` of pixels like these; each call leaves it all 0."""
    size = _cuda.percentile_range_workspace(type_name(pixels), len(pixels), pixels[0].numel())
    return torch.zeros(max(1, size), dtype=torch.uint8, device=pixels.device)


def percentile_range(
    pixels: torch.Tensor,
    lower: float,
    upper: float,
    workspace: torch.Tensor | None = None,
    output: torch.Tensor | None = None,
) -> torch.Tensor:
    """Two percentiles, float32 ``[stacks, 2]``, of each stack of ``[stacks, slices, rows, columns]``."""
    if pixels.dim() != 4:
        raise ValueError(f"pixels: expected [stacks, slices, rows, columns], got {list(pixels.shape)}")
    require(pixels, "pixels", tuple(pixels.shape), pixels.dtype)
    workspace = percentile_workspace(pixels) if workspace is None else workspace
    output = pixels.new_empty((len(pixels), 2), dtype=torch.float32) if output is None else output
    require(output, "output", (len(pixels), 2), torch.float32)
    size = _cuda.percentile_range_workspace(type_name(pixels), len(pixels), pixels[0].numel())
    if workspace.numel() < size:
        raise ValueError(f"workspace: expected {size} bytes, got {workspace.numel()}")
    require(workspace, "workspace", tuple(workspace.shape), torch.uint8)
    _cuda.percentile_range(
        type_name(pixels),
        pixels.data_ptr(),
        tuple(pixels.shape),
        lower,
        upper,
        workspace.data_ptr(),
        output.data_ptr(),
        stream(),
    )
    return output


@dataclass(frozen=True)
class AxisTaps:
    """How an axis is resampled, on a GPU: pixels before and after, first input, count and weights of each output."""

    inputs: int
    outputs: int
    first: torch.Tensor
    count: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of(cls, length: int, spacing: float, target: float, device: str = "cuda") -> "AxisTaps":
        outputs, first, count, weights = _cuda.resample_taps(length, spacing, target)
        whole = [torch.tensor(part, dtype=torch.int32, device=device) for part in (first, count)]
        return cls(length, outputs, *whole, torch.tensor(weights, dtype=torch.float32, device=device))

    def addresses(self) -> tuple[int, int, int, int, int]:
        return (self.inputs, self.outputs, *(part.data_ptr() for part in (self.first, self.count, self.weights)))


def preprocess(
    pixels: torch.Tensor,
    rows: AxisTaps,
    columns: AxisTaps,
    ranges: torch.Tensor,
    origins: torch.Tensor,
    output: torch.Tensor,
) -> torch.Tensor:
    """Fill ``output``, float16 or float32 ``[stacks, slices, crop rows, crop columns]``, with the network's input.

    ``pixels`` is ``[stacks, slices, rows, columns]``; ``ranges``, float32 ``[stacks, 2]``, become 0 and 1; ``origins``,
    int32 ``[stacks, 2]``, are row and column of each stack's crop on the resampled grid.
    """
    if pixels.dim() != 4 or tuple(pixels.shape[2:]) != (rows.inputs, columns.inputs):
        expected = f"[stacks, slices, {rows.inputs}, {columns.inputs}]"
        raise ValueError(f"pixels: expected {expected} as the taps are, got {list(pixels.shape)}")
    require(pixels, "pixels", tuple(pixels.shape), pixels.dtype)
    require(ranges, "ranges", (len(pixels), 2), torch.float32)
    require(origins, "origins", (len(pixels), 2), torch.int32)
    require(output, "output", (*pixels.shape[:2], *output.shape[2:]), output.dtype)
    _cuda.preprocess(
        type_name(pixels),
        pixels.data_ptr(),
        tuple(pixels.shape),
        rows.addresses(),
        columns.addresses(),
        tuple(output.shape[2:]),
        ranges.data_ptr(),
        origins.data_ptr(),
        type_name(output),
        output.data_ptr(),
        stream(),
    )
    return output
