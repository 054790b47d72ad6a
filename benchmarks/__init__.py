"""The CUDA kernels from Python, for developers: calls on PyTorch tensors, the same in PyTorch, and times on a GPU.

Not part of the package. Modules that compute need torch. Those that call a kernel also need ``benchmarks._cuda``, which
a build with ``-DCARDIACSEG_WITH_CUDA=ON -DCARDIACSEG_BUILD_PYTHON=ON`` leaves in ``python/bindings/cuda``.
"""

from pathlib import Path


def find_kernels(build: Path) -> None:
    """Let ``benchmarks._cuda`` be found in a build folder."""
    __path__.append(str(build.resolve() / "python/bindings/cuda"))
