"""Work of a batch that other processes import: it writes results at once, and can kill its process or wait."""

import hashlib
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from cardiacseg.errors import BundleError
from cardiacseg.study.batch import ThisProcess, run_cases
from cardiacseg.study.nifti_cases import Case


class Work:
    """Results are digests of the case's file. Each call is a line in the file ``log``.

    The first call for the case ``killed_at`` kills its process in the middle, the first for ``waits_at`` never ends.
    """

    def __init__(self, log, killed_at=None, waits_at=None):
        self.made_with = {"work": 1}
        self._log, self._killed_at, self._waits_at = Path(log), killed_at, waits_at

    def __call__(self, case, folder):
        (folder / "labels.nii.gz").write_text("half")
        before = lines(self._log)
        with open(self._log, "a") as log:
            log.write(f"{case.name}\n")
        if case.name not in before and case.name == self._killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if case.name not in before and case.name == self._waits_at:
            time.sleep(600)
        content = case.path.read_bytes()
        (folder / "labels.nii.gz").write_text(hashlib.sha256(content).hexdigest())
        return {"frames": len(content), "lv_edv_ml": len(content) / 7}


def second_killed(log):
    """A segmenter; the second process that makes one is killed."""
    for start in ("first", "second", "third"):
        with suppress(FileExistsError):
            open(f"{log} {start}", "x").close()
            break
    if start == "second":
        os.kill(os.getpid(), signal.SIGKILL)
    return Work(log, killed_at="c03")


def run_batch(cases, output, segment_one, **more):
    """A batch in this process."""
    return run_cases(cases, output, ThisProcess(segment_one), **more)


def no_work(how):
    """A segmenter that cannot be made."""
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise BundleError("expected a bundle, got none")


def lines(log):
    """The names of the cases in the order in which work on them began."""
    return log.read_text().splitlines() if log.exists() else []


def complete(folder):
    """The names of the cases whose results are complete."""
    markers = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/case.json")}
    return {name for name, marker in markers.items() if marker["state"] == "complete"}


def make_cases(folder, count):
    """Cases with files of different length in a new folder."""
    folder.mkdir()
    for number in range(count):
        (folder / f"c{number:02}.nii").write_bytes(b"x" * (number + 1))
    return [Case(f"c{number:02}", folder / f"c{number:02}.nii", "nifti") for number in range(count)]


def without_seconds(table):
    """The lines of a table without the column of seconds, the third."""
    cells = [line.split(",") for line in table.read_text().splitlines()]
    assert cells[0][2] == "seconds"
    return [[*row[:2], *row[3:]] for row in cells]


def wait_for(condition, seconds=60):
    """Wait until ``condition()`` is true, and return its value."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found
