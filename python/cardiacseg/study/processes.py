"""Worker processes of a batch. Each has a model of its own; one that dies fails its case and is replaced."""

import multiprocessing
import os
import signal
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from threading import Thread

from cardiacseg.errors import BackendError, InputWarning
from cardiacseg.study.case_run import (
    WORKER_ENDED,
    CaseRun,
    CaseTask,
    SegmentCase,
    clear_after_kill,
    failed,
    run_case,
)

_SPAWN = multiprocessing.get_context("spawn")  # the libraries' threads do not survive a fork
_PATIENCE = 10.0  # seconds that a worker gets to end
_LESS_MEMORY = "fewer workers need less memory (--jobs)"


class WorkerProcesses:
    """Segments cases in up to ``jobs`` processes. Each calls ``make``, which must be picklable, at its start."""

    def __init__(self, make: Callable[[], SegmentCase], jobs: int):
        self._make, self._jobs = make, jobs

    def run(self, tasks: Sequence[CaseTask]) -> Iterator[tuple[CaseTask, CaseRun]]:
        """As :class:`cardiacseg.study.batch.Executor`; each process has one case at a time.

        A process that is killed while it works is replaced, one that is killed before it is ready is not. Raises what
        ``make`` raises, and ``BackendError`` if no process is left for the tasks.
        """
        waiting = deque(tasks)
        workers: dict[Connection, _Worker] = {}

        def start(count: int) -> None:
            for _ in range(count):
                worker = _Worker(self._make)
                workers[worker.connection] = worker

        try:
            start(min(self._jobs, len(tasks)))
            while workers:
                for connection in wait(list(workers)):
                    worker = workers[connection]
                    task, run = worker.task, worker.answer()
                    if worker.ended:
                        del workers[connection]
                        start(1 if waiting and task is not None else 0)
                        if waiting and not workers:
                            raise BackendError(f"{worker.ended} before its model was loaded; {_LESS_MEMORY}")
                    elif waiting:
                        worker.give(waiting.popleft())
                    else:
                        workers.pop(connection).end()
                    if task is not None:
                        yield task, run
        finally:
            _terminate(workers.values())


class _Worker:
    """A process with the ``task`` that it works on; ``None`` before it is ready."""

    def __init__(self, make: Callable[[], SegmentCase]):
        self.connection, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_work, args=(theirs, make), daemon=True)
        self.task: CaseTask | None = None
        self.ended, self._since = "", 0.0  # how it ended, if it did so by itself
        with _interrupts_blocked():
            self.process.start()
        theirs.close()  # so that the end of the process is seen here

    def give(self, task: CaseTask) -> None:
        """Start a task."""
        self.task, self._since = task, time.perf_counter()
        with suppress(OSError):  # it has died, which its answer says
            self.connection.send(task)

    def answer(self) -> CaseRun | None:
        """The task's run; ``None`` if it had none. Raises what made it unable to start."""
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            return self._failed()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _failed(self) -> CaseRun | None:
        self.process.join()
        code = self.process.exitcode
        self.ended = f"worker ended by signal {-code}" if code < 0 else f"worker ended with exit code {code}"
        if self.task is None:
            return None
        clear_after_kill(self.task)
        return failed(self.task, self.ended, time.perf_counter() - self._since, WORKER_ENDED)

    def end(self) -> None:
        """Let it end: it has nothing to do."""
        self.connection.close()
        self.process.join(_PATIENCE)
        self.process.kill()  # nothing, unless it does not end
        self.process.join()


def _terminate(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(_PATIENCE)
        worker.process.kill()
        worker.process.join()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A process that starts inside does not get Ctrl-C, which a terminal sends to all: this process ends it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, make: Callable[[], SegmentCase]) -> None:
    """Answer ``None`` or the error of the start, then the run of each task, until the connection closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that unfinished results are removed
    Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore", InputWarning)
    with suppress(KeyboardInterrupt, EOFError, OSError):
        try:
            _serve(connection, make)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends anyway


def _serve(connection: Connection, make: Callable[[], SegmentCase]) -> None:
    try:
        segment_one = make()
    except Exception as error:
        connection.send(error)
        return
    connection.send(None)
    while True:
        connection.send(run_case(connection.recv(), segment_one))


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGTERM)
