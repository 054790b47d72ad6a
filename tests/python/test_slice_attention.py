"""The host's slice attention against PyTorch: the models' own modules, and PyTorch's error at each precision."""

import host_ops
import numpy as np
import pytest
import torch

from cardiacseg.models.sk_unet import Attention

TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
HEADS = [(192, 6), (128, 4), (32, 2)]  # Seg and Ref of the default model, the tests' tiny one
FLOOR = {"float32": 1e-6, "float16": 5e-4, "bfloat16": 4e-3}  # one rounding of results of about 1


def attend(qkv, positions, heads, cu_slices=None, threads=1):
    """The operation on a tensor of any of the three types."""
    name = str(qkv.dtype).removeprefix("torch.")
    values = qkv.numpy() if name == "float32" else qkv.view(torch.uint16).numpy()
    cu_slices = None if cu_slices is None else np.array(cu_slices, np.int32)
    found = host_ops.slice_attention(values, name, positions, heads, cu_slices, threads)
    return torch.from_numpy(found) if name == "float32" else torch.from_numpy(found).view(qkv.dtype)


def tokens_of(qkv, positions, heads, cu_slices=None):
    """Query, key and value ``[groups, heads, tokens, size]`` of stacks of equal size."""
    slices = len(qkv) // positions
    parts = qkv.reshape(slices, positions, 3, heads, -1)
    if cu_slices is not None:
        parts = (
            parts.reshape(len(cu_slices) - 1, -1, positions, 3, heads, parts.shape[-1]).transpose(1, 2).flatten(0, 1)
        )
    return parts.permute(2, 0, 3, 1, 4)


def rows_of(output, positions, cu_slices=None):
    """The way back, to ``[slices * positions, channels]``."""
    groups, heads, tokens, size = output.shape
    rows = output.transpose(1, 2).reshape(groups, tokens, heads * size)
    if cu_slices is not None:
        rows = rows.reshape(len(cu_slices) - 1, positions, tokens, -1).transpose(1, 2)
    return rows.reshape(-1, heads * size)


def pytorch(qkv, positions, heads, cu_slices, fused):
    query, key, value = tokens_of(qkv, positions, heads, cu_slices)
    if fused:
        return rows_of(torch.nn.functional.scaled_dot_product_attention(query, key, value), positions, cu_slices)
    weights = torch.softmax((query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1), dim=-1)
    return rows_of(weights @ value, positions, cu_slices)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize(("channels", "heads"), HEADS)
@pytest.mark.parametrize("cu_slices", [None, [0, 10, 20, 30]], ids=["intra", "inter"])
def test_at_most_twice_pytorchs_own_error(name, channels, heads, cu_slices):
    torch.manual_seed(0)
    positions = 64
    qkv = torch.randn(30 * positions, 3 * channels).to(TYPES[name])
    expected = pytorch(qkv.double(), positions, heads, cu_slices, fused=False)
    error = (attend(qkv, positions, heads, cu_slices, threads=2).double() - expected).abs().max()
    theirs = [(pytorch(qkv, positions, heads, cu_slices, fused) - expected).abs().max() for fused in (False, True)]
    assert error <= max(2 * min(theirs), FLOOR[name])


@pytest.mark.parametrize(("channels", "heads"), HEADS)
def test_it_is_the_models_attention(channels, heads):
    """Between the projections of the models' modules, on their ``[frames, slices, C, h, w]`` feature maps."""
    torch.manual_seed(1)
    module = Attention(channels, heads).eval()
    frames, slices, positions = 2, 5, 12
    rows = torch.randn(frames * slices * positions, channels)
    cu_slices = [0, slices, 2 * slices]
    with torch.inference_mode():
        qkv = module.qkv(rows)
        inter = module.project(attend(qkv, positions, heads, cu_slices))
        intra = module.project(attend(qkv, positions, heads))
        stacks = rows.reshape(frames, slices, positions, channels).transpose(1, 2).reshape(-1, slices, channels)
        across = module(stacks).reshape(frames, positions, slices, channels).transpose(1, 2).reshape(-1, channels)
        within = module(rows.reshape(-1, positions, channels)).reshape(-1, channels)
    torch.testing.assert_close(inter, across, atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(intra, within, atol=2e-6, rtol=1e-5)
