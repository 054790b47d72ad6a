"""Shards of a batch: which case is in which, ten of them with one killed, and joining their tables."""

import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread

import pytest
from batch_work import Work, lines, make_cases, run_batch, without_seconds

from cardiacseg.cli import main
from cardiacseg.errors import InvalidInputError
from cardiacseg.study.batch import ThisProcess, merge_shards, run_cases
from cardiacseg.study.case_folder import read_table, write_table
from cardiacseg.study.cases import Case
from cardiacseg.study.shards import Shard


def test_the_name_of_a_case_decides_its_shard():
    """Literals, because an existing table must stay right in later versions."""
    names = [f"patient{number:03}" for number in range(1000)]
    assert [Shard(index, 10).has("patient001") for index in range(1, 11)].index(True) == 8
    assert [Shard(index, 7).has("M\xfcller") for index in range(1, 8)].index(True) == 4
    shards = [[name for name in names if Shard(index, 10).has(name)] for index in range(1, 11)]
    assert sorted(name for shard in shards for name in shard) == names
    assert min(map(len, shards)) > 60
    assert all(Shard(1, 1).has(name) for name in (*names, "\udcff"))


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/2/3", "-1/3", "1/0", ""])
def test_shards_that_are_none(text):
    with pytest.raises(ValueError, match="expected I/N with I from 1 to N"):
        Shard.parse(text)


def run_shard(folder, cases, index, count, work):
    return run_cases(cases, folder, ThisProcess(work), shard=Shard(index, count))


KILLED = """
import sys
from pathlib import Path
from batch_work import Work, make_cases
from test_batch_shards import run_shard

root = Path(sys.argv[1])
cases = make_cases(root / "again", 40)
run_shard(root / "out", cases, 3, 10, Work(root / "log", killed_at=sys.argv[2]))
"""


def test_ten_shards_of_which_one_is_killed(tmp_path):
    cases = make_cases(tmp_path / "in", 40)
    cases[5:5] = [Case("c04_seg", tmp_path / "in/c04.nii", "nifti", left_out="it is a label map by its name")]
    cases += [Case("lost", tmp_path / "in/lost.nii", "nifti"), Case("=name", tmp_path / "in/c00.nii", "nifti")]
    cases.sort(key=lambda case: case.name)
    run_batch(cases, tmp_path / "alone", Work(tmp_path / "alone.log"))
    log = tmp_path / "log"
    third = [case.name for case in cases if case.name.startswith("c") and Shard(3, 10).has(case.name)]
    for index in (10, 9, 8, 7, 6, 5, 4, 2, 1):
        run_shard(tmp_path / "out", cases, index, 10, Work(log))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path, third[-1]], env=environment, check=False)
    assert killed.returncode == -9
    with pytest.raises(InvalidInputError, match=r"expected 10 complete shards; run these again: 3$"):
        merge_shards(tmp_path / "out")
    done_before = set(lines(log)) - {third[-1]}
    (tmp_path / "log").unlink()
    found = run_shard(tmp_path / "out", cases, 3, 10, Work(log))
    assert not done_before & set(lines(log)) and set(found.kept) == set(third[:-1])
    assert main(["batch-merge", str(tmp_path / "out")]) == 6  # the lost case failed
    assert without_seconds(tmp_path / "out/summary.csv") == without_seconds(tmp_path / "alone/summary.csv")
    hidden = [path.name for path in (tmp_path / "out").rglob(".*")]
    assert hidden == []
    one = run_shard(tmp_path / "out", cases, 1, 10, Work(log))  # again: the table is as before
    assert read_table(one.table) == [dict(row) for row in one.rows]


def test_shards_at_the_same_time(tmp_path):
    cases = make_cases(tmp_path / "in", 8)

    class Starts(Work):
        def __call__(self, case, folder):
            run_shard(tmp_path / "out", cases, 2, 2, Work(tmp_path / "log"))
            with pytest.raises(InvalidInputError, match="in use by another run"):
                run_shard(tmp_path / "out", cases, 1, 2, Work(tmp_path / "log"))
            return super().__call__(case, folder)

    assert run_shard(tmp_path / "out", cases, 1, 2, Starts(tmp_path / "log")).failed == []
    assert [row["state"] for row in merge_shards(tmp_path / "out").rows] == ["done"] * 8


def test_a_case_that_another_run_has_in_work_is_waited_for(tmp_path, monkeypatch):
    cases = make_cases(tmp_path / "in", 1)
    started, go_on, sleep = Event(), Event(), time.sleep

    class Waits(Work):
        def __call__(self, case, folder):
            started.set()
            assert go_on.wait(60)
            return super().__call__(case, folder)

    monkeypatch.setattr("time.sleep", lambda seconds: (go_on.set(), sleep(0.01)))  # the second run waits now
    first = Thread(target=run_shard, args=(tmp_path / "out", cases, 1, 1, Waits(tmp_path / "log")))
    first.start()
    assert started.wait(60)
    found = run_batch(cases, tmp_path / "out", Work(tmp_path / "log"))
    first.join()
    assert found.kept == ("c00",) and found.failed == [] and lines(tmp_path / "log") == ["c00"]


def test_tables_that_cannot_be_joined(tmp_path):
    rows = [{"case": "a", "state": "done", "seconds": 1.5, "frames": 3}]
    with pytest.raises(InvalidInputError, match=r"expected tables of all shards .*, got those of none"):
        merge_shards(tmp_path)
    write_table(tmp_path / "summary.1-of-2.csv", rows)
    write_table(tmp_path / "summary.2-of-2.csv", rows)
    with pytest.raises(InvalidInputError, match="expected one row for each case, got two for 'a'"):
        merge_shards(tmp_path)
    write_table(tmp_path / "summary.1-of-3.csv", rows)
    with pytest.raises(InvalidInputError, match="got those of 2 and of 3"):
        merge_shards(tmp_path)
    (tmp_path / "summary.1-of-3.csv").unlink()
    for text in ("case,state\na,done\n", "\xff", "", 'case,"'):
        (tmp_path / "summary.2-of-2.csv").write_bytes(text.encode("latin-1"))
        with pytest.raises(InvalidInputError, match=r"summary.2-of-2.csv"):
            merge_shards(tmp_path)
    assert not (tmp_path / "summary.csv").exists()
