"""Times on a GPU by CUDA events. Every figure is a median in microseconds.

cold: one launch after the second-level cache was filled with other data by reading, so that the launch does not pay for
a write-back. warm: one launch after the same launch. graph: the mean of many launches inside one CUDA graph, without
the gaps between launches. Before each launch the GPU is kept busy until the host has queued the timed call, which then
starts at once, however slow the call from Python is.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch

LAUNCHES = 60
GRAPH_LAUNCHES = 20
GRAPH_REPLAYS = 15
HEAD_START_CYCLES = 400_000


@dataclass(frozen=True)
class Times:
    cold_us: float
    warm_us: float
    graph_us: float | None  # None if the call cannot be captured


class Stopwatch:
    """Holds the buffer, four times the second-level cache, that is read to empty that cache."""

    def __init__(self) -> None:
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        self._buffer = torch.zeros(4 * properties.L2_cache_size, dtype=torch.uint8, device="cuda").view(torch.int32)
        self._sum = torch.zeros((), dtype=torch.int64, device="cuda")

    def times(self, call: Callable[[], object], launches: int = LAUNCHES) -> Times:
        for _ in range(5):
            call()
        torch.cuda.synchronize()
        return Times(self._single(call, self._flush, launches), self._single(call, call, launches), graph_time(call))

    def _flush(self) -> None:
        torch.sum(self._buffer, dtype=torch.int64, dim=0, out=self._sum)

    def _single(self, call: Callable[[], object], before: Callable[[], object], launches: int) -> float:
        pairs = []
        for _ in range(launches):
            torch.cuda._sleep(HEAD_START_CYCLES)
            before()
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            call()
            end.record()
            pairs.append((start, end))
        torch.cuda.synchronize()
        return statistics.median(1e3 * start.elapsed_time(end) for start, end in pairs)


def graph_time(call: Callable[[], object]) -> float | None:
    """Microseconds for each of GRAPH_LAUNCHES calls in one graph; None if capture fails."""
    graph = capture(call, GRAPH_LAUNCHES)
    if graph is None:
        return None
    graph.replay()
    pairs = []
    for _ in range(GRAPH_REPLAYS):
        torch.cuda._sleep(HEAD_START_CYCLES)
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        pairs.append((start, end))
    torch.cuda.synchronize()
    return statistics.median(1e3 * start.elapsed_time(end) for start, end in pairs) / GRAPH_LAUNCHES


def capture(call: Callable[[], object], launches: int = 1) -> torch.cuda.CUDAGraph | None:
    """A graph of ``launches`` calls, or None if they cannot be captured. The results' memory stays the graph's."""
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            for _ in range(launches):
                call()
    except RuntimeError:
        torch.cuda.synchronize()
        return None
    return graph


@dataclass(frozen=True)
class Ceilings:
    """This GPU's own limits, measured in the same run."""

    copy_bytes_per_second: float  # of a large buffer, bytes read and bytes written
    flops_per_second: dict[str, float]  # a large matrix product, by type of element; float32 without TF32


def measure_ceilings(stopwatch: Stopwatch, megabytes: int = 1024, side: int = 8192) -> Ceilings:
    rates = {}
    for name, size in (("float16", side), ("bfloat16", side), ("float32", side // 2)):
        left = torch.randn(size, size, device="cuda").to(getattr(torch, name))
        right = torch.randn(size, size, device="cuda").to(getattr(torch, name))
        rates[name] = 2 * size**3 / (1e-6 * stopwatch.times(lambda: left @ right, launches=10).warm_us)  # noqa: B023
    total = megabytes * 2**20
    return Ceilings(total / (1e-6 * copy_times(stopwatch, total, launches=20).cold_us), rates)


def copy_times(stopwatch: Stopwatch, total_bytes: int, launches: int = LAUNCHES) -> Times:
    """Times of a device-to-device copy that moves ``total_bytes``, half of them read and half written."""
    source = torch.randint(0, 255, (max(1, total_bytes // 2),), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return stopwatch.times(lambda: target.copy_(source), launches)
