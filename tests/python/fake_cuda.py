"""A fake benchmarks._cuda for machines without a GPU: the same functions over addresses in host memory, computed by
PyTorch and by the host operations. It runs the way from a tensor to a kernel's arguments and back."""

import ctypes
import math

import host_ops
import numpy as np
import torch

from benchmarks.attention import reference


def at(address, name, *shape):
    """The tensor that lies at an address."""
    if address == 0:
        raise ValueError("expected an address, got 0")
    dtype = getattr(torch, name)
    size = math.prod(shape) * torch.empty(0, dtype=dtype).element_size()
    memory = (ctypes.c_byte * size).from_address(address)
    return torch.frombuffer(memory, dtype=dtype).reshape(shape)


def inter_slice_attention(type, qkv, cu_slices, stacks, slices, positions, channels, heads, output, stream):
    rows = at(qkv, type, slices * positions, 3 * channels)
    first = at(cu_slices, "int32", stacks + 1).tolist()
    at(output, type, slices * positions, channels).copy_(reference(rows, first, positions, heads, "slices"))


def intra_slice_attention(type, qkv, slices, positions, channels, heads, output, stream):
    rows = at(qkv, type, slices * positions, 3 * channels)
    at(output, type, slices * positions, channels).copy_(reference(rows, [0, slices], positions, heads, "positions"))


def mask_fusion(
    type, logits, presence, origins, stacks_and_slices, crop, size, spacing, target, threshold, temperature, labels,
    probabilities, counts, stream
):  # fmt: skip
    stacks, slices = stacks_and_slices
    maps = at(logits, type, stacks, slices, 4, *crop).float().numpy()
    shown = at(presence, "float32", stacks, slices, 3).numpy()
    places, result = at(origins, "int32", stacks, 2).tolist(), at(labels, "uint8", stacks, slices, *size)
    for stack in range(stacks):
        found = host_ops.mask_fusion(
            maps[stack], shown[stack], threshold, size, spacing, target, tuple(places[stack]), temperature
        )
        result[stack] = torch.from_numpy(found)


def percentile_range_workspace(type, stacks, voxels):
    return 256 * stacks


def percentile_range(type, pixels, shape, lower, upper, workspace, ranges, stream):
    found = host_ops.percentile_range(at(pixels, type, *shape).numpy(), lower, upper)
    at(ranges, "float32", shape[0], 2).copy_(torch.from_numpy(found))


def resample_taps(length, spacing, target):
    """Of nothing but the sizes: the fake module resamples by the spacing that it finds in the weights."""
    outputs = host_ops.resampled_length(length, spacing, target)
    return outputs, [0], [1], [spacing, target]


def preprocess(type, pixels, shape, rows, columns, crop, ranges, origins, output_type, output, stream):
    (down, target), (across, _) = (at(taps[4], "float32", 2).double().tolist() for taps in (rows, columns))
    spacing = tuple(float(np.float32(mm).astype(str)) for mm in (down, across))
    window = host_ops.preprocess(
        at(pixels, type, *shape).numpy(),
        spacing,
        target,
        at(ranges, "float32", shape[0], 2).numpy(),
        at(origins, "int32", shape[0], 2).numpy(),
        crop,
    )
    at(output, output_type, *shape[:2], *crop).copy_(torch.from_numpy(window))
