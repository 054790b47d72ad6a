#!/usr/bin/env python3
"""Latency on this machine's GPU, side by side in one run: bench_gpu.py [--engines NAME=DIR ...] [--rounds 200]

Rows: CardiacSegmenter.run from a host array to host labels and, if PyTorch also sees the GPU, from an array that is
already on the device to labels that stay there, once for each folder of engines; and the same networks alone, on inputs
that lie on the device, in PyTorch: eager float32, eager float16 (autocast, channels last) and torch.compile with CUDA
graphs. The rows take turns within each round. PyTorch runs the registered model with fresh weights: the time does not
depend on their values. Also: each stage's time by CUDA events, the first call against later ones, two threads against
one, device memory before and after 1,000 runs, and the fraction of the float16 matrix rate measured in the same run.

Exit code: 0, or 2 if no engine runs on a GPU here.
"""

import argparse
import copy
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

CASES = ("1x1", "1x10", "1x18", "25x10")
SPACING_NOTE = "frames x slices"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="default", help="'default' or a bundle's folder (default: %(default)s)")
    parser.add_argument(
        "--engines",
        action="append",
        metavar="NAME=DIR",
        help="a folder of engines and its name in the table; may be repeated (default: the folder that run searches)",
    )
    parser.add_argument("--cases", nargs="+", default=CASES, metavar="FxS", help=f"{SPACING_NOTE} ({' '.join(CASES)})")
    parser.add_argument("--rounds", type=int, default=200, help="timed runs of each row (default: %(default)s)")
    parser.add_argument("--long-run", type=int, default=1000, help="runs between two readings of device memory (1000)")
    parser.add_argument("--no-torch", action="store_true", help="leave out the rows that need PyTorch")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to FILE")
    arguments = parser.parse_args()
    arguments.engines = dict(one.partition("=")[::2] for one in arguments.engines or ["engines="])
    return arguments


def milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def summary(samples: list[float]) -> dict[str, float]:
    return {f"p{rank}_ms": float(np.percentile(samples, rank)) for rank in (50, 95, 99)}


def gpu_torch():
    """PyTorch if it is installed and sees a GPU, else None."""
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def our_rows(segmenters: dict, image: np.ndarray, spacing: tuple, torch) -> dict[str, Callable[[], object]]:
    rows = {}
    on_device = torch.from_numpy(image.astype(np.int32)).to("cuda") if torch else None
    for name, segmenter in segmenters.items():
        rows[f"{name}: host array to host labels"] = lambda s=segmenter: s.run(image, spacing=spacing)
        if torch:
            rows[f"{name}: device to device"] = lambda s=segmenter: s.run(
                on_device, spacing=spacing, device_labels=True
            )
    return rows


