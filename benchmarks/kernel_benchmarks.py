"""The benchmark of each kernel: its cases on this GPU, beside PyTorch's implementations."""

from collections.abc import Callable, Iterator

import torch

from benchmarks import attention, calls, images
from benchmarks.measure import (
    PERCENTILES,
    TEMPERATURE,
    THRESHOLD,
    Way,
    attention_ways,
    fusion_ways,
    measure,
    percentile_ways,
    preprocessing_ways,
)
from benchmarks.table import Measured
from benchmarks.timing import Stopwatch, copy_times
from benchmarks.workloads import AttentionWorkload, ImageWorkload, attention_workloads, image_workloads

DEVICE = "cuda"


def compiled_workloads(which: str) -> Callable[[AttentionWorkload | ImageWorkload], bool]:
    """Whether torch.compile is measured on a workload, which takes it some seconds: "all", "none" or "main"."""
    if which == "main":
        return lambda workload: workload.dtype == "float16" and getattr(workload, "channels", 192) == 192
    return lambda workload: which == "all"


def results_of(
    kernel: str, stopwatch: Stopwatch, compiled: Callable[[AttentionWorkload | ImageWorkload], bool]
) -> Iterator[Measured]:
    """Results of "inter", "intra", "fusion", "percentiles" or "preprocessing", workload by workload."""
    if kernel in ("inter", "intra"):
        return attention_results("slices" if kernel == "inter" else "positions", stopwatch, compiled)
    return image_results(kernel, stopwatch, compiled)


def attention_call(workload: AttentionWorkload, qkv: torch.Tensor) -> Callable[[], torch.Tensor]:
    """The kernel on ``qkv``, into an output that is NaN before."""
    output = torch.full((workload.tokens, workload.channels), float("nan"), dtype=qkv.dtype, device=qkv.device)
    if workload.across == "positions":
        return lambda: calls.intra_slice_attention(qkv, workload.positions, workload.heads, output)
    first = torch.arange(workload.stacks + 1, dtype=torch.int32, device=qkv.device) * workload.slices
    return lambda: calls.inter_slice_attention(qkv, first, workload.positions, workload.heads, output)


def attention_results(
    across: str, stopwatch: Stopwatch, compiled: Callable[[AttentionWorkload | ImageWorkload], bool]
) -> Iterator[Measured]:
    for workload in attention_workloads(across):
        qkv = attention.random_qkv(workload, DEVICE)
        ways = attention_ways(workload, qkv, attention_call(workload, qkv), compiled(workload))
        total = workload.bytes
        yield measure(workload, ways, stopwatch, lambda: copy_times(stopwatch, total))  # noqa: B023


def origins_of(workload: ImageWorkload) -> torch.Tensor:
    return torch.tensor([workload.origin] * workload.stacks, dtype=torch.int32, device=DEVICE)


def fusion_of(workload: ImageWorkload, compiled: bool) -> list[Way]:
    logits, presence = images.random_logits(workload, DEVICE)
    labels = torch.full((workload.planes, workload.rows, workload.columns), 255, dtype=torch.uint8, device=DEVICE)
    origins, spacing = origins_of(workload), (workload.row_spacing, workload.column_spacing)

    def kernel() -> torch.Tensor:
        grid, numbers = (workload.rows, workload.columns), (workload.target, THRESHOLD, TEMPERATURE)
        return calls.mask_fusion(logits, presence, origins, grid, spacing, *numbers, output=labels)

    return fusion_ways(workload, logits, presence, kernel, compiled)


def percentiles_of(workload: ImageWorkload) -> list[Way]:
    image = images.random_image(workload, DEVICE)
    workspace = calls.percentile_workspace(image)
    ranges = torch.full((workload.stacks, 2), float("nan"), device=DEVICE)
    return percentile_ways(image, lambda: calls.percentile_range(image, *PERCENTILES, workspace, ranges))


def preprocessing_of(workload: ImageWorkload, compiled: bool) -> list[Way]:
    image = images.random_image(workload, DEVICE)
    ranges, origins = images.percentiles(image, *PERCENTILES), origins_of(workload)
    rows = calls.AxisTaps.of(workload.rows, workload.row_spacing, workload.target, DEVICE)
    columns = calls.AxisTaps.of(workload.columns, workload.column_spacing, workload.target, DEVICE)
    shape = (workload.stacks, workload.slices, workload.crop, workload.crop)
    output = torch.full(shape, float("nan"), dtype=getattr(torch, workload.dtype), device=DEVICE)

    def kernel() -> torch.Tensor:
        return calls.preprocess(image, rows, columns, ranges, origins, output)

    return preprocessing_ways(workload, image, ranges, kernel, compiled)


def image_results(
    kernel: str, stopwatch: Stopwatch, compiled: Callable[[AttentionWorkload | ImageWorkload], bool]
) -> Iterator[Measured]:
    for workload in image_workloads(kernel):
        if kernel == "percentiles":
            ways = percentiles_of(workload)
        else:
            ways = (fusion_of if kernel == "fusion" else preprocessing_of)(workload, compiled(workload))
        total = workload.bytes
        yield measure(workload, ways, stopwatch, lambda: copy_times(stopwatch, total))  # noqa: B023
