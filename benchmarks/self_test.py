"""The kernels' Python API on a GPU: results are right, the same from a CUDA graph, and bad tensors are refused."""

from collections.abc import Callable, Iterator

import torch

from benchmarks import attention, calls
from benchmarks.kernel_benchmarks import DEVICE, fusion_of, percentiles_of, preprocessing_of
from benchmarks.measure import Way, largest_difference
from benchmarks.timing import capture
from benchmarks.workloads import AttentionWorkload, ImageWorkload

SLICES = (3, 1, 16, 10, 33, 2)  # of each stack
HEADS = ((192, 6, 64), (128, 4, 7), (256, 8, 144))  # channels, heads, positions
DTYPES = ("float32", "float16", "bfloat16")

Check = tuple[str, Callable[[], bool]]


def attention_checks() -> Iterator[Check]:
    for across in ("slices", "positions"):
        for dtype in DTYPES:
            for channels, heads, positions in HEADS:
                workload = AttentionWorkload(across, 1, sum(SLICES), positions, channels, heads, dtype)
                yield f"ragged {workload.name}", lambda workload=workload: ragged_attention_is_right(workload)
        yield f"attention across {across} in a CUDA graph", lambda across=across: replay_is_right(across)
    yield "a tensor on the CPU is refused", refuses_the_cpu


def image_checks() -> Iterator[Check]:
    for kernel, ways in (("fusion", fusion_of), ("preprocessing", preprocessing_of)):
        for dtype in ("float16", "float32"):
            workload = ImageWorkload(kernel, 2, dtype, slices=3)
            yield workload.name, lambda workload=workload, ways=ways: way_is_right(ways(workload, False)[0])
    for source in ("int16", "float32"):
        workload = ImageWorkload("percentiles", 2, "float32", slices=3, source=source)
        yield workload.name, lambda workload=workload: way_is_right(percentiles_of(workload)[0])


def all_checks() -> Iterator[Check]:
    yield from attention_checks()
    yield from image_checks()


def way_is_right(way: Way) -> bool:
    """Called twice, because a first call must not leave anything in a workspace that changes the second's result."""
    return all(way.error(way.call()) <= way.limit for _ in range(2))


def ragged(workload: AttentionWorkload) -> tuple[torch.Tensor, list[int], torch.Tensor]:
    """Random rows, each stack's first slice, and those on the GPU."""
    first = [sum(SLICES[:stack]) for stack in range(len(SLICES) + 1)]
    return attention.random_qkv(workload, DEVICE), first, torch.tensor(first, dtype=torch.int32, device=DEVICE)


def call(workload: AttentionWorkload, qkv: torch.Tensor, cu_slices: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    if workload.across == "positions":
        return calls.intra_slice_attention(qkv, workload.positions, workload.heads, output)
    return calls.inter_slice_attention(qkv, cu_slices, workload.positions, workload.heads, output)


def ragged_attention_is_right(workload: AttentionWorkload) -> bool:
    """Within twice the error that plain PyTorch makes on the same rows in the same type."""
    qkv, first, cu_slices = ragged(workload)
    expected = attention.reference(qkv, first, workload.positions, workload.heads, workload.across)
    plain = attention.reference(qkv, first, workload.positions, workload.heads, workload.across, dtype=qkv.dtype)
    output = torch.full_like(expected, float("nan"), dtype=qkv.dtype)
    found = call(workload, qkv, cu_slices, output)
    return largest_difference(found, expected) <= 2 * largest_difference(plain, expected) + 1e-7


def replay_is_right(across: str) -> bool:
    """A captured launch reads the rows that are there when it is replayed."""
    workload = AttentionWorkload(across, 1, sum(SLICES), 64, 192, 6, "float16")
    qkv, _, cu_slices = ragged(workload)
    output = torch.empty(workload.tokens, workload.channels, dtype=qkv.dtype, device=DEVICE)
    graph = capture(lambda: call(workload, qkv, cu_slices, output))
    if graph is None:
        return False
    qkv.copy_(attention.random_qkv(workload, DEVICE, seed=1))
    output.fill_(float("nan"))
    graph.replay()
    return torch.equal(output, call(workload, qkv, cu_slices, torch.empty_like(output)))


def refuses_the_cpu() -> bool:
    try:
        calls.intra_slice_attention(torch.zeros(64, 96), 64, 1)
    except ValueError as error:
        return "expected a contiguous tensor on a GPU" in str(error)
    return False


def run(checks: Iterator[Check], show: Callable[[str], None]) -> bool:
    passed = failed = 0
    for name, check in checks:
        try:
            good = check()
        except Exception as error:  # one failing check must not hide the others
            show(f"FAILED {name}: {type(error).__name__}: {error}")
            failed += 1
            continue
        if not good:
            show(f"FAILED {name}")
        passed, failed = passed + good, failed + (not good)
    show(f"{passed} passed, {failed} failed")
    return passed > 0 and failed == 0
