"""The training loop: resume, steps, validation, checkpoints, progress, TensorBoard events."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch
from tqdm import tqdm

from cardiacseg.training.batches import Batches, check_stacks
from cardiacseg.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from cardiacseg.training.config import TrainingConfig
from cardiacseg.training.data import LabelledStack
from cardiacseg.training.inference import Teacher, add_soft_labels, validate
from cardiacseg.training.processes import processes
from cardiacseg.training.schedule import ClockSchedule, StepSchedule, resume_obstacles
from cardiacseg.training.trainer import Trainer, autocast_type

Log = Callable[[str, Mapping[str, float], int], None]
LAST, PLATEAU, BEST = "last.safetensors", "before_cooldown.safetensors", "best.safetensors"


def train(
    config: TrainingConfig,
    training: list[LabelledStack],
    validation: list[LabelledStack],
    output: Path,
    device: torch.device,
    stop_at: int | None = None,
    report: Callable[[str], None] = lambda line: tqdm.write(line, file=sys.stderr),
    initial_weights: dict[str, torch.Tensor] | None = None,
    events: bool = False,
    teachers: Sequence[Teacher] = (),
    started: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Trainer:
    """Train until ``config.steps`` (or ``stop_at``) or for ``config.minutes``, resuming what lies in ``output``.

    Files in ``output``: ``last.safetensors`` is written at each validation (every ``validate_every`` steps, by the
    clock as :class:`~cardiacseg.training.schedule.ClockSchedule` says) and at the end; ``best.safetensors`` if the
    averaged weights reach a new best mean Dice on ``validation``, which is measured only once the crops have their full
    size, because before that the network knows the heart at another scale; ``before_cooldown.safetensors`` is the state
    that a longer run is resumed from; ``events`` adds TensorBoard's. ``teachers`` first segment the training stacks. A
    run by the clock begins at ``started``, a reading of ``clock`` (default: now); a resumed one has the minutes that
    the checkpoint had left.

    On the CPU a resumed run by steps has the weights of an uninterrupted one, bit by bit on the same machine with one
    process or two (more may sum in another order). A new run starts from ``initial_weights`` if they are given. Of
    several processes only the first one writes, validates and reports. Raises ``ValueError`` for a checkpoint of
    another configuration and for too few minutes for one step, ``FileExistsError`` for a best checkpoint without a
    state to resume from.
    """
    started = clock() if started is None else started
    config = replace(config.for_stacks(len(training)), teachers=tuple(teacher.digest for teacher in teachers))
    first = processes().rank == 0
    check_stacks(len(training), config)
    trainer = Trainer(config, device)
    _start(trainer, output, initial_weights, report if first else lambda line: None)
    if teachers:
        training = add_soft_labels(training, list(teachers), device, autocast_type(config.precision, device))
    batches = Batches(training, config, processes(), device)
    if config.minutes is None:
        schedule = StepSchedule(config, stop_at)
    else:
        schedule = ClockSchedule(config, started, trainer.seconds, clock)
    total = config.steps if config.minutes is None else None
    finished = schedule.finished(trainer.step)
    if finished and not trainer.step:
        raise ValueError(f"{config.minutes:g} minutes are too few: {schedule.used:.0f} s passed before the first step")
    with (
        event_log(output if events and first else None, trainer.step + 1) as log,
        tqdm(
            total=total, initial=trainer.step, unit="step", desc="train", file=sys.stderr, disable=not first
        ) as progress,
    ):
        while not finished:
            terms = trainer.train_step(batches[trainer.step], schedule.rate(trainer.step))
            if not math.isfinite(terms["total"]):
                raise FloatingPointError(f"the loss became {terms['total']} at step {trainer.step}: {terms}")
            finished = schedule.finished(trainer.step)
            if not first:
                continue
            log("loss", terms, trainer.step)
            progress.set_postfix({name: f"{term:.3f}" for name, term in terms.items()}, refresh=False)
            progress.update()
            _validate_and_save(trainer, schedule, finished, validation, output, report, log)
    return trainer


def _start(
    trainer: Trainer, output: Path, initial_weights: dict[str, torch.Tensor] | None, report: Callable[[str], None]
) -> None:
    """Restore the latest state in ``output`` that fits the trainer's configuration, or set the initial weights."""
    refusal = ""
    for path in (output / LAST, output / PLATEAU):
        if not path.exists():
            continue
        checkpoint = load_checkpoint(path)
        found = resume_obstacles(checkpoint.step, checkpoint.config, trainer.config, checkpoint.seconds)
        if not found:
            trainer.restore(checkpoint)
            if (output / BEST).exists():
                trainer.best = load_checkpoint(output / BEST).scores
            report(f"resuming at step {_position(trainer)} from {path}")
            return
        refusal = refusal or f"{path} at step {checkpoint.step} was made with another configuration: {found}"
    if refusal:
        raise ValueError(refusal)
    if (output / BEST).exists():
        raise FileExistsError(f"{output / BEST} would be overwritten: there is no {LAST} beside it to resume from")
    if initial_weights is not None:
        trainer.start_from(initial_weights)


