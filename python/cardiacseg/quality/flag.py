"""A quality flag."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Flag:
    """Why something deserves a second look.

    ``code`` is stable (``lv_ef_range``); ``text`` is one sentence with the numbers and units in it. ``value`` crossed
    ``threshold``. ``structure`` is ``"rv"``, ``"myo"`` or ``"lv"``; ``frame`` and ``slice`` count from 0, as in the
    JSON files. What does not apply is ``None``.
    """

    code: str
    text: str
    value: float | None = None
    threshold: float | None = None
    structure: str | None = None
    frame: int | None = None
    slice: int | None = None
