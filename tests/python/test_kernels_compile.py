"""Every kernel file compiles alone for every architecture, and no kernel spills or keeps an array in local memory.

The CUDA compiler suffices: no GPU, no driver, no other tool. Without it these tests are skipped, all but the reading
of a report."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import run_command

STATIC_SHARED_LIMIT = 48 * 1024

_ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(sm_\w+)'")
_FUNCTION = re.compile(r"Function properties for (\S+)")
_MEMORY = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers(.*)")
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass
class Resources:
    """One kernel, or one function that it calls, on one architecture."""

    name: str
    architecture: str
    stack: int | None = None
    spill_stores: int | None = None
    spill_loads: int | None = None
    registers: int | None = None
    shared: int = 0


def read_report(text: str) -> list[Resources]:
    """The functions of a report, kernels first. Raises ``ValueError`` if a kernel lacks one of its lines."""
    entries: dict[tuple[str, str], Resources] = {}
    current = kernel = Resources("", "")
    architecture = ""
    for line in text.splitlines():
        if entry := _ENTRY.search(line):
            architecture = entry[2]
            current = entries.setdefault((entry[1], architecture), Resources(entry[1], architecture))
            kernel = current
        elif function := _FUNCTION.search(line):
            current = entries.setdefault((function[1], architecture), Resources(function[1], architecture))
        elif memory := _MEMORY.search(line):
            current.stack, current.spill_stores, current.spill_loads = map(int, memory.groups())
        elif used := _USED.search(line):
            kernel.registers = int(used[1])
            shared = _SHARED.search(used[2])
            kernel.shared = int(shared[1]) if shared else 0
    found = list(entries.values())
    for one in found:
        if one.stack is None:
            raise ValueError(f"no line on stack and spills for {one.name} on {one.architecture}")
    return sorted(found, key=lambda one: one.registers is None)


def kernels(resources: list[Resources]) -> list[Resources]:
    return [one for one in resources if one.registers is not None]


def offences(resources: list[Resources]) -> list[str]:
    """One sentence for each function that spills, uses local memory, or takes more static shared memory than 48 KB."""
    sentences = []
    for one in resources:
        where = f"{one.name} on {one.architecture}"
        if one.spill_stores or one.spill_loads:
            sentences.append(f"{where} spills: {one.spill_stores} bytes stored, {one.spill_loads} bytes loaded")
        elif one.stack:
            sentences.append(f"{where} uses {one.stack} bytes of local memory")
        if one.shared > STATIC_SHARED_LIMIT:
            sentences.append(f"{where} takes {one.shared} bytes of static shared memory")
    return sentences


ROOT = Path(__file__).parents[2]
FILES = sorted(ROOT.glob("cpp/src/ops/*_cuda.cu"))
ARCHITECTURES = [75, 80, 86, 87, 89, 90, 100, 103, 110, 120, 121]
MUST_BE_KNOWN = {80, 90}
NVCC = shutil.which("nvcc")
needs_nvcc = pytest.mark.skipif(NVCC is None, reason="nvcc is not on the PATH")

REPORT = """
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z6spillsPf' for 'sm_80'
ptxas info    : Function properties for _Z6spillsPf
    304 bytes stack frame, 300 bytes spill stores, 292 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 304 bytes cumulative stack size, 368 bytes cmem[0]
ptxas info    : Compile time = 45.767 ms
ptxas info    : Compiling entry function '_Z5cleanPf' for 'sm_90'
ptxas info    : Function properties for _Z6calledf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Function properties for _Z5cleanPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 17 registers, used 1 barriers, 49152 bytes smem, 368 bytes cmem[0]
ptxas info    : Compiling entry function '_Z5arrayPf' for 'sm_90'
ptxas info    : Function properties for _Z5arrayPf
    256 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 18 registers, used 0 barriers, 49153 bytes smem
