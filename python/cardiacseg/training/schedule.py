"""The learning rate over a run, by steps or by the clock, and when a run may be resumed with another length.

Warm-up, a constant rate and a linear cooldown (Hägele et al., "Scaling laws and compute-optimal training beyond fixed
training durations", NeurIPS 2024): up to the cooldown nothing depends on the length of the run, so a checkpoint from
before it can be resumed as part of a longer run.
"""

import time
from collections.abc import Callable

from cardiacseg.training.config import TrainingConfig, differences
from cardiacseg.training.processes import broadcast

WARMUP_FRACTION = 0.03  # of a run by the clock, at most
VALIDATION_SECONDS = 600  # by the clock: the most between two validations
VALIDATIONS, VALIDATIONS_FRACTION = 8, 0.1  # by the clock: at least 8, but in no more than a tenth of the time
MARGIN = 1.25  # factor on the time that is reserved for the last validation


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Rate of the update after ``step`` updates: linear warm-up, constant, linear cooldown to 0."""
    risen = (step + 1) / max(config.warmup_steps, 1)
    left = (config.steps - step) / max(config.cooldown_steps, 1)
    return config.learning_rate * min(1.0, risen, left)


def cooldown_start(config: TrainingConfig) -> int:
    """Number of updates before the cooldown; with ``cooldown_steps`` 0 all of them."""
    return max(config.steps - config.cooldown_steps, 0)


def cooldown_second(config: TrainingConfig) -> float:
    """Seconds before the cooldown of a run by the clock."""
    return config.minutes * 60 * (1 - config.cooldown_fraction)


class StepSchedule:
    """A run of ``config.steps`` updates; ``stop_at`` ends it earlier."""

    used = total = cooldown = 0.0  # seconds, which only a run by the clock counts

    def __init__(self, config: TrainingConfig, stop_at: int | None = None):
        self.config, self.end = config, min(config.steps, stop_at or config.steps)
        self.cooling = False

    def finished(self, step: int) -> bool:
        """Whether no update follows ``step`` updates; called once before the first update and once after each."""
        self.cooling = bool(self.config.cooldown_steps) and step == cooldown_start(self.config)
        return step >= self.end

    def rate(self, step: int) -> float:
        """Learning rate of the update after ``step`` updates."""
        return learning_rate(self.config, step)

    def validation_due(self, step: int) -> bool:
        """Whether it is time for a validation and a checkpoint."""
        return step % self.config.validate_every == 0

    def validated(self) -> None:
        """Called after each validation."""


class ClockSchedule:
    """A run of ``config.minutes``, of which ``used`` seconds were used before ``started``, a reading of ``clock``.

    The rate follows the clock. A validation is due every eighth of the time, after ten minutes at the latest, but
    later if validations would take more than a tenth of the time. The updates end, at rate 0, early enough for the last
    validation. All processes follow the first one's clock. ``cooling`` is true after the last update before the
    cooldown.
    """

    def __init__(
        self, config: TrainingConfig, started: float, used: float = 0.0, clock: Callable[[], float] = time.monotonic
    ):
        self.config, self.clock, self.origin = config, clock, started - used
        self.total, self.cooldown = config.minutes * 60, cooldown_second(config)
        self.cooldown_ahead = (
            bool(config.cooldown_fraction) and used <= self.cooldown
        )  # whether the cooldown is still to come
        self.cooling = False
        self.validation_took, self.end = 0.0, self.total
        self.last_validation = self.last_update = self.used
        self.first = self.now = None

    @property
    def used(self) -> float:
        """Seconds of the run so far, those before an interruption included."""
        return self.clock() - self.origin

    def finished(self, step: int) -> bool:
        """Whether no update follows ``step`` updates; called once before the first update and once after each."""
        now = self.used
        ready = now + (now - self.last_update)  # the end of an update that takes as long as the last one
        self.last_update = now
        self.now, self.end, ready = broadcast(now, self.total - MARGIN * self.validation_took, ready)
        self.first = self.now if self.first is None else self.first
        self.cooling = self.cooldown_ahead and self.now > self.cooldown
        self.cooldown_ahead &= not self.cooling
        return ready >= self.end

    def rate(self, step: int) -> float:
        """Learning rate of the update after ``step`` updates."""
        in_steps = (step + 1) / max(self.config.warmup_steps, 1)
        in_time = (self.now - self.first) / (WARMUP_FRACTION * self.total)
        left = 1.0
        if self.config.cooldown_fraction:
            left = max(self.end - self.now, 0.0) / max(self.end - self.cooldown, 1e-9)
        return self.config.learning_rate * min(1.0, max(in_steps, in_time), left)

    def validation_due(self, step: int) -> bool:
        """Whether it is time for a validation and a checkpoint."""
        apart = max(min(self.total / VALIDATIONS, VALIDATION_SECONDS), self.validation_took / VALIDATIONS_FRACTION)
        return self.now - self.last_validation >= apart

    def validated(self) -> None:
        """Called after each validation."""
        self.last_validation = self.last_update = self.used
        self.validation_took = max(self.validation_took, self.last_validation - self.now)


def resume_obstacles(step: int, saved: TrainingConfig, current: TrainingConfig, seconds: float = 0.0) -> str:
    """Why a checkpoint of the run ``saved`` at ``step`` cannot be resumed as the run ``current``; "" if it can.

    Each field that differs is named. ``steps`` may differ if ``step`` is not after the start of either cooldown,
    ``minutes`` if the ``seconds`` that were used are not.
    """
    found = differences(saved, current)
    if None not in (saved.minutes, current.minutes):
        if seconds <= min(cooldown_second(saved), cooldown_second(current)):
            found.pop("minutes", None)
    elif step <= min(cooldown_start(saved), cooldown_start(current)):
        found.pop("steps", None)
    return ", ".join(f"{name}: expected {now!r}, got {then!r}" for name, (then, now) in found.items())
