#!/usr/bin/env python3
"""Times a whole study, from its files to all results, in new processes: reading, segmenting, writing, peak memory.

With --batch N: studies per hour of a batch of N copies, in one process and in several, alternating.
With --shapes N: the memory of one process that segments stacks of N random shapes, and the time of each.
With --mrd: the time from the last image of an MRD session to the first label image, and to the end.
"""

import argparse
import json
import math
import os
import shutil
import socket
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


def mrd_images(frames: int, slices: int) -> list[bytes]:
    """IMAGE messages of a synthetic heart in a short-axis plane, slice by slice."""
    import numpy as np

    from cardiacseg.network.mrd.messages import IMAGE_HEADER, Image, image_bytes
    from cardiacseg.phantom import beating_heart

    phantom, header = beating_heart(frames, slices), np.zeros((), IMAGE_HEADER)
    rows, columns = phantom.image.shape[2:]
    header["image_type"], header["field_of_view"] = 1, (columns * phantom.spacing[2], rows * phantom.spacing[1], 6)
    header["read_dir"], header["phase_dir"], header["slice_dir"] = (0.8, 0, 0.6), (0.36, 0.8, -0.48), (-0.48, 0.6, 0.64)
    sent = []
    for index in range(slices * frames):
        s, t = divmod(index, frames)
        header["slice"], header["phase"] = s, t
        header["position"] = s * phantom.spacing[0] * header["slice_dir"]
        header["physiology_time_stamp"] = round(t * phantom.frame_interval_ms / 2.5)
        sent.append(image_bytes(Image(header[()], b"", phantom.image[t, s][None, None])))
    return sent


def mrd_session(port: int, images: list[bytes]) -> tuple[float, float, float]:
    """Seconds from the last image to the first label image, and to CLOSE; processor seconds of both sides meanwhile."""
    from cardiacseg.network.mrd.messages import Image, MessageLimits, Reader, close_bytes, config_bytes

    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as file:
        connection.sendall(config_bytes("cardiacseg") + b"".join(images))
        started, cpu, first = time.perf_counter(), time.process_time(), 0.0
        connection.sendall(close_bytes())
        for message in iter(Reader(file, MessageLimits()).next, None):
            if isinstance(message, Image) and not first:
                first = time.perf_counter() - started
    if not first:
        raise SystemExit("the server sent no label image")
    return first, time.perf_counter() - started, time.process_time() - cpu


def mrd(repeats: int) -> None:
    """Print the times of sessions with the default model: the first of its shape in the process, and the median."""
    from cardiacseg.network.mrd.server import MrdServer, ServerOptions
    from cardiacseg.segmenter import CardiacSegmenter
    from cardiacseg.study.segment import Stopwatch, StudyOptions, analyse

    segmenter = CardiacSegmenter()
    segment = {"default": lambda cine: analyse(cine, segmenter, StudyOptions(), "", Stopwatch())}
    print("phases x slices   first session, s   median of later ones, s   to the end, s   processor time, s")
    with MrdServer(segment, ServerOptions(port=0)) as server:
        for frames, slices in ((1, 10), (25, 10)):
            images = mrd_images(frames, slices)
            times = [mrd_session(server.port, images) for _ in range(1 + repeats)]
            first, end, cpu = (statistics.median(part) for part in zip(*times[1:], strict=True))
            print(f"{frames:6} x {slices:<6} {times[0][0]:18.2f} {first:25.2f} {end:15.2f} {cpu:19.2f}", flush=True)


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
    parser.add_argument("--mrd", action="store_true", help="instead, time sessions of the MRD server")
    options = parser.parse_args()
    if options.mrd:
        mrd(options.repeats)
        return
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
