"""The CUDA kernels from Python: calls on PyTorch tensors, the same in plain PyTorch, and what they cost on a GPU.

Nothing else of the package uses this one. Modules that compute need torch, those that call a kernel also
``cardiacseg._cuda``, which is built with ``-DCARDIACSEG_WITH_CUDA=ON``.
"""