"""
# The first keeps 96 values per thread over a barrier; the second indexes an array by what it reads.
BAD_KERNELS = """
__global__ void __launch_bounds__(1024) spills(float* values, const int* where) {
  float kept[96];
#pragma unroll
  for (int i = 0; i < 96; ++i) kept[i] = values[1024 * i + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 96; ++i) values[where[i] + threadIdx.x] = kept[i];
}

__global__ void keeps_an_array(float* values, const int* where) {
  float kept[64] = {};
  for (int i = 0; i < 64; ++i) kept[where[i] & 63] += values[i];
  values[threadIdx.x] = kept[where[threadIdx.x] & 63];
}
"""


def flags_of(source):
    """As cmake/Kernels.cmake has them: attention alone may fuse a multiplication with an addition."""
    return [] if source.stem.startswith("slice_attention") else ["-fmad=false"]


def known_architectures():
    listed = subprocess.run([NVCC, "--list-gpu-code"], capture_output=True, text=True, check=True, timeout=60).stdout
    known = [number for number in ARCHITECTURES if f"sm_{number}" in listed.split()]
    assert set(known) >= MUST_BE_KNOWN, f"nvcc knows {listed.split()}"
    return known


def default_architectures(version, folder):
    """The numbers of ``CMAKE_CUDA_ARCHITECTURES`` if it is not set, with nvcc of this version."""
    script = folder / "architectures.cmake"
    module = ROOT / "cmake/CudaArchitectures.cmake"
    script.write_text(f'include("{module}")\ncuda_architectures(found {version})\nmessage("${{found}}")\n')
    run = subprocess.run(["cmake", "-P", script], capture_output=True, text=True, check=True, timeout=60)
    return run.stderr.strip().split(";")


@pytest.mark.parametrize("version", ["12.0.140", "12.7", "12.8.61", "13.0.88"])
def test_default_architectures_are_those_that_the_compiler_knows(version, tmp_path):
    blackwell = ["90-real", "100-real", "120"]  # which nvcc knows from 12.8 on
    later = ["90"] if version.startswith(("12.0", "12.7")) else blackwell
    assert default_architectures(version, tmp_path) == ["75-real", "80-real", "86-real", "89-real", *later]


@needs_nvcc
def test_this_compiler_knows_its_default_architectures(tmp_path):
    said = subprocess.run([NVCC, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    found = default_architectures(said.split(" release ")[1].split(",")[0], tmp_path)
    listed = subprocess.run([NVCC, "--list-gpu-code"], capture_output=True, text=True, check=True, timeout=60).stdout
    assert {f"sm_{one.removesuffix('-real')}" for one in found} <= set(listed.split())


def compile_alone(source, architectures, folder, *flags):
    """The resource report of ``source``, compiled with nothing but the project's own headers; warnings are errors."""
    codes = [word for number in architectures for word in ("-gencode", f"arch=compute_{number},code=sm_{number}")]
    includes = [f"-I{ROOT / 'cpp/include'}", f"-I{ROOT / 'cpp/src'}"]
    command = [NVCC, "-c", *includes, *codes, *flags, "--threads", "2", "-Werror", "all-warnings", "-Xptxas", "-v"]
    command += [str(source), "-o", str(folder / f"{source.stem}.o")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout[-6000:]}\n{run.stderr[-6000:]}"
    return read_report(run.stdout + run.stderr)


def test_a_report_is_read_line_by_line():
    found = {one.name: one for one in read_report(REPORT)}
    spills, array = found["_Z6spillsPf"], found["_Z5arrayPf"]
    assert (spills.architecture, spills.registers, spills.stack) == ("sm_80", 32, 304)
    assert (spills.spill_stores, spills.spill_loads, spills.shared) == (300, 292, 0)
    assert (array.architecture, array.registers, array.stack, array.shared) == ("sm_90", 18, 256, 49153)
    assert [one.name for one in kernels(read_report(REPORT))] == ["_Z6spillsPf", "_Z5cleanPf", "_Z5arrayPf"]


