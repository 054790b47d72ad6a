"""TensorRT's headers on this machine, and its provider compiled with them against the simulated GPU."""

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from conftest import run_command

ROOT = Path(__file__).parents[2]
PROVIDER = ROOT / "cpp/src/backends/tensorrt/provider"
SIMULATED = ROOT / "tests/cpp/simulated_gpu"
TESTS = ROOT / "tests/cpp"
COMPILER = shutil.which(os.environ.get("CXX", "c++"))
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
USUAL_FOLDERS = ["/usr/include/*-linux-gnu", "/usr/include", "/usr/local/TensorRT*/include", "/opt/TensorRT*/include"]


class HeaderSet(NamedTuple):
    folder: Path
    flavour: str
    version: tuple[int, int, int]

    @property
    def library(self) -> str:
        name = "tensorrt_rtx" if self.flavour == "tensorrt_rtx" else "nvinfer"
        return f"lib{name}.so.{self.version[0]}"

    def encoded(self, major: int, minor: int) -> int:
        """As getInferLibVersion gives a version."""
        old = self.flavour == "tensorrt" and major < 10
        return major * (1000 if old else 10000) + minor * 100


def read_header_set(folder):
    text = (folder / "NvInferVersion.h").read_text()
    numbers = {}
    for part in ("MAJOR", "MINOR", "PATCH"):
        found = re.search(rf"^#define (?:TRT_{part}_(?:RTX|ENTERPRISE)|NV_TENSORRT_{part}) (\d+)", text, re.MULTILINE)
        numbers[part] = int(found[1])
    return HeaderSet(folder, "tensorrt_rtx" if "TRT_MAJOR_RTX" in text else "tensorrt", tuple(numbers.values()))


def header_sets():
    """One of each flavour and version."""
    roots = [os.environ[name] + "/include" for name in ("TensorRT_ROOT", "TensorRT_RTX_ROOT") if name in os.environ]
    folders = [path for pattern in [*roots, *USUAL_FOLDERS] for path in sorted(Path("/").glob(pattern.lstrip("/")))]
    complete = [path for path in folders if (path / "NvInferVersion.h").exists() and (path / "NvOnnxParser.h").exists()]
    found = {(one.flavour, one.version): one for one in map(read_header_set, complete)}
    return [found[key] for key in sorted(found)]


def compile_object(source, output, *flags):
    includes = [f"-I{folder}" for folder in (SIMULATED, ROOT / "cpp/include", ROOT / "cpp/src")]
    run_command(
        COMPILER, "-std=c++20", "-O0", "-fPIC", "-fvisibility=hidden", *includes, *flags, "-c", source, "-o", output
    )
    return output


def compile_simulated_kernel(folder):
    """Objects with slice attention for the simulated GPU."""
    kernel = ROOT / "cpp/src/ops/slice_attention_cuda.cu"
    return [
        compile_object(kernel, folder / "kernel.o", "-Wno-unknown-pragmas", "-x", "c++"),
        compile_object(SIMULATED / "simulator.cc", folder / "simulator.o", "-U_FORTIFY_SOURCE"),
    ]


def compile_provider(headers, folder):
    """An object with the whole provider, compiled as one file; warnings are errors."""
    source = folder / "provider.cc"
    source.write_text("".join(f'#include "{path}"\n' for path in sorted(PROVIDER.glob("*.cc"))))
    flags = ["-isystem", headers.folder]
    return compile_object(source, folder / "provider.o", *WARNINGS, *flags)


def link(output, objects, *flags):
    run_command(COMPILER, *objects, "-o", output, "-ldl", "-lpthread", *flags)
    return output


def link_provider(objects, output):
    exports = f"-Wl,--version-script={PROVIDER / 'exports.map'}"
    return link(output, objects, "-shared", exports, "-Wl,--no-undefined")
