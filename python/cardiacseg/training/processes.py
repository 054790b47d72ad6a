"""Several processes in one run, as torchrun starts them; without torchrun the one process that there is."""

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


ALONE = Processes()


@contextmanager
def process_group(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun started (nccl on CUDA devices, one each; gloo on the CPU) and leave in the end.

    An hour's time-out: the others wait while the first one validates.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(hours=1))
    try:
        yield processes()
    finally:
        distributed.destroy_process_group()


def processes() -> Processes:
    """The processes of the group that was joined, or this one alone."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return ALONE
    return Processes(distributed.get_rank(), distributed.get_world_size())


def agreed(*values: float) -> list[float]:
    """The first process's ``values``, which a run by the clock needs: all processes must take the same decisions."""
    if processes().count == 1:
        return list(values)
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    numbers = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.broadcast(numbers, 0)
    return numbers.tolist()


def share_of(stacks: int, count: int) -> int:
    """Stacks of each of ``count`` processes in a step of ``stacks``. Raises ``ValueError`` where it has a rest."""
    if stacks % count:
        raise ValueError(f"stacks_per_step must be a multiple of the {count} processes, got {stacks}")
    return stacks // count


def synchronise_norms(model: nn.Module, device: torch.device) -> nn.Module:
    """Batch norm over the stacks of all processes, on CUDA devices only: PyTorch has it for no other.

    On the CPU each process normalises by its own share, and the running statistics are the first process's.
    """
    if processes().count == 1 or device.type != "cuda":
        return model
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)


def distribute(module: nn.Module) -> nn.Module:
    """Average ``module``'s gradients over all processes; ``module`` itself where there is one."""
    return module if processes().count == 1 else DistributedDataParallel(module)
