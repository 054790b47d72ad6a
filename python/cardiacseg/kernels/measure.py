"""Ways to compute one case, each compared with the reference before it is timed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from cardiacseg.kernels import attention
from cardiacseg.kernels.cases import AttentionCase
from cardiacseg.kernels.table import Measured, Row
from cardiacseg.kernels.timing import Times

# What a way that is not ours may differ from the float64 reference; ours is held to twice plain PyTorch's error.
OTHERS_LIMIT = {"float32": 1e-3, "float16": 2e-2, "bfloat16": 1.5e-1}


class Timer(Protocol):
    def times(self, call: Callable[[], object]) -> Times: ...


@dataclass(frozen=True)
class Way:
    """``error`` tells how far a result is from the reference; above ``limit`` it is wrong and not timed."""

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


def measure(case, ways: Sequence[Way], timer: Timer, copy: Callable[[], Times] | None) -> Measured:
    return Measured(case, [measure_way(way, timer) for way in ways], copy() if copy else None)


def largest_difference(output: torch.Tensor, wanted: torch.Tensor) -> float:
    """NaN where the output holds one."""
    return float((output.double() - wanted).abs().max())


def attention_ways(
    case: AttentionCase, qkv: torch.Tensor, kernel: Callable[[], torch.Tensor], compiled: bool
) -> list[Way]:
    """The kernel first, then PyTorch's; ``compiled`` adds torch.compile, which takes some seconds to compile."""
    stacks = [case.slices * stack for stack in range(case.stacks + 1)]
    wanted = attention.reference(qkv, stacks, case.positions, case.heads, case.across)

    def error(output: object) -> float:
        return largest_difference(attention.as_rows(output, case), wanted)

    plain_error = error(attention.plain_rows(qkv, case))
    others = attention.baselines(qkv, case)
    if compiled:
        function = torch.compile(lambda values: attention.plain_rows(values, case), dynamic=False, fullgraph=True)
        others["torch.compile of eager"] = lambda: function(qkv)
    limit = OTHERS_LIMIT[case.dtype]
    return [
        Way("cardiacseg", kernel, error, 2 * plain_error + 1e-7),
        *(Way(name, call, error, limit) for name, call in others.items()),
    ]
