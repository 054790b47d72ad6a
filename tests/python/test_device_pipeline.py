"""The pipeline's sources for a GPU compile with nvcc; test_cpp.py runs their tests, tests/cpp/device_pipeline."""

import shutil
from pathlib import Path

import pytest
from conftest import run_command

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests/cpp/device_pipeline"
SOURCES = [
    *sorted((ROOT / "cpp/src/pipeline").glob("device_*.cc")),
    ROOT / "cpp/src/pipeline/stream_pool.cc",
    *(TESTS / f"{name}.cc" for name in ("callers", "gate", "graphs", "results")),
    TESTS / "fake_kernels.cu",
]


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not on the PATH")
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_the_same_sources_compile_for_a_real_gpu(source, tmp_path):
    """What ``gpu_check.py --only pipeline`` builds and runs where there is a GPU."""
    check = (
        [] if source.suffix == ".cu" else ["-Xcompiler", "-fsyntax-only,-Wall,-Wextra,-Wconversion,-Wshadow,-Werror"]
    )
    folders = [f"-I{ROOT / folder}" for folder in ("cpp/include", "cpp/src", "tests/cpp")]
    standard = "-std=c++17" if source.suffix == ".cu" else "-std=c++20"
    run_command("nvcc", standard, "-arch=sm_90", "-c", source, "-o", tmp_path / "object.o", *folders, *check)
