"""Measured rows as text. A row of a wrong result has no times."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.timing import Ceilings, Times
from benchmarks.workloads import AttentionWorkload, ImageWorkload

HEADS = ("", "cold us", "warm us", "graph us", "GB/s cold", "of copy", "of equal copy", "TFLOP/s", "of matrix", "error")


@dataclass(frozen=True)
class Row:
    """One way to compute one workload. ``error`` is the largest difference from the reference."""

    name: str
    error: float | None = None
    times: Times | None = None
    note: str = ""  # why there are no times


@dataclass(frozen=True)
class Measured:
    """All ways to compute one workload; the first row is the kernel's, ``copy`` a copy of as many bytes."""

    workload: AttentionWorkload | ImageWorkload
    rows: list[Row] = field(default_factory=list)
    copy: Times | None = None

    @property
    def passed(self) -> bool:
        """Whether the kernel's own result is right."""
        return bool(self.rows) and self.rows[0].times is not None


def rate(count: float, microseconds: float) -> float:
    """Per second."""
    return count / (1e-6 * microseconds)


def cells(row: Row, measured: Measured, ceilings: Ceilings) -> list[str]:
    error = "" if row.error is None else f"{row.error:.1e}"
    if row.times is None:
        return [row.name, row.note, *[""] * (len(HEADS) - 3), error]
    workload, times = measured.workload, row.times
    speed = rate(workload.bytes, times.cold_us)
    flops = rate(workload.flops, times.cold_us)
    peak = ceilings.flops_per_second.get(workload.dtype)
    graph = "" if times.graph_us is None else f"{times.graph_us:.2f}"
    return [
        row.name,
        f"{times.cold_us:.2f}",
        f"{times.warm_us:.2f}",
        graph,
        f"{speed / 1e9:.0f}",
        f"{100 * speed / ceilings.copy_bytes_per_second:.0f} %",
        f"{100 * measured.copy.cold_us / times.cold_us:.0f} %" if measured.copy else "",
        f"{flops / 1e12:.2f}" if flops else "",
        f"{100 * flops / peak:.1f} %" if flops and peak and isinstance(workload, AttentionWorkload) else "",
        error,
    ]


def workload_table(measured: Measured, ceilings: Ceilings) -> str:
    """Markdown: the workload, its two amounts of work, and a line for each way."""
    workload = measured.workload
    title = f"**{workload.name}**: {workload.bytes / 1e6:.2f} MB, {workload.flops / 1e6:.1f} MFLOP"
    lines = [cells(row, measured, ceilings) for row in measured.rows]
    if measured.copy:
        copy = Row("copy of as many bytes", None, measured.copy)
        lines.append([*cells(copy, measured, ceilings)[:6], *[""] * 4])
    return f"{title}\n\n{markdown(HEADS, lines)}\n"


def ceilings_line(ceilings: Ceilings) -> str:
    rates = ", ".join(f"{name} {value / 1e12:.1f}" for name, value in ceilings.flops_per_second.items())
    copy = ceilings.copy_bytes_per_second / 1e9
    return f"Large copy: {copy:.0f} GB/s, read and written together. Large matrix product, TFLOP/s: {rates}.\n"


def markdown(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in (heads, *lines)) for column in range(len(heads))]
    rows = [heads, ["-" * width for width in widths], *lines]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in padded)


def best(measured: Measured, part: str) -> Row | None:
    """The fastest row (cold) whose name holds ``part``."""
    rows = [row for row in measured.rows[1:] if row.times and part in row.name]
    return min(rows, key=lambda row: row.times.cold_us, default=None)


def json_ready(measured: Measured) -> dict:
    workload = measured.workload
    return {
        "case": asdict(workload),
        "rows": [asdict(row) for row in measured.rows],
        "copy": asdict(measured.copy) if measured.copy else None,
        "name": workload.name,
        "bytes": workload.bytes,
        "flops": workload.flops,
    }


# Targets of each kernel on a GPU. A missed target is reported; it is not an error.
STACKS = 25  # the targets are for a whole cine
COPY_SHARE = {"inter": 0.70, "fusion": 0.80, "percentiles": 0.80, "preprocessing": 0.80}
TIMES_AS_FAST = {"inter": (3.0, ", views"), "intra": (1.0, "SDPA")}  # as the best of SDPA's rows that are named so


def kind_of(workload: AttentionWorkload | ImageWorkload) -> str:
    if isinstance(workload, ImageWorkload):
        return workload.kernel
    return "inter" if workload.across == "slices" else "intra"


def target_lines(results: Sequence[Measured], ceilings: Ceilings) -> list[str]:
    """A line for each target of each workload of 25 stacks, in attention those with HW = 144 in float16."""
    lines = []
    for measured in results:
        workload = measured.workload
        if isinstance(workload, AttentionWorkload) and (workload.positions != 144 or workload.dtype != "float16"):
            continue
        if workload.stacks == STACKS:
            lines += [f"TARGET {workload.name}: {said}" for said in sayings(measured, ceilings)]
    return lines


def sayings(measured: Measured, ceilings: Ceilings) -> list[str]:
    if not measured.passed:
        return ["no time, as the result is not right"]
    kind, ours, said = kind_of(measured.workload), measured.rows[0].times.cold_us, []
    if target := COPY_SHARE.get(kind):
        share = rate(measured.workload.bytes, ours) / ceilings.copy_bytes_per_second
        said.append(f"{100 * share:.0f} % of copy bandwidth (target {100 * target:.0f} %): {verdict(share, target)}")
    if kind in TIMES_AS_FAST and (other := best(measured, TIMES_AS_FAST[kind][1])):
        target, ratio = TIMES_AS_FAST[kind][0], other.times.cold_us / ours
        said.append(f"{ratio:.2f} times as fast as {other.name} (target {target:g}): {verdict(ratio, target)}")
    return said


def verdict(value: float, target: float) -> str:
    return "met" if value >= target else "missed"
