#!/usr/bin/env python3
"""Latency on this machine's CPU, side by side in one run: bench.py [--bundle DIR] [--slices 10] [--rounds 20]

Rows: the whole of CardiacSegmenter.run (array to labels), and the same networks alone, on the same shapes, in ONNX
Runtime and in eager PyTorch. The rows take turns within each round, so that a machine whose speed drifts slows all
of them alike. PyTorch runs the registered model with fresh weights: the time does not depend on their values.
Also: each stage's time, share of the GEMM peak, time of `import cardiacseg`, and time from process start to written
masks.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default="default", help="bundled model's name, or a folder (default: %(default)s)")
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=0, help="threads for every row (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def summary(samples: list[float]) -> dict[str, float]:
    return {"p50_ms": statistics.median(samples), "p95_ms": float(np.percentile(samples, 95))}


def network_inputs(manifest: dict, slices: int, image: np.ndarray, spacing: tuple) -> dict[str, np.ndarray]:
    """Inputs of the shapes that the runtime gives to each network for this stack."""
    rules = manifest["preprocessing"]
    multiple, coarse = rules["locate"]["size_multiple"], rules["locate"]["spacing_mm"]
    sides = [
        -(-round(length * mm / coarse) // multiple) * multiple
        for length, mm in zip(image.shape[-2:], spacing[1:], strict=True)
    ]
    crop = rules["crop_pixels"]
    random = np.random.default_rng(0)
    inputs = {
        "locate": random.random((1, slices, 1, *sides), np.float32),
        "seg": random.random((1, slices, 1, crop, crop), np.float32),
        "ref": random.normal(size=(1, slices, 4, crop, crop)).astype(np.float32),
    }
    return {stage: inputs[stage] for stage in manifest["networks"]}


def onnxruntime_call(folder: Path, manifest: dict, inputs: dict, threads: int) -> Callable[[], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    sessions = {
        stage: onnxruntime.InferenceSession(
            str(folder / manifest["networks"][stage]), options, providers=["CPUExecutionProvider"]
        )
        for stage in inputs
    }

    def call():
        for stage, session in sessions.items():
            session.run(None, {session.get_inputs()[0].name: inputs[stage]})

    return call


def pytorch_call(manifest: dict, inputs: dict, channels_last: bool) -> Callable[[], object]:
    import torch

    from cardiacseg.export.onnx import stage_graphs
    from cardiacseg.models import create_model

    model = create_model(manifest["model"]).eval()
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    graphs = stage_graphs(model)
    tensors = {stage: torch.from_numpy(array) for stage, array in inputs.items()}

    def call():
        with torch.inference_mode():
            for stage, graph in graphs.items():
                graph(tensors[stage])

    return call


def gemm_peak() -> float:
    """GFLOP/s of the best of several fp32 matrix products."""
    import torch

    side = 2048
    left, right = torch.rand(side, side), torch.rand(side, side)
    best = min(milliseconds(lambda: torch.mm(left, right)) for _ in range(10))
    return 2 * side**3 / best / 1e6


def work_gflop(manifest: dict, inputs: dict) -> float:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    call = pytorch_call(manifest, inputs, channels_last=False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    return counter.get_total_flops() / 1e9


def fresh_process(code: str, rounds: int = 5) -> dict[str, float]:
    """Wall time of a new Python process that runs ``code``."""
    command = [sys.executable, "-c", code]
    return summary(
        [milliseconds(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(rounds)]
    )


def start_times(bundle: str, image: np.ndarray, spacing: tuple) -> dict[str, dict[str, float]]:
    import nibabel

    with tempfile.TemporaryDirectory() as folder:
        nibabel.save(
            nibabel.Nifti1Image(image.T, np.diag([-spacing[2], -spacing[1], spacing[0], 1])), f"{folder}/stack.nii.gz"
        )
        command = ["segment", f"{folder}/stack.nii.gz", "-o", f"{folder}/out", "--overwrite", "--model", bundle]
        everything, no_report = (
            fresh_process(f"from cardiacseg.cli import main; main({words!r})")
            for words in (command, [*command, "--no-report"])
        )
    bare, imported = fresh_process("pass"), fresh_process("import cardiacseg")
    return {
        "import cardiacseg": {key: imported[key] - bare[key] for key in bare},
        "process start to results without report": no_report,
        "process start to all results": everything,
    }


def measure(arguments: argparse.Namespace) -> dict:
    import torch

    from cardiacseg import CardiacSegmenter
    from cardiacseg.phantom import beating_heart
    from cardiacseg.segmenter import bundle_folder

    threads = arguments.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    folder = bundle_folder(arguments.bundle)
    manifest = json.loads((folder / "manifest.json").read_text())
    phantom = beating_heart(frames=1, slices=arguments.slices)
    image = np.asarray(phantom.image)[0]
    inputs = network_inputs(manifest, arguments.slices, image, phantom.spacing)
    segmenter = CardiacSegmenter(arguments.bundle, device="cpu", threads=threads)
    stages: dict[str, list[float]] = {}

    def run():
        for stage, time_ms in segmenter.run(image, spacing=phantom.spacing).report.stages.items():
            stages.setdefault(stage, []).append(time_ms)

    calls = {
        "cardiacseg (array to labels)": run,
        "ONNX Runtime (networks only)": onnxruntime_call(folder, manifest, inputs, threads),
        "PyTorch eager (networks only)": pytorch_call(manifest, inputs, channels_last=False),
        "PyTorch eager, channels last": pytorch_call(manifest, inputs, channels_last=True),
    }
    for call in calls.values():
        call(), call()
    samples = {name: [] for name in calls}
    for _ in range(arguments.rounds):
        for name, call in calls.items():
            samples[name].append(milliseconds(call))
    ours, *others = (np.array(times) for times in samples.values())
    ratios = {name: float(np.median(times / ours)) for name, times in zip(list(calls)[1:], others, strict=True)}
    gflop, peak = work_gflop(manifest, inputs), gemm_peak()
    rate = gflop / (float(np.median(ours)) / 1e3)
    return {
        "threads": threads,
        "stack": f"{arguments.slices} x {image.shape[1]} x {image.shape[2]}",
        "latency": {name: summary(times) for name, times in samples.items()},
        "stages_ms": {stage: statistics.median(times) for stage, times in stages.items()},
        "times_slower_than_cardiacseg": ratios,
        "gflop": gflop,
        "gflop_per_second": rate,
        "gemm_peak_gflop_per_second": peak,
        "share_of_gemm_peak": rate / peak,
        "start": start_times(arguments.bundle, image, phantom.spacing),
    }


def table(result: dict) -> str:
    lines = [
        f"{result['stack']} stack, {result['threads']} threads, {result['gflop']:.0f} GFLOP",
        "",
        "| | p50 ms | p95 ms | times slower |",
        "|---|---|---|---|",
    ]
    for name, times in {**result["latency"], **result["start"]}.items():
        ratio = result["times_slower_than_cardiacseg"].get(name)
        lines.append(f"| {name} | {times['p50_ms']:.0f} | {times['p95_ms']:.0f} | {f'{ratio:.2f}' if ratio else ''} |")
    lines.append(
        f"\n{result['gflop_per_second']:.0f} GFLOP/s in all of run, {100 * result['share_of_gemm_peak']:.0f} % "
        f"of this machine's fp32 GEMM peak of {result['gemm_peak_gflop_per_second']:.0f} GFLOP/s"
    )
    lines.append("stages, ms: " + ", ".join(f"{stage} {time:.1f}" for stage, time in result["stages_ms"].items()))
    return "\n".join(lines)


if __name__ == "__main__":
    options = parse_arguments()
    found = measure(options)
    print(json.dumps(found, indent=2) if options.json else table(found))
