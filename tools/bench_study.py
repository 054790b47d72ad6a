#!/usr/bin/env python3
"""Times a whole study, from its files to all results, in new processes: reading, segmenting, writing, peak memory."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PARTS = ("read", "segment", "write")


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


def main() -> None:
    """Run the command that was asked for several times and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input", type=Path, help="a NIfTI file or a DICOM study")
    parser.add_argument("--repeats", type=int, default=3, help="processes to run (3)")
    parser.add_argument("words", nargs="*", help="further words for 'cardiacseg segment', behind --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = [run_once(options.input, Path(folder) / str(run), options.words) for run in range(options.repeats)]
    shape = " x ".join(map(str, runs[0].pop("shape")))
    print(f"{shape} (phases, slices, rows, columns), median of {len(runs)} processes")
    for part in runs[0]:
        unit = "" if "MB" in part else " s"
        print(f"  {part:<16} {statistics.median(run[part] for run in runs):8.1f}{unit}")


if __name__ == "__main__":
    main()
