"""One training step after another: mixed precision, gradients of all processes, weight averaging, exact state."""

import torch
from torch import nn

from cardiacseg.models import create_model
from cardiacseg.training.batches import Sample
from cardiacseg.training.checkpoint import Checkpoint
from cardiacseg.training.config import TrainingConfig
from cardiacseg.training.losses import heart_loss, total_loss
from cardiacseg.training.processes import distribute, processes, stacks_per_process, synchronize_norms
from cardiacseg.training.schedule import learning_rate

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class WeightAverage:
    """Exponential moving average of parameters and buffers; the decay grows, so that early steps lose their weight."""

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


def autocast_type(precision: str, device: torch.device) -> torch.dtype | None:
    """The reduced type to compute in, or None for float32.

    ``auto``: bfloat16 if the hardware has it, float16 on other CUDA devices, float32 on other processors.
    """
    if precision != "auto":
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be auto, {', '.join(PRECISIONS)}, got {precision!r}")
        return PRECISIONS[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else None


class _BothPasses(nn.Module):
    """The system on its crops and the locator on coarse slices in one forward pass, which DDP can wrap."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor, coarse_image: torch.Tensor):
        return self.model(image[:, :, None]), self.model.locate(coarse_image[:, :, None])


class Trainer:
    """A run in progress: the model, its average, its optimizer and its loss scale, at ``step``.

    Raises ``ValueError`` if the crop is not a multiple of the networks' stride.
    """

    def __init__(self, config: TrainingConfig, device: torch.device):
        torch.manual_seed(config.seed)
        torch.set_flush_denormal(True)
        self.config, self.device, self.step, self.seconds = config, device, 0, 0.0
        self.best: dict[str, float] = {}
        self.precision = autocast_type(config.precision, device)
        model = create_model(config.model)
        _check_crop(config, model)
        self.model = synchronize_norms(model, device).to(device, memory_format=torch.channels_last)
        self.passes = distribute(_BothPasses(self.model))
        self.average = WeightAverage(self.model, config.average_decay)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.precision == torch.float16)

    def train_step(self, batch: Sample, rate: float | None = None) -> dict[str, float]:
        """One update at ``rate`` (default: the step's learning rate); returns the terms of the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.config, self.step) if rate is None else rate
        with torch.autocast(self.device.type, dtype=self.precision, enabled=self.precision is not None):
            output, heart = self.passes(batch.image, batch.coarse_image)
        terms = total_loss(output, batch.labels, self.config.loss, batch.soft)
        terms["locate"] = self.config.loss.locate * heart_loss(heart, batch.coarse_heart)
        terms["total"] = terms["total"] + terms["locate"]
        self._update(terms["total"])
        values = torch.stack([term.detach() for term in terms.values()]).tolist()
        return dict(zip(terms, values, strict=True))

    def _update(self, loss: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if self.config.gradient_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.average.update(self.model, self.step)
        self.step += 1

    def averaged_model(self) -> nn.Module:
        """A copy of the model with the averaged weights, in evaluation mode."""
        model = create_model(self.config.model).to(self.device, memory_format=torch.channels_last)
        model.load_state_dict(self.average.tensors)
        return model.eval()

    def start_from(self, weights: dict[str, torch.Tensor]) -> None:
        """Load a model's weights. Raises ``ValueError`` if they are not this model's."""
        try:
            self.model.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"the initial weights are not a {self.config.model}'s: {error}") from error
        self.average = WeightAverage(self.model, self.config.average_decay)

    def checkpoint(self, scores: dict[str, float]) -> Checkpoint:
        """Everything that :meth:`restore` needs to continue exactly from here."""
        states = self.optimizer.state_dict()["state"]
        tensors = {
            "model": self.model.state_dict(),
            "average": self.average.tensors,
            "optimizer": {f"{index}.{key}": value for index, state in states.items() for key, value in state.items()},
            "scaler": {name: torch.tensor(value) for name, value in self.scaler.state_dict().items()},
        }
        return Checkpoint(tensors, self.config, self.step, scores, self.seconds)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Load weights, average, the optimizer's state, the loss scale and the step."""
        self.model.load_state_dict(checkpoint.tensors["model"])
        for name, tensor in checkpoint.tensors["average"].items():
            self.average.tensors[name].copy_(tensor)
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in checkpoint.tensors.get("optimizer", {}).items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        scale = {name: value.item() for name, value in checkpoint.tensors.get("scaler", {}).items()}
        if scale:
            self.scaler.load_state_dict(scale)
        self.step, self.best, self.seconds = checkpoint.step, checkpoint.scores, checkpoint.seconds


def check_run(config: TrainingConfig, device: torch.device) -> None:
    """Raise ``ValueError`` for a configuration that a trainer or its batches would refuse, before any data is read."""
    stacks_per_process(config.stacks_per_step, processes().count)
    autocast_type(config.precision, device)
    _check_crop(config, create_model(config.model))


def _check_crop(config: TrainingConfig, model: nn.Module) -> None:
    if config.preprocessing.crop_pixels % model.stride:
        raise ValueError(
            f"crop_pixels must be a multiple of {config.model}'s stride {model.stride}, "
            f"got {config.preprocessing.crop_pixels}"
        )
