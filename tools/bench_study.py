#!/usr/bin/env python3
"""Times a whole study, from its files to all results, in new processes: reading, segmenting, writing, peak memory.

With --batch N: studies per hour of a batch of N copies, in one process and in several, alternating.
With --shapes N: the memory of one process that segments stacks of N random shapes, and the time of each.
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

PARTS = ("read", "segment", "measure", "write", "report")


def run_once(source: Path, folder: Path, words: list[str]) -> dict[str, float]:
    """Seconds of each part and of the whole process, and its peak memory in MB."""
    found = run_command("segment", source, "-o", folder, "--quiet", *words)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    shape = report["input"]["shape_frames_slices_rows_columns"]
    return {"shape": shape, **report["seconds"], "process": found["wall"], "peak memory, MB": found["memory"]}


def run_command(*words: object) -> dict[str, float]:
    """Seconds that a command of cardiacseg takes by the clock and of processors, and its largest process in MB."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "cardiacseg.cli", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    memory = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return {"wall": seconds, "processor": usage.ru_utime + usage.ru_stime, "memory": memory}


def bench_batch(source: Path, count: int, jobs: list[int], repeats: int, words: list[str]) -> None:
    """Print studies per hour, and seconds of each study by part, of batches in so many processes."""
    runs: dict[int, list[dict[str, float]]] = {number: [] for number in jobs}
    with tempfile.TemporaryDirectory() as scratch:
        studies = Path(scratch) / "studies"
        copy_study(source, studies, count)
        for repeat in range(repeats):
            for number in jobs:
                output = Path(scratch) / f"results-{number}-{repeat}"
                found = run_command("batch", studies, "-o", output, "--quiet", "--jobs", number, *words)
                runs[number].append({**found, **median_parts(output)})
                shutil.rmtree(output)
    print(f"{count} studies in a batch, median of {repeats} batches; seconds of each study by part")
    print(f"jobs  studies/hour  {'  '.join(f'{part:>8}' for part in PARTS)}  processor s/study  largest process, MB")
    for number, rows in runs.items():
        middle = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
        parts = "  ".join(f"{middle[part]:8.2f}" for part in PARTS)
        cost = f"{middle['processor'] / count:17.2f}  {middle['memory']:19.0f}"
        print(f"{number:4}  {3600 * count / middle['wall']:12.0f}  {parts}  {cost}")


def copy_study(source: Path, folder: Path, count: int) -> None:
    """``count`` copies of a study, each a zip, so that equal UIDs do not join them, or of a NIfTI file."""
    folder.mkdir()
    for number in range(count):
        if source.is_dir():
            shutil.make_archive(str(folder / f"study-{number}"), "zip", source)
        else:
            shutil.copyfile(source, folder / f"study-{number}-{source.name}")


def median_parts(output: Path) -> dict[str, float]:
    """Medians over the cases of a batch."""
    reports = [json.loads(path.read_text(encoding="utf-8"))["seconds"] for path in output.glob("*/report.json")]
    return {part: statistics.median(report.get(part, 0.0) for report in reports) for part in PARTS}


def memory_now() -> float:
    """Resident memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / (1 << 20)


def soak(shapes: int, cache: str | None) -> None:
    """Segment stacks of random shapes and print the memory after each tenth of them."""
    import numpy as np

    from cardiacseg.segmenter import CardiacSegmenter

    warnings.simplefilter("ignore")  # noise is not a heart
    random, segmenter = np.random.default_rng(0), CardiacSegmenter(device="cpu", cache=cache)
    memory, seconds = [memory_now()], []
    print(f"shapes  memory, MB  highest, MB  median s  (before: {memory[0]:.0f} MB)")
    for number in range(1, shapes + 1):
        shape = random.integers((4, 128, 128), (17, 353, 353))
        stack = random.integers(0, 1000, shape, dtype=np.uint16)
        started = time.perf_counter()
        segmenter.run(stack, spacing=(8.0, *random.uniform(1.0, 1.6, 2)))
        seconds.append(time.perf_counter() - started)
        memory.append(memory_now())
        if number % math.ceil(shapes / 10) == 0 or number == shapes:
            print(f"{number:6} {memory[-1]:11.0f} {max(memory):12.0f} {statistics.median(seconds):9.2f}", flush=True)


def main() -> None:
    """Run the command several times and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input", type=Path, nargs="?", help="a NIfTI file or a DICOM study")
    parser.add_argument("--repeats", type=int, default=3, help="processes, or batches of each kind, to run (3)")
    parser.add_argument("words", nargs="*", help="further arguments for 'cardiacseg segment' or 'batch', after --")
    parser.add_argument("--batch", type=int, metavar="N", help="instead, batches of N copies of the input")
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2], help="with --batch: numbers of processes (1 2)")
    parser.add_argument(
        "--shapes", type=int, help="instead, segment stacks of this number of random shapes in one process"
    )
    parser.add_argument("--cache", help="with --shapes: folder of compiled networks, or 'off' (the user's cache)")
    options = parser.parse_args()
    if options.shapes:
        soak(options.shapes, options.cache)
        return
    if options.input is None:
        parser.error("expected a NIfTI file, a DICOM study or --shapes")
    if options.batch:
        bench_batch(options.input, options.batch, options.jobs, options.repeats, options.words)
        return
    with tempfile.TemporaryDirectory() as folder:
        runs = [run_once(options.input, Path(folder) / str(run), options.words) for run in range(options.repeats)]
    shape = " x ".join(map(str, runs[0].pop("shape")))
    print(f"{shape} (phases, slices, rows, columns), median of {len(runs)} processes")
    for part in runs[0]:
        unit = "" if "MB" in part else " s"
        print(f"  {part:<16} {statistics.median(run[part] for run in runs):8.2f}{unit}")


if __name__ == "__main__":
    main()
