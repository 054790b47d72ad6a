"""The benchmark of each kernel: its cases on this GPU, PyTorch's ways beside it."""

from collections.abc import Callable, Iterator

import torch

from cardiacseg.kernels import attention, attention_calls, image_calls, images
from cardiacseg.kernels.cases import AttentionCase, ImageCase, attention_cases, image_cases
from cardiacseg.kernels.image_ways import (
    PERCENTILES,
    TEMPERATURE,
    THRESHOLD,
    fusion_ways,
    percentile_ways,
    preprocessing_ways,
)
from cardiacseg.kernels.measure import Way, attention_ways, measure
from cardiacseg.kernels.table import Measured
from cardiacseg.kernels.timing import Stopwatch, copy_times

DEVICE = "cuda"


def compiled_cases(which: str) -> Callable[[AttentionCase | ImageCase], bool]:
    """Whether torch.compile is measured on a case, which takes it some seconds: "all", "none" or "main"."""
    if which == "main":
        return lambda case: case.dtype == "float16" and getattr(case, "channels", 192) == 192
    return lambda case: which == "all"


def results_of(
    kernel: str, stopwatch: Stopwatch, compiled: Callable[[AttentionCase | ImageCase], bool]
) -> Iterator[Measured]:
    """Of "inter", "intra", "fusion", "percentiles" or "preprocessing", case by case."""
    if kernel in ("inter", "intra"):
        return attention_results("slices" if kernel == "inter" else "positions", stopwatch, compiled)
    return image_results(kernel, stopwatch, compiled)


def attention_call(case: AttentionCase, qkv: torch.Tensor) -> Callable[[], torch.Tensor]:
    """The kernel on ``qkv``, into an output that is NaN before."""
    output = torch.full((case.tokens, case.channels), float("nan"), dtype=qkv.dtype, device=qkv.device)
    if case.across == "positions":
        return lambda: attention_calls.intra_slice_attention(qkv, case.positions, case.heads, output)
    first = torch.arange(case.stacks + 1, dtype=torch.int32, device=qkv.device) * case.slices
    return lambda: attention_calls.inter_slice_attention(qkv, first, case.positions, case.heads, output)


def attention_results(
    across: str, stopwatch: Stopwatch, compiled: Callable[[AttentionCase | ImageCase], bool]
) -> Iterator[Measured]:
    for case in attention_cases(across):
        qkv = attention.random_qkv(case, DEVICE)
        ways = attention_ways(case, qkv, attention_call(case, qkv), compiled(case))
        total = case.bytes
        yield measure(case, ways, stopwatch, lambda: copy_times(stopwatch, total))  # noqa: B023


def origins_of(case: ImageCase) -> torch.Tensor:
    return torch.tensor([case.origin] * case.stacks, dtype=torch.int32, device=DEVICE)


def fusion_of(case: ImageCase, compiled: bool) -> list[Way]:
    logits, presence = images.random_logits(case, DEVICE)
    labels = torch.full((case.planes, case.rows, case.columns), 255, dtype=torch.uint8, device=DEVICE)
    origins, spacing = origins_of(case), (case.row_spacing, case.column_spacing)

    def kernel() -> torch.Tensor:
        grid, numbers = (case.rows, case.columns), (case.target, THRESHOLD, TEMPERATURE)
        return image_calls.mask_fusion(logits, presence, origins, grid, spacing, *numbers, output=labels)

    return fusion_ways(case, logits, presence, kernel, compiled)


def percentiles_of(case: ImageCase) -> list[Way]:
    image = images.random_image(case, DEVICE)
    workspace = image_calls.percentile_workspace(image)
    ranges = torch.full((case.stacks, 2), float("nan"), device=DEVICE)
    return percentile_ways(image, lambda: image_calls.percentile_range(image, *PERCENTILES, workspace, ranges))


def preprocessing_of(case: ImageCase, compiled: bool) -> list[Way]:
    image = images.random_image(case, DEVICE)
    ranges, origins = images.percentiles(image, *PERCENTILES), origins_of(case)
    rows = image_calls.AxisTaps.of(case.rows, case.row_spacing, case.target, DEVICE)
    columns = image_calls.AxisTaps.of(case.columns, case.column_spacing, case.target, DEVICE)
    shape = (case.stacks, case.slices, case.crop, case.crop)
    output = torch.full(shape, float("nan"), dtype=getattr(torch, case.dtype), device=DEVICE)

    def kernel() -> torch.Tensor:
        return image_calls.preprocess(image, rows, columns, ranges, origins, output)

    return preprocessing_ways(case, image, ranges, kernel, compiled)


def image_results(
    kernel: str, stopwatch: Stopwatch, compiled: Callable[[AttentionCase | ImageCase], bool]
) -> Iterator[Measured]:
    for case in image_cases(kernel):
        if kernel == "percentiles":
            ways = percentiles_of(case)
        else:
            ways = (fusion_of if kernel == "fusion" else preprocessing_of)(case, compiled(case))
        total = case.bytes
        yield measure(case, ways, stopwatch, lambda: copy_times(stopwatch, total))  # noqa: B023
