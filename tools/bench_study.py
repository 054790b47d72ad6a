#!/usr/bin/env python3
"""Times a whole study, from its files to all results, in new processes: reading, segmenting, writing, peak memory.

With --shapes N: the memory of one process that segments stacks of N random shapes, and the time of each.
"""

import argparse
import json
import math
import os
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
    command = [sys.executable, "-m", "cardiacseg.cli", "segment", source, "-o", folder, "--quiet", *words]
    started = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    shape = report["input"]["shape_frames_slices_rows_columns"]
    memory = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return {"shape": shape, **report["seconds"], "process": seconds, "peak memory, MB": memory}


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
    parser.add_argument("--repeats", type=int, default=3, help="processes to run (3)")
    parser.add_argument("words", nargs="*", help="further arguments for 'cardiacseg segment', after --")
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
    with tempfile.TemporaryDirectory() as folder:
        runs = [run_once(options.input, Path(folder) / str(run), options.words) for run in range(options.repeats)]
    shape = " x ".join(map(str, runs[0].pop("shape")))
    print(f"{shape} (phases, slices, rows, columns), median of {len(runs)} processes")
    for part in runs[0]:
        unit = "" if "MB" in part else " s"
        print(f"  {part:<16} {statistics.median(run[part] for run in runs):8.2f}{unit}")


if __name__ == "__main__":
    main()
