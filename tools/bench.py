#!/usr/bin/env python3
"""Latency on this machine's CPU, side by side in one run: bench.py [--bundle DIR] [--slices 10] [--rounds 20]

Rows: the whole of CardiacSegmenter.run (array to labels) in fp32 and bf16, and the same networks alone, on the same
shapes, in OpenVINO's own Python API, ONNX Runtime and PyTorch, each in float32 and bfloat16 if it has that. The rows
take turns within each round, so that a drift of the machine's speed affects all of them equally; a row whose library is
not installed, or whose precision this CPU lacks, is reported as not run. PyTorch runs the registered model with fresh
weights: the time does not depend on their values. Also: a cine of --frames stacks, the time of each stage, the fraction
of the GEMM peak, the time of `import cardiacseg`, and the time from process start to written masks.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

OURS = {"fp32": "cardiacseg, array to labels, fp32", "bf16": "cardiacseg, array to labels, bf16"}


class NotRunError(RuntimeError):
    """Why a row cannot be measured on this machine."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default="default", help="bundled model's name, or a folder (default: %(default)s)")
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--frames",
        type=int,
        default=25,
        help="frames of the cine, which runs in a tenth of the rounds; 0: no cine (default: %(default)s)",
    )
    parser.add_argument("--no-start", action="store_true", help="leave out the measurements that start new processes")
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


