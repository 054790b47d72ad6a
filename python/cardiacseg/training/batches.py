"""Training batches on the device, each a pure function of the seed, the step and the process."""

from typing import NamedTuple

import torch

from cardiacseg.training.augment import (
    Intensity,
    Planes,
    affine_points,
    change_intensity,
    choose_slices,
    pack,
    random_intensity,
    random_linear_map,
    random_shift,
    read_labels,
    read_values,
)
from cardiacseg.training.config import TrainingConfig
from cardiacseg.training.data import LabelledStack, boxes_center
from cardiacseg.training.processes import SINGLE_PROCESS, Processes, stacks_per_process

LOCATE_SLICES = 4
FEWEST_SLICES = 3
CPU = torch.device("cpu")


class Soft(NamedTuple):
    """Soft labels of a batch from teachers: probabilities ``[B, S, 4, h, w]`` and presence ``[B, S, 3]``."""

    probability: torch.Tensor
    presence: torch.Tensor


class Sample(NamedTuple):
    """Views of the stacks of a step: crops ``[B, S, h, w]`` with labels, coarse fields of view with heart masks."""

    image: torch.Tensor
    labels: torch.Tensor
    coarse_image: torch.Tensor
    coarse_heart: torch.Tensor
    soft: Soft | None = None


class View(NamedTuple):
    """Random choices for one stack of a step. Slices are indices in the stack, centers (x, y) in its pixels."""

    stack: int
    slices: torch.Tensor
    coarse_slices: torch.Tensor
    matrix: torch.Tensor
    center: torch.Tensor
    coarse_center: torch.Tensor
    change: Intensity
    coarse_change: Intensity
    noise: torch.Generator


