"""The learning rate over a run, by steps or by the clock, and when a run may be resumed with another length.

Warm-up, a constant rate and a linear cooldown (Hägele et al., "Scaling laws and compute-optimal training beyond fixed
training durations", NeurIPS 2024): up to the cooldown nothing depends on the length of the run, so a checkpoint from
before it goes on as if the longer run had been planned.
"""

import time
from collections.abc import Callable

from cardiacseg.training.config import TrainingConfig, differences
from cardiacseg.training.processes import agreed

WARMUP_FRACTION = 0.03  # of a run by the clock, at most
LOOK_SECONDS = 600  # between two looks at the validation patients by the clock, at most
LOOKS, LOOKS_FRACTION = 8, 0.1  # by the clock: so many at least, but not in more than this fraction of the time
MARGIN = 1.25  # of the time that is kept for the last look


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
    """A run of ``config.steps``, which may stop before at ``stop_at``."""

    used = total = cooldown = 0.0  # seconds, which a run by steps does not count

    def __init__(self, config: TrainingConfig, stop_at: int | None = None):
        self.config, self.end = config, min(config.steps, stop_at or config.steps)
        self.cooling = False

    def over(self, step: int) -> bool:
        """Whether no update follows ``step`` updates; called once before the first update and once after each."""
        self.cooling = bool(self.config.cooldown_steps) and step == cooldown_start(self.config)
        return step >= self.end

    def rate(self, step: int) -> float:
        """Learning rate of the update after ``step`` updates."""
        return learning_rate(self.config, step)

    def look_due(self, step: int) -> bool:
        """Whether it is time for a look at the validation patients and a checkpoint."""
        return step % self.config.validate_every == 0

    def looked(self) -> None:
        """Called after each look."""


class ClockSchedule:
    """A run of ``config.minutes``, of which ``used`` seconds were used before ``started``, a reading of ``clock``.

    The rate follows the clock. Looks come every eighth of the time, at most ten minutes apart, and further apart
    where they would take more than a tenth of the time. The updates end, at rate 0, early enough for the last look.
    Of several processes the first one's clock counts. ``cooling`` says that the last update was the last one before
    the cooldown.
    """

    def __init__(
        self, config: TrainingConfig, started: float, used: float = 0.0, clock: Callable[[], float] = time.monotonic
    ):
        self.config, self.clock, self.origin = config, clock, started - used
        self.total, self.cooldown = config.minutes * 60, cooldown_second(config)
        self.ahead = bool(config.cooldown_fraction) and used <= self.cooldown  # whether the cooldown lies ahead
        self.cooling = False
        self.look_took, self.end = 0.0, self.total
        self.last_look = self.mark = self.used
        self.first = self.now = None

    @property
    def used(self) -> float:
        """Seconds of the run so far, those before an interruption included."""
        return self.clock() - self.origin

    def over(self, step: int) -> bool:
        """Whether no update follows ``step`` updates; called once before the first update and once after each."""
        now = self.used
        ready = now + (now - self.mark)  # after one more update as long as the last one
        self.mark = now
        self.now, self.end, ready = agreed(now, self.total - MARGIN * self.look_took, ready)
        self.first = self.now if self.first is None else self.first
        self.cooling = self.ahead and self.now > self.cooldown
        self.ahead &= not self.cooling
        return ready >= self.end

    def rate(self, step: int) -> float:
        """Learning rate of the update after ``step`` updates."""
        in_steps = (step + 1) / max(self.config.warmup_steps, 1)
        in_time = (self.now - self.first) / (WARMUP_FRACTION * self.total)
        left = 1.0
        if self.config.cooldown_fraction:
            left = max(self.end - self.now, 0.0) / max(self.end - self.cooldown, 1e-9)
        return self.config.learning_rate * min(1.0, max(in_steps, in_time), left)

    def look_due(self, step: int) -> bool:
        """Whether it is time for a look at the validation patients and a checkpoint."""
        apart = max(min(self.total / LOOKS, LOOK_SECONDS), self.look_took / LOOKS_FRACTION)
        return self.now - self.last_look >= apart

    def looked(self) -> None:
        """Called after each look."""
        self.last_look = self.mark = self.used
        self.look_took = max(self.look_took, self.last_look - self.now)


def obstacles(step: int, saved: TrainingConfig, wanted: TrainingConfig, seconds: float = 0.0) -> str:
    """What keeps a checkpoint of ``saved`` at ``step`` from going on as ``wanted``, field by field; "" if nothing.

    ``steps`` may differ while ``step`` does not lie behind the start of either's cooldown, and ``minutes`` while the
    ``seconds`` that were used do not.
    """
    found = differences(saved, wanted)
    if None not in (saved.minutes, wanted.minutes):
        if seconds <= min(cooldown_second(saved), cooldown_second(wanted)):
            found.pop("minutes", None)
    elif step <= min(cooldown_start(saved), cooldown_start(wanted)):
        found.pop("steps", None)
    return ", ".join(f"{name} {ours!r} in the file and {theirs!r} wanted" for name, (ours, theirs) in found.items())
