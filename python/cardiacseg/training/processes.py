"""Several processes in one run, as torchrun starts them, or a single process without torchrun."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


class Processes(NamedTuple):
    """This process's number and how many there are."""

    rank: int = 0
    count: int = 1


SINGLE_PROCESS = Processes()


@contextmanager
def process_group(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun started (nccl on CUDA devices, one each; gloo on the CPU) and leave at the end.

    The time-out is an hour, because the others wait while the first one validates.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield SINGLE_PROCESS
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(hours=1))
    try:
        yield processes()
    finally:
        distributed.destroy_process_group()


def processes() -> Processes:
    """The processes of the joined group, or this single one."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return SINGLE_PROCESS
    return Processes(distributed.get_rank(), distributed.get_world_size())


def broadcast(*values: float) -> list[float]:
    """The first process's ``values``, so that all processes of a run by the clock take the same decisions."""
    if processes().count == 1:
        return list(values)
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    numbers = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.broadcast(numbers, 0)
    return numbers.tolist()


def stacks_per_process(stacks: int, count: int) -> int:
    """Stacks of each of ``count`` processes in a step of ``stacks``. Raises ``ValueError`` if there is a remainder."""
    if stacks % count:
        raise ValueError(f"stacks_per_step must be a multiple of the {count} processes, got {stacks}")
    return stacks // count


def synchronize_norms(model: nn.Module, device: torch.device) -> nn.Module:
    """Batch norm over the stacks of all processes, on CUDA devices only: PyTorch has it for no other.

    On the CPU each process normalizes over its own stacks, and the running statistics are the first process's.
    """
    if processes().count == 1 or device.type != "cuda":
        return model
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)


def distribute(module: nn.Module) -> nn.Module:
    """Average ``module``'s gradients over all processes; a single process gets ``module`` itself."""
    return module if processes().count == 1 else DistributedDataParallel(module)
