"""What a check is: a question with a threshold, and the function that answers it."""

from collections.abc import Callable
from dataclasses import dataclass

from cardiacseg.io.cine import Flag
from cardiacseg.quality.evidence import Evidence


@dataclass(frozen=True)
class NotChecked:
    """A check that could not be made, and why in one sentence."""

    reason: str


Found = list[Flag] | NotChecked


@dataclass(frozen=True)
class Check:
    """One line of the table of checks.

    ``what`` is raised in words, where ``threshold`` (one number that must not be passed, or the lowest and the highest
    that are not raised) is in ``unit``; ``source`` says where that number comes from. ``structure`` is ``"rv"``,
    ``"myo"``, ``"lv"`` or ``None``. ``find`` gives the flags, none where all is well.
    """

    code: str
    what: str
    threshold: float | tuple[float, float]
    unit: str
    source: str
    find: "Callable[[Evidence, Check], Found]"
    structure: str | None = None

    def flag(self, text: str, value: float, frame: int | None = None, slice: int | None = None) -> Flag:
        """A flag of this check; of two thresholds it holds the one that ``value`` passed."""
        threshold = self.threshold
        if isinstance(threshold, tuple):
            threshold = threshold[0] if value < threshold[0] else threshold[1]
        return Flag(self.code, text, float(value), float(threshold), self.structure, frame, slice)

    def outside(self, value: float) -> bool:
        """Whether ``value`` lies outside the two thresholds."""
        low, high = self.threshold
        return not low <= value <= high
