"""Batches in worker processes: the same results in any order, workers that are killed, signals, real networks."""

import csv
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
from batch_work import Work, complete, lines, make_cases, no_work, run_batch, second_killed, wait_for, without_seconds

from cardiacseg.errors import BackendError, BundleError
from cardiacseg.study.batch import run_cases
from cardiacseg.study.case_run import CaseSegmenter
from cardiacseg.study.cases import find_cases
from cardiacseg.study.processes import WorkerProcesses
from cardiacseg.study.segment import ResultOptions, StudyOptions

HERE = Path(__file__).parent


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def alone(tmp_path):
    """Six cases, and their table after a batch in this process."""
    cases = make_cases(tmp_path / "in", 6)
    run_batch(cases, tmp_path / "alone", Work(tmp_path / "alone.log"))
    return cases, without_seconds(tmp_path / "alone/summary.csv")


def test_processes_write_what_one_process_writes(tmp_path, alone):
    cases, expected = alone
    steps, executor = [], WorkerProcesses(partial(Work, tmp_path / "log"), 2)
    found = run_cases(cases, tmp_path / "out", executor, progress=lambda *step: steps.append(step))
    assert steps == [(done, 6) for done in range(7)]
    assert without_seconds(found.table) == expected
    assert names(tmp_path / "out") == names(tmp_path / "alone")
    for case in cases:
        one, other = (tmp_path / run / case.name / "labels.nii.gz" for run in ("out", "alone"))
        assert one.read_bytes() == other.read_bytes()
    again = run_cases(cases, tmp_path / "out", executor)
    assert again.kept == tuple(case.name for case in cases) and again.rows == found.rows
    assert sorted(lines(tmp_path / "log")) == [case.name for case in cases]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_worker_fails_its_case_and_is_replaced(tmp_path, alone, jobs):
    cases, expected = alone
    executor = WorkerProcesses(partial(Work, tmp_path / "log", killed_at="c01"), jobs)
    found = run_cases(cases, tmp_path / "out", executor)
    assert found.failed == ["c01"] and found.rows[1]["error"] == "worker ended by signal 9"
    assert names(tmp_path / "out") == ["c00", "c02", "c03", "c04", "c05", "summary.csv"]
    assert run_cases(cases, tmp_path / "out", executor).kept == ("c00", "c02", "c03", "c04", "c05")
    assert without_seconds(found.table) == expected
    assert sorted(lines(tmp_path / "log")) == ["c00", "c01", "c01", "c02", "c03", "c04", "c05"]


@pytest.mark.parametrize(
    ("how", "error", "sentence"),
    [
        ("raises", BundleError, "expected a bundle, got none"),
        ("killed", BackendError, "worker ended by signal 9 before its model was loaded"),
    ],
)
def test_workers_that_cannot_start_end_the_batch(tmp_path, how, error, sentence):
    with pytest.raises(error, match=sentence):
        run_cases(make_cases(tmp_path / "in", 3), tmp_path / "out", WorkerProcesses(partial(no_work, how), 2))
    assert not (tmp_path / "out").exists()


def test_a_worker_that_is_killed_before_its_model_is_loaded_is_not_replaced(tmp_path, alone):
    """Memory that is enough for one process: it goes on alone, and is replaced if it is killed later."""
    cases, _ = alone
    found = run_cases(cases, tmp_path / "out", WorkerProcesses(partial(second_killed, tmp_path / "log"), 2))
    assert found.failed == ["c03"] and lines(tmp_path / "log") == [case.name for case in cases]
    assert (tmp_path / "log third").exists()


RUN = """
import os, signal, sys
from functools import partial
from pathlib import Path
from batch_work import Work, make_cases
from cardiacseg.study.batch import run_cases
from cardiacseg.study.processes import WorkerProcesses

root = Path(sys.argv[1])
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background job ignores
    cases = make_cases(root / "in", 4)
    run_cases(cases, root / "out", WorkerProcesses(partial(Work, root / "log", waits_at="c01"), 2))
"""


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_batch_that_is_ended_ends_its_workers(tmp_path, number):
    """Ctrl-C goes to all processes of a terminal, as here; after SIGKILL of the first the others end by themselves."""
    (tmp_path / "run.py").write_text(RUN)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, tmp_path / "run.py", tmp_path],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: {"c01", "c03"} <= set(lines(tmp_path / "log")))
    wait_for(lambda: "c03" in complete(tmp_path / "out"))
    workers = children(process.pid)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=60)
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    assert process.returncode != 0
    assert errors.count("Traceback") == (number == signal.SIGINT)  # that of this script alone
    assert not (tmp_path / "out/c01").exists()
    again = run_batch(make_again(tmp_path), tmp_path / "out", Work(tmp_path / "log"))
    assert again.kept == ("c00", "c02", "c03") and again.failed == []
    assert names(tmp_path / "out") == ["c00", "c01", "c02", "c03", "summary.csv"]


def make_again(folder):
    (folder / "in").rename(folder / "old")
    return make_cases(folder / "in", 4)


def test_the_command_line_in_two_processes(tmp_path, tiny_bundle, segmenter, cine):
    """Real networks: every file that holds no time has the same bytes as in one process."""
    (tmp_path / "in").mkdir()
    for number in range(3):
        image = (np.roll(cine, number, axis=-1).transpose(3, 2, 1, 0)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(image, np.diag([-1.25, -1.5, 8, 1])), tmp_path / f"in/c{number}.nii.gz")
    options = StudyOptions(results=ResultOptions(report=False))
    run_batch(find_cases(tmp_path / "in"), tmp_path / "one", CaseSegmenter(segmenter, options, str(tiny_bundle)))
    command = [sys.executable, "-m", "cardiacseg.cli", "batch", "in", "-o", "two", "--jobs", "2", "--no-report"]
    done = subprocess.run([*command, "--model", tiny_bundle], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "3 of 3 cases done (0 kept), 0 failed"
    assert without_seconds(tmp_path / "one/summary.csv") == without_seconds(tmp_path / "two/summary.csv")
    for path in (tmp_path / "one").rglob("*.*"):
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        if path.name not in ("report.json", "case.json", "summary.csv"):
            assert other.read_bytes() == path.read_bytes(), path.name
    kept = run_batch(find_cases(tmp_path / "in"), tmp_path / "two", CaseSegmenter(segmenter, options, str(tiny_bundle)))
    assert kept.kept == ("c0", "c1", "c2")
    only = subprocess.run(
        [*command[:-3], "--only", "measurements", "--model", tiny_bundle, "-o", "only"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert only.returncode == 0
    assert names(tmp_path / "only/c0") == [
        "case.json",
        "measurements.json",
        "quality.json",
        "report.json",
        "slices.csv",
    ]
    with open(tmp_path / "only/summary.csv", newline="") as table:
        assert [row["state"] for row in csv.DictReader(table)] == ["done"] * 3
