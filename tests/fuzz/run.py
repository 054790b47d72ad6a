"""Reads damaged DICOM and NIfTI files, and says which did something else than raise a typed error or give a cine.

    python tests/fuzz/run.py --seed 0 --count 12          # what the tests run
    python tests/fuzz/run.py --seed 1 --count 500         # longer, with other damage

Prints each case's name before it is read, and a summary as JSON at the end; the exit code is 1 if a case failed. A case
that takes longer than --seconds ends the run with a traceback.
"""

import argparse
import contextlib
import faulthandler
import io
import json
import re
import resource
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))

from damage import Case
from dicom_corpus import dicom_cases
from folders import folder_cases
from nifti_corpus import nifti_cases
from synthetic_dicom import SECRETS

import cardiacseg.io
from cardiacseg.errors import Error

CORPORA = {"dicom": dicom_cases, "folders": folder_cases, "nifti": nifti_cases}


def main() -> int:
    options = arguments()
    if options.memory_gib:
        limit = int(options.memory_gib * (1 << 30))
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    root = Path(tempfile.mkdtemp(prefix="fuzz-"))
    watched = root / "temporary"
    watched.mkdir()
    tempfile.tempdir = str(watched)
    try:
        summary = run(options, root, watched)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    sys.stdout.write(json.dumps(summary) + "\n")
    return 1 if summary["failures"] else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", choices=CORPORA, nargs="*", default=list(CORPORA))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=12, help="cases of each random kind")
    parser.add_argument("--seconds", type=float, default=20, help="limit for one case")
    parser.add_argument("--memory-gib", type=float, default=4, help="limit of the process's address space; 0 for none")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    return parser.parse_args()


def run(options: argparse.Namespace, root: Path, watched: Path) -> dict[str, object]:
    counts, failures, slowest, largest = {"error": 0, "cine": 0}, [], (0.0, ""), (0, "")
    for corpus in options.corpus:
        for case in CORPORA[corpus](options.seed, options.count):
            if options.only not in case.name:
                continue
            sys.stdout.write(f"{corpus}: {case.name}\n")
            sys.stdout.flush()
            before = peak_mib()
            outcome, seconds, problems = judge(case, root / "case", watched, options.seconds)
            counts[outcome] = counts.get(outcome, 0) + 1
            failures += [f"{corpus}: {case.name}: {problem}" for problem in problems]
            slowest = max(slowest, (round(seconds, 2), case.name))
            largest = max(largest, (peak_mib() - before, case.name))
    return {"counts": counts, "slowest": slowest, "most_memory": largest, "peak_mib": peak_mib(), "failures": failures}


def peak_mib() -> int:
    """Most memory that this program has had; ``ru_maxrss`` would begin with what its parent had when it forked."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024


def judge(case: Case, folder: Path, watched: Path, limit_s: float) -> tuple[str, float, list[str]]:
    """What reading gave, how long it took, and everything about it that is wrong."""
    folder.mkdir()
    said = io.StringIO()
    try:
        source, begin = case.make(folder), time.perf_counter()
        faulthandler.dump_traceback_later(limit_s, exit=True)
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stderr(said):
            warnings.simplefilter("always")
            with contextlib.redirect_stdout(said):
                outcome, problems = read(source)
        seconds = time.perf_counter() - begin
    finally:
        faulthandler.cancel_dump_traceback_later()
        shutil.rmtree(folder, ignore_errors=True)
    problems += ["is refused, though nothing is wrong with it"] if "whole" in case.name and outcome != "cine" else []
    problems += [f"warns: {str(one.message)[:200]}" for one in caught]
    problems += [f"prints: {said.getvalue()[:200]}"] if said.getvalue() else []
    problems += [f"leaves {left.name} behind" for left in watched.iterdir()]
    return outcome, seconds, problems


def read(source: object) -> tuple[str, list[str]]:
    try:
        cine = cardiacseg.io.read_cine(source)
    except Error as error:
        return "error", wrong_with_text(str(error))
    except Exception as error:
        return "failure", [f"raises {type(error).__name__}: {str(error)[:300]}"]
    return "cine", wrong_with_cine(cine)


def wrong_with_text(text: str) -> list[str]:
    problems = [f"the error tells {secret}" for secret in SECRETS if secret in text]
    if "\n" in text or not text.strip() or len(text) > 1000:
        problems.append(f"the error is not one sentence: {text[:200]!r}")
    try:
        text.encode()
    except UnicodeEncodeError:
        problems.append("the error's text cannot be printed")
    return problems


def wrong_with_cine(cine: cardiacseg.io.Cine) -> list[str]:
    import numpy as np

    problems = [problem for note in cine.notes for problem in wrong_with_text(note.text)]
    frames, slices, rows, columns = cine.image.shape
    numbers = [*cine.spacing, *cine.geometry.origin, *np.ravel(cine.geometry.direction)]
    times = [*(cine.timing.frame_times_ms or ()), cine.timing.rr_interval_ms or 0.0]
    body = [value for value in (cine.body.height_m, cine.body.weight_kg) if value is not None]
    if not np.isfinite([*numbers, *times, *body]).all():
        problems.append("a number of the cine is not finite")
    if min(cine.spacing) <= 0 or cine.image.size == 0 or cine.image.dtype.kind not in "uif":
        problems.append(f"the cine is {cine.image.shape} of {cine.image.dtype}, spacing {cine.spacing}")
    if tuple(cine.geometry.size) != (columns, rows, slices):
        problems.append(f"the geometry has size {cine.geometry.size}, the image {cine.image.shape}")
    if cine.timing.frame_times_ms and len(cine.timing.frame_times_ms) != frames:
        problems.append("not every frame has a time")
    return problems


if __name__ == "__main__":
    sys.exit(main())
