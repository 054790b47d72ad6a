"""Training batches, each a pure function of the seed, the step and the process."""

from dataclasses import replace

import torch
from torch.utils.data import DataLoader, Dataset

from cardiacseg.training.augment import Sample, coarse_canvas, kept_slices, random_sample
from cardiacseg.training.config import TrainingConfig
from cardiacseg.training.data import LabelledStack
from cardiacseg.training.processes import ALONE, Processes, share_of

LOCATE_SLICES = 4
FEWEST_SLICES = 3


class Batches(Dataset):
    """Batch number ``step`` of one process, so that a resumed run sees the same data.

    The stacks of a step have nearly the same number of slices and are cut to the smallest at a random place. They and
    their views do not depend on the number of processes; each process gets its share of them. The locator, which sees
    slices one by one, gets up to four of each stack. Raises ``ValueError`` where there are fewer stacks than a step
    takes, or the processes cannot share them evenly.
    """

    def __init__(self, stacks: list[LabelledStack], config: TrainingConfig, processes: Processes = ALONE):
        if len(stacks) < config.stacks_per_step:
            raise ValueError(f"wanted at least {config.stacks_per_step} stacks for each step, got {len(stacks)}")
        share = share_of(config.stacks_per_step, processes.count)
        self.mine = range(processes.rank * share, (processes.rank + 1) * share)
        self.stacks = sorted(stacks, key=lambda stack: (stack.slices, stack.name))
        self.config = config

    def __len__(self) -> int:
        return self.config.steps

    def crop(self, step: int) -> int:
        """Side of the crop at ``step``: the coarse size first, a multiple of 16, then the full one."""
        full = self.config.preprocessing.crop_pixels
        return full if step >= self.config.coarse_steps else round(full * self.config.coarse_factor / 16) * 16

    def __getitem__(self, step: int) -> Sample:
        number = self.config.seed * 1_000_003 + step
        generator = torch.Generator().manual_seed(number)
        chosen = self._choose(generator)
        slices, scattered = self._count_slices(min(stack.slices for stack in chosen), generator)
        canvas = max(map(coarse_canvas, chosen))
        views = []
        for index in self.mine:
            generator.manual_seed(number * 1009 + index + 1)
            part = _some_slices(chosen[index], slices, scattered, generator)
            settings = self.config.preprocessing, self.config.augmentation
            views.append(random_sample(part, *settings, self.crop(step), canvas, generator))
        return Sample(*(torch.stack(parts) for parts in zip(*views, strict=True)))

    def _choose(self, generator: torch.Generator) -> list[LabelledStack]:
        count = self.config.stacks_per_step
        first = int(torch.randint(len(self.stacks), (), generator=generator))
        reach = min(max(4 * count, 8), len(self.stacks))
        start = min(max(first - reach // 2, 0), len(self.stacks) - reach)
        others = [index for index in range(start, start + reach) if index != first]
        picked = torch.randperm(len(others), generator=generator)[: count - 1]
        return [self.stacks[first], *(self.stacks[others[int(index)]] for index in picked)]

    def _count_slices(self, most: int, generator: torch.Generator) -> tuple[int, bool]:
        """Slices of each stack of a step, and whether any may be missing or those at the ends alone."""
        drop, scatter, share = torch.rand(3, generator=generator).tolist()
        if drop >= self.config.augmentation.slice_drop_probability or most <= FEWEST_SLICES:
            return most, False
        return FEWEST_SLICES + int(share * (most - FEWEST_SLICES)), scatter < 0.5


def _some_slices(stack: LabelledStack, count: int, scattered: bool, generator: torch.Generator) -> LabelledStack:
    """``count`` slices of a stack for Seg and Ref and up to four, apart from those, for the locator."""
    fine = kept_slices(stack.slices, count, scattered, generator)
    coarse = kept_slices(stack.slices, min(LOCATE_SLICES, count), True, generator)
    return replace(
        stack,
        image=stack.image[fine],
        labels=stack.labels[fine],
        coarse_image=stack.coarse_image[coarse],
        coarse_heart=stack.coarse_heart[coarse],
    )


def load_batches(batches: Batches, first: int, workers: int) -> DataLoader:
    """Batches from ``first`` on, prepared by ``workers`` processes, or by this one with 0."""
    return DataLoader(batches, batch_size=None, sampler=range(first, len(batches)), num_workers=workers)
