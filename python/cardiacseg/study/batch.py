"""Batch: many cases, here or elsewhere. It can be resumed, a failed case does not stop it, a table lists all."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cardiacseg.errors import CancelledError, InvalidInputError
from cardiacseg.io.output import locked, output_errors, partial_folder, sync
from cardiacseg.study.case_folder import write_table
from cardiacseg.study.case_run import LEFT_OUT, CaseRun, CaseTask, SegmentCase, left_out, run_case
from cardiacseg.study.nifti_cases import Case
from cardiacseg.study.shards import Shard, rows_of_shards

TABLE = "summary.csv"
# Writing the table takes at most about this part of a batch's time.
_TABLE_TIME = 0.05
Progress = Callable[[int, int], bool | None]


class Executor(Protocol):
    """Where the cases of a batch are segmented: in this process, in worker processes, on other machines."""

    def run(self, tasks: Sequence[CaseTask]) -> Iterator[tuple[CaseTask, CaseRun]]:
        """Run each task by :func:`run_case` and yield it with its run as it ends, in any order.

        A bounded number of tasks is begun ahead. Closing the iterator stops the work in progress.
        """
        ...


class ThisProcess:
    """One case after another, in this process."""

    def __init__(self, segment_one: SegmentCase):
        self._segment_one = segment_one

    def run(self, tasks: Sequence[CaseTask]) -> Iterator[tuple[CaseTask, CaseRun]]:
        """As :class:`Executor`, in order."""
        for task in tasks:
            yield task, run_case(task, self._segment_one)


@dataclass(frozen=True)
class BatchSummary:
    """``rows`` are those of the table, in order of the cases; ``kept`` names cases that were finished before."""

    rows: tuple[Mapping[str, Any], ...]
    kept: tuple[str, ...]
    table: Path

    @property
    def failed(self) -> list[str]:
        """Names of the cases that failed."""
        return [row["case"] for row in self._in("failed")]

    @property
    def left_out(self) -> list[str]:
        """Names of entries that are not cases to segment, such as label maps beside the images."""
        return [row["case"] for row in self._in(LEFT_OUT)]

    def _in(self, state: str) -> list[Mapping[str, Any]]:
        return [row for row in self.rows if row["state"] == state]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"cases": [dict(row) for row in self.rows], "kept": list(self.kept), "table": str(self.table)}

    def lines(self) -> list[str]:
        """The summary for people, line by line."""
        total = len(self.rows) - len(self.left_out)
        head = f"{total - len(self.failed)} of {total} cases done ({len(self.kept)} kept), {len(self.failed)} failed"
        head += f", {len(self.left_out)} left out" if self.left_out else ""
        reasons = [f"  {row['case']}: {row['error']}" for row in (*self._in("failed"), *self._in(LEFT_OUT))]
        return [head, *reasons, f"table: {self.table}"]


def run_cases(
    cases: Sequence[Case],
    output: str | Path,
    executor: Executor,
    *,
    resume: bool = True,
    progress: Progress | None = None,
    shard: Shard | None = None,
) -> BatchSummary:
    """Segment ``cases``, each into ``output/NAME``, and write ``output/summary.csv``.

    A case's results are written completely or not at all. With ``resume`` a case is kept if all of its results are
    unchanged and were made from the same files with the same ``made_with``. A case that fails becomes a row with the
    error, a case that is left out a row with the reason; the others go on. An unexpected error also leaves
    ``traceback.txt`` in the case's folder. The table is also written after each case, or after some cases if it is so
    large that this would take long. ``progress`` is called with the number of cases done and of all cases, first
    with 0; if it returns False, the batch stops with :class:`CancelledError`. After that, or after
    ``KeyboardInterrupt``, finished cases and their table stay. Cases inside of ``output`` are ignored. With ``shard``
    only its cases are segmented, into its own table, and other shards may run at the same time. Raises
    ``InvalidInputError`` before any work if ``output`` is a file, is in use by another run or holds all cases,
    ``OutputError`` if the table cannot be written, and what the executor raises.
    """
    output = Path(output)
    cases = [case for case in _outside(cases, output) if shard is None or shard.has(case.name)]
    own = output if shard is None else output / shard.hidden
    with locked(own), partial_folder(own) as scratch:
        table = _Table(output, scratch, [case.name for case in cases], shard)
        kept = _fill(table, [CaseTask(case, output, resume) for case in cases], executor, progress)
        table.complete()
    return BatchSummary(tuple(table.in_order()), tuple(case.name for case in cases if case.name in kept), table.path)


def _outside(cases: Sequence[Case], output: Path) -> list[Case]:
    """The cases that do not lie inside of ``output``."""
    if output.exists() and not output.is_dir():
        raise InvalidInputError(f"{output} is not a folder; expected a folder for the results")
    inside = output.resolve()
    outside = [case for case in cases if not case.path.resolve().is_relative_to(inside)]
    if cases and not outside:
        raise InvalidInputError(f"all cases lie inside of the output folder {output}; choose another output folder")
    return outside


def _fill(table: "_Table", tasks: Sequence[CaseTask], executor: Executor, progress: Progress | None) -> set[str]:
    """Run all tasks; returns the names of the cases that were kept."""
    kept: set[str] = set()
    _report(progress, 0, len(tasks))
    try:
        table.rows.update((task.case.name, left_out(task).row) for task in tasks if task.case.left_out)
        with closing(executor.run([task for task in tasks if not task.case.left_out])) as runs:
            for task, run in runs:
                table.add(run.row)
                kept |= {task.case.name} if run.kept else set()
                _report(progress, len(table.rows), len(tasks))
    finally:
        if table.rows:
            table.write()
    return kept


def _report(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None and progress(done, total) is False:
        raise CancelledError(f"the batch was stopped after {done} of {total} cases")


class _Table:
    """The rows of the cases that are done, by name, and the file that lists them in order of the cases."""

    def __init__(self, output: Path, scratch: Path, names: Sequence[str], shard: Shard | None):
        self.rows: dict[str, Mapping[str, Any]] = {}
        self.path = output / (TABLE if shard is None else shard.table)
        self._growing = self.path if shard is None else output / shard.unfinished
        self._scratch, self._names = scratch / TABLE, names
        self._written, self._not_before = -1, 0.0
        if shard is not None:  # its presence means that the shard is complete
            self.path.unlink(missing_ok=True)

    def in_order(self) -> list[Mapping[str, Any]]:
        """The rows in order of the cases."""
        return [self.rows[name] for name in self._names if name in self.rows]

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row, and write the file unless it was written just before."""
        self.rows[row["case"]] = row
        if time.monotonic() >= self._not_before:
            self.write()

    def write(self) -> None:
        """Write all rows that were added. Raises ``OutputError``."""
        if self._written == len(self.rows):
            return
        started = time.monotonic()
        write_table(self._scratch, self.in_order())
        _rename(self._scratch, self._growing)
        ended = time.monotonic()
        self._written, self._not_before = len(self.rows), ended + (ended - started) / _TABLE_TIME

    def complete(self) -> None:
        """Say that all rows are there: the file gets its final name."""
        self.write()
        if self._growing != self.path:
            _rename(self._growing, self.path)


def _rename(old: Path, new: Path) -> None:
    with output_errors("write", new):
        os.replace(old, new)
        sync(new.parent)


def merge_shards(output: str | Path) -> BatchSummary:
    """Join the tables of all shards in ``output`` into ``output/summary.csv``. Errors are those of rows_of_shards."""
    output = Path(output)
    with locked(output):
        rows = rows_of_shards(output)
        write_table(output / TABLE, rows)
    return BatchSummary(tuple(rows), (), output / TABLE)
