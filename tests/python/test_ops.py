"""Each operation on the host against NumPy, SciPy or PyTorch, at odd sizes and unequal spacing."""

import host_ops as ops
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, special

from cardiacseg import _core

lengths = st.integers(1, 23)
spacings = st.floats(0.3, 6.0)
seeds = st.integers(0, 2**32 - 1)
thorough = settings(max_examples=60, deadline=None)


def noise(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def shares(seed, *shape):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def triangle_weights(length, spacing, target):
    """Row i holds the weights of the input pixels in output pixel i, as the contract writes them."""
    outputs = max(1, int(np.floor(length * spacing / target + 0.5)))
    step = target / spacing
    centres = (np.arange(outputs) + 0.5) * step - 0.5
    distance = np.abs(np.arange(length) - centres[:, None]) / max(1.0, step)
    weights = np.maximum(0, 1 - distance)
    empty = weights.sum(axis=1) == 0
    weights[empty, -1] = 1
    return weights / weights.sum(axis=1, keepdims=True)


def resampled(image, spacing, target):
    """All of the resampled grid of ``[S, H, W]`` with values from 0 to 1."""
    size = [ops.resampled_length(*axis, target) for axis in zip(image.shape[1:], spacing, strict=True)]
    return ops.preprocess(image[None], spacing, target, [[0, 1]], [[0, 0]], size)[0]


@thorough
@given(st.integers(1, 3), lengths, lengths, spacings, spacings, spacings, seeds)
def test_resample_is_the_widened_triangle(planes, rows, columns, row_mm, column_mm, target, seed):
    image = shares(seed, planes, rows, columns)
    down, across = triangle_weights(rows, row_mm, target), triangle_weights(columns, column_mm, target)
    found = resampled(image, (row_mm, column_mm), target)
    assert found.shape == (planes, len(down), len(across))
    np.testing.assert_allclose(found, down @ image.astype(np.float64) @ across.T, atol=2e-5)


@pytest.mark.parametrize(("row_mm", "column_mm", "target"), [(1.4, 1.9, 1.5), (0.7, 1.1, 4.0), (3.0, 2.0, 1.0)])
def test_resample_is_pytorchs_antialiased_bilinear(row_mm, column_mm, target):
    image = shares(1, 2, 37, 53)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(image)[None],
        scale_factor=(row_mm / target, column_mm / target),
        mode="bilinear",
        antialias=True,
        recompute_scale_factor=False,
    )[0].numpy()
    found = resampled(image, (row_mm, column_mm), target)
    rows, columns = (min(pair) for pair in zip(found.shape[1:], expected.shape[1:], strict=True))
    assert min(rows, columns) > 5
    np.testing.assert_allclose(found[:, :rows, :columns], expected[:, :rows, :columns], atol=2e-5)


def test_resample_to_the_same_spacing_changes_nothing():
    image = shares(2, 3, 17, 19)
    np.testing.assert_array_equal(resampled(image, (1.3, 1.3), 1.3), image)


types = st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])


@thorough
@given(types, st.integers(1, 3), st.integers(1, 12), st.integers(1, 33), st.floats(0, 50), st.floats(50, 100), seeds)
def test_percentile_range_is_numpys(dtype, stacks, rows, columns, lower, upper, seed):
    values = np.abs(np.round(noise(seed, columns, rows, 1, stacks) * 40)).astype(dtype).T[..., ::-1]
    expected = np.percentile(values.astype(np.float64), [lower, upper], axis=(1, 2, 3)).T
    for stack, pair in zip(values, expected, strict=True):
        if pair[0] == pair[1]:
            pair[:] = stack.min(), stack.max()
    for threads in (1, 2):
        found = ops.percentile_range(values, lower, upper, threads=threads)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_percentile_range_of_a_nearly_constant_stack_is_its_extremes():
    values = np.zeros((1, 10, 10, 10), np.float32)
    values[0, 3, 1, 7] = 5
    np.testing.assert_array_equal(ops.percentile_range(values, 1, 99), [[0, 5]])