def torch_rows(manifest: dict, frames: int, slices: int, torch, compiled: bool) -> dict[str, Callable[[], object]]:
    """Locate, Seg and Ref one after another; each call waits for the GPU."""
    from cardiacseg.export.onnx import stage_graphs
    from cardiacseg.models import create_model

    rules = manifest["preprocessing"]
    crop, multiple = rules["crop_pixels"], rules["locate"]["size_multiple"]
    coarse = -(-round(320 / rules["locate"]["spacing_mm"]) // multiple) * multiple
    sides = {"locate": (1, coarse), "seg": (1, crop), "ref": (4, crop)}
    graphs = stage_graphs(create_model(manifest["model"]).eval().cuda())
    inputs = {
        stage: torch.rand(frames, slices, sides[stage][0], sides[stage][1], sides[stage][1], device="cuda")
        for stage in graphs
    }

    def run(networks: dict, dtype) -> None:
        with torch.inference_mode(), torch.autocast("cuda", dtype or torch.float16, enabled=dtype is not None):
            for stage, network in networks.items():
                network(inputs[stage])
        torch.cuda.synchronize()

    rows = {"PyTorch eager float32": lambda: run(graphs, None)}
    last = {stage: copy.deepcopy(graph).to(memory_format=torch.channels_last) for stage, graph in graphs.items()}
    rows["PyTorch eager float16, channels last"] = lambda: run(last, torch.float16)
    if compiled:
        fast = {stage: torch.compile(graph, mode="reduce-overhead", dynamic=False) for stage, graph in last.items()}
        rows["torch.compile float16, CUDA graphs"] = lambda: run(fast, torch.float16)
    return rows


def take_turns(rows: dict[str, Callable[[], object]], rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Times of every row and of its first call."""
    first = {name: milliseconds(call) for name, call in rows.items()}
    for call in rows.values():
        call(), call(), call()
    samples: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, call in rows.items():
            samples[name].append(milliseconds(call))
    return samples, first


def stage_times(segmenter, image: np.ndarray, spacing: tuple, rounds: int) -> dict[str, float]:
    stages: dict[str, list[float]] = {}
    for _ in range(rounds):
        for stage, spent in segmenter.run(image, spacing=spacing).report.stages.items():
            stages.setdefault(stage, []).append(spent)
    return {stage: statistics.median(times) for stage, times in stages.items()}


def two_threads(segmenter, image: np.ndarray, spacing: tuple, rounds: int) -> float:
    """Runs per second of two threads over that of one."""

    def work() -> None:
        for _ in range(rounds):
            segmenter.run(image, spacing=spacing)

    def wall(count: int) -> float:
        threads = [threading.Thread(target=work) for _ in range(count)]
        return milliseconds(lambda: [[thread.start() for thread in threads], [thread.join() for thread in threads]])

    wall(2)  # the second thread's buffers and graphs
    return 2 * wall(1) / wall(2)


def memory_growth(segmenter, image: np.ndarray, spacing: tuple, runs: int, torch) -> dict[str, float]:
    """Mebibytes of device memory in use before and after ``runs`` runs."""

    def used() -> float:
        free, total = torch.cuda.mem_get_info()
        return (total - free) / 2**20

    before = used()
    for _ in range(runs):
        segmenter.run(image, spacing=spacing)
    return {"before_mib": before, "after_mib": used()}


def work_gflop(manifest: dict, slices: int, torch) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    rows = torch_rows(manifest, 1, slices, torch, compiled=False)
    with FlopCounterMode(display=False) as counter:
        rows["PyTorch eager float32"]()
    return counter.get_total_flops() / 1e9


def half_matrix_rate(torch, side: int = 8192) -> float:
    """TFLOP/s of the best of several float16 matrix products."""
    left, right = (torch.randn(side, side, device="cuda", dtype=torch.float16) for _ in range(2))

    def product() -> None:
        left @ right
        torch.cuda.synchronize()

    return 2 * side**3 / min(milliseconds(product) for _ in range(10)) / 1e9


def measure_case(arguments: argparse.Namespace, segmenters: dict, manifest: dict, case: str, torch) -> dict:
    from cardiacseg.phantom import beating_heart

    frames, slices = map(int, case.split("x"))
    phantom = beating_heart(frames=frames, slices=slices)
    image, spacing = np.asarray(phantom.image), phantom.spacing
    rows = our_rows(segmenters, image, spacing, torch)
    if torch:
        rows |= torch_rows(manifest, frames, slices, torch, not arguments.no_compile)
    samples, first = take_turns(rows, arguments.rounds)
    ours = np.array(next(iter(samples.values())))
    main = next(iter(segmenters.values()))
    return {
        "case": f"{case} ({SPACING_NOTE}) of {image.shape[2]} x {image.shape[3]}",
        "latency": {name: {**summary(times), "first_ms": first[name]} for name, times in samples.items()},
        "times_slower": {name: float(np.median(np.array(times) / ours)) for name, times in samples.items()},
        "stages_ms": stage_times(main, image, spacing, min(50, arguments.rounds)),
        "two_threads_over_one": two_threads(main, image, spacing, min(50, arguments.rounds)),
        "memory": memory_growth(main, image, spacing, arguments.long_run, torch) if torch and case == "1x10" else None,
        "gflop": frames * work_gflop(manifest, slices, torch) if torch else None,
    }


def table(found: dict, rate: float | None) -> str:
    lines = [found["case"], "", "| | p50 ms | p95 ms | p99 ms | first ms | times slower |", "|---|---|---|---|---|---|"]
    for name, times in found["latency"].items():
        cells = [f"{times[key]:.2f}" for key in ("p50_ms", "p95_ms", "p99_ms", "first_ms")]
        lines.append(f"| {name} | {' | '.join(cells)} | {found['times_slower'][name]:.2f} |")
    lines.append("\nstages, ms: " + ", ".join(f"{stage} {spent:.3f}" for stage, spent in found["stages_ms"].items()))
    lines.append(f"two threads: {found['two_threads_over_one']:.2f} times the runs per second of one")
    if found["memory"]:
        before, after = found["memory"]["before_mib"], found["memory"]["after_mib"]
        lines.append(f"device memory in use: {before:.0f} MiB, after the long run {after:.0f} MiB")
    if rate and found["gflop"]:
        tflops = found["gflop"] / next(iter(found["latency"].values()))["p50_ms"]
        lines.append(f"{found['gflop']:.0f} GFLOP, {tflops:.1f} TFLOP/s in all of run: {100 * tflops / rate:.1f} % of")
        lines[-1] += f" this GPU's float16 matrix rate of {rate:.0f} TFLOP/s"
    return "\n".join(lines)


def main() -> int:
    arguments = parse_arguments()
    from cardiacseg import CardiacSegmenter
    from cardiacseg.errors import BackendError
    from cardiacseg.segmenter import bundle_folder

    segmenters = {}
    for name, folder in arguments.engines.items():
        try:
            segmenters[name] = CardiacSegmenter(arguments.bundle, device="cuda", engines=folder or None)
        except BackendError as error:
            print(f"bench_gpu: {name} is left out: {error}", file=sys.stderr)
    if not segmenters:
        print("bench_gpu: nothing was measured", file=sys.stderr)
        return 2
    torch = None if arguments.no_torch else gpu_torch()
    manifest = json.loads((bundle_folder(arguments.bundle) / "manifest.json").read_text())
    rate = half_matrix_rate(torch) if torch else None
    results, texts = [], []
    for case in arguments.cases:
        results.append(measure_case(arguments, segmenters, manifest, case, torch))
        texts.append(table(results[-1], rate))
        print(texts[-1], end="\n\n", flush=True)
        if arguments.json:
            document = {"text": "\n\n".join(texts), "half_matrix_tflops": rate, "cases": results}
            arguments.json.write_text(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
