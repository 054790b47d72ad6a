"""A batch on the workers of a Dask cluster, which see the folders of the cases and of the results."""

import pickle
import threading
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from cardiacseg._core import __version__
from cardiacseg.errors import BackendError, InputWarning, InvalidInputError, NetworkError
from cardiacseg.io.log_suppression import suppress_logs
from cardiacseg.study.case_folder import MARKER
from cardiacseg.study.case_run import (
    WORKER_ENDED,
    CaseRun,
    CaseTask,
    SegmentCase,
    clear_after_kill,
    failed,
    run_case,
)

_AHEAD = 64  # tasks that the scheduler holds beyond those in work
_LOOK = 1.0  # seconds after which to look whether the scheduler is still there
_LOST = "the connection to the Dask scheduler was lost; finished cases are kept, so start again"
_OTHER_FOLDERS = "a worker sees other folders than this program; expected cases and results under the same paths"
_ONE_AT_A_TIME = threading.Lock()


class DaskCluster:
    """Segments cases on a cluster: ``scheduler`` is its address (``tcp://HOST:8786``) or the scheduler's file.

    Each worker process calls ``make``, which must be picklable, once. A case whose worker dies goes to another one.
    """

    def __init__(self, make: Callable[[], SegmentCase], scheduler: str):
        self._make, self._scheduler = _packed(make), scheduler

    def run(self, tasks: Sequence[CaseTask]) -> Iterator[tuple[CaseTask, CaseRun]]:
        """As :class:`cardiacseg.study.batch.Executor`.

        Raises what ``make`` raises, ``InvalidInputError`` if the scheduler's file is missing, ``NetworkError`` if the
        scheduler cannot be reached or ends, and ``BackendError`` if the workers cannot run this version of cardiacseg
        or do not see the same folders.
        """
        with suppress_logs("distributed.client"), _connected(self._scheduler) as client:
            waiting, ended, submitted = iter(tasks), Queue(), {}
            while True:
                with _network_errors(_LOST):
                    room = _AHEAD + sum(client.nthreads().values()) - len(submitted)
                    for task in islice(waiting, max(0, room)):
                        arguments = self._make, _packed(task), __version__
                        future = client.submit(_on_worker, *arguments, key=_key(), pure=False)
                        submitted[future.key] = task, future  # Dask forgets a future that nobody holds
                        future.add_done_callback(ended.put)
                if not submitted:
                    return
                future = _next(ended, client)
                task, _ = submitted.pop(future.key)
                run = _run_of(future, task, client)
                _check_seen(task, run)
                yield task, run


def _connected(scheduler: str) -> Any:
    from distributed import Client

    is_address = "://" in scheduler
    if not is_address and not Path(scheduler).is_file():
        raise InvalidInputError(f"{scheduler} is not a file; expected tcp://HOST:PORT or the file of a Dask scheduler")
    where = {"address": scheduler} if is_address else {"scheduler_file": scheduler}
    with _network_errors(f"cannot reach the Dask scheduler {scheduler}"):
        return Client(**where, set_as_default=False)


@contextmanager
def _network_errors(sentence: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: an address of another form
        raise NetworkError(f"{sentence} ({type(error).__name__})") from error


def _next(ended: Queue, client: Any) -> Any:
    """The next future that ended."""
    while True:
        with suppress(Empty):
            return ended.get(timeout=_LOOK)
        _check(client)


def _check(client: Any) -> None:
    if client.status in ("closing", "closed"):
        raise NetworkError(_LOST)


def _run_of(future: Any, task: CaseTask, client: Any) -> CaseRun:
    from distributed import KilledWorker

    try:
        found = _result(future, client)
    except KilledWorker:
        clear_after_kill(task)
        return failed(task, "its worker ended, and so did those that tried it again", 0.0, WORKER_ENDED)
    if isinstance(found, Exception):
        raise found
    return found


def _check_seen(task: CaseTask, run: CaseRun) -> None:
    """Raise ``BackendError`` if a worker has other folders under the paths of the case and of its results."""
    is_written_elsewhere = run.row["state"] == "done" and not (task.folder / MARKER).is_file()
    is_not_found = run.row.get("error_code") == FileNotFoundError.__name__
    if is_written_elsewhere or (is_not_found and all(file.exists() for file in task.case.files or [task.case.path])):
        raise BackendError(_OTHER_FOLDERS)


def _result(future: Any, client: Any) -> Any:
    """Waits again if the worker that held the result has died."""
    from distributed import KilledWorker, TimeoutError

    while True:
        try:
            return future.result(timeout=_LOOK)
        except KilledWorker:
            raise
        except TimeoutError:
            _check(client)
        except (OSError, CancelledError) as error:
            raise NetworkError(_LOST) from error
        except Exception as error:
            name = type(error).__name__
            raise BackendError(
                f"a worker cannot run cardiacseg ({name}); it needs the version of this program"
            ) from error


def _key() -> str:
    """Of a task; it stands in Dask's logs, so it does not name the case."""
    return f"cardiacseg-{uuid.uuid4().hex}"


def _packed(value: Any) -> bytes:
    """Compressed, so that no name of a file can be read in Dask's logs."""
    return zlib.compress(pickle.dumps(value))


def _unpacked(data: bytes) -> Any:
    return pickle.loads(zlib.decompress(data))


def _on_worker(make: bytes, packed: bytes, version: str) -> CaseRun | Exception:
    """The run of a case, or why this worker can run none. One case at a time, whatever the worker's threads."""
    if version != __version__:
        return BackendError(f"a worker has cardiacseg {__version__}; expected {version}, as this program has")
    with _ONE_AT_A_TIME:
        try:
            segment_one = _made(make)
        except Exception as error:  # returned, because Dask would log it with the arguments
            return error
        task = _unpacked(packed)
        return run_case(task, segment_one) if task.output.is_dir() else BackendError(_OTHER_FOLDERS)


@lru_cache(maxsize=1)
def _made(make: bytes) -> SegmentCase:
    warnings.simplefilter("ignore", InputWarning)
    return _unpacked(make)()