class Batches:
    """Batches of one process by ``step``, so that a resumed run sees the same data.

    All ``stacks`` are copied to ``device``, and views of them are made there. The few random numbers of a view come
    from the CPU's generator and are the same on every device; the noise comes from the device's own. The stacks of a
    step have nearly the same number of slices and are cut to the smallest number at a random place. They and their
    views do not depend on the number of processes; each process gets an equal part of them. The locator, which sees
    slices one by one, gets up to four of each stack. Raises ``ValueError`` if there are fewer stacks than a step needs
    or the processes cannot divide them evenly.
    """

    def __init__(
        self,
        stacks: list[LabelledStack],
        config: TrainingConfig,
        processes: Processes = SINGLE_PROCESS,
        device: torch.device = CPU,
    ):
        check_stacks(len(stacks), config)
        count = stacks_per_process(config.stacks_per_step, processes.count)
        self.mine = range(processes.rank * count, (processes.rank + 1) * count)
        self.config, self.device = config, device
        stacks = sorted(stacks, key=lambda stack: (stack.slices, stack.name))
        self.slices = [stack.slices for stack in stacks]
        self.sizes = [stack.image.shape[1:] for stack in stacks]
        self.boxes = [stack.heart_boxes() for stack in stacks]
        self.coarse_sizes = [stack.coarse_image.shape[1:] for stack in stacks]
        self.fine = Planes([stack.image.shape for stack in stacks], device)
        self.coarse = Planes([stack.coarse_image.shape for stack in stacks], device)
        self.pixels = {
            name: pack((getattr(stack, name) for stack in stacks), device)
            for name in ("image", "labels", "coarse_image", "coarse_heart")
        }
        self.soft = _SoftLabels(stacks, device) if stacks[0].soft is not None else None

    def crop(self, step: int) -> int:
        """Side of the crop at ``step``: first the coarse size, a multiple of 16, then the full size."""
        full = self.config.preprocessing.crop_pixels
        return full if step >= self.config.coarse_steps else round(full * self.config.coarse_factor / 16) * 16

    def __getitem__(self, step: int) -> Sample:
        number = self.config.seed * 1_000_003 + step
        generator = torch.Generator().manual_seed(number)
        chosen = self._choose(generator)
        slices, scattered = self._count_slices(min(self.slices[stack] for stack in chosen), generator)
        views = [
            self._draw(chosen[index], slices, scattered, generator.manual_seed(number * 1009 + index + 1))
            for index in self.mine
        ]
        # the locator's canvas: the longest side of the fields of view, rounded up to 16 pixels
        canvas = -(-max(side for stack in chosen for side in self.coarse_sizes[stack]) // 16) * 16
        return Sample(**self._fine_views(views, self.crop(step)), **self._coarse_views(views, canvas))

    def _choose(self, generator: torch.Generator) -> list[int]:
        count, total = self.config.stacks_per_step, len(self.slices)
        first = int(torch.randint(total, (), generator=generator))
        reach = min(max(4 * count, 8), total)
        start = min(max(first - reach // 2, 0), total - reach)
        others = [index for index in range(start, start + reach) if index != first]
        picked = torch.randperm(len(others), generator=generator)[: count - 1]
        return [first, *(others[int(index)] for index in picked)]

    def _count_slices(self, most: int, generator: torch.Generator) -> tuple[int, bool]:
        """Slices of each stack of a step, and whether any may be missing or only those at the ends."""
        drop, scatter, fraction = torch.rand(3, generator=generator).tolist()
        if drop >= self.config.augmentation.slice_drop_probability or most <= FEWEST_SLICES:
            return most, False
        return FEWEST_SLICES + int(fraction * (most - FEWEST_SLICES)), scatter < 0.5

    def _draw(self, stack: int, count: int, scattered: bool, generator: torch.Generator) -> View:
        """Draw ``count`` slices for Seg and Ref, independently up to four for the locator, and their changes."""
        settings, rules = self.config.augmentation, self.config.preprocessing
        height, width = self.coarse_sizes[stack]
        slices = choose_slices(self.slices[stack], count, scattered, generator)
        coarse_slices = choose_slices(self.slices[stack], min(LOCATE_SLICES, count), True, generator)
        matrix = random_linear_map(settings, generator)
        row, column = boxes_center(self.boxes[stack][slices], self.sizes[stack])
        center = torch.tensor([column, row]) + random_shift(settings.shift_mm / rules.spacing_mm, generator)
        jitter = torch.randn(count, 2, generator=generator) * (settings.slice_shift_mm / rules.spacing_mm)
        change = random_intensity(settings, generator)
        middle = torch.tensor([(width - 1) / 2, (height - 1) / 2])
        return View(
            stack,
            slices,
            coarse_slices,
            matrix,
            center + jitter,
            (middle + random_shift(2 * settings.shift_mm / rules.locate_spacing_mm, generator)).expand(
                len(coarse_slices), 2
            ),
            change,
            random_intensity(settings, generator),
            torch.Generator(self.device).manual_seed(int(torch.randint(2**62, (), generator=generator))),
        )

    def _fine_views(self, views: list[View], crop: int) -> dict[str, torch.Tensor | Soft | None]:
        slices = torch.cat([view.slices + self.fine.first[view.stack] for view in views]).to(self.device)
        center = torch.cat([view.center for view in views]).to(self.device)
        points = affine_points(center, self._matrices(views), crop, self.config.preprocessing.crop_pixels / crop)
        corners = self.fine.corners(slices, points)
        shape = len(views), -1, crop, crop
        image = read_values(self.pixels["image"], corners).reshape(shape)
        return {
            "image": change_intensity(image, [view.change for view in views], self._noise(views, image)),
            "labels": read_labels(self.pixels["labels"], corners).reshape(shape),
            "soft": self.soft.read(slices, points, len(views)) if self.soft else None,
        }

    def _coarse_views(self, views: list[View], canvas: int) -> dict[str, torch.Tensor]:
        slices = torch.cat([view.coarse_slices + self.coarse.first[view.stack] for view in views]).to(self.device)
        center = torch.cat([view.coarse_center for view in views]).to(self.device)
        corners = self.coarse.corners(slices, affine_points(center, self._matrices(views, coarse=True), canvas, 1.0))
        shape = len(views), -1, canvas, canvas
        image = read_values(self.pixels["coarse_image"], corners).reshape(shape)
        return {
            "coarse_image": change_intensity(image, [view.coarse_change for view in views], self._noise(views, image)),
            "coarse_heart": read_values(self.pixels["coarse_heart"], corners).reshape(shape),
        }

    def _matrices(self, views: list[View], coarse: bool = False) -> torch.Tensor:
        """The view's matrix for each of its slices."""
        count = len(views[0].coarse_slices if coarse else views[0].slices)
        return torch.stack([view.matrix for view in views]).repeat_interleave(count, dim=0).to(self.device)

    def _noise(self, views: list[View], image: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.randn(image.shape[1:], generator=view.noise, device=self.device) for view in views])


def check_stacks(count: int, config: TrainingConfig) -> None:
    """Raise ``ValueError`` if ``count`` stacks are fewer than a step needs."""
    if count < config.stacks_per_step:
        raise ValueError(f"expected at least {config.stacks_per_step} stacks for each step, got {count}")


class _SoftLabels:
    """The teachers' probabilities around the hearts of all stacks on the device, read like the labels."""

    def __init__(self, stacks: list[LabelledStack], device: torch.device):
        soft = [stack.soft for stack in stacks]
        self.planes = Planes([part.probability.shape[1:] for part in soft], device)
        # [3, all pixels]: one row for each structure
        self.pixels = torch.cat([part.probability.reshape(3, -1) for part in soft], dim=1).to(device)
        self.presence = torch.cat([part.presence for part in soft]).to(device)
        origins = [torch.tensor(part.origin[::-1]).expand(len(part.presence), 2) for part in soft]
        self.origin = torch.cat(origins).to(device)

    def read(self, slices: torch.Tensor, points: tuple[torch.Tensor, torch.Tensor], views: int) -> Soft:
        """Probabilities and presence of ``slices`` at ``points`` in pixels of the stacks; background is the rest."""
        x, y = (axis - self.origin[slices, index, None, None] for index, axis in enumerate(points))
        corners = self.planes.corners(slices, (x, y))
        structures = torch.stack([read_values(pixels, corners) for pixels in self.pixels], dim=1)
        whole = torch.cat([1 - structures.sum(dim=1, keepdim=True), structures], dim=1)
        return Soft(whole.unflatten(0, (views, -1)), self.presence[slices].unflatten(0, (views, -1)))