@thorough
@given(seeds, st.floats(-2, 0), st.floats(0.1, 2))
def test_intensities_are_mapped_and_clipped(seed, low, high):
    values = noise(seed, 1, 1, 7, 5)
    expected = np.clip((values - np.float32(low)) / np.float32(np.float32(high) - np.float32(low)), 0, 1)
    found = ops.preprocess(values, (1, 1), 1, [[low, high]], [[0, 0]], (7, 5))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@thorough
@given(types, lengths, lengths, st.integers(-30, 30), st.integers(-30, 30), lengths, lengths, seeds)
def test_a_crop_is_a_slice_of_a_padded_image(dtype, rows, columns, top, left, tall, wide, seed):
    image = np.random.default_rng(seed).integers(0, 100, (2, 3, columns, rows)).astype(dtype).swapaxes(2, 3)[::-1]
    padded = np.pad(image, ((0, 0), (0, 0), (60, 60), (60, 60)))
    origins = [[top, left], [left, top]]
    expected = [
        stack[:, 60 + y : 60 + y + tall, 60 + x : 60 + x + wide] for stack, (y, x) in zip(padded, origins, strict=True)
    ]
    found = ops.preprocess(image, (1.7, 1.7), 1.7, [[0, 128], [0, 256]], origins, (tall, wide), threads=2)
    np.testing.assert_array_equal(found, [expected[0] / np.float32(128), expected[1] / np.float32(256)])


def fused(logits, presence, size, spacing, target, origin, temperature=1.0):
    """Probabilities ``[S, 4, H, W]`` after the gate on the original grid; NaN outside of the crop."""
    probability = special.softmax(logits.astype(np.float64) / temperature, axis=1)
    at = [
        (np.arange(length) + 0.5) * (mm / target) - 0.5 - first
        for length, mm, first in zip(size, spacing, origin, strict=True)
    ]
    grid = np.meshgrid(*at, indexing="ij")
    outside = np.zeros(size, bool)
    for coordinate, length in zip(grid, logits.shape[2:], strict=True):
        outside |= (coordinate < -0.5) | (coordinate > length - 0.5)
    planes = [
        [ndimage.map_coordinates(plane, grid, order=1, mode="nearest") for plane in one_slice]
        for one_slice in probability
    ]
    result = np.array(planes)
    if presence is not None:
        result[:, 1:] *= (presence > 0.5)[..., None, None]
    result[:, :, outside] = np.nan
    return result


@thorough
@given(lengths, lengths, spacings, spacings, st.integers(-6, 9), st.integers(-6, 9), st.booleans(), seeds)
def test_mask_fusion_is_the_gated_argmax(rows, columns, row_mm, column_mm, top, left, gated, seed):
    logits = 2 * noise(seed, 3, 4, 8, 11)
    presence = np.random.default_rng(seed).random((3, 3), dtype=np.float32) if gated else None
    expected = fused(logits, presence, (rows, columns), (row_mm, column_mm), 1.5, (top, left))
    found = ops.mask_fusion(logits, presence, 0.5, (rows, columns), (row_mm, column_mm), 1.5, (top, left))
    outside = np.isnan(expected[:, 0])
    assert not found[outside].any()
    largest = np.nan_to_num(expected).max(axis=1)
    chosen = np.take_along_axis(np.nan_to_num(expected), found[:, None].astype(np.int64), axis=1)[:, 0]
    np.testing.assert_allclose(chosen[~outside], largest[~outside], atol=1e-5)
    clear = ~outside & (largest - np.sort(np.nan_to_num(expected), axis=1)[:, 2] > 1e-4)
    np.testing.assert_array_equal(found[clear], np.nan_to_num(expected).argmax(axis=1)[clear])


def test_mask_fusion_shuts_a_gate_at_exactly_the_threshold():
    logits = np.full((1, 4, 2, 2), -9, np.float32)
    logits[:, 3] = 9
    shut = ops.mask_fusion(logits, np.array([[1, 1, 0.5]], np.float32), 0.5, (2, 2), (1, 1), 1, (0, 0))
    open_ = ops.mask_fusion(logits, np.array([[0, 0, 0.75]], np.float32), 0.5, (2, 2), (1, 1), 1, (0, 0))
    assert not shut.any() and (open_ == 3).all()


