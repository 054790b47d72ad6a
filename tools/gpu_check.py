#!/usr/bin/env python3
"""All checks that need a GPU, in one command: gpu_check.py [--only PART] [--json FILE]; --list names the parts

Builds the CUDA kernels, their tests and their Python module for this machine's GPU, then runs the tests, the tests
again under each tool of compute-sanitizer, and the benchmark of the kernels; then builds the whole package with its
TensorRT backend, builds engines of the default bundle, checks each kind by the parity gate, and times them beside
PyTorch. Prints one table with a line for each finished check, then the end of the output of each failed one, then the
benchmarks' tables. A check that fails or exceeds its time limit does not stop the others.

Needs nvcc 12 or newer, CMake 3.24 and a GPU; the benchmarks also PyTorch and pybind11; engines TensorRT's headers and
libraries (docs/engines.md), OpenVINO, onnx and nlohmann-json. Nothing is downloaded, and pytest is not used. If time is
short, run one part at a time with --only, or some lines of it with --match; the build folder keeps what was built.

Exit code: 0 if all that could run passed, 1 if something failed, 2 if there is no GPU or no nvcc.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for benchmarks

from benchmarks.gpu_checks import CLEAN_SUMMARY, Check, Outcome, describe, find_program, gpu_names, run_all, says, tail  # noqa: E402

PARTS = {
    "build": "build the kernels, their tests and benchmarks._cuda (with --architectures also without a GPU)",
    "tests": "each test with the label gpu; the Python module's results against PyTorch's",
    "pipeline": "from pixels to labels with small networks of our own, against the host; again under memcheck",
    "sanitizer": "each of those tests under compute-sanitizer's memcheck, racecheck, initcheck and synccheck",
    "bench": "tools/bench_kernels.py: times, fractions of copy bandwidth and matrix rate, PyTorch side by side",
    "engines": "the package with TensorRT; engines of each kind, parity gate; tools/bench_gpu.py",
}
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
BENCHES = ("inter", "intra", "fusion", "percentiles", "preprocessing")
ENGINES = {
    "fp16": ["--precision", "fp16"],
    "fp16 plugin": ["--precision", "fp16", "--plugin"],
    "fp32": ["--precision", "fp32"],
    "rtx fp16": ["--precision", "fp16", "--flavor", "rtx"],
}
PASSED = re.compile(r"[1-9]\d* passed, 0 failed")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, help="run one part, after building what it needs (default: all)")
    parser.add_argument("--match", default="", metavar="REGEX", help="only lines of the table whose name matches")
    parser.add_argument("--list", action="store_true", help="print what each part does, and exit")
    parser.add_argument("--build", type=Path, default=ROOT / "build/gpu_check", metavar="DIR", help="build folder")
    parser.add_argument(
        "--architectures", default="native", help="architectures, as in CMAKE_CUDA_ARCHITECTURES (default: this GPU's)"
    )
    parser.add_argument("--limit", type=float, default=400, help="seconds for each line (default: %(default)g)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results to FILE")
    return parser.parse_args()


def build_checks(arguments: argparse.Namespace, machine: dict[str, str], nvcc: str) -> list[Check]:
    python_module = machine["pybind11"].partition(".")[0].isdigit() and int(machine["pybind11"].partition(".")[0]) >= 3
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_CUDA_ARCHITECTURES": arguments.architectures,
        "CMAKE_CUDA_COMPILER": nvcc,
        "CARDIACSEG_WITH_CUDA": "ON",
        "CARDIACSEG_BUILD_RUNTIME": "OFF",
        "CARDIACSEG_BUILD_TESTS": "ON",
        "CARDIACSEG_BUILD_PYTHON": "ON" if python_module else "OFF",
        "Python_EXECUTABLE": sys.executable,
    }
    generator = ["-G", "Ninja"] if machine["ninja"] != "not found" else ["-G", "Unix Makefiles"]
    configure = ["cmake", "-S", ROOT, "-B", arguments.build, *generator, *(f"-D{k}={v}" for k, v in options.items())]
    keep_going = ["--", "-k", "0"] if machine["ninja"] != "not found" else ["--", "-k"]
    compile_all = ["cmake", "--build", arguments.build, "-j", str(os.cpu_count() or 2), *keep_going]
    return [
        Check("configure", [str(word) for word in configure], arguments.limit),
        Check("build", [str(word) for word in compile_all], max(arguments.limit, 580)),
    ]


def gpu_tests(build: Path, label: str = "gpu") -> list[dict]:
    """CTest's entries that carry the label, with name and command."""
    shown = says("ctest", "--test-dir", str(build), "-L", f"^{label}$", "--show-only=json-v1")
    return [] if shown == "not found" else [one for one in json.loads(shown)["tests"] if "command" in one]


