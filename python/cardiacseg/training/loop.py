"""The training loop: resume, steps, validation, checkpoints, progress."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from cardiacseg.training.batches import Batches, load_batches
from cardiacseg.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from cardiacseg.training.config import TrainingConfig
from cardiacseg.training.data import LabelledStack
from cardiacseg.training.events import Log, event_log
from cardiacseg.training.processes import processes
from cardiacseg.training.schedule import cooldown_start, obstacles
from cardiacseg.training.trainer import Trainer
from cardiacseg.training.validate import validate

LAST, PLATEAU, BEST = "last.safetensors", "before_cooldown.safetensors", "best.safetensors"


def train(
    config: TrainingConfig,
    training: list[LabelledStack],
    validation: list[LabelledStack],
    output: Path,
    device: torch.device,
    workers: int = 0,
    stop_at: int | None = None,
    report: Callable[[str], None] = lambda line: tqdm.write(line, file=sys.stderr),
    initial_weights: dict[str, torch.Tensor] | None = None,
    events: bool = False,
) -> Trainer:
    """Train until ``config.steps`` (or ``stop_at``), resuming what lies in ``output``.

    ``output`` receives ``last.safetensors`` every ``validate_every`` steps and at the end, and ``best.safetensors``
    whenever the averaged weights reach a new best mean Dice on ``validation``; that is asked once the crops have
    their full size, as before it the network knows the heart at another scale. ``before_cooldown.safetensors`` is
    the state before the cooldown, from which a longer run goes on; ``events`` adds TensorBoard's.

    Resuming gives the weights of an uninterrupted run, bit by bit on the same machine with one process or two (the
    order in which more are summed may change). A checkpoint of another configuration raises ``ValueError``, a best
    checkpoint without a state to resume ``FileExistsError``. A new run starts from ``initial_weights`` where given.
    Of several processes the first one alone writes, validates and reports.
    """
    config = config.for_stacks(len(training))
    alone = processes().rank == 0
    batches = Batches(training, config, processes())
    trainer = Trainer(config, device)
    _start(trainer, output, initial_weights, report if alone else lambda line: None)
    end = min(config.steps, stop_at or config.steps)
    with (
        event_log(output if events and alone else None, trainer.step + 1) as log,
        tqdm(
            total=config.steps, initial=trainer.step, unit="step", desc="train", file=sys.stderr, disable=not alone
        ) as progress,
    ):
        for batch in load_batches(batches, trainer.step, workers):
            if trainer.step >= end:
                break
            terms = trainer.train_step(batch)
            if not math.isfinite(terms["total"]):
                raise FloatingPointError(f"the loss became {terms['total']} at step {trainer.step}: {terms}")
            if not alone:
                continue
            log("loss", terms, trainer.step)
            progress.set_postfix({name: f"{term:.3f}" for name, term in terms.items()}, refresh=False)
            progress.update()
            _keep(trainer, validation, output, end, report, log)
    return trainer


def _start(
    trainer: Trainer, output: Path, initial_weights: dict[str, torch.Tensor] | None, report: Callable[[str], None]
) -> None:
    """Restore the latest state in ``output`` that can go on as the trainer's run, or take the initial weights."""
    refusal = ""
    for path in (output / LAST, output / PLATEAU):
        if not path.exists():
            continue
        checkpoint = load_checkpoint(path)
        found = obstacles(checkpoint.step, checkpoint.config, trainer.config)
        if not found:
            trainer.restore(checkpoint)
            if (output / BEST).exists():
                trainer.best = load_checkpoint(output / BEST).scores
            report(f"resuming at step {trainer.step} of {trainer.config.steps} from {path}")
            return
        refusal = refusal or f"{path} at step {checkpoint.step} was made with another configuration: {found}"
    if refusal:
        raise ValueError(refusal)
    if (output / BEST).exists():
        raise FileExistsError(f"{output / BEST} would be overwritten: there is no {LAST} beside it to resume from")
    if initial_weights is not None:
        trainer.start_from(initial_weights)


def _keep(
    trainer: Trainer,
    validation: list[LabelledStack],
    output: Path,
    end: int,
    report: Callable[[str], None],
    log: Log,
) -> None:
    """Validate and write checkpoints where it is time."""
    step, config = trainer.step, trainer.config
    if step % config.validate_every == 0 or step == end:
        if validation and step > config.coarse_steps:
            log("validation", _validate_and_keep_best(trainer, validation, output / BEST, report), step)
        save_checkpoint(output / LAST, trainer.checkpoint(trainer.best))
    if config.cooldown_steps and step == cooldown_start(config):
        save_checkpoint(output / PLATEAU, trainer.checkpoint(trainer.best))


def _validate_and_keep_best(
    trainer: Trainer, stacks: list[LabelledStack], path: Path, report: Callable[[str], None]
) -> dict[str, float]:
    scores = validate(trainer.averaged_model(), stacks, trainer.config.preprocessing, trainer.device)
    report(f"step {trainer.step}: " + ", ".join(f"{name} {score:.4f}" for name, score in scores.items()))
    if scores["dice_mean"] > trainer.best.get("dice_mean", -1.0):
        trainer.best = scores
        save_checkpoint(path, Checkpoint({"average": trainer.average.tensors}, trainer.config, trainer.step, scores))
    return scores