@thorough
@given(lengths, lengths, spacings, st.integers(-6, 9), st.floats(0.2, 8.0), st.booleans(), seeds)
def test_probabilities_are_those_of_the_labels(rows, columns, row_mm, top, temperature, gated, seed):
    logits = 2 * noise(seed, 3, 4, 8, 11)
    presence = np.random.default_rng(seed).random((3, 3), dtype=np.float32) if gated else None
    grid = (rows, columns), (row_mm, 1.2), 1.5, (top, 1)
    expected = fused(logits, presence, *grid, temperature)
    expected /= expected.sum(axis=1, keepdims=True)
    expected[np.isnan(expected)] = np.broadcast_to(np.eye(4)[0, :, None, None], expected.shape)[np.isnan(expected)]
    labels, found = ops.mask_fusion(logits, presence, 0.5, *grid, temperature=temperature, probabilities=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    chosen = np.take_along_axis(found, labels[:, None].astype(np.int64), axis=1)[:, 0]
    np.testing.assert_allclose(chosen, found.max(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(labels, ops.mask_fusion(logits, presence, 0.5, *grid, temperature=temperature))


def test_probabilities_on_the_same_grid_are_pytorchs_softmax():
    logits = 3 * noise(4, 2, 4, 9, 7)
    _, found = ops.mask_fusion(logits, None, 0.5, (9, 7), (1, 1), 1, (0, 0), temperature=1.7, probabilities=True)
    np.testing.assert_allclose(found, torch.softmax(torch.from_numpy(logits) / 1.7, dim=1).numpy(), atol=1e-6)


SIDES, CORNERS = ndimage.generate_binary_structure(2, 1), np.ones((3, 3))


def cleaned(plane):
    """One slice without fragments and holes, as the contract writes it."""
    plane = plane.copy()
    for label in (1, 2, 3):
        regions, count = ndimage.label(plane == label, structure=CORNERS)
        if count > 1:
            largest = np.bincount(regions.ravel())[1:].argmax() + 1
            plane[(regions > 0) & (regions != largest)] = 0
    regions, count = ndimage.label(plane == 0, structure=SIDES)
    rim = np.ones(plane.shape, bool)
    rim[1:-1, 1:-1] = False
    for hole in set(range(1, count + 1)) - set(regions[rim]):
        inside = regions == hole
        beside = [plane[np.roll(inside, step, axis) & ~inside] for axis in (0, 1) for step in (-1, 1)]
        plane[inside] = np.bincount(np.concatenate(beside), minlength=4).argmax()
    return plane


@thorough
@given(st.integers(1, 30), st.integers(1, 30), st.floats(0.0, 2.0), seeds)
def test_keep_largest_component_is_the_contract_on_random_blobs(rows, columns, width, seed):
    fields = ndimage.gaussian_filter(noise(seed, 2, 4, rows, columns), (0, 0, width, width))
    labels = fields.argmax(axis=1).astype(np.uint8)
    expected = np.stack([cleaned(plane) for plane in labels])
    found, changed = ops.keep_largest_component(labels)
    np.testing.assert_array_equal(found, expected)
    assert changed == (expected != labels).sum()


def test_keep_largest_component_leaves_a_heart_and_repairs_a_damaged_one():
    rows, columns = np.mgrid[:80, :90]
    radius = np.hypot(rows - 40, columns - 50)
    heart = np.zeros((1, 80, 90), np.uint8)
    heart[0, np.hypot(rows - 40, columns - 28) < 14] = 1
    heart[0, radius < 20] = 2
    heart[0, radius < 12] = 3
    same, changed = ops.keep_largest_component(heart)
    assert changed == 0 and (same == heart).all()
    damaged = heart.copy()
    damaged[0, 38:41, 48:52] = 0
    damaged[0, 40, 34] = 0
    damaged[0, 39, 55] = 1
    damaged[0, 2:5, 3:9] = 3
    repaired, changed = ops.keep_largest_component(damaged)
    np.testing.assert_array_equal(repaired, heart)
    assert changed == 12 + 1 + 1 + 18


def test_keep_largest_component_does_not_change_its_input():
    labels = np.zeros((1, 4, 5), np.uint8)
    labels[0, 1, ::2] = 1
    kept = labels.copy()
    assert ops.keep_largest_component(labels)[1] == 2
    np.testing.assert_array_equal(labels, kept)


def test_keep_largest_component_does_not_depend_on_threads():
    labels = noise(4, 7, 4, 25, 30).argmax(axis=1).astype(np.uint8)
    expected, changed = ops.keep_largest_component(labels)
    for threads in (0, 2, 3):
        found = ops.keep_largest_component(labels, threads=threads)
        assert found[1] == changed
        np.testing.assert_array_equal(found[0], expected)


@thorough
@given(st.integers(1, 30), st.integers(1, 30), st.floats(0.0, 2.0), st.sampled_from([SIDES, CORNERS]), seeds)
def test_region_sizes_are_scipys(rows, columns, width, structure, seed):
    mask = ndimage.gaussian_filter(noise(seed, rows, columns), width) > 0
    regions, _ = ndimage.label(mask, structure=structure)
    _, first, sizes = np.unique(regions[regions > 0], return_index=True, return_counts=True)
    assert _core.region_sizes(mask, 8 if structure is CORNERS else 4) == sizes[first.argsort()].tolist()


def test_region_sizes_refuse_other_neighbours():
    with pytest.raises(ValueError, match="expected 4 or 8, got 6"):
        _core.region_sizes(np.zeros((2, 3)), 6)
    assert _core.region_sizes(np.zeros((2, 3)), 4) == []


def heart_origin(heart, window, threshold, ratio, crop):
    """Origin of the crop of one stack, by the contract; all sums are whole numbers below 2**53."""
    mass = np.floor(np.where(heart >= threshold, heart, 0).astype(np.float64) * 2**24).sum(axis=0)
    rows, columns = min(window, mass.shape[0]), min(window, mass.shape[1])
    boxes = np.lib.stride_tricks.sliding_window_view(mass, (rows, columns)).sum(axis=(2, 3))
    top, left = np.unravel_index(boxes.argmax(), boxes.shape)
    box = mass[top : top + rows, left : left + columns]
    center = (np.array(mass.shape) - 1) / 2
    if box.sum() > 0:
        center = np.array([top, left]) + ndimage.center_of_mass(box)
    return np.floor((center + 0.5) * ratio - np.array(crop) / 2 + 0.5)


@thorough
@given(st.integers(1, 3), lengths, lengths, st.integers(1, 30), st.floats(0.3, 1.2), st.floats(0.5, 4.0), seeds)
def test_heart_localization_is_the_contract(slices, rows, columns, window, threshold, ratio, seed):
    heart = shares(seed, 2, slices, rows + 3, columns + 2)
    crop = (2 * rows, 3 * columns)
    found = ops.heart_localization(heart, (rows, columns), window, threshold, ratio, crop)
    assert found.dtype == np.int32
    expected = [heart_origin(stack[:, :rows, :columns], window, np.float32(threshold), ratio, crop) for stack in heart]
    np.testing.assert_array_equal(found, expected)


@thorough
@given(st.integers(1, 3), st.integers(1, 4), lengths, lengths, st.booleans(), seeds)
def test_stage_counts_are_those_of_argmax(stacks, slices, rows, columns, gated, seed):
    seg, ref = noise(seed, 2, stacks * slices, 4, rows, columns)
    presence = shares(seed, stacks * slices, 3) if gated else None
    closed = presence <= 0.5 if gated else np.zeros((stacks * slices, 3), bool)
    first = seg.argmax(axis=1)
    shut = np.concatenate([np.zeros((len(closed), 1), bool), closed], axis=1)[..., None, None]
    second = np.where(shut, -np.inf, ref).argmax(axis=1)
    for threads in (1, 2):
        counts = ops.stage_counts(seg, ref, presence, 0.5, stacks, threads)
        for stack, found in enumerate(counts):
            part = slice(stack * slices, (stack + 1) * slices)
            one, other = first[part], second[part]
            assert found[0].tolist() == np.bincount(one.ravel(), minlength=4).tolist()
            assert found[1].tolist() == np.bincount(other.ravel(), minlength=4).tolist()
            assert found[2].tolist() == np.bincount(one[one == other], minlength=4).tolist()


def test_slice_attention_refuses_no_positions():
    qkv = np.zeros((4, 96), np.float32)
    with pytest.raises(ValueError, match="positions of qkv: expected extents of 1 or more"):
        ops.slice_attention(qkv, "float32", 0, 1)
