"""How far a build of several engines is, and how long it still takes."""

import time
from collections.abc import Callable
from typing import NamedTuple

READING = "reading the graph"  # the provider's first phase, which takes no time to speak of


class BuildState(NamedTuple):
    """``done`` is a share of the whole build, ``seconds_left`` an estimate; None while there is nothing to go by."""

    stage: str
    phase: str
    done: float
    seconds_left: float | None


class BuildClock:
    """Tells ``report`` of the progress of stages that take time as their ``sizes`` do, in this order."""

    def __init__(self, sizes: dict[str, int], report: Callable[[BuildState], None], now=time.monotonic):
        self._sizes, self._report, self._now = sizes, report, now
        self._finished = 0
        self._share = 0.0
        self._start = now()

    def start(self, stage: str) -> Callable[[str, int, int], None]:
        """The function to be called with a phase of ``stage``, its step and its steps."""
        self._share = 0.0

        def progress(phase: str, step: int, steps: int) -> None:
            if phase != READING:  # of several phases one after another none moves the share back
                self._share = max(self._share, min(1.0, step / max(1, steps)))
            self._tell(stage, phase)

        return progress

    def finish(self, stage: str) -> None:
        """``stage`` is built."""
        self._finished += self._sizes[stage]
        self._share = 0.0
        self._tell(stage, "built")

    def _tell(self, stage: str, phase: str) -> None:
        done = (self._finished + self._share * self._sizes[stage] * (phase != "built")) / sum(self._sizes.values())
        spent = self._now() - self._start
        self._report(BuildState(stage, phase, done, spent * (1 - done) / done if done > 0 else None))