def labelled_checks(arguments: argparse.Namespace, label: str) -> list[Check | Outcome]:
    return [
        Check(
            f"test {one['name']}",
            ["ctest", "--test-dir", str(arguments.build), "-L", f"^{label}$", "-R", f"^{one['name']}$", "-V"],
            arguments.limit,
            must_print=PASSED,
        )
        for one in gpu_tests(arguments.build, label)
    ]


def pipeline_checks(arguments: argparse.Namespace, sanitizer: str) -> list[Check | Outcome]:
    checks = labelled_checks(arguments, "pipeline")
    if not checks:
        return [Outcome("pipeline", "failed", "no built test carries the label pipeline")]
    return checks + watched_checks(arguments, sanitizer, ("memcheck",), "pipeline")


def test_checks(arguments: argparse.Namespace) -> list[Check | Outcome]:
    checks = labelled_checks(arguments, "gpu")
    api = Check("Python API", bench_command(arguments, "--check"), arguments.limit, must_print=PASSED)
    return [*(checks or [Outcome("tests", "failed", "no built test carries the label gpu")]), api]


def watched_checks(
    arguments: argparse.Namespace, sanitizer: str, tools: tuple[str, ...], label: str
) -> list[Check | Outcome]:
    """Each test with the label under each tool of compute-sanitizer."""
    if sanitizer == "not found":
        return [Outcome(f"sanitizer {tool}", "not found", "compute-sanitizer is not installed") for tool in tools]
    smaller = {"CARDIACSEG_SANITIZER": "1"}
    return [
        Check(
            f"{tool} {one['name']}",
            [sanitizer, "--tool", tool, "--error-exitcode", "99", *one["command"]],
            arguments.limit,
            smaller,
            CLEAN_SUMMARY,
        )
        for tool in tools
        for one in gpu_tests(arguments.build, label)
    ]


def sanitizer_checks(arguments: argparse.Namespace, sanitizer: str) -> list[Check | Outcome]:
    checks = watched_checks(arguments, sanitizer, SANITIZERS, "gpu")
    return checks or [Outcome("sanitizer", "failed", "no built test carries the label gpu")]


def bench_command(arguments: argparse.Namespace, *words: str) -> list[str]:
    return [sys.executable, str(ROOT / "tools/bench_kernels.py"), "--build", str(arguments.build), *words]


def bench_file(arguments: argparse.Namespace, kernel: str) -> Path:
    return arguments.build / "gpu_check" / f"bench_{kernel}.json"


def bench_checks(arguments: argparse.Namespace) -> list[Check]:
    limit = max(arguments.limit, 580)
    for kernel in BENCHES:
        bench_file(arguments, kernel).unlink(missing_ok=True)
    return [
        Check(
            f"bench {kernel}",
            bench_command(arguments, "--only", kernel, "--json", str(bench_file(arguments, kernel))),
            limit,
            must_print=re.compile("^TARGET ", re.MULTILINE),
        )
        for kernel in BENCHES
    ]


def engine_checks(arguments: argparse.Namespace, nvcc: str) -> list[Check]:
    """The package with its TensorRT backend in a folder of its own, its engines, and their times."""
    build, site = arguments.build / "package", arguments.build / "site"
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_CUDA_ARCHITECTURES": arguments.architectures,
        "CMAKE_CUDA_COMPILER": nvcc,
        "CARDIACSEG_WITH_CUDA": "ON",
        "CARDIACSEG_WITH_TENSORRT": "ON",
        "CARDIACSEG_BUILD_PYTHON": "ON",
        # The installed module has no OpenVINO beside it: it uses the one that it was linked with.
        "CMAKE_INSTALL_RPATH_USE_LINK_PATH": "ON",
        "Python_EXECUTABLE": sys.executable,
    }
    layout = "import shutil, sys; shutil.copytree(*sys.argv[1:], dirs_exist_ok=True)"
    targets = ["--build", build, "-j", os.cpu_count() or 2]
    steps = {
        "package configure": [
            "cmake",
            "-S",
            ROOT,
            "-B",
            build,
            *(f"-D{key}={value}" for key, value in options.items()),
        ],
        "package build": ["cmake", *targets],
        "package sources": [sys.executable, "-c", layout, ROOT / "python/cardiacseg", site / "cardiacseg"],
        "package install": ["cmake", "--install", build, "--component", "python", "--prefix", site],
    }
    checks = [Check(name, list(map(str, words)), max(arguments.limit, 580)) for name, words in steps.items()]
    environment = {"PYTHONPATH": str(site)}

    def tool(name: str, script: str, *words: object, must_print: str) -> Check:
        command = [sys.executable, ROOT / "tools" / script, *words]
        pattern = re.compile(must_print, re.MULTILINE)
        return Check(name, list(map(str, command)), max(arguments.limit, 580), environment, pattern)

    folders = {kind: arguments.build / "engines" / kind.replace(" ", "_") for kind in ENGINES}
    checks += [
        tool(f"engines {kind}", "build_engine.py", "default", "-o", folders[kind], *words, must_print=r"\byes\b")
        for kind, words in ENGINES.items()
    ]
    kinds = [word for kind, folder in folders.items() for word in ("--engines", f"{kind}={folder}")]
    file = bench_file(arguments, "engines")
    file.unlink(missing_ok=True)
    return [*checks, tool("bench engines", "bench_gpu.py", *kinds, "--json", file, must_print="p50 ms")]


