"""Damaged DICOM and NIfTI files: reading gives a cine or a typed error, soon, in little memory, and leaves nothing.

The cases run in a process of their own under a limit of memory; ``tests/fuzz/run.py`` says how to run many more.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="the extra dicom is not installed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and counts memory as Linux does")
RUN = Path(__file__).parents[1] / "fuzz/run.py"
COUNT = os.environ.get("CARDIACSEG_FUZZ_COUNT", "6")
SEED = os.environ.get("CARDIACSEG_FUZZ_SEED", "0")
MOST_MIB = 1500  # of which 1000 are half a deflated bomb and its copy


def run(*words, count=COUNT):
    """The summary of a run, and the names of the cases before it."""
    command = [sys.executable, RUN, "--seed", SEED, "--count", count, *words]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300 + 10 * int(count))
    lines = process.stdout.splitlines()
    assert process.returncode in (0, 1), f"ended with {process.returncode} in {lines[-1:]}\n{process.stderr[-4000:]}"
    return json.loads(lines[-1]), lines[:-1]


@pytest.mark.parametrize("count", [COUNT, pytest.param("60", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("corpus", "fewest"), [("dicom", 100), ("folders", 60), ("nifti", 300)])
def test_damaged_files(corpus, fewest, count):
    summary, names = run("--corpus", corpus, count=count)
    assert summary["failures"] == []
    assert sum(summary["counts"].values()) == len(names) >= fewest
    assert min(summary["counts"]["error"], summary["counts"]["cine"]) > 10  # neither everything nor nothing is refused
    assert summary["peak_mib"] < MOST_MIB


def test_the_judge_finds_what_is_wrong(tmp_path):
    """A reader that raises, warns, prints, tells or leaves something is noticed."""
    program = (
        "import json, sys, tempfile, warnings; sys.path.insert(0, {folder!r}); import run\n"
        "from damage import Case; from pathlib import Path; from cardiacseg.errors import InvalidInputError\n"
        "def bad(source):\n"
        "    warnings.warn('odd'); print('hello'); tempfile.mkstemp(dir=source); raise {error}\n"
        "run.cardiacseg.io.read_cine = bad; root = Path({root!r}); watched = root / 'watched'; watched.mkdir()\n"
        "case = Case('a whole file', lambda folder: str(watched))\n"
        "outcome, _, problems = run.judge(case, root / 'case', watched, 60)\n"
        "json.dump([outcome, problems], sys.stdout)\n"
    )
    for number, (error, outcome, words) in enumerate(
        [
            ("KeyError('x')", "failure", "raises KeyError"),
            ("InvalidInputError('Heartless^Tin^Man')", "error", "the error tells Tin^Man"),
            ("InvalidInputError('one\\ntwo')", "error", "the error is not one sentence"),
            ("InvalidInputError('\\udcff')", "error", "cannot be printed"),
        ]
    ):
        root = tmp_path / str(number)
        root.mkdir()
        text = program.format(folder=str(RUN.parent), root=str(root), error=error)
        process = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
        assert process.returncode == 0, process.stderr
        found, problems = json.loads(process.stdout)
        assert found == outcome
        for expected in (words, "warns: odd", "prints: hello", "leaves tmp", "refused, though"):
            assert any(expected in problem for problem in problems), (expected, problems)


def test_a_case_that_hangs_ends_the_run(tmp_path):
    """The limit of one case also holds if the reader waits inside a system call."""
    program = (
        "import sys, time; sys.path.insert(0, {folder!r}); import run\n"
        "run.cardiacseg.io.read_cine = lambda source: time.sleep(600); sys.argv = ['run.py', '--seconds', '1']\n"
        "run.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program.format(folder=str(RUN.parent))],
        env={**os.environ, "TMPDIR": str(tmp_path)},  # the end is too sudden to clean up
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    watch = threading.Timer(120, process.kill)
    watch.start()
    output, errors = process.communicate()
    watch.cancel()
    assert process.returncode == 1 and b"Timeout (0:00:01)" in errors
    assert output.splitlines()[-1].startswith(b"dicom: ")
