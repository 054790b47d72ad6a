"""Ways to compute one workload, each compared with the reference before it is timed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from benchmarks import attention, images
from benchmarks.table import Measured, Row
from benchmarks.timing import Times
from benchmarks.workloads import AttentionWorkload, ImageWorkload

# Largest difference of PyTorch's results from the float64 reference; a kernel may have twice plain PyTorch's error.
OTHERS_LIMIT = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 1.5e-1}
THRESHOLD, TEMPERATURE = 0.5, 1.25
PERCENTILES = (1.0, 99.0)
# Half a unit in the last place of the largest value, twice: of a percentile up to 3,000, of an intensity up to 1.
PERCENTILE_LIMIT = 5e-4
PIXEL_LIMITS = {"float32": 2e-5, "float16": 5e-4}


class Timer(Protocol):
    def times(self, call: Callable[[], object]) -> Times: ...


@dataclass(frozen=True)
class Way:
    """``error`` computes a result's distance from the reference; above ``limit`` it is wrong and not timed."""

    name: str
    call: Callable[[], object]
    error: Callable[[object], float]
    limit: float


def measure_way(way: Way, timer: Timer) -> Row:
    try:
        result = way.call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    except (RuntimeError, NotImplementedError) as error:
        return Row(way.name, note=f"not available: {first_line(error)}")
    error = way.error(result)
    del result
    if not error <= way.limit:  # also for a NaN
        return Row(way.name, error, note=f"wrong result, limit {way.limit:.1e}")
    return Row(way.name, error, timer.times(way.call))


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:60]


def measure(workload, ways: Sequence[Way], timer: Timer, copy: Callable[[], Times] | None) -> Measured:
    return Measured(workload, [measure_way(way, timer) for way in ways], copy() if copy else None)


def largest_difference(output: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference; NaN if the output has a NaN."""
    return float((output.double() - expected).abs().max())


def attention_ways(
    workload: AttentionWorkload, qkv: torch.Tensor, kernel: Callable[[], torch.Tensor], compiled: bool
) -> list[Way]:
    """The kernel first, then PyTorch's; ``compiled`` adds torch.compile, which takes some seconds to compile."""
    stacks = [workload.slices * stack for stack in range(workload.stacks + 1)]
    expected = attention.reference(qkv, stacks, workload.positions, workload.heads, workload.across)

    def error(output: object) -> float:
        return largest_difference(attention.as_rows(output, workload), expected)

    plain_error = error(attention.plain_rows(qkv, workload))
    others = attention.baselines(qkv, workload)
    if compiled:
        function = torch.compile(lambda values: attention.plain_rows(values, workload), dynamic=False, fullgraph=True)
        others["torch.compile of eager"] = lambda: function(qkv)
    limit = OTHERS_LIMIT[workload.dtype]
    return [
        Way("cardiacseg", kernel, error, 2 * plain_error + 1e-7),
        *(Way(name, call, error, limit) for name, call in others.items()),
    ]


def with_compiled(name: str, call: Callable[[], object], compiled: bool) -> dict[str, Callable[[], object]]:
    if not compiled:
        return {name: call}
    return {name: call, f"torch.compile of {name}": torch.compile(call, dynamic=False)}


def fusion_ways(
    workload: ImageWorkload,
    logits: torch.Tensor,
    presence: torch.Tensor,
    kernel: Callable[[], torch.Tensor],
    compiled: bool,
) -> list[Way]:
    """The error is the number of wrong labels, without those that rounding decides."""
    places = images.sampling_grid(workload, logits.device)
    expected, shares = images.fuse(logits, presence, places, THRESHOLD, TEMPERATURE, torch.float64)
    ready = (places[0].float(), places[1])

    def error(labels: object) -> float:
        return float(images.wrong_labels(labels, expected, shares))

    def torch_way() -> torch.Tensor:
        return images.fuse(logits, presence, ready, THRESHOLD, TEMPERATURE)[0]

    others = with_compiled("PyTorch softmax, grid_sample, argmax", torch_way, compiled)
    return [Way("cardiacseg", kernel, error, 0.0), *(Way(name, call, error, 0.0) for name, call in others.items())]


def percentile_ways(image: torch.Tensor, kernel: Callable[[], torch.Tensor]) -> list[Way]:
    expected = images.percentiles(image, *PERCENTILES, torch.float64)

    def error(ranges: object) -> float:
        return largest_difference(ranges, expected)

    return [
        Way("cardiacseg", kernel, error, PERCENTILE_LIMIT),
        Way("PyTorch quantile", lambda: images.percentiles(image, *PERCENTILES), error, 2 * PERCENTILE_LIMIT),
    ]


def preprocessing_ways(
    workload: ImageWorkload,
    image: torch.Tensor,
    ranges: torch.Tensor,
    kernel: Callable[[], torch.Tensor],
    compiled: bool,
) -> list[Way]:
    expected = images.preprocess(image, ranges.double(), workload, torch.float64)

    def error(pixels: object) -> float:
        return largest_difference(pixels, expected)

    others = with_compiled("PyTorch interpolate", lambda: images.preprocess(image, ranges, workload), compiled)
    limit = PIXEL_LIMITS[workload.dtype]
    return [
        Way("cardiacseg", kernel, error, limit),
        *(Way(name, call, error, 2 * limit) for name, call in others.items()),
    ]