def _position(trainer: Trainer) -> str:
    """Progress of a run, as "300 of 6000" or "300, minute 2.5 of 10"."""
    if trainer.config.minutes is None:
        return f"{trainer.step} of {trainer.config.steps}"
    return f"{trainer.step}, minute {trainer.seconds / 60:.1f} of {trainer.config.minutes:g}"


def _validate_and_save(
    trainer: Trainer,
    schedule: StepSchedule | ClockSchedule,
    finished: bool,
    validation: list[LabelledStack],
    output: Path,
    report: Callable[[str], None],
    log: Log,
) -> None:
    """Validate and write checkpoints if it is time."""
    step, config = trainer.step, trainer.config
    due = finished or schedule.validation_due(step)
    if due:
        if validation and step > config.coarse_steps:
            log("validation", _validate_and_save_best(trainer, validation, output / BEST, report), step)
        trainer.seconds = max(schedule.used, schedule.total) if finished else schedule.used
        save_checkpoint(output / LAST, trainer.checkpoint(trainer.best))
    if schedule.cooling:
        trainer.seconds = min(schedule.used, schedule.cooldown)
        save_checkpoint(output / PLATEAU, trainer.checkpoint(trainer.best))
    if due:
        schedule.validated()


def _validate_and_save_best(
    trainer: Trainer, stacks: list[LabelledStack], path: Path, report: Callable[[str], None]
) -> dict[str, float]:
    scores = validate(trainer.averaged_model(), stacks, trainer.config.preprocessing, trainer.device)
    report(f"step {trainer.step}: " + ", ".join(f"{name} {score:.4f}" for name, score in scores.items()))
    if scores["dice_mean"] > trainer.best.get("dice_mean", -1.0):
        trainer.best = scores
        save_checkpoint(path, Checkpoint({"average": trainer.average.tensors}, trainer.config, trainer.step, scores))
    return scores


def require_tensorboard() -> None:
    """Raise ``ModuleNotFoundError`` if the package is missing."""
    if find_spec("tensorboard") is None:
        raise ModuleNotFoundError(
            'TensorBoard events need the package tensorboard: pip install "cardiacseg[tensorboard]"'
        )


@contextmanager
def event_log(folder: Path | None, step: int) -> Iterator[Log]:
    """Yield a function that writes named numbers under a title at a step into ``folder``; with None it writes nothing.

    Events that an interrupted run wrote at ``step`` or later are hidden.
    """
    if folder is None:
        yield lambda title, values, step: None
        return
    require_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder), purge_step=step) as writer:

        def log(title: str, values: Mapping[str, float], step: int) -> None:
            for name, value in values.items():
                writer.add_scalar(f"{title}/{name}", value, step)

        yield log
