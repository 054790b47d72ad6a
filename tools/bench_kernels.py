#!/usr/bin/env python3
"""The CUDA kernels' times on this GPU beside PyTorch's: bench_kernels.py [--only KERNEL ...] [--json FILE]

For each case: microseconds of one launch with cold and with warm second-level cache and in a CUDA graph (medians by
CUDA events), the least bytes and FLOPs of the case, and the fractions of the copy bandwidth and of the matrix rate,
both measured in the same run; "of equal copy" compares with a copy that moves as many bytes. Every row's result is
compared with a reference first: a wrong one gets no time. Uses the module benchmarks._cuda in --build, where
gpu_check.py builds it.

Exit code: 0, 1 if a kernel's result is wrong, 2 if there is no GPU, no PyTorch or no benchmarks._cuda.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for benchmarks
KERNELS = ("inter", "intra", "fusion", "percentiles", "preprocessing")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=KERNELS, default=KERNELS, help="kernels (default: all)")
    parser.add_argument("--check", action="store_true", help="compare results with PyTorch's, without timing")
    parser.add_argument("--compile", choices=("main", "all", "none"), default="main", help="cases for torch.compile")
    parser.add_argument("--build", type=Path, default=ROOT / "build/gpu_check", metavar="DIR", help="build folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to FILE, after each case")
    return parser.parse_args()


def why_not(build: Path) -> str:
    """The reason why nothing can be measured here, in one sentence; empty if it can."""
    from benchmarks import find_kernels

    find_kernels(build)
    try:
        import torch

        importlib.import_module("benchmarks._cuda")
    except ImportError as error:
        return f"{error}; gpu_check.py --only build builds the kernels' module"
    return "" if torch.cuda.is_available() else "PyTorch sees no GPU on this machine"


def measure(arguments: argparse.Namespace) -> bool:
    from benchmarks.kernel_benchmarks import compiled_workloads, results_of
    from benchmarks.table import ceilings_line, json_ready, target_lines, workload_table
    from benchmarks.timing import Stopwatch, measure_ceilings

    stopwatch = Stopwatch()
    ceilings = measure_ceilings(stopwatch)
    texts, done = [ceilings_line(ceilings)], []

    def show(text: str) -> None:
        print(text, flush=True)

    show(texts[0])
    for kernel in arguments.only:
        of_kernel = []
        for result in results_of(kernel, stopwatch, compiled_workloads(arguments.compile)):
            of_kernel.append(result)
            texts.append(workload_table(result, ceilings))
            show(texts[-1])
            write(arguments.json, texts, [*done, *of_kernel], json_ready)
        lines = target_lines(of_kernel, ceilings)
        texts += lines
        show("\n".join(lines))
        done += of_kernel
        write(arguments.json, texts, done, json_ready)
    return all(result.passed for result in done)


def write(file: Path | None, texts: list[str], results: list, json_ready) -> None:
    if file:
        file.write_text(json.dumps({"text": "\n".join(texts), "cases": [json_ready(one) for one in results]}, indent=2))


def main() -> int:
    arguments = parse_arguments()
    if why := why_not(arguments.build):
        print(f"bench_kernels: {why}: nothing was measured", file=sys.stderr)
        return 2
    if arguments.check:
        from benchmarks import self_test

        return 0 if self_test.run(self_test.all_checks(), lambda text: print(text, flush=True)) else 1
    return 0 if measure(arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
