"""All of the kernels' benchmark that needs no GPU: amounts of work, references, the judging of results, the tables."""

import math
from dataclasses import replace
from pathlib import Path

import host_ops
import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from benchmarks import attention, images, table
from benchmarks.measure import Way, attention_ways, measure, measure_way
from benchmarks.timing import Ceilings, Times
from benchmarks.workloads import AttentionWorkload, ImageWorkload, attention_workloads, image_workloads
from cardiacseg.models.sk_unet import Attention

SMALL = AttentionWorkload("slices", 2, 3, 5, 24, 3, "float32")
GRID = ImageWorkload(
    "fusion", 2, "float32", slices=3, rows=30, columns=34, row_spacing=1.4, column_spacing=1.1, crop=16
)
CEILINGS = Ceilings(1e12, {"float16": 100e12, "float32": 10e12})


class Watch:
    """A stopwatch that counts what it is asked to time."""

    def __init__(self):
        self.timed = 0

    def times(self, call):
        call()
        self.timed += 1
        return Times(10.0, 8.0, None)


@pytest.mark.parametrize(
    ("across", "stacks", "positions", "channels", "dtype", "megabytes", "mflop"),
    [
        # notes/tensorrt.md 3.1 has these rows: HW, S = 100, 10; 144, 10; 25 frames of it
        ("slices", 1, 100, 256, "float16", 2.05, 10.2),
        ("positions", 1, 100, 256, "float16", 2.05, 102),
        ("slices", 1, 144, 256, "float16", 2.95, 14.7),
        ("positions", 1, 144, 256, "float16", 2.95, 212),
        ("slices", 25, 144, 256, "float16", 73.7, 369),
        ("positions", 25, 144, 256, "float16", 73.7, 5308),
        ("slices", 1, 144, 192, "float32", 4.42, 11.06),
    ],
)
def test_work_of_attention(across, stacks, positions, channels, dtype, megabytes, mflop):
    workload = AttentionWorkload(across, stacks, 10, positions, channels, channels // 32, dtype)
    assert workload.bytes / 1e6 == pytest.approx(megabytes, rel=5e-3)
    assert workload.flops / 1e6 == pytest.approx(mflop, rel=5e-3)


def test_work_of_attention_to_the_last_byte():
    # 30 tokens: q, k, v and output of 24 floats each, and 3 first slices
    assert SMALL.bytes == 30 * 4 * 24 * 4 + 3 * 4
    assert SMALL.flops == 30 * 3 * (2 * 24 + 2 * 24)
    assert replace(SMALL, across="positions").flops == 30 * 5 * (2 * 24 + 2 * 24)


def test_work_of_images_to_the_last_byte():
    workload = ImageWorkload(
        "fusion", 1, "float16", slices=2, rows=10, columns=20, row_spacing=3, column_spacing=1.5, crop=8
    )
    # the network's grid is 20 x 20 pixels of 1.5 mm; the crop's 12 mm are 4 rows and 8 columns of the scanner's
    assert (workload.network_grid, workload.origin, workload.covered) == ((20, 20), (6, 6), 2 * 4 * 8)
    assert workload.bytes == 2 * 4 * 64 * 2 + 2 * 3 * 4 + 2 * 200
    assert workload.flops == 22 * 2 * 64 + 31 * 64
    assert replace(workload, kernel="percentiles").bytes == 2 * 200 * 2 + 8
    assert replace(workload, kernel="preprocessing").bytes == 64 * 2 + 2 * 64 * 2 + 8
    assert replace(workload, kernel="preprocessing").flops == 2 * 64 * (2 * 2 * 2 + 4)


def test_the_page_on_kernels_has_these_amounts():
    page = (Path(__file__).parents[2] / "docs/kernels.md").read_text().replace(",", "")
    cases = [AttentionWorkload(across, stacks, 10, 144, 192, 6, "float16")
             for across in ("slices", "positions") for stacks in (1, 25)]  # fmt: skip
    cases += [workload for kernel in ("fusion", "percentiles", "preprocessing") for workload in image_workloads(kernel)
              if workload.dtype == "float16" or kernel == "percentiles"]  # fmt: skip
    assert len(cases) == 10
    for workload in cases:
        assert f" {workload.bytes / 1e6:.3g} MB" in page, workload.name
        assert not workload.flops or f" {float(f'{workload.flops / 1e6:.3g}'):g} MFLOP" in page, workload.name


def test_a_crop_larger_than_the_grid_covers_all_of_it():
    workload = ImageWorkload("preprocessing", 1, "float32", slices=1, rows=10, columns=12, target=1.4, crop=64)
    assert workload.covered == 120


def test_cases_are_those_that_are_shipped_and_one_larger():
    cases = attention_workloads("slices")
    assert len({workload.name for workload in cases}) == len(cases) == 36
    assert {(workload.channels, workload.heads) for workload in cases} == {(192, 6), (128, 4), (256, 8)}
    assert all(workload.channels // workload.heads == 32 and workload.slices == 10 for workload in cases)
    assert {workload.stacks for workload in image_workloads("fusion")} == {1, 25}


@pytest.mark.parametrize(("across", "heads", "text"), [("frames", 3, "across: expected"), ("slices", 5, "a multiple")])
def test_a_case_that_makes_no_sense_is_refused(across, heads, text):
    with pytest.raises(ValueError, match=text):
        AttentionWorkload(across, 1, 3, 5, 24, heads, "float32")


@pytest.mark.parametrize("across", ["slices", "positions"])
def test_reference_is_sdpa_on_each_stack_and_slice_or_position(across):
    qkv, first, positions, heads = torch.randn(6 * 5, 3 * 24), [0, 1, 4, 6], 5, 3
    found = attention.reference(qkv, first, positions, heads, across)
    grid = qkv.double().reshape(6, positions, 3, heads, 8)
    for head in range(heads):
        query, key, value = (grid[:, :, part, head] for part in range(3))
        for stack in range(3):
            part = slice(first[stack], first[stack + 1])
            if across == "slices":
                expected = [
                    scaled_dot_product_attention(query[part, p], key[part, p], value[part, p]) for p in range(5)
                ]
                expected = torch.stack(expected, dim=1)
            else:
                expected = scaled_dot_product_attention(query[part], key[part], value[part])
            rows = found.reshape(6, positions, heads, 8)[part, :, head]
            torch.testing.assert_close(rows, expected, atol=1e-12, rtol=0)


def test_the_ways_are_the_models_own_attention():
    torch.manual_seed(0)
    block = Attention(24, 3).double().eval()
    with torch.no_grad():
        features = torch.randn(2, 3, 5, 24, dtype=torch.float64)  # stacks, slices, positions
        tokens = features.transpose(1, 2).reshape(10, 3, 24)
        expected = block(tokens).reshape(2, 5, 3, 24).transpose(1, 2).reshape(30, 24)
        found = block.project(attention.sdpa_rows(block.qkv(features.reshape(30, 24)), SMALL))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("across", ["slices", "positions"])
def test_every_baseline_that_runs_here_gives_the_reference(across):
    workload = replace(SMALL, across=across)
    qkv = attention.random_qkv(workload, "cpu")
    expected = attention.reference(qkv, [0, 3, 6], 5, 3, across)
    ran = []
    for name, call in attention.baselines(qkv, workload).items():
        try:
            found = attention.as_rows(call(), workload)
        except RuntimeError:
            continue
        ran.append(name)
        torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=1e-5)
    assert {"eager, two products", "SDPA math, views", "SDPA math, contiguous"} <= set(ran)


def test_heads_of_one_stack_are_views_in_place():
    qkv = torch.randn(15, 72)
    for across in ("slices", "positions"):
        workload = replace(SMALL, stacks=1, across=across)
        assert all(
            part.untyped_storage().data_ptr() == qkv.untyped_storage().data_ptr()
            for part in attention.to_heads(qkv, workload)
        )


def test_a_right_kernel_is_timed_and_a_wrong_one_is_not():
    qkv, watch = attention.random_qkv(SMALL, "cpu"), Watch()
    right = attention_ways(SMALL, qkv, lambda: attention.plain_rows(qkv, SMALL), compiled=False)
    wrong = attention_ways(SMALL, qkv, lambda: attention.plain_rows(qkv, SMALL) + 1e-4, compiled=False)
    unwritten = attention_ways(SMALL, qkv, lambda: torch.full((30, 24), math.nan), compiled=False)
    assert measure_way(right[0], watch).times is not None and watch.timed == 1
    for ways in (wrong, unwritten):
        row = measure_way(ways[0], watch)
        assert row.times is None and row.note.startswith("wrong result") and watch.timed == 1
    measured = measure(SMALL, wrong, watch, None)
    assert not measured.passed and "wrong result" in table.workload_table(measured, CEILINGS)


def test_a_way_that_this_machine_lacks_is_a_row_with_the_reason():
    def call():
        raise RuntimeError("No available kernel. Aborting execution.\nmore")

    row = measure_way(Way("SDPA flash", call, lambda _: 0.0, 1.0), Watch())
    assert row.note == "not available: No available kernel. Aborting execution." and row.times is None


def measured_case(workload, ours, others=()):
    rows = [table.Row("cardiacseg", 1e-4, ours), *(table.Row(name, 1e-4, times) for name, times in others)]
    return table.Measured(workload, rows, Times(8.0, 4.0, 3.0))


def test_a_line_of_the_table():
    workload = AttentionWorkload("slices", 1, 10, 144, 256, 8, "float16")
    text = table.workload_table(measured_case(workload, Times(10.0, 5.0, 2.5)), CEILINGS)
    cells = [cell.strip() for cell in text.splitlines()[4].strip("|").split("|")]
    # 2.949 MB in 10 us; copies run at 1000 GB/s, one of as many bytes took 8 us; 14.7 MFLOP of 100 TFLOP/s
    assert cells == ["cardiacseg", "10.00", "5.00", "2.50", "295", "29 %", "80 %", "1.47", "1.5 %", "1.0e-04"]
    assert text.startswith("**inter 1x10 slices, HW 144, C 256/8, float16**: 2.95 MB, 14.7 MFLOP")
    assert len({len(line) for line in text.splitlines()[2:]}) == 1


def test_targets_are_said_to_be_met_or_missed():
    inter = AttentionWorkload("slices", 25, 10, 144, 192, 6, "float16")
    others = [("SDPA flash, views", Times(400.0, 1, 1)), ("SDPA math, contiguous", Times(70.0, 1, 1))]
    fast, slow = measured_case(inter, Times(60.0, 1, 1), others), measured_case(inter, Times(200.0, 1, 1), others)
    met, missed = table.target_lines([fast], CEILINGS), table.target_lines([slow], CEILINGS)
    assert "92 % of copy bandwidth (target 70 %): met" in met[0] and "6.67 times as fast as SDPA flash, views" in met[1]
    assert "28 % of copy bandwidth (target 70 %): missed" in missed[0] and missed[1].endswith("missed")
    intra = table.target_lines([measured_case(replace(inter, across="positions"), Times(71.0, 1, 1), others)], CEILINGS)
    assert len(intra) == 1 and "0.99 times as fast as SDPA math, contiguous (target 1): missed" in intra[0]
    assert table.target_lines([measured_case(replace(inter, stacks=1), Times(1, 1, 1))], CEILINGS) == []
    wrong = table.Measured(inter, [table.Row("cardiacseg", 1.0, None, "wrong result")])
    assert "not right" in table.target_lines([wrong], CEILINGS)[0]


def test_results_are_ready_for_json():
    found = table.json_ready(measured_case(SMALL, Times(10.0, 5.0, None)))
    assert found["bytes"] == SMALL.bytes and found["rows"][0]["times"]["cold_us"] == 10.0
    assert found["case"]["across"] == "slices" and found["copy"]["graph_us"] == 3.0


def test_fusion_in_pytorch_is_the_host_operation():
    logits, presence = images.random_logits(GRID, "cpu")
    places = images.sampling_grid(GRID, torch.device("cpu"))
    labels, shares = images.fuse(logits, presence, places, 0.5, 1.25)
    for stack in range(GRID.stacks):
        part = slice(stack * GRID.slices, (stack + 1) * GRID.slices)
        expected = host_ops.mask_fusion(
            logits[part].numpy(),
            presence[part].numpy(),
            0.5,
            (GRID.rows, GRID.columns),
            (GRID.row_spacing, GRID.column_spacing),
            GRID.target,
            GRID.origin,
            1.25,
        )
        assert images.wrong_labels(labels[part], torch.from_numpy(expected), shares[part]) == 0
    assert set(labels.unique().tolist()) == {0, 1, 2, 3}
    assert images.wrong_labels(3 - labels, labels, shares) > 1000


def test_preprocessing_in_pytorch_is_the_host_operation():
    workload = replace(GRID, kernel="preprocessing", target=1.5, crop=24)
    image = images.random_image(workload, "cpu")
    ranges = images.percentiles(image, 1, 99)
    found = images.preprocess(image, ranges, workload)
    assert found.shape == (2, 3, 24, 24) and found.dtype == torch.float32
    expected = host_ops.percentile_range(image.numpy(), 1, 99)
    torch.testing.assert_close(ranges, torch.from_numpy(expected), rtol=1e-6, atol=1e-3)
    origins = np.tile(np.int32(workload.origin), (workload.stacks, 1))
    spacing = (workload.row_spacing, workload.column_spacing)
    pixels = host_ops.preprocess(image.numpy(), spacing, workload.target, ranges.numpy(), origins, (24, 24))
    torch.testing.assert_close(found, torch.from_numpy(pixels), atol=1e-5, rtol=0)


def test_a_crop_beyond_the_image_is_zero_there():
    workload = ImageWorkload(
        "preprocessing", 1, "float32", slices=1, rows=4, columns=6, row_spacing=1, target=1, crop=8
    )
    planes = torch.ones(1, 1, *workload.network_grid)
    cut = images.crop(planes, workload)
    assert cut.shape == (1, 1, 8, 8) and cut.sum() == planes[..., : cut.shape[-1]].sum()
    assert cut[0, 0, 2, 4] == 1 and cut[0, 0, 0].sum() == 0