def needs_torch(checks: list[Check | Outcome], machine: dict[str, str]) -> list[Check | Outcome]:
    """The checks of the Python module; skipped, with the reason, if something that it needs is missing."""
    missing = [name for name in ("PyTorch", "pybind11") if machine[name] == "not found"]
    if not missing:
        return checks
    why = f"{' and '.join(missing)} not found"
    uses = [isinstance(check, Check) and any("bench_kernels" in word for word in check.command) for check in checks]
    return [Outcome(one.check if isinstance(one, Outcome) else one.name, "skipped", why) if use else one
            for one, use in zip(checks, uses, strict=True)]  # fmt: skip


def run_parts(arguments: argparse.Namespace, machine: dict[str, str], nvcc: str) -> list[Outcome]:
    logs = arguments.build / "gpu_check"
    logs.mkdir(parents=True, exist_ok=True)

    def run(checks: list) -> list[Outcome]:
        chosen = [one for one in checks if re.search(arguments.match, getattr(one, "name", "") or one.check)]
        return run_all(chosen, logs, ROOT, lambda text: print(text, flush=True))

    def requested(part: str) -> bool:
        return arguments.only in (None, part)

    outcomes = run_all(build_checks(arguments, machine, nvcc), logs, ROOT, lambda text: print(text, flush=True))
    if requested("tests"):
        outcomes += run(needs_torch(test_checks(arguments), machine))
    if requested("pipeline"):
        outcomes += run(pipeline_checks(arguments, machine["compute-sanitizer"]))
    if requested("sanitizer"):
        outcomes += run(sanitizer_checks(arguments, machine["compute-sanitizer"]))
    if requested("bench"):
        outcomes += run(needs_torch(bench_checks(arguments), machine))
    if requested("engines"):
        outcomes += run(engine_checks(arguments, nvcc))
    return outcomes


def main() -> int:
    arguments = parse_arguments()
    if arguments.list:
        print("\n".join(f"{part:<10} {what}" for part, what in PARTS.items()))
        return 0
    nvcc = find_program("nvcc")
    if nvcc is None:
        print("gpu_check: no nvcc on the PATH or in /usr/local/cuda/bin: nothing was checked", file=sys.stderr)
        return 2
    if not gpu_names() and (arguments.only != "build" or arguments.architectures == "native"):
        print("gpu_check: the CUDA driver shows no GPU on this machine: nothing was checked", file=sys.stderr)
        return 2
    arguments.build = arguments.build.resolve()
    machine = describe(nvcc)
    print("\n".join(f"{name}: {value}" for name, value in machine.items()), end="\n\n", flush=True)
    print(f"| {'check':<44} | result    | detail |\n|{'-' * 46}|-----------|--------|", flush=True)
    outcomes = run_parts(arguments, machine, nvcc)
    return report(arguments, machine, outcomes)


def report(arguments: argparse.Namespace, machine: dict[str, str], outcomes: list[Outcome]) -> int:
    failed = [outcome for outcome in outcomes if not outcome.good]
    benches = {
        name: json.loads(file.read_text())
        for name in (*BENCHES, "engines")
        if (file := bench_file(arguments, name)).is_file()
    }
    for text in filter(None, (*map(tail, failed), *(bench["text"] for bench in benches.values()))):
        print(f"\n{text}")
    counts = {name: sum(one.result == name for one in outcomes) for name in dict.fromkeys(o.result for o in outcomes)}
    print("\n" + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if arguments.json:
        rows = [vars(outcome) for outcome in outcomes]
        arguments.json.write_text(json.dumps({"machine": machine, "rows": rows, "bench": benches}, indent=2))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