def test_what_a_kernel_must_not_take_is_named():
    assert offences(read_report(REPORT)) == [
        "_Z6spillsPf on sm_80 spills: 300 bytes stored, 292 bytes loaded",
        "_Z5arrayPf on sm_90 uses 256 bytes of local memory",
        "_Z5arrayPf on sm_90 takes 49153 bytes of static shared memory",
    ]


def test_a_function_that_a_kernel_calls_counts_too():
    spilling = REPORT.replace("0 bytes stack frame, 0 bytes spill stores", "8 bytes stack frame, 8 bytes spill stores")
    assert any("_Z6calledf on sm_90 spills" in sentence for sentence in offences(read_report(spilling)))


def test_a_report_that_lacks_a_line_is_refused():
    with pytest.raises(ValueError, match="_Z5arrayPf on sm_90"):
        read_report(REPORT.replace("    256 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n", ""))


@needs_nvcc
def test_spills_and_local_arrays_are_found_in_what_the_compiler_says(tmp_path):
    source = tmp_path / "bad.cu"
    source.write_text(BAD_KERNELS)
    numbers = sorted(MUST_BE_KNOWN)
    sentences = offences(compile_alone(source, numbers, tmp_path))
    for number in numbers:
        assert any("spills" in one and f"sm_{number} spills:" in one for one in sentences)
        assert any("keeps_an_array" in one and f"sm_{number} uses 256 bytes" in one for one in sentences)


def test_there_are_kernel_files():
    assert FILES


def check_alone(source, architectures, folder):
    resources = compile_alone(source, architectures, folder, *flags_of(source))
    assert {one.architecture for one in kernels(resources)} == {f"sm_{number}" for number in architectures}
    assert offences(resources) == []


@needs_nvcc
@pytest.mark.parametrize("source", FILES, ids=lambda path: path.stem)
def test_a_kernel_file_compiles_alone_and_its_kernels_keep_to_registers(source, tmp_path):
    check_alone(source, sorted({*MUST_BE_KNOWN, known_architectures()[0], known_architectures()[-1]}), tmp_path)


@needs_nvcc
@pytest.mark.slow
@pytest.mark.parametrize("source", FILES, ids=lambda path: path.stem)
def test_it_does_for_every_architecture(source, tmp_path):
    check_alone(source, known_architectures(), tmp_path)


@needs_nvcc
@pytest.mark.parametrize("source", FILES, ids=lambda path: path.stem)
def test_a_kernel_file_compiles_as_cxx20_too(source, tmp_path):
    assert kernels(compile_alone(source, [90], tmp_path, "-std=c++20", *flags_of(source)))


PIPELINE = [
    *sorted((ROOT / "cpp/src/pipeline").glob("device_*.cc")),
    ROOT / "cpp/src/pipeline/stream_pool.cc",
    *(ROOT / "tests/cpp/device_pipeline" / f"{name}.cc" for name in ("callers", "graphs", "results")),
    ROOT / "tests/cpp/device_pipeline" / "fake_kernels.cu",
]


@needs_nvcc
@pytest.mark.parametrize("source", PIPELINE, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_pipelines_sources_compile(source, tmp_path):
    """What ``gpu_check.py --only pipeline`` builds and runs where there is a GPU."""
    check = (
        [] if source.suffix == ".cu" else ["-Xcompiler", "-fsyntax-only,-Wall,-Wextra,-Wconversion,-Wshadow,-Werror"]
    )
    folders = [f"-I{ROOT / folder}" for folder in ("cpp/include", "cpp/src", "tests/cpp")]
    standard = "-std=c++17" if source.suffix == ".cu" else "-std=c++20"
    run_command("nvcc", standard, "-arch=sm_90", "-c", source, "-o", tmp_path / "object.o", *folders, *check)
