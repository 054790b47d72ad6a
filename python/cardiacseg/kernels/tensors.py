"""What of a PyTorch tensor a kernel is given."""

import torch

DEVICE = "cuda"


def require(tensor: torch.Tensor, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Raise ``ValueError`` unless ``tensor`` is a contiguous one of this shape and type on a GPU."""
    if tuple(tensor.shape) != shape or tensor.dtype != dtype:
        raise ValueError(f"{name}: wanted {dtype} {list(shape)}, got {tensor.dtype} {list(tensor.shape)}")
    if tensor.device.type != DEVICE or not tensor.is_contiguous():
        raise ValueError(
            f"{name}: wanted a contiguous tensor on a GPU, got strides {tensor.stride()} on {tensor.device}"
        )


def stream() -> int:
    return torch.cuda.current_stream().cuda_stream


def address(tensor: torch.Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def type_name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
