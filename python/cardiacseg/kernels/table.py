"""Measured rows as text. A row of a wrong result has no times."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from cardiacseg.kernels.cases import AttentionCase, ImageCase
from cardiacseg.kernels.timing import Ceilings, Times

HEADS = ("", "cold us", "warm us", "graph us", "GB/s cold", "of copy", "of equal copy", "TFLOP/s", "of matrix", "error")


@dataclass(frozen=True)
class Row:
    """One way to compute one case. ``error`` is the largest difference from the reference."""

    name: str
    error: float | None = None
    times: Times | None = None
    note: str = ""  # why there are no times


@dataclass(frozen=True)
class Measured:
    """All ways to compute one case; the first row is the kernel's, ``copy`` a copy of as many bytes."""

    case: AttentionCase | ImageCase
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
    case, times = measured.case, row.times
    speed = rate(case.bytes, times.cold_us)
    flops = rate(case.flops, times.cold_us)
    peak = ceilings.flops_per_second.get(case.dtype)
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
        f"{100 * flops / peak:.1f} %" if flops and peak and isinstance(case, AttentionCase) else "",
        error,
    ]


def case_table(measured: Measured, ceilings: Ceilings) -> str:
    """Markdown: the case, its two amounts of work, and a line for each way."""
    case = measured.case
    title = f"**{case.name}**: {case.bytes / 1e6:.2f} MB, {case.flops / 1e6:.1f} MFLOP"
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
    case = measured.case
    return {**asdict(measured), "case": asdict(case), "name": case.name, "bytes": case.bytes, "flops": case.flops}
