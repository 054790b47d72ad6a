"""The learning rate over a run, and when a run may be resumed with another length.

Warm-up, a constant rate and a linear cooldown (Hägele et al., "Scaling laws and compute-optimal training beyond fixed
training durations", NeurIPS 2024): up to the cooldown nothing depends on the length of the run, so a checkpoint from
before it goes on as if the longer run had been planned.
"""

from cardiacseg.training.config import TrainingConfig, differences


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Rate of the update after ``step`` updates: linear warm-up, constant, linear cooldown to 0."""
    risen = (step + 1) / max(config.warmup_steps, 1)
    left = (config.steps - step) / max(config.cooldown_steps, 1)
    return config.learning_rate * min(1.0, risen, left)


def cooldown_start(config: TrainingConfig) -> int:
    """Number of updates before the cooldown; with ``cooldown_steps`` 0 all of them."""
    return max(config.steps - config.cooldown_steps, 0)


def obstacles(step: int, saved: TrainingConfig, wanted: TrainingConfig) -> str:
    """What keeps a checkpoint of ``saved`` at ``step`` from going on as ``wanted``, field by field; "" if nothing.

    ``steps`` may differ while ``step`` does not lie behind the start of either's cooldown.
    """
    found = differences(saved, wanted)
    if step <= min(cooldown_start(saved), cooldown_start(wanted)):
        found.pop("steps", None)
    return ", ".join(f"{name} {ours!r} in the file and {theirs!r} wanted" for name, (ours, theirs) in found.items())
