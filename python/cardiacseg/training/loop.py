"""The training loop: deterministic batches, mixed precision, weight averaging, validation, checkpoints, resume."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from cardiacseg.models import create_model
from cardiacseg.training.augment import Sample, coarse_canvas, random_sample
from cardiacseg.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from cardiacseg.training.config import TrainingConfig
from cardiacseg.training.data import LabelledStack
from cardiacseg.training.losses import locate_loss, total_loss
from cardiacseg.training.validate import validate


class Batches(Dataset):
    """Batch number ``step`` as a pure function of the seed and ``step``, so that a resumed run sees the same data.

    The stacks of a batch have nearly the same number of slices and are cut to the smallest at a random place. The
    locator, which sees slices one by one, gets up to four of each stack.
    """

    def __init__(self, stacks: list[LabelledStack], config: TrainingConfig):
        self.stacks = sorted(stacks, key=lambda stack: (stack.slices, stack.name))
        self.config = config

    def __len__(self) -> int:
        return self.config.steps

    def crop(self, step: int) -> int:
        """Side of the crop at ``step``: the coarse size first, a multiple of 16, then the full one."""
        full = self.config.preprocessing.crop_pixels
        return full if step >= self.config.coarse_steps else round(full * self.config.coarse_factor / 16) * 16

    def __getitem__(self, step: int) -> Sample:
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + step)
        chosen = self._choose(generator)
        views = [
            random_sample(
                stack,
                self.config.preprocessing,
                self.config.augmentation,
                self.crop(step),
                max(map(coarse_canvas, chosen)),
                generator,
            )
            for stack in chosen
        ]
        slices = min(stack.slices for stack in chosen)
        firsts = [int(torch.randint(stack.slices - slices + 1, (), generator=generator)) for stack in chosen]
        kept = [
            (slice(first, first + slices),) * 2
            + (torch.randperm(stack.slices, generator=generator)[: min(4, slices)],) * 2
            for stack, first in zip(chosen, firsts, strict=True)
        ]
        cut = [
            [part[keep] for part, keep in zip(view, keeps, strict=True)]
            for view, keeps in zip(views, kept, strict=True)
        ]
        return Sample(*(torch.stack(parts) for parts in zip(*cut, strict=True)))

    def _choose(self, generator: torch.Generator) -> list[LabelledStack]:
        count = min(self.config.stacks_per_step, len(self.stacks))
        first = int(torch.randint(len(self.stacks), (), generator=generator))
        reach = min(max(4 * count, 8), len(self.stacks))
        start = min(max(first - reach // 2, 0), len(self.stacks) - reach)
        others = [index for index in range(start, start + reach) if index != first]
        picked = torch.randperm(len(others), generator=generator)[: count - 1]
        return [self.stacks[first], *(self.stacks[others[int(index)]] for index in picked)]


class WeightAverage:
    """Exponential moving average of parameters and buffers; the decay grows, so that early steps are forgotten."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model's weights after ``step`` (counted from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                self.tensors[name].lerp_(tensor, 1 - decay)
            else:
                self.tensors[name].copy_(tensor)


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Linear warm-up, then a cosine down to 1 % of the peak."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(config.steps - config.warmup_steps, 1)
    return config.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * progress)) / 2)


def autocast_type(precision: str, device: torch.device) -> torch.dtype | None:
    """The reduced type to compute in, or None for float32: ``auto`` takes bfloat16 where the hardware has it."""
    if precision not in ("auto", "fp32", "bf16"):
        raise ValueError(f"precision must be auto, fp32 or bf16, got {precision!r}")
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if fast else None
    return torch.bfloat16 if precision == "bf16" else None