def openvino_call(folder: Path, manifest: dict, inputs: dict, threads: int, precision: str) -> Callable[[], object]:
    """The networks in OpenVINO's Python API, compiled for their shapes."""
    import openvino

    core = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise NotRunError("OpenVINO does not compute in bf16 natively on this CPU")
    settings = {"INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}
    requests = []
    for stage, array in inputs.items():
        network = core.read_model(folder / manifest["networks"][stage])
        network.reshape(array.shape)
        try:
            requests.append((core.compile_model(network, "CPU", settings).create_infer_request(), array))
        except RuntimeError as error:  # for example because of ONEDNN_MAX_CPU_ISA
            reason = str(error).strip().splitlines()[-1]
            raise NotRunError(f"OpenVINO could not compile {stage} in {precision}: {reason}") from error

    def call():
        for request, array in requests:
            request.infer([array], share_inputs=True, share_outputs=True)

    return call


def pytorch_call(manifest: dict, inputs: dict, channels_last: bool, autocast: bool = False) -> Callable[[], object]:
    import torch

    from cardiacseg.export.onnx import stage_graphs
    from cardiacseg.models import create_model

    if autocast and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise NotRunError("PyTorch does not compute in bfloat16 natively on this CPU")
    model = create_model(manifest["model"]).eval()
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    graphs = stage_graphs(model)
    tensors = {stage: torch.from_numpy(array) for stage, array in inputs.items()}

    def call():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            for stage, graph in graphs.items():
                graph(tensors[stage])

    return call


def gemm_peak(precision: str) -> float:
    """GFLOP/s of the best of several matrix products."""
    import torch

    side, kind = 2048, {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    left, right = torch.rand(side, side).to(kind), torch.rand(side, side).to(kind)
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


def make_rows(arguments: argparse.Namespace, shape: tuple, spacing: tuple, threads: int) -> dict[str, Callable]:
    """Functions that make the call of each row except those of cardiacseg, by the row's name."""
    from cardiacseg.segmenter import bundle_folder

    folder = bundle_folder(arguments.bundle)
    manifest = json.loads((folder / "manifest.json").read_text())
    inputs = network_inputs(manifest, arguments.slices, np.empty(shape, np.uint8), spacing)
    return {
        "OpenVINO's Python, networks only, fp32": lambda: openvino_call(folder, manifest, inputs, threads, "f32"),
        "OpenVINO's Python, networks only, bf16": lambda: openvino_call(folder, manifest, inputs, threads, "bf16"),
        "ONNX Runtime, networks only, fp32": lambda: onnxruntime_call(folder, manifest, inputs, threads),
        "PyTorch eager, networks only, fp32": lambda: pytorch_call(manifest, inputs, False),
        "PyTorch channels last, fp32": lambda: pytorch_call(manifest, inputs, True),
        "PyTorch autocast, bf16": lambda: pytorch_call(manifest, inputs, False, autocast=True),
        "PyTorch autocast, channels last, bf16": lambda: pytorch_call(manifest, inputs, True, autocast=True),
    }


def make_calls(makers: dict[str, Callable]) -> tuple[dict[str, Callable], dict[str, str]]:
    """The calls that can run here, warmed up, and the reasons why others cannot."""
    from cardiacseg.errors import BackendError

    calls, not_run = {}, {}
    for name, make in makers.items():
        try:
            call = make()
        except (ImportError, NotRunError, BackendError) as error:
            not_run[name] = str(error)
            continue
        call(), call()
        calls[name] = call
    return calls, not_run


def take_turns(calls: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    samples = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            samples[name].append(milliseconds(call))
    return samples


def ours(arguments: argparse.Namespace, threads: int, precision: str, image: np.ndarray, spacing: tuple) -> Callable:
    """cardiacseg's pipeline on ``image``; the call has the stages' times of all of its runs in ``call.stages``."""
    from cardiacseg import CardiacSegmenter

    segmenter = CardiacSegmenter(arguments.bundle, device="cpu", threads=threads, precision=precision)

    def call():
        for stage, time_ms in segmenter.run(image, spacing=spacing).report.stages.items():
            call.stages.setdefault(stage, []).append(time_ms)

    call.stages = {}
    return call


def measure(arguments: argparse.Namespace) -> dict:
    import torch

    from cardiacseg.phantom import beating_heart
    from cardiacseg.segmenter import bundle_folder

    threads = arguments.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    phantom = beating_heart(frames=max(1, arguments.frames), slices=arguments.slices)
    cine, spacing = np.asarray(phantom.image), phantom.spacing
    makers = {
        OURS[precision]: lambda precision=precision: ours(arguments, threads, precision, cine[0], spacing)
        for precision in OURS
    }
    calls, not_run = make_calls({**makers, **make_rows(arguments, cine.shape[1:], spacing, threads)})
    samples = take_turns(calls, arguments.rounds)
    manifest = json.loads((bundle_folder(arguments.bundle) / "manifest.json").read_text())
    gflop = work_gflop(manifest, network_inputs(manifest, arguments.slices, cine[0], spacing))
    shares = {}
    for precision, name in OURS.items():
        if name in calls:
            rate, peak = gflop / np.median(samples[name]) * 1e3, gemm_peak(precision)
            shares[precision] = {"gflop_per_second": rate, "gemm_peak_gflop_per_second": peak, "share": rate / peak}
    return {
        "cpu": processor(),
        "threads": threads,
        "stack": " x ".join(map(str, cine.shape[1:])),
        "latency": {name: summary(times) for name, times in samples.items()},
        "times_slower": {
            f"than {precision}": {
                other: float(np.median(np.divide(times, samples[name]))) for other, times in samples.items()
            }
            for precision, name in OURS.items()
            if name in calls
        },
        "not_run": not_run,
        "stages_ms": {
            precision: {stage: statistics.median(times) for stage, times in calls[name].stages.items()}
            for precision, name in OURS.items()
            if name in calls
        },
        "cine": cine_times(arguments, threads, cine, spacing) if arguments.frames else {},
        "gflop": gflop,
        "share_of_gemm_peak": shares,
        "start": {} if arguments.no_start else start_times(arguments.bundle, cine[0], spacing),
    }


def cine_times(arguments: argparse.Namespace, threads: int, cine: np.ndarray, spacing: tuple) -> dict:
    makers = {
        f"{name}, cine of {' x '.join(map(str, cine.shape))}": (
            lambda precision=precision: ours(arguments, threads, precision, cine, spacing)
        )
        for precision, name in OURS.items()
    }
    calls, _ = make_calls(makers)
    return {name: summary(times) for name, times in take_turns(calls, max(1, arguments.rounds // 10)).items()}


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    return ", ".join(sorted(names)) + (f", ONEDNN_MAX_CPU_ISA={limit}" if limit else "")


def table(result: dict) -> str:
    slower = result["times_slower"]
    lines = [
        f"{result['stack']} stack, {result['cpu']}, {result['threads']} threads, {result['gflop']:.0f} GFLOP",
        "",
        "| | p50 ms | p95 ms | " + " | ".join(f"times slower {name}" for name in slower) + " |",
        "|---|---|---|" + "---|" * len(slower),
    ]
    for name, times in {**result["latency"], **result["cine"], **result["start"]}.items():
        ratios = " | ".join(f"{ratio[name]:.2f}" if name in ratio else "" for ratio in slower.values())
        lines.append(f"| {name} | {times['p50_ms']:.0f} | {times['p95_ms']:.0f} | {ratios} |")
    lines.append("")
    lines += [f"not run: {name}: {reason}" for name, reason in result["not_run"].items()]
    for precision, found in result["share_of_gemm_peak"].items():
        stages = ", ".join(f"{stage} {time:.1f}" for stage, time in result["stages_ms"][precision].items())
        lines.append(
            f"{precision}: {found['gflop_per_second']:.0f} GFLOP/s in all of run, {100 * found['share']:.0f} % of this "
            f"machine's {precision} GEMM peak of {found['gemm_peak_gflop_per_second']:.0f} GFLOP/s"
        )
        lines.append(f"stages in {precision}, ms: {stages}")
    return "\n".join(lines)


if __name__ == "__main__":
    options = parse_arguments()
    found = measure(options)
    print(json.dumps(found, indent=2) if options.json else table(found))
