"""The kernels as a library of their own, built here for one architecture: its Python module and a C++ program that
links nothing else. What needs no GPU: that they load without a driver, and refuse what does not fit in a sentence."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import run_command

ROOT = Path(__file__).parents[2]
NVCC = shutil.which("nvcc")
pytestmark = pytest.mark.skipif(NVCC is None, reason="nvcc is not on the PATH")

# As torch.Tensor.data_ptr() would give it; never read, as every call is refused before a launch or at it.
ADDRESS = 4096
ATTENTION = {
    "type": "float16",
    "qkv": ADDRESS,
    "cu_slices": ADDRESS,
    "stacks": 1,
    "slices": 10,
    "positions": 144,
    "channels": 192,
    "heads": 6,
    "output": ADDRESS,
    "stream": 0,
}
FUSION = {
    "type": "float32",
    "logits": ADDRESS,
    "presence": 0,
    "origins": ADDRESS,
    "stacks_and_slices": (1, 10),
    "crop": (128, 128),
    "size": (208, 224),
    "spacing": (1.4, 1.5),
    "target": 1.5,
    "threshold": 0.5,
    "temperature": 1.0,
    "labels": ADDRESS,
    "probabilities": 0,
    "counts": 0,
    "stream": 0,
}
PERCENTILES = {
    "type": "int16",
    "pixels": ADDRESS,
    "shape": (1, 10, 208, 224),
    "lower": 1.0,
    "upper": 99.0,
    "workspace": ADDRESS,
    "ranges": ADDRESS,
    "stream": 0,
}
PREPROCESSING = {
    "type": "int16",
    "pixels": ADDRESS,
    "shape": (1, 10, 208, 224),
    "rows": (208, 194, ADDRESS, ADDRESS, ADDRESS),
    "columns": (224, 224, ADDRESS, ADDRESS, ADDRESS),
    "crop": (128, 128),
    "ranges": ADDRESS,
    "origins": ADDRESS,
    "output_type": "float16",
    "output": ADDRESS,
    "stream": 0,
}
CALLS = {
    "inter_slice_attention": ATTENTION,
    "mask_fusion": FUSION,
    "percentile_range": PERCENTILES,
    "preprocess": PREPROCESSING,
}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernels") / "build"
    options = {
        "CMAKE_CUDA_ARCHITECTURES": "90-real",
        "CMAKE_CUDA_COMPILER": NVCC,
        "CARDIACSEG_WITH_CUDA": "ON",
        "CARDIACSEG_BUILD_RUNTIME": "OFF",
        "CARDIACSEG_BUILD_PYTHON": "ON",
        "Python_EXECUTABLE": sys.executable,
    }
    run_command(
        "cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, *(f"-D{name}={value}" for name, value in options.items())
    )
    run_command("cmake", "--build", folder, "-j", min(4, os.cpu_count() or 1))
    return folder


@pytest.fixture(scope="module")
def kernel_user(build, tmp_path_factory):
    """A program of another project, which finds the installed library, moved after its installation."""
    first, folder = tmp_path_factory.mktemp("prefix") / "first", tmp_path_factory.mktemp("kernel_user")
    run_command("cmake", "--install", build, "--component", "sdk", "--prefix", first)
    prefix = first.rename(first.with_name("moved"))
    source = ROOT / "tests/install/kernels"
    run_command("cmake", "-G", "Ninja", "-S", source, "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}")
    run_command("cmake", "--build", folder)
    return folder / "kernel_user"


@pytest.fixture(scope="module")
def cuda(build):
    """The module, found as tools/bench_kernels.py finds it."""
    import benchmarks

    benchmarks.find_kernels(build)
    from benchmarks import _cuda

    yield _cuda
    benchmarks.__path__.pop()
    del sys.modules["benchmarks._cuda"], benchmarks._cuda


def has_gpu():
    from benchmarks.gpu_checks import gpu_names

    return gpu_names() != []


def test_another_project_links_the_kernels_alone(kernel_user):
    ended = subprocess.run([kernel_user], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0 and "multiple of the heads, got 32 channels and 5 heads" in ended.stdout
    assert ("the output is the values" if has_gpu() else "no GPU: ") in ended.stdout


def test_the_library_needs_neither_driver_nor_toolkit_to_load(build):
    (library,) = {path.resolve() for path in build.rglob("libcardiacseg_cuda.so*")}
    needed = subprocess.run(["ldd", library], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "libstdc++" in needed and "cuda" not in needed.replace(str(library), "") and "not found" not in needed


@pytest.mark.parametrize(
    ("function", "given", "expected"),
    [
        ("inter_slice_attention", {"type": "float8"}, "type: expected float32, float16 or bfloat16, got float8"),
        ("inter_slice_attention", {"qkv": 0}, "qkv: expected an address in device memory, got 0"),
        ("inter_slice_attention", {"cu_slices": 0}, "cu_slices: expected an address"),
        ("inter_slice_attention", {"output": ADDRESS + 2}, "aligned to 16 bytes"),
        ("inter_slice_attention", {"heads": 5}, "192 channels and 5 heads"),
        ("inter_slice_attention", {"heads": 4}, "got 48"),
        ("inter_slice_attention", {"positions": 0}, "got 0"),
        ("mask_fusion", {"logits": 0}, "logits: expected an address"),
        ("mask_fusion", {"type": "bfloat16"}, "float16"),
        ("mask_fusion", {"temperature": 0.0}, "temperature of mask_fusion: expected a finite number above 0"),
        ("mask_fusion", {"crop": (128, 0)}, "crop of mask_fusion"),
        ("mask_fusion", {"target": -1.5}, "positive, finite pixel sizes"),
        ("percentile_range", {"type": "float16"}, "type: expected uint8, .* got float16"),
        ("percentile_range", {"workspace": 0}, "workspace: expected an address"),
        ("percentile_range", {"lower": 60.0, "upper": 40.0}, "percentile"),
        ("percentile_range", {"shape": (1, 10, 0, 224)}, "got 0"),
        ("preprocess", {"rows": (208, 194, 0, ADDRESS, ADDRESS)}, "first of taps: expected an address"),
        ("preprocess", {"output_type": "bfloat16"}, "float16"),
        ("preprocess", {"crop": (0, 128)}, "got 0"),
        ("preprocess", {"columns": (225, 225, ADDRESS, ADDRESS, ADDRESS)}, "225"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(cuda, function, given, expected):
    with pytest.raises(ValueError, match=expected):
        getattr(cuda, function)(**{**CALLS[function], **given})


def test_intra_slice_attention_refuses_the_same(cuda):
    given = {name: value for name, value in ATTENTION.items() if name not in ("cu_slices", "stacks")}
    with pytest.raises(ValueError, match="got 48"):
        cuda.intra_slice_attention(**{**given, "heads": 4})


@pytest.mark.parametrize("function", CALLS)
def test_without_a_gpu_a_launch_ends_in_an_error(cuda, function):
    if has_gpu():
        pytest.skip("this machine has a GPU, on which the addresses would be read")
    with pytest.raises(RuntimeError, match="driver"):
        getattr(cuda, function)(**CALLS[function])


def test_taps_are_the_triangles(cuda):
    outputs, first, count, weights = cuda.resample_taps(6, 1.0, 2.0)
    assert (outputs, first, count) == (3, [0, 1, 3], [3, 4, 3])
    # Pixel 1 of 2 mm has its center between pixels 2 and 3 of 1 mm; the triangle is 4 of those wide.
    assert [weights[tap * 3 + 1] for tap in range(4)] == pytest.approx([1 / 8, 3 / 8, 3 / 8, 1 / 8])


def test_tensors_that_a_kernel_cannot_take_are_refused(cuda):
    import torch

    from benchmarks import calls

    with pytest.raises(ValueError, match=r"qkv: expected a contiguous tensor on a GPU, got .* on cpu"):
        calls.intra_slice_attention(torch.zeros(64, 96), 64, 1)
    with pytest.raises(ValueError, match=r"qkv: expected \[slices \* positions, 3 \* channels\] with 7 positions"):
        calls.intra_slice_attention(torch.zeros(64, 96), 7, 1)
    with pytest.raises(ValueError, match=r"pixels: expected \[stacks, slices, rows, columns\], got \[3, 4\]"):
        calls.percentile_range(torch.zeros(3, 4), 1, 99)
    with pytest.raises(ValueError, match="logits: expected a contiguous tensor on a GPU"):
        calls.mask_fusion(torch.zeros(2, 4, 8, 8), None, torch.zeros(1, 2), (9, 9), (1, 1), 1.0)