class Trainer:
    """A run in progress: the model, its average and its optimizer, at ``step``."""

    def __init__(self, config: TrainingConfig, device: torch.device):
        torch.manual_seed(config.seed)
        torch.set_flush_denormal(True)
        self.config, self.device, self.step = config, device, 0
        self.best: dict[str, float] = {}
        self.precision = autocast_type(config.precision, device)
        self.model = create_model(config.model).to(device, memory_format=torch.channels_last)
        self.average = WeightAverage(self.model, config.average_decay)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def train_step(self, batch: Sample) -> dict[str, float]:
        """One update; returns the loss's terms."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        image, labels, coarse_image, coarse_heart = (part.to(self.device) for part in batch)
        with torch.autocast(self.device.type, dtype=self.precision, enabled=self.precision is not None):
            output = self.model(image[:, :, None])
            heart = self.model.locate(coarse_image[:, :, None])
        terms = total_loss(output, labels, self.config.loss)
        terms["locate"] = self.config.loss.locate * locate_loss(heart, coarse_heart)
        terms["total"] = terms["total"] + terms["locate"]
        self.optimizer.zero_grad(set_to_none=True)
        terms["total"].backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_norm)
        self.optimizer.step()
        self.average.update(self.model, self.step)
        self.step += 1
        return {name: float(term.detach()) for name, term in terms.items()}

    def averaged_model(self) -> nn.Module:
        """A copy of the model with the averaged weights, in evaluation mode."""
        model = create_model(self.config.model).to(self.device, memory_format=torch.channels_last)
        model.load_state_dict(self.average.tensors)
        return model.eval()

    def checkpoint(self, scores: dict[str, float]) -> Checkpoint:
        """Everything that :meth:`restore` needs to go on exactly from here."""
        states = self.optimizer.state_dict()["state"]
        optimizer = {f"{index}.{key}": value for index, state in states.items() for key, value in state.items()}
        tensors = {"model": self.model.state_dict(), "average": self.average.tensors, "optimizer": optimizer}
        return Checkpoint(tensors, self.config, self.step, scores)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over weights, average, optimizer state and step."""
        self.model.load_state_dict(checkpoint.tensors["model"])
        for name, tensor in checkpoint.tensors["average"].items():
            self.average.tensors[name].copy_(tensor)
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in checkpoint.tensors.get("optimizer", {}).items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.step, self.best = checkpoint.step, checkpoint.scores


def _batches(dataset: Batches, first: int, workers: int) -> DataLoader:
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=range(first, len(dataset)),
        num_workers=workers,
        persistent_workers=False,
    )


def train(
    config: TrainingConfig,
    training: list[LabelledStack],
    validation: list[LabelledStack],
    output: Path,
    device: torch.device,
    workers: int = 0,
    stop_at: int | None = None,
    report: Callable[[str], None] = lambda line: tqdm.write(line, file=sys.stderr),
) -> Trainer:
    """Train until ``config.steps`` (or ``stop_at``), resuming from ``output/last.safetensors`` if it is there.

    ``output`` receives ``last.safetensors`` every ``validate_every`` steps and at the end, and ``best.safetensors``
    whenever the averaged weights reach a new best mean Dice on ``validation``; that is asked once the crops have
    their full size, as before it the network knows the heart at another scale. Resuming gives the weights of an
    uninterrupted run; a checkpoint of another configuration raises ``ValueError``.
    """
    trainer = Trainer(config, device)
    last, best = output / "last.safetensors", output / "best.safetensors"
    if last.exists():
        checkpoint = load_checkpoint(last)
        if checkpoint.config != config:
            raise ValueError(f"{last} was made with another configuration; wanted {config}, found {checkpoint.config}")
        trainer.restore(checkpoint)
        report(f"resuming at step {trainer.step} of {config.steps} from {last}")
    end = min(config.steps, stop_at or config.steps)
    progress = tqdm(total=config.steps, initial=trainer.step, unit="step", desc="train", file=sys.stderr)
    for batch in _batches(Batches(training, config), trainer.step, workers):
        if trainer.step >= end:
            break
        terms = trainer.train_step(batch)
        if not math.isfinite(terms["total"]):
            raise FloatingPointError(f"the loss became {terms['total']} at step {trainer.step}: {terms}")
        progress.set_postfix({name: f"{term:.3f}" for name, term in terms.items()}, refresh=False)
        progress.update()
        if trainer.step % config.validate_every == 0 or trainer.step == end:
            if validation and trainer.step > config.coarse_steps:
                _validate_and_keep_best(trainer, validation, best, report)
            save_checkpoint(last, trainer.checkpoint(trainer.best))
    progress.close()
    return trainer


def _validate_and_keep_best(
    trainer: Trainer, stacks: list[LabelledStack], path: Path, report: Callable[[str], None]
) -> None:
    scores = validate(trainer.averaged_model(), stacks, trainer.config.preprocessing, trainer.device)
    report(f"step {trainer.step}: " + ", ".join(f"{name} {score:.4f}" for name, score in scores.items()))
    if scores["dice_mean"] > trainer.best.get("dice_mean", -1.0):
        trainer.best = scores
        save_checkpoint(path, Checkpoint({"average": trainer.average.tensors}, trainer.config, trainer.step, scores))
