"""A batch on a real Dask cluster on this machine: workers and a scheduler that are killed, then a rerun."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from threading import Thread

import nibabel
import numpy as np
import pytest
from batch_work import Work, complete, lines, make_cases, no_work, run_batch, wait_for, without_seconds

from cardiacseg.errors import BackendError, BundleError, InvalidInputError, NetworkError
from cardiacseg.study.batch import run_cases
from cardiacseg.study.case_run import CaseSegmenter
from cardiacseg.study.cases import Case, find_cases
from cardiacseg.study.segment import ResultOptions, StudyOptions

pytest.importorskip("distributed", reason="distributed is not installed")
from cardiacseg.study.cluster import DaskCluster

HERE = Path(__file__).parent
DASK = (sys.executable, "-m", "dask")


class Cluster:
    """A scheduler and workers, each a process of its own; ``file`` is the scheduler's file."""

    def __init__(self, folder):
        self.file, self._log, self.folder = folder / "scheduler.json", folder / "dask.log", folder / "workers"
        self.folder.mkdir()
        self._processes = []

    def start(self, allowed_failures=3):
        self._settings = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures)}
        self.file.unlink(missing_ok=True)
        options = ("--host", "127.0.0.1", "--scheduler-file", str(self.file))
        self._process("scheduler", "--port", "0", "--no-dashboard", *options)
        wait_for(self.file.exists)
        alone = ("--nthreads", "1", "--no-nanny", "--no-dashboard")
        before = self.log.count("Register worker")
        for _ in range(2):
            self._process("worker", *alone, *options)
        wait_for(lambda: self.log.count("Register worker") == before + 2)

    def _process(self, *words):
        environment = {**os.environ, **self._settings, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
        with open(self._log, "a") as log:
            self._processes.append(
                subprocess.Popen([*DASK, *words], env=environment, cwd=self.folder, stdout=log, stderr=log)
            )

    def kill(self, number):
        """0 is the scheduler, 1 and 2 are the workers."""
        self._processes[number].kill()

    def stop(self):
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes = []

    @property
    def log(self):
        return self._log.read_text()


@pytest.fixture
def cluster(tmp_path):
    made = Cluster(tmp_path)
    yield made
    made.stop()


def test_a_worker_and_the_scheduler_are_killed(tmp_path, cluster):
    cases, log, out = make_cases(tmp_path / "in", 8), tmp_path / "log", tmp_path / "out"
    alone = run_batch(cases, tmp_path / "alone", Work(tmp_path / "alone.log"))
    cluster.start()
    executor = DaskCluster(partial(Work, log, killed_at="c02"), str(cluster.file))
    found = run_cases(cases, tmp_path / "worker killed", executor)
    assert without_seconds(found.table) == without_seconds(alone.table)
    assert lines(log).count("c02") == 2 and len(lines(log)) == 9, (
        "another worker took the case, and no other was redone"
    )

    log.unlink()
    executor = DaskCluster(partial(Work, log, waits_at="c06"), str(cluster.file))
    killer = Thread(target=lambda: (wait_for(lambda: "c06" in lines(log)), cluster.kill(0)))
    killer.start()
    with pytest.raises(NetworkError, match="connection to the Dask scheduler was lost"):
        run_cases(cases, out, executor)
    killer.join()
    cluster.stop()
    done = complete(out)
    assert "c06" not in done
    log.write_text("c06\n")  # which does not wait any more
    cluster.start()
    found = run_cases(cases, out, executor)
    assert without_seconds(found.table) == without_seconds(alone.table)
    assert set(found.kept) == done and not done & set(lines(log)[1:])
    assert sorted(path.name for path in out.iterdir()) == [*(case.name for case in cases), "summary.csv"]
    assert "c06" not in cluster.log and str(tmp_path / "in") not in cluster.log, "no name of a case is logged"


def test_workers_that_cannot_go_on(tmp_path, cluster, monkeypatch):
    cases = make_cases(tmp_path / "in", 2)
    cluster.start(allowed_failures=0)
    executor = DaskCluster(partial(Work, tmp_path / "other log"), str(cluster.file))
    (tmp_path / "client").mkdir()
    with monkeypatch.context() as here:  # a path without a root is another folder for the workers
        here.chdir(tmp_path / "client")
        for _ in range(2):
            with pytest.raises(BackendError, match="a worker sees other folders than this program"):
                run_cases(cases, "results", executor)
            (cluster.folder / "results").mkdir(exist_ok=True)  # which the workers take for that of the batch
        (tmp_path / "client/c.nii").write_text("x")
        with pytest.raises(BackendError, match="a worker sees other folders than this program"):
            run_cases([Case("c", Path("c.nii"), "nifti")], tmp_path / "out", executor)
    with monkeypatch.context() as here:
        here.setattr("cardiacseg.study.cluster.__version__", "0.0")
        with pytest.raises(BackendError, match=r"a worker has cardiacseg .*; expected 0.0, as this program has"):
            run_cases(cases, tmp_path / "out", executor)
    with pytest.raises(BundleError, match="expected a bundle, got none"):
        run_cases(cases, tmp_path / "out", DaskCluster(partial(no_work, "raises"), str(cluster.file)))
    executor = DaskCluster(partial(Work, tmp_path / "log", killed_at="c01"), str(cluster.file))
    lost = Case("lost", tmp_path / "in/lost.nii", "nifti")  # missing here, too
    assert run_cases([lost], tmp_path / "out", executor).rows[0]["error_code"] == "FileNotFoundError"
    found = run_cases(cases, tmp_path / "out", executor)
    assert found.rows[1]["error"] == "its worker ended, and so did those that tried it again"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["c00", "summary.csv"]


def test_a_scheduler_that_is_not_there(tmp_path):
    cases, none = make_cases(tmp_path / "in", 2), str(tmp_path / "none.json")
    with pytest.raises(InvalidInputError, match=r"none.json is not a file; expected tcp://HOST:PORT or the file"):
        run_cases(cases, tmp_path / "out", DaskCluster(partial(Work, tmp_path / "log"), none))
    with pytest.raises(NetworkError, match="cannot reach the Dask scheduler nowhere://1"):
        run_cases(cases, tmp_path / "out", DaskCluster(partial(Work, tmp_path / "log"), "nowhere://1"))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_forty_cases_of_real_networks(tmp_path, cluster, tiny_bundle, segmenter, cine):
    """Through the command line; a worker is killed when 8 cases are complete, the scheduler when 20 are."""
    (tmp_path / "in").mkdir()
    for number in range(40):
        image = np.roll(cine, number, axis=-1).transpose(3, 2, 1, 0).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(image, np.diag([-1.25, -1.5, 8, 1])), tmp_path / f"in/c{number:02}.nii")
    options = StudyOptions(results=ResultOptions(report=False))
    run_batch(find_cases(tmp_path / "in"), tmp_path / "alone", CaseSegmenter(segmenter, options, str(tiny_bundle)))
    out, command = tmp_path / "out", (sys.executable, "-m", "cardiacseg.cli", "batch", "in", "-o", "out", "--no-report")
    command = [*command, "--model", tiny_bundle, "--scheduler", cluster.file]
    cluster.start()
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: len(complete(out)) >= 8)
        cluster.kill(1)
        wait_for(lambda: len(complete(out)) >= 20)
        cluster.kill(0)
        errors = process.communicate(timeout=120)[1]
    assert process.returncode == 5 and "connection to the Dask scheduler was lost" in errors, errors
    cluster.stop()
    before = {name: (out / name / "case.json").stat().st_mtime_ns for name in complete(out)}
    cluster.start()
    done = subprocess.run([*command, "--json"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["kept"]) == set(before)
    assert before == {name: (out / name / "case.json").stat().st_mtime_ns for name in before}
    assert without_seconds(out / "summary.csv") == without_seconds(tmp_path / "alone/summary.csv")
    for path in (tmp_path / "alone").glob("*/labels.nii.gz"):
        assert (out / path.parent.name / path.name).read_bytes() == path.read_bytes()
