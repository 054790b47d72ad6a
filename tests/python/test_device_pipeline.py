"""The pipeline on a GPU that is simulated on the CPU: tests/cpp/device_pipeline, with pointwise networks of its own."""

import shutil
from pathlib import Path

import pytest
from conftest import run_command

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests/cpp/device_pipeline"
SOURCES = [
    *sorted((ROOT / "cpp/src/pipeline").glob("device_*.cc")),
    ROOT / "cpp/src/pipeline/stream_pool.cc",
    TESTS / "device_pipeline.cc",
    TESTS / "fake_kernels.cu",
]


def test_the_owners_of_cudas_objects(simulated_build):
    run_command(simulated_build("cuda_owners") / "tests/cpp/device_pipeline/cuda_owners")


def test_everything_equals_the_pipeline_on_the_host(simulated_build):
    folder = simulated_build("device_pipeline_simulated") / "tests/cpp/device_pipeline"
    run_command(folder / "device_pipeline_simulated")


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
